# SPDX-License-Identifier: ISC
"""What the checks of a tree have in common: their command line and report."""

import pathlib
import re
import sys

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def sources(top, rooms, suffix="[ch]"):
    """Name and text of every file of these directories, in order."""
    for room in rooms:
        for path in sorted((top / room).rglob("*." + suffix)):
            yield path.relative_to(top).as_posix(), path.read_text()


def main(violations):
    """Check the tree that the command line names, or the current directory:
    violations(top, *more arguments) yields a line for each."""
    top = pathlib.Path(sys.argv[1] if sys.argv[1:] else ".").resolve()
    found = list(violations(top, *sys.argv[2:]))
    print("\n".join(found))
    sys.exit(1 if found else 0)
