#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""flow-site, from the outside."""

import array
import fcntl
import os
import pathlib
import re
import signal
import socket
import ssl
import termios
import time

import support
from support import LIMIT, Limit, program, receive_all, run, sha256

PAGE = b"<!DOCTYPE html><title>page</title>\n"
PAPER = b"%PDF-1.4\n" + bytes(range(256)) * 400
DISK = os.urandom(6_000_001)
NAMES = {"www.flow.test": ("page.html", PAGE, "text/html; charset=utf-8"),
         "paper.flow.test": ("paper.pdf", PAPER, "application/pdf"),
         "disk.flow.test": ("disk.bin", DISK, "application/octet-stream")}
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def split(answer):
    """Status, fields, body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), fields, body


class Site(support.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, (file, content, _) in NAMES.items():
            (cls.directory / file).write_bytes(content)
        cls.pki.make("www", ["www.flow.test"])
        cls.pki.make("paper", ["paper.flow.test"], "secp384r1")
        cls.pki.make("disk", ["disk.flow.test", "*.flow.test"], "rsa")

    def command(self, *more, files=None):
        command = [program("flow-site"), "--listen", "127.0.0.1:0"]
        for name in ("www", "paper", "disk"):
            command += ["--cert", self.pki.path(name + ".pem"),
                        "--key", self.pki.path(name + ".key")]
        for name, (file, _, _) in (files or NAMES).items():
            command += ["--serve", "%s=%s" % (name, self.directory / file)]
        return command + list(more)

    def serve(self, *more, files=None):
        site = self.start(*self.command(*more, files=files))
        address = site.line(b"listening on ")
        self.assertTrue(address.startswith("127.0.0.1:"))
        site.port = int(address.rpartition(":")[2])
        return site

    def end(self, site, code=0):
        """SIGTERM ends it in order, and a sanitizer reports no leak."""
        site.kill()
        self.assertEqual(site.finish(), code, site.errors)

    def get(self, port, name, **options):
        tls = self.connect_tls(port, name, **options)
        tls.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % name.encode())
        answer = receive_all(tls)
        tls.close()
        return split(answer)


class Answers(Site):
    def test_every_name_over_both_versions(self):
        site = self.serve()
        for version in VERSIONS.values():
            for name, (_, content, kind) in NAMES.items():
                status, fields, body = self.get(site.port, name,
                                                version=version)
                self.assertEqual(status, 200)
                self.assertEqual(fields["Content-Type"], kind)
                self.assertEqual(fields["Content-Length"], str(len(content)))
                self.assertEqual(fields["Connection"], "close")
                self.assertRegex(fields["Date"],
                                 r"^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$")
                self.assertEqual(sha256(body), sha256(content))
        self.end(site)

    def test_curl(self):
        self.need("curl")
        site = self.serve()
        for version in (["--tlsv1.2", "--tls-max", "1.2"], ["--tlsv1.3"]):
            for name, (_, content, _) in NAMES.items():
                code, out, err = run(
                    "curl", "-sS", "--fail", "--noproxy", "*", *version,
                    "--cacert", self.pki.ca, "--connect-to",
                    "%s:443:127.0.0.1:%d" % (name, site.port),
                    "https://%s/x?y" % name)
                self.assertEqual(code, 0, err)
                self.assertEqual(sha256(out), sha256(content))
        self.end(site)

    def test_openssl(self):
        site = self.serve()
        for version in ("-tls1_2", "-tls1_3"):
            for name, (_, content, _) in NAMES.items():
                code, out, err = run(
                    "openssl", "s_client", "-quiet", version,
                    "-connect", "127.0.0.1:%d" % site.port, "-servername",
                    name, "-verify_hostname", name, "-verify_return_error",
                    "-CAfile", self.pki.ca,
                    stdin=b"GET / HTTP/1.0\r\n\r\n")
                self.assertEqual(code, 0, err)
                self.assertEqual(sha256(split(out)[2]), sha256(content))
        self.end(site)

    def test_gnutls(self):
        self.need("gnutls-cli")
        # gnutls-cli takes seconds to print a megabyte.
        (self.directory / "small.bin").write_bytes(DISK[:200_000])
        files = dict(NAMES)
        files["disk.flow.test"] = ("small.bin", DISK[:200_000], None)
        site = self.serve(files=files)
        for version in ("1.2", "1.3"):
            for name, (_, content, _) in files.items():
                code, out, err = run(
                    "gnutls-cli", "--x509cafile", self.pki.ca,
                    "--sni-hostname", name, "--verify-hostname", name,
                    "--priority", "NORMAL:-VERS-ALL:+VERS-TLS" + version,
                    "--logfile", str(self.directory / "gnutls.log"),
                    "-p", str(site.port), "127.0.0.1",
                    stdin=b"GET / HTTP/1.0\r\n\r\n")
                self.assertEqual(code, 0, err)
                self.assertEqual(sha256(split(out)[2]), sha256(content))
        self.end(site)

    def test_flow_fetch(self):
        site = self.serve()
        for version in ("--tls1.2", "--tls1.3"):
            for name, (_, content, _) in NAMES.items():
                code, out, err = run(
                    program("flow-fetch"), version, "--ca", self.pki.ca,
                    "--connect", "127.0.0.1:%d" % site.port,
                    "https://%s/" % name)
                self.assertEqual(code, 0, err)
                self.assertEqual(sha256(out), sha256(content))
        self.end(site)

    def fetch_again(self, site, file, version, *more, name="www.flow.test"):
        """One flow-fetch with a session file; whether the session was resumed."""
        code, out, err = run(
            program("flow-fetch"), version, "--ca", self.pki.ca, "-v",
            "--session-file", str(file), *more,
            "--connect", "127.0.0.1:%d" % site.port, "https://%s/" % name)
        self.assertEqual(code, 0, err)
        self.assertEqual(sha256(out), sha256(NAMES[name][1]))
        return b"session resumed" in err, err

    def test_flow_fetch_resumes(self):
        site = self.serve()
        for version in ("--tls1.2", "--tls1.3"):
            file = self.directory / ("sessions" + version)
            self.assertFalse(self.fetch_again(site, file, version)[0])
            self.assertEqual(file.stat().st_mode & 0o777, 0o600)
            for _ in range(3):
                self.assertTrue(self.fetch_again(site, file, version)[0])
            # Another name on the same port.
            self.assertFalse(self.fetch_again(site, file, version,
                                              name="disk.flow.test")[0])
            self.assertTrue(self.fetch_again(site, file, version)[0])
            # Not what a verified session says, and not the other way round.
            self.assertFalse(self.fetch_again(site, file, version,
                                              "--insecure-skip-verify")[0])
        self.end(site)

    def test_a_damaged_session_file_is_replaced(self):
        site = self.serve()
        file = self.directory / "damaged"
        self.fetch_again(site, file, "--tls1.3")
        good = file.read_bytes()
        for bad in (b"", good[:40], good[:-1], b"x" + good[1:],
                    good[:-1] + bytes([good[-1] ^ 1])):
            file.write_bytes(bad)
            resumed, err = self.fetch_again(site, file, "--tls1.3")
            self.assertFalse(resumed)
            self.assertIn(b"ignored", err)
            self.assertTrue(self.fetch_again(site, file, "--tls1.3")[0])
        self.end(site)

    def test_a_session_file_of_others_is_refused(self):
        site = self.serve()
        file = self.directory / "public"
        file.write_bytes(b"")
        file.chmod(0o644)
        code, _, err = run(
            program("flow-fetch"), "--ca", self.pki.ca, "--session-file",
            str(file), "--connect", "127.0.0.1:%d" % site.port,
            "https://www.flow.test/")
        self.assertEqual(code, 1)
        self.assertIn(b"only you can read and write", err)
        self.end(site)

    def test_openssl_resumes(self):
        site = self.serve()
        for version in ("-tls1_2", "-tls1_3"):
            file = str(self.directory / ("openssl" + version))
            for more in (("-sess_out", file), ("-sess_in", file)):
                code, out, err = run(
                    "openssl", "s_client", version, "-ign_eof",
                    "-connect", "127.0.0.1:%d" % site.port, "-servername",
                    "www.flow.test", "-CAfile", self.pki.ca, *more,
                    stdin=b"GET / HTTP/1.0\r\n\r\n")
                self.assertEqual(code, 0, err)
                self.assertIn(b"Reused" if more[0] == "-sess_in" else b"New",
                              out)
        code, out, err = run(
            "openssl", "s_client", "-tls1_2", "-reconnect", "-ign_eof",
            "-connect", "127.0.0.1:%d" % site.port, "-servername",
            "www.flow.test", "-CAfile", self.pki.ca,
            stdin=b"GET / HTTP/1.0\r\n\r\n")
        self.assertEqual(out.count(b"Reused, TLS"), 5, out)
        self.end(site)

    def test_gnutls_resumes(self):
        self.need("gnutls-cli")
        site = self.serve()
        for version in ("1.2", "1.3"):
            code, out, err = run(
                "gnutls-cli", "--resume", "--waitresumption", "--x509cafile",
                self.pki.ca, "--sni-hostname", "www.flow.test",
                "--verify-hostname", "www.flow.test",
                "--priority", "NORMAL:-VERS-ALL:+VERS-TLS" + version,
                "-p", str(site.port), "127.0.0.1",
                stdin=b"GET / HTTP/1.0\r\n\r\n")
            self.assertIn(b"This is a resumed session", out, err)
        self.end(site)

    def test_curl_resumes(self):
        """In TLS 1.2 curl may ask for no tickets."""
        self.need("curl")
        site = self.serve()
        url = "https://www.flow.test:%d/" % site.port
        code, out, err = run(
            "curl", "-sv", "--fail", "--noproxy", "*", "--tlsv1.3",
            "--cacert", self.pki.ca, "--resolve",
            "www.flow.test:%d:127.0.0.1" % site.port,
            "-H", "Connection: close", url, url)
        self.assertEqual(code, 0, err)
        self.assertEqual(out, PAGE + PAGE)
        # Two connections, one of which was spared the certificates.
        self.assertEqual(err.count(b"Client hello"), 2, err)
        self.assertEqual(err.count(b", Certificate (11)"), 1, err)
        self.end(site)

    def test_name_is_not_case_sensitive(self):
        site = self.serve()
        self.assertEqual(self.get(site.port, "WWW.Flow.TEST")[2], PAGE)
        self.end(site)

    def test_other_names_get_421(self):
        site = self.serve()
        status, _, body = self.get(site.port, "other.flow.test")
        self.assertEqual(status, 421)
        self.assertIn(b"does not serve that name", body)
        self.end(site)

    def test_other_names_get_the_default(self):
        site = self.serve("--default", "paper.flow.test")
        self.assertEqual(self.get(site.port, "other.flow.test")[2], PAPER)
        nameless = self.pki.client()
        nameless.check_hostname = False
        tls = nameless.wrap_socket(self.connect(site.port))
        self.addCleanup(tls.close)
        self.assertEqual(split(receive_all(tls))[2], PAPER)
        tls.close()
        self.end(site)

    def test_alpn(self):
        site = self.serve()
        context = self.pki.client()
        context.set_alpn_protocols(["h2", "http/1.1"])
        tls = self.connect_tls(site.port, "www.flow.test", context=context)
        self.assertEqual(tls.selected_alpn_protocol(), "http/1.1")
        context = self.pki.client()
        context.set_alpn_protocols(["h2"])
        with self.assertRaisesRegex(ssl.SSLError, "(?i)no.application"):
            self.connect_tls(site.port, "www.flow.test", context=context)
        tls.close()
        self.end(site)

    def test_empty_file(self):
        (self.directory / "empty.txt").write_bytes(b"")
        site = self.serve("--serve", "empty.flow.test=%s"
                          % (self.directory / "empty.txt"))
        status, fields, body = self.get(site.port, "empty.flow.test")
        self.assertEqual((status, body), (200, b""))
        self.assertEqual(fields["Content-Length"], "0")
        self.end(site)

    def test_log(self):
        site = self.serve("--log")
        self.get(site.port, "www.flow.test", version=VERSIONS["1.2"])
        site.wait_for(lambda s: re.search(
            rb"127\.0\.0\.1:\d+ https www\.flow\.test TLSv1\.2 200 %d bytes "
            rb"\d+ ms\n" % len(PAGE), s.errors))
        self.end(site)

    def test_plain_http_gets_400(self):
        site = self.serve("--log")
        request = b"GET / HTTP/1.1\r\nHost: www.flow.test\r\n\r\n"
        for size in (len(request), 1):
            plain = self.connect(site.port)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(request), size):
                plain.sendall(request[at:at + size])
            status, fields, body = split(receive_all(plain))
            plain.close()
            self.assertEqual(status, 400)
            self.assertEqual(fields["Connection"], "close")
            self.assertEqual(fields["Content-Length"], str(len(body)))
            self.assertIn(b"speaks HTTPS", body)
        site.wait_for(lambda s: s.errors.count(
            b" https handshake: tls: the peer does not speak TLS "
            b"(GET /)\n") == 2)
        self.end(site)

    def test_curl_with_the_wrong_scheme(self):
        self.need("curl")
        site = self.serve()
        code, out, err = run(
            "curl", "-sS", "--noproxy", "*", "-w", "%{http_code}",
            "-d", "x" * 60_000, "http://127.0.0.1:%d/" % site.port)
        self.assertEqual(code, 0, err)
        self.assertIn(b"speaks HTTPS", out)
        self.assertTrue(out.endswith(b"400"), out)
        self.end(site)

    def test_binary_garbage_gets_an_alert(self):
        site = self.serve("--log")
        for garbage in (b"\0" * 99, b"\x80\x2e\x01\x03\x01" + b"\0" * 60_000):
            other = self.connect(site.port)
            other.sendall(garbage)
            self.assertEqual(receive_all(other), b"\x15\3\3\0\2\2\x0a")
            other.close()
        site.wait_for(lambda s: s.errors.count(
            b"the peer does not speak TLS, alert sent: "
            b"unexpected_message\n") == 2)
        self.end(site)

    def test_clients_without_tls_harm_no_other(self):
        site = self.serve("--log")
        for garbage in (b"GET / HTTP/1.1\r\nHost: www.flow.test\r\n\r\n",
                        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\0" * 99):
            plain = self.connect(site.port)
            plain.sendall(garbage)
            plain.shutdown(socket.SHUT_WR)
            try:
                receive_all(plain)
            except ConnectionResetError:
                pass
        site.wait_for(lambda s: s.errors.count(b"https handshake: ") == 3)
        self.assertEqual(self.get(site.port, "www.flow.test")[2], PAGE)
        self.end(site)


class Redirect(Site):
    def ask(self, request, *more):
        site = self.serve("--redirect", "127.0.0.1:0", *more)
        plain = self.connect(self.plain_port(site))
        plain.sendall(request)
        answer = split(receive_all(plain))
        plain.close()
        self.end(site)
        return site.port, answer

    @staticmethod
    def plain_port(site):
        return int(site.line(b"redirecting on ").rpartition(":")[2])

    def test_served_name(self):
        port, (status, fields, _) = self.ask(
            b"GET /a/b?c HTTP/1.1\r\nHost: WWW.flow.test\r\n\r\n")
        self.assertEqual(status, 301)
        self.assertEqual(fields["Location"],
                         "https://www.flow.test:%d/a/b?c" % port)

    def test_other_name(self):
        _, (status, fields, _) = self.ask(
            b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            "--default", "www.flow.test")
        self.assertEqual(status, 421)
        self.assertNotIn("Location", fields)

    def test_bad_request(self):
        _, (status, _, _) = self.ask(b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual(status, 400)

    def test_long_request(self):
        _, (status, _, _) = self.ask(
            b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(status, 431)

    def test_slow_request(self):
        _, (status, _, _) = self.ask(b"GET / HTTP/1.1\r\nHost: www",
                                     "--handshake-timeout", "0.2")
        self.assertEqual(status, 408)

    def test_request_in_bytes(self):
        site = self.serve("--redirect", "127.0.0.1:0")
        plain = self.connect(self.plain_port(site))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET / HTTP/1.1\r\nHost: www.flow.test\r\n\r\n":
            plain.sendall(bytes([byte]))
        self.assertEqual(split(receive_all(plain))[0], 301)
        plain.close()
        self.end(site)

    def test_curl_follows(self):
        self.need("curl")
        site = self.serve("--redirect", "127.0.0.1:0")
        plain = self.plain_port(site)
        code, out, err = run(
            "curl", "-sSL", "--fail", "--noproxy", "*", "--cacert",
            self.pki.ca, "--resolve", "www.flow.test:%d:127.0.0.1" % plain,
            "--resolve", "www.flow.test:%d:127.0.0.1" % site.port,
            "http://www.flow.test:%d/" % plain)
        self.assertEqual((code, out), (0, PAGE), err)
        self.end(site)


class Endings(Site):
    def test_answer_survives_an_unread_request(self):
        """F18: 64 KiB of request are left unread, the client reads late, no loss."""
        site = self.serve()
        context = self.pki.client()
        queued = array.array("i", [0])
        for _ in range(50):
            # With the default size, what fits depends on how it was divided.
            tls = self.connect_tls(site.port, "paper.flow.test",
                                   context=context,
                                   receive_buffer=2 * len(PAPER))
            tls.sendall(b"POST / HTTP/1.1\r\n" + b"x" * 65536)
            # Late: the request has arrived, and the server has sent its last byte.
            limit = Limit()
            while queued[0] < len(PAPER):
                limit.left()
                fcntl.ioctl(tls.fileno(), termios.FIONREAD, queued)
            tls.sendall(b"y" * 16384)
            self.assertEqual(split(receive_all(tls))[2], PAPER)
            tls.close()
            queued[0] = 0
        self.end(site)

    def test_end_is_close_notify(self):
        """Reading raises if there is none."""
        site = self.serve()
        for version in VERSIONS.values():
            tls = self.connect_tls(site.port, "www.flow.test", version)
            self.assertEqual(split(receive_all(tls))[2], PAGE)
            tls.unwrap()
            tls.close()
        self.end(site)

    @staticmethod
    def listens(port):
        """From the system's table: a connection as a test might be accepted."""
        return re.search(r"^ *\d+: [0-9A-F]{8}:%04X \S+ 0A " % port,
                         pathlib.Path("/proc/net/tcp").read_text(), re.M)

    def end_listening(self, site):
        limit = Limit()
        self.assertTrue(self.listens(site.port))
        site.kill(signal.SIGTERM)
        while self.listens(site.port):
            time.sleep(min(limit.left(), 0.01))
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", site.port), LIMIT)

    def test_sigterm_finishes_what_runs(self):
        site = self.serve()
        tls = self.connect_tls(site.port, "disk.flow.test")
        start = tls.recv(1000)
        # The listener is closed; the transfer continues.
        self.end_listening(site)
        self.assertIsNone(site.process.poll())
        body = split(start + receive_all(tls))[2]
        self.assertEqual(sha256(body), sha256(DISK))
        tls.close()
        self.assertEqual(site.finish(), 0)

    def test_second_signal_cuts(self):
        site = self.serve()
        tls = self.connect_tls(site.port, "disk.flow.test")
        tls.recv(1000)
        self.end_listening(site)
        site.kill(signal.SIGINT)
        self.assertEqual(site.finish(), 1)
        self.assertIn(b"closed 1 connections that had not ended", site.errors)
        # The client sees a cut: no close_notify.
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            receive_all(tls)

    def test_signals_while_it_ends(self):
        """Ctrl-C and a kill at the same time."""
        for _ in range(10):
            site = self.serve()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT,
                           signal.SIGTERM):
                site.kill(number)
            self.assertIn(site.finish(), (0, 1))

    def test_silent_client_is_dropped(self):
        # The second client's handshake must be in time on a busy machine.
        site = self.serve("--handshake-timeout", "2", "--log")
        plain = self.connect(site.port)
        try:
            receive_all(plain)
        except ConnectionResetError:
            pass
        site.wait_for(lambda s: b" https handshake: " in s.errors)
        self.assertEqual(self.get(site.port, "www.flow.test")[2], PAGE)
        self.end(site)

    def test_client_that_does_not_read_is_dropped(self):
        site = self.serve("--idle-timeout", "0.3", "--log")
        tls = self.connect_tls(site.port, "disk.flow.test")
        site.wait_for(lambda s: b" https answer: timed out" in s.errors)
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            receive_all(tls)
        self.end(site)

    def test_client_that_does_not_end_is_dropped(self):
        site = self.serve("--idle-timeout", "0.3", "--log")
        tls = self.connect_tls(site.port, "www.flow.test")
        self.assertEqual(split(receive_all(tls))[2], PAGE)
        site.wait_for(lambda s: b" 200 %d bytes" % len(PAGE) in s.errors)
        self.end(site)

    def test_waiting_costs_nothing(self):
        """Connections in every state of waiting: no busy loop."""
        site = self.serve("--handshake-timeout", "1", "--idle-timeout", "20",
                          "--redirect", "127.0.0.1:0",
                          "--max-connections", "24")
        for _ in range(6):
            ending = self.connect_tls(site.port, "www.flow.test")
            receive_all(ending)
            half_closed = self.connect_tls(site.port, "disk.flow.test")
            half_closed.sendall(b"GET /")
            half_closed.shutdown(socket.SHUT_WR)
            self.connect_tls(site.port, "disk.flow.test")
        before = site.idle_cpu_seconds()
        silent = [self.connect(site.port) for _ in range(6)]
        # The 25th waits for a place, which must not use CPU time either.
        waiting = self.connect(site.port)
        try:
            self.assertEqual(silent[0].recv(100), b"")
        except ConnectionResetError:
            pass
        # A busy loop takes all of the second that other processes leave it;
        # sanitizers make the real work slower.
        limit = 0.75 if support.is_sanitized(site.process.args[0]) else 0.3
        self.assertLess(site.cpu_seconds() - before, limit)
        waiting.close()

    def test_no_more_than_max_connections(self):
        site = self.serve("--max-connections", "2")
        first = self.connect_tls(site.port, "disk.flow.test")
        second = self.connect_tls(site.port, "disk.flow.test")
        third = self.connect(site.port)
        third.sendall(b"nonsense")
        self.assertFalse(support.readable(third, 0.2))
        self.assertEqual(split(receive_all(first))[2], DISK)
        first.close()
        self.assertTrue(support.readable(third, LIMIT))
        third.close()
        self.assertEqual(split(receive_all(second))[2], DISK)
        second.close()
        self.end(site)

    def test_thousand_at_once(self):
        # A thousand handshakes may be slow; none may be lost.
        site = self.serve("--handshake-timeout", "100", "--idle-timeout", "100")
        code, out, err = run(
            str(support.HELPERS / "many_clients"),
            "127.0.0.1:%d" % site.port, self.pki.ca, "www.flow.test", "1000",
            str(self.directory / "page.html"), limit=110)
        self.assertEqual(code, 0, err)
        self.assertEqual(out, b"1000 connected, 1000 answered\n")
        self.end(site)

    def test_few_descriptors(self):
        """It raises the limit, or prints why it cannot, and serves anyway."""
        limited = "ulimit -n 100; exec \"$@\""
        # If all are accepted at once, the last waits for 89 handshakes.
        site = self.start("sh", "-c", limited, "sh", *self.command(
            "--handshake-timeout", "100"))
        site.port = int(site.line(b"listening on ").rpartition(":")[2])
        limits = pathlib.Path("/proc/%d/limits" % site.process.pid).read_text()
        allowed = int(re.search(r"Max open files +(\d+)", limits)[1])
        if allowed == 100:
            site.wait_for(
                lambda s: b"the hard limit on open files (ulimit -Hn) is 100, "
                          b"so at most 68 connections" in s.errors)
        else:
            self.assertGreater(allowed, 4096)
            self.assertEqual(site.errors, b"")
        # More clients than places: each is served in turn.
        clients = [self.connect(site.port) for _ in range(90)]
        for plain in clients:
            tls = self.pki.client().wrap_socket(
                plain, server_hostname="www.flow.test",
                suppress_ragged_eofs=False)
            self.assertEqual(split(receive_all(tls))[2], PAGE)
            tls.close()
        self.end(site)

    def test_soft_limit_is_raised(self):
        site = self.start("sh", "-c", "ulimit -Sn 64; exec \"$@\"", "sh",
                          *self.command("--max-connections", "200"))
        site.line(b"listening on ")
        limits = pathlib.Path("/proc/%d/limits" % site.process.pid).read_text()
        self.assertEqual(int(re.search(r"Max open files +(\d+)", limits)[1]),
                         232)
        self.end(site)


