"""A throw-away copy of this machine: everything that is written in it is gone when it ends.

An overlay in memory on top of `/`, in mount and network namespaces of its own: packages can be installed, users made and
well-known ports used without the machine noticing. It is no container engine and no jail: it keeps tidy people tidy.
Needs root (or a kernel that lets users make such namespaces) and Linux's overlayfs.
"""

import os
import shutil
import subprocess
from pathlib import Path

from .checks import Failure

# Run by `sh` as the first process of the namespaces; says `ready`, then waits for the end of its standard input.
SETUP = r"""
set -eu
place=$1
ip link set lo up
mount -t tmpfs -o size=3g,mode=0755 throwaway "$place"
mkdir "$place/upper" "$place/work" "$place/root"
mount -t overlay throwaway -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" "$place/root"
for name in proc dev sys; do mount --rbind "/$name" "$place/root/$name"; done
mount -t tmpfs -o mode=1777 throwaway "$place/root/tmp"
mount -t tmpfs -o mode=0755 throwaway "$place/root/run"
for share in "$@"; do
    [ "$share" = "$place" ] && continue
    mkdir -p "$place/root$share"
    mount --bind "$share" "$place/root$share"
done
echo ready
cat >/dev/null
"""


class Throwaway:
    """`with Throwaway(place, share=[...]) as machine: machine.run("apt-get", "install", ...)`."""

    def __init__(self, place: Path, share: list[Path] = ()) -> None:
        self.place, self.root = place, place / "root"
        self._share = [str(folder) for folder in share]
        self._child: subprocess.Popen | None = None

    def __enter__(self) -> "Throwaway":
        self.place.mkdir(parents=True, exist_ok=True)
        users = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        command = ["unshare", *users, "--mount", "--net", "sh", "-c", SETUP, "sh", str(self.place), *self._share]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True, start_new_session=True)
        if self._child.stdout.readline().strip() != "ready":
            self._child.wait(10)
            raise Failure(f"no throw-away machine (needs root and overlayfs): {self._child.stderr.read()[-400:]}")
        return self

    def __exit__(self, *_: object) -> None:
        # The namespaces, with all that is mounted in them, end with their last process.
        self._child.stdin.close()
        self._child.wait(10)

    def command(self, *words: str, env: dict[str, str] | None = None) -> list[str]:
        """The command line that runs `words` in there."""
        users = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        given = [f"{name}={value}" for name, value in (env or {}).items()]
        return ["nsenter", "--target", str(self._child.pid), *users, "--mount", "--net", "chroot", str(self.root),
                "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
                "HOME=/root", *given, *words]

    def run(self, *words: str, env: dict[str, str] | None = None, status: int | None = 0, seconds: float = 300,
            stdin: str = "") -> str:
        """Runs to the end; fails unless it ends with `status` (`None`: any). Returns all that was printed."""
        done = subprocess.run(self.command(*words, env=env), input=stdin, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=seconds, check=False)
        for line in (f"$ {' '.join(words)}\n" + done.stdout).splitlines():
            print(f"   {line}", flush=True)
        if status is not None and done.returncode != status:
            raise Failure(f"`{' '.join(words)}` ended with {done.returncode}, expected {status}: {done.stdout[-400:]}")
        return done.stdout

    def outside(self, path: str) -> Path:
        """A path in there, as it can be opened from out here."""
        return Path(f"/proc/{self._child.pid}/root") / str(self.root).lstrip("/") / path.lstrip("/")

    def copy_in(self, source: Path, target: str, mode: int = 0o644) -> None:
        """Puts a file into it."""
        to = self.outside(target)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, to)
        to.chmod(mode)
