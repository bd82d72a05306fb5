#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Every public header compiles alone: headers.py TOP c|c++ COMPILER...

Included twice, with all warnings on, with nothing included before it; in C
also with no headers in reach but the compiler's own.
"""

import pathlib
import subprocess
import sys

WARNINGS = [
    "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Wundef",
    "-Werror",
]


def command(top, language, compiler, alone):
    standard = {"c": "c11", "c++": "c++11"}[language]
    words = compiler + ["-std=" + standard, "-x", language, *WARNINGS]
    if alone:
        own = subprocess.run(
            compiler + ["-print-file-name=include"],
            stdout=subprocess.PIPE, check=True, text=True,
        ).stdout.strip()
        words += ["-ffreestanding", "-nostdinc", "-isystem", own]
    return words + ["-fsyntax-only", "-I", str(top / "include"), "-"]


def main(arguments):
    top = pathlib.Path(arguments[0])
    language, *compiler = arguments[1:]
    headers = sorted((top / "include/flow").glob("*.h"))
    bad = []
    for header in headers:
        line = "#include <flow/%s>\n" % header.name
        for alone in {"c": (False, True), "c++": (False,)}[language]:
            done = subprocess.run(
                command(top, language, compiler, alone),
                input=line * 2 + "extern int at_least_one_declaration;\n",
                text=True, check=False,
            )
            if done.returncode != 0:
                bad.append(header.name)
    print("%d headers, not standing alone: %s" % (len(headers), bad or "none"))
    return 1 if bad or not headers else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
