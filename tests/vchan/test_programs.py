#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The example programs over vchans: test_programs.py DIRECTORY."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAMS = pathlib.Path(sys.argv.pop(1))
NAME = "peer.example"


class Programs(unittest.TestCase):
    def setUp(self):
        shm = pathlib.Path("/dev/shm")
        self.temporary = tempfile.TemporaryDirectory(
            dir=shm if shm.is_dir() else None)
        self.addCleanup(self.temporary.cleanup)
        self.dir = pathlib.Path(self.temporary.name)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             "/CN=" + NAME, "-addext", "subjectAltName=DNS:" + NAME,
             "-keyout", self.dir / "key", "-out", self.dir / "cert"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.keypair = ["--cert", self.dir / "cert", "--key", self.dir / "key"]

    def start(self, name, *arguments):
        """A server; what it listens on."""
        process = subprocess.Popen(
            [PROGRAMS / name, *arguments], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.kill)
        line = process.stdout.readline()
        self.assertRegex(line, "^listening on ")
        return line.split()[-1]

    def run_client(self, name, *arguments, **more):
        return subprocess.run(
            [PROGRAMS / name, *arguments], check=False, timeout=40,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def test_echo_over_tls(self):
        place = "tls+vchan+fake://%s/xen" % self.dir
        self.start("flow-echo", "--listen", place, *self.keypair)
        for size in (1, 200000):
            text = os.urandom(size)
            done = self.run_client(
                "flow-cat", place, "--ca", self.dir / "cert", "--server-name",
                NAME, input=text)
            self.assertEqual(done.stderr, b"")
            self.assertEqual(done.returncode, 0)
            self.assertEqual(done.stdout, text)

    def test_bare_vchan_has_no_half_close(self):
        place = "vchan+fake://%s/xen" % self.dir
        self.start("flow-echo", "--listen", place)
        done = self.run_client("flow-cat", place, "--idle-timeout", "2",
                               input=b"text")
        self.assertEqual(done.stdout, b"text")
        self.assertEqual(done.returncode, 1)

    def test_site_through_two_proxies(self):
        page = os.urandom(1500000)
        (self.dir / "page").write_bytes(page)
        site = self.start("flow-site", "--listen", "127.0.0.1:0", "--serve",
                          "%s=%s" % (NAME, self.dir / "page"), *self.keypair)
        place = "vchan+fake://%s/xen" % self.dir
        self.start("flow-proxy", "--listen", place, "--to", "tcp://" + site)
        front = self.start("flow-proxy", "--listen", "tcp://127.0.0.1:0",
                           "--to", place)
        for _ in range(3):
            done = self.run_client(
                "flow-fetch", "https://%s/" % NAME, "--connect", front, "--ca",
                self.dir / "cert", "--quiet")
            self.assertEqual(done.stderr, b"")
            self.assertEqual(done.returncode, 0)
            self.assertEqual(done.stdout, page)


if __name__ == "__main__":
    unittest.main()
