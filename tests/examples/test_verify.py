#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""flow-verify: verdicts, its options, JSON, and beside `openssl verify`."""

import hashlib
import json
import unittest

import support
from support import program, run


class Verify(support.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pki.make("good", ["a.test"])
        cls.pki.make("client", ["a.test"], usage="clientAuth")
        cls.pki.make("old", ["a.test"], start="20200101", end="20210101")
        cls.pki.make_ca("stranger")

    def verify(self, name, *options, ca="ca"):
        return run(program("flow-verify"), "--ca", self.pki.path(ca + ".pem"),
                   *options, self.pki.path(name + ".pem"))

    def refuses(self, words, name, *options, **more):
        code, out, err = self.verify(name, *options, **more)
        self.assertEqual((code, err), (1, b""))
        self.assertIn(b"refused: " + words, out)

    def accepts(self, name, *options, **more):
        code, out, err = self.verify(name, *options, **more)
        self.assertEqual((code, err), (0, b""))
        self.assertTrue(out.startswith(b"verified: CN=a.test\n"), out)
        return out

    def test_verdicts(self):
        out = self.accepts("good", "--name", "a.test")
        self.assertIn(b"  0 CN=a.test\n  1 CN=test CA ca\n", out)
        self.refuses(b"host name mismatch (certificate 0: CN=a.test)", "good",
                     "--name", "b.test")
        self.refuses(b"certificate has expired", "old")
        self.refuses(b"unsuitable certificate purpose", "client")
        self.accepts("client", "--client")
        self.refuses(b"certificate signed by unknown authority", "good",
                     ca="stranger")
        self.accepts("good", "--ca", self.pki.ca, ca="stranger")

    def test_time(self):
        self.accepts("old", "--ca", self.pki.path("old.pem"), "--at",
                     "2020-06-01T12:00:00Z")
        self.refuses(b"certificate is not yet valid", "old", "--at",
                     "2019-12-31")
        self.refuses(b"certificate is not yet valid", "good", "--at", "1000")

    def test_pins_and_minima(self):
        code, key, _ = run("openssl", "x509", "-in", self.pki.path("good.pem"),
                           "-noout", "-pubkey")
        self.assertEqual(code, 0)
        (self.pki.directory / "good.pub").write_bytes(key)
        code, der, _ = run("openssl", "pkey", "-pubin", "-in",
                           self.pki.path("good.pub"), "-outform", "DER")
        self.assertEqual(code, 0)
        pin = hashlib.sha256(der).hexdigest()
        self.accepts("good", "--pin", "0" * 64, "--pin", pin.upper())
        self.refuses(b"no pinned key in its chain", "good", "--pin", "0" * 64)
        self.refuses(b"certificate key too weak", "good", "--min-ec", "384")
        self.refuses(b"certificate signature algorithm too weak", "good",
                     "--min-hash", "384")

    def test_revocation(self):
        directory = self.pki.directory
        (directory / "index").write_text("")
        (directory / "number").write_text("01\n")
        (directory / "crl.cnf").write_text(
            "[ca]\ndatabase = %s\ncrlnumber = %s\ndefault_md = sha256\n"
            "default_crl_days = 30\n" % (directory / "index",
                                         directory / "number"))
        common = ("ca", "-config", str(directory / "crl.cnf"), "-name", "ca",
                  "-keyfile", self.pki.path("ca.key"), "-cert", self.pki.ca)
        # The authority's keyUsage has no cRLSign.
        self.pki.openssl(*common, "-gencrl", "-out", self.pki.path("list.pem"))
        self.refuses(b"no valid revocation list of its issuer", "good",
                     "--crl", self.pki.path("list.pem"))
        self.refuses(b"no valid revocation list of its issuer", "good",
                     "--require-crl")

    def test_json(self):
        try:
            code, out, _ = self.verify("good", "--json", "--name", "a.test")
            result = json.loads(out)
        except json.JSONDecodeError:
            self.assertEqual(code, 2)
            self.skipTest("this build has no JSON library")
        self.assertEqual(code, 0)
        self.assertEqual(result, {
            "verified": True, "check": "none", "text": "certificate verified",
            "depth": 0, "subject": "CN=a.test", "matched_name": "a.test",
            "signatures": 1, "path": ["CN=a.test", "CN=test CA ca"]})
        code, out, _ = self.verify("old", "--json")
        result = json.loads(out)
        self.assertEqual((code, result["verified"], result["check"]),
                         (1, False, "expired"))

    def test_openssl_says_the_same(self):
        for name, ca, options in (
                ("good", "ca", []), ("old", "ca", []),
                ("client", "ca", []), ("good", "stranger", []),
                ("good", "ca", ["a.test"]), ("good", "ca", ["b.test"])):
            with self.subTest(name=name, ca=ca, options=options):
                theirs, _, _ = run(
                    "openssl", "verify", "-no-CAfile", "-no-CApath",
                    "-no-CAstore", "-purpose", "sslserver", "-CAfile",
                    self.pki.path(ca + ".pem"),
                    *(["-verify_hostname", *options] if options else []),
                    self.pki.path(name + ".pem"))
                ours, _, _ = self.verify(
                    name, *(["--name", *options] if options else []), ca=ca)
                self.assertEqual(theirs == 0, ours == 0)

    def test_wrong_usage(self):
        good = self.pki.path("good.pem")
        key = self.pki.path("good.key")
        for options, text, wanted in (
                ([], "FILE is missing", 2),
                ([good, good], "more than one FILE", 2),
                (["--pin", "12", good], "64 hexadecimal digits", 2),
                (["--at", "yesterday", good], "not a time", 2),
                (["--at", "2020-13-01", good], "not a time", 2),
                (["--min-rsa", "1024", good], "--min-rsa", 2),
                (["--min-ec", "300", good], "256, 384 or 521", 2),
                (["--name", "a..b", good], "not a host name", 2),
                (["--ca", "/nowhere/ca.pem", good], "/nowhere/ca.pem", 1),
                (["--crl", good, good], "no revocation list is understood", 1),
                (["/nowhere/x.pem"], "cannot read /nowhere/x.pem", 1),
                ([key], "no certificate is understood", 1)):
            with self.subTest(" ".join(options)):
                code, out, err = run(
                    program("flow-verify"), "--ca", self.pki.ca, *options)
                self.assertEqual((code, out), (wanted, b""), err)
                self.assertIn(text, err.decode())


if __name__ == "__main__":
    unittest.main()
