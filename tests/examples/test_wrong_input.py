#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Wrong input, and what the programs say to it.

Each row is a command, its exit code, and the words that its error has: what was
wrong, where, and what to do.  No row may name the same file twice.
"""

import pathlib
import re
import unittest

import support
from support import program, run

ECHO = ["flow-echo", "--listen"]
CAT = ["flow-cat"]
FETCH = ["flow-fetch"]
PROXY = ["flow-proxy", "--listen"]
TLS = "tls+tcp://127.0.0.1:0"
TO_TLS = "tls+tcp://127.0.0.1:1"
PAIR = ["--cert", "{www.pem}", "--key", "{www.key}"]
SITE = ["flow-site", "--listen", "127.0.0.1:0", *PAIR, "--serve"]

# {NAME} stands for a file of the test's directory.
ROWS = (
    # The command line itself.
    (["flow-cat"], 2, "which ENDPOINT?", "--help"),
    (["flow-cat", "tcp://a:1", "tcp://b:2"], 2, "one ENDPOINT", "--help"),
    (["flow-cat", "--nonsense"], 2, "--nonsense", "--help"),
    (["flow-echo"], 2, "--listen ENDPOINT is missing", "--help"),
    ([*ECHO, "tcp://127.0.0.1:0", "x"], 2, "unexpected argument 'x'", "--help"),
    (["flow-fetch"], 2, "which URL?", "--help"),
    (["flow-proxy", "--listen", "tcp://127.0.0.1:0"], 2,
     "--to ENDPOINT is missing", "--help"),
    (["flow-site"], 2, "--listen ADDR:PORT is missing", "--help"),
    ([*CAT, "tcp://a:1", "--timeout", "0"], 2, "--timeout",
     "expected a positive number of seconds", "'0'"),
    ([*CAT, "tcp://a:1", "--timeout", "soon"], 2, "--timeout",
     "expected a positive number of seconds", "'soon'"),
    ([*CAT, "tcp://a:1", "--idle-timeout", "-1"], 2, "--idle-timeout",
     "expected a positive number of seconds", "'-1'"),
    ([*PROXY, "tcp://:0", "--max-connections", "0"], 2, "--max-connections",
     "expected a number from 1 to 1000000", "'0'"),
    ([*CAT, TO_TLS, "--tls1.2", "--tls1.3"], 2, "exclude each other"),
    ([*CAT, TO_TLS, "--alpn", ""], 2, "not a list of 1 to 16 protocol names"),
    ([*CAT, "tcp://127.0.0.1:1", "--ca", "{ca.pem}"], 2, "is not encrypted",
     "write tls+tcp://127.0.0.1:1"),
    # Endpoints.
    ([*CAT, "127.0.0.1:80"], 2, "no such scheme", "tcp://HOST:PORT"),
    ([*ECHO, "127.0.0.1:80"], 2, "no such scheme", "tcp://HOST:PORT"),
    ([*CAT, "nonsense"], 2, "begins with a scheme and a colon", "tcp:"),
    ([*CAT, "spx://x"], 2, "no such scheme in this build", "tcp:"),
    ([*CAT, "tcp://127.0.0.1"], 2, "the port is missing", "tcp://HOST:PORT"),
    ([*CAT, "tcp://[::1:80"], 2, "is missing", "tcp://[ADDRESS]:PORT"),
    ([*CAT, "tcp://a:65536"], 2, "port", "65535", "tcp://HOST:PORT"),
    ([*CAT, "tcp://127.0.0.1:1"], 1, "connection was refused", "127.0.0.1:1",
     "check that the server runs"),
    ([*CAT, "unix://{no-such-directory}/s"], 1, "no such file or directory",
     "no-such-directory", "check that the directory exists"),
    ([*ECHO, "unix://{no-such-directory}/s"], 1, "no such file or directory",
     "no-such-directory", "check that the directory exists"),
    ([*ECHO, "unix://{ca.pem}/s"], 1, "a part of the path is not a directory",
     "ca.pem", "check the path"),
    ([*ECHO, "unix://{ca.pem}"], 1, "a file that is not a socket has this name",
     "ca.pem", "remove the file or choose another path"),
    ([*ECHO, "tcp://192.0.2.1:0"], 1, "this machine has no such address",
     "192.0.2.1"),
    # Certificates and keys.
    ([*ECHO, TLS], 2, "TLS needs --cert FILE and --key FILE"),
    ([*ECHO, TLS, "--cert", "{www.pem}"], 2, "1 --cert but 0 --key"),
    ([*ECHO, TLS, "--cert", "{none}", "--key", "{www.key}"], 1,
     "cannot load certificate and key", "no such file", "none"),
    ([*ECHO, TLS, "--cert", "{www.pem}", "--key", "{none}"], 1,
     "cannot load certificate and key", "no such file", "none"),
    ([*ECHO, TLS, "--cert", "{junk}", "--key", "{www.key}"], 1,
     "certificate chain is not understood", "junk"),
    ([*ECHO, TLS, "--cert", "{www.pem}", "--key", "{junk}"], 1,
     "private key is not understood", "junk"),
    ([*ECHO, TLS, "--cert", "{www.key}", "--key", "{www.key}"], 1,
     "certificate chain is not understood", "www.key"),
    ([*ECHO, TLS, "--cert", "{www.pem}", "--key", "{other.key}"], 1,
     "private key does not belong to the certificate", "other.key"),
    ([*ECHO, TLS, "--cert", "{www.pem}", "--key", "{locked.key}"], 1,
     "private key is encrypted", "locked.key", "store it decrypted"),
    ([*CAT, TO_TLS, "--ca", "{none}"], 1, "cannot load --ca", "no such file",
     "none"),
    ([*CAT, TO_TLS, "--ca", "{junk}"], 1, "cannot load --ca",
     "no certificate is understood", "junk"),
    ([*CAT, TO_TLS, "--ca", "{ca.pem}", "--server-name", "a..b"], 2,
     "the server name is not a host name", "xn--"),
    # URLs, and what a site serves.
    ([*FETCH, "example.org"], 2, "'example.org' is not a valid URL",
     "https://"),
    ([*FETCH, "https://me@example.org/"], 2, "is not a valid URL",
     "user name"),
    ([*FETCH, "https://example.org:0/"], 2, "its port is not a number from 1"),
    ([*FETCH, "https://127.1/", "--ca", "{ca.pem}"], 1,
     "cannot ask for '127.1' with TLS",
     "the server name is not a host name or an address"),
    ([*FETCH, "https://127.0.0.1:1/", "--ca", "{ca.pem}"], 1,
     "https://127.0.0.1:1/", "connection was refused",
     "check that the server runs"),
    ([*FETCH, "https://a/", "--connect", "h"], 2, "--connect", "has no port",
     "ADDR:PORT"),
    ([*SITE, "a.test"], 2, "'a.test' is not NAME=FILE"),
    ([*SITE, "a b={www.pem}"], 2, "'a b' is not a host name", "xn--"),
    ([*SITE, "a.test={none}"], 1, "cannot open", "none",
     "No such file or directory"),
    ([*SITE, "a.test=/"], 1, "'/' is not a regular file"),
    (["flow-site", "--listen", "::1:0", *PAIR, "--serve", "a.test={www.pem}"],
     2, "--listen: '::1:0'", "in brackets", "[ADDR]:PORT"),
    (["flow-site", "--listen", "127.0.0.1:65536", *PAIR, "--serve",
      "a.test={www.pem}"], 2, "expected a number from 0 to 65535", "'65536'"),
)


class WrongInput(support.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pki.make("www", ["www.test"])
        cls.pki.make("other", ["www.test"])
        cls.pki.openssl("pkey", "-in", cls.pki.path("www.key"), "-aes128",
                        "-passout", "pass:x", "-out",
                        cls.pki.path("locked.key"))
        pathlib.Path(cls.pki.path("junk")).write_text("junk\n")

    def test_rows(self):
        self.assertGreaterEqual(len(ROWS), 40)
        for command, wanted, *words in ROWS:
            with self.subTest(" ".join(command)):
                command = [
                    re.sub(r"\{([a-z.-]+)\}",
                           lambda found: self.pki.path(found.group(1)), word)
                    for word in command
                ]
                code, out, err = run(program(command[0]), *command[1:])
                told = err.decode()
                self.assertEqual((code, out), (wanted, b""), told)
                # getopt() writes the name as it was called.
                self.assertRegex(told, r"\A(\S*/)?%s: " % command[0])
                for word in words:
                    self.assertIn(word, told)
                for path in set(re.findall(r"/tmp/[^ ),;:']+", told)):
                    if "unix://" + path not in told:
                        self.assertEqual(told.count(path), 1, told)

    def test_output_that_nobody_reads(self):
        """The error is about the output, not about the peer."""
        server = self.listen()
        reader, writer = support.os.pipe()
        support.os.close(reader)
        with support.subprocess.Popen(
                [program("flow-cat"),
                 "tcp://127.0.0.1:%d" % server.getsockname()[1]],
                stdin=support.subprocess.DEVNULL, stdout=writer,
                stderr=support.subprocess.PIPE) as cat:
            support.os.close(writer)
            peer = server.accept()[0]
            peer.sendall(b"x" * 1000)
            peer.close()
            told = cat.stderr.read().decode()
        self.assertEqual(cat.returncode, 1, told)
        self.assertIn("cannot write the output", told)


if __name__ == "__main__":
    support.main()
