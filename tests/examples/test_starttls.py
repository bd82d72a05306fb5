#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""TLS that begins in the middle of a connection: flow-cat --starttls and
flow-proxy --starttls, against peers of this test that misbehave, against
openssl s_client, and against servers of Debian (Exim, Dovecot, PostgreSQL),
which are skipped where they are not installed or the test is not run by root.
OpenSMTPD 6.8.0p2 of Debian 12 is none of them: with OpenSSL 3 its process for
private keys cannot sign ("missing private key"), so every client, openssl and
gnutls-cli included, reads the alert internal_error."""

import contextlib
import glob
import imaplib
import os
import pathlib
import pwd
import shutil
import smtplib
import socket
import ssl
import subprocess
import threading

import support
from support import LIMIT, program, receive_all, run

NAME = "mail.flow.test"
PG_REQUEST = bytes.fromhex("0000000804d2162f")
PG_STARTUP = b"\0\0\0\x29\0\3\0\0user\0postgres\0database\0postgres\0\0"
# What a server says, and what it waits for, until it starts TLS.
SCRIPTS = {
    "smtp": [b"220-hello\r\n220 there\r\n", b"EHLO [127.0.0.1]\r\n",
             b"250-x\r\n250-STARTTLS\r\n250 SIZE\r\n", b"STARTTLS\r\n",
             b"220 go\r\n"],
    "imap": [b"* OK [CAPABILITY IMAP4rev1] hello\r\n", b"a1 STARTTLS\r\n",
             b"* STATUS x\r\na1 OK go\r\n"],
    "postgres": [b"", PG_REQUEST, b"S"],
}
ASK = {
    "smtp": b"EHLO x\r\nSTARTTLS\r\n",
    "imap": b"t STARTTLS\r\n",
    "postgres": PG_REQUEST,
}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class StartTls(support.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pki.make("mail", [NAME])
        cls.pki.make("member", ["member.flow.test"], usage="clientAuth")
        cls.pki.make_ca("others")
        cls.pki.make("stranger", ["stranger.flow.test"], ca="others",
                     usage="clientAuth")
        cls.member = ["--client-cert", cls.pki.path("member.pem"),
                      "--client-key", cls.pki.path("member.key")]
        cls.stranger = ["--client-cert", cls.pki.path("stranger.pem"),
                        "--client-key", cls.pki.path("stranger.key")]

    def fake(self, script, then=None):
        """A server of one client: its port, and what it received in the
        clear."""
        server = self.listen()
        received = []

        def serve():
            client, _ = server.accept()
            client.settimeout(LIMIT)
            with client:
                for i, step in enumerate(script):
                    if i % 2 == 0:
                        client.sendall(step)
                        continue
                    data = b""
                    while len(data) < len(step):
                        piece = client.recv(len(step) - len(data))
                        if not piece:
                            return
                        data += piece
                    received.append(data)
                try:
                    (then or receive_all)(client)
                except OSError:
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.addCleanup(thread.join, LIMIT)
        return server.getsockname()[1], received

    def cat(self, protocol, port, *options, stdin=b""):
        return run(program("flow-cat"), "tls+tcp://127.0.0.1:%d" % port,
                   "--starttls", protocol, "--ca", self.pki.ca,
                   "--server-name", NAME, *options, stdin=stdin)

    def upper(self, client, context=None):
        """TLS, and what arrives in capitals."""
        context = context or self.pki.server("mail")
        with context.wrap_socket(
                client, server_side=True, suppress_ragged_eofs=False) as tls:
            tls.sendall(receive_all(tls).upper())
            tls.unwrap()

    # The client.

    def test_client_starts_tls(self):
        for protocol, script in SCRIPTS.items():
            with self.subTest(protocol):
                port, received = self.fake(script, self.upper)
                code, out, err = self.cat(protocol, port, stdin=b"quiet")
                self.assertEqual((code, out, err), (0, b"QUIET", b""))
                self.assertEqual(received, script[1::2])

    def test_client_refuses_injected_bytes(self):
        """Bytes after the last answer in the clear never become input."""
        injected = {"smtp": b"250 injected\r\n", "imap": b"* OK injected\r\n",
                    "postgres": b"Rinjected"}
        for protocol, script in SCRIPTS.items():
            with self.subTest(protocol):
                port, _ = self.fake(
                    [*script[:-1], script[-1] + injected[protocol]], self.upper)
                code, out, err = self.cat(protocol, port, stdin=b"x")
                self.assertEqual((code, out), (1, b""))
                self.assertIn(b"sent more before TLS began", err)

    def test_client_never_continues_without_tls(self):
        rows = (
            ("smtp", [b"220 x\r\n", b"EHLO [127.0.0.1]\r\n", b"250 SIZE\r\n"],
             b"does not offer STARTTLS"),
            ("smtp", [*SCRIPTS["smtp"][:4], b"454 later\r\n"],
             b"refuses STARTTLS"),
            ("smtp", [b"554 no\r\n"], b"refuses the connection"),
            ("smtp", [b"220 " + b"x" * 4000], b"a line that is too long"),
            ("smtp", [b"220-x\r\n" * 200], b"line after line"),
            ("smtp", [b"220 a\0b\r\n"], b"a NUL"),
            ("imap", [b"* PREAUTH in\r\n"], b"does not begin with '* OK'"),
            ("imap", [b"* BYE\r\n"], b"does not begin with '* OK'"),
            ("imap", [b"* OK x\r\n", b"a1 STARTTLS\r\n", b"a1 BAD no\r\n"],
             b"refuses STARTTLS"),
            ("imap", [b"* OK x\r\n", b"a1 STARTTLS\r\n", b"* x\r\n" * 200],
             b"line after line"),
            ("postgres", [b"", PG_REQUEST, b"N"], b"does not offer TLS"),
            ("postgres", [b"", PG_REQUEST, b"E"], b"does not speak PostgreSQL"),
        )
        for protocol, script, words in rows:
            with self.subTest(protocol=protocol, words=words):
                port, _ = self.fake(script)
                code, out, err = self.cat(protocol, port, stdin=b"secret")
                self.assertEqual((code, out), (1, b""))
                self.assertIn(b"STARTTLS: ", err)
                self.assertIn(words, err)

    def test_client_says_what_a_silent_server_was_asked(self):
        silent = self.listen()
        code, _, err = self.cat("smtp", silent.getsockname()[1],
                                "--timeout", "0.2")
        self.assertEqual(code, 1)
        self.assertIn(b"STARTTLS within 0.2 s (--timeout)", err)

    def test_client_reports_an_early_end(self):
        for protocol in SCRIPTS:
            port, _ = self.fake([SCRIPTS[protocol][0]],
                                lambda c: c.shutdown(socket.SHUT_WR))
            code, _, err = self.cat(protocol, port)
            self.assertEqual(code, 1)
            self.assertIn(b"ended the connection before TLS", err)

    def test_client_limits_the_time(self):
        port, _ = self.fake([b"220 "])
        code, _, err = self.cat("smtp", port, "--timeout", "0.2")
        self.assertEqual(code, 1)
        self.assertIn(b"within 0.2 s (--timeout)", err)

    def test_client_verifies_the_name(self):
        for options, words in (((), b"mismatch"),
                               (("--server-name", "other.test"), b"mismatch")):
            port, _ = self.fake(SCRIPTS["smtp"], self.upper)
            code, _, err = run(
                program("flow-cat"), "tls+tcp://127.0.0.1:%d" % port,
                "--starttls", "smtp", "--ca", self.pki.ca, *options)
            self.assertEqual(code, 1)
            self.assertIn(words, err)

    def test_client_shows_its_certificate(self):
        context = self.pki.server("mail")
        context.load_verify_locations(self.pki.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        for protocol, script in SCRIPTS.items():
            for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
                with self.subTest(protocol=protocol, version=version):
                    context.maximum_version = version
                    port, _ = self.fake(
                        script, lambda c: self.upper(c, context))
                    code, out, err = self.cat(protocol, port, *self.member,
                                              stdin=b"quiet")
                    self.assertEqual((code, out, err), (0, b"QUIET", b""))
                    port, _ = self.fake(
                        script, lambda c: self.upper(c, context))
                    code, out, err = self.cat(protocol, port, stdin=b"quiet")
                    self.assertEqual((code, out), (1, b""))
                    self.assertIn(b"received fatal alert", err)

    # The server.

    def proxy(self, protocol, to, *options):
        server = self.start(
            program("flow-proxy"), "--listen", "tls+tcp://127.0.0.1:0",
            "--cert", self.pki.path("mail.pem"), "--key",
            self.pki.path("mail.key"), "--starttls", protocol, "--to",
            "tcp://127.0.0.1:%d" % to, "--log", *options)
        return server, int(server.line(b"listening on ").rpartition(":")[2])

    def test_s_client_starts_tls(self):
        for protocol in SCRIPTS:
            with self.subTest(protocol):
                greeting = {"smtp": b"220-a\r\n220 b\r\n", "imap": b"* OK b\r\n",
                            "postgres": b""}[protocol]

                def answer(client):
                    client.sendall(client.recv(1000).upper())
                    receive_all(client)

                port, _ = self.fake([greeting], answer)
                _, front = self.proxy(protocol, port)
                client = self.start(
                    "openssl", "s_client", "-connect", "127.0.0.1:%d" % front,
                    "-starttls", protocol, "-CAfile", self.pki.ca,
                    "-verify_hostname", NAME, "-verify_return_error", "-quiet",
                    stdin=subprocess.PIPE)
                client.process.stdin.write(b"hello through tls\n")
                client.process.stdin.flush()
                client.wait_for(lambda p: b"HELLO THROUGH TLS" in p.output)
                self.assertNotIn(b"220", client.output)
                self.assertNotIn(b"* OK", client.output)

    def test_server_requires_certificates(self):
        """Only a member reaches the server, whether or not it greets first."""
        greeting = {"smtp": b"220 secret\r\n", "imap": b"* OK secret\r\n",
                    "postgres": b""}

        def answer(client):
            client.sendall(client.recv(1000).upper())
            receive_all(client)

        for protocol in SCRIPTS:
            for version in "--tls1.2", "--tls1.3":
                with self.subTest(protocol=protocol, version=version):
                    port, _ = self.fake([greeting[protocol]], answer)
                    server, front = self.proxy(
                        protocol, port, "--require-client-cert", self.pki.ca)
                    # A stranger's is of none of the authorities that the
                    # proxy names, so flow-cat does not send it.
                    for own in [], self.stranger:
                        code, out, err = self.cat(protocol, front, version,
                                                  *own, stdin=b"quiet")
                        self.assertEqual((code, out), (1, b""))
                        self.assertIn(b"received fatal alert", err)
                    client = self.start(
                        program("flow-cat"), "tls+tcp://127.0.0.1:%d" % front,
                        "--starttls", protocol, "--ca", self.pki.ca,
                        "--server-name", NAME, version, *self.member,
                        stdin=subprocess.PIPE)
                    client.process.stdin.write(b"quiet")
                    client.process.stdin.flush()
                    client.wait_for(lambda p: p.output == b"QUIET")
                    self.assertEqual(client.errors, b"")

    def test_server_refuses_injected_bytes(self):
        """A command after STARTTLS in the same segment reaches no server."""
        for protocol, ask in ASK.items():
            with self.subTest(protocol):
                backend = self.listen()
                backend.settimeout(0.2)
                server, front = self.proxy(protocol,
                                           backend.getsockname()[1])
                client = self.connect(front)
                client.sendall(ask + b"RSET\r\n")
                answer = receive_all(client)
                self.assertNotIn(b"220 ready", answer)
                self.assertNotIn(b"t OK", answer)
                self.assertNotIn(b"S", answer[-1:])
                server.wait_for(lambda p: b"sent more before TLS" in p.errors)
                with self.assertRaises(TimeoutError):
                    backend.accept()

    def test_server_wants_tls_first(self):
        rows = (
            ("smtp", b"MAIL FROM:<a@b>\r\n", b"530 "),
            ("smtp", b"HELO x\r\n", b"250 "),
            ("smtp", b"NOOP\r\n", b"250 "),
            ("smtp", b"QUIT\r\n", b"221 "),
            ("smtp", b"x" * 3000, b""),
            ("smtp", b"NOOP\r\n" * 200, b"250 "),
            ("imap", b"t LOGIN a b\r\n", b"t NO [PRIVACYREQUIRED]"),
            ("imap", b"t CAPABILITY\r\n", b"STARTTLS LOGINDISABLED"),
            ("imap", b"t LOGOUT\r\n", b"* BYE"),
            ("imap", b"*\r\n", b"* BAD"),
            ("imap", b"%n%s x\r\n", b"* BAD"),
            ("postgres", PG_STARTUP, b""),
            ("postgres", bytes.fromhex("0000000804d21630"), b"N"),
        )
        for protocol, said, wanted in rows:
            with self.subTest(protocol=protocol, said=said[:20]):
                backend = self.listen()
                backend.settimeout(0.1)
                server, front = self.proxy(protocol, backend.getsockname()[1])
                client = self.connect(front)
                client.sendall(said)
                answer = b""
                # It may close before it has read all, which is a reset.
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionResetError):
                    while piece := client.recv(65536):
                        answer += piece
                self.assertIn(wanted, answer)
                server.wait_for(lambda p: b"STARTTLS: " in p.errors)
                with self.assertRaises(TimeoutError):
                    backend.accept()

    def test_server_names_a_client_that_begins_with_tls(self):
        for protocol in SCRIPTS:
            with self.subTest(protocol):
                server, front = self.proxy(protocol, free_port())
                client = self.connect(front)
                with self.assertRaises((ssl.SSLError, OSError)):
                    self.context().wrap_socket(client, server_hostname=NAME)
                server.wait_for(lambda p: b"begins TLS without asking"
                                in p.errors)

    def test_server_limits_the_time(self):
        server, front = self.proxy("smtp", free_port(), "--connect-timeout",
                                   "0.2")
        client = self.connect(front)
        self.assertIn(b"220 ", receive_all(client))
        self.assertIsNone(server.process.poll())

    def test_silent_backend_is_not_waited_for(self):
        """It accepts the connection and never sends its greeting."""
        backend = self.listen()
        server, front = self.proxy("smtp", backend.getsockname()[1],
                                   "--connect-timeout", "2")
        client = self.connect(front)
        client.sendall(b"STARTTLS\r\n")
        answer = b""
        while b"220 ready\r\n" not in answer:
            answer += client.recv(1000)
        with self.context().wrap_socket(
                client, server_hostname=NAME) as tls:
            with contextlib.suppress(OSError):
                self.assertEqual(tls.recv(1000), b"")
        server.wait_for(lambda p: b"does not send its greeting" in p.errors)

    # Servers of Debian.

    def need_root(self):
        if os.geteuid() != 0:
            self.skipTest("the servers have to be started by root")

    def wait_until_it_listens(self, port, server):
        def found(_):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
            except ConnectionRefusedError:
                return False
        server.wait_for(found)

    def shared(self, name):
        """A directory that any user may enter."""
        path = pathlib.Path(self.directory) / name
        path.mkdir()
        os.chmod(self.directory, 0o755)
        return path

    def test_dovecot(self):
        self.need("dovecot")
        self.need_root()
        where, port = self.shared("dovecot"), free_port()
        (where / "conf").write_text("""
