"""Devices that are dead, dying, slow, flapping, full, or have another password; relays that are stuck or late."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

from lib.checks import Checks, Failure, among, equal, expect, log, until
from rack import Bench
from rig import done, refused, system


def shown(bench: Bench, name: str) -> tuple[str | None, str]:
    """`PowerState` and `Status.State`."""
    body = bench.service.client().read(system(name))
    return body["PowerState"], body["Status"]["State"]


def comes_back(bench: Bench, name: str) -> None:
    """By itself: nobody has to ask."""
    bench.fault(name, "clear")
    healthy = lambda: bench.service.client().read(system(name))["Status"]["Health"]
    until(healthy, "OK", 40, f"Health of {name} after its return")
    bench.service.sees(name, "On")


def dead_from_the_start(bench: Bench, name: str) -> None:
    """Unknown is not off; a command fails and names the device; it is not hammered; it comes back by itself."""
    time.sleep(8)
    equal(shown(bench, name), (None, "UnavailableOffline"), "PowerState and State of a node that was never reached")
    refused(bench.reset(name, "On"), 503, name)
    packets = bench.stats(name)["packets_in"]
    # A try each second would be far more: its breaker is open most of the time.
    expect(packets <= 60, f"{packets} packets to a dead device within seconds")
    comes_back(bench, name)


def dies_and_returns(bench: Bench, name: str, vanish: str) -> None:
    """What was on stays so for a while; nothing is switched; after its return everything is as before."""
    bench.service.sees(name, "On")
    bench.fault(name, vanish)
    time.sleep(5)
    among(shown(bench, name)[0], ("On", None), "PowerState of a device that has died")
    refused(bench.reset(name, "ForceOff"), 503, name)
    equal(bench.moved(name)["off"], 0, "transitions while it was dead")
    comes_back(bench, name)
    done(bench.reset(name, "ForceOff"), "ForceOff after its return")
    equal(bench.moved(name)["off"], 1, "transitions in the end")


def slow(bench: Bench, name: str) -> None:
    """Each answer takes 3 s, and the time-out says so: it takes its time and works."""
    bench.service.sees(name, "On", 60)
    answer = bench.reset(name, "ForceOff")
    among(answer.status, (200, 202, 204), f"status of ForceOff ({answer})")
    bench.service.sees(name, "Off", 45)
    equal((bench.moved(name)["on"], bench.moved(name)["off"]), (0, 1), "transitions")


def flapping(bench: Bench, name: str, on: str, off: str) -> None:
    """A command meanwhile is done once, or fails and says so; it never moves anything twice."""
    bench.service.sees(name, "On")
    with ThreadPoolExecutor(1) as pool:
        answer = None
        for turn in range(8):
            bench.fault(name, on if turn % 2 == 0 else off)
            time.sleep(0.9)
            if turn == 2:
                answer = pool.submit(bench.reset, name, "ForceOff")
        bench.fault(name, "clear")
        answer = answer.result()
    log(f"{name} while it was flapping: {answer.status}")
    if answer.status not in (200, 204):
        refused(answer, 503, name)
    expect(bench.moved(name)["off"] <= 1, f"moved more than once: {bench.moved(name)}")
    done(bench.reset(name, "ForceOff"), "ForceOff after it came to rest")
    bench.service.sees(name, "Off")
    equal((bench.moved(name)["on"], bench.moved(name)["off"]), (0, 1), "transitions in the end")


def foreign(bench: Bench, name: str, strangers: str, alone: str) -> None:
    """Answers to others, which say the contrary, are taken for nothing, even when no others come."""
    bench.service.sees(name, "On")
    bench.fault(name, strangers)
    seen = set()
    for _ in range(40):
        seen.add(shown(bench, name)[0])
        time.sleep(0.1)
    expect(seen <= {"On"}, f"PowerState while foreign answers came: {seen}")
    done(bench.reset(name, "ForceOff"), "ForceOff among foreign answers")
    equal(bench.moved(name)["off"], 1, "transitions")
    bench.fault(name, alone)
    seen = set()
    for _ in range(40):
        seen.add(shown(bench, name)[0])
        time.sleep(0.1)
    expect("On" not in seen, f"PowerState while foreign answers alone came: {seen}")
    refused(bench.reset(name, "On"), 503, name)


def duplicates_and_reorders(bench: Bench, name: str) -> None:
    """Every answer comes twice, and some come after the next ones."""
    bench.service.sees(name, "On")
    for turn in range(4):
        bench.fault(name, "duplicate=on late_answers=1 late_by=1300ms")
        among(shown(bench, name)[0], ("On",) if turn < 2 else ("Off",), "PowerState")
        if turn == 1:
            done(bench.reset(name, "ForceOff"), "ForceOff among late answers")
        time.sleep(1.5)
    equal((bench.moved(name)["on"], bench.moved(name)["off"]), (0, 1), "transitions")


def duplicates(bench: Bench, name: str) -> None:
    """Every answer comes twice."""
    bench.service.sees(name, "On")
    bench.fault(name, "duplicate on")
    for kind, wanted in (("ForceOff", "Off"), ("On", "On")):
        done(bench.reset(name, kind), kind)
        equal(shown(bench, name)[0], wanted, f"PowerState after {kind}")
    equal((bench.moved(name)["on"], bench.moved(name)["off"]), (1, 1), "transitions")


def session_table_full(bench: Bench, name: str) -> None:
    """A client is told when to come again; once there is a place it works."""
    time.sleep(3)
    answer = refused(bench.reset(name, "ForceOff"), 503, name, "session")
    expect("retry-after" in answer.headers, "no Retry-After")
    bench.fault(name, "clear")
    bench.service.sees(name, "On", 40)
    done(bench.reset(name, "ForceOff"), "ForceOff once there is a place")
    equal(bench.moved(name)["off"], 1, "transitions")


def credentials_changed(bench: Bench, name: str) -> None:
    """Neither polls nor commands may lock the account; the new password, or somebody who asks, lets it go on."""
    bench.service.sees(name, "On")
    logins = bench.stats(name)["logins"]
    bench.say(name, "password another")
    until(lambda: bench.stats(name)["refused_logins"], lambda count: count >= 1, 30, "refused logins")
    for _ in range(3):
        refused(bench.reset(name, "ForceOff"), 503, name, "credentials")
        time.sleep(1)
    expect(bench.stats(name)["refused_logins"] <= 2, f"hammered: {bench.stats(name)['refused_logins']} logins")
    bench.secret.write_text("another\n")
    expect(bench.service.cli("reload").returncode == 0, "the reload failed")
    said = bench.service.cli("endpoint", "retry", name)
    expect(said.returncode == 0, f"endpoint retry: {said.stdout} {said.stderr}")
    done(bench.reset(name, "ForceOff"), "ForceOff with the new password")
    # And somebody who sets the device right instead of the configuration.
    bench.say(name, "password third")
    until(lambda: bench.service.cli("endpoint", "show", name).stdout.lower(), lambda text: "credentials" in text, 30,
          "remark of the endpoint")
    bench.say(name, "password another")
    time.sleep(4)
    refused(bench.reset(name, "On"), 503, name, "endpoint retry")
    expect(bench.service.cli("endpoint", "retry", name).returncode == 0, "endpoint retry failed")
    done(bench.reset(name, "On"), "On after endpoint retry")
    expect(bench.stats(name)["refused_logins"] <= 4, f"{bench.stats(name)['refused_logins']} refused logins in all")
    expect(bench.stats(name)["logins"] > logins, "no new login")


def relay_stuck(bench: Bench, name: str) -> None:
    """It took the command and did not move: said, with its name, and not sent again."""
    bench.service.sees(name, "On")
    bench.say(name, "outlet 1 stuck")
    answer = refused(bench.reset(name, "ForceOff"), 503, f"unit 1 of the device {name}", "shows on")
    expect("NotConfirmed" in str(answer), f"another error: {answer}")
    equal(bench.moved(name)["sets"], 1, "commands that it took")
    equal(shown(bench, name)[0], "On", "PowerState of a node whose relay is stuck")


def relay_late(bench: Bench, name: str) -> None:
    """12 s from the command to the relay: answered when it has moved, and not shown as off before."""
    bench.service.sees(name, "On")
    bench.say(name, "outlet 1 delay 12s")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(bench.reset, name, "ForceOff")
        while not answer.done():
            # In this order: what it shows is older than what was counted.
            state = shown(bench, name)[0]
            if bench.moved(name)["off"] == 0 and state in ("Off", "PoweringOff"):
                raise Failure(f"PowerState is {state} before the relay has moved")
            time.sleep(0.5)
    done(answer.result(), "ForceOff of a slow relay")
    moved = bench.moved(name)
    equal((moved["sets"], moved["off"]), (1, 1), "commands and transitions")
    equal(shown(bench, name)[0], "Off", "PowerState in the end")


def feed_two_of_three(bench: Bench, name: str) -> None:
    """The one that can't be reached is named, the others are cut, and half off is not off."""
    bench.service.sees(name, "On")
    bench.fault("feed2", "vanish on")
    refused(bench.reset(name, "ForceOff"), 503, "feed2")
    equal([bench.moved(feed)["off"] for feed in ("feed1", "feed2", "feed3")], [1, 0, 1], "feeds that were cut")
    expect(shown(bench, name)[0] != "Off", "half off is shown as off")
    bench.fault("feed2", "clear")
    until(lambda: bench.reset(name, "ForceOff").status, lambda status: status in (200, 204), 40, "ForceOff again", 1)
    equal([bench.moved(feed)["off"] for feed in ("feed1", "feed2", "feed3")], [1, 1, 1], "feeds that were cut")
    bench.service.sees(name, "Off")


