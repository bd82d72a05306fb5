#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Code of the product that the product does not use: unused.py [TOP].

A function "flow__..." that crosses files is called, or named in a table, by a file
of the product other than by its own declaration and definition.  One that only
tests call belongs in tests/support.  EXCEPT has those that code outside these
directories calls, or that exist for a fake in the place of a system.
"""

import pathlib
import re
import sys

import names

ROOMS = ("flow", "lib", "backends", "tls")
EXCEPT = {
    "flow__mbed_note_no_memory": "our build of mbedTLS calls it",
    "flow__fake_init": "the fake platform of the tests",
    "flow__fake_advance": "the fake platform of the tests",
    "flow__vchan_fake_kill": "the fake hypervisor of the tests",
}
DEFINED = re.compile(r"^(?:static inline [\w *]+\n)?(flow__\w+)\(", re.M)
INCLUDE = re.compile(r"^\s*#\s*include[^\n]*", re.M)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def texts(top):
    """The code of each file, macros included."""
    for room in ROOMS:
        for path in sorted((top / room).rglob("*.[ch]")):
            name = str(path.relative_to(top))
            yield name, INCLUDE.sub("", COMMENT.sub("", path.read_text()))


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


def main(arguments):
    top = pathlib.Path(arguments[0] if arguments else ".").resolve()
    found = list(violations(top))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
