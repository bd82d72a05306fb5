#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""wire.py itself: a second name or a bare number must be caught."""

import unittest

import planted
import wire

TREE = {
    "tls/wire.h": "#define FLOW__GROUP_X448 0x001eu\n"
                  "enum flow__suite_id {\n"
                  "    FLOW__SUITE_AES_128_GCM_SHA256 = 0x1301, /* RFC 8446 */\n"
                  "    FLOW__HANDSHAKE_KEY_UPDATE = 24\n};\n",
    "lib/alert.h": "enum flow__alert {\n    FLOW__ALERT_NONE = -1,\n"
                   "    FLOW__ALERT_CLOSE_NOTIFY = 0\n};\n",
    "tls/suite.c": "/* 0x1301 is the first. */\n#define SUITE_LIMIT 24\n"
                   "static int x = FLOW__SUITE_AES_128_GCM_SHA256;\n"
                   "static int y = 0x1399;\n",
    "backends/tcp/tcp.c": "static int z = 0x1301;\n",
    "flow/flow.c": "",
}


class Wire(planted.PlantedTest):
    TREE = TREE

    def check(self, top):
        return wire.violations(top)

    def test_the_tree_passes(self):
        self.assertEqual(self.found(), [])

    def test_a_bare_number_is_caught(self):
        self.assert_caught("tls/config.c", "static int a[] = { 0x1301 };\n",
                           "0x1301")

    def test_a_name_defined_again_is_caught(self):
        self.assert_caught("tls/config.c",
                           "enum { \n    FLOW__ALERT_CLOSE_NOTIFY = 0\n};\n",
                           "FLOW__ALERT_CLOSE_NOTIFY")

    def test_a_shorter_name_is_caught(self):
        self.assert_caught("tls/reader.c", "#define KEY_UPDATE 24\n",
                           "FLOW__HANDSHAKE_KEY_UPDATE")

    def test_headers_without_constants_are_caught(self):
        found = self.found(**{"tls/wire.h": "", "lib/alert.h": ""})
        self.assertEqual(len(found), 1, found)


if __name__ == "__main__":
    unittest.main()
