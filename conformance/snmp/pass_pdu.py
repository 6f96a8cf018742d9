#!/usr/bin/env python3
"""A PDU behind net-snmp's snmpd (`pass_persist`): commands change states, after a while.

usage: pass_pdu.py FAMILY OUTLETS [--delay S] [--stuck N,N] [--holes N,N]

FAMILY is rpdu, rpdu2, masterswitch (PowerNet-MIB), eaton (EATON-EPDU-MIB) or sentry4 (Sentry4-MIB). Numbers in
--stuck take commands and never move; those in --holes are not in the tables.
"""
import argparse
import sys
import time

ROOTS = {
    "eaton": (1, 3, 6, 1, 4, 1, 534, 6, 6, 7),
    "sentry4": (1, 3, 6, 1, 4, 1, 1718, 4, 1),
}
APC = (1, 3, 6, 1, 4, 1, 318, 1, 1)
ON, OFF = "on", "off"


class Pdu:
    def __init__(self, args):
        self.args = args
        self.state = {n: ON for n in range(1, args.outlets + 1) if n not in args.holes}
        self.change = {}

    def read(self, n):
        if n in self.change and time.monotonic() >= self.change[n][0]:
            self.state[n] = self.change.pop(n)[1]
        return self.state[n]

    def command(self, n, to):
        if n not in self.args.stuck:
            self.change[n] = (time.monotonic() + self.args.delay, to)

    def rows(self):
        """OID -> (type, value, commands or None)"""
        rows, args = {}, self.args
        root = ROOTS.get(args.family, APC)

        def put(tail, kind, value, commands=None):
            rows[root + tail] = (kind, value, commands)

        number = {ON: 1, OFF: 2}
        if args.family == "rpdu":
            put((12, 1, 1, 0), "string", "rack-pdu")
            put((12, 1, 3, 0), "string", "v3.9.2")
            put((12, 1, 5, 0), "string", "AP7930")
            put((12, 1, 6, 0), "string", "ZA0000000001")
            put((12, 1, 16, 0), "integer", 345)
            put((12, 2, 3, 1, 1, 2, 1), "gauge", 15)
            put((12, 3, 1, 3, 0), "integer", args.outlets)
            for n in self.state:
                put((12, 3, 3, 1, 1, 4, n), "integer", number[self.read(n)], {1: ON, 4: ON, 2: OFF, 5: OFF, 7: None})
                put((12, 3, 5, 1, 1, 2, n), "string", "Outlet %d" % n)
                put((12, 3, 5, 1, 1, 4, n), "integer", number[self.read(n)])
                put((12, 3, 5, 1, 1, 7, n), "gauge", 5 if self.read(n) == ON else 0)
        elif args.family == "rpdu2":
            put((26, 2, 1, 3, 1), "string", "rack-pdu-2")
            put((26, 2, 1, 6, 1), "string", "v6.5.6")
            put((26, 2, 1, 8, 1), "string", "AP8941")
            put((26, 2, 1, 9, 1), "string", "ZA0000000002")
            put((26, 4, 3, 1, 5, 1), "integer", 123)
            put((26, 4, 3, 1, 9, 1), "gauge", 45678)
            put((26, 9, 1, 0), "integer", args.outlets)
            for n in self.state:
                on = self.read(n) == ON
                put((26, 9, 2, 1, 1, 3, n), "string", "Outlet %d" % n)
                put((26, 9, 2, 3, 1, 5, n), "integer", 2 if on else 1)
                put((26, 9, 2, 4, 1, 5, n), "integer", 1 if on else 2, {1: ON, 5: ON, 2: OFF, 6: OFF, 8: None})
                put((26, 9, 4, 3, 1, 6, n), "gauge", 5 if on else 0)
                put((26, 9, 4, 3, 1, 7, n), "gauge", 115 if on else 0)
                put((26, 9, 4, 3, 1, 11, n), "gauge", 1234)
        elif args.family == "eaton":
            put((1, 2, 1, 2, 0), "string", "EPDU MA 0U")
            put((1, 2, 1, 4, 0), "string", "ZA0000000004")
            for n in self.state:
                # off 0, on 1, pendingOff 2, pendingOn 3; commands are delays, -1 is "nothing pending".
                is_on = self.read(n) == ON
                status = (3 if self.change[n][1] == ON else 2) if n in self.change else int(is_on)
                put((6, 6, 1, 2, 0, n), "integer", status)
                put((6, 6, 1, 3, 0, n), "integer", -1, {0: OFF, -1: None})
                put((6, 6, 1, 4, 0, n), "integer", -1, {0: ON, -1: None})
        elif args.family == "sentry4":
            put((2, 2, 1, 4, 1), "string", "ZA0000000005")
            put((2, 2, 1, 5, 1), "string", "C2S36CE")
            for n in self.state:
                put((8, 3, 1, 1, 1, 1, n), "integer", 1 if self.read(n) == ON else 2)
                # The action reads as "none" whatever was written.
                put((8, 5, 1, 2, 1, 1, n), "integer", 0, {0: None, 1: ON, 2: OFF})
        else:
            put((4, 1, 2, 0), "string", "v2.2.1")
            put((4, 1, 4, 0), "string", "AP9212")
            put((4, 1, 5, 0), "string", "ZA0000000003")
            put((4, 4, 1, 0), "integer", args.outlets)
            for n in self.state:
                put((4, 4, 2, 1, 3, n), "integer", number[self.read(n)], {1: ON, 5: ON, 2: OFF, 6: OFF})
                put((4, 4, 2, 1, 4, n), "string", "Outlet %d" % n)
        return rows


def numbers(text):
    return {int(n) for n in text.split(",") if n}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("family", choices=["rpdu", "rpdu2", "masterswitch", *ROOTS])
    parser.add_argument("outlets", type=int)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--stuck", type=numbers, default=set())
    parser.add_argument("--holes", type=numbers, default=set())
    pdu = Pdu(parser.parse_args())

    def say(*lines):
        sys.stdout.write("".join("%s\n" % line for line in lines))
        sys.stdout.flush()

    def line():
        text = sys.stdin.readline()
        if not text:
            sys.exit(0)
        return text.strip()

    def oid(text):
        return tuple(int(part) for part in text.strip(".").split("."))

    def row(at, rows):
        kind, value, _ = rows[at]
        say("." + ".".join(map(str, at)), kind, value)

    while True:
        verb = line()
        if verb == "PING":
            say("PONG")
        elif verb in ("get", "getnext"):
            at, rows = oid(line()), pdu.rows()
            if verb == "getnext":
                at = min((o for o in rows if o > at), default=None)
            if at in rows:
                row(at, rows)
            else:
                say("NONE")
        elif verb == "set":
            at, (kind, _, value) = oid(line()), line().partition(" ")
            rows = pdu.rows()
            if at not in rows:
                say("no-creation")
            elif rows[at][2] is None:
                say("not-writable")
            elif kind != "integer":
                say("wrong-type")
            elif int(value) not in rows[at][2]:
                say("wrong-value")
            else:
                to = rows[at][2][int(value)]
                if to:
                    pdu.command(at[-1], to)
                say("DONE")


main()
