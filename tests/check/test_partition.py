#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""partition.py itself: a circle, or a file that is too long, must be caught."""

import unittest

import partition
import planted

TREE = {
    "include/flow/status.h": "#include <stdint.h>\n",
    "include/flow/flow.h": "#include <flow/status.h>\n",
    "lib/list.h": "",
    "lib/list.c": '#include "list.h"\nint\nflow_list(void)\n{\n    return 1;\n}\n',
    "flow/core.h": '#include "lib/list.h"\n',
    "flow/core.c": "int\nflow_core(void)\n{\n    return flow_list();\n}\n",
    # A comment, a string and a function of its own point nowhere.
    "flow/wait.c": """
/* As flow_poller() does. */
static int
flow_flow(int n)
{
    return n + puts("flow_flow()");
}
int
flow_wait(void)
{
    return flow_core() + flow_flow(1);
}
""",
    "flow/flow.c": "int\nflow_flow(void)\n{\n    return flow_wait();\n}\n",
    "tls/tls.c": "int\nflow_tls(void)\n{\n    return flow_flow();\n}\n",
}


class Partition(planted.PlantedTest):
    TREE = TREE

    def check(self, top):
        return partition.violations(top)

    def test_clean_tree(self):
        self.assertEqual(self.found(), [])

    def test_two_files_that_call_each_other(self):
        self.assert_caught(
            "flow/core.c", "int flow_core(void)\n{\n    return flow_wait();\n}\n",
            "flow/core.c -> flow/wait.c", "flow/wait.c -> flow/core.c")

    def test_circle_of_three_by_a_table(self):
        self.assert_caught(
            "flow/core.c", "static int (*const core_op)(void) = flow_flow;\n"
            "int flow_core(void)\n{\n    return core_op();\n}\n",
            "flow/core.c -> flow/flow.c", "flow/flow.c -> flow/wait.c",
            "flow/wait.c -> flow/core.c")

    def test_circle_across_directories(self):
        self.assert_caught(
            "lib/list.c", "int flow_list(void)\n{\n    return flow_tls();\n}\n",
            "lib/list.c -> tls/tls.c")

    def test_one_of_two_definitions(self):
        self.assert_caught(
            "lib/plat/other/list.c",
            "int flow_list(void)\n{\n    return flow_core();\n}\n",
            "lib/plat/other/list.c -> flow/core.c")

    def test_headers(self):
        self.assert_caught("lib/list.h", '#include "flow/core.h"\n',
                           "lib/list.h -> flow/core.h")
        self.assert_caught("include/flow/status.h", "#include <flow/flow.h>\n",
                           "include/flow/status.h -> include/flow/flow.h")

    def test_header_that_includes_itself(self):
        self.assert_caught("lib/list.h", '#include "list.h"\n', "lib/list.h")

    def test_long_file(self):
        self.assertEqual(self.found(**{"tls/long.h": "\n" * 700}), [])
        self.assert_caught("tls/long.h", "\n" * 701, "tls/long.h: 701 lines")


if __name__ == "__main__":
    unittest.main()
