#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""figures.py itself: it counts what is there."""

import pathlib
import tempfile
import unittest

import figures

FUNCTION = """/* if while && { */
static int
x_take(int a, const char *s)
{
    static const char text[] = "if (a) { ? }";

    if (a > 0 && s != NULL)
        return a == 1 ? 2 : 3;
    for (; a < 9; a++)
        switch (a) {
        case 4:
            return text[0];
        }
    return 0;
}

static const struct ops ops = { x_take, CALL(1) };
"""


class Figures(unittest.TestCase):
    def tree(self, scratch, files):
        top = pathlib.Path(scratch).resolve()
        for name, text in files.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return top

    def test_a_function(self):
        self.assertEqual(list(figures.functions(FUNCTION)),
                         [("x_take", 12, 6)])

    def test_shared_names(self):
        with tempfile.TemporaryDirectory() as scratch:
            top = self.tree(scratch, {
                "flow/a.c": "#define MAX 1\n" + FUNCTION,
                "tls/b.c": "#define MAX 2\n#define MIN 1\n" + FUNCTION,
                "tls/c.c": FUNCTION.replace("x_take", "c_take"),
            })
            self.assertEqual(figures.shared_statics(top), (1, 2, 3))
            self.assertEqual(figures.shared_macros(top), 1)

    def test_public_functions(self):
        with tempfile.TemporaryDirectory() as scratch:
            top = self.tree(scratch, {
                "include/flow/x.h": "/** What. */\nFLOW_API int a(void);\n\n"
                                    "FLOW_API int b(void);\n",
            })
            self.assertEqual(figures.public_functions(top), (2, 1))


if __name__ == "__main__":
    unittest.main()
