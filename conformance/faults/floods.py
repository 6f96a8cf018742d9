"""Clients that mean no good: thousands that say nothing, some that say it very slowly, too much, or nonsense."""

import os
import random
import resource
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lib.checks import Checks, Failure, among, equal, expect, log, until
from lib.toml import node
from rig import LONG, Meter, Service, pdu, system

SILENT = 10_000
SECONDS = 60 if LONG else 15
# For our own files, and for the reads beside the flood.
RESERVE = 1_000
SESSIONS = "/redfish/v1/SessionService/Sessions"


class Target:
    """A service that is flooded, and what it holds meanwhile."""

    def __init__(self) -> None:
        self.it = Service("floods")
        # Nobody listens there: this is about clients.
        self.it.configure(pdu("pdu", 9), node("n1", feeds=["pdu/1"]), server={"watch": False})
        self.it.start()
        self.port = int(self.it.url.rpartition(":")[2])
        self.context = ssl.create_default_context(cafile=str(self.it.state / "tls" / "ca.pem"))
        self.before = self.held()

    def plain(self, source: str = "127.0.0.1") -> socket.socket:
        """A connection on which nothing has been said."""
        link = socket.socket()
        link.bind((source, 0))
        link.settimeout(20)
        link.connect(("127.0.0.1", self.port))
        return link

    def secure(self) -> ssl.SSLSocket:
        """One behind a handshake."""
        return self.context.wrap_socket(self.plain(), server_hostname="127.0.0.1")

    def held(self) -> int:
        """Descriptors of the service."""
        return len(os.listdir(f"/proc/{self.it.child.pid}/fd"))

    def resident(self) -> int:
        """Its memory, in MiB."""
        pages = int(Path(f"/proc/{self.it.child.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() >> 20

    def reading(self) -> Meter:
        """Reads as sushy does: a new connection each."""
        return Meter(self.it.client(), [system("n1"), "/redfish/v1/Systems"])


def closed(link: socket.socket, seconds: float) -> bytes:
    """What comes until the service closes the connection; it has to."""
    link.settimeout(seconds)
    heard = b""
    try:
        while len(heard) < 1 << 20:
            part = link.recv(65536)
            if not part:
                return heard
            heard += part
    except TimeoutError:
        raise Failure(f"still open after {seconds:.0f} s; heard {heard[:100]!r}") from None
    except OSError:
        return heard
    finally:
        link.close()
    return heard


def status(heard: bytes) -> int | None:
    """The status of the first answer."""
    words = heard.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


def silent(target: Target) -> None:
    """They connect and say nothing, or begin a handshake and stop; those that are cut off come again."""
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVE
    many = min(SILENT, room)
    if many < SILENT:
        log(f"floods: this machine allows {room} descriptors: {many} connections instead of {SILENT}")
    end, links, opened, most = threading.Event(), [], [0], [0]

    def flood() -> None:
        while not end.is_set():
            while len(links) < many and not end.is_set():
                link = socket.socket()
                link.setblocking(False)
                # Several sources, or the kernel runs out of ports for them.
                link.bind((f"127.0.0.{2 + opened[0] % 8}", 0))
                link.connect_ex(("127.0.0.1", target.port))
                if opened[0] % 2:
                    # The first bytes of a ClientHello; an answer to nothing comes.
                    try:
                        link.send(b"\x16\x03\x01\x02\x00\x01")
                    except OSError:
                        pass
                links.append(link)
                opened[0] += 1
                if opened[0] % 50 == 0:
                    end.wait(0.01)
            alive = []
            for link in links:
                try:
                    if link.recv(1) == b"":
                        link.close()
                        continue
                except (BlockingIOError, ConnectionError, OSError) as why:
                    if not isinstance(why, BlockingIOError):
                        link.close()
                        continue
                alive.append(link)
            links[:] = alive
            most[0] = max(most[0], target.held())
            end.wait(0.2)

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        with target.reading() as meter:
            time.sleep(SECONDS)
    finally:
        end.set()
        flooding.join()
        for link in links:
            link.close()
    log(f"floods: {opened[0]} silent connections, {most[0]} descriptors of the service, {target.resident()} MiB, "
        f"{len(meter.took)} reads, the slowest {max(meter.took, default=(0, ''))[0]:.1f} s")
    expect(opened[0] >= many, f"only {opened[0]} connections could be made")
    expect(most[0] >= many * 0.8, f"the service held {most[0]} descriptors: it was not flooded")
    meter.quick(least=20, worst=8)


def dribble(links: list[ssl.SSLSocket], pieces: bytes, seconds: float) -> None:
    """A few bytes a second on each, as long as the service listens."""
    deadline, at = time.monotonic() + seconds, 0
    while links and time.monotonic() < deadline:
        for link in list(links):
            try:
                link.send(pieces[at % len(pieces):][:1])
            except OSError:
                links.remove(link)
        at += 1
        time.sleep(0.25)


def slow_heads(target: Target) -> None:
    """Heads that never end are cut off, and nobody else waits."""
    links = [target.secure() for _ in range(300)]
    for link in links:
        link.send(b"GET /redfish/v1/Systems HTTP/1.1\r\nHost: a\r\nX-Slow: ")
    with target.reading() as meter:
        dribble(links, b"x", 40)
    expect(not links, f"{len(links)} of 300 heads are still being listened to after 40 s")
    meter.quick(least=20, worst=8)


def slow_bodies(target: Target) -> None:
    """The same with bodies."""
    links = [target.secure() for _ in range(200)]
    for link in links:
        link.send(f"POST {SESSIONS} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                  "Content-Length: 5000\r\n\r\n{".encode())
    with target.reading() as meter:
        dribble(links, b" ", 60)
    expect(not links, f"{len(links)} of 200 bodies are still being listened to after 60 s")
    meter.quick(least=20, worst=8)


def slow_chunks(target: Target) -> None:
    """Chunks without end, to those who were refused long before: the answer comes, and then the end."""
    links = []
    for method, path in (("POST", "/redfish/v1/Systems"), ("GET", "/redfish/v1/Systems"), ("POST", SESSIONS),
                         ("POST", "/nowhere"), ("GET", "/metrics"), ("POST", "/metrics"), ("GET", "/boot/52:54:00:00:00:01")):
        for _ in range(20):
            link = target.secure()
            link.send(f"{method} {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            links.append(link)
    dribble(links, b"1\r\nx\r\n", 40)
    expect(not links, f"{len(links)} of 140 are still being listened to after 40 s")


def oversize_heads(target: Target) -> None:
    """Refused or cut off; never taken in."""
    line = b"GET /redfish/v1/ HTTP/1.1\r\nHost: a\r\n"
    for what, head in (("one long header", line + b"X-Long: " + b"x" * (1 << 22) + b"\r\n\r\n"),
                       ("many headers", line + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)) + b"\r\n"),
                       ("a long path", b"GET /" + b"x" * (1 << 22) + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
                       ("no end of the line", b"G" * (1 << 22))):
        link = target.secure()
        try:
            link.sendall(head)
        except OSError:
            pass  # cut off in the middle: just as well
        heard = closed(link, 30)
        among(status(heard), (None, 400, 413, 414, 431), f"status for {what}")
    # And with the first account's own password, too much of it.
    answer = target.it.client(password="p" * 60_000).get("/redfish/v1/Systems")
    among(answer.status, (400, 401, 431), "status for a password of 60,000 letters")


def oversize_bodies(target: Target) -> None:
    """A body that is announced too long is not listened to; one that says nothing of its length is cut off."""
    head = f"POST {SESSIONS} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n".encode()
    link = target.secure()
    link.sendall(head + b"Content-Length: 99999999999\r\n\r\n")
    equal(status(closed(link, 30)), 413, "status for 100 GB that were announced")
    link, deadline = target.secure(), time.monotonic() + 30
    link.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
    before = target.resident()
    try:
        while time.monotonic() < deadline:
            link.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
    except OSError:
        pass  # after its answer it listens for a moment, so that the answer arrives, then cuts off
    expect(time.monotonic() < deadline, "a body without end is listened to for 30 s")
    expect(target.resident() - before < 32, f"it cost {target.resident() - before} MiB")
    among(status(closed(link, 30)), (None, 413), "status for a body without end")
    link = target.secure()
    link.sendall(head + b"Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    among(status(closed(link, 30)), (400,), "status for two lengths at once")
    deep = target.it.client().request("POST", SESSIONS, b'{"UserName":' + b"[" * 100_000)
    equal(deep.status, 400, "status for a hundred thousand brackets")


def garbage(target: Target) -> None:
    """Noise before, in and behind TLS; noise after a good request."""
    chance = random.Random(7)
    for _ in range(50):
        link = target.plain()
        link.sendall(chance.randbytes(chance.randrange(1, 4000)))
        closed(link, 30)
    link = target.plain()
    link.sendall(b"GET /redfish/v1/ HTTP/1.1\r\nHost: a\r\n\r\n")
    closed(link, 30)
    for _ in range(50):
        link = target.secure()
        link.sendall(chance.randbytes(chance.randrange(1, 4000)) + b"\r\n\r\n")
        among(status(closed(link, 30)), (None, 400, 404, 505), "status for noise")
    for tail in (b"\0" * 500, b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\r\nX\r\n\r\n", chance.randbytes(300) + b"\r\n\r\n"):
        link = target.secure()
        link.sendall(b"GET /redfish/v1/ HTTP/1.1\r\nHost: a\r\n\r\n" * 20 + tail)
        heard = closed(link, 30)
        expect(heard.count(b"HTTP/1.1 200") == 20, f"{heard.count(b'HTTP/1.1 200')} of 20 good requests were answered")


def afterwards(target: Target) -> None:
    """Everything was given back, nothing has ended."""
    until(target.held, lambda held: held <= target.before + 50, 40, "descriptors of the service")
    log(f"floods: {target.resident()} MiB in the end")
    expect(target.resident() <= 700, f"{target.resident()} MiB resident")
    expect("panicked" not in target.it.said(), "something has panicked")
    equal(target.it.client().get(system("n1")).status, 200, "status in the end")
    equal(target.it.stop(), 0, "exit status")


def run(checks: Checks) -> None:
    """At one service; the slow ones side by side."""
    target = Target()
    with target.it:
        for lane in ((("silent", silent),),
                     (("slow-heads", slow_heads), ("slow-bodies", slow_bodies), ("slow-chunks", slow_chunks)),
                     (("oversize-heads", oversize_heads),), (("oversize-bodies", oversize_bodies),),
                     (("garbage", garbage),), (("afterwards", afterwards),)):
            with ThreadPoolExecutor(len(lane)) as pool:
                for name, case in lane:
                    pool.submit(checks.run, f"floods.{name}", lambda case=case: case(target))