class Workers(Site):
    """Several loops on one port."""

    listens = staticmethod(Endings.listens)
    end_listening = Endings.end_listening

    @staticmethod
    def sleeps(site):
        """How often each thread has slept."""
        tasks = pathlib.Path("/proc/%d/task" % site.process.pid)
        return {task.name: int(re.search(
            r"^voluntary_ctxt_switches:\s+(\d+)",
            (task / "status").read_text(), re.M)[1])
            for task in tasks.iterdir()}

    def test_every_worker_serves(self):
        site = self.serve("--workers", "3")
        for _ in range(60):
            self.assertEqual(self.get(site.port, "www.flow.test")[2], PAGE)
        slept = self.sleeps(site)
        # One more waits for SIGHUP; a sanitizer may have a thread of its own.
        if not support.is_sanitized(program("flow-site")):
            self.assertEqual(len(slept), 4)
        busy = [times for times in slept.values() if times > 3]
        self.assertGreaterEqual(len(busy), 3, slept)
        self.end(site)

    def test_sigterm_finishes_what_runs(self):
        site = self.serve("--workers", "4")
        clients = [self.connect_tls(site.port, "disk.flow.test")
                   for _ in range(8)]
        starts = [tls.recv(1000) for tls in clients]
        self.end_listening(site)
        self.assertIsNone(site.process.poll())
        for tls, start in zip(clients, starts):
            body = split(start + receive_all(tls))[2]
            self.assertEqual(sha256(body), sha256(DISK))
            tls.close()
        self.assertEqual(site.finish(), 0, site.errors)

    def test_second_signal_cuts(self):
        site = self.serve("--workers", "4")
        clients = [self.connect_tls(site.port, "disk.flow.test")
                   for _ in range(8)]
        for tls in clients:
            tls.recv(1000)
        self.end_listening(site)
        site.kill(signal.SIGINT)
        self.assertEqual(site.finish(), 1)
        closed = re.findall(rb"closed (\d+) connections that had not ended",
                            site.errors)
        self.assertEqual(sum(map(int, closed)), 8)
        for tls in clients:
            with self.assertRaises((ssl.SSLError, ConnectionResetError)):
                receive_all(tls)

    def test_redirect_names_the_shared_port(self):
        site = self.serve("--workers", "2", "--redirect", "127.0.0.1:0")
        plain = site.line(b"redirecting on ")
        client = self.connect(int(plain.rpartition(":")[2]))
        client.sendall(b"GET /x HTTP/1.1\r\nHost: www.flow.test\r\n\r\n")
        self.assertEqual(split(receive_all(client))[1]["Location"],
                         "https://www.flow.test:%d/x" % site.port)
        client.close()
        self.end(site)

    def test_worker_that_cannot_start_ends_the_program(self):
        """No descriptor for a poller or a listener of one of them."""
        limited = "ulimit -n 40; exec \"$@\""
        code, out, err = run("sh", "-c", limited, "sh",
                             *self.command("--workers", "64"))
        self.assertEqual(code, 1)
        self.assertEqual(out, b"")
        self.assertRegex(err, rb"cannot (listen on|create a poller)")


