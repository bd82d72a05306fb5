#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""unused.py itself: a function that only tests call must be caught."""

import unittest

import planted
import unused

TREE = {
    "tls/record.h": "enum flow_status flow__record_seal(int a);\n"
                    "void\nflow__record_wipe(struct a *b);\n"
                    "static inline int\nflow__record_len(int a)\n{\n"
                    "    return a;\n}\n",
    "tls/record.c": "enum flow_status\nflow__record_seal(int a)\n{\n"
                    "    return flow__record_len(a);\n}\n"
                    "void\nflow__record_wipe(struct a *b)\n{\n}\n",
    "tls/writer.c": "static const struct ops ops = {\n"
                    "    .seal = flow__record_seal,\n};\n"
                    "void\nflow__writer_fini(struct a *b)\n{\n"
                    "    flow__record_wipe(b);\n}\n",
    "flow/flow.c": "#define END(x) flow__writer_fini(x)\n",
    "lib/list.h": "",
    "backends/tcp/tcp.c": "",
}


class Unused(planted.PlantedTest):
    TREE = TREE

    def check(self, top):
        return unused.violations(top)

    def test_the_tree_passes(self):
        self.assertEqual(self.found(), [])

    def test_a_declared_function_without_a_caller_is_caught(self):
        found = self.found(**{"tls/writer.c": "", "flow/flow.c": ""})
        self.assertEqual(len(found), 2, found)
        self.assertIn("flow__record_seal", found[0])
        self.assertIn("flow__record_wipe", found[1])

    def test_an_inline_function_without_a_caller_is_caught(self):
        found = self.found(**{
            "lib/list.h": "static inline bool\nflow__list_has(int a)\n{\n"
                          "    return a;\n}\n"})
        self.assertEqual(len(found), 1, found)
        self.assertIn("flow__list_has", found[0])

    def test_a_comment_is_not_a_call(self):
        found = self.found(**{
            "flow/flow.c": "/* x = flow__writer_fini(y) */\n"})
        self.assertEqual(len(found), 1, found)
        self.assertIn("flow__writer_fini", found[0])


if __name__ == "__main__":
    unittest.main()
