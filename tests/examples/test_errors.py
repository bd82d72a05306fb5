#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""docs/errors.md compares what three clients say to ten failures: each failure
is made here, and each client must say what the document quotes.

Of flow-fetch and curl the whole text is compared, of s_client whether it
contains the words.  Other versions of curl and OpenSSL than those that the
document names must say the words that ROWS has for them.
"""

import pathlib
import re
import socket
import threading
import unittest

import support
from support import program, run

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/errors.md"
CLIENTS = ("flow-fetch", "curl", "s_client")
WAITS = "nothing: it waits"

# The failure as the document names it: how it is made, the name that is asked
# for, and words that every version of curl and of s_client says.
ROWS = {
    "no server listens": (
        "refused", "127.0.0.1", "onnect", "connect"),
    "the name does not resolve": (
        "unknown_name", "nosuchhost.invalid", "resolve host", "not known"),
    "the certificate has expired": (
        "expired", "www.test", "expired", "certificate has expired"),
    "the certificate is for another name": (
        "trusted", "mail.test", "mail.test", "mismatch"),
    "its authority is not trusted": (
        "untrusted", "www.test", "issuer", "issuer certificate"),
    "no common version": (
        "tls13_only", "www.test", "alert protocol version",
        "alert protocol version"),
    "the file of authorities is missing": (
        "no_authorities", "www.test", "/nowhere/ca.pem", "/nowhere/ca.pem"),
    "the server stays silent": (
        "silent", "www.test", "time", WAITS),
    "the server speaks plain HTTP": (
        "plain_http", "www.test", "rong version number",
        "wrong version number"),
    "the server closes at once": (
        "closing", "www.test", "in connection to www.test",
        "while reading"),
}


def documented():
    """{failure: {client: text}}, and the versions that the document names."""
    text = DOCUMENT.read_text()
    section = text[text.index("## The same errors in curl and s_client"):]
    rows = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] not in ("failure", "---"):
            rows[cells[0]] = dict(zip(CLIENTS, cells[1:]))
    versions = (re.search(r"\bcurl (\d+\.\d+)\b", section)[1],
                re.search(r"`openssl s_client` (\d+\.\d+)\b", section)[1])
    return rows, dict(zip(CLIENTS[1:], versions))


def version(tool):
    """"7.88" of "curl 7.88.1 (...)", or None."""
    command = {"curl": ("curl", "--version"),
               "s_client": ("openssl", "version")}[tool]
    if support.shutil.which(command[0]) is None:
        return None
    return re.search(r"(\d+\.\d+)", run(*command)[1].decode())[1]


def neutral(text):
    """Without the parts that differ between runs, and mbedTLS's error number."""
    text = re.sub(r"\b\d+(?= ms\b| milliseconds\b)", "N", text)
    text = re.sub(r"(?<=engine error )-0x[0-9a-f]+", "N", text)
    return re.sub(r"(?<=www\.test:)\d+|(?<=mail\.test:)\d+", "PORT", text)


