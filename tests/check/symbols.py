#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Compare what libflow.so exports with symbols.list, and both with what the
public headers declare: symbols.py LIBRARY.

With --update the list is written anew: what is added becomes part of the
interface, what disappears breaks programs.
"""

import argparse
import difflib
import pathlib
import re
import subprocess
import sys

LIST = pathlib.Path(__file__).with_name("symbols.list")


def exported(library):
    text = subprocess.run(
        ["nm", "-D", "--defined-only", library],
        stdout=subprocess.PIPE, check=True, text=True,
    ).stdout
    return sorted({line.split()[-1] for line in text.splitlines()})


def declared():
    names = set()
    for header in (LIST.parent.parent.parent / "include/flow").glob("*.h"):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        for words in re.findall(r"FLOW_API\b([^;{]*);", text):
            names.add(re.search(r"\b(flow_\w+)\s*\(", words).group(1))
    return sorted(names)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--update", action="store_true")
    arguments = parser.parse_args()
    now = exported(arguments.library)
    if arguments.update:
        LIST.write_text("".join(name + "\n" for name in now))
        return 0
    then = LIST.read_text().split()
    for line in difflib.unified_diff(
        then, now, "symbols.list", arguments.library, lineterm="", n=0
    ):
        print(line)
    if now != then:
        print("meant so? ninja update-symbols")
    for name in sorted(set(declared()) ^ set(now)):
        print("%s: only %s" % (
            name, "exported" if name in now else "declared"
        ))
    return now != then or declared() != now


if __name__ == "__main__":
    sys.exit(main())
