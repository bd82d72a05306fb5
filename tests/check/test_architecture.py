#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""architecture.py itself: a name that leads nowhere must be caught."""

import unittest

import architecture
import planted

TEXT = """Callers use `flow_wait()`, and `state_begin()` (`flow/state.c`)
runs; `tls/<port>` and `lib/` hold the rest.

```
flow_write       flow/flow.c    checks
  tls_writev     tls/tls.c      locks
```
"""
TREE = {
    "include/flow/flow.h": "int flow_wait(int a);\n",
    "flow/flow.c": "int\nflow_write(int a)\n{\n    return a;\n}\n",
    "flow/state.c": "static int\nstate_begin(int a)\n{\n    return a;\n}\n",
    "tls/tls.c": "static int tls_writev(int a)\n{\n    return flow_write(a);\n}\n",
    "docs/architecture.md": TEXT,
}


class Architecture(planted.PlantedTest):
    TREE = TREE

    def check(self, top):
        return architecture.violations(top)

    def assert_caught(self, old, new, what):
        self.assertIn(old, TEXT)
        found = self.found(**{"docs/architecture.md": TEXT.replace(old, new)})
        self.assertTrue(any(what in line for line in found), found)

    def test_clean_tree(self):
        self.assertEqual(self.found(), [])

    def test_function_that_is_gone(self):
        self.assert_caught("state_begin", "begin", "does not define begin()")

    def test_function_of_another_file(self):
        self.assert_caught("flow/state.c", "flow/flow.c", "does not define")

    def test_a_call_is_not_a_definition(self):
        self.assert_caught("flow_write       flow/flow.c",
                           "flow_write       tls/tls.c", "does not define")

    def test_function_without_a_file(self):
        self.assert_caught("flow_wait()", "wait_for_all()", "has no file")

    def test_path_that_is_gone(self):
        self.assert_caught("`lib/`", "`lib/none.c`", "there is no lib/none.c")

    def test_drawn_function_that_is_gone(self):
        self.assert_caught("tls_writev", "tls_write", "does not define")

    def test_too_many_files(self):
        lines = "".join("f%d flow/f%d.c it\n" % (n, n) for n in range(10))
        files = {"flow/f%d.c" % n: "int f%d(void)\n{\n}\n" % n
                 for n in range(10)}
        found = self.found(**files, **{
            "docs/architecture.md": "```\n" + lines + "```\n"})
        self.assertEqual(found, ["%s: a drawing of 10 files"
                                 % architecture.DOCUMENT])

    def test_long_file(self):
        found = self.found(**{
            "flow/flow.c": TREE["flow/flow.c"] + "int x;\n" * 700})
        self.assertEqual(len(found), 1, found)
        self.assertIn("705 lines", found[0])


if __name__ == "__main__":
    unittest.main()
