"""The service itself: the open root, logins and their end, and that collections are complete."""

import sushy
from sushy import auth, exceptions

from lib.checks import Checks, among, equal, expect, until
from lib.demo import Demo
from lib.redfish import Client

SESSIONS = "/redfish/v1/SessionService/Sessions"


def basic(demo: Demo, password: str | None = None) -> sushy.Sushy:
    """sushy with Basic authentication."""
    return sushy.Sushy(demo.url, auth=auth.BasicAuth(username=demo.user, password=password or demo.password),
                       verify=demo.ca)


def session(demo: Demo, password: str | None = None) -> sushy.Sushy:
    """sushy with a session."""
    return sushy.Sushy(demo.url, auth=auth.SessionAuth(username=demo.user, password=password or demo.password),
                       verify=demo.ca)


def refused(call) -> None:
    """The call has to end in sushy's AccessError."""
    try:
        call()
    except exceptions.AccessError:
        return
    raise AssertionError("it was let in")


def run(checks: Checks, demo: Demo) -> None:
    """All checks that need no node of a kind."""
    reader = demo.client()
    with checks.check("root-unauthenticated"):
        answer = Client(demo.url, ca=demo.ca).get("/redfish/v1/")
        equal(answer.status, 200, "status of the root without credentials")
        for name in ("Systems", "Chassis", "Managers", "SessionService", "AccountService", "Tasks"):
            expect(name in answer.body, f"the root has no {name}")
    with checks.check("unauthenticated-401-body"):
        answer = Client(demo.url, ca=demo.ca).get("/redfish/v1/Systems")
        equal(answer.status, 401, "status of Systems without credentials")
        expect(answer.message, f"no error message in {answer}")
        expect("www-authenticate" in answer.headers, "no WWW-Authenticate header")
    with checks.check("basic-auth"):
        expect(basic(demo).get_system_collection().members_identities, "no systems")
    with checks.check("basic-wrong-password"):
        root = basic(demo, "not-the-password")
        refused(lambda: root.get_system_collection().members_identities)
    with checks.check("session-wrong-password"):
        refused(lambda: session(demo, "not-the-password").get_system_collection())
    with checks.check("not-locked-out"):
        expect(session(demo).get_system_collection().members_identities, "no systems")
    with checks.check("session-login"):
        before = set(reader.members(SESSIONS))
        root = session(demo)
        root.get_system_collection()
        equal(len(set(reader.members(SESSIONS)) - before), 1, "number of new sessions")
    with checks.check("session-members"):
        root = session(demo)
        timeout = root.get_session_service().session_timeout
        expect(timeout and timeout >= 30, f"SessionTimeout is {timeout}")
        own = [m.username for m in root.get_session_service().sessions.get_members()]
        expect(own and set(own) == {demo.user}, f"UserName of the sessions: {own}")
    with checks.check("session-expiry"):
        before = set(reader.members(SESSIONS))
        root = session(demo)
        root.get_system_collection()
        mine = set(reader.members(SESSIONS)) - before
        for path in mine:
            among(reader.request("DELETE", path).status, (200, 204), f"status of DELETE {path}")
        root.get_system(demo.nodes()[0].system)  # 401, new login, once more
        again = set(reader.members(SESSIONS)) - before
        expect(again and not again & mine, f"sessions after the loss: {again}")
    with checks.check("session-logout"):
        before = set(reader.members(SESSIONS))
        root = session(demo)
        root.get_system_collection()
        mine = (set(reader.members(SESSIONS)) - before).pop()
        token = root._conn._auth._session_key
        root._auth.close()
        until(lambda: reader.get(mine).status, 404, 5, f"status of {mine} after the logout")
        dead = Client(demo.url, ca=demo.ca)
        dead.token = token
        equal(dead.get("/redfish/v1/Systems").status, 401, "status with the token of a closed session")
    with checks.check("session-or-basic"):
        both = auth.SessionOrBasicAuth(username=demo.user, password=demo.password)
        root = sushy.Sushy(demo.url, auth=both, verify=demo.ca)
        expect(root.get_system_collection().members_identities, "no systems")
    with checks.check("many-sessions"):
        # Ironic never closes its sessions: a hundred of them must not lock anybody out.
        roots = [session(demo) for _ in range(100)]
        expect(roots[0].get_system_collection().members_identities, "the first of a hundred sessions is gone")
        for root in roots:
            root._auth.close()
    with checks.check("collections-complete"):
        root = basic(demo)
        systems = root.get_system_collection().members_identities
        equal(sorted(systems), sorted(node.system for node in demo.nodes()), "Systems")
        for name in ("Systems", "Chassis", "Managers"):
            body = reader.read(f"/redfish/v1/{name}")
            equal(body["Members@odata.count"], len(body["Members"]), f"{name} Members@odata.count")
            expect("Members@odata.nextLink" not in body, f"{name} is paged, which sushy does not follow")
            for path in reader.members(f"/redfish/v1/{name}"):
                equal(reader.read(path)["@odata.id"].rstrip("/"), path.rstrip("/"), f"@odata.id of {path}")
        chassis = set(reader.members("/redfish/v1/Chassis"))
        managers = set(reader.members("/redfish/v1/Managers"))
        for entry in demo.nodes():
            links = reader.read(entry.system)["Links"]
            for link, all_of_them in (("Chassis", chassis), ("ManagedBy", managers)):
                own = {item["@odata.id"] for item in links[link]}
                expect(own and own <= all_of_them, f"{entry.name} Links.{link} {own} is not within the collection")
    with checks.check("chassis-collection"):
        members = basic(demo).get_chassis_collection().get_members()
        equal(len(members), len(reader.members("/redfish/v1/Chassis")), "number of chassis that sushy can read")
    with checks.check("manager-collection"):
        members = basic(demo).get_manager_collection().get_members()
        equal(len(members), len(reader.members("/redfish/v1/Managers")), "number of managers that sushy can read")
    with checks.check("task-service"):
        tasks = basic(demo).get_task_service()
        expect(tasks.identity, "TaskService has no Id")
        tasks.tasks.get_members()
    with checks.check("event-service"):
        events = basic(demo).get_event_service()
        made = events.subscriptions.create({"Destination": "https://127.0.0.1:9/event", "Protocol": "Redfish",
                                            "Context": "conformance", "EventTypes": ["Alert"]})
        equal(made.context, "conformance", "Context of the subscription")
        made.delete()
        equal(reader.get(made.path).status, 404, "status of the subscription after its end")
    with checks.check("registries"):
        root = basic(demo)
        expect(any(name.startswith("Base.") for name in root.registries), f"registries: {list(root.registries)[:5]}")