CASES: dict[str, Callable[[Bench], None]] = {
    "bmc-dead-from-start": lambda b: dead_from_the_start(b, "dead"),
    "bmc-dies-and-returns": lambda b: dies_and_returns(b, "dying", "vanish=on"),
    "bmc-slow": lambda b: slow(b, "slow"),
    "bmc-flapping": lambda b: flapping(b, "flapping", "vanish=on", "vanish=off"),
    "bmc-foreign-answers": lambda b: foreign(b, "foreign", "foreign=on", "lose_answers=1000000"),
    "bmc-duplicates-and-reorders": lambda b: duplicates_and_reorders(b, "late"),
    "bmc-session-table-full": lambda b: session_table_full(b, "full"),
    "bmc-credentials-changed": lambda b: credentials_changed(b, "creds"),
    "pdu-dead-from-start": lambda b: dead_from_the_start(b, "pdead"),
    "pdu-dies-and-returns": lambda b: dies_and_returns(b, "pdying", "vanish on"),
    "pdu-slow": lambda b: slow(b, "pslow"),
    "pdu-flapping": lambda b: flapping(b, "pflapping", "vanish on", "vanish off"),
    "pdu-foreign-answers": lambda b: foreign(b, "pforeign", "foreign-id on", "lose-answers 1"),
    "pdu-duplicates": lambda b: duplicates(b, "ptwice"),
    "relay-stuck": lambda b: relay_stuck(b, "stuck"),
    "relay-late": lambda b: relay_late(b, "sluggish"),
    "feed-two-of-three": lambda b: feed_two_of_three(b, "three"),
}


def run(checks: Checks) -> None:
    """All at the same time, on one service."""
    bench = Bench()
    try:
        bench.start()
        with bench.beside() as beside, ThreadPoolExecutor(len(CASES)) as pool:
            for name, case in CASES.items():
                pool.submit(checks.run, f"devices.{name}", lambda case=case: case(bench))
        checks.run("devices.others-read", beside.reads)
        checks.run("devices.others-switched", beside.switches)
    finally:
        bench.end()
