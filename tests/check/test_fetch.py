#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""fetch_source.py reads apt's configuration as apt does."""

import pathlib
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import fetch_source

DEB822 = """\
# the archive
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/archive.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
"""
OTHER = """\
Types: deb
URIs: http://other.example/tools
Suites: bookworm
Components: main
Enabled: no
"""
ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb http://other.example/tools stuff main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/etc/apt/k.gpg] http://mirror.example/debian bookworm main
"""
INLINE_KEY = """\
Types: deb
URIs: http://mirror.example/debian
Suites: trixie
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 AAAA
 -----END PGP PUBLIC KEY BLOCK-----
"""


class AptConfiguration(unittest.TestCase):
    def sources(self, release, **files):
        with tempfile.TemporaryDirectory() as scratch:
            etc = pathlib.Path(scratch)
            (etc / "sources.list.d").mkdir()
            for name, text in files.items():
                (etc / name.replace("__", "/").replace("_", ".")).write_text(
                    text
                )
            with mock.patch("fetch_source.codename", return_value=release):
                return fetch_source.debian_sources("forky", etc)

    def test_deb822(self):
        text = self.sources(
            "bookworm",
            **{"sources.list.d__a_sources": OTHER,
               "sources.list.d__b_sources": DEB822},
        )
        self.assertEqual(
            text,
            "Types: deb-src\nURIs: http://mirror.example/debian\n"
            "Components: main\nSuites: forky\n"
            "Signed-By: /usr/share/keyrings/archive.gpg\n",
        )

    def test_one_line(self):
        text = self.sources("bookworm", **{"sources.list": ONE_LINE})
        self.assertIn("URIs: http://mirror.example/debian\n", text)
        self.assertIn("Signed-By: /etc/apt/k.gpg\n", text)

    def test_key_in_the_file(self):
        text = self.sources(
            "trixie", **{"sources.list.d__a_sources": INLINE_KEY}
        )
        self.assertTrue(
            text.endswith(
                "Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n"
                " AAAA\n -----END PGP PUBLIC KEY BLOCK-----\n"
            ),
            text,
        )

    def test_no_mirror(self):
        with self.assertRaises(fetch_source.Failed):
            self.sources("trixie", **{"sources.list": ONE_LINE})

    def test_releases(self):
        self.assertEqual(fetch_source.release("3.6.7-3"), (3, 6, 7))
        self.assertEqual(
            fetch_source.release("3.6.6-0.1~deb13u1"), (3, 6, 6)
        )
        self.assertEqual(
            fetch_source.release("2.2.1+dfsg1-1+deb13u1"), (2, 2, 1)
        )
        self.assertIsNone(fetch_source.release("4.0.0~beta-1"))


if __name__ == "__main__":
    unittest.main()
