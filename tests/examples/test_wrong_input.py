#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Wrong input, and the error messages of the programs.

Each row is a command, its exit code, and the words that its error has: what was
wrong, where, and what to do.  No row may name the same file twice.
"""

import os
import pathlib
import re
import signal
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
VERIFY = ["flow-verify"]
SITE = ["flow-site", "--listen", "127.0.0.1:0", *PAIR, "--serve"]

# {NAME} stands for a file of the test's directory.
ROWS = (
    # The command line itself.
    (["flow-cat"], 2, "ENDPOINT is missing", "--help"),
    (["flow-cat", "tcp://a:1", "tcp://b:2"], 2, "more than one ENDPOINT", "--help"),
    (["flow-cat", "--nonsense"], 2, "--nonsense", "--help"),
    (["flow-echo"], 2, "--listen ENDPOINT is missing", "--help"),
    ([*ECHO, "tcp://127.0.0.1:0", "x"], 2, "unexpected argument 'x'", "--help"),
    (["flow-fetch"], 2, "URL is missing", "--help"),
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
    ([*CAT, TO_TLS, "--starttls", "http"], 2,
     "'http' is not smtp, imap or postgres", "--help"),
    ([*PROXY, TLS, "--starttls", ""], 2, "'' is not smtp, imap or postgres",
     "--help"),
    ([*CAT, "tcp://127.0.0.1:1", "--starttls", "smtp"], 2, "is not encrypted",
     "write tls+tcp://127.0.0.1:1"),
    ([*PROXY, "tcp://127.0.0.1:0", "--to", TO_TLS, "--starttls", "smtp"], 2,
     "is not encrypted", "write tls+tcp://127.0.0.1:0"),
    ([*CAT, TO_TLS, "--keylog", "{no-such-directory}/keys"], 1,
     "cannot open the key log (--keylog)", "No such file", "no-such-directory"),
    ([*ECHO, TLS, *PAIR, "--keylog", "{no-such-directory}/keys"], 1,
     "cannot open the key log (--keylog)", "No such file", "no-such-directory"),
    ([*CAT, "tcp://127.0.0.1:1", "--keylog", "{keys}"], 2, "is not encrypted",
     "write tls+tcp://127.0.0.1:1"),
    ([*ECHO, "tcp://127.0.0.1:0", "--keylog", "{keys}"], 2, "is not encrypted",
     "write tls+tcp://127.0.0.1:0"),
    ([*PROXY, "tcp://127.0.0.1:0", "--to", "tcp://127.0.0.1:1", "--keylog",
      "{keys}"], 2, "is not encrypted", "write tls+tcp://127.0.0.1:0"),
    # Endpoints.
    ([*CAT, "127.0.0.1:80"], 2, "no such scheme", "tcp://HOST:PORT"),
    ([*ECHO, "127.0.0.1:80"], 2, "no such scheme", "tcp://HOST:PORT"),
    ([*CAT, "nonsense"], 2, "begins with a scheme and a colon", "tcp:"),
    ([*CAT, "spx://x"], 2, "no such scheme in this build", "tcp:"),
    ([*CAT, "tcp://127.0.0.1"], 2, "the port is missing", "tcp://HOST:PORT"),
    ([*CAT, "tcp://[::1:80"], 2, "is missing", "tcp://[ADDRESS]:PORT"),
    ([*CAT, "tcp://a:65536"], 2, "port", "65535", "tcp://HOST:PORT"),
    ([*CAT, "tcp://127.0.0.1:1"], 1, "connection refused", "127.0.0.1:1",
     "check that the server runs"),
    ([*CAT, "unix://{no-such-directory}/s"], 1, "no such file or directory",
     "no-such-directory", "check that the directory exists"),
    ([*ECHO, "unix://{no-such-directory}/s"], 1, "no such file or directory",
     "no-such-directory", "check that the directory exists"),
    ([*ECHO, "unix://{ca.pem}/s"], 1, "a part of the path is not a directory",
     "ca.pem", "check the path"),
    ([*ECHO, "unix://{ca.pem}"], 1, "a file that is not a socket has this name",
     "ca.pem", "remove the file or choose another path"),
    ([*ECHO, "tcp://192.0.2.1:0"], 1, "this machine does not have this address",
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
    ([*ECHO, TLS, "--cert", "{client.pem}", "--key", "{client.key}"], 1,
     "certificate is not for servers", "serverAuth is not in its "
     "extendedKeyUsage", "client.pem", "have one issued for TLS servers"),
    ([*ECHO, TLS, "--cert", "{short.pem}", "--key", "{short.key}"], 1,
     "RSA key is too short: fewer than 2048 bits", "short.key",
     "have a certificate issued for a longer key"),
    ([*PROXY, TLS, "--to", TO_TLS], 2, "TLS needs --cert FILE and --key FILE, "
     "or --certs DIR"),
    ([*PROXY, TLS, "--to", TO_TLS, "--cert", "{www.pem}"], 2,
     "1 --cert but 0 --key"),
    ([*PROXY, TLS, "--to", TO_TLS, "--cert", "{www.pem}", "--key",
      "{other.key}"], 1, "cannot load", "www.pem with", "other.key",
     "private key does not belong to the certificate"),
    ([*PROXY, TLS, "--to", TO_TLS, "--cert", "{expired.pem}", "--key",
      "{expired.key}"], 1, "expired.pem", "certificate has expired"),
    ([*PROXY, TLS, "--to", TO_TLS, "--certs", "{none}"], 1, "--certs",
     "No such file or directory"),
    ([*PROXY, TLS, "--to", TO_TLS, "--certs", "{ca.pem}"], 1, "--certs",
     "ca.pem: Not a directory"),
    ([*PROXY, TLS, "--to", TO_TLS, *["--certs", "x"] * 17], 2,
     "at most 16 times --certs"),
    ([*PROXY, "tcp://127.0.0.1:0", "--to", TO_TLS, "--certs", "{empty}"], 2,
     "is not encrypted", "write tls+tcp://127.0.0.1:0"),
    (["flow-site", "--listen", "127.0.0.1:0", "--certs", "{empty}", "--serve",
      "www.test={www.pem}"], 1, "it has no certificate",
     "NAME.pem with NAME.key", "NAME/fullchain.pem with NAME/privkey.pem"),
    ([*ECHO, TLS, "--cert", "{www.pem}", "--key", "{locked.key}",
      "--passphrase-file", "{wrong.pass}"], 1,
     "passphrase of the private key is wrong", "locked.key"),
    ([*ECHO, TLS, "--cert", "{www.pem}", "--key", "{locked.key}",
      "--passphrase-file", "{none}"], 1, "cannot read --passphrase-file",
     "none", "No such file or directory"),
    ([*ECHO, TLS, "--cert", "{www.pem}", "--key", "{locked.key}",
      "--passphrase-file", "{blank.pass}"], 1, "--passphrase-file",
     "blank.pass", "the first line is not 1 to 256 bytes long"),
    ([*ECHO, TLS, *PAIR, "--require-client-cert", "{none}"], 1,
     "cannot load --require-client-cert", "no such file", "none"),
    ([*ECHO, TLS, *PAIR, "--request-client-cert", "{junk}"], 1,
     "cannot load --request-client-cert", "no certificate is understood",
     "junk"),
    ([*ECHO, TLS, *PAIR, "--request-client-cert", "{ca.pem}",
      "--require-client-cert", "{ca.pem}"], 2, "one of them"),
    ([*ECHO, "tcp://127.0.0.1:0", "--require-client-cert", "{ca.pem}"], 2,
     "is not encrypted", "write tls+tcp://127.0.0.1:0"),
    ([*SITE, "www.test={www.pem}", "--require-client-cert", "{none}"], 1,
     "cannot load --require-client-cert", "no such file", "none"),
    (["flow-site", "--listen", "127.0.0.1:0", "--cert", "{www.pem}", "--key",
      "{locked.key}", "--serve", "www.test={www.pem}"], 1,
     "private key is encrypted", "locked.key", "--passphrase-file"),
    (["flow-site", "--listen", "127.0.0.1:0", "--cert", "{www.pem}", "--key",
      "{locked.key}", "--serve", "www.test={www.pem}", "--passphrase-file",
      "{wrong.pass}"], 1, "passphrase of the private key is wrong",
     "locked.key"),
    (["flow-site", "--listen", "127.0.0.1:0", "--cert", "{www.pem}", "--key",
      "{locked.key}", "--serve", "www.test={www.pem}", "--passphrase-file",
      "{empty}"], 1, "cannot read --passphrase-file", "it is not a regular file",
     "SIGHUP"),
    ([*PROXY, "tcp://127.0.0.1:0", "--to", TO_TLS, "--passphrase-file",
      "{www.pass}"], 2, "--passphrase-file is for a key"),
    ([*PROXY, "tcp://127.0.0.1:0", "--require-client-cert", "{ca.pem}", "--to",
      "tcp://127.0.0.1:1"], 2, "is not encrypted"),
    # Certificates of clients.
    ([*CAT, TO_TLS, "--client-cert", "{client.pem}"], 2,
     "1 --client-cert but 0 --client-key"),
    ([*CAT, TO_TLS, "--passphrase-file", "{www.pass}"], 2,
     "--passphrase-file is for a key", "--client-key"),
    ([*CAT, "tcp://127.0.0.1:1", "--client-cert", "{client.pem}",
      "--client-key", "{client.key}"], 2, "is not encrypted"),
    ([*CAT, TO_TLS, "--client-cert", "{server.pem}", "--client-key",
      "{server.key}"], 1, "certificate is not for clients",
     "clientAuth is not in its extendedKeyUsage", "server.pem",
     "have one issued for TLS clients"),
    ([*CAT, TO_TLS, "--client-cert", "{client.pem}", "--client-key",
      "{other.key}"], 1, "private key does not belong to the certificate",
     "other.key"),
    ([*CAT, TO_TLS, "--client-cert", "{www.pem}", "--client-key",
      "{locked.key}"], 1, "private key is encrypted", "locked.key",
     "--passphrase-file"),
    ([*CAT, TO_TLS, "--ca", "{none}"], 1, "cannot load --ca", "no such file",
     "none"),
    ([*CAT, TO_TLS, "--ca", "{junk}"], 1, "cannot load --ca",
     "no certificate is understood", "junk"),
    ([*CAT, TO_TLS, "--ca", "{ca.pem}", "--server-name", "a..b"], 2,
     "the server name is not a host name", "xn--"),
    # Chains to verify.
    (["flow-verify"], 2, "FILE is missing", "--help"),
    ([*VERIFY, "--ca", "{both.pem}", "{www.pem}"], 1, "cannot load --ca",
     "a key or a signature of a kind that is not supported",
     "both.pem, certificate 2"),
    ([*CAT, TO_TLS, "--ca", "{both.pem}"], 1, "cannot load --ca",
     "a key or a signature of a kind that is not supported",
     "both.pem, certificate 2"),
    ([*VERIFY, "--at", "2026-02-30", "{www.pem}"], 2,
     "--at: '2026-02-30' is not a time", "--help"),
    ([*VERIFY, "{ca.pem}", "{www.pem}"], 2, "more than one FILE", "--help"),
    ([*VERIFY, "--nonsense"], 2, "--nonsense", "--help"),
    ([*VERIFY, "--ca", "{none}", "{www.pem}"], 1, "cannot load --ca",
     "no such file", "none"),
    ([*VERIFY, "--ca", "{junk}", "{www.pem}"], 1, "cannot load --ca",
     "no certificate is understood", "junk"),
    ([*VERIFY, "--ca", "{ca.pem}", "{none}"], 1, "cannot read", "none",
     "No such file or directory"),
    ([*VERIFY, "--ca", "{ca.pem}", "{junk}"], 1, "junk",
     "no certificate is understood"),
    ([*VERIFY, "--ca", "{ca.pem}", "--crl", "{www.pem}", "{ca.pem}"], 1,
     "cannot load --crl", "no revocation list is understood", "www.pem"),
    ([*VERIFY, "--name", "a..b", "--ca", "{ca.pem}", "{www.pem}"], 2,
     "--name: 'a..b' is not a host name", "--help"),
    ([*VERIFY, "--at", "yesterday", "{www.pem}"], 2,
     "--at: 'yesterday' is not a time", "--help"),
    ([*VERIFY, "--pin", "12", "{www.pem}"], 2, "--pin",
     "expected 64 hexadecimal digits", "'12'"),
    ([*VERIFY, "--min-rsa", "1024", "{www.pem}"], 2, "--min-rsa",
     "expected a number from 2048 to 8192", "'1024'"),
    ([*VERIFY, "--min-ec", "300", "{www.pem}"], 2, "--min-ec", "384", "--help"),
    ([*VERIFY, "--min-hash", "300", "{www.pem}"], 2, "--min-hash", "384",
     "--help"),
    # Which certificate is served, and what is shown.
    (["flow-sni"], 2, "expected 'flow-sni explain'", "--help"),
    (["flow-sni", "--nonsense"], 2, "--nonsense", "--help"),
    (["flow-sni", "explain", "a.test"], 2,
     "TLS needs --cert FILE and --key FILE, or --certs DIR", "--help"),
    (["flow-sni", "explain", *PAIR], 2, "NAME is missing", "--help"),
    (["flow-sni", "explain", *PAIR, "--sigalgs", "rsa", "a.test"], 2,
     "--sigalgs", "'rsa' is not a list of signature algorithms",
     "rsa_pss_rsae_sha256"),
    (["flow-sni", "explain", "--cert", "{www.pem}", "--key", "{none}",
      "a.test"], 1, "cannot load", "No such file", "none"),
    (["flow-sni", "explain", "--cert", "{www.pem}", "--key", "{other.key}",
      "a.test"], 1, "private key does not belong to the certificate",
     "other.key"),
    ([*CAT, "tcp://127.0.0.1:1", "--show"], 2, "is not encrypted",
     "write tls+tcp://127.0.0.1:1"),
    ([*CAT, TO_TLS, "--show=xml"], 2, "--show", "expected text or json",
     "'xml'"),
    ([*FETCH, "http://127.0.0.1:1/", "--show"], 2, "is not encrypted",
     "write https://"),
    ([*FETCH, "http://127.0.0.1:1/", "--session-file", "{sessions}"], 2,
     "is not encrypted", "write https://"),
    ([*FETCH, "http://127.0.0.1:1/", "--client-cert", "{client.pem}",
      "--client-key", "{client.key}"], 2, "is not encrypted",
     "write https://"),
    ([*FETCH, "https://127.0.0.1:1/", "--ca", "{ca.pem}", "--session-file",
      "{link}"], 1, "cannot read --session-file", "link",
     "it is a symbolic link"),
    # URLs, and what a site serves.
    ([*FETCH, "example.org"], 2, "'example.org' is not a valid URL",
     "https://"),
    ([*FETCH, "https://me@example.org/"], 2, "is not a valid URL",
     "user name"),
    ([*FETCH, "https://example.org:0/"], 2, "its port is not a number from 1"),
    ([*FETCH, "https://127.1/", "--ca", "{ca.pem}"], 1,
     "cannot use '127.1' as TLS server name",
     "the server name is not a host name or an address"),
    ([*FETCH, "https://127.0.0.1:1/", "--ca", "{ca.pem}"], 1,
     "https://127.0.0.1:1/", "connection refused",
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


# Of the environment, and then a command: as above.
ENVIRONMENT = (
    ({"SSLKEYLOGFILE": "{no-such-directory}/keys"}, [*CAT, TO_TLS], 1,
     "cannot open the key log (SSLKEYLOGFILE)", "No such file",
     "no-such-directory"),
    ({"SSL_CERT_FILE": "{none}"}, [*CAT, TO_TLS], 1,
     "cannot load SSL_CERT_FILE", "no such file", "none"),
    ({"SSL_CERT_FILE": "{junk}"}, [*FETCH, "https://a.invalid/"], 1,
     "cannot load SSL_CERT_FILE", "no certificate is understood", "junk"),
    ({"SSL_CERT_DIR": "{none}"}, [*CAT, TO_TLS], 1,
     "cannot load SSL_CERT_DIR", "none", "No such file or directory"),
    ({"SSL_CERT_DIR": "{empty}"}, [*CAT, TO_TLS], 1,
     "cannot load SSL_CERT_DIR", "no certificate in", "empty"),
    ({"SSL_CERT_DIR": ":"}, [*CAT, TO_TLS], 1,
     "cannot load SSL_CERT_DIR", "no directory in ':'"),
    ({"SSL_CERT_DIR": ":"}, [*VERIFY, "{www.pem}"], 1,
     "cannot load SSL_CERT_DIR", "no directory in ':'"),
    ({"SSL_CERT_FILE": "{junk}"}, [*VERIFY, "{www.pem}"], 1,
     "cannot load SSL_CERT_FILE", "no certificate is understood", "junk"),
    ({"SSL_CERT_DIR": "{empty}"}, [*VERIFY, "{www.pem}"], 1,
     "cannot load SSL_CERT_DIR", "no certificate in", "empty"),
    # The command line takes precedence.
    ({"SSL_CERT_FILE": "{none}"}, [*CAT, TO_TLS, "--ca", "{ca.pem}"], 1,
     "connection refused"),
)

# Warnings of servers that keep running: a signal or None, and the message.
WARNINGS = (
    ([*SITE, "elsewhere.test={www.pem}"], None, "--serve elsewhere.test",
     "no certificate is for this name", "subjectAltName"),
    ([*ECHO, "tcp://127.0.0.1:0"], signal.SIGHUP, "flow-echo: SIGHUP",
     "SIGHUP ignored", "restart the program"),
    ([*PROXY, "tcp://127.0.0.1:0", "--to", "tcp://127.0.0.1:1"],
     signal.SIGHUP, "flow-proxy: SIGHUP", "SIGHUP ignored",
     "restart the program"),
)


class WrongInput(support.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pki.make("www", ["www.test"])
        cls.pki.make("other", ["www.test"])
        cls.pki.make("client", ["www.test"], usage="clientAuth")
        cls.pki.make("expired", ["www.test"], start="20200101",
                     end="20210101")
        cls.pki.make("server", ["www.test"], usage="serverAuth")
        cls.pki.make("short", ["www.test"], kind="rsa1024")
        cls.pki.openssl("pkey", "-in", cls.pki.path("www.key"), "-aes128",
                        "-passout", "pass:x", "-out",
                        cls.pki.path("locked.key"))
        pathlib.Path(cls.pki.path("junk")).write_text("junk\n")
        for name, line in ("www", "x"), ("wrong", "y"), ("blank", ""):
            pathlib.Path(cls.pki.path(name + ".pass")).write_text(line + "\n")
        pathlib.Path(cls.pki.path("empty")).mkdir()
        pathlib.Path(cls.pki.path("link")).symlink_to("sessions")
        cls.pki.openssl("req", "-x509", "-newkey", "ed25519", "-nodes",
                        "-subj", "/CN=Other kind", "-keyout",
                        cls.pki.path("kind.key"), "-out",
                        cls.pki.path("kind.pem"))
        pathlib.Path(cls.pki.path("both.pem")).write_bytes(b"".join(
            pathlib.Path(cls.pki.path(name)).read_bytes()
            for name in ("ca.pem", "kind.pem")))
        trusted = pathlib.Path(cls.pki.path("trusted"))
        trusted.mkdir()
        (trusted / "ca.pem").write_bytes(
            pathlib.Path(cls.pki.ca).read_bytes())
        (trusted / "README").write_text("no certificate\n")

    def path_words(self, words):
        return [re.sub(r"\{([a-z.-]+)\}",
                       lambda found: self.pki.path(found.group(1)), word)
                for word in words]

    def test_rows(self):
        self.assertGreaterEqual(len(ROWS), 40)
        for command, wanted, *words in ROWS:
            with self.subTest(" ".join(command)):
                command = self.path_words(command)
                code, out, err = run(program(command[0]), *command[1:])
                told = err.decode()
                self.assertEqual((code, out), (wanted, b""), told)
                # getopt() prints argv[0] as it was given.
                self.assertRegex(told, r"\A(\S*/)?%s: " % command[0])
                for word in words:
                    self.assertIn(word, told)
                for path in set(re.findall(r"/tmp/[^ ),;:']+", told)):
                    if "unix://" + path not in told:
                        self.assertEqual(told.count(path), 1, told)

    def test_kinds_of_keys(self):
        """A kind that cannot be used is named."""
        for kind, wanted in (
                (["ED25519"], "key is Ed25519, which is not supported"),
                (["ED448"], "key is Ed448, which is not supported"),
                (["RSA-PSS", "rsa_keygen_bits:2048"],
                 "key is RSASSA-PSS, which is not supported"),
                (["EC", "ec_paramgen_curve:secp256k1"], "key is on secp256k1"),
                (["EC", "ec_paramgen_curve:P-224"], "key is on P-224"),
                (["EC", "ec_paramgen_curve:brainpoolP256r1"],
                 "key is on brainpoolP256r1"),
                (["EC", "ec_paramgen_curve:sect283k1"],
                 "key is on a curve other than P-256, P-384 and P-521")):
            with self.subTest(kind=kind):
                key, chain = self.pki.path("k.key"), self.pki.path("k.pem")
                self.pki.openssl("genpkey", "-algorithm", kind[0],
                                 *(word for option in kind[1:]
                                   for word in ("-pkeyopt", option)),
                                 "-out", key)
                self.pki.openssl("req", "-x509", "-new", "-key", key, "-subj",
                                 "/CN=k", "-out", chain)
                code, _, err = run(program("flow-echo"), "--listen", TLS,
                                   "--cert", chain, "--key", key)
                self.assertEqual(code, 1)
                # A system's mbedTLS may know the curve.
                self.assertRegex(err.decode(), wanted +
                                 ("|neither RSA nor ECDSA P-256"
                                  if kind[0] == "EC" else ""))

    def test_environment(self):
        for variables, command, wanted, *words in ENVIRONMENT:
            with self.subTest(variables=variables, command=command):
                name, *rest = self.path_words(command)
                values = self.path_words(variables.values())
                code, out, err = run(
                    program(name), *rest,
                    env={**os.environ, **dict(zip(variables, values))})
                self.assertEqual((code, out), (wanted, b""), err)
                for word in words:
                    self.assertIn(word, err.decode())

    def test_trust_of_the_environment(self):
        """It replaces the system's trust, which does not have this authority."""
        server = self.start(program("flow-echo"), "--listen", TLS,
                            *self.path_words(PAIR))
        port = server.line(b"listening on ").rpartition(":")[2]
        for variables, wanted in (
                ({"SSL_CERT_FILE": self.pki.ca}, 0),
                ({"SSL_CERT_DIR": self.pki.path("empty") + "x:"}, 1),
                ({"SSL_CERT_DIR": self.pki.path("trusted")}, 0),
                ({"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""}, 1)):
            with self.subTest(variables=variables):
                code, out, err = run(
                    program("flow-cat"), "tls+tcp://127.0.0.1:" + port,
                    "--server-name", "www.test", stdin=b"text",
                    env={**os.environ, **variables})
                self.assertEqual(code, wanted, err)
                self.assertEqual(out, b"" if wanted else b"text")
                code, out, err = run(
                    program("flow-verify"), self.pki.path("www.pem"),
                    env={**os.environ, **variables})
                self.assertEqual(code, wanted, out + err)

    def test_warnings(self):
        for command, number, *words in WARNINGS:
            with self.subTest(" ".join(command)):
                name, *rest = self.path_words(command)
                server = self.start(program(name), *rest)
                server.line(b"listening on ")
                if number:
                    self.assertEqual(server.errors, b"")
                    server.kill(number)
                for word in words:
                    server.wait_for(lambda s: word.encode() in s.errors)
                server.kill(signal.SIGTERM)
                self.assertEqual(server.finish(), 0)

    def test_hangups_that_are_ignored(self):
        """As under nohup(1)."""
        server = self.start(
            program("flow-echo"), "--listen", "tcp://127.0.0.1:0",
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        server.line(b"listening on ")
        server.kill(signal.SIGHUP)
        server.kill(signal.SIGTERM)
        self.assertEqual(server.finish(), 0)
        self.assertEqual(server.errors, b"")

    def test_output_without_a_reader(self):
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
