#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Add up what "meson test" logged: summary.py NAME=testlog.json...

A log that is not there counts as one failure: its build did not come so far.
"skip" in place of a log counts as one test skipped.
"""

import collections
import json
import pathlib
import sys

GOOD = {"OK", "EXPECTEDFAIL"}


def tests_of(log):
    if log == "skip":
        return [("the whole run", "SKIP")]
    path = pathlib.Path(log)
    if not path.exists():
        return [("build", "FAIL")]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [(test["name"], test["result"]) for test in lines]


def main(arguments):
    count = collections.Counter()
    for argument in arguments:
        run, log = argument.split("=", 1)
        for name, result in tests_of(log):
            kind = (
                "passed" if result in GOOD
                else "skipped" if result == "SKIP"
                else "failed"
            )
            count[kind] += 1
            if kind != "passed":
                print("%s: %s: %s" % (kind, run, name))
    line = "%d passed, %d failed" % (count["passed"], count["failed"])
    if count["skipped"]:
        line += ", %d skipped" % count["skipped"]
    print(line)
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
