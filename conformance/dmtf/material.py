"""What the validators compare with, from the package registries: DMTF's CSDL files, and Ironic's interop profile.

The schemas come with the crate `nv-redfish-schema` (they are never compiled: cargo only fetches and unpacks it), the
profile with Ironic's source package. Both stay where cargo and `target/conformance` have them: a second run asks nobody.
Of the schemas those are used that `redfish-schemas/take.sh` takes, so that what it promises is true.
"""

import fcntl
import json
import subprocess
import sys
import tarfile
from pathlib import Path

from lib.checks import Failure, log

CRATE, CRATE_VERSION = "nv-redfish-schema", "0.22.1"
IRONIC = "39.0.0"
PROFILE = "OpenStackIronicProfile.v1_2_0.json"
# Where the crate has what DMTF publishes as DSP8010.
BUNDLE = "redfish-csdl"

MANIFEST = f"""[package]
name = "schemas"
version = "0.0.0"
edition = "2021"
publish = false

[workspace]

[dependencies]
{CRATE} = "={CRATE_VERSION}"
"""


def _run(command: list[str], where: Path) -> str:
    done = subprocess.run(command, cwd=where, text=True, capture_output=True, timeout=240, check=False)
    if done.returncode:
        raise Failure(f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr[-400:]}")
    return done.stdout


def bundle(home: Path) -> Path:
    """The unpacked bundle: it has a folder `csdl`."""
    home.mkdir(parents=True, exist_ok=True)
    pin = home / "crate"
    with (home / "crate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two suites want it
        (pin / "src").mkdir(parents=True, exist_ok=True)
        (pin / "src/lib.rs").touch()
        (pin / "Cargo.toml").write_text(MANIFEST)
        known = json.loads(_run(["cargo", "metadata", "--format-version", "1"], pin))
    unpacked = next(Path(p["manifest_path"]).parent for p in known["packages"] if p["name"] == CRATE)
    if not (unpacked / BUNDLE / "csdl").is_dir():
        raise Failure(f"the crate {CRATE} {CRATE_VERSION} has no folder {BUNDLE}/csdl")
    return unpacked / BUNDLE


def schemas(home: Path, root: Path, out: Path) -> Path:
    """A flat folder with those of DMTF's CSDL files that the tree at `root` needs, and ours."""
    said = _run(["sh", str(root / "redfish-schemas/take.sh"), str(bundle(home)), str(out)], root)
    log(f"{len(list(out.iterdir()))} schemas taken {said}")
    return out


def profile(home: Path) -> Path:
    """Ironic's interop profile."""
    file = home / f"ironic-{IRONIC}" / PROFILE
    if not file.exists():
        log(f"fetching the source package of Ironic {IRONIC}")
        _run([sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps",
              "--no-binary", "ironic", "--dest", str(home), f"ironic=={IRONIC}"], home)
        packed = home / f"ironic-{IRONIC}.tar.gz"
        with tarfile.open(packed) as archive:
            member = archive.extractfile(f"ironic-{IRONIC}/redfish-interop-profiles/{PROFILE}")
            text = member.read() if member else b""
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(text)
        packed.unlink()
    return file
