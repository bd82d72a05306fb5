# SPDX-License-Identifier: ISC
"""The code blocks of a document, for the checks that compile or run them."""

import dataclasses
import re

FENCE = re.compile(r"(```|~~~)([a-z]*)$")
MARK = re.compile(r"<!-- ([a-z]+)(?:: (\S+))? -->$")


@dataclasses.dataclass
class Block:
    """A fence and what is in it."""

    line: int       # of the fence, from 1
    language: str   # "c", "sh", "" where the fence names none
    mark: str       # "quote" or "fragment" of the line before it, or ""
    source: str     # the file of the mark, or ""
    lines: list


def blocks(text):
    """Every block of a document, in order."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        fence = FENCE.match(lines[at])
        if not fence:
            at += 1
            continue
        mark = MARK.match(lines[at - 1]) if at > 0 else None
        begin = end = at + 1
        while end < len(lines) and lines[end] != fence.group(1):
            end += 1
        yield Block(begin, fence.group(2), mark.group(1) if mark else "",
                    (mark.group(2) or "") if mark else "", lines[begin:end])
        at = end + 1


def wholes(text):
    """Files of which the document says that it shows all of them."""
    return re.findall(r"(?m)^<!-- whole: (\S+) -->$", text)


def commands(block):
    """(command, lines of output) of each command of a block of the shell.

    In a block "console" a command follows "$ " and its output follows it; in
    a block "sh" every line is part of a command, and no output is shown.
    """
    found = []
    joined = re.sub(r"\\\n\s*", "", "\n".join(block.lines))
    for line in joined.split("\n"):
        if block.language == "sh":
            if line and not line.startswith("#"):
                found.append((line, []))
        elif line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found
