"""Making, reading, changing and ending subscriptions: sushy's calls, Ironic's bodies, and what is refused."""

import sushy
from sushy import auth

from lib.checks import Checks, equal, expect, until
from receiver import Receiver
from rig import EVENTS, SUBSCRIPTIONS, Rig


def run(checks: Checks, rig: Rig, receiver: Receiver) -> None:
    """All of it."""
    admin = rig.admin
    with checks.check("service"):
        body = admin.read(EVENTS)
        equal(body["ServerSentEventUri"], f"{EVENTS}/SSE", "ServerSentEventUri")
        equal((body["DeliveryRetryAttempts"], body["DeliveryRetryIntervalSeconds"]), (2, 1), "retries")
        for action in ("#EventService.SubmitTestEvent", "#EventService.TestEventSubscription"):
            expect(body["Actions"][action]["target"].startswith(EVENTS), f"no target of {action}")
        for prefix in ("ResourceEvent", "TaskEvent", "Rackfish"):
            expect(prefix in body["RegistryPrefixes"], f"no {prefix}")
    with checks.check("sushy"):
        root = sushy.Sushy(admin.url, auth=auth.BasicAuth(username=admin.user, password=admin.password),
                           verify=admin.ca)
        service = root.get_event_service()
        made = service.subscriptions.create({"Destination": receiver.url("sushy"), "Protocol": "Redfish",
                                             "Context": "by sushy", "EventTypes": ["Alert"],
                                             "HttpHeaders": [{"X-From": "sushy"}]})
        equal((made.context, made.protocol, made.destination), ("by sushy", "Redfish", receiver.url("sushy")), "it")
        rig.test("for sushy", EventType="Alert")
        rig.test("not for sushy", EventType="StatusChange")
        until(lambda: receiver.texts("sushy"), ["for sushy"], 10, "what sushy's receiver has", pause=0.05)
        headers, body = receiver.posts["sushy"][0]
        equal((headers.get("x-from"), body["Context"]), ("sushy", "by sushy"), "header and Context")
        identities = [m.identity for m in service.subscriptions.get_members()]
        expect(made.identity in identities, f"{made.identity} is not in {identities}")
        made.delete()
        equal(admin.get(made.path).status, 404, "status of the subscription after its end")
    with checks.check("ironic"):
        # What Ironic's vendor passthru sends and reads (create, get_all, get, delete).
        answer = admin.request("POST", SUBSCRIPTIONS, {"Destination": receiver.url("ironic"), "Protocol": "Redfish",
                                                       "Context": "", "EventTypes": ["Alert"]})
        equal(answer.status, 201, "status")
        location = answer.headers["location"]
        body = admin.read(location)
        equal(location, f"{SUBSCRIPTIONS}/{body['Id']}", "the member's URI")
        for key, wanted in (("Context", ""), ("Protocol", "Redfish"), ("EventTypes", ["Alert"])):
            equal(body[key], wanted, key)
        expect(location in admin.members(SUBSCRIPTIONS), "not in the collection")
        equal(admin.request("DELETE", f"{SUBSCRIPTIONS}/{body['Id']}").status, 204, "status of DELETE")
    with checks.check("refused-by-name"):
        wrong = {"Severities": ["Bad"], "MessageIds": ["?"], "RegistryPrefixes": ["Nothing"], "Foo": 1,
                 "OriginResources": ["x"], "DeliveryRetryPolicy": "Never", "ResourceTypes": ["Toaster"]}
        answer = rig.ask(receiver.url("x"), **wrong)
        equal(answer.status, 400, "status")
        named = {info.get("RelatedProperties", [""])[0] for info in answer.body["error"]["@Message.ExtendedInfo"]}
        equal(named, {f"#/{key}" for key in wrong}, "properties named")
        for destination in ("ftp://192.0.2.1/", "x", "", f"http://user:secret@127.0.0.1:{receiver.port}/x"):
            answer = rig.ask(destination)
            equal(answer.status, 400, f"status of {destination!r}")
            expect("Destination" in answer.message, f"{answer.message} does not name it")
        for header in ({"Host": "x"}, {"X": "a\r\nb: c"}, {"Content-Length": "1"}, {"a b": "c"}):
            equal(rig.ask(receiver.url("x"), HttpHeaders=[header]).status, 400, f"status of {header}")
        equal(rig.ask(receiver.url("x"), Context="x" * 2000).status, 400, "status of a long Context")
    with checks.check("headers-hidden"):
        path = rig.subscribe(receiver.url("hidden"), HttpHeaders=[{"Authorization": "Bearer MARK-s3cret"}])
        rig.test("with a header")
        until(lambda: len(receiver.bodies("hidden")), 1, 10, "events", pause=0.05)
        equal(receiver.posts["hidden"][0][0]["authorization"], "Bearer MARK-s3cret", "the header sent")
        for answer in (admin.get(path), admin.get(f"{SUBSCRIPTIONS}?$expand=."), admin.patch(path, {"Context": "y"})):
            expect(b"s3cret" not in answer.raw, "the header is shown")
        expect("s3cret" not in rig.log.read_text(), "the header is in the log")
        rig.remove(path)
    with checks.check("changed"):
        path = rig.subscribe(receiver.url("before"), Context="old")
        tag = admin.get(path).headers["etag"]
        patch = {"Context": "new", "HttpHeaders": [{"X-New": "1"}], "DeliveryRetryPolicy": "SuspendRetries",
                 "VerifyCertificate": False}
        equal(admin.patch(path, patch, headers={"If-Match": tag}).status, 200, "status of PATCH")
        equal(admin.patch(path, {"Context": "late"}, headers={"If-Match": tag}).status, 412, "with the old ETag")
        answer = admin.patch(path, {"Destination": receiver.url("elsewhere")})
        equal(answer.status, 400, "status of a PATCH of Destination")
        expect("Destination" in answer.message, f"{answer.message} does not name it")
        body = admin.read(path)
        equal((body["Context"], body["DeliveryRetryPolicy"], body["VerifyCertificate"]),
              ("new", "SuspendRetries", False), "what was changed")
        rig.test("after the change")
        until(lambda: len(receiver.bodies("before")), 1, 10, "events", pause=0.05)
        headers, event = receiver.posts["before"][0]
        equal((headers.get("x-new"), event["Context"]), ("1", "new"), "header and Context")
        rig.remove(path)
    with checks.check("test-subscription"):
        path = rig.subscribe(receiver.url("tests"), MessageIds=["ResourceEvent.TestMessage"])
        rig.test("another message")
        answer = admin.request("POST", f"{EVENTS}/Actions/EventService.TestEventSubscription")
        equal(answer.status, 204, "status")
        until(lambda: [r["MessageId"].rsplit(".", 1)[-1] for r in receiver.records("tests")], ["TestMessage"], 10,
              "messages", pause=0.05)
        equal(rig.admin.request("POST", f"{EVENTS}/Actions/EventService.SubmitTestEvent", {}).status, 400,
              "status without MessageId")
        rig.remove(path)
