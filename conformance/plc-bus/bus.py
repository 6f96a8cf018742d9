"""The device bus, by its byte tables: nothing here shares a line with rackfish. `frame` and `parse` for both sides, `Boards`
behind a pseudo-terminal or a TCP port, and `Master`, which asks boards over a tty with pyserial."""

import os
import select
import socket
import threading
import time
import tty
from pathlib import Path

import serial

TYPES = {"vapor_led": 0x08, "led": 0x10, "system": 0x12, "power": 0x40, "humidity": 0x4E, "fan_speed": 0x82,
         "temperature": 0x9A, "thermistor": 0x9C}
ASSET = "Board Co,BPN,Board Name,BSN,rack,CPN,CSN,tag-{n},Maker,PPN,Node Model,SN-{n},v1"


def frame(sequence: int, kind: int, board: int, device: int, data: bytes) -> bytes:
    """01, length, sequence, type, board, device, data, checksum, 04."""
    body = bytes([sequence, kind]) + board.to_bytes(4, "big") + device.to_bytes(2, "big") + data
    return bytes([1, len(body) + 1]) + body + bytes([-sum(body) & 0xFF, 4])


def parse(data: bytes) -> tuple[int, int, int, int, bytes]:
    """Sequence, type, board, device, data; ValueError: that is none."""
    if len(data) < 12 or data[0] != 1 or data[1] + 3 != len(data) or sum(data[2:-1]) & 0xFF or data[-1] != 4:
        raise ValueError(data.hex())
    return data[2], data[3], int.from_bytes(data[4:8], "big"), int.from_bytes(data[8:10], "big"), data[10:-2]


def take(buffer: bytearray) -> bytes | None:
    """The first frame of a buffer, taken out of it; noise before it goes, too."""
    while buffer and buffer[0] != 1:
        del buffer[0]
    if len(buffer) < 2 or len(buffer) < buffer[1] + 3:
        return None
    found = bytes(buffer[:buffer[1] + 3])
    del buffer[:len(found)]
    return found


class Board:
    """A relay, a thermistor, humidity, a light, a fan, and the machine's own."""

    DEVICES = {0x0001: "power", 0x01FF: "thermistor", 0x02FF: "humidity", 0x0300: "led", 0x0400: "fan_speed", 0x0500: "system"}

    def __init__(self, number: int) -> None:
        self.number, self.on, self.boot, self.led, self.fan = number, False, "B0", "0", "4100"
        self.stuck = self.gone = False
        # What was commanded, how often the relay moved, and what it was to boot from at each start.
        self.commands, self.moves, self.starts = [], 0, []

    def set(self, on: bool) -> None:
        """The relay."""
        if on != self.on and not self.stuck:
            self.on, self.moves = on, self.moves + 1
            if on:
                self.starts.append(self.boot)

    def answer(self, kind: int, device: int, data: bytes) -> str | None:
        """Of one command to one device."""
        is_a = self.DEVICES.get(device)
        if data == b"V":
            return f"board {self.number}"
        if is_a is None or kind != TYPES[is_a]:
            return None
        if data[:1] == b"P":
            if data != b"P?":
                self.commands.append(data.decode())
            if data == b"PC":
                self.set(False)
            if data in (b"P1", b"PC"):
                self.set(True)
            if data == b"P0":
                self.set(False)
            # 198.58 W, 12.5 V, 15.88 A by the coefficients of the chip (20475).
            return "0,12000,2400,3329" if self.on else "64,0,0,0"
        if data[:1] == b"B":
            if data != b"B?":
                self.boot = data.decode()
            return self.boot
        if data[:1] == b"W":
            if is_a == "led":
                self.led = data[1:].decode()
            else:
                assert data[1] == 0xFF
                self.fan = data[2:].decode()
            return "W1"
        fixed = {b"A": ASSET.format(n=self.number), b"H": f"hnode-{self.number},i10.0.0.{self.number}"}
        read = {"thermistor": "656", "humidity": "1486313281", "led": self.led, "fan_speed": self.fan}
        return read.get(is_a) if data == b"R" else fixed.get(data)


