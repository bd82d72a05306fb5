#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Options that contradict each other, or the machine, must not configure.

Each case says what the error has to name.  The cases that must configure
show that it is the contradiction that was refused.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
ENGINE = ("mbedtls", "mbedx509", "mbedcrypto")


class Options(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)

    def configure(self, *options, engine=None):
        """Configure with nothing but an mbedTLS of that version in reach."""
        modules = self.scratch / "pkgconfig"
        modules.mkdir(exist_ok=True)
        for name in ENGINE if engine else ():
            (modules / (name + ".pc")).write_text(
                "Name: %s\nDescription: -\nVersion: %s\n" % (name, engine)
            )
        return subprocess.run(
            ["meson", "setup", tempfile.mkdtemp(dir=self.scratch), str(TOP),
             "-Dtests=disabled", "-Dexamples=disabled", "-Ddocs=disabled",
             *options],
            env={**os.environ, "PKG_CONFIG_LIBDIR": str(modules),
                 "PKG_CONFIG_PATH": ""},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False,
        )

    def assert_refused(self, done, what):
        self.assertNotEqual(done.returncode, 0, done.stdout)
        error = [l for l in done.stdout.splitlines() if "ERROR" in l]
        self.assertIn(what.lower(), "\n".join(error).lower(), done.stdout)

    def assert_accepted(self, done, what):
        self.assertEqual(done.returncode, 0, done.stdout)
        summary = re.search(r"TLS +: (.*)", done.stdout).group(1)
        self.assertEqual(summary, what, done.stdout)

    def test_no_system_engine(self):
        self.assert_refused(
            self.configure("-Dtls=enabled", "-Dmbedtls=system"), "mbedtls"
        )

    def test_system_engine_too_old(self):
        self.assert_refused(
            self.configure("-Dtls=enabled", "-Dmbedtls=system",
                           engine="3.6.6"),
            "mbedtls",
        )

    def test_system_engine_of_4_too_old(self):
        for engine in ("4.0.0", "4.1.0"):
            with self.subTest(engine):
                self.assert_refused(
                    self.configure("-Dtls=enabled", "-Dmbedtls=system",
                                   engine=engine),
                    "mbedTLS %s is too old" % engine,
                )

    def test_system_engine_of_another_series(self):
        self.assert_refused(
            self.configure("-Dtls=enabled", "-Dmbedtls=system",
                           engine="5.0.0"),
            "mbedtls",
        )

    def test_oldest_system_engines(self):
        for engine in ("3.6.7", "4.1.1"):
            with self.subTest(engine):
                self.assert_accepted(
                    self.configure("-Dtls=enabled", "-Dmbedtls=system",
                                   engine=engine),
                    "system mbedTLS " + engine,
                )

    def test_system_engine_asked_for_without_tls(self):
        self.assert_refused(
            self.configure("-Dtls=disabled", "-Dmbedtls=system"), "mbedtls"
        )

    def test_ciphers_asked_for(self):
        self.assert_refused(
            self.configure("-Dtls=enabled", "-Dlibcrypto=enabled",
                           engine="3.6.7"),
            "libcrypto",
        )
        for name in ("ipsec_mb", "libcrypto"):
            with self.subTest(name):
                self.assert_refused(
                    self.configure("-Dtls=disabled", "-D%s=enabled" % name),
                    "no use for ciphers",
                )

    def test_unknown_engine(self):
        self.assert_refused(self.configure("-Dmbedtls=openssl"), "openssl")

    def test_programs_without_what_they_speak(self):
        for missing in ("tls", "tcp", "unix"):
            with self.subTest(missing):
                self.assert_refused(
                    self.configure("-Dexamples=enabled", "-D%s=disabled" % missing),
                    "TLS over both kinds of socket",
                )

    def installed(self, done):
        """What a configured build would install, by name."""
        build = re.search(r"Build dir: (.*)", done.stdout).group(1)
        listed = subprocess.run(
            ["meson", "introspect", "--installed", build], check=True,
            stdout=subprocess.PIPE, text=True,
        ).stdout
        return {pathlib.Path(path).name for path in json.loads(listed).values()}

    def test_programs_are_installed_unless_left_out(self):
        names = {"flow-cat", "flow-site.1", "flow-fetch", "flow-verify",
                 "flow-verify.1", "flow-sni", "flow-sni.1"}
        for option, wanted in (("auto", names), ("disabled", set())):
            with self.subTest(option):
                done = self.configure("-Dexamples=auto", "-Dprograms=" + option,
                                      engine="3.6.7")
                self.assertEqual(done.returncode, 0, done.stdout)
                self.assertEqual(self.installed(done) & names, wanted)

    def test_programs_that_are_not_built(self):
        self.assert_refused(self.configure("-Dprograms=enabled"), "programs")

    def backends(self, *options):
        done = self.configure("-Dtls=disabled", *options)
        self.assertEqual(done.returncode, 0, done.stdout)
        return re.search(r"backends *: (.*)", done.stdout).group(1).split()

    def test_lwip_is_built_where_its_source_is(self):
        there = (TOP / "subprojects" / "lwip-2.2.1").is_dir()
        self.assertEqual("lwip" in self.backends(), there)
        self.assertNotIn("lwip", self.backends("-Dlwip=disabled"))
        if there:
            self.assertIn("lwip", self.backends("-Dlwip=enabled"))

    def test_xen_without_its_libraries(self):
        self.assert_refused(self.configure("-Dxen=enabled"), "xen")

    def test_without_tls(self):
        self.assert_accepted(self.configure("-Dtls=disabled"), "no")

    def test_with_nothing(self):
        self.assert_accepted(
            self.configure("-Dauto_features=disabled", "-Dpair=disabled"),
            "no",
        )


if __name__ == "__main__":
    unittest.main()
