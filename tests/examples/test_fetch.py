#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""flow-fetch with servers that are not ours, correct and faulty ones."""

import fcntl
import os
import pty
import re
import socket
import ssl
import struct
import subprocess
import termios
import threading

import support
from support import LIMIT, program, run, sha256

NAME = "www.flow.test"
# The length of a large body; less under a sanitizer.
BIG = 176_000_000 if os.environ.get("FLOW_SLOW") else 20_000_000


class Fetch(support.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pki.make("www", [NAME])
        cls.pki.make("expired", [NAME], start="20200101", end="20200201")
        cls.pki.make("future", [NAME], start="20900101", end="20910101")
        cls.pki.make_ca("other")
        cls.pki.make("untrusted", [NAME], ca="other")

    def fetch(self, port, *more, url="https://%s/" % NAME, **options):
        trust = ["--ca", self.pki.ca] if url.startswith("https:") else []
        return run(program("flow-fetch"), *trust, "--connect",
                   "127.0.0.1:%d" % port, *more, url, **options)

    def answer(self, *pieces, tls="www", cut=False, until=None, read=True):
        """Start a server that sends these pieces to one client; its port.  `cut`:
        ends without close_notify; `until`: an event before the last piece."""
        server = self.listen()

        def serve():
            connection = server.accept()[0]
            connection.settimeout(LIMIT)
            try:
                if tls:
                    connection = self.pki.server(tls).wrap_socket(
                        connection, server_side=True,
                        suppress_ragged_eofs=False)
                request = b""
                while read and b"\r\n\r\n" not in request:
                    request += connection.recv(4096)
                self.request = request
                for piece in pieces[:-1]:
                    connection.sendall(piece)
                if until:
                    until.wait(LIMIT)
                connection.sendall(pieces[-1])
                if tls and not cut:
                    connection = connection.unwrap()
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
            except (OSError, ssl.SSLError):
                pass # the test looks at the client
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        self.addCleanup(thread.join)
        return server.getsockname()[1]

    def failed(self, result, *texts, code=1):
        got, _, err = result
        self.assertEqual(got, code, err)
        for text in texts:
            self.assertIn(text, err.decode())


class Bodies(Fetch):
    def test_length(self):
        port = self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        self.assertEqual(self.fetch(port)[:2], (0, b"hello"))
        head = self.request.decode().split("\r\n")
        self.assertEqual(head[0], "GET / HTTP/1.1")
        self.assertIn("Host: " + NAME, head)
        self.assertIn("Connection: close", head)

    def test_plain(self):
        port = self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                           tls=None)
        got = self.fetch(port, url="http://%s:8080/a?b#c" % NAME)
        self.assertEqual(got[:2], (0, b"hello"), got)
        head = self.request.decode().split("\r\n")
        self.assertEqual(head[0], "GET /a?b HTTP/1.1")
        self.assertIn("Host: %s:8080" % NAME, head)

    def test_chunks_and_remarks(self):
        port = self.answer(b"HTTP/1.1 100 Continue\r\n\r\n"
                           b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1",
                           b".1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5",
                           b"\r\nhel", b"lo\r\n1;x=y\r", b"\n!\r\n0\r\n",
                           b"Trailer: t\r\n\r\n")
        self.assertEqual(self.fetch(port)[:2], (0, b"hello!"))

    def test_until_close(self):
        port = self.answer(b"HTTP/1.0 200 OK\r\n\r\n", b"hello")
        self.assertEqual(self.fetch(port)[:2], (0, b"hello"))

    def test_answer_to_an_unread_request(self):
        port = self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                           read=False)
        self.assertEqual(self.fetch(port)[:2], (0, b"hello"))

    def test_versions(self):
        for option, text in (("--tls1.2", b"TLSv1.2 "), ("--tls1.3", b"TLSv1.3 ")):
            port = self.answer(
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            code, out, err = self.fetch(port, option, "-v")
            self.assertEqual((code, out), (0, b"hello"), err)
            self.assertIn(text, err)
            self.assertIn(b"certificate verified for " + NAME.encode(), err)

    def test_without_standard_error(self):
        """The socket must not get descriptor 2, where messages are written."""
        port = self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        code, out, _ = run("sh", "-c", 'exec "$@" 2>&-', "sh",
                           program("flow-fetch"), "-v", "--ca", self.pki.ca,
                           "--connect", "127.0.0.1:%d" % port,
                           "https://%s/" % NAME)
        self.assertEqual((code, out), (0, b"hello"))

    def test_without_standard_output(self):
        port = self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        got = run("sh", "-c", 'exec "$@" >&-', "sh", program("flow-fetch"),
                  "--ca", self.pki.ca, "--connect", "127.0.0.1:%d" % port,
                  "https://%s/" % NAME)
        self.failed(got, "standard output")

    def test_file_appears_when_it_is_whole(self):
        path = self.directory / "body"
        port = self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        got = self.fetch(port, "-o", str(path))
        self.assertEqual(got[:2], (0, b""), got)
        self.assertEqual(path.read_bytes(), b"hello")
        port = self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
        self.failed(self.fetch(port, "-o", str(path)), "5 of 9 bytes")
        self.assertEqual(path.read_bytes(), b"hello")
        self.assertEqual(len(list(self.directory.glob("body*"))), 1)

    def test_interrupt_leaves_no_file(self):
        shown = threading.Event()
        path = self.directory / "interrupted"
        port = self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
                           b"lo", until=shown)
        fetch = self.start(
            program("flow-fetch"), "--ca", self.pki.ca, "-v", "--connect",
            "127.0.0.1:%d" % port, "-o", str(path), "https://%s/" % NAME)
        limit = support.Limit()
        while not list(self.directory.glob("interrupted.*")):
            limit.left()
        fetch.kill()
        self.assertEqual(fetch.finish(), -15)
        shown.set()
        self.assertEqual(list(self.directory.glob("interrupted*")), [])

    def test_output_that_cannot_be_written(self):
        body = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        self.failed(self.fetch(self.answer(body), "-o", "/no/such/dir/x"),
                    "cannot write /no/such/dir/x: No such file")
        if os.path.exists("/dev/full"):
            self.failed(self.fetch(self.answer(body), "-o", "/dev/full"),
                        "cannot write /dev/full: No space left")
        self.assertEqual(self.fetch(self.answer(body), "-o", "/dev/null")[0], 0)