class Boards:
    """Several of them on one line, in a thread. `lose`, `spoil`: commands whose next answer is lost or spoilt. `heard`:
    commands, as they came."""

    def __init__(self, link: Path, *numbers: int) -> None:
        self.boards = {number: Board(number) for number in numbers}
        self.link, self.lose, self.spoil, self.babble = link, [], [], False
        self.heard: list[str] = []
        self.last: dict[int, str] = {}
        self.tcp: socket.socket | None = None
        self._ends: list[int] = []
        self._over = False
        self.plug()
        threading.Thread(target=self._run, daemon=True).start()

    def plug(self) -> None:
        """A new pseudo-terminal, under the same name."""
        near, far = os.openpty()
        tty.setraw(far)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(far))
        self._ends = [near, far]

    def pull(self) -> None:
        """The adapter is gone."""
        ends, self._ends = self._ends, []
        self.link.unlink()
        time.sleep(0.1)
        for end in ends:
            os.close(end)

    def listen(self) -> int:
        """The same boards behind a serial server's port."""
        self.tcp = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return self.tcp.getsockname()[1]

    def _serve(self) -> None:
        while True:
            client, _ = self.tcp.accept()
            buffer = bytearray()
            while more := client.recv(4096):
                buffer += more
                while found := take(buffer):
                    client.sendall(self.hear(found))
            client.close()

    def _run(self) -> None:
        buffer = bytearray()
        while True:
            if not self._ends:
                buffer.clear()
                time.sleep(0.02)
                continue
            near = self._ends[0]
            try:
                if select.select([near], [], [], 0.05)[0]:
                    buffer += os.read(near, 4096)
                while found := take(buffer):
                    os.write(near, self.hear(found))
                    while self.babble and self._ends:
                        os.write(near, b"\x01\x55" * 16)
                        time.sleep(0.003)
            except (OSError, ValueError):
                buffer.clear()

    def hear(self, data: bytes) -> bytes:
        """The bytes that answer a frame."""
        sequence, kind, board, device, data = parse(data)
        word = data.decode("latin-1")
        self.heard.append(f"{board:08x}/{device:04x} {word}")
        chosen = [b for b in self.boards.values() if not b.gone and (board & 0x80000000 or b.number == board)]
        if data == b"D":
            if board & 0x10000000:
                return b""
            return b"".join(frame(sequence, TYPES[name], b.number, number, bytes([TYPES[name]]))
                            for b in chosen for number, name in b.DEVICES.items())
        if not chosen:
            return b""
        said = self.last.get(board) if data == b"?" else chosen[0].answer(kind, device, data)
        if said is None:
            return b""
        self.last[board] = said
        answer = frame(sequence, 0xFF, 0, 0xFFFF, said.encode())
        if word in self.lose:
            self.lose.remove(word)
            return b""
        if word in self.spoil:
            self.spoil.remove(word)
            return answer[:-2] + bytes([answer[-2] ^ 0x55, 4])
        return answer


class Master:
    """Asks boards, as a server does: pyserial, 8N1, a quarter of a second of silence."""

    def __init__(self, path: str) -> None:
        self.port = serial.Serial(path, 115200, timeout=0.25)
        self.sequence = 1

    def close(self) -> None:
        """Lets the line go."""
        self.port.close()

    def number(self) -> int:
        """1 to 254, 0, and again."""
        number, self.sequence = self.sequence, (self.sequence + 1) % 255
        return number

    def one(self) -> bytes | None:
        """The next frame, as it comes."""
        while (head := self.port.read(1)) != b"\x01":
            if not head:
                return None
        length = self.port.read(1)
        rest = self.port.read(length[0] + 1) if length else b""
        return b"\x01" + length + rest if length and len(rest) == length[0] + 1 else None

    def ask(self, kind: int, board: int, device: int, data: bytes, retries: int = 3) -> str | None:
        """The answer's text; bad ones are asked for again with `?`."""
        for attempt in range(retries + 1):
            number = self.number()
            self.port.reset_input_buffer()
            self.port.write(frame(number, kind, board, device, b"?" if attempt else data))
            found = self.one()
            if found is None:
                return None
            try:
                sequence, *_, said = parse(found)
            except ValueError:
                continue
            return said.decode() if sequence == number else None
        return None

    def scan(self, board: int) -> list[tuple[int, int, int]]:
        """Board, device and type of each answer, until there is silence; bad: nothing."""
        number, found = self.number(), []
        self.port.reset_input_buffer()
        self.port.write(frame(number, 0xFF, board, 0xFFFF, b"D"))
        while one := self.one():
            try:
                sequence, kind, of, device, data = parse(one)
            except ValueError:
                return []
            if sequence == number:
                found.append((of, device, kind))
        return found
