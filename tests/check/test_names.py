#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""names.py itself: a name that does not say where it is must be caught."""

import unittest

import names
import planted

TREE = {
    "flow/flow.c": "static int\nfront_check(int a)\n{\n    return a;\n}\n",
    "lib/list.h": "static inline int\nflow__list_len(int a)\n{\n"
                  "    return a;\n}\n",
    "tls/reader.c": "static int reader_take(int a);\n"
                    "static const int reader_table[] = { f(1) };\n"
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


class Names(planted.PlantedTest):
    TREE = TREE

    def check(self, top):
        return names.violations(top)

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

    def test_objects(self):
        for line in ("static int %s;", "static const int %s[2] = { 1, 2 };",
                     "static uint32_t %s = 1;",
                     "static const struct ops\n%s = { .a = f, .b = g };",
                     "static void (*%s)(int);", "static void (*const %s)(void) = f;",
                     "static struct x *%s;", "static _Thread_local int %s;",
                     "static __attribute__((aligned(8))) int %s;"):
            self.assertEqual(self.found(**{
                "flow/wait.c": line % "wait_table" + "\n"}), [], line)
            self.assert_caught("flow/wait.c", line % "table" + "\n",
                               "table does not begin with wait")

    def test_no_objects(self):
        self.assertEqual(self.found(**{
            "flow/wait.c": FUNCTION % "wait_a" + "static int wait_b(int n);\n"
                           "const struct flow_ops flow_table = { f };\n"
                           "struct flow_a {\n    int b;\n};\n"
                           "#ifndef MAP_ANON\n#define MAP_ANON 1\n#endif\n"
                           "/*\n#define A 1\n*/\n#define _GNU_SOURCE\n"}), [])

    def test_macros_and_types(self):
        self.assert_caught("flow/wait.c", "#define SIZE 1\n", "SIZE")
        self.assert_caught("flow/wait.c", "#  define SIZE(a) (a)\n", "SIZE")
        self.assert_caught("flow/wait.c", "struct entry {\n    int a;\n};\n",
                           "entry")
        self.assert_caught("flow/wait.c", "enum phase { A, B };\n", "phase")

    def test_macros_in_tls(self):
        self.assert_caught("tls/reader.c", "#define SIZE 1\n",
                           "SIZE does not begin with reader")

    def test_columns_of_a_table(self):
        table = "#define F(a) { a }\nstatic int reader_t[] = F(1);\n"
        self.assertEqual(self.found(**{
            "tls/reader.c": table + "#undef F\n"}), [])
        self.assert_caught("tls/reader.c", table + "#undef G\n",
                           "F does not begin with reader")

    def test_object_in_two_files(self):
        line = "static int wait_table;\n"
        found = self.found(**{"flow/wait.c": line, "lib/wait.c": line})
        self.assertEqual(found, ["wait_table stands in flow/wait.c, lib/wait.c"])

    def test_header(self):
        self.assert_caught("lib/list.h", FUNCTION % "list_len", "flow_")

    def test_room_is_not_a_noun(self):
        self.assert_caught("tls/reader.c", FUNCTION % "tls_take", "tls_take")

    def test_name_in_two_files(self):
        self.assert_caught("lib/plat/posix/store.c", FUNCTION % "store_read",
                           "store_read() stands in backends/vchan/"
                           "hyp_linux_store.c, lib/plat/posix/store.c")


if __name__ == "__main__":
    unittest.main()