class Errors(support.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pki.make("www", ["www.test"])
        cls.pki.make("old", ["www.test"], start="20200101", end="20210101")
        cls.pki.make_ca("stranger")
        cls.rows, cls.versions = documented()

    # Each makes a failure: (port, file of authorities, options by client).

    def serve(self, name, *options):
        server = self.start(
            "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
            self.pki.path(name + ".pem"), "-key",
            self.pki.path(name + ".key"), *options, stdin=support.subprocess.PIPE)
        return int(server.line(b"ACCEPT ").rpartition(":")[2])

    def answer(self, reply):
        """A server that reads a little, replies, and closes in order."""
        server = self.listen()

        def serve():
            while True:
                try:
                    peer = server.accept()[0]
                except OSError:
                    return
                with peer:
                    peer.settimeout(support.LIMIT)
                    peer.recv(65536)
                    peer.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown, socket.SHUT_RDWR)
        return server.getsockname()[1]

    def make_refused(self):
        return 1, self.pki.ca, {}

    def make_unknown_name(self):
        try:
            socket.getaddrinfo("nosuchhost.invalid", 443)
        except socket.gaierror as error:
            if error.errno != socket.EAI_NONAME:
                self.skipTest("no name service: %s" % error)
        else:
            self.skipTest("the name service knows nosuchhost.invalid")
        return None, self.pki.ca, {}

    def make_expired(self):
        return self.serve("old"), self.pki.ca, {}

    def make_trusted(self):
        return self.serve("www"), self.pki.ca, {}

    def make_untrusted(self):
        return self.serve("www"), self.pki.path("stranger.pem"), {}

    def make_tls13_only(self):
        return self.serve("www", "-tls1_3"), self.pki.ca, {
            "flow-fetch": ["--tls1.2"], "curl": ["--tls-max", "1.2"],
            "s_client": ["-tls1_2"]}

    def make_no_authorities(self):
        return self.serve("www"), "/nowhere/ca.pem", {}

    def make_silent(self):
        return self.listen().getsockname()[1], self.pki.ca, {
            "flow-fetch": ["--timeout", "1"],
            "curl": ["--max-time", "1"]}

    def make_plain_http(self):
        reply = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
        return self.answer(reply), self.pki.ca, {}

    def make_closing(self):
        return self.answer(b""), self.pki.ca, {}

    def command(self, client, name, port, authorities, options):
        if client == "flow-fetch":
            to = ["--connect", "127.0.0.1:%d" % port] if port else []
            return [program("flow-fetch"), "https://%s/" % name, "--ca",
                    authorities, *to, *options]
        if client == "curl":
            to = ["--connect-to", "::127.0.0.1:%d" % port] if port else []
            if name[0].isdigit():
                name, to = "%s:%d" % (name, port), []
            elif port:
                # curl prints the port of its command line.
                name = "%s:%d" % (name, port)
                to = ["--resolve", "%s:127.0.0.1" % name]
            return ["curl", "--silent", "--show-error", "--noproxy", "*",
                    "--cacert", authorities, *to, *options,
                    "https://%s/" % name]
        host = "%s:443" % name if port is None else "127.0.0.1:%d" % port
        return ["openssl", "s_client", "-connect", host, "-servername", name,
                "-CAfile", authorities, "-verify_return_error",
                "-verify_hostname", name, *options]

    def said(self, client, command):
        code, _, errors = run(*command)
        self.assertNotEqual(code, 0, errors)
        text = errors.decode().strip()
        if client == "flow-fetch":
            text = re.sub(r"\Aflow-fetch: (cannot fetch \S+?:? )?", "", text)
        elif client == "curl":
            text = re.sub(r"\Acurl: \(\d+\) ", "", text.splitlines()[0])
            text = re.sub(r"\AOpenSSL SSL_connect: "
                          r"|\AOpenSSL/\S+: error:\w+:[^:]*:[^:]*:", "", text)
        return text

    def compare(self, client, failure, command, words):
        quoted = self.rows[failure][client]
        text = self.said(client, command)
        if client != "flow-fetch" and version(client) != self.versions[client]:
            self.assertIn(words, text)
        elif client == "s_client":
            self.assertIn(quoted, text)
        else:
            self.assertEqual(neutral(text), neutral(quoted))

    def compare_waiting(self, failure, waiting):
        self.assertEqual(self.rows[failure]["s_client"], WAITS)
        self.assertIsNone(waiting.process.poll(), waiting.errors)
        self.assertEqual(waiting.errors, b"")

    def run_row(self, failure):
        make, name, *words = ROWS[failure]
        port, authorities, options = getattr(self, "make_" + make)()
        waiting = None
        for client, stable in zip(reversed(CLIENTS),
                                  [*reversed(words), None]):
            if client != "flow-fetch" and version(client) is None:
                print("skipped: %s: no %s here" % (failure, client))
                continue
            command = self.command(client, name, port, authorities,
                                   options.get(client, []))
            with self.subTest(client):
                if stable == WAITS:
                    waiting = self.start(*command)
                else:
                    self.compare(client, failure, command, stable)
        if waiting:
            self.compare_waiting(failure, waiting)

    def test_every_row_is_made(self):
        self.assertEqual(list(self.rows), list(ROWS))
        self.assertGreaterEqual(len(ROWS), 10)


def add_tests():
    for failure, (make, *_) in ROWS.items():
        def test(self, failure=failure):
            self.run_row(failure)
        test.__doc__ = failure
        setattr(Errors, "test_" + make, test)


add_tests()

if __name__ == "__main__":
    support.main()
