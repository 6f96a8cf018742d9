"""What a suite says: one `ok NAME` or `not ok NAME: reason` line per check, and small words to find out which."""

import sys
import threading
import time
import traceback
from contextlib import contextmanager
from typing import Any, Callable, Iterator

_print_lock = threading.Lock()


class Failure(Exception):
    """A check did not hold; the text says what was seen and what was expected."""


def _print(text: str) -> None:
    with _print_lock:
        print(text, flush=True)


def log(text: str) -> None:
    """A line for the suite's log that is no result."""
    _print(f"   {time.strftime('%H:%M:%S')} {text}")


class Checks:
    """Collects a suite's results."""

    def __init__(self) -> None:
        self.failed = 0

    def ok(self, name: str) -> None:
        """It holds."""
        _print(f"ok {name}")

    def bad(self, name: str, reason: object) -> None:
        """It does not."""
        self.failed += 1
        _print(f"not ok {name}: {' '.join(str(reason).split())[:600] or 'no reason given'}")

    @contextmanager
    def check(self, name: str) -> Iterator[None]:
        """The block is the check: it holds if the block ends without an exception."""
        log(f"-- {name}")
        try:
            yield
        except Failure as why:
            self.bad(name, why)
        except Exception as why:  # a client that breaks is a failed check, not a failed suite
            with _print_lock:
                traceback.print_exc(file=sys.stdout)
            self.bad(name, f"{type(why).__name__}: {why}")
        else:
            self.ok(name)

    def run(self, name: str, what: Callable[[], Any]) -> None:
        """`check` for a function."""
        with self.check(name):
            what()

    def status(self) -> int:
        """For `sys.exit`."""
        return 1 if self.failed else 0


def expect(holds: object, otherwise: str) -> None:
    """Fails with a text unless it holds."""
    if not holds:
        raise Failure(otherwise)


def equal(seen: object, wanted: object, what: str) -> None:
    """Fails unless both are equal."""
    if seen != wanted:
        raise Failure(f"{what} is {seen!r}, expected {wanted!r}")


def among(seen: object, wanted: Any, what: str) -> None:
    """Fails unless what was seen is one of several."""
    if seen not in wanted:
        raise Failure(f"{what} is {seen!r}, expected one of {sorted(map(repr, wanted))}")


def until(look: Callable[[], Any], wanted: Any, seconds: float, what: str, pause: float = 0.25) -> Any:
    """Looks again and again until it sees what is wanted: a value, or whatever a function takes for good."""
    good = wanted if callable(wanted) else lambda seen: seen == wanted
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if good(seen):
            return seen
        if time.monotonic() > deadline:
            expected = "" if callable(wanted) else f", expected {wanted!r}"
            raise Failure(f"{what} is still {seen!r} after {seconds:.0f} s{expected}")
        time.sleep(pause)
