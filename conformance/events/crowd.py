"""A thousand subscribers. EVENTS_LONG=1: more events, and what they cost; for a program that was built with --release."""

import http.client
import json
import os
import threading
import time

from lib.checks import Checks, Failure, equal, expect, log, until
from receiver import Receiver
from rig import SUBMIT, SUBSCRIPTIONS, Rig
from streaming import Listener

LONG = bool(os.environ.get("EVENTS_LONG"))
SUBSCRIBERS, WRITERS = 1_000, 4
EVENTS = 20_000 if LONG else 1_000
STREAMS, STREAMED = (50, 500) if LONG else (20, 100)


def crowd(rig: Rig, count: int, make) -> list:
    """`count` POSTs on a few kept connections: `make(number)` is path and body; what was answered."""
    answers: list = [None] * count

    def work(first: int) -> None:
        link = rig.admin.connection(60)
        headers = {"Content-Type": "application/json", **rig.admin.auth()}
        for number in range(first, count, WRITERS):
            path, body = make(number)
            for attempt in (1, 2):
                try:
                    link.request("POST", path, body=json.dumps(body).encode(), headers=headers)
                    reply = link.getresponse()
                    reply.read()
                    answers[number] = (reply.status, reply.getheader("Location"))
                    break
                except (http.client.HTTPException, OSError):
                    link.close()  # a kept connection that had its time
                    if attempt == 2:
                        raise

    threads = [threading.Thread(target=work, args=(first,)) for first in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def node(number: int) -> str:
    """Subscribers and events meet at URIs."""
    return f"/redfish/v1/Systems/crowd-{number % SUBSCRIBERS}"


def run(checks: Checks, rig: Rig, receiver: Receiver) -> None:
    """Subscribers, then listeners."""
    with checks.check("crowd.subscribers"):
        begun = time.monotonic()
        made = crowd(rig, SUBSCRIBERS, lambda n: (SUBSCRIPTIONS, {
            "Destination": receiver.url(f"crowd/{n}"), "Protocol": "Redfish", "Context": str(n),
            "OriginResources": [{"@odata.id": node(n)}]}))
        equal({status for status, _ in made}, {201}, "answers")
        log(f"{SUBSCRIBERS} subscriptions in {time.monotonic() - begun:.1f} s")
        answer = rig.ask(receiver.url("crowd/one-more"))
        equal(answer.status, 400, "status of one more")
        expect("EventSubscriptionLimitExceeded" in str(answer.body), str(answer))
        begun, cpu = time.monotonic(), rig.cpu()
        sent = crowd(rig, EVENTS, lambda n: (SUBMIT, {
            "MessageId": "Rackfish.1.0.Test", "Message": f"crowd {n}", "OriginOfCondition": node(n)}))
        equal({status for status, _ in sent}, {204}, "answers")
        asked = time.monotonic() - begun
        # Each once: what is sent again, because its answer came late, must not stand for another that is still to come.
        total = lambda: sum(len(receiver.records(f"crowd/{n}")) for n in range(SUBSCRIBERS))
        until(total, EVENTS, 60, "events delivered", pause=0.2)
        took, cpu = time.monotonic() - begun, rig.cpu() - cpu
        log(f"{EVENTS} events to {SUBSCRIBERS} subscribers: asked for in {asked:.1f} s, delivered in {took:.1f} s, "
            f"{EVENTS / took:.0f} a second, {cpu / EVENTS * 1000:.2f} ms of processor time each, requests included")
        for number in range(SUBSCRIBERS):
            texts = receiver.texts(f"crowd/{number}")
            mine = [f"crowd {n}" for n in range(number, EVENTS, SUBSCRIBERS)]
            equal(sorted(texts), sorted(mine), f"events at subscriber {number}")
            ids = receiver.ids(f"crowd/{number}")
            equal(ids, sorted(ids), f"order at subscriber {number}")
    with checks.check("crowd.listeners"):
        listeners = [Listener(rig.admin) for _ in range(STREAMS)]
        equal({listener.status for listener in listeners}, {200}, "answers")
        begun, cpu = time.monotonic(), rig.cpu()
        sent = crowd(rig, STREAMED, lambda n: (SUBMIT, {"MessageId": "Rackfish.1.0.Test", "Message": f"fan {n}"}))
        equal({status for status, _ in sent}, {204}, "answers")
        heard = lambda: sum(text.startswith("fan ") for listener in listeners for text in listener.texts())
        until(heard, STREAMS * STREAMED, 60, "events heard", pause=0.2)
        took, cpu = time.monotonic() - begun, rig.cpu() - cpu
        log(f"{STREAMED} events to {STREAMS} streams: {STREAMS * STREAMED / took:.0f} a second, "
            f"{cpu / (STREAMS * STREAMED) * 1e6:.0f} us of processor time each, requests included")
        orders = {tuple(text for text in listener.texts() if text.startswith("fan ")) for listener in listeners}
        equal(len(orders), 1, "orders in which listeners heard them")
        for listener in listeners:
            listener.close()
    gone = crowd_remove(rig, [path for _, path in made])
    if gone != {204}:
        raise Failure(f"answers to DELETE: {gone}")


def crowd_remove(rig: Rig, paths: list[str]) -> set[int]:
    """Ends the subscriptions."""
    seen: set[int] = set()

    def work(mine: list[str]) -> None:
        link = rig.admin.connection(60)
        for path in mine:
            link.request("DELETE", path, headers=rig.admin.auth())
            reply = link.getresponse()
            reply.read()
            seen.add(reply.status)

    threads = [threading.Thread(target=work, args=(paths[first::WRITERS],)) for first in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen
