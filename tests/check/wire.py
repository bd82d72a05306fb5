#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Numbers of the TLS protocol: wire.py [TOP].

Cipher suites, signature schemes, extensions, alerts and the like have their names
and numbers in tls/wire.h and lib/alert.h (HEADERS) and nowhere else in the product.
So no other file there defines one of these names, or a name that is the end of one
(KEY_UPDATE beside FLOW__HANDSHAKE_KEY_UPDATE), and none in tls/ writes a number of
two bytes from the headers in hexadecimal.
"""

import pathlib
import re
import sys

import names

HEADERS = ("tls/wire.h", "lib/alert.h")
ROOMS = ("flow", "lib", "backends", "tls")
# NAME = NUMBER in an enum, #define NAME NUMBER.
VALUE = re.compile(r"^[ \t]*(?:#[ \t]*define[ \t]+)?(\w+)[ \t]*(?:=|[ \t])[ \t]*"
                   r"(-?(?:0x[0-9a-fA-F]+|\d+))u?[ \t]*,?[ \t]*$", re.M)
HEX = re.compile(r"\b0x([0-9a-fA-F]{4})u?\b")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def code(path):
    return COMMENT.sub("", path.read_text())


def known(top):
    """Name and number of all that the headers define."""
    return {
        name: int(number, 0)
        for header in HEADERS
        for name, number in VALUE.findall(code(top / header))
    }


def files(top):
    for room in ROOMS:
        for path in sorted((top / room).rglob("*.[ch]")):
            name = str(path.relative_to(top))
            if name not in HEADERS:
                yield name, code(path)


def is_defined(name, values):
    """The constant of the headers that a name is, or the end of which it is."""
    for value in values:
        if value == name or (len(name.split("_")) > 1
                             and value.endswith("_" + name)):
            return value
    return None


def violations(top):
    values = known(top)
    if not values:
        yield "no constants in %s" % " and ".join(HEADERS)
    numbers = {number for number in values.values() if number > 0xff}
    for name, text in files(top):
        for constant, _ in VALUE.findall(text):
            value = is_defined(constant, values)
            if value:
                yield "%s: %s is %s of the headers" % (name, constant, value)
        if not name.startswith("tls/"):
            continue
        for digits in HEX.findall(names.plain(text)):
            if int(digits, 16) in numbers:
                yield "%s: 0x%s has a name in the headers" % (name, digits)


def main(arguments):
    top = pathlib.Path(arguments[0] if arguments else ".").resolve()
    found = list(violations(top))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
