#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Numbers of the TLS protocol: wire.py [TOP].

Cipher suites, signature schemes, extensions, alerts and the like have their names
and numbers in tls/wire.h and lib/alert.h (HEADERS) and nowhere else in the product.
So no other file there defines one of these names, or a name that is the end of one
(KEY_UPDATE beside FLOW__HANDSHAKE_KEY_UPDATE), and none in tls/ writes a number of
two bytes from the headers in hexadecimal.
"""

import re

import names
import report

HEADERS = ("tls/wire.h", "lib/alert.h")
ROOMS = ("flow", "lib", "backends", "tls")
# NAME = NUMBER in an enum, #define NAME NUMBER.
VALUE = re.compile(r"^[ \t]*(?:#[ \t]*define[ \t]+)?(\w+)[ \t]*(?:=|[ \t])[ \t]*"
                   r"(-?(?:0x[0-9a-fA-F]+|\d+))u?[ \t]*,?[ \t]*$", re.M)
HEX = re.compile(r"\b0x([0-9a-fA-F]{4})u?\b")


def known(top):
    """Name and number of all that the headers define."""
    return {
        name: int(number, 0)
        for header in HEADERS
        for name, number in VALUE.findall(
            report.COMMENT.sub("", (top / header).read_text()))
    }


def files(top):
    for name, text in report.sources(top, ROOMS):
        if name not in HEADERS:
            yield name, report.COMMENT.sub("", text)


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


if __name__ == "__main__":
    report.main(violations)
