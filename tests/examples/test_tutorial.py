#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The two programs of the tutorial: what it says of clients that say nothing, do
not read, break off or come in numbers, plain and with TLS."""

import contextlib
import functools
import signal
import socket
import struct
import threading

import support
from support import Case, Limit, program, readable, receive_all, run

TEXT = "one line of text"


def plain_and_tls(test):
    """Run a test with and without TLS."""
    @functools.wraps(test)
    def both(self):
        for tls in (False, True):
            with self.subTest(tls=tls):
                test(self, tls)
    return both


class Tutorial(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pki.make("localhost", ["localhost"])

    def serve(self, seconds="30", tls=False):
        """The server, and its port."""
        pair = [self.pki.path("localhost.pem"),
                self.pki.path("localhost.key")] if tls else []
        server = self.start(program("tutorial_server"),
                            "tcp://127.0.0.1:0", seconds, *pair)
        return server, int(
            server.line(b"listening on ").rpartition(":")[2])

    def ask(self, port, text=TEXT, seconds="30", tls=False):
        trust = ["localhost", self.pki.ca] if tls else []
        return run(program("tutorial_client"), "tcp://127.0.0.1:%d" % port,
                   seconds, text, *trust)

    def stop(self, server, code=0):
        server.kill(signal.SIGTERM)
        self.assertEqual(server.finish(), code, server.errors)

    def errors(self, server, *words):
        """Wait until its error output has all of the words."""
        server.wait_for(lambda s: all(
            word.encode() in s.errors for word in words))

    @plain_and_tls
    def test_a_line(self, tls):
        server, port = self.serve(tls=tls)
        self.assertEqual(self.ask(port, tls=tls),
                         (0, TEXT.encode() + b"\n", b""))
        self.stop(server)
        self.assertEqual(server.errors, b"")

    @plain_and_tls
    def test_more_than_a_buffer(self, tls):
        """And several records."""
        text = "0123456789" * 6000
        server, port = self.serve(tls=tls)
        self.assertEqual(self.ask(port, text, tls=tls),
                         (0, text.encode() + b"\n", b""))

    @plain_and_tls
    def test_silent_clients(self, tls):
        """They delay no other client, and are closed at their timeout."""
        server, port = self.serve("1", tls=tls)
        silent = [self.connect(port) for _ in range(20)]
        self.assertEqual(self.ask(port, tls=tls)[0], 0)
        for connection in silent:
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(connection.recv(1), b"")
        self.errors(server, "no progress for too long")
        self.stop(server)

    def test_a_client_that_does_not_read(self):
        """The buffers of its connection fill, and it is closed."""
        server, port = self.serve("1")
        greedy = self.connect(port)
        greedy.settimeout(support.LIMIT)
        with self.assertRaises(ConnectionError):
            while True:
                greedy.sendall(bytes(65536))
        self.errors(server, "no progress for too long")
        self.assertEqual(self.ask(port)[0], 0)
        self.stop(server)

    def test_a_client_that_reads_late(self):
        """When all buffers are full, the server's writes are short."""
        data = b"".join(b"%07d " % n for n in range(250_000)) * 8
        server, port = self.serve()
        client = self.connect(port)
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        self.addCleanup(sender.join)
        # At the earliest when the first bytes are back.
        self.assertTrue(readable(client, support.LIMIT))
        sender.join(0.3)
        told = bytearray()
        while len(told) < len(data):
            piece = client.recv(65536)
            self.assertNotEqual(piece, b"")
            told += piece
        self.assertEqual(support.sha256(told), support.sha256(data))
        sender.join()
        self.stop(server)
        self.assertEqual(server.errors, b"")

    def test_a_client_that_breaks_off(self):
        server, port = self.serve()
        rude = self.connect(port)
        rude.sendall(b"x")
        self.assertEqual(rude.recv(1), b"x")
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
        rude.close()
        self.errors(server, "reset")
        self.assertEqual(self.ask(port)[0], 0)
        self.stop(server)

    @plain_and_tls
    def test_many_clients(self, tls):
        """Each has its own bytes back."""
        server, port = self.serve(tls=tls)
        clients = [
            self.connect_tls(port, "localhost") if tls
            else self.connect(port) for _ in range(50)
        ]
        for number, client in enumerate(clients):
            client.sendall(b"%d " % number)
        for number, client in enumerate(clients):
            wanted = b"%d " % number
            told = b""
            while len(told) < len(wanted):
                told += client.recv(100)
            self.assertEqual(told, wanted)
        if not tls:
            for client in clients:
                client.shutdown(socket.SHUT_WR)
                self.assertEqual(receive_all(client), b"")
        self.stop(server)
        self.assertEqual(server.errors, b"")

    @plain_and_tls
    def test_stopping_with_clients(self, tls):
        server, port = self.serve(tls=tls)
        client = (self.connect_tls(port, "localhost") if tls
                  else self.connect(port))
        client.sendall(b"x")
        self.assertEqual(client.recv(1), b"x")
        self.stop(server)

    def test_a_silent_server(self):
        """In the handshake, before the answer, and in the middle of it."""
        silent = self.listen()
        port = silent.getsockname()[1]
        code, out, told = self.ask(port, seconds="0.2")
        self.assertEqual((code, out), (1, b""))
        self.assertIn(b"cannot receive: tcp: the deadline passed", told)
        code, out, told = self.ask(port, seconds="0.2", tls=True)
        self.assertEqual((code, out), (1, b""))
        self.assertIn(b"cannot connect: tls: the deadline passed", told)
        slow = self.listen()
        client = self.start(program("tutorial_client"), "tcp://127.0.0.1:%d"
                            % slow.getsockname()[1], "1", TEXT)
        connection = slow.accept()[0]
        self.addCleanup(connection.close)
        connection.settimeout(Limit().left())
        self.assertEqual(receive_all(connection), TEXT.encode() + b"\n")
        connection.sendall(b"half of ")
        self.assertEqual(client.finish(), 1)
        self.assertEqual(client.output, b"half of ")
        self.assertIn(b"cannot receive: tcp: the deadline passed",
                      client.errors)

    def test_wrong_names(self):
        server, port = self.serve(tls=True)
        code, _, told = run(
            program("tutorial_client"), "tcp://127.0.0.1:%d" % port, "30",
            TEXT, "example.org", self.pki.ca)
        self.assertEqual(code, 1)
        self.assertIn(b"host name mismatch", told)
        self.errors(server, "received fatal alert: bad_certificate")
        self.assertEqual(self.ask(port, tls=True)[0], 0)

    def test_usage(self):
        for name, *arguments in (
                ("client",), ("client", "tcp://a:1", "5"),
                ("client", "tcp://a:1", "5", "x", "name"),
                ("client", "tcp://a:1", "0", "x"),
                ("client", "tcp://a:1", "nan", "x"),
                ("server",), ("server", "tcp://127.0.0.1:0"),
                ("server", "tcp://127.0.0.1:0", "5", "cert"),
                ("server", "tcp://127.0.0.1:0", "-1")):
            with self.subTest(" ".join([name, *arguments])):
                code, out, told = run(program("tutorial_" + name), *arguments)
                self.assertEqual((code, out), (2, b""))
                self.assertRegex(told, b"^(usage: )?" + name.encode())


if __name__ == "__main__":
    support.main()
