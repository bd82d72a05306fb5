#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""names.py itself: a name that does not say where it is must be caught."""

import pathlib
import tempfile
import unittest

import names

TREE = {
    "flow/flow.c": "static int\nfront_check(int a)\n{\n    return a;\n}\n",
    "lib/list.h": "static inline int\nflow__list_len(int a)\n{\n"
                  "    return a;\n}\n",
    "tls/reader.c": "static int reader_take(int a);\n"
                    "static const int table[] = { f(1) };\n"
                    "/* static int x(int) { */\n"
                    "static int\nreader_take(int a)\n{\n"
                    "    static int seen;\n    return seen + a;\n}\n"
                    "int\nflow__reader_read(void)\n{\n    return 1;\n}\n",
    "tls/ipsecmb/aead.c": "static int\nipsecmb_seal(int a)\n{\n"
                          "    return a;\n}\n",
    "backends/vchan/hyp_linux_store.c":
        "static int\nstore_read(int a)\n{\n    return a;\n}\n"
        "static int\nhyp_linux_lock(void)\n{\n    return 1;\n}\n",
}
FUNCTION = "static int\n%s(int a)\n{\n    return a;\n}\n"


class Names(unittest.TestCase):
    def found(self, **changed):
        with tempfile.TemporaryDirectory() as scratch:
            top = pathlib.Path(scratch).resolve()
            for name, text in {**TREE, **changed}.items():
                path = top / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return list(names.violations(top))

    def assert_caught(self, name, text, what):
        found = self.found(**{name: text})
        self.assertEqual(len(found), 1, found)
        self.assertIn(what, found[0])

    def test_clean_tree(self):
        self.assertEqual(self.found(), [])

    def test_name_without_its_noun(self):
        for name in ("take", "readers_take", "take_reader"):
            self.assert_caught("tls/reader.c", FUNCTION % name,
                               "%s() does not begin with reader" % name)

    def test_every_layout_of_a_definition(self):
        for head in ("static int take(int a)", "static inline const char *take(void)",
                     "__attribute__((constructor)) static void\ntake(void)",
                     "static __attribute__((noinline)) int\ntake(int a)",
                     "static struct x\ntake(int (*f)(int), int a)"):
            self.assert_caught("tls/reader.c", head + "\n{\n}\n", "take()")

    def test_name_that_looks_public(self):
        self.assert_caught("flow/flow.c", FUNCTION % "flow_check", "front")

    def test_header(self):
        self.assert_caught("lib/list.h", FUNCTION % "list_len", "flow_")

    def test_room_is_no_noun(self):
        self.assert_caught("tls/reader.c", FUNCTION % "tls_take", "tls_take")

    def test_name_in_two_files(self):
        self.assert_caught("lib/plat/posix/store.c", FUNCTION % "store_read",
                           "store_read() stands in backends/vchan/"
                           "hyp_linux_store.c, lib/plat/posix/store.c")


if __name__ == "__main__":
    unittest.main()
