#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""flow-echo, flow-cat and flow-proxy over every kind of endpoint, and the
small examples."""

import os
import signal
import socket
import ssl
import subprocess
import threading
import time

import support
from support import LIMIT, program, receive_all, run, sha256

NAME = "www.flow.test"
DATA = os.urandom(1_000_003)
KINDS = ("tcp", "unix", "tls+tcp", "tls+unix")


class Flows(support.Case):
    sockets = 0

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pki.make("www", [NAME])
        cls.pki.make("other", ["other.flow.test"])

    def keys(self, kind, name="www"):
        if not kind.startswith("tls+"):
            return []
        return ["--cert", self.pki.path(name + ".pem"),
                "--key", self.pki.path(name + ".key")]

    def trust(self, kind, name=NAME):
        if not kind.startswith("tls+"):
            return []
        return ["--ca", self.pki.ca, "--server-name", name]

    def anywhere(self, kind):
        """An endpoint to listen on."""
        if kind.endswith("tcp"):
            return kind + "://127.0.0.1:0"
        Flows.sockets += 1
        return "%s://%s/s%d" % (kind, self.directory, Flows.sockets)

    def listening(self, server, endpoint):
        """The endpoint to connect to."""
        address = server.line(b"listening on ")
        kind = endpoint.partition("://")[0]
        if kind.endswith("tcp"):
            server.port = int(address.rpartition(":")[2])
            return "%s://127.0.0.1:%d" % (kind, server.port)
        return endpoint

    def echo(self, kind, *more):
        endpoint = self.anywhere(kind)
        server = self.start(program("flow-echo"), "--listen", endpoint,
                            *self.keys(kind), *more)
        server.endpoint = self.listening(server, endpoint)
        return server

    def proxy(self, kind, to, *more):
        endpoint = self.anywhere(kind)
        server = self.start(
            program("flow-proxy"), "--listen", endpoint, "--to", to,
            *self.keys(kind), *self.trust(to.partition("://")[0]), *more)
        server.endpoint = self.listening(server, endpoint)
        return server

    def cat(self, endpoint, *more, stdin=DATA):
        kind = endpoint.partition("://")[0]
        return run(program("flow-cat"), endpoint, *self.trust(kind), *more,
                   stdin=stdin)

    def end(self, server):
        server.kill()
        self.assertEqual(server.finish(), 0, server.errors)

    def echoes(self, endpoint):
        code, out, err = self.cat(endpoint)
        self.assertEqual((code, err), (0, b""))
        self.assertEqual(sha256(out), sha256(DATA))


class EchoAndCat(Flows):
    def test_every_kind(self):
        for kind in KINDS:
            with self.subTest(kind):
                server = self.echo(kind)
                self.echoes(server.endpoint)
                self.end(server)

    def test_both_versions(self):
        server = self.echo("tls+tcp")
        for version in ("--tls1.2", "--tls1.3"):
            code, out, err = self.cat(server.endpoint, version)
            self.assertEqual((code, err, len(out)), (0, b"", len(DATA)))
        self.end(server)

    def test_file_as_input(self):
        path = self.directory / "input"
        path.write_bytes(DATA)
        for kind in ("tcp", "tls+tcp"):
            server = self.echo(kind)
            with path.open("rb") as stdin:
                done = subprocess.run(
                    [program("flow-cat"), server.endpoint, *self.trust(kind)],
                    stdin=stdin, stdout=subprocess.PIPE, timeout=LIMIT,
                    check=False)
            self.assertEqual((done.returncode, done.stdout), (0, DATA))
            self.end(server)

    def test_empty_input(self):
        for kind in KINDS:
            server = self.echo(kind)
            self.assertEqual(self.cat(server.endpoint, stdin=b""),
                             (0, b"", b""))
            self.end(server)

    def test_cat_waits_for_the_other_side(self):
        """Input ends at once; bytes that arrive much later are still printed."""
        server = self.listen()
        cat = self.start(program("flow-cat"),
                         "tcp://127.0.0.1:%d" % server.getsockname()[1])
        connection = server.accept()[0]
        connection.settimeout(LIMIT)
        self.assertEqual(receive_all(connection), b"")
        connection.sendall(b"late")
        connection.close()
        self.assertEqual((cat.finish(), cat.output), (0, b"late"))

    def test_cat_goes_on_after_the_other_side(self):
        server = self.listen()
        cat = self.start(program("flow-cat"),
                         "tcp://127.0.0.1:%d" % server.getsockname()[1],
                         stdin=subprocess.PIPE)
        connection = server.accept()[0]
        connection.settimeout(LIMIT)
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        cat.wait_for(lambda c: c.output == b"bye")
        cat.process.stdin.write(b"and on")
        cat.process.stdin.close()
        self.assertEqual(receive_all(connection), b"and on")
        connection.close()
        self.assertEqual(cat.finish(), 0)

    def test_cat_leaves_flags_as_they_were(self):
        reader, writer = os.pipe()
        server = self.echo("tcp")
        cat = self.start(program("flow-cat"), server.endpoint, stdin=reader)
        os.write(writer, b"x")
        cat.wait_for(lambda c: c.output == b"x")
        self.assertFalse(os.get_blocking(reader))
        cat.kill()
        self.assertEqual(cat.finish(), -signal.SIGTERM)
        self.assertTrue(os.get_blocking(reader))
        os.close(reader)
        os.close(writer)
        self.end(server)

    def test_cat_without_standard_input(self):
        """The socket must not get descriptor 0."""
        server = self.listen()
        cat = self.start("sh", "-c", 'exec "$0" "$1" <&-', program("flow-cat"),
                         "tcp://127.0.0.1:%d" % server.getsockname()[1])
        connection = server.accept()[0]
        connection.settimeout(LIMIT)
        self.assertEqual(cat.finish(), 1)
        self.assertIn(b"standard input and output must be open", cat.errors)
        connection.sendall(b"not for cat's input")
        connection.close()

    def test_cat_verifies(self):
        server = self.echo("tls+tcp")
        code, _, err = run(program("flow-cat"), server.endpoint, "--ca",
                           self.pki.ca, "--server-name", "other.flow.test")
        self.assertEqual(code, 1)
        self.assertIn(b"cannot reach " + server.endpoint.encode(), err)
        self.assertIn(b"name", err)
        code, _, err = run(program("flow-cat"), server.endpoint,
                           "--insecure-skip-verify")
        self.assertEqual((code, err), (0, b""))
        self.end(server)

    def test_cut_is_not_an_end(self):
        """The server closes TCP without close_notify."""
        server = self.listen()

        def serve():
            connection = self.pki.server("www").wrap_socket(
                server.accept()[0], server_side=True)
            # Unread input would turn the end into a reset.
            self.assertEqual(receive_all(connection), b"")
            connection.sendall(b"half")
            socket.socket(fileno=connection.detach()).close()

        thread = threading.Thread(target=serve)
        thread.start()
        code, out, err = self.cat(
            "tls+tcp://127.0.0.1:%d" % server.getsockname()[1], stdin=b"")
        thread.join()
        self.assertEqual(code, 1)
        self.assertEqual(out, b"half")
        self.assertIn(b"cannot receive: tls", err)

    def test_idle(self):
        server = self.echo("tcp", "--idle-timeout", "0.2", "--log")
        self.assertEqual(receive_all(self.connect(server.port)), b"")
        server.line(b"flow-echo: 127.0.0.1", "errors")
        self.end(server)
        server = self.listen()
        cat = self.start(program("flow-cat"), "--idle-timeout", "0.2",
                         "tcp://127.0.0.1:%d" % server.getsockname()[1])
        self.assertEqual(cat.finish(), 1)
        self.assertIn(b"--idle-timeout", cat.errors)

    def test_timeout_is_the_limit(self):
        """Longer than the handshake timeout of 10 s."""
        port = self.listen().getsockname()[1]
        began = time.monotonic()
        programs = [
            self.start(program(name), where % port, "--timeout", "10.5",
                       "--insecure-skip-verify")
            for name, where in (("flow-cat", "tls+tcp://localhost:%d"),
                                ("flow-fetch", "https://localhost:%d/"))
        ]
        for one in programs:
            self.assertEqual(one.finish(), 1)
            self.assertGreaterEqual(time.monotonic() - began, 10.5)
            self.assertIn(b"localhost:%d" % port, one.errors)
            self.assertIn(b" within 10.5 s (--timeout): tls: the handshake ",
                          one.errors)


class Proxy(Flows):
    def test_every_pair_of_kinds(self):
        for there in KINDS:
            server = self.echo(there)
            for here in KINDS:
                with self.subTest("%s to %s" % (here, there)):
                    proxy = self.proxy(here, server.endpoint)
                    self.echoes(proxy.endpoint)
                    self.end(proxy)
            self.end(server)

    def tunnel(self):
        """plain client - proxy - TLS - proxy - plain server: both sockets."""
        server = self.listen()
        inner = self.proxy("tls+tcp",
                           "tcp://127.0.0.1:%d" % server.getsockname()[1])
        outer = self.proxy("tcp", inner.endpoint)
        near = self.connect(outer.port)
        far = server.accept()[0]
        far.settimeout(LIMIT)
        self.addCleanup(far.close)
        return near, far, (inner, outer)

    def test_half_close_by_the_client(self):
        near, far, proxies = self.tunnel()
        near.sendall(b"question")
        near.shutdown(socket.SHUT_WR)
        self.assertEqual(receive_all(far), b"question")
        far.sendall(DATA)
        far.close()
        self.assertEqual(sha256(receive_all(near)), sha256(DATA))
        near.close()
        for proxy in proxies:
            self.end(proxy)

    def test_half_close_by_the_server(self):
        near, far, proxies = self.tunnel()
        near.sendall(b"hello")
        self.assertEqual(far.recv(5), b"hello")
        far.sendall(b"answer")
        far.shutdown(socket.SHUT_WR)
        self.assertEqual(receive_all(near), b"answer")
        near.sendall(DATA)
        near.close()
        self.assertEqual(sha256(receive_all(far)), sha256(DATA))
        far.close()
        for proxy in proxies:
            self.end(proxy)

    def test_cut_stays_a_cut(self):
        """If one side ends without close_notify, the proxy sends none to the
        other side."""
        server = self.listen()
        proxy = self.proxy("tls+tcp", "tls+tcp://127.0.0.1:%d"
                           % server.getsockname()[1])
        got = {}

        def serve():
            connection = self.pki.server("www").wrap_socket(
                server.accept()[0], server_side=True)
            got["hello"] = connection.recv(5)
            connection.sendall(b"half")
            socket.socket(fileno=connection.detach()).close()

        thread = threading.Thread(target=serve)
        thread.start()
        tls = self.connect_tls(proxy.port, NAME)
        tls.sendall(b"hello")
        self.assertEqual(tls.recv(4), b"half")
        thread.join()
        tls.settimeout(LIMIT)
        # Our direction continues until a write fails.
        with self.assertRaises((ssl.SSLError, ConnectionResetError,
                                BrokenPipeError)):
            while tls.send(b"more"):
                if support.readable(tls, 0.05) and tls.recv(1) == b"":
                    self.fail("an end in order")
        self.end(proxy)

    def test_cut_ends_the_connection(self):
        """An end without close_notify: nothing more can follow, so neither the
        server nor the client is kept until the idle timeout."""
        server = self.listen()
        server.settimeout(LIMIT)
        for side in "client", "server":
            with self.subTest(side):
                proxy = self.proxy("tls+tcp", "tls+tcp://127.0.0.1:%d"
                                   % server.getsockname()[1], "--log")
                got = []

                def serve():
                    tls = self.pki.server("www").wrap_socket(
                        server.accept()[0], server_side=True,
                        suppress_ragged_eofs=False)
                    tls.sendall(tls.recv(5))
                    got.append(tls)

                thread = threading.Thread(target=serve)
                thread.start()
                near = self.connect_tls(proxy.port, NAME)
                near.sendall(b"hello")
                self.assertEqual(near.recv(5), b"hello")
                thread.join()
                gone, kept = (near, got[0]) if side == "client" else (
                    got[0], near)
                if side == "server":
                    gone.sendall(b"half")
                socket.socket(fileno=gone.detach()).close()
                kept.settimeout(LIMIT)
                if side == "server":
                    self.assertEqual(kept.recv(4), b"half")
                with self.assertRaises((ssl.SSLError, ConnectionResetError)):
                    kept.recv(1)
                proxy.wait_for(lambda p: b"without close_notify" in p.errors)
                self.end(proxy)

    def test_no_server(self):
        proxy = self.proxy("tls+tcp", "tcp://127.0.0.1:%d"
                           % self.refusing_port(), "--log")
        tls = self.connect_tls(proxy.port, NAME)
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            receive_all(tls)
        proxy.wait_for(lambda p: b"to the server: tcp: " in p.errors)
        self.end(proxy)

    def test_server_with_another_certificate(self):
        endpoint = self.anywhere("tls+tcp")
        server = self.start(program("flow-echo"), "--listen", endpoint,
                            *self.keys("tls+tcp", "other"))
        proxy = self.proxy("tcp", self.listening(server, endpoint), "--log")
        plain = self.connect(proxy.port)
        try:
            self.assertEqual(receive_all(plain), b"")
        except ConnectionResetError:
            pass
        proxy.wait_for(lambda p: b"to the server: tls" in p.errors)
        self.end(proxy)
        self.end(server)

    def test_many_at_once(self):
        server = self.echo("tls+tcp")
        proxy = self.proxy("tcp", server.endpoint)
        clients = [self.connect(proxy.port) for _ in range(100)]
        for i, client in enumerate(clients):
            client.sendall(b"%03d" % i * 1000)
        for i, client in enumerate(clients):
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(receive_all(client), b"%03d" % i * 1000)
            client.close()
        self.end(proxy)
        self.end(server)

    def test_max_connections(self):
        server = self.echo("tcp")
        proxy = self.proxy("tcp", server.endpoint, "--max-connections", "1")
        first = self.connect(proxy.port)
        first.sendall(b"1")
        self.assertEqual(first.recv(1), b"1")
        second = self.connect(proxy.port)
        second.sendall(b"2")
        self.assertFalse(support.readable(second, 0.2))
        first.close()
        self.assertEqual(second.recv(1), b"2")
        second.close()
        self.end(proxy)
        self.end(server)

    def test_idle_and_silent(self):
        server = self.echo("tcp")
        # The handshake of `idle` must be in time on a busy machine, too.
        proxy = self.proxy("tls+tcp", server.endpoint, "--idle-timeout", "0.3",
                           "--connect-timeout", "2", "--log")
        silent = self.connect(proxy.port)
        idle = self.connect_tls(proxy.port, NAME)
        for client in (silent, idle):
            try:
                receive_all(client)
            except (ConnectionResetError, ssl.SSLError):
                pass
        proxy.wait_for(lambda p: b", then idle timeout" in p.errors)
        self.end(proxy)
        self.end(server)

    def test_waiting_costs_nothing(self):
        server = self.echo("tcp")
        proxy = self.proxy("tls+tcp", server.endpoint, "--connect-timeout",
                           "1")
        half = self.connect_tls(proxy.port, NAME)
        half.sendall(b"x")
        self.assertEqual(half.recv(1), b"x")
        before = proxy.idle_cpu_seconds()
        silent = self.connect(proxy.port)
        try:
            self.assertEqual(silent.recv(1), b"")
        except ConnectionResetError:
            pass
        self.assertLess(proxy.cpu_seconds() - before, 0.1)

    def test_sigterm_finishes_what_runs(self):
        near, far, (inner, outer) = self.tunnel()
        near.sendall(b"x")
        self.assertEqual(far.recv(1), b"x")
        inner.kill()
        outer.kill()
        far.sendall(DATA)
        far.close()
        near.shutdown(socket.SHUT_WR)
        self.assertEqual(sha256(receive_all(near)), sha256(DATA))
        self.assertEqual((inner.finish(), outer.finish()), (0, 0))


class Small(Flows):
    def test_tls_in_tls(self):
        for _ in range(20): # two threads that end at the same time
            code, out, err = run(
                program("tls_in_tls"), self.pki.path("www.pem"),
                self.pki.path("www.key"), self.pki.ca, NAME)
            self.assertEqual((code, err), (0, b""))
        self.assertIn(b"came back: through two layers of TLS", out)
        self.assertRegex(out, rb"tls.*tls.*pair")
        code, _, err = run(program("tls_in_tls"), self.pki.path("www.pem"),
                           self.pki.path("www.key"), self.pki.ca, "a.test")
        self.assertEqual(code, 1)
        self.assertIn(b"name", err)
        self.assertEqual(run(program("tls_in_tls"))[0], 2)
        self.assertEqual(run(program("tls_in_tls"), "--help")[0], 0)

    def starttls(self, kind, name):
        """Run client and server; both exit codes and outputs."""
        endpoint = self.anywhere(kind)
        server = self.start(program("starttls"), "serve", endpoint,
                            self.pki.path("www.pem"), self.pki.path("www.key"))
        where = self.listening(server, endpoint)
        called = run(program("starttls"), "call", where, self.pki.ca, name)
        return called, server.finish(), server

    def test_starttls(self):
        for kind in ("tcp", "unix"):
            (code, out, err), served, server = self.starttls(kind, NAME)
            self.assertEqual((code, err, served), (0, b"", 0), server.errors)
            self.assertEqual(out, b"READY\nGO\nWELCOME\nPLAIN\n")

    def test_starttls_verifies(self):
        (code, out, err), served, server = self.starttls("tcp", "a.test")
        self.assertEqual((code, out, served), (1, b"READY\nGO\n", 1))
        self.assertIn(b"name", err)

    def test_starttls_goes_on_with_tls_or_not_at_all(self):
        listener = self.listen()

        def refuse():
            connection = listener.accept()[0]
            with connection:
                connection.settimeout(LIMIT)
                connection.sendall(b"READY\nNO\n")
                self.heard = receive_all(connection)

        thread = threading.Thread(target=refuse)
        thread.start()
        port = listener.getsockname()[1]
        code, _, err = run(program("starttls"), "call",
                           "tcp://127.0.0.1:%d" % port, self.pki.ca, NAME)
        thread.join(LIMIT)
        self.assertEqual((code, self.heard), (1, b"STARTTLS\n"))
        self.assertIn(b"did not send GO", err)

    def test_libuv_echo(self):
        if not os.path.exists(program("libuv_echo")):
            self.skipTest("built without libuv")
        for kind in KINDS:
            keys = self.keys(kind)[1::2]
            endpoint = self.anywhere(kind)
            server = self.start(program("libuv_echo"), endpoint, *keys)
            where = self.listening(server, endpoint)
            self.echoes(where)
            open_one = None
            if kind.endswith("tcp"):
                open_one = self.connect(server.port)
                before = server.idle_cpu_seconds()
                self.assertFalse(support.readable(open_one, 0.5))
                self.assertLess(server.cpu_seconds() - before, 0.1)
            self.end(server)

    def test_prefork(self):
        """Clients one after the other, and a slow client that others overtake."""
        for kind in KINDS:
            endpoint = self.anywhere(kind)
            server = self.start(program("prefork"), endpoint,
                                *self.keys(kind)[1::2])
            where = self.listening(server, endpoint)
            first = self.start(program("flow-cat"), where, *self.trust(kind),
                               stdin=subprocess.PIPE)
            first.process.stdin.write(b"first")
            first.process.stdin.flush()
            first.wait_for(lambda cat: cat.output == b"first")
            for _ in range(5): # a child that exits leaves the listener open
                self.echoes(where)
            first.process.stdin.write(b" and last")
            first.process.stdin.close()
            self.assertEqual(first.finish(), 0, first.errors)
            self.assertEqual(first.output, b"first and last")
            self.assertEqual(server.errors, b"")
            server.kill()
            self.assertEqual(server.finish(), -signal.SIGTERM)

    def test_prefork_with_many_clients(self):
        for kind in ("tcp", "tls+tcp"):
            endpoint = self.anywhere(kind)
            server = self.start(program("prefork"), endpoint,
                                *self.keys(kind)[1::2])
            self.listening(server, endpoint)
            clients = [self.connect(server.port) for _ in range(100)]
            if kind.startswith("tls+"):
                context = self.pki.client()
                clients = [context.wrap_socket(c, server_hostname=NAME)
                           for c in clients]
            for number, client in enumerate(clients):
                client.sendall(b"this is %d" % number)
            for number, client in enumerate(clients):
                expected = b"this is %d" % number
                self.assertEqual(client.recv(len(expected)), expected)
            for client in clients:
                client.close()
            server.kill()
            server.finish()

    def test_epoll_echo(self):
        if not os.path.exists(program("epoll_echo")):
            self.skipTest("this system has no epoll")
        endpoint = self.anywhere("unix")
        server = self.start(program("epoll_echo"), endpoint)
        where = self.listening(server, endpoint)
        self.echoes(where)
        # A silent client uses no CPU time and keeps no other client out.
        with socket.socket(socket.AF_UNIX) as silent:
            silent.connect(endpoint.partition("://")[2])
            before = server.idle_cpu_seconds()
            self.assertFalse(support.readable(silent, 0.5))
            self.assertLess(server.cpu_seconds() - before, 0.1)
            self.echoes(where)
        server.kill()
        self.assertEqual(server.finish(), -signal.SIGTERM)

    def test_first_program(self):
        page = b"<p>first"
        server = self.listen()

        def serve():
            connection = server.accept()[0]
            connection.settimeout(LIMIT)
            request = connection.recv(4096)
            if request == b"GET / HTTP/1.0\r\nHost: www.flow.test\r\n\r\n":
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + page)
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        code, out, err = run(
            program("first_program"),
            "tcp://127.0.0.1:%d" % server.getsockname()[1], NAME)
        thread.join()
        self.assertEqual((code, err), (0, b""))
        self.assertTrue(out.endswith(page))

    def test_first_program_verifies(self):
        """The system does not trust our CA."""
        server = self.echo("tls+tcp")
        code, out, err = run(program("first_program"), server.endpoint, NAME)
        self.assertEqual((code, out), (1, b""))
        self.assertIn(b"trust", err)
        self.end(server)


class Usage(Flows):
    def test_help(self):
        for name, options in (
                ("flow-echo", "listen cert key idle-timeout log keylog version"),
                ("flow-cat", "ca server-name alpn tls1.2 tls1.3 timeout "
                             "insecure-skip-verify idle-timeout keylog "
                             "starttls version"),
                ("flow-proxy", "listen cert key to ca server-name log "
                               "insecure-skip-verify max-connections "
                               "connect-timeout idle-timeout keylog starttls "
                               "version")):
            code, out, _ = run(program(name), "--help")
            self.assertEqual(code, 0)
            for option in options.split():
                self.assertIn(b"--" + option.encode(), out)
            self.assertIn(b"tcp://", out)

    def test_every_scheme_is_named(self):
        _, out, _ = run(program("flow-cat"), "--help")
        schemes = out.decode().partition("is one of\n\n")[2].split("\n\n")[0]
        code, _, err = run(program("flow-cat"), "spx://x")
        self.assertEqual(code, 2)
        for scheme in schemes.split():
            name = scheme.partition(":")[0].removesuffix("SCHEME")
            self.assertRegex(err.decode(),
                             " %s[:.]" % name.replace("+", r"\+"))

    def test_tls_options_without_tls(self):
        """If TLS options are given for an endpoint without TLS, it is an error."""
        keys = self.keys("tls+tcp")
        plain = "tcp://127.0.0.1:0"
        to = "tcp://127.0.0.1:1"
        for command in (
                ["flow-echo", "--listen", plain, *keys],
                ["flow-proxy", "--listen", plain, "--to", to, *keys],
                ["flow-proxy", "--listen", plain, "--to", to, "--ca",
                 self.pki.ca],
                ["flow-cat", to, "--ca", self.pki.ca],
                ["flow-cat", to, "--alpn", "x"],
                ["flow-cat", to, "--tls1.3"],
                ["flow-cat", to, "--server-name", NAME],
                ["flow-cat", to, "--insecure-skip-verify"]):
            with self.subTest(" ".join(command)):
                code, _, err = run(program(command[0]), *command[1:])
                self.assertEqual(code, 2, err)
                self.assertIn(b"tls+tcp://127.0.0.1:", err)

    def test_wrong_usage(self):
        for command, text, wanted in (
                (["flow-echo"], "--listen ENDPOINT is missing", 2),
                (["flow-echo", "--listen", "nonsense"], "nonsense", 2),
                (["flow-echo", "--listen", "spx://x"], "tcp", 2),
                (["flow-echo", "--listen", "tls+tcp://127.0.0.1:0"],
                 "TLS needs --cert", 2),
                (["flow-echo", "--listen", "tcp://127.0.0.1:0", "x"],
                 "unexpected argument", 2),
                (["flow-cat"], "ENDPOINT is missing", 2),
                (["flow-cat", "tcp://a:1", "tcp://b:2"], "one ENDPOINT", 2),
                (["flow-cat", "spx://x"], "tcp", 2),
                (["flow-cat", "tls+tcp://127.0.0.1:1", "--alpn", ""],
                 "'' is not a list of 1 to 16", 2),
                (["flow-cat", "tls+tcp://127.0.0.1:1", "--ca", self.pki.ca,
                  "--server-name", "a..b"], "not a host name", 2),
                (["flow-cat", "unix:///no/such/socket"], "no such file", 1),
                (["flow-proxy"], "--listen ENDPOINT is missing", 2),
                (["flow-proxy", "--listen", "tcp://127.0.0.1:0"],
                 "--to ENDPOINT is missing", 2),
                (["flow-proxy", "--listen", "tcp://127.0.0.1:0", "--to",
                  "spx://x"], "tcp", 2)):
            with self.subTest(" ".join(command)):
                code, _, err = run(program(command[0]), *command[1:])
                self.assertEqual(code, wanted, err)
                self.assertIn(text, err.decode())


if __name__ == "__main__":
    support.main()
