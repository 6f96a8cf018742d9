"""Event streams, read with httpx."""

import json
import ssl
import threading
import time

import httpx
from httpx_sse import connect_sse

from lib.checks import Checks, equal, expect, until
from lib.redfish import Client
from rig import PASSWORD, STREAM, SUBSCRIPTIONS, Rig

SESSIONS = "/redfish/v1/SessionService/Sessions"


class Listener:
    """A client that listens until it is closed or the stream ends."""

    def __init__(self, client: Client, query: str = "", last: str | None = None, token: str | None = None) -> None:
        self.events: list[tuple[str, dict]] = []
        self.ended, self.ready = threading.Event(), threading.Event()
        self.status = 0
        context = ssl.create_default_context(cafile=client.ca)
        headers = {"X-Auth-Token": token} if token else client.auth()
        if last is not None:
            headers["Last-Event-ID"] = last
        self._http = httpx.Client(verify=context, timeout=httpx.Timeout(10, read=40), headers=headers, trust_env=False)
        self._thread = threading.Thread(target=self._listen, args=(client.url + STREAM + query,), daemon=True)
        self._source = None
        self._thread.start()
        self.ready.wait(10)

    def _listen(self, url: str) -> None:
        try:
            with connect_sse(self._http, "GET", url) as source:
                self.status, self._source = source.response.status_code, source.response
                self.ready.set()
                if self.status == 200:
                    for event in source.iter_sse():
                        self.events.append((event.id, json.loads(event.data)))
        except httpx.HTTPError:
            pass
        finally:
            self.ended.set()
            self.ready.set()

    def texts(self) -> list[str]:
        """What was said."""
        return [record["Message"] for _, body in list(self.events) for record in body["Events"]]

    def close(self) -> None:
        """Hangs up."""
        if self._source:
            stream = self._source.extensions.get("network_stream")
            if stream:
                # httpx has no way to end a read of another thread but the socket itself.
                stream.get_extra_info("socket").shutdown(2)
        self.ended.wait(5)
        self._http.close()


def run(checks: Checks, rig: Rig) -> None:
    """All but the end of the service."""
    admin = rig.admin
    with checks.check("sse.events"):
        listener = Listener(admin)
        equal(listener.status, 200, "status")
        rig.test("streamed")
        until(lambda: "streamed" in listener.texts(), True, 10, "events", pause=0.05)
        ident, body = listener.events[-1]
        equal((body["Id"], body["Events"][0]["EventId"]), (ident, ident), "ids")
        expect(isinstance(body["Context"], str) and body["Context"], "Context")
        listener.close()
    with checks.check("sse.last-event-id"):
        for number in range(30):
            rig.test(f"missed {number}")
        back = Listener(admin, last=ident)
        until(lambda: [t for t in back.texts() if t.startswith("missed")], [f"missed {n}" for n in range(30)], 10,
              "what was missed", pause=0.05)
        expect("streamed" not in back.texts(), "what it had is told again")
        rig.kill()
        back.ended.wait(10)
        rig.start()
        rig.test("after a kill")
        again = Listener(admin, last=back.events[-1][0])
        until(lambda: "after a kill" in again.texts(), True, 10, "events after a kill", pause=0.05)
        again.close()
        odd = Listener(admin, last="999999999999")
        rig.test("for who is odd")
        until(lambda: "for who is odd" in odd.texts(), True, 10, "events", pause=0.05)
        equal(odd.events[0][1]["Events"][0]["MessageId"].rsplit(".", 1)[-1], "EventBufferExceeded", "first message")
        odd.close()
    with checks.check("sse.filter"):
        some = Listener(admin, query="?$filter=(EventType%20eq%20'Alert')%20and%20(RegistryPrefix%20eq%20'Rackfish')")
        rig.test("no alert", EventType="Other")
        rig.test("an alert", EventType="Alert")
        until(lambda: some.texts(), ["an alert"], 10, "events", pause=0.05)
        some.close()
        equal(admin.get(f"{STREAM}?$filter=Foo%20eq%201", headers={"Accept": "text/event-stream"}).status, 400,
              "status of a filter that makes no sense")
    with checks.check("sse.destination"):
        until(lambda: admin.members(SUBSCRIPTIONS), [], 20, "subscriptions after all clients hung up", pause=0.2)
        listener = Listener(admin)
        found = [admin.read(path) for path in admin.members(SUBSCRIPTIONS)]
        streams = [body for body in found if body["SubscriptionType"] == "SSE"]
        equal(len(streams), 1, "streams among the subscriptions")
        expect(streams[0]["Destination"].startswith("redfish-sse://127.0.0.1:"), streams[0]["Destination"])
        rig.remove(streams[0]["@odata.id"])
        expect(listener.ended.wait(5), "the stream goes on after its resource was removed")
        listener = Listener(admin)
        listener.close()
        until(lambda: admin.members(SUBSCRIPTIONS), [], 10, "subscriptions after the client hung up", pause=0.2)
    with checks.check("sse.rights"):
        equal(admin.get(STREAM, headers={"Accept": "application/json"}).status, 406, "status for JSON")
        equal(Client(admin.url, ca=admin.ca).get(STREAM).status, 401, "status without a login")
        login = admin.request("POST", SESSIONS, {"UserName": "tenant", "Password": PASSWORD})
        token = login.headers["x-auth-token"]
        tenant = Listener(admin, token=token)
        everybody = Listener(admin)
        rig.test("not for tenants", OriginOfCondition="/redfish/v1/Systems/n1")
        rig.test("for tenants", OriginOfCondition="/redfish/v1/Systems/n2")
        until(lambda: "for tenants" in tenant.texts() and "for tenants" in everybody.texts(), True, 10, "events", pause=0.05)
        equal(tenant.texts(), ["for tenants"], "what the tenant hears")
        expect("not for tenants" in everybody.texts(), "the administrator hears less")
        equal(admin.request("DELETE", login.headers["location"]).status, 204, "status of the logout")
        expect(tenant.ended.wait(6), "the stream goes on after the logout")
        everybody.close()
    with checks.check("sse.heartbeat"):
        begun = time.monotonic()
        silent = Listener(admin, query="?$filter=EventType%20eq%20'MetricReport'")
        # httpx-sse leaves comments out; what keeps the connection are its bytes.
        expect(not silent.ended.wait(18.5), f"a silent stream ends after {time.monotonic() - begun:.0f} s")
        expect(silent._source.num_bytes_downloaded > 20, "nothing is sent on a silent stream")
        silent.close()


def the_end(checks: Checks, rig: Rig) -> None:
    """Of the service."""
    with checks.check("sse.sigterm"):
        listener = Listener(rig.admin)
        begun = time.monotonic()
        equal(rig.stop(), 0, "exit status")
        took = time.monotonic() - begun
        expect(listener.ended.is_set() or listener.ended.wait(1), "the stream goes on")
        expect(took < 10, f"the end took {took:.0f} s with a stream open")
