#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""hostile.py IMAGE: boots the site's image, not stripped, with a device that lies.

Once for each lie it writes to the rings of the network card in the memory of the
running machine, through QEMU's debugger stub, as a hostile device would.  Each has
to end in its line of panic and in power-off.  Then a storm of frames, most of them
not valid: after that the machine still answers, and ends when it is told to.
"""

import argparse
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), os.pardir))

import boot  # noqa: E402

PATIENCE = 60   # seconds that anything may take
PANIC = 7       # status of QEMU: twice the code, and 1
ENDED_WELL = 1

# struct virtqueue of plat/pc/virtqueue.h.
SIZE = 64
AVAILABLE = 16 * SIZE
USED = 16 * SIZE + 136
USED_INDEX = USED + 2
USED_RING = USED + 4

OURS = bytes([10, 0, 2, 15])
PEERS = bytes([10, 0, 2, 2])
STATION = bytes([2, 0, 0, 0, 0, 1])
FRAMES = 20000


class Debugger:
    """Memory of the machine, which stands still meanwhile."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(path)
        self.input = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # The machine goes on, and may end before it answers.
        self.socket.sendall(b"$D#44")
        self.input.read(1)
        self.socket.close()

    def ask(self, text):
        self.socket.sendall(b"$%s#%02x" % (text.encode(),
                                           sum(text.encode()) % 256))
        answer = self.receive()
        while answer.startswith("T"):  # that the machine stands still
            answer = self.receive()
        return answer

    def receive(self):
        while self.input.read(1) != b"$":
            pass
        answer = b""
        while not answer.endswith(b"#"):
            answer += self.input.read(1)
        self.input.read(2)
        self.socket.sendall(b"+")
        return answer[:-1].decode()

    def read16(self, address):
        return struct.unpack("<H", bytes.fromhex(
            self.ask("m%x,2" % address)))[0]

    def write(self, address, data):
        if self.ask("M%x,%x:%s" % (address, len(data), data.hex())) != "OK":
            raise SystemExit("hostile.py: cannot write to %#x" % address)


def give(debugger, queue, buffer, length):
    """The device gives back a buffer."""
    index = debugger.read16(queue + USED_INDEX)
    debugger.write(queue + USED_RING + 8 * (index % SIZE),
                   struct.pack("<II", buffer, length))
    debugger.write(queue + USED_INDEX, struct.pack("<H", (index + 1) % 65536))


def skip(debugger, queue, count):
    """The index of the device moves on without buffers."""
    index = debugger.read16(queue + USED_INDEX)
    debugger.write(queue + USED_INDEX,
                   struct.pack("<H", (index + count) % 65536))


HAS_NOT = "receive queue: the device returned buffer %d, which it does not have"
TOO_MANY = "%s queue: the device returned more buffers than it has"
TOO_LONG = ("receive queue: the device claims to have written %d bytes to a "
            "buffer of 2048")
LIES = [
    ("id", "net_rx", lambda d, q: give(d, q, SIZE, 100), HAS_NOT % SIZE),
    ("large-id", "net_rx", lambda d, q: give(d, q, 2**32 - 1, 100),
     HAS_NOT % (2**32 - 1)),
    ("length", "net_rx", lambda d, q: give(d, q, 63, 2049), TOO_LONG % 2049),
    ("large-length", "net_rx", lambda d, q: give(d, q, 63, 2**32 - 1),
     TOO_LONG % (2**32 - 1)),
    ("index", "net_rx", lambda d, q: skip(d, q, SIZE + 1),
     TOO_MANY % "receive"),
    ("index-back", "net_rx", lambda d, q: skip(d, q, 65535),
     TOO_MANY % "receive"),
    ("send-index", "net_tx", lambda d, q: skip(d, q, 2), TOO_MANY % "send"),
]


class Machine:
    """A boot of the image, on a network that is this program."""

    def __init__(self, image, directory):
        self.debugger = os.path.join(directory, "debugger")
        self.card = os.path.join(directory, "card")
        self.net = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.net.bind(os.path.join(directory, "peer"))
        words = boot.command(argparse.Namespace(
            memory=32, https=None, http=None, image=image))
        words[words.index("-netdev") + 1] = (
            "dgram,id=net,local.type=unix,local.path=%s,"
            "remote.type=unix,remote.path=%s" % (self.card,
                                                 self.net.getsockname()))
        self.process = subprocess.Popen(
            words + ["-gdb", "unix:%s,server=on,wait=off" % self.debugger],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for line in self.process.stdout:
            if line.startswith(b"listening"):
                return
        raise SystemExit("hostile.py: the image did not start")

    def end(self):
        """The last line of the console, and the status."""
        output, _ = self.process.communicate(timeout=PATIENCE)
        self.net.close()
        lines = output.decode().splitlines() or [""]
        return lines[-1], self.process.returncode

    def send(self, frame):
        try:
            self.net.sendto(frame, socket.MSG_DONTWAIT, self.card)
        except BlockingIOError:
            time.sleep(0.001)

    def ask(self):
        """A question for its address."""
        self.send(b"\xff" * 6 + STATION + b"\x08\x06" +
                  struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + STATION +
                  PEERS + bytes(6) + OURS)

    def answers(self):
        """Whether it still answers that."""
        self.net.settimeout(1)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            self.ask()
            try:
                frame = self.net.recv(2048)
            except TimeoutError:
                continue
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2":
                return True
        return False


def symbols(image):
    listing = subprocess.run(["nm", image], check=True, capture_output=True,
                             text=True).stdout
    return {words[2]: int(words[0], 16) for words in
            map(str.split, listing.splitlines()) if len(words) == 3}


def row(name, line, ok):
    print("%-19s %s%s" % (name, line, "" if ok else "  UNEXPECTED"), flush=True)
    return ok


def lie(image, name, queue, tell, expected):
    with tempfile.TemporaryDirectory() as directory:
        machine = Machine(image, directory)
        with Debugger(machine.debugger) as debugger:
            tell(debugger, symbols(image)[queue])
        if queue == "net_tx":  # looked at when a frame is sent
            machine.ask()
        line, status = machine.end()
    return row(name, line, line == "panic: virtio: " + expected and
               status == PANIC)


def storm_frame(choose):
    """Anything, or something that gets further into the stack."""
    length = choose.randrange(1, 1514)
    body = choose.randbytes(length)
    head = b"\xff" * 6 + STATION
    kind = choose.randrange(4)
    if kind == 0:
        return body
    if kind == 1:
        return head + b"\x08\x06" + body[:1500]
    return (head + b"\x08\x00\x45\x00" + struct.pack(">H", length) +
            body[:4] + b"\x40\x06" + body[4:6] + PEERS + OURS + body[:1470])


def storm(image):
    choose = random.Random(1)
    with tempfile.TemporaryDirectory() as directory:
        machine = Machine(image, directory)
        for _ in range(FRAMES):
            machine.send(storm_frame(choose))
        alive = machine.answers()
        machine.process.stdin.write(boot.CTRL_C)
        line, status = machine.end()
    return row("storm", line, alive and status == ENDED_WELL)


def main(image):
    results = [lie(image, *entry) for entry in LIES]
    results.append(storm(image))
    raise SystemExit(0 if all(results) else 1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