class Usage(Site):
    def refused(self, code, text, *command):
        got, out, err = run(program("flow-site"), *command)
        self.assertEqual(got, code, err)
        self.assertEqual(out, b"")
        self.assertIn(text, err)

    def test_help(self):
        code, out, _ = run(program("flow-site"), "--help")
        self.assertEqual(code, 0)
        for option in ("listen", "cert", "key", "certs", "serve", "default",
                       "redirect", "workers", "max-connections",
                       "handshake-timeout",
                       "idle-timeout", "log", "version"):
            self.assertIn(b"--" + option.encode(), out)

    def test_wrong_usage(self):
        page = "a.test=%s" % (self.directory / "page.html")
        listen = ["--listen", "127.0.0.1:0"]
        self.refused(2, b"--listen ADDR:PORT is missing")
        self.refused(2, b"--serve NAME=FILE is missing", *listen)
        self.refused(2, b"is not NAME=FILE", "--serve", "a.test")
        self.refused(2, b"is not a host name", "--serve", "a b=c")
        self.refused(2, b"is given twice", *listen, "--serve", page,
                     "--serve", page)
        self.refused(2, b"nothing is served as 'b.test'", *listen, "--serve",
                     page, "--default", "b.test")
        self.refused(2, b"expected a positive number of seconds", "--idle-timeout", "0")
        self.refused(2, b"expected a positive number of seconds", "--idle-timeout", "nan")
        self.refused(2, b"expected a number from 1", "--max-connections", "-1")
        self.refused(2, b"expected a number from 1", "--workers", "0")
        self.refused(2, b"--nonsense", "--nonsense")
        self.refused(2, b"unexpected argument", "nonsense")
        self.refused(2, b"TLS needs --cert", *listen, "--serve", page)

    def test_what_is_wrong_is_named(self):
        page = "a.test=%s" % (self.directory / "page.html")
        www = ["--cert", self.pki.path("www.pem")]
        good = ["--serve", page, *www, "--key", self.pki.path("www.key")]
        self.refused(1, b"No such file", "--listen", ":0", "--serve", page,
                     "--cert", self.pki.path("no-such-file"), "--key", "x")
        self.refused(1, b"cannot open", "--serve", "a.test=/no/such/file")
        self.refused(1, b"is not a regular file", "--serve", "a.test=/")
        self.refused(1, b"paper.key: tls config: private key does not belong",
                     "--listen", ":0", "--serve", page, *www,
                     "--key", self.pki.path("paper.key"))
        self.refused(2, b"has no port", "--listen", "127.0.0.1", *good)
        self.refused(2, b"in brackets", "--listen", "::1:0", *good)
        self.refused(2, b"expected a number from 0 to 65535", "--listen",
                     "127.0.0.1:65536", *good)
        self.refused(2, b"--redirect: ", "--listen", "127.0.0.1:0",
                     "--redirect", "127.0.0.1", *good)
        taken = self.listen().getsockname()[1]
        self.refused(1, b"cannot listen on 127.0.0.1:%d" % taken, "--listen",
                     "127.0.0.1:%d" % taken, *good)


if __name__ == "__main__":
    support.main()
