#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""C in the documents is a piece of a file that is compiled: quotes.py [TOP].

A block of C stands after a line "<!-- quote: FILE -->" and is found in FILE
as it is, as whole lines.  In the comments of a public header a "@code" stands
after such a line, at any indentation of FILE, or after "<!-- fragment -->",
which says that nothing compiles it.
"""

import pathlib
import re
import sys
import textwrap

FRAGMENT = "<!-- fragment -->"
MARK = re.compile(r"<!-- quote: (\S+) -->\s*$")


def blocks(text):
    """(line number, file or None, block) of every block of C."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        if lines[at] not in ("```c", "~~~c"):
            at += 1
            continue
        fence, begin = lines[at][:3], at + 1
        mark = MARK.match(lines[at - 1]) if at > 0 else None
        end = begin
        while end < len(lines) and lines[end] != fence:
            end += 1
        yield begin, mark and mark.group(1), lines[begin:end]
        at = end + 1


def contains(lines, block):
    return any(
        lines[at:at + len(block)] == block
        for at in range(len(lines) - len(block) + 1)
    )


def check(top, document):
    name = document.relative_to(top).as_posix()
    for line, source, block in blocks(document.read_text()):
        if source is None:
            yield "%s:%d: C that is no quote of a file" % (name, line)
        elif not (top / source).is_file():
            yield "%s:%d: there is no %s" % (name, line, source)
        elif not contains((top / source).read_text().split("\n"), block):
            yield "%s:%d: not in %s as it is" % (name, line, source)


def comments(text):
    """(line number, file or None, block) of every @code block of a header,
    but for those that are marked as fragments."""
    lines = [line.removeprefix(" *").removeprefix(" ")
             for line in text.split("\n")]
    for at, line in enumerate(lines):
        mark = MARK.match(lines[at - 1]) if at > 0 else None
        if line.strip().startswith("@code") and lines[at - 1] != FRAGMENT:
            end = lines.index("@endcode", at)
            yield at + 1, mark and mark.group(1), lines[at + 1:end]


def contains_indented(lines, block):
    return any(
        textwrap.dedent("\n".join(lines[at:at + len(block)])).split("\n")
        == block
        for at in range(len(lines) - len(block) + 1)
    )


def check_header(top, header):
    name = header.relative_to(top).as_posix()
    for line, source, block in comments(header.read_text()):
        if source is None:
            yield "%s:%d: neither a quote nor marked as a fragment" % (
                name, line)
        elif not (top / source).is_file():
            yield "%s:%d: there is no %s" % (name, line, source)
        elif not contains_indented(
                (top / source).read_text().split("\n"), block):
            yield "%s:%d: not in %s as it is" % (name, line, source)


def main():
    top = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    documents = sorted(top.glob("*.md")) + sorted(top.glob("docs/**/*.md"))
    problems = [p for document in documents for p in check(top, document)]
    for header in sorted(top.glob("include/flow/*.h")):
        problems += check_header(top, header)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
