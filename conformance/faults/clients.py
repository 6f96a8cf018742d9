"""Clients that forget their sessions, and guessers: those who know their password get in all the same."""

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from lib.checks import Checks, equal, expect, log, until
from lib.redfish import Client
from lib.toml import node, table
from rig import Meter, Service, done, pdu, system
from writers import ACCOUNTS

SESSIONS = "/redfish/v1/SessionService/Sessions"
LEAKED, LIMIT = 5_000, 2_000


def service(name: str, **auth: object) -> Service:
    """A service with a node, and nobody at its outlet."""
    it = Service(name)
    it.configure(pdu("pdu", 9), node("n1", feeds=["pdu/1"]), server={"watch": False}, more=table("auth", **auth))
    return it.start()


class Ironic:
    """Logs in once and reads; logs in anew when it is told to, as sushy does. Never gives a session back."""

    def __init__(self, it: Service) -> None:
        self.client, self.login = it.client(), it.client()
        self.logins, self.bad, self._end = 0, [], threading.Event()
        self._thread = threading.Thread(target=self._work)

    def log_in(self) -> None:
        """A session."""
        body = {"UserName": "admin", "Password": self.login.password}
        answer = self.login.request("POST", SESSIONS, body)
        self.logins += 1
        if answer.status != 201:
            self.bad.append(f"login: {answer}")
            return
        self.client.token = answer.headers["x-auth-token"]

    def _work(self) -> None:
        self.log_in()
        while not self._end.wait(0.1):
            answer = self.client.get(system("n1"))
            if answer.status != 200:
                self.bad.append(str(answer))
                self.log_in()

    def __enter__(self) -> "Ironic":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def leak(client: Client, many: int) -> list[str]:
    """Logs in again and again on one connection; what was wrong with the answers."""
    link, wrong = client.connection(), []
    body = json.dumps({"UserName": client.user, "Password": client.password})
    for _ in range(many):
        link.request("POST", SESSIONS, body, {"Content-Type": "application/json"})
        answer = link.getresponse()
        answer.read()
        if answer.status != 201:
            wrong.append(f"{answer.status}")
    link.close()
    return wrong


def leaked(it: Service) -> None:
    """5,000 sessions that nobody ends, more than are kept: nobody is refused, those in use stay."""
    with Ironic(it) as ironic, ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(leak, it.client(), LEAKED // 4) for _ in range(4)]
        wrong = [answer for job in jobs for answer in job.result()]
    expect(not wrong, f"{len(wrong)} logins of {LEAKED} were refused: {wrong[:3]}")
    expect(not ironic.bad, f"Ironic was refused: {ironic.bad[:2]}")
    equal(ironic.logins, 1, "logins of a client that uses its session")
    count = it.client().read(SESSIONS)["Members@odata.count"]
    equal(count, LIMIT, "sessions kept")
    fresh = it.client().request("POST", SESSIONS, {"UserName": "admin", "Password": it.client().password})
    equal(fresh.status, 201, f"status of a new login ({fresh})")


def leaked_restart(it: Service) -> None:
    """They don't make the next start fail, nor let more in than are kept."""
    equal(it.stop(), 0, "exit status")
    it.start()
    count = it.client().read(SESSIONS)["Members@odata.count"]
    expect(0 < count <= LIMIT, f"{count} sessions after the restart")


class Guessers:
    """Many clients with wrong passwords, from many addresses, as long as the block runs."""

    def __init__(self, it: Service, addresses: list[str], threads: int) -> None:
        self._it, self._addresses, self._end = it, addresses, threading.Event()
        self._threads = [threading.Thread(target=self._guess, args=(n,)) for n in range(threads)]
        self.answers: dict[int, int] = {}
        self._lock = threading.Lock()

    def _guess(self, number: int) -> None:
        client, turn = self._it.client(), number
        while not self._end.is_set():
            turn += 1
            status = ask_from(self._addresses[turn % len(self._addresses)], client, "admin", f"guess {number} {turn}")
            with self._lock:
                self.answers[status] = self.answers.get(status, 0) + 1

    def __enter__(self) -> "Guessers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()


def ask_from(source: str, client: Client, user: str, password: str) -> int:
    """Status of a login from that address; 0: no answer."""
    link = http.client.HTTPSConnection(client.host, client.port, timeout=60, source_address=(source, 0),
                                       context=client._context)
    try:
        body = json.dumps({"UserName": user, "Password": password})
        link.request("POST", SESSIONS, body, {"Content-Type": "application/json", "Connection": "close"})
        return link.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        link.close()


def guessing(it: Service, addresses: list[str], at: list[str]) -> None:
    """Right passwords get through, from addresses that guess and from others; each for the first time, so that nothing
    is remembered of them. Nobody is let in by guessing, and nobody is locked out."""
    names = [f"user{n}-{len(addresses)}" for n in range(len(at) * 3)]
    for name in names:
        body = {"UserName": name, "Password": f"the password of {name}", "RoleId": "ReadOnly"}
        done(it.client().request("POST", ACCOUNTS, body), "POST of an account")
    with Guessers(it, addresses, 24) as guessers, Meter(it.client(), [system("n1")]) as meter:
        until(lambda: sum(guessers.answers.values()), lambda count: count >= 100, 60, "guesses")
        worst = 0.0
        for turn, name in enumerate(names):
            begun = time.monotonic()
            status = ask_from(at[turn % len(at)], it.client(), name, f"the password of {name}")
            worst = max(worst, time.monotonic() - begun)
            equal(status, 201, f"status of a right password from {at[turn % len(at)]}")
    log(f"guesses: {guessers.answers}, the slowest right login {worst:.1f} s")
    expect(set(guessers.answers) <= {401, 429}, f"answers to guesses: {guessers.answers}")
    # Ironic gives up after 60 s.
    expect(worst <= 20, f"a right password took {worst:.1f} s")
    meter.quick(least=10, worst=5)


def one_address(it: Service) -> None:
    """All behind one address, as behind a proxy: who guesses there is slowed down, who knows is not."""
    guessing(it, ["127.0.0.9"], ["127.0.0.9", "127.0.0.10"])


def many_addresses(it: Service) -> None:
    """Few guesses from each of many: none of them is over its limit."""
    guessing(it, [f"127.0.{1 + n // 250}.{1 + n % 250}" for n in range(2000)], ["127.0.1.1", "127.0.9.9"])


def run(checks: Checks) -> None:
    """Sessions, then guesses."""
    with service("sessions", max_sessions=LIMIT) as it:
        checks.run("clients.leaked-sessions", lambda: leaked(it))
        checks.run("clients.leaked-sessions-restart", lambda: leaked_restart(it))
    with service("guesses") as it:
        checks.run("clients.guessing-one-address", lambda: one_address(it))
        checks.run("clients.guessing-many-addresses", lambda: many_addresses(it))