protocols = imap
first_valid_uid = 1
base_dir = %(where)s/run
state_dir = %(where)s/state
log_path = /dev/stderr
listen = 127.0.0.1
ssl = yes
ssl_cert = <%(cert)s
ssl_key = <%(key)s
disable_plaintext_auth = no
service imap-login {
  chroot =
  inet_listener imap {
    port = %(port)d
  }
  inet_listener imaps {
    port = 0
  }
}
service anvil {
  chroot =
}
passdb {
  driver = static
  args = password=pass
}
userdb {
  driver = static
  args = uid=mail gid=mail home=%(where)s/home
}
mail_location = maildir:~/m
""" % {"where": where, "port": port, "cert": self.pki.path("mail.pem"),
       "key": self.pki.path("mail.key")})
        (where / "home").mkdir()
        shutil.chown(where / "home", "mail", "mail")
        server = self.start(shutil.which("dovecot"), "-F", "-c",
                            str(where / "conf"))
        self.wait_until_it_listens(port, server)
        code, out, err = self.cat("imap", port, stdin=b"z LOGOUT\r\n")
        self.assertEqual((code, err), (0, b""))
        self.assertIn(b"* BYE", out)
        self.assertIn(b"z OK", out)
        _, front = self.proxy("imap", port)
        with imaplib.IMAP4("127.0.0.1", front, LIMIT) as client:
            client.starttls(self.context())
            self.assertEqual(client.login("user", "pass")[0], "OK")
            self.assertEqual(client.select("INBOX")[0], "OK")

    def context(self):
        context = self.pki.client()
        context.check_hostname = False
        return context

    def test_exim(self):
        if not os.path.exists("/usr/sbin/exim4"):
            self.skipTest("no exim4 here")
        self.need_root()
        where, port = self.shared("exim"), free_port()
        user = pwd.getpwnam("Debian-exim")
        (where / "spool").mkdir()
        os.chown(where / "spool", user.pw_uid, user.pw_gid)
        for name in "mail.pem", "mail.key":
            shutil.copy(self.pki.path(name), where / name)
            os.chown(where / name, user.pw_uid, user.pw_gid)
            os.chmod(where / name, 0o600)
        (where / "conf").write_text("""
