"""Installs what a suite needs and the machine lacks: apt packages, one Python environment per set of requirements."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

_updated = False


class CannotInstall(Exception):
    """Something is missing and could not be had; the message says what and how to get it."""


def have(command: str) -> bool:
    """Whether a command is there; daemons live where an ordinary PATH does not look."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
    return shutil.which(command, path=path) is not None


def apt(packages: dict[str, str], log: Path) -> None:
    """Installs the packages whose command is absent. `packages`: command -> Debian package, or several with spaces."""
    missing = sorted({name for command, some in packages.items() if not have(command) for name in some.split()})
    if missing:
        apt_install(missing, log)
    absent = [command for command in packages if not have(command)]
    if absent:
        raise CannotInstall(f"{', '.join(absent)} still missing after installing {', '.join(missing)} (see {log})")


def apt_install(packages: list[str], log: Path) -> None:
    """Installs Debian packages, with `sudo -n` for those who are not root."""
    global _updated
    if not have("apt-get"):
        raise CannotInstall(f"install {', '.join(packages)} (this machine has no apt-get)")
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if root and not have("sudo"):
        raise CannotInstall(f"as root: apt-get install {' '.join(packages)}")
    # As if in single-user mode: daemons that come with a package are not started (invoke-rc.d).
    env = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
    steps = [] if _updated else [[*root, "apt-get", "update", "-qq"]]
    steps.append([*root, *env, "apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages])
    for step in steps:
        _run(step, log, f"could not install {' '.join(packages)}")
    _updated = True


def openssl_headers(log: Path) -> None:
    """The program links the system's OpenSSL."""
    found = have("pkg-config") and subprocess.run(["pkg-config", "--exists", "openssl"], check=False).returncode == 0
    missing = [] if found else ["pkg-config", "libssl-dev"]
    if not have("cc"):
        missing.append("build-essential")
    if missing:
        apt_install(missing, log)


def venv(home: Path, requirements: Path, log: Path) -> Path:
    """The environment for a requirements file; made once for each content, below `home`."""
    text = requirements.read_text()
    key = hashlib.sha256(f"{sys.version_info[:2]}\n{text}".encode()).hexdigest()[:12]
    place = home / f"venv-{key}"
    if (place / "complete").exists():
        return place
    shutil.rmtree(place, ignore_errors=True)
    home.mkdir(parents=True, exist_ok=True)
    try:
        import ensurepip  # noqa: F401  Debian keeps it apart
    except ImportError:
        apt_install([f"python3.{sys.version_info.minor}-venv"], log)
    _run([sys.executable, "-m", "venv", str(place)], log, f"no Python environment in {place}")
    pip = [str(place / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--retries", "5"]
    _run([*pip, "install", "--quiet", "-r", str(requirements)], log, f"could not install {requirements}")
    (place / "complete").write_text(text)
    return place


def _run(command: list[str], log: Path, failure: str) -> None:
    with log.open("a") as out:
        out.write(f"$ {' '.join(command)}\n")
        out.flush()
        status = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
    if status.returncode != 0:
        raise CannotInstall(f"{failure}: `{' '.join(command)}` ended with {status.returncode} (see {log})")
