"""A user's shell for README blocks: a home of its own, a copy of the checkout, and terminals that are closed again."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from lib import procs
from lib.checks import Failure

ROOT = Path(os.environ["CONF_ROOT"])
WORK = Path(os.environ["CONF_WORK"])


def copy_checkout() -> Path:
    """What a clone would hold, changes that are not committed yet included."""
    place = WORK / "clone"
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    if listed.returncode != 0:  # no git, or no repository: an unpacked archive
        shutil.copytree(ROOT, place, ignore=shutil.ignore_patterns("target", ".git"), symlinks=True)
        return place
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, place / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return place


class Shell:
    """Runs blocks in one folder with one environment."""

    def __init__(self, **more: str) -> None:
        self.place = copy_checkout()
        home = WORK / "home"
        home.mkdir()
        target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        real_home = Path(os.environ.get("HOME", "/root"))
        self.env = {
            **os.environ, "HOME": str(home),
            # What was compiled for the other suites need not be compiled again; what is installed stays here.
            "CARGO_TARGET_DIR": str(ROOT / target), "CARGO_INSTALL_ROOT": str(home / ".cargo"),
            "CARGO_HOME": os.environ.get("CARGO_HOME", str(real_home / ".cargo")),
            "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(real_home / ".rustup")),
            "PATH": f"{home}/.cargo/bin:{os.environ['CONF_VENV']}/bin:{os.environ['PATH']}",
            **more,
        }
        # Given for the suites, they would be taken for the user's own.
        for name in ("RACKFISH_BIN", "PYTHONPATH"):
            self.env.pop(name, None)

    def run(self, text: str, seconds: float) -> str:
        """Runs a block to its end; every line of it has to succeed. Returns what it printed."""
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=self.place, env=self.env, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=seconds, check=False)
        for line in (f"$ {text}" + done.stdout).splitlines():
            print(f"   {line}", flush=True)
        if done.returncode != 0:
            raise Failure(f"it ended with {done.returncode}: {done.stdout[-400:]}")
        return done.stdout

    def terminal(self, text: str, name: str) -> "Terminal":
        """Another terminal, in which a block goes on running."""
        return Terminal(self, text, name)


class Terminal:
    """`with shell.terminal(text, name) as terminal:`"""

    def __init__(self, shell: Shell, text: str, name: str) -> None:
        self._log = Path(os.environ["CONF_LOGS"]) / f"{name}.log"
        with self._log.open("w") as log:
            # The shell becomes what the block runs, so that Ctrl-C reaches it.
            self._child = subprocess.Popen(["bash", "-euc", text], cwd=shell.place, env=shell.env,
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                           start_new_session=True)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        procs.end(self._child)

    def shows(self, text: str, seconds: float) -> str:
        """Waits until a text is printed. Returns all that was."""
        deadline = time.monotonic() + seconds
        while True:
            printed = self._log.read_text(errors="replace")
            if text in printed:
                return printed
            if self._child.poll() is not None:
                raise Failure(f"it ended with {self._child.returncode}: {printed[-400:]}")
            if time.monotonic() > deadline:
                raise Failure(f"{text!r} was not printed within {seconds:.0f} s: {printed[-400:]}")
            time.sleep(0.2)

    def interrupt(self, seconds: float = 20) -> int:
        """Ctrl-C. Returns the exit status."""
        os.killpg(self._child.pid, 2)
        return self._child.wait(seconds)
