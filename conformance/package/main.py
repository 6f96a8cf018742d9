"""What operators get: the unit, the Debian package, the image. Installed and run on a throw-away copy of this machine."""

import os
import subprocess
import sys
from pathlib import Path

import deb
import image
import state
from lib.checks import Checks, expect
from lib.throwaway import Throwaway

ROOT, WORK = Path(os.environ["CONF_ROOT"]), Path(os.environ["CONF_WORK"])
UNIT = ROOT / "packaging/systemd/rackfish.service"
# systemd's own scale: 0 is no exposure, 10 all; a network service that needs its sockets can't go below about 1.
MOST_EXPOSURE = 2.0


def exposure() -> None:
    """`systemd-analyze security` on the file alone."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSURE * 10:.0f}",
               str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout, flush=True)
    expect(done.returncode == 0 and "exposure level" in done.stdout, f"{done.stdout[-200:]} {done.stderr[-200:]}")


def main() -> int:
    checks = Checks()
    checks.run("unit-exposure", exposure)
    package = deb.build(checks)
    if package:
        with Throwaway(WORK / "machine", share=[WORK]) as machine:
            deb.run(checks, machine, package)
    with Throwaway(WORK / "image", share=[WORK]) as machine:
        image.run(checks, machine)
    state.run(checks)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
