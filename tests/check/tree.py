#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What holds for every file: a licence line, no marks of unfinished work, and
nothing in the tree that others wrote."""

import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
SKIPPED = re.compile(r"(^|/)(\.git|build[^/]*|subprojects/(?:mbedtls|lwip)-[^/]*"
                     r"|packagecache|\.cache|__pycache__)/")
SOURCE = re.compile(r"\.([ch]|py|sh|in)$|(^|/)meson(\.build|_options\.txt)$"
                    r"|^\.ci/|^tests/.*\.supp$")
SPDX = re.compile(r"SPDX-License-Identifier: ISC\b")
# Spelt so that this file does not find itself.
MARKS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
FOREIGN = re.compile(r"SPDX-License-Identifier: (?!ISC\b)|Copyright (?!.*libflow)"
                     r"|GNU General Public|Apache License|All rights reserved")
CONFLICT = re.compile(r"^([<>|])\1{6} ")
SUBPROJECTS = re.compile(r"subprojects/((mbedtls|lwip)\.wrap|packagefiles/)")
# Data that no editor may add a line to.
DATA = re.compile(r"^tests/.*\.(bin|der|pem|hex|txt|list|html|pdf)$|^docs/.*\.svg$")


def names(top=TOP):
    """Files of the tree, as git knows them where there is git."""
    listed = subprocess.run(
        ["git", "-C", str(top), "ls-files", "-co", "--exclude-standard"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False,
        text=True,
    ) if (top / ".git").exists() else None
    if listed and listed.returncode == 0:
        found = listed.stdout.splitlines()
    else:
        found = [
            p.relative_to(top).as_posix() for p in top.rglob("*")
        ]
    return sorted(
        name for name in found
        if (top / name).is_file() and not SKIPPED.search(name)
    )


def files():
    return [TOP / name for name in names()]


def check(name):
    if name.startswith("subprojects/") and not SUBPROJECTS.match(name):
        yield "%s: source of another project" % name
    if DATA.search(name):
        return
    try:
        text = (TOP / name).read_text()
    except UnicodeDecodeError:
        yield "%s: not text" % name
        return
    if SOURCE.search(name) and not SPDX.search("\n".join(text.split("\n")[:3])):
        yield "%s: no SPDX line at its top" % name
    for number, line in enumerate(text.splitlines(), 1):
        if CONFLICT.search(line):
            yield "%s:%d: left by a merge: %s" % (name, number, line)
        if MARKS.search(line):
            yield "%s:%d: unfinished: %s" % (name, number, line.strip())
        if name not in ("LICENSE", "tests/check/tree.py"):
            if FOREIGN.search(line):
                yield "%s:%d: foreign: %s" % (name, number, line.strip())
    if text and not text.endswith("\n"):
        yield "%s: last line does not end" % name


def main():
    found = [line for name in names() for line in check(name)]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