class Failures(Fetch):
    """Errors name the layer, the certificate and the check."""

    hello = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

    def test_wrong_name(self):
        got = self.fetch(self.answer(self.hello),
                         url="https://wrong.flow.test/")
        self.failed(got, "cannot fetch https://wrong.flow.test/", "tls",
                    "host name mismatch (wrong.flow.test, certificate of CN="
                    + NAME)
        self.assertEqual(got[1], b"")

    def test_expired(self):
        self.failed(self.fetch(self.answer(self.hello, tls="expired")),
                    "tls", "expired")

    def test_not_yet_valid(self):
        self.failed(self.fetch(self.answer(self.hello, tls="future")),
                    "tls", "not yet valid")

    def test_untrusted(self):
        self.failed(self.fetch(self.answer(self.hello, tls="untrusted")),
                    "tls", "trust")

    def test_insecure_accepts_all_of_them(self):
        for certificate in ("expired", "future", "untrusted"):
            got = self.fetch(self.answer(self.hello, tls=certificate),
                             "--insecure-skip-verify", "-v",
                             url="https://wrong.flow.test/")
            self.assertEqual(got[:2], (0, b"hello"), got)
            self.assertIn(b"NOT VERIFIED", got[2])

    def test_refused_connection(self):
        self.failed(self.fetch(self.refusing_port()), "tcp", "refused",
                    "127.0.0.1")

    def test_no_such_host(self):
        self.failed(run(program("flow-fetch"), "http://no-such-host.invalid/"),
                    "no-such-host.invalid")

    def test_server_without_tls(self):
        self.failed(self.fetch(self.answer(self.hello, tls=None, read=False)),
                    "tls")

    def test_no_common_version(self):
        server = self.start(
            "openssl", "s_server", "-accept", "127.0.0.1:0", "-tls1_2",
            "-cert", self.pki.path("www.pem"), "-key", self.pki.path("www.key"),
            stdin=subprocess.PIPE)
        port = int(server.line(b"ACCEPT ").rpartition(":")[2])
        self.failed(self.fetch(port, "--tls1.3"), "tls", "protocol_version")

    def test_server_with_only_h2(self):
        server = self.start(
            "openssl", "s_server", "-accept", "127.0.0.1:0", "-alpn", "h2",
            "-cert", self.pki.path("www.pem"), "-key", self.pki.path("www.key"),
            stdin=subprocess.PIPE)
        port = int(server.line(b"ACCEPT ").rpartition(":")[2])
        self.failed(self.fetch(port, "--alpn", "h2"), "selected the protocol 'h2'")
        self.failed(self.fetch(port), "no_application_protocol")

    def test_silence(self):
        shown = threading.Event()
        port = self.answer(b"", self.hello, until=shown)
        # Long enough for a handshake on a busy machine.
        got = self.fetch(port, "--timeout", "2")
        shown.set()
        self.failed(got, "no data received for 2 s")

    def test_silent_handshake(self):
        server = self.listen()
        got = self.fetch(server.getsockname()[1], "--timeout", "0.3")
        self.failed(got, "cannot fetch", "within 0.3 s (--timeout)",
                    "tls: the handshake took longer than its limit")

    def test_cut_short(self):
        port = self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
        self.failed(self.fetch(port), "cut short after 5 of 9 bytes",
                    "the server closed the connection")
        port = self.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                           b"\r\n5\r\nhello\r\n")
        self.failed(self.fetch(port), "cut short after 5 bytes")

    def test_cut_without_close_notify(self):
        """An attacker can end a TCP connection, but it is not an orderly end."""
        port = self.answer(b"HTTP/1.1 200 OK\r\n\r\n", b"hello", cut=True)
        self.failed(self.fetch(port), "cut short after 5 bytes", "tls",
                    "close_notify")
        # If the server sends the length first, no close_notify is needed.
        self.assertEqual(self.fetch(self.answer(self.hello, cut=True))[:2],
                         (0, b"hello"))

    def test_no_answer(self):
        self.failed(self.fetch(self.answer(b"")), "without a response")
        self.failed(self.fetch(self.answer(b"HTTP/1.1 200 OK\r\nA: b\r\n")),
                    "ends within its head")
        self.failed(self.fetch(self.answer(b"220 mail.example ESMTP\r\n")),
                    "does not speak HTTP/1")

    def test_two_lengths(self):
        port = self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"
                           b"Content-Length: 4\r\n\r\nhello")
        self.failed(self.fetch(port), "two different Content-Length")

    def test_bad_chunk(self):
        port = self.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
                           b"\r\n5\r\nhello!\r\n0\r\n\r\n")
        self.failed(self.fetch(port), "a chunk is longer than its size")

    def test_status(self):
        port = self.answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n"
                           b"\r\nno")
        got = self.fetch(port)
        self.failed(got, "the server responded 404 Not Found")
        self.assertEqual(got[1], b"")
        port = self.answer(b"HTTP/1.1 301 Moved\r\nLocation: https://x/y\r\n"
                           b"Content-Length: 0\r\n\r\n")
        self.failed(self.fetch(port), "has moved (301 Moved): fetch https://x/y")


