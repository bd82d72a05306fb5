#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""prose.py itself: words to avoid are found where people read, and only there."""

import pathlib
import tempfile
import unittest

import prose


class Prose(unittest.TestCase):
    def words(self, name, text):
        return [word for _, word, _ in prose.faults(name, text)]

    def assert_caught(self, sentence, word):
        self.assertEqual(self.words("a.md", sentence + "\n"), [word], sentence)

    def assert_clean(self, sentence):
        self.assertEqual(self.words("a.md", sentence + "\n"), [], sentence)

    def test_behind(self):
        self.assert_caught("The alert behind the record.", "behind")
        self.assert_caught("Behind it stands a length.", "Behind")
        for sentence in (
                "A failure leaves nothing behind.",
                "What is left behind when it fails?",
                "A reader that falls behind is closed.",
                "A server behind a TLS proxy.", "A site behind two proxies.",
        ):
            self.assert_clean(sentence)

    def test_clause_without_a_subject(self):
        for sentence, word in (
                ("Who waits to write need not wait.", "Who waits"),
                ("It fails, and who sends gets an alert.", "who sends"),
                ("A limit for who connects.", "who connects"),
                ("The other must look: who takes an event wakes it.",
                 "who takes"),
                ("It stops what waits; what waits is woken.", "what waits"),
                ("Whoever holds the lock.", "Whoever"),
                ("Nobody reads it.", "Nobody"),
                ("The address is nobody's.", "nobody"),
        ):
            self.assert_caught(sentence, word)
        for sentence in (
                "A caller who waits is woken.",
                "Who closes the lower flow?",
                "The record says who closes the flow.",
                "Say what wakes the thread.",
                "What was accepted is sent.",
                "It does whatever its peer asks for.",
                'Workers run as the user "nobody".',
        ):
            self.assert_clean(sentence)

    def test_words_of_our_own(self):
        for sentence, word in (
                ("Rings the bell.", "bell"),
                ("The parting runs first.", "parting"),
                ("After the death of the peer.", "death"),
                ("The alert is staged.", "staged"),
                ("A worn key is replaced.", "worn"),
                ("The key wears too.", "wears"),
                ("The limit admits ten.", "admits"),
                ("A session is taken up.", "taken up"),
                ("Waits at the gate.", "gate"),
                ("A sink of events.", "sink"),
                ("A record in crumbs.", "crumbs"),
        ):
            self.assert_caught(sentence, word)
        for sentence in (
                "Rings the doorbell.", "Sift it down.", "A key wears out.",
                "The buffers take up memory only when used.",
                "It investigates the delegated gateway.",
        ):
            self.assert_clean(sentence)

    def test_is_no(self):
        for sentence, word in (
                ("The port is no number.", "is no number"),
                ("'x' is no option", "is no option"),
                ("A name that is none.", "is none"),
                ("Events without a byte are no storm.", "are no storm"),
                ("The content is nothing.", "is nothing."),
        ):
            self.assert_caught(sentence, word)
        for sentence in (
                "If there is no peer, it fails.", "There are none.",
                "The flow is no longer open.", "They come in no order.",
                "The limit is no more than a hint.", "The query is NONE.",
                "Which is none of the caller's business.",
        ):
            self.assert_clean(sentence)

    def test_c(self):
        text = (
            "/* A clause over two\n * lines: what\n * waits is woken, with `gate`. */\n"
            "static const char *const behind = \"the port is \"\n"
            "                                  \"no number\"; // a worn key\n"
            "static void\nshort_write_is_no_error(void **state)\n{\n"
            "    behind[0] = '\"';\n    call(\"a/* gate\");\n}\n")
        self.assertEqual(
            [(line, word) for line, word, _ in prose.faults("a.c", text)],
            [(2, "what waits"), (4, "is no number"), (5, "worn"),
             (7, "is no error"), (10, "gate")])

    def test_python(self):
        text = (
            '"""What stands\nbehind."""\nbehind = "is no " "option"\n'
            "# the\n# gate\n\ndef gate():\n    pass\n"
            "class A:\n    def test_it_is_none(self):\n        x is None\n")
        self.assertEqual(
            [(line, word) for line, word, _ in prose.faults("a.py", text)],
            [(2, "behind"), (3, "is no option"), (5, "gate"), (10, "is none")])

    def test_shell(self):
        text = ("#!/bin/sh\n# the gate\ngate=${bell#x}\necho \"a bell\"\n"
                "cat <<'USAGE'\nusage: behind\nUSAGE\ngate\n")
        self.assertEqual(
            [(line, word) for line, word, _ in prose.faults("a.sh", text)],
            [(2, "gate"), (4, "bell"), (6, "behind")])

    def test_meson(self):
        text = "# a gate\nx = 'gate'\noption('gate', description: 'A ' +\n 'the gate')\n"
        self.assertEqual(
            [line for line, _, _ in prose.faults("a/meson.build", text)], [1, 4])

    def test_markdown(self):
        text = ("# A gate\n\n`gate`, [a](gate.md)\n\n```c\ngate();\n```\n\n"
                "| a | stands\nbehind |\n* it is\n  none\n")
        self.assertEqual(
            [(line, word) for line, word, _ in prose.faults("a.md", text)],
            [(1, "gate"), (10, "behind"), (11, "is none")])

    def test_man(self):
        text = (".TH GATE 7\n.SH A GATE\nIt stands\n.I behind\n.BR this (3).\n"
                ".\\\" gate\n\\fBgate\\fR\n")
        self.assertEqual(
            [(line, word) for line, word, _ in prose.faults("a.7", text)],
            [(2, "GATE"), (4, "behind"), (7, "gate")])

    def test_paths(self):
        with tempfile.TemporaryDirectory() as scratch:
            top = pathlib.Path(scratch).resolve()
            for name in ("tls/a.c", "tlsb/a.c", "tls/a.bin",
                         "tests/check/prose.py"):
                (top / name).parent.mkdir(parents=True, exist_ok=True)
                (top / name).write_text("/* gate */\n")
            self.assertEqual(
                [line.split(": ")[0]
                 for line in prose.violations(top, "tls", "tests/")],
                ["tls/a.c:1"])
            self.assertEqual(
                [line.split(": ")[0] for line in prose.violations(top)],
                ["tls/a.c:1", "tlsb/a.c:1"])


if __name__ == "__main__":
    unittest.main()
