#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""quotes.py itself: a false quote must be reported."""

import pathlib
import tempfile
import unittest

import quotes

SOURCE = "int a;\nint b;\nint c;\n"
GOOD = "Text.\n\n<!-- quote: x.c -->\n```c\nint b;\nint c;\n```\n"


class Quotes(unittest.TestCase):
    def found(self, document):
        with tempfile.TemporaryDirectory() as scratch:
            top = pathlib.Path(scratch).resolve()
            (top / "x.c").write_text(SOURCE)
            (top / "page.md").write_text(document)
            return list(quotes.check(top, top / "page.md"))

    def test_a_piece_is_a_quote(self):
        self.assertEqual(self.found(GOOD), [])

    def test_a_changed_line(self):
        found = self.found(GOOD.replace("int c;", "int d;"))
        self.assertEqual(found, ["page.md:4: not in x.c as it is"])

    def test_a_part_of_a_line(self):
        self.assertEqual(len(self.found(GOOD.replace("int c;", "int"))), 1)

    def test_lines_left_out(self):
        self.assertEqual(len(self.found(GOOD.replace("int b;", "int a;"))), 1)

    def test_no_file(self):
        found = self.found(GOOD.replace("x.c", "y.c"))
        self.assertEqual(found, ["page.md:4: there is no y.c"])

    def test_no_mark(self):
        found = self.found(GOOD.replace("<!-- quote: x.c -->", ""))
        self.assertEqual(found, [
            "page.md:4: neither a quote nor marked as a fragment"])

    def test_a_fragment(self):
        self.assertEqual(self.found("<!-- fragment -->\n```c\nx();\n```\n"), [])

    def test_a_whole_file(self):
        whole = "<!-- whole: x.c -->\n" + GOOD
        first = "<!-- quote: x.c -->\n```c\nint a;\n```\n"
        self.assertEqual(self.found(whole),
                         ["page.md: does not show line 1 of x.c"])
        self.assertEqual(self.found(whole + first), [])
        self.assertEqual(self.found("<!-- whole: y.c -->\n"),
                         ["page.md: there is no y.c"])

    def found_in_header(self, comment):
        with tempfile.TemporaryDirectory() as scratch:
            top = pathlib.Path(scratch).resolve()
            (top / "x.c").write_text("{\n    a();\n    if (b)\n        c();\n}")
            (top / "page.h").write_text(comment)
            return list(quotes.check_header(top, top / "page.h"))

    def test_an_example_in_a_header(self):
        good = ("/**\n * <!-- quote: x.c -->\n * @code\n * if (b)\n"
                " *     c();\n * @endcode\n */\n")
        self.assertEqual(self.found_in_header(good), [])
        self.assertEqual(self.found_in_header(good.replace("c()", "d()")),
                         ["page.h:3: not in x.c as it is"])
        self.assertEqual(self.found_in_header(good.replace("x.c", "y.c")),
                         ["page.h:3: there is no y.c"])

    def test_an_example_in_a_header_without_a_mark(self):
        bare = "/**\n * @code\n * d();\n * @endcode\n */\n"
        self.assertEqual(
            self.found_in_header(bare),
            ["page.h:2: neither a quote nor marked as a fragment"])
        self.assertEqual(self.found_in_header(
            bare.replace("/**\n", "/**\n * <!-- fragment -->\n")), [])

    def test_other_languages(self):
        for language in ("sh", "console", "text"):
            self.assertEqual(self.found("```%s\nls\n```\n" % language), [])
        for language in ("", "C", "cpp", "python"):
            self.assertEqual(
                self.found("```%s\nls\n```\n" % language),
                ["page.md:1: a block of unknown language '%s'" % language])
        self.assertEqual(
            self.found("```meson\nx = 1\n```\n"),
            ["page.md:1: neither a quote nor marked as a fragment"])

    def test_c_in_disguise(self):
        self.assertEqual(self.found("```text\nint a;\n```\n"),
                         ["page.md:1: text that looks like C"])
        self.assertEqual(self.found("Text:\n\n    int a;\n"),
                         ["page.md:3: a block without a fence"])
        # A line that goes on, in a list.
        self.assertEqual(self.found("1. One\n    and two.\n"), [])


if __name__ == "__main__":
    unittest.main()
