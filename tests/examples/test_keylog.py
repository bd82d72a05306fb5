#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The key log of the programs: who may read it, what is in it, and that tshark
decrypts with it what crossed the wire.

The bytes of a connection are recorded by a relay of the test and written as a
pcap file, with headers of IP and TCP made here: the test needs no capture
privileges.  Without tshark that test is skipped.
"""

import os
import re
import select
import socket
import stat
import struct
import threading

import support
from support import LIMIT, program, run

LINE = re.compile(
    r"(CLIENT_RANDOM [0-9a-f]{64} [0-9a-f]{96}"
    r"|(CLIENT|SERVER)_(HANDSHAKE_TRAFFIC_SECRET|TRAFFIC_SECRET_0)"
    r" [0-9a-f]{64} ([0-9a-f]{64}|[0-9a-f]{96}))\n")
SECRET = b"the plaintext that tshark has to find"


class Recorder(threading.Thread):
    """Relays one connection to a port, and keeps its segments in order."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.to = port
        self.segments = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        client, _ = self.listener.accept()
        server = socket.create_connection(("127.0.0.1", self.to), LIMIT)
        other = {client: server, server: client}
        while other:
            for end in select.select(list(other), [], [], LIMIT)[0]:
                data = end.recv(65536)
                if data:
                    self.segments.append((end is client, data))
                    other[end].sendall(data)
                else:
                    other.pop(end).shutdown(socket.SHUT_WR)
        client.close()
        server.close()
        self.listener.close()


def pcap(segments):
    """A capture of the segments on port 443, as raw IP packets."""
    out = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 101)
    packets = [(True, 2, b""), (False, 18, b""), (True, 16, b"")]
    for from_client, data in segments:
        packets += [(from_client, 24, data[i:i + 1400])
                    for i in range(0, len(data), 1400)]
    sequence = {True: 0, False: 0}
    for i, (from_client, flags, data) in enumerate(packets):
        ports = (50000, 443) if from_client else (443, 50000)
        tcp = struct.pack(
            ">HHIIBBHHH", *ports, sequence[from_client],
            sequence[not from_client] if flags & 16 else 0, 0x50, flags, 65535,
            0, 0)
        sequence[from_client] += len(data) + (flags & 2) // 2
        ends = (b"\x7f\0\0\1", b"\x7f\0\0\2")
        ip = struct.pack(
            ">BBHHHBBH4s4s", 0x45, 0, 40 + len(data), i, 0, 64, 6, 0,
            *(ends if from_client else ends[::-1]))
        packet = ip + tcp + data
        out += struct.pack("<IIII", i, 0, len(packet), len(packet)) + packet
    return out


class KeyLog(support.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pki.make("www", ["www.flow.test"])

    def setUp(self):
        self.log = self.pki.path(self.id().rpartition(".")[2] + ".keys")

    def lines(self):
        with open(self.log, encoding="ascii") as f:
            lines = f.readlines()
        for line in lines:
            self.assertRegex(line, "^" + LINE.pattern + "$")
        return lines

    def environment(self, path):
        return {**os.environ, "SSLKEYLOGFILE": path}

    def echo(self, *options, **more):
        """The port of a server."""
        server = self.start(
            program("flow-echo"), "--listen", "tls+tcp://127.0.0.1:0",
            "--cert", self.pki.path("www.pem"), "--key",
            self.pki.path("www.key"), *options, **more)
        return int(server.line(b"listening on ").rpartition(":")[2])

    def converse(self, port, *options, **more):
        code, out, err = run(
            program("flow-cat"), "tls+tcp://127.0.0.1:%d" % port, "--ca",
            self.pki.ca, "--server-name", "www.flow.test", *options,
            stdin=SECRET, **more)
        self.assertEqual((code, out), (0, SECRET), err)
        return err.decode()

    def test_only_when_asked(self):
        port = self.echo()
        self.assertEqual(self.converse(port), "")
        self.assertEqual(
            self.converse(port, env=self.environment("")), "")
        self.assertFalse(os.path.exists(self.log))

    def test_the_library_reads_no_environment(self):
        """A program that does not ask for a log gets none."""
        code, out, err = run(program("tutorial_client"),
                             "tcp://127.0.0.1:%d" % self.echo(), "5", "hello",
                             "www.flow.test", self.pki.ca,
                             env=self.environment(self.log))
        self.assertEqual((code, out), (0, b"hello\n"), err)
        self.assertFalse(os.path.exists(self.log))

    def test_both_sides_write_the_same(self):
        other = self.log + ".server"
        port = self.echo("--keylog", other)
        for version, count in (("--tls1.3", 4), ("--tls1.2", 1)):
            said = self.converse(port, "--keylog", self.log, version)
            self.assertIn("are written to " + self.log, said)
            ours = sorted(self.lines())
            self.assertEqual(len(ours), count)
            with open(other, encoding="ascii") as f:
                self.assertEqual(sorted(f.readlines()), ours)
            for path in (self.log, other):
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
                os.truncate(path, 0)

    def test_a_log_is_appended_to(self):
        port = self.echo()
        with open(self.log, "w", encoding="ascii") as f:
            f.write("# before\n")
        self.converse(port, "--tls1.2", env=self.environment(self.log))
        self.converse(port, "--tls1.2", "--keylog", self.log)
        with open(self.log, encoding="ascii") as f:
            lines = f.readlines()
        self.assertEqual(lines[0], "# before\n")
        self.assertEqual(len(lines), 3)
        self.assertNotEqual(lines[1], lines[2])

    def test_the_option_is_preferred(self):
        port = self.echo()
        self.converse(port, "--keylog", self.log,
                      env=self.environment(self.log + ".not"))
        self.assertEqual(len(self.lines()), 4)
        self.assertFalse(os.path.exists(self.log + ".not"))

    def test_tshark_decrypts(self):
        self.need("tshark")
        port = self.echo()
        for version in "--tls1.3", "--tls1.2":
            recorder = Recorder(port)
            recorder.start()
            self.converse(recorder.port, "--keylog", self.log, version)
            recorder.join(LIMIT)
            capture = self.pki.path("capture.pcap")
            with open(capture, "wb") as f:
                f.write(pcap(recorder.segments))
            command = ["tshark", "-r", capture, "-n"]
            for log, count in (os.devnull, 0), (self.log, 2):
                code, out, err = run(
                    *command, "-o", "tls.keylog_file:" + log, "-T", "fields",
                    "-e", "data.data", "-d", "tls.port==443,data")
                self.assertEqual(code, 0, err)
                self.assertEqual(out.decode().count(SECRET.hex()), count, out)
            os.truncate(self.log, 0)


if __name__ == "__main__":
    support.main()