class Sessions(Fetch):
    """Sessions that other servers give, kept in a file."""

    def fetch_with(self, file, port, *more):
        """One fetch; its code, and whether it resumed a session."""
        code, _, err = self.fetch(port, "-v", "--session-file", str(file),
                                  *more)
        self.assertNotIn(b"Traceback", err)
        return code, b"session resumed" in err

    def s_server(self, *more):
        server = self.start(
            "openssl", "s_server", "-accept", "127.0.0.1:0", "-www",
            "-cert", self.pki.path("www.pem"), "-key",
            self.pki.path("www.key"), *more)
        return server, int(server.line(b"ACCEPT ").rpartition(":")[2])

    def test_openssl(self):
        for version in ("1.2", "1.3"):
            file = self.directory / ("openssl" + version)
            server, port = self.s_server()
            for again in (False, True, True):
                self.assertEqual(
                    self.fetch_with(file, port, "--tls" + version), (0, again))
            server.close()
            # Another server, which has not the keys.
            server, port = self.s_server()
            self.assertEqual(
                self.fetch_with(file, port, "--tls" + version), (0, False))
            server.close()

    def test_gnutls(self):
        self.need("gnutls-serv")
        for version in ("1.2", "1.3"):
            file = self.directory / ("gnutls" + version)
            held = self.listen()
            port = held.getsockname()[1]
            held.close()
            server = self.start(
                "gnutls-serv", "--http", "--port", str(port), "--x509certfile",
                self.pki.path("www.pem"), "--x509keyfile",
                self.pki.path("www.key"))
            # It says where it will listen before it does.
            server.wait_for(lambda s: re.search(
                rb"listening on IPv4 .*done\n", s.output + s.errors))
            for again in (False, True, True):
                self.assertEqual(
                    self.fetch_with(file, port, "--tls" + version), (0, again))
            server.close()

    def test_a_server_gives_up_a_version(self):
        """The session is used up by the fetch that fails."""
        file = self.directory / "gives-up"
        server, port = self.s_server("-tls1_3")
        self.assertEqual(self.fetch_with(file, port), (0, False))
        server.close()
        server, port = self.s_server("-tls1_2")
        self.failed(self.fetch(port, "--session-file", str(file)),
                    "protocol_version")
        self.assertEqual(self.fetch_with(file, port), (0, False))
        self.assertEqual(self.fetch_with(file, port), (0, True))
        server.close()

    def test_a_refused_file_stays(self):
        file = self.directory / "refused"
        file.write_bytes(b"something")
        file.chmod(0o644)
        server, port = self.s_server()
        self.failed(self.fetch(port, "--session-file", str(file)),
                    "only you can read and write")
        self.assertEqual(file.read_bytes(), b"something")
        pipe = self.directory / "pipe"
        os.mkfifo(pipe, 0o600)
        self.failed(self.fetch(port, "--session-file", str(pipe)),
                    "only you can read and write")
        server.close()


