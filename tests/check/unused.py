#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Code of the product that the product does not use: unused.py [TOP].

A function "flow__..." that crosses files is called, or named in a table, by a file
of the product other than by its own declaration and definition.  One that only
tests call belongs in tests/support.  EXCEPT has those that code outside these
directories calls, or that exist for a fake in the place of a system.
"""

import re

import names
import report

ROOMS = ("flow", "lib", "backends", "tls")
EXCEPT = {
    "flow__mbed_arena": "our build of mbedTLS calls it",
    "flow__mbed_note_no_memory": "our build of mbedTLS calls it",
    "flow__mbed_write_authorities": "our build of mbedTLS calls it",
    "flow__lwip_broken": "our build of lwIP calls it",
    "flow__lwip_isn": "our build of lwIP calls it",
    "flow__lwip_now": "our build of lwIP calls it",
    "flow__lwip_random": "our build of lwIP calls it",
    "flow__lwip_reopen": "our build of lwIP calls it",
    "flow__lwip_storm_filter": "our build of lwIP calls it",
    "flow__fake_init": "the fake platform of the tests",
    "flow__fake_advance": "the fake platform of the tests",
    "flow__vchan_fake_kill": "the fake hypervisor of the tests",
}
DEFINED = re.compile(r"^(?:static inline [\w *]+\n)?(flow__\w+)\(", re.M)
INCLUDE = re.compile(r"^\s*#\s*include[^\n]*", re.M)


def texts(top):
    """The code of each file, macros included."""
    for name, text in report.sources(top, ROOMS):
        yield name, INCLUDE.sub("", report.COMMENT.sub("", text))


def is_used(function, code):
    """Whether a name stands in an expression: after a declaration and before a
    definition stands a type, or nothing on its line."""
    for text in code.values():
        for use in re.finditer(r"\b%s\b" % function, text):
            line = text[text.rfind("\n", 0, use.start()) + 1:use.start()]
            declares = re.fullmatch(r"(?:(?:static|inline|const|unsigned|extern)\s+)*"
                                    r"(?:(?:struct|enum)\s+)?(?:\w+[\s*]+)?", line)
            if not declares or line.strip() in ("return", "else"):
                return True
            if line and not line.strip():
                return True
    return False


def violations(top):
    code = dict(texts(top))
    found = {
        function: name
        for name, text in code.items()
        for function in DEFINED.findall(names.plain(text))
    }
    for function, name in sorted(found.items()):
        if function not in EXCEPT and not is_used(function, code):
            yield "%s: the product does not use %s()" % (name, function)


if __name__ == "__main__":
    report.main(violations)