primary_hostname = %(name)s
spool_directory = %(where)s/spool
log_file_path = %(where)s/spool/%%slog
pid_file_path = %(where)s/pid
tls_advertise_hosts = *
tls_certificate = %(where)s/mail.pem
tls_privatekey = %(where)s/mail.key
queue_only
""" % {"name": NAME, "where": where})
        server = self.start("/usr/sbin/exim4", "-bdf", "-oX",
                            "127.0.0.1.%d" % port, "-C", str(where / "conf"))
        self.wait_until_it_listens(port, server)
        # Exim refuses a command that comes before the answer to the last.
        client = self.start(
            program("flow-cat"), "tls+tcp://127.0.0.1:%d" % port, "--starttls",
            "smtp", "--ca", self.pki.ca, "--server-name", NAME,
            stdin=subprocess.PIPE)
        for command, last in (b"EHLO x.test\r\n", b"250 "), (b"QUIT\r\n", b"221 "):
            client.process.stdin.write(command)
            client.process.stdin.flush()
            client.wait_for(lambda p, last=last: last in p.output)
        client.process.stdin.close()
        self.assertEqual((client.finish(), client.errors), (0, b""))
        self.assertNotIn(b"STARTTLS", client.output)
        _, front = self.proxy("smtp", port)
        with smtplib.SMTP("127.0.0.1", front, "x.test", LIMIT) as client:
            client.starttls(context=self.context())
            self.assertEqual(client.ehlo("x.test")[0], 250)
            self.assertEqual(client.mail("a@x.test")[0], 250)

    def test_postgres(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
        if not found:
            self.skipTest("no PostgreSQL here")
        self.need_root()
        tools = os.path.dirname(found[-1])
        where, port = self.shared("postgres"), free_port()
        user = pwd.getpwnam("postgres")
        os.chown(where, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "cwd": "/",
                   "extra_groups": []}
        code, _, err = run(tools + "/initdb", "-D", str(where / "data"),
                           "--auth=trust", "--no-sync", limit=120, **as_user)
        self.assertEqual(code, 0, err)
        for name in "mail.pem", "mail.key":
            shutil.copy(self.pki.path(name), where / "data" / name)
            os.chown(where / "data" / name, user.pw_uid, user.pw_gid)
            os.chmod(where / "data" / name, 0o600)
        server = self.start(
            tools + "/postgres", "-D", str(where / "data"), "-h", "127.0.0.1",
            "-p", str(port), "-k", "", "-F", "-c", "ssl=on", "-c",
            "ssl_cert_file=mail.pem", "-c", "ssl_key_file=mail.key", **as_user)
        self.wait_until_it_listens(port, server)
        server.wait_for(lambda p: b"ready to accept" in p.errors)
        code, out, err = self.cat("postgres", port,
                                  stdin=PG_STARTUP + b"X\0\0\0\4")
        self.assertEqual((code, err), (0, b""))
        self.assertEqual(out[:9], b"R\0\0\0\x08\0\0\0\0")
        _, front = self.proxy("postgres", port)
        code, out, err = run(
            tools + "/psql", "-Atc", "select 6 * 7",
            "host=127.0.0.1 port=%d user=postgres dbname=postgres "
            "sslmode=verify-ca sslrootcert=%s" % (front, self.pki.ca))
        self.assertEqual((code, out), (0, b"42\n"), err)


if __name__ == "__main__":
    support.main()