class OtherServers(Fetch):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.big = os.urandom(1_000_000) * (BIG // 1_000_000)
        (cls.directory / "big.bin").write_bytes(cls.big)

    def fetch_big(self, port, *more, url="https://%s/big.bin" % NAME):
        path = self.directory / "got"
        code, _, err = self.fetch(port, "-o", str(path), *more, url=url)
        self.assertEqual(code, 0, err)
        self.assertEqual(sha256(path.read_bytes()), sha256(self.big))
        path.unlink()

    def test_openssl(self):
        for version in ("1.2", "1.3"):
            server = self.start(
                "openssl", "s_server", "-accept", "127.0.0.1:0", "-WWW",
                "-cert", self.pki.path("www.pem"), "-key",
                self.pki.path("www.key"), cwd=self.directory)
            port = int(server.line(b"ACCEPT ").rpartition(":")[2])
            self.fetch_big(port, "--tls" + version)
            server.close()

    def nginx(self):
        """nginx on ports that the system chose: it inherits listening sockets
        as if from an older process of its own."""
        self.need("nginx")
        plain, tls = self.listen(), self.listen()
        ports = [s.getsockname()[1] for s in (plain, tls)]
        conf = self.directory / "nginx.conf"
        conf.write_text("""
            daemon off; pid nginx.pid; %s
            error_log stderr warn;
            events { }
            http {
                access_log off; root %s;
                client_body_temp_path t1; proxy_temp_path t2;
                fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
                server {
                    listen 127.0.0.1:%d;
                    listen 127.0.0.1:%d ssl;
                    ssl_protocols TLSv1.2 TLSv1.3;
                    ssl_certificate %s; ssl_certificate_key %s;
                }
            }""" % ("user root;" if os.geteuid() == 0 else "",
                    self.directory, *ports, self.pki.path("www.pem"),
                    self.pki.path("www.key")))
        server = self.start(
            "nginx", "-p", str(self.directory), "-c", str(conf), "-e",
            "stderr", pass_fds=[plain.fileno(), tls.fileno()],
            env=dict(os.environ, NGINX="%d;%d;" % (plain.fileno(),
                                                   tls.fileno())))
        return server, ports

    def test_nginx(self):
        server, (plain, tls) = self.nginx()
        for version in ("1.2", "1.3"):
            self.fetch_big(tls, "--tls" + version)
        self.fetch_big(plain, url="http://%s/big.bin" % NAME)
        self.failed(self.fetch(tls, url="https://%s/none" % NAME),
                    "404 Not Found")
        server.close()


class Terminal(Fetch):
    def drip(self, size, seen):
        """A server that is slow until the expected output was seen."""
        server = self.listen()

        def serve():
            connection = server.accept()[0]
            connection.recv(4096)
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            sent = 0
            while sent < size // 2 and not seen.wait(0.05):
                sent += connection.send(bytes(10_000))
            connection.sendall(bytes(size - sent))
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        self.addCleanup(thread.join)
        return server.getsockname()[1]

    def test_progress_bar(self):
        seen = threading.Event()
        port = self.drip(3_000_000, seen)
        try:
            master, slave = pty.openpty()
        except OSError as error:
            self.skipTest("no terminal can be had: %s" % error)
        self.addCleanup(os.close, master)
        fcntl.ioctl(slave, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 24, 90, 0, 0))
        fetch = subprocess.Popen(
            [program("flow-fetch"), "-o", str(self.directory / "bar"),
             "http://127.0.0.1:%d/" % port],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=slave)
        os.close(slave)
        shown = b""
        try:
            while data := os.read(master, 65536):
                shown += data
                if b"%" in shown:
                    seen.set()
        except OSError:
            pass # the other end of the terminal was closed
        self.assertEqual(fetch.wait(LIMIT), 0)
        bars = re.split(rb"\r|\n", shown.replace(b"\x1b[K", b""))
        bars = [bar.decode() for bar in bars if bar]
        shape = (r"^\[[#.]{20,40}\] +\d+ % +[\d.]+ [kMG]?B +of [\d.]+ MB "
                 r"+[\d.]+ [kMG]?B/s +\d+:\d\d( left)? *$")
        self.assertGreaterEqual(len(bars), 2)
        for bar in bars:
            self.assertRegex(bar, shape)
            self.assertLess(len(bar), 90)
        self.assertIn("100 %", bars[-1])
        self.assertTrue(shown.endswith(b"\n"))

    def test_no_progress_bar_elsewhere(self):
        seen = threading.Event()
        seen.set()
        port = self.drip(3_000_000, seen)
        code, out, err = run(program("flow-fetch"),
                             "http://127.0.0.1:%d/" % port)
        self.assertEqual((code, len(out), err), (0, 3_000_000, b""))


class Usage(Fetch):
    def test_help(self):
        code, out, _ = run(program("flow-fetch"), "--help")
        self.assertEqual(code, 0)
        for option in ("output", "ca", "connect", "alpn", "tls1.2", "tls1.3",
                       "session-file", "timeout", "insecure-skip-verify",
                       "quiet", "verbose", "keylog",
                       "version"):
            self.assertIn(b"--" + option.encode(), out)

    def test_wrong_usage(self):
        for arguments, text in (
                ([], "URL is missing"),
                (["https://a/", "https://b/"], "more than one URL"),
                (["example.org"], "does not begin with https://"),
                (["https://user@h/"], "user name"),
                (["--timeout", "0", "https://h/"], "expected a positive number of seconds"),
                (["--connect", "h", "https://h/"], "has no port"),
                (["--tls1.2", "--tls1.3", "https://h/"], "exclude each other"),
                (["--nonsense"], "--nonsense")):
            self.failed(run(program("flow-fetch"), *arguments), text, code=2)

    def test_trust_that_cannot_be_read(self):
        self.failed(run(program("flow-fetch"), "--ca", "/no/such.pem",
                        "https://h/"), "/no/such.pem")


if __name__ == "__main__":
    support.main()
