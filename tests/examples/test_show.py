#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""--show of flow-fetch and flow-cat beside `openssl x509`, and flow-sni beside
what a server serves."""

import hashlib
import json
import pathlib
import ssl
import unittest

import support
from support import program, run

NAMES = ["a.test", "*.b.test"]


class WithCertificates(support.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pki.make("ec", NAMES)
        cls.pki.make("rsa", NAMES, kind="rsa")
        cls.pki.make("big", ["c.test"], kind="secp384r1")
        live = cls.directory / "live"
        live.mkdir()
        for name in ("ec", "big"):
            for end in (".pem", ".key"):
                (live / (name + end)).write_bytes(
                    (cls.directory / (name + end)).read_bytes())
        page = cls.directory / "page"
        page.write_text("hello\n")

    def serve(self, *names):
        server = self.start(
            program("flow-site"), "--listen", "127.0.0.1:0",
            *self.pairs(*names), "--serve",
            "a.test=" + str(self.directory / "page"))
        return server.line(b"listening on ").rpartition(":")[2]

    def pairs(self, *names):
        return [word for name in names for word in (
            "--cert", self.pki.path(name + ".pem"), "--key",
            self.pki.path(name + ".key"))]

    def fetch(self, port, *options):
        return run(program("flow-fetch"), "https://a.test/", "--connect",
                   "127.0.0.1:" + port, *options)

    def openssl(self, name, *options, text=None):
        code, out, err = run(
            "openssl", "x509", "-noout", *options,
            *(["-in", self.pki.path(name + ".pem")] if name else []),
            stdin=text or b"")
        self.assertEqual(code, 0, err)
        return out.decode()

    def pin(self, name):
        code, der, _ = run(
            "openssl", "pkey", "-pubin", "-outform", "DER",
            stdin=self.openssl(name, "-pubkey").encode())
        self.assertEqual(code, 0)
        return hashlib.sha256(der).hexdigest()

    def need_json(self):
        code, _, err = run(program("flow-fetch"), "--show=json", "--version")
        if code == 2:
            self.assertIn(b"--show=json: this build has no JSON library", err)
            self.skipTest("this build has no JSON library")


class Show(WithCertificates):
    """--show of flow-fetch and flow-cat."""

    def expect_facts(self, cert, name, key, bits):
        der = ssl.PEM_cert_to_DER_cert(
            pathlib.Path(self.pki.path(name + ".pem")).read_text())
        self.assertEqual(cert["sha256"], hashlib.sha256(der).hexdigest())
        self.assertEqual(cert["pin_sha256"], self.pin(name))
        self.assertEqual((cert["key"], cert["key_bits"]), (key, bits))
        self.assertEqual("serial=" + cert["serial"].upper(),
                         self.openssl(name, "-serial").strip())
        for member, option in (("not_before", "-startdate"),
                               ("not_after", "-enddate")):
            theirs = self.openssl(name, option, "-dateopt", "iso_8601")
            self.assertEqual(
                cert[member],
                theirs.partition("=")[2].strip().replace(" ", "T"))

    def test_json(self):
        self.need_json()
        for name, key, bits in (("ec", "P-256", 256), ("rsa", "RSA", 2048)):
            port = self.serve(name)
            for version in ("TLSv1.2", "TLSv1.3"):
                with self.subTest(name=name, version=version):
                    code, out, err = self.fetch(
                        port, "--ca", self.pki.ca, "--show=json",
                        "--" + version.lower().replace("v", ""))
                    self.assertEqual((code, out), (0, b"hello\n"), err)
                    shown = json.loads(err)
                    self.assertEqual(
                        (shown["version"], shown["alpn"], shown["verified"],
                         shown["not_verified"], shown["resumed"],
                         shown["server_name"], shown["matched_name"]),
                        (version, "http/1.1", True, [], False, "a.test",
                         "a.test"))
                    leaf = shown["certificates"][0]
                    self.assertEqual(
                        (leaf["subject"], leaf["issuer"], leaf["ca"]),
                        ("CN=a.test", "CN=test CA ca", False))
                    self.assertEqual(
                        leaf["names"],
                        [{"kind": "DNS", "value": n} for n in NAMES])
                    self.expect_facts(leaf, name, key, bits)

    def test_text(self):
        port = self.serve("ec")
        code, out, err = self.fetch(port, "--ca", self.pki.ca, "--show")
        self.assertEqual((code, out), (0, b"hello\n"), err)
        told = err.decode()
        for line in ("peer verified; requested name a.test, certificate's name "
                     "a.test", "  subject      CN=a.test",
                     "  issuer       CN=test CA ca", "  name         DNS *.b.test",
                     "  key          P-256, 256 bits",
                     "  pin          " + self.pin("ec")):
            self.assertIn(line + "\n", told)
        code, _, err = run(
            program("flow-cat"), "tls+tcp://127.0.0.1:" + port, "--ca",
            self.pki.ca, "--server-name", "a.test", "--show=text")
        self.assertIn(b"  pin          " + self.pin("ec").encode(), err)

    def test_peer_that_is_not_verified(self):
        port = self.serve("ec")
        code, out, err = self.fetch(port, "--insecure-skip-verify", "--show")
        self.assertEqual((code, out), (0, b"hello\n"), err)
        self.assertIn(b"peer NOT VERIFIED, not checked, not trusted", err)

    def test_control_characters_of_a_certificate(self):
        (self.directory / "odd.cnf").write_text(
            "[req]\ndistinguished_name = n\nx509_extensions = e\n[n]\n"
            "[e]\nsubjectAltName = DNS:a.test, URI:http://a/\x1b[31m\n")
        self.pki.make_key("odd", "prime256v1")
        self.pki.openssl(
            "req", "-new", "-x509", "-config", str(self.directory / "odd.cnf"),
            "-subj", "/CN=a\x1b[31m\n\x07b", "-key", self.pki.path("odd.key"),
            "-out", self.pki.path("odd.pem"))
        port = self.serve("odd")
        for option in ("--show", "--show=json"):
            if option.endswith("json"):
                self.need_json()
            code, out, err = self.fetch(
                port, "--ca", self.pki.path("odd.pem"), option)
            self.assertEqual((code, out), (0, b"hello\n"), err)
            mark = b"\\\\" if option.endswith("json") else b"\\"
            self.assertIn(b"CN=a%s1B[31m%s0A%s07b" % (mark, mark, mark), err)
            self.assertIn(b"http://a/?[31m", err)
            self.assertNotRegex(err, rb"[^\n -~]")

    def test_wrong_usage(self):
        for command, words in (
                ((program("flow-fetch"), "http://a.test/", "--show"),
                 b"'http://a.test/' is not encrypted"),
                ((program("flow-cat"), "tcp://127.0.0.1:1", "--show"),
                 b"is not encrypted"),
                ((program("flow-fetch"), "https://a.test/", "--show=xml"),
                 b"--show: expected text or json, got 'xml'")):
            code, out, err = run(*command)
            self.assertEqual((code, out), (2, b""), err)
            self.assertIn(words, err)


class Explain(WithCertificates):
    """flow-sni explain, beside the certificate that flow-site serves."""

    def explain(self, *options, names=("ec", "rsa", "big")):
        return run(program("flow-sni"), "explain", *self.pairs(*names),
                   *options)

    def served(self, port, name, *options):
        """The certificate that openssl s_client is served, or None."""
        code, out, _ = run(
            "openssl", "s_client", "-connect", "127.0.0.1:" + port,
            *(["-servername", name] if name else ["-noservername"]), *options)
        if b"BEGIN CERTIFICATE" not in out:
            return None
        return self.openssl(None, "-fingerprint", "-sha256", text=out)

    def test_it_is_what_is_served(self):
        names = ("ec", "rsa", "big")
        port = self.serve(*names)
        for name, ours, theirs, wanted in (
                ("a.test", [], [], "ec"),
                ("x.b.test", [], [], "ec"),
                ("c.test", [], [], "big"),
                ("unknown.test", [], [], "ec"),
                ("", [], [], "ec"),
                ("a.test", ["--tls1.2"], ["-tls1_2"], "ec"),
                ("a.test", ["--sigalgs", "rsa_pss_rsae_sha256"],
                 ["-sigalgs", "rsa_pss_rsae_sha256"], "rsa"),
                ("a.test", ["--tls1.2", "--sigalgs", "rsa_pkcs1_sha256"],
                 ["-tls1_2", "-sigalgs", "rsa_pkcs1_sha256"], "rsa"),
                ("c.test", ["--tls1.3", "--sigalgs",
                            "rsa_pss_rsae_sha256,rsa_pkcs1_sha256"],
                 ["-tls1_3", "-sigalgs",
                  "rsa_pss_rsae_sha256:rsa_pkcs1_sha256"], None),
                ("a.test", ["--alpn", "h2,http/1.1"],
                 ["-alpn", "h2,http/1.1"], "ec"),
                ("a.test", ["--alpn", "h2"], ["-alpn", "h2"], None)):
            with self.subTest(name=name, options=ours):
                code, out, err = self.explain(*ours, name)
                self.assertEqual((code, err), (0 if wanted else 1, b""), out)
                real = self.served(port, name, *theirs)
                if wanted is None:
                    self.assertTrue(out.startswith(b"refused: "), out)
                    self.assertIsNone(real)
                    continue
                self.assertTrue(out.startswith(
                    b"served: " + self.pki.path(wanted + ".pem").encode()),
                    out)
                self.assertEqual(
                    real, self.openssl(wanted, "-fingerprint", "-sha256"))
                self.assertEqual(out.count(b": chosen\n"), 1)

    def test_reasons(self):
        _, out, _ = self.explain("--sigalgs", "rsa_pss_rsae_sha256", "a.test")
        lines = out.decode().splitlines()
        self.assertEqual(len(lines), 4, out)
        self.assertIn("by an exact name a.test, TLSv1.3, ALPN none", lines[0])
        self.assertEqual({line.rpartition("/")[2] for line in lines[1:]}, {
            "ec.pem (P-256, a.test): no signature algorithm of the client fits "
            "its key", "rsa.pem (RSA, a.test): chosen",
            "big.pem (P-384): for other names"})

    def test_options_of_the_site_are_accepted(self):
        code, out, _ = self.explain(
            "--listen", ":443", "--serve", "a.test=page", "--default", "a.test",
            "--redirect", ":80", "--workers", "2", "--max-connections", "9",
            "--handshake-timeout", "1", "--idle-timeout", "1", "--log",
            "--keylog", "keys", "--require-client-cert", "ca", "a.test")
        self.assertEqual(code, 0, out)

    def test_directory(self):
        """As the site loads it."""
        code, out, err = run(
            program("flow-sni"), "explain", "--certs",
            str(self.directory / "live"), "c.test")
        self.assertEqual(code, 0, err)
        self.assertTrue(out.startswith(
            b"served: " + str(self.directory / "live/big.pem").encode()), out)

    def test_json_of_a_decision(self):
        self.need_json()
        code, out, _ = self.explain("--json", "--alpn", "http/1.1", "y.b.test")
        told = json.loads(out)
        self.assertEqual(
            (code, told["served"], told["by"], told["pattern"],
             told["version"], told["alpn"]),
            (0, True, "a wildcard", "*.b.test", "TLSv1.3", "http/1.1"))
        self.assertEqual(
            [c["cert"] for c in told["certificates"] if c["chosen"]],
            [self.pki.path("ec.pem")])
        code, out, _ = self.explain("--json", "--alpn", "h2", "a.test")
        told = json.loads(out)
        self.assertEqual((code, told["served"], told["alert"]),
                         (1, False, "no_application_protocol"))

    def test_wrong_input(self):
        ec = self.pairs("ec")
        for command, code, words in (
                ([], 2, "expected 'flow-sni explain'"),
                (["tell", "a.test"], 2, "expected 'flow-sni explain'"),
                (["explain", "a.test"], 2, "--cert FILE and --key FILE, or --certs DIR"),
                (["explain", *ec], 2, "NAME is missing"),
                (["explain", *ec, "a", "b"], 2, "more than one NAME"),
                (["explain", *ec[:2], "a"], 2, "1 --cert but 0 --key"),
                (["explain", *ec, "--sigalgs", "rsa", "a"], 2,
                 "'rsa' is not a list of signature algorithms"),
                (["explain", *ec, "--alpn", "a,,b", "a"], 2,
                 "'a,,b' is not a list of protocol names"),
                (["explain", *ec, "--tls1.2", "--tls1.3", "a"], 2,
                 "exclude each other"),
                (["explain", "--cert", "/nowhere", "--key", "/nowhere", "a"],
                 1, "/nowhere")):
            with self.subTest(" ".join(command)):
                done, out, err = run(program("flow-sni"), *command)
                self.assertEqual((done, out), (code, b""), err)
                self.assertIn(words, err.decode())


if __name__ == "__main__":
    support.main()
