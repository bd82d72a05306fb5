#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""commands.py itself: a command that does not exist must be caught."""

import pathlib
import tempfile
import unittest

import commands

USAGE = "usage: flow-x --listen ENDPOINT [--log]\n\n  --listen E\n  --log\n"


class Commands(unittest.TestCase):
    def found(self, *lines, document="docs/page.md", language="sh", mark=""):
        with tempfile.TemporaryDirectory() as scratch:
            top = pathlib.Path(scratch)
            (top / "tests/fuzz").mkdir(parents=True)
            (top / "tests/run.sh").write_text("case $1 in --all) ;; esac\n")
            (top / "tests/fuzz/order.c").write_text("")
            facts = commands.Facts(
                top, {"tls": ["enabled", "disabled"], "prefix": None},
                {"unit"}, {"asan"}, {"tests/test_a", "man"},
                {"flow-x": USAGE})
            text = "%s```%s\n%s\n```\n" % (mark, language, "\n".join(lines))
            return [problem.rpartition(": ")[2] for problem in commands.check(
                facts, document, text)]

    def rows(self, *rows):
        for line, *wanted in rows:
            with self.subTest(line):
                self.assertEqual(self.found(line), wanted)

    def test_scripts(self):
        self.rows(
            ("sh tests/run.sh --all  # a comment",),
            ("sh tests/walk.sh", "there is no tests/walk.sh"),
            ("sh tests/run.sh --nothing",
             "tests/run.sh has no option --nothing"))

    def test_meson(self):
        self.rows(
            ("CC=clang meson setup build -Dtls=disabled -Dprefix=/x",),
            ("meson setup build && meson install -C build",),
            ("meson setup build -Dssl=enabled", "no option ssl"),
            ("meson setup build -Dtls=off", "option tls is never off"),
            ("meson test -C build --suite unit --setup asan",),
            ("meson test -C build --suite units", "no suite units"),
            ("meson test -C build --setup ubsan", "no setup ubsan"),
            ("meson instal", "meson has no command instal"))

    def test_targets(self):
        self.rows(
            ("ninja -C build man",), ("ninja -C build",),
            ("ninja -C build woman", "no target woman"),
            ("build/tests/test_a 'x*'",),
            ("build/tests/test_b", "no target tests/test_b"),
            ("build-fuzz/tests/fuzz/fuzz_order tests/fuzz",),
            ("build-fuzz/tests/fuzz/fuzz_chaos", "no fuzz target chaos"),
            ("build/tests/test_a tests/none", "there is no tests/none"))

    def test_programs(self):
        self.rows(
            ("flow-x --listen tcp://:0 --log &",),
            ("flow-x --listen tcp://:0 --lo", "flow-x has no option --lo"),
            ("flow-x tcp://:0", "flow-x needs --listen"),
            ("flow-y", "unknown command flow-y"))

    def test_what_another_check_runs(self):
        self.assertEqual(self.found("cc x.c"), ["unknown command cc"])
        self.assertEqual(
            self.found("cc x.c", document="docs/tutorial.md"), [])

    def test_console(self):
        self.assertEqual(
            self.found("$ flow-y", "output", language="console"),
            ["unknown command flow-y"])

    def test_long_lines(self):
        self.assertEqual(
            self.found("meson setup build \\", "    -Dssl=enabled"),
            ["no option ssl"])

    def test_what_is_left_alone(self):
        self.assertEqual(self.found("x", mark="<!-- fragment -->\n"), [])
        self.assertEqual(self.found("x", language="text"), [])


if __name__ == "__main__":
    unittest.main()
