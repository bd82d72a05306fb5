#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""docs/architecture.md names what exists: architecture.py [TOP].

Every path in it is a file or a directory of the tree.  A function is written
`name()` and followed by its file, (`path`), or stands in a drawing, as a line
"name  path  what it does": that file defines it.  A public function needs no file.
A drawing has at most nine files, none of more than 700 lines.
"""

import re

import names
import report

DOCUMENT = "docs/architecture.md"
DRAWING = re.compile(r"^```\n(.*?)^```$", re.M | re.S)
LINE = re.compile(r"^ *(\w+) +([\w/]+\.[ch])\b", re.M)
PLACED = re.compile(r"`(\w+)\(\)`\s+\(`([^`]*)`\)")
FUNCTION = re.compile(r"`(\w+)\(\)`")
# A path has a slash, and does not begin with one.
PATH = re.compile(r"(?<![\w<./-])(?:%s|include|docs|tests)(?:/[\w.-]+)+"
                  % "|".join(names.ROOMS))
FILES_MAX = 9
LINES_MAX = 700


def defines(top, path, function):
    """Whether a file defines a function, whose name begins a line there."""
    file = top / path
    return file.is_file() and re.search(
        r"^(?:\w[\w *]*\W)?%s\(" % re.escape(function),
        names.plain(file.read_text()), re.M)


def check_drawing(top, drawing):
    files = {path for _, path in LINE.findall(drawing)}
    if len(files) > FILES_MAX:
        yield "%s: a drawing of %d files" % (DOCUMENT, len(files))
    for path in sorted(files):
        if (top / path).is_file():
            lines = len((top / path).read_text().splitlines())
            if lines > LINES_MAX:
                yield "%s: %s has %d lines" % (DOCUMENT, path, lines)


def check_paths(top, text):
    for path in sorted(set(PATH.findall(text))):
        if not (top / path.rstrip(".")).exists():
            yield "%s: there is no %s" % (DOCUMENT, path)


def check_functions(top, text):
    placed = PLACED.findall(text)
    for drawing in DRAWING.findall(text):
        placed += LINE.findall(drawing)
    for function, path in sorted(set(placed)):
        if not defines(top, path, function):
            yield "%s: %s does not define %s()" % (DOCUMENT, path, function)
    known = {function for function, _ in placed}
    public = "".join(
        header.read_text()
        for header in (top / "include/flow").glob("*.h"))
    for function in sorted(set(FUNCTION.findall(text)) - known):
        if not re.search(r"\b%s\(" % function, public):
            yield "%s: %s() has no file" % (DOCUMENT, function)


def violations(top):
    text = (top / DOCUMENT).read_text()
    yield from check_paths(top, text)
    yield from check_functions(top, text)
    for drawing in DRAWING.findall(text):
        yield from check_drawing(top, drawing)


if __name__ == "__main__":
    report.main(violations)
