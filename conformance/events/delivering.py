"""Delivery when things go wrong: certificates, refusals, dead and slow subscribers, kill -9."""

import threading
import time

from lib.checks import Checks, equal, expect, log, until
from receiver import Receiver
from rig import SUBSCRIPTIONS, Rig, system


def status(rig: Rig, path: str) -> dict:
    """`Status` of a subscription."""
    return rig.admin.read(path)["Status"]


def reason(rig: Rig, path: str) -> str:
    """Why events don't get through."""
    return " ".join(c["Message"] for c in status(rig, path).get("Conditions", []))


def certificates(checks: Checks, rig: Rig, receiver: Receiver, stranger: Receiver) -> None:
    """Who is trusted."""
    with checks.check("tls.trusted"):
        path = rig.subscribe(receiver.url("tls"))
        rig.test("hello")
        until(lambda: receiver.texts("tls"), ["hello"], 10, "events", pause=0.05)
        rig.remove(path)
    with checks.check("tls.untrusted"):
        path = rig.subscribe(stranger.url("tls"))
        rig.test("not for everybody")
        until(lambda: "certificate" in reason(rig, path).lower(), True, 10, "the reason", pause=0.1)
        equal(status(rig, path)["Health"], "Warning", "Health")
        equal(stranger.bodies("tls"), [], "what an unknown receiver has got")
        rig.admin.patch(path, {"VerifyCertificate": False})
        until(lambda: stranger.texts("tls"), ["not for everybody"], 10, "events once it is not checked", pause=0.05)
        until(lambda: status(rig, path)["Health"], "OK", 5, "Health", pause=0.1)
        rig.remove(path)


def policies(checks: Checks, rig: Rig, receiver: Receiver) -> None:
    """What becomes of a subscription whose destination refuses."""
    resume = lambda path, **body: rig.admin.request(
        "POST", f"{path}/Actions/EventDestination.ResumeSubscription", body)
    with checks.check("suspended-and-resumed"):
        receiver.answers["sick"] = 503
        path = rig.subscribe(receiver.url("sick"), DeliveryRetryPolicy="SuspendRetries")
        rig.test("one")
        until(lambda: status(rig, path)["State"], "Disabled", 15, "State", pause=0.1)
        expect("503" in reason(rig, path) and "2 retries" in reason(rig, path), reason(rig, path))
        equal(len(receiver.posts["sick refused"]), 3, "attempts")
        receiver.answers["sick"] = 200
        rig.test("two")
        time.sleep(0.3)
        equal(receiver.texts("sick"), [], "events while it is suspended")
        equal(resume(path).status, 204, "status of ResumeSubscription")
        until(lambda: receiver.texts("sick"), ["one", "two"], 10, "events after it", pause=0.05)
        equal(status(rig, path), {"State": "Enabled", "Health": "OK"}, "Status")
        rig.remove(path)
    with checks.check("suspended-by-hand"):
        path = rig.subscribe(receiver.url("hand"))
        equal(rig.admin.request("POST", f"{path}/Actions/EventDestination.SuspendSubscription").status, 204, "status")
        expect("admin" in reason(rig, path), f"{reason(rig, path)} does not say who")
        rig.test("kept")
        equal(resume(path, DeliverBufferedEventDuration="soon").status, 400, "status of a bad duration")
        equal(resume(path, DeliverBufferedEventDuration="PT0S").status, 204, "status")
        rig.test("new")
        until(lambda: receiver.texts("hand"), ["new"], 10, "events", pause=0.05)
        rig.remove(path)
    with checks.check("terminated"):
        receiver.answers["gone"] = 404
        path = rig.subscribe(receiver.url("gone"), DeliveryRetryPolicy="TerminateAfterRetries")
        rig.test("nobody wants it")
        until(lambda: rig.admin.get(path).status, 404, 15, "status of the subscription", pause=0.1)


