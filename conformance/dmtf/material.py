"""What the validators compare with, from the package registries: DMTF's CSDL files, and Ironic's interop profile.

The schemas come with the crate `nv-redfish-schema` (they are never compiled: cargo only fetches and unpacks it), the
profile with Ironic's source package. Both stay below `target/conformance`, so a second run asks nobody.
"""

import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from lib.checks import Failure, log

CRATE, CRATE_VERSION = "nv-redfish-schema", "0.22.1"
IRONIC = "39.0.0"
PROFILE = "OpenStackIronicProfile.v1_2_0.json"
# Any file that every release has: without it the folder is not what it should be.
WITNESS = "ServiceRoot_v1.xml"
OEM = Path("redfish-schemas/oem")

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


def schemas(home: Path, root: Path) -> Path:
    """A flat folder with DMTF's CSDL files and ours."""
    flat = home / f"csdl-{CRATE_VERSION}"
    if not (flat / WITNESS).exists():
        log(f"fetching the crate {CRATE} {CRATE_VERSION}")
        pin = home / "crate"
        (pin / "src").mkdir(parents=True, exist_ok=True)
        (pin / "src/lib.rs").touch()
        (pin / "Cargo.toml").write_text(MANIFEST)
        known = json.loads(_run(["cargo", "metadata", "--format-version", "1"], pin))
        unpacked = next(Path(p["manifest_path"]).parent for p in known["packages"] if p["name"] == CRATE)
        # Vendors have folders of their own, with a few files each.
        source = max((found.parent for found in unpacked.rglob(WITNESS)), key=lambda at: len(list(at.iterdir())))
        part = home / "csdl-part"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(source, part)
        part.rename(flat)
    for ours in (root / OEM).glob("*.xml"):
        shutil.copy(ours, flat)
    return flat


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
