"""Event subscriptions against receivers and clients that are not ours: Python's HTTP server over TLS, sushy, httpx."""

import crowd
import delivering
import filtering
import streaming
import subscribing
from lib.checks import Checks
from lib.service import WORK
from receiver import Authority, Receiver
from rig import PORT, Rig


def main() -> int:
    checks = Checks()
    known, unknown = Authority(WORK / "known", "known"), Authority(WORK / "unknown", "unknown")
    receiver = Receiver(PORT + 1, known.certificate())
    away = Receiver(PORT + 2, known.certificate())
    stranger = Receiver(PORT + 3, unknown.certificate())
    plain = Receiver(PORT + 4)
    with Rig(known.ca) as rig:
        subscribing.run(checks, rig, receiver)
        filtering.run(checks, rig, receiver)
        delivering.certificates(checks, rig, receiver, stranger)
        delivering.policies(checks, rig, receiver)
        delivering.slow(checks, rig, receiver)
        delivering.kills(checks, rig, receiver, away)
        streaming.run(checks, rig)
        crowd.run(checks, rig, plain)
        delivering.local(checks, rig, plain)
        streaming.the_end(checks, rig)
    for one in (receiver, away, stranger, plain):
        one.stop()
    return checks.status()


if __name__ == "__main__":
    raise SystemExit(main())
