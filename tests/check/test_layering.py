#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""layering.py itself: a tree that breaks a rule must be caught."""

import unittest

import layering
import planted

TREE = {
    "include/flow/status.h": "#include <stdint.h>\n",
    "include/flow/flow.h": "#include <flow/status.h>\n",
    "include/flow/posix.h": "#include <flow/status.h>\n",
    "lib/plat.h": "",
    "lib/list.h": "#include <stddef.h>\n",
    "lib/list.c": '#include "list.h"\n#include <string.h>\n',
    "flow/state.h": "",
    "flow/flow.c": '#include <flow/flow.h>\n#include "lib/list.h"\n',
    "tls/engine.h": "",
    "tls/tls.c": '#include "engine.h"\n',
    "tls/mbedtls/engine.c": '#include <mbedtls/ssl.h>\n#include "tls/engine.h"\n',
    "backends/tcp/tcp.c": "#include <sys/socket.h>\n",
    "backends/tcp/addr.h": "",
    "examples/echo.c": "#include <flow/flow.h>\n",
}


class Layering(planted.PlantedTest):
    TREE = TREE

    def check(self, top):
        return layering.violations(top)

    def test_clean_tree(self):
        self.assertEqual(self.found(), [])

    def test_system_header_in_core(self):
        self.assert_caught("flow/base.c", "#include <unistd.h>\n", "unistd.h")

    def test_ground_knows_no_flows(self):
        self.assert_caught("lib/x.c", "#include <flow/flow.h>\n", "flow.h")

    def test_port_is_included_by_its_header(self):
        found = self.found(**{
            "lib/plat/posix/lock.h": "",
            "flow/x.c": '#include "lib/plat/posix/lock.h"\n',
        })
        self.assertEqual(len(found), 1, found)

    def test_backends_have_no_private_door(self):
        for name in ("backends/pair/x.c", "backends/tcp/x.c",
                     "backends/vchan/hyp_x.c", "backends/new/x.c"):
            self.assert_caught(name, '#include "lib/plat.h"\n', "lib/plat.h")
            self.assert_caught(name, '#include "flow/state.h"\n',
                               "flow/state.h")

    def test_filters_have_no_private_door(self):
        for name in ("buffered", "fault", "prefix", "trace"):
            self.assert_caught("flow/%s.c" % name,
                               '#include "lib/plat.h"\n', "lib/plat.h")
            self.assert_caught("flow/%s.c" % name,
                               '#include "flow/state.h"\n', "flow/state.h")

    def test_posix_is_for_code_of_that_system(self):
        line = "#include <flow/posix.h>\n"
        self.assertEqual(self.found(**{"backends/tcp/x.c": line}), [])
        self.assert_caught("backends/pair/x.c", line, "posix.h")
        self.assert_caught("flow/x.c", line, "posix.h")

    def test_core_knows_no_tls(self):
        self.assert_caught("flow/x.c", '#include "tls/engine.h"\n', "engine.h")

    def test_tls_has_no_door_into_core(self):
        self.assert_caught("tls/x.c", '#include "flow/state.h"\n', "state.h")

    def test_engine_only_where_it_lives(self):
        self.assert_caught("tls/x.c", "#include <psa/crypto.h>\n", "psa/")

    def test_engine_not_in_a_backend(self):
        self.assert_caught(
            "backends/tcp/x.c", "#include <mbedtls/ssl.h>\n", "mbedtls/"
        )

    def test_lwip_only_where_it_lives(self):
        self.assert_caught("backends/tcp/x.c", "#include <lwip/tcp.h>\n",
                           "lwip/")
        self.assert_caught("backends/lwip/x.c", "#include <poll.h>\n",
                           "poll.h")
        self.assertEqual(
            self.found(**{"backends/lwip/x.c": "#include <lwip/tcp.h>\n"}), []
        )

    def test_backends_are_strangers(self):
        self.assert_caught(
            "backends/unix/x.c", '#include "backends/tcp/addr.h"\n', "addr.h"
        )

    def test_pair_needs_no_system(self):
        self.assert_caught(
            "backends/pair/x.c", "#include <poll.h>\n", "poll.h"
        )

    def test_examples_use_the_installed_form(self):
        self.assert_caught("examples/x.c", '#include "lib/list.h"\n', "list.h")

    def test_atomic_builtins_have_their_headers(self):
        line = "int x(int *p) { return __atomic_load_n(p, 0); }\n"
        self.assert_caught("backends/vchan/shm.h", line, "__atomic_load_n")
        self.assert_caught("flow/x.c", line, "__atomic_load_n")
        self.assert_caught("lib/x.c", "int y = __sync_add(1);\n", "__sync_add")
        for name in ("lib/atomic.h", "backends/vchan/atomic.h", "tests/x.c"):
            self.assertEqual(self.found(**{name: line}), [])

    def test_file_without_rule(self):
        self.assert_caught("misc/x.c", "", "no rule")


if __name__ == "__main__":
    unittest.main()
