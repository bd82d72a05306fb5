#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""C in the documents is a piece of a file that is compiled: quotes.py [TOP].

A block of C stands after a line "<!-- quote: FILE -->" and is found in FILE
as it is, as whole lines; or after "<!-- fragment -->", which says that nothing
compiles it.  The same holds for blocks of Meson.  Blocks of the shell, "sh" and
"console", are looked at by commands.py; "text" is not code.  A block has no other
language, and is never made by indentation.  If a document has a line "<!-- whole: FILE -->", its quotes of FILE
together are all of FILE.

In the comments of a public header a "@code" stands after such a line, too, and
the quote may have any indentation in FILE.
"""

import pathlib
import re
import sys
import textwrap

import blocks

QUOTED = ("c", "meson")
LANGUAGES = QUOTED + ("sh", "console", "text")
FRAGMENT = "<!-- fragment -->"
MARK = re.compile(r"<!-- quote: (\S+) -->\s*$")


def places(lines, block):
    """Where in a file the block begins, from 0."""
    return [
        at for at in range(len(lines) - len(block) + 1)
        if lines[at:at + len(block)] == block
    ]


def unnamed(name, text):
    """Blocks that do not name their language."""
    open_fence = None
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if open_fence:
            if line == open_fence:
                open_fence = None
        elif line.startswith(("```", "~~~")):
            open_fence = line[:3]
            if line[3:] not in LANGUAGES:
                yield "%s:%d: a block of unknown language '%s'" % (
                    name, at + 1, line[3:])
        elif line.startswith("    ") and at > 0 and lines[at - 1] == "":
            yield "%s:%d: a block without a fence" % (name, at + 1)


def check(top, document):
    name = document.relative_to(top).as_posix()
    text = document.read_text()
    yield from unnamed(name, text)
    shown = {source: set() for source in blocks.wholes(text)}
    for block in blocks.blocks(text):
        if block.mark != "quote":
            if block.language in QUOTED and block.mark != "fragment":
                yield "%s:%d: neither a quote nor marked as a fragment" % (
                    name, block.line)
            elif block.language == "text" and any(
                    line.endswith((";", "{")) for line in block.lines):
                yield "%s:%d: text that looks like C" % (name, block.line)
            continue
        if not (top / block.source).is_file():
            yield "%s:%d: there is no %s" % (name, block.line, block.source)
            continue
        found = places((top / block.source).read_text().split("\n"),
                       block.lines)
        if not found:
            yield "%s:%d: not in %s as it is" % (
                name, block.line, block.source)
        for at in found:
            shown.get(block.source, set()).update(
                range(at, at + len(block.lines)))
    for source, seen in shown.items():
        if not (top / source).is_file():
            yield "%s: there is no %s" % (name, source)
            continue
        for number, line in enumerate(
                (top / source).read_text().split("\n")):
            if line and number not in seen:
                yield "%s: does not show line %d of %s" % (
                    name, number + 1, source)


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