def kills(checks: Checks, rig: Rig, receiver: Receiver, away: Receiver) -> None:
    """A receiver that is away, and a service that is killed meanwhile."""
    with checks.check("kill.nothing-lost"):
        there, gone = rig.subscribe(receiver.url("there")), rig.subscribe(away.url("away"), Context="kept")
        rig.test("before")
        until(lambda: away.texts("away"), ["before"], 10, "events", pause=0.05)
        away.stop()
        for number in range(20):
            rig.test(f"down {number}")
        rig.switch("n1", "ForceOff" if rig.admin.power(system("n1")) == "On" else "On")
        rig.kill()
        rig.start()
        for number in range(20):
            rig.test(f"up {number}")
        rig.kill()
        rig.start()
        rig.test("last")
        until(lambda: "last" in receiver.texts("there"), True, 20, "the last event at the one that was there", pause=0.1)
        away.start()
        until(lambda: "last" in away.texts("away"), True, 20, "the last event at the one that was away", pause=0.1)
        tests = ["before", *(f"down {n}" for n in range(20)), *(f"up {n}" for n in range(20)), "last"]
        for name, at in (("there", receiver), ("away", away)):
            mine = [text for text in at.texts(name) if text in tests]
            equal(mine, tests, f"tests at {name}, in order")
            expect(any("power" in text for text in at.texts(name)), f"the switching is missing at {name}")
        same = {r["EventId"]: r["Message"] for r in receiver.records("there")}
        for record in away.records("away"):
            equal(record["Message"], same.get(record["EventId"]), f"event {record['EventId']} for both")
        equal({body["Context"] for body in away.bodies("away")}, {"kept"}, "Context")
    with checks.check("kill.at-any-moment"):
        acknowledged: list[str] = []
        for life in range(4):
            dead = threading.Event()

            def write(life: int = life, dead: threading.Event = dead) -> None:
                for number in range(1000):
                    if dead.is_set():
                        return
                    text = f"life {life} event {number}"
                    try:
                        rig.test(text)
                    except Exception:  # the service is gone: whether it was kept is open
                        return
                    acknowledged.append(text)

            writer = threading.Thread(target=write)
            writer.start()
            time.sleep(0.15 + 0.17 * life)
            rig.kill()
            dead.set()
            writer.join(30)
            rig.start()
        rig.test("the end of lives")
        until(lambda: "the end of lives" in receiver.texts("there"), True, 20, "the end", pause=0.1)
        texts = receiver.texts("there")
        mine = [text for text in texts if text in set(acknowledged)]
        equal(mine, acknowledged, "acknowledged events, in order")
        expect(len(acknowledged) > 20, f"only {len(acknowledged)} events")
        ids = receiver.ids("there")
        equal(ids, sorted(set(ids)), "ids")
        log(f"{len(acknowledged)} events acknowledged in four lives")
    with checks.check("restart.no-repeats"):
        time.sleep(0.2)
        before = len(receiver.bodies("there"))
        equal(rig.stop(), 0, "exit status")
        rig.start()
        rig.test("after a restart")
        until(lambda: "after a restart" in receiver.texts("there"), True, 20, "the event", pause=0.1)
        again = [r["EventId"] for body in receiver.bodies("there")[before:] for r in body["Events"]]
        expect(not set(again) & {r["EventId"] for b in receiver.bodies("there")[:before] for r in b["Events"]},
               f"sent again after an orderly end: {again}")
        rig.remove(there, gone)


def slow(checks: Checks, rig: Rig, receiver: Receiver) -> None:
    """One subscriber takes two seconds for each POST, one hangs, one is quick."""
    with checks.check("slow-beside-quick"):
        receiver.delays.update({"slow": 2.0, "hangs": 30.0})
        paths = [rig.subscribe(receiver.url(name)) for name in ("slow", "hangs", "quick")]
        worst, begun = 0.0, time.monotonic()
        for number in range(60):
            sent = time.monotonic()
            rig.test(f"slow {number}")
            until(lambda number=number: f"slow {number}" in receiver.texts("quick"), True, 5, f"event {number}",
                  pause=0.005)
            worst = max(worst, time.monotonic() - sent)
        took = time.monotonic() - begun
        behind = len(receiver.records("slow"))
        switched = time.monotonic()
        rig.switch("n4", "ForceOff" if rig.admin.power(system("n4")) == "On" else "On")
        switched = time.monotonic() - switched
        log(f"60 events in {took:.1f} s, the longest {worst * 1000:.0f} ms; a command in {switched:.1f} s; "
            f"the slow one has {behind}")
        expect(behind < 60, "the slow one is not slow")
        expect(receiver.bodies("hangs") == [], "the one that hangs does not")
        until(lambda: "slow 59" in receiver.texts("slow"), True, 20, "the last event at the slow one", pause=0.1)
        equal([t for t in receiver.texts("slow") if t.startswith("slow ")], [f"slow {n}" for n in range(60)],
              "events at the slow one")
        expect(max(len(body["Events"]) for body in receiver.bodies("slow")) > 1, "a late subscriber catches up at once")
        rig.remove(*paths)


def local(checks: Checks, rig: Rig, receiver: Receiver) -> None:
    """Requests to services of this machine, once they are not allowed."""
    with checks.check("ssrf"):
        old = rig.subscribe(receiver.url("ssrf"))
        rig.stop()
        rig.local = False
        rig.start()
        for host in ("127.0.0.1", "localhost", "[::1]", "169.254.169.254", "0.0.0.0", "[fe80::1]", "2130706433",
                     "[::ffff:127.0.0.1]", "127.1"):
            answer = rig.ask(f"http://{host}:{receiver.port}/x")
            equal(answer.status, 400, f"status for {host}")
            expect("insecure_local_event_destinations" in answer.message, f"{answer.message} does not say the way out")
        rig.test("not here")
        until(lambda: "this machine" in reason(rig, old), True, 10, "the reason at the old subscription", pause=0.1)
        equal(receiver.bodies("ssrf"), [], "what a destination of this machine has got")
        rig.stop()
        rig.local = True
        rig.start()
        until(lambda: "not here" in receiver.texts("ssrf"), True, 20, "events once it is allowed again", pause=0.1)
        rig.remove(old)
        equal(rig.admin.members(SUBSCRIPTIONS), [], "subscriptions left")
