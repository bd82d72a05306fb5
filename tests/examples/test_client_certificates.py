#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Certificates of clients between the programs and those of others: OpenSSL's
s_client and s_server, gnutls-cli and gnutls-serv, curl."""

import os
import pathlib
import re
import shutil
import signal
import ssl

import support
from support import program, run

NAME = "www.flow.test"
BODY = b"for members\n"
REQUEST = b"GET / HTTP/1.0\r\n\r\n"
VERSIONS = {"1.2": "--tls1.2", "1.3": "--tls1.3"}
AUTHORITIES_IN = os.environ["FLOW_AUTHORITIES_IN"].split()
KINDS = {"p256": "prime256v1", "p384": "secp384r1", "rsa": "rsa2048"}


class Certificates(support.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pki.make("www", [NAME], usage="serverAuth")
        cls.pki.make("renewed", [NAME], usage="serverAuth")
        for name, kind in KINDS.items():
            cls.pki.make(name, [name], kind=kind, usage="clientAuth")
        cls.pki.make_ca("strangers")
        cls.pki.make("stranger", ["stranger"], ca="strangers",
                     usage="clientAuth")
        cls.pki.make("old", ["old"], start="20200101", end="20210101",
                     usage="clientAuth")
        cls.pki.openssl("pkcs8", "-topk8", "-in", cls.pki.path("p256.key"),
                        "-passout", "pass:open sesame", "-out",
                        cls.pki.path("pkcs8.key"))
        cls.pki.openssl("ec", "-in", cls.pki.path("p256.key"), "-aes256",
                        "-passout", "pass:open sesame", "-out",
                        cls.pki.path("pem.key"))
        for name in "www", "renewed":
            cls.pki.openssl("pkcs8", "-topk8", "-in", cls.pki.path(name + ".key"),
                            "-passout", "pass:open sesame", "-out",
                            cls.pki.path(name + ".locked"))
        pathlib.Path(cls.pki.path("passphrase")).write_text("open sesame\n")
        (cls.directory / "body").write_bytes(BODY)

    def pair(self, name, key=None):
        return (self.pki.path(name + ".pem"),
                self.pki.path((key or name) + ".key"))

    def own(self, name, key=None):
        chain, key = self.pair(name, key)
        return ["--client-cert", chain, "--client-key", key]

    def serve(self, how="--require-client-cert", *more):
        chain, key = self.pair("www")
        site = self.start(program("flow-site"), "--listen", "127.0.0.1:0",
                          "--cert", chain, "--key", key, how, self.pki.ca,
                          "--serve", "%s=%s" % (NAME, self.directory / "body"),
                          "--log", *more)
        site.port = int(site.line(b"listening on ").rpartition(":")[2])
        return site

    def end(self, site):
        site.kill()
        self.assertEqual(site.finish(), 0, site.errors)

    def fetch(self, port, *more):
        return run(program("flow-fetch"), "--ca", self.pki.ca, "--connect",
                   "127.0.0.1:%d" % port, "https://%s/" % NAME, *more)

    def logged(self, site, text):
        site.wait_for(lambda s: text.encode() in s.errors)


class OurServer(Certificates):
    def test_flow_fetch(self):
        site = self.serve()
        for version in VERSIONS.values():
            for name in KINDS:
                with self.subTest(version=version, name=name):
                    code, out, err = self.fetch(site.port, version,
                                                *self.own(name))
                    self.assertEqual((code, out), (0, BODY), err)
                    self.logged(site, "client CN=" + name)
        self.end(site)

    def test_flow_fetch_is_refused(self):
        site = self.serve()
        for version, none, hint in (
                ("1.2", "handshake_failure", ""),
                ("1.3", "certificate_required",
                 "requires a client certificate, and none was given that it "
                 "asked for; give one with --client-cert FILE")):
            # A client presents what an authority of the server issued, or, to
            # a server that names none, the first that it has.
            refused = ((none, hint) if version in AUTHORITIES_IN else
                       ("unknown_ca", "refused the client certificate"))
            for own, (alert, hint) in (([], (none, hint)),
                                       (self.own("stranger"), refused)):
                code, out, err = self.fetch(site.port, VERSIONS[version], *own)
                self.assertEqual((code, out), (1, b""), err)
                self.assertIn("received fatal alert: " + alert, err.decode())
                self.assertIn(hint, err.decode())
        self.logged(site, "peer sent no certificate")
        self.end(site)

    def test_one_may_be_optional(self):
        site = self.serve("--request-client-cert")
        for version in VERSIONS.values():
            code, out, err = self.fetch(site.port, version)
            self.assertEqual((code, out), (0, BODY), err)
            self.assertNotIn(b"client CN=", site.errors)
        code, out, err = self.fetch(site.port, *self.own("rsa"))
        self.assertEqual((code, out), (0, BODY), err)
        self.logged(site, "client CN=rsa")
        self.end(site)

    def test_encrypted_keys(self):
        site = self.serve()
        for key in "pkcs8", "pem":
            code, out, err = self.fetch(
                site.port, *self.own("p256", key), "--passphrase-file",
                self.pki.path("passphrase"))
            self.assertEqual((code, out), (0, BODY), err)
        self.end(site)

    def test_several_certificates(self):
        """The one that the server names the authority of."""
        site = self.serve()
        for version in AUTHORITIES_IN:
            code, out, err = self.fetch(site.port, VERSIONS[version],
                                        *self.own("stranger"),
                                        *self.own("p384"))
            self.assertEqual((code, out), (0, BODY), err)
            self.logged(site, "client CN=p384")
        self.end(site)

    def s_client(self, port, version, *more):
        return run("openssl", "s_client", "-quiet",
                   "-tls" + version.replace(".", "_"), "-connect",
                   "127.0.0.1:%d" % port, "-servername", NAME, "-CAfile",
                   self.pki.ca, *more, stdin=REQUEST)

    def test_openssl(self):
        site = self.serve()
        for version in VERSIONS:
            for name in KINDS:
                chain, key = self.pair(name)
                code, out, err = self.s_client(site.port, version, "-cert",
                                               chain, "-key", key)
                self.assertTrue(out.endswith(BODY), (version, name, err))
            for name, alert in (("stranger", "unknown ca"),
                                ("old", "certificate expired")):
                chain, key = self.pair(name)
                _, out, err = self.s_client(site.port, version, "-cert",
                                            chain, "-key", key)
                self.assertEqual(out, b"")
                self.assertIn(alert, err.decode())
            _, out, err = self.s_client(site.port, version)
            self.assertEqual(out, b"")
            self.assertIn("certificate required" if version == "1.3"
                          else "handshake failure", err.decode())
        self.end(site)

    def test_openssl_sees_the_authority(self):
        site = self.serve()
        _, out, _ = run("openssl", "s_client", "-tls1_2", "-connect",
                        "127.0.0.1:%d" % site.port, "-servername", NAME)
        self.assertRegex(out, b"Acceptable client certificate CA names\n"
                              b".*test CA ca\n")
        self.end(site)

    def test_gnutls(self):
        self.need("gnutls-cli")
        site = self.serve()
        for version in VERSIONS:
            for name in KINDS:
                chain, key = self.pair(name)
                code, out, err = run(
                    "gnutls-cli", "--x509cafile", self.pki.ca,
                    "--x509certfile", chain, "--x509keyfile", key,
                    "--sni-hostname", NAME, "--verify-hostname", NAME,
                    "--priority", "NORMAL:-VERS-ALL:+VERS-TLS" + version,
                    "--logfile", str(self.directory / "gnutls.log"),
                    "-p", str(site.port), "127.0.0.1",
                    stdin=REQUEST)
                self.assertEqual(code, 0, err)
                self.assertTrue(out.endswith(BODY), (version, name))
        self.end(site)

    def test_curl(self):
        self.need("curl")
        site = self.serve()
        chain, key = self.pair("p256")
        for limit in (["--tls-max", "1.2"], ["--tlsv1.3"]):
            for own, wanted in ((["--cert", chain, "--key", key], BODY),
                                ([], b"")):
                code, out, err = run(
                    "curl", "-sS", "--noproxy", "*", *limit, "--cacert",
                    self.pki.ca, "--connect-to",
                    "%s:443:127.0.0.1:%d" % (NAME, site.port), *own,
                    "https://%s/" % NAME)
                self.assertEqual((code == 0, out), (wanted != b"", wanted),
                                 err)
        self.end(site)


class OurClient(Certificates):
    def test_openssl(self):
        for version in VERSIONS:
            for name in KINDS:
                with self.subTest(version=version, name=name):
                    chain, key = self.pair("www")
                    server = self.start(
                        "openssl", "s_server", "-accept", "127.0.0.1:0",
                        "-cert", chain, "-key", key, "-CAfile", self.pki.ca,
                        "-Verify", "3", "-verify_return_error", "-www",
                        "-naccept", "1")
                    port = int(server.line(b"ACCEPT ").rpartition(":")[2])
                    code, out, err = self.fetch(port, VERSIONS[version],
                                                *self.own("stranger"),
                                                *self.own(name))
                    self.assertEqual(code, 0, err)
                    self.assertRegex(out, b"Subject: CN ?= ?%b\n"
                                     % name.encode())

    def test_gnutls(self):
        self.need("gnutls-serv")
        chain, key = self.pair("www")
        for version in VERSIONS:
            held = self.listen()
            port = held.getsockname()[1]
            held.close()
            server = self.start(
                "gnutls-serv", "--http", "--port", str(port), "--require-client-cert",
                "--verify-client-cert", "--x509cafile", self.pki.ca,
                "--x509certfile", chain, "--x509keyfile", key)
            # It says where it will listen before it does.
            server.wait_for(lambda s: re.search(
                rb"listening on IPv4 .*done\n", s.output + s.errors))
            for name in KINDS:
                code, out, err = self.fetch(port, VERSIONS[version],
                                            *self.own("stranger"),
                                            *self.own(name))
                self.assertEqual(code, 0, err)
                self.assertIn(b"CN=" + name.encode(), out)
            server.close()

    def test_proxy(self):
        """It asks its clients, and presents its own to the server."""
        site = self.serve()
        chain, key = self.pair("www")
        proxy = self.start(
            program("flow-proxy"), "--listen", "tls+tcp://127.0.0.1:0",
            "--cert", chain, "--key", key, "--require-client-cert",
            self.pki.ca, "--to", "tls+tcp://127.0.0.1:%d" % site.port, "--ca",
            self.pki.ca, "--server-name", NAME, *self.own("p256", "pkcs8"),
            "--passphrase-file", self.pki.path("passphrase"))
        port = int(proxy.line(b"listening on ").rpartition(":")[2])
        code, out, err = self.fetch(port, *self.own("rsa"))
        self.assertEqual((code, out), (0, BODY), err)
        self.logged(site, "client CN=p256")
        self.assertNotIn(b"CN=rsa", site.errors)
        code, out, err = self.fetch(port)
        self.assertEqual((code, out), (1, b""), err)
        self.end(proxy)
        self.end(site)

    def test_cat(self):
        chain, key = self.pair("www")
        echo = self.start(
            program("flow-echo"), "--listen", "tls+tcp://127.0.0.1:0",
            "--cert", chain, "--key", key, "--require-client-cert",
            self.pki.ca)
        to = "tls+tcp://127.0.0.1:%s" % echo.line(
            b"listening on ").rpartition(":")[2]
        trust = ["--ca", self.pki.ca, "--server-name", NAME]
        code, out, err = run(program("flow-cat"), to, *trust,
                             *self.own("p384"), stdin=b"text")
        self.assertEqual((code, out), (0, b"text"), err)
        code, out, err = run(program("flow-cat"), to, *trust, stdin=b"text")
        self.assertEqual((code, out), (1, b""), err)
        self.assertIn(b"certificate_required", err)
        self.assertIn(b"--client-cert FILE", err)
        self.end(echo)


class Reload(Certificates):
    """What is asked of clients outlives each SIGHUP."""

    def setUp(self):
        self.certs = self.directory / ("certs-" + self.id().rpartition(".")[2])
        self.certs.mkdir()
        self.ca = self.certs / "members.ca"
        self.secret = self.certs / "secret"
        self.put(self.ca, "ca.pem")
        self.put(self.secret, "passphrase")
        self.store("www")

    def put(self, target, source):
        """A complete file, renamed."""
        temporary = target.with_name("." + target.name)
        shutil.copy(self.pki.path(source), temporary)
        temporary.rename(target)

    def store(self, name):
        self.put(self.certs / "www.key", name + ".locked")
        self.put(self.certs / "www.pem", name + ".pem")

    def start_server(self, name, *command, how="--require-client-cert",
                     answer=BODY):
        server = self.start(
            program(name), *command, "--certs", str(self.certs), how,
            str(self.ca), "--passphrase-file", str(self.secret), "--log")
        server.port = int(server.line(b"listening on ").rpartition(":")[2])
        server.answer = answer
        return server

    def servers(self):
        yield self.start_server(
            "flow-site", "--listen", "127.0.0.1:0", "--serve",
            "%s=%s" % (NAME, self.directory / "body"))
        plain = self.start(program("flow-echo"), "--listen",
                           "tcp://127.0.0.1:0")
        yield self.start_server(
            "flow-proxy", "--listen", "tls+tcp://127.0.0.1:0", "--to",
            "tcp://" + plain.line(b"listening on ").replace("tcp://", ""),
            answer=REQUEST)

    def reload(self, server, *words):
        before = len(server.errors)
        server.kill(signal.SIGHUP)

        def told(s):
            text = s.errors[before:].decode()
            lines = [line for line in text.splitlines(True)
                     if "loaded again" in line and line.endswith("\n")]
            return text if lines else None
        text = server.wait_for(told)
        for word in words:
            self.assertIn(word, text)
        return text

    def served(self, server, version, own=None):
        """The server's certificate; None if it refuses this client."""
        context = self.pki.client()
        context.minimum_version = context.maximum_version = version
        if own is not None:
            context.load_cert_chain(*self.pair(own))
        try:
            tls = self.connect_tls(server.port, NAME, context=context)
            tls.sendall(REQUEST)
            # In TLS 1.3 a client learns here that it is refused.
            data = tls.recv(1)
            while data and not data.endswith(server.answer):
                data += tls.recv(65536)
            der = tls.getpeercert(binary_form=True)
            tls.unwrap()
            tls.close()
        except (ssl.SSLError, ConnectionError):
            return None
        self.assertTrue(data.endswith(server.answer), server.errors)
        return ssl.DER_cert_to_PEM_cert(der)

    def serves(self, server, members, strangers, shows="www"):
        pem = pathlib.Path(self.pki.path(shows + ".pem")).read_text()
        pem = pem[:pem.index("-----END CERTIFICATE-----")]
        for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
            for own, wanted in ((None, False), ("p256", members),
                                ("stranger", strangers)):
                with self.subTest(version=version, own=own):
                    got = self.served(server, version, own)
                    self.assertEqual(got is not None, wanted, server.errors)
                    if wanted:
                        self.assertTrue(got.strip().startswith(pem.strip()))

    def test_a_renewal(self):
        for server in self.servers():
            self.store("www")
            self.reload(server, "loaded again: ")
            self.serves(server, True, False)
            self.store("renewed")
            self.reload(server, "renewed ", "1 renewed, 0 unchanged")
            self.serves(server, True, False, shows="renewed")
            self.end(server)

    def test_other_authorities(self):
        for server in self.servers():
            changed = "the authorities of clients have changed: %s\n" % self.ca
            self.put(self.ca, "strangers.pem")
            self.reload(server, changed, "loaded again: ")
            self.serves(server, False, True)
            self.put(self.ca, "ca.pem")
            self.reload(server, changed, "loaded again: ")
            self.serves(server, True, False)
            self.assertNotIn("have changed",
                             self.reload(server, "loaded again: "))
            self.end(server)

    def test_authorities_that_cannot_be_loaded(self):
        for server in self.servers():
            self.store("renewed")
            for spoil, word in (
                    (self.ca.unlink, "no such file"),
                    (lambda: os.mkfifo(self.ca), "is not a regular file"),
                    (lambda: self.put(self.ca, "p256.key"),
                     "no certificate is understood")):
                spoil()
                self.reload(server, "cannot load --require-client-cert", word,
                            "not loaded again, because of 1 problem")
                self.serves(server, True, False)
            self.put(self.ca, "ca.pem")
            self.reload(server, "1 renewed")
            self.serves(server, True, False, shows="renewed")
            self.store("www")
            self.end(server)

    def test_a_passphrase_that_cannot_be_read(self):
        for server in self.servers():
            self.store("renewed")
            for spoil, words in (
                    (self.secret.unlink, ["cannot read --passphrase-file",
                                          "No such file"]),
                    (lambda: self.put(self.secret, "ca.pem"),
                     ["passphrase of the private key is wrong"])):
                spoil()
                self.reload(server, *words,
                            "not loaded again, because of 1 problem")
                self.serves(server, True, False)
            self.put(self.secret, "passphrase")
            self.reload(server, "1 renewed")
            self.serves(server, True, False, shows="renewed")
            self.store("www")
            self.end(server)

    def test_one_may_be_optional(self):
        site = self.start_server(
            "flow-site", "--listen", "127.0.0.1:0", "--serve",
            "%s=%s" % (NAME, self.directory / "body"),
            how="--request-client-cert")
        for _ in range(2):
            for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
                self.assertIsNotNone(self.served(site, version))
                self.assertIsNotNone(self.served(site, version, "p256"))
                self.assertIsNone(self.served(site, version, "stranger"))
            self.reload(site, "0 renewed, 1 unchanged")
        self.end(site)

    def test_the_explanation(self):
        """flow-sni loads encrypted keys as the server does."""
        code, out, err = run(
            program("flow-sni"), "explain", "--certs", str(self.certs),
            "--require-client-cert", str(self.ca), "--passphrase-file",
            str(self.secret), NAME)
        self.assertEqual(code, 0, err)
        self.assertTrue(out.startswith(
            b"served: " + str(self.certs / "www.pem").encode()), out)


if __name__ == "__main__":
    support.main()
