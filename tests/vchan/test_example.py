#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""examples/tls_over_vchan: a text there, its length back, and no end
before the program makes it."""

import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv.pop(1)
NAME = "peer.example"


class Example(unittest.TestCase):
    def setUp(self):
        shm = pathlib.Path("/dev/shm")
        self.temporary = tempfile.TemporaryDirectory(
            dir=shm if shm.is_dir() else None)
        self.dir = pathlib.Path(self.temporary.name)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             "/CN=" + NAME, "-addext", "subjectAltName=DNS:" + NAME,
             "-keyout", self.dir / "key", "-out", self.dir / "cert"],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.server = subprocess.Popen(
            [PROGRAM, "serve", "fake", self.dir / "xen", self.dir / "cert",
             self.dir / "key"],
            stderr=subprocess.PIPE, text=True)

    def tearDown(self):
        if self.server.poll() is None:
            self.server.kill()
        self.server.communicate()
        self.temporary.cleanup()

    def dial(self, text, name=NAME):
        return subprocess.run(
            [PROGRAM, "dial", "fake", self.dir / "xen", self.dir / "cert",
             name],
            check=False, input=text, text=True, timeout=30,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_question_end_answer(self):
        done = self.dial("x" * 300000)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.stdout, "300000 bytes\n")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(self.server.wait(30), 0)

    def test_another_name_is_refused(self):
        done = self.dial("x", "other.example")
        self.assertEqual(done.returncode, 1)
        self.assertIn("certificate", done.stderr)
        self.assertEqual(self.server.wait(30), 1)

    def test_a_server_that_dies_is_not_an_end(self):
        client = subprocess.Popen(
            [PROGRAM, "dial", "fake", self.dir / "xen", self.dir / "cert",
             NAME],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        client.stdin.write("x" * 200000)
        client.stdin.flush()
        self.server.send_signal(signal.SIGKILL)
        out, err = client.communicate("", timeout=30)
        self.assertEqual(client.returncode, 1)
        self.assertEqual(out, "")
        self.assertIn("tls_over_vchan: ", err)


if __name__ == "__main__":
    unittest.main()
