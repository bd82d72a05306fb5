#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Sum up the logs of "meson test": summary.py NAME=testlog.json...

A log that is not there counts as one failure: its build did not come so far.
"skip" in place of a log counts as one test skipped.
"""

import collections
import json
import pathlib
import sys

GOOD = {"OK", "EXPECTEDFAIL"}

# Lines of each output of a failed test that are shown.
TAIL = 20


def tests_of(log):
    if log == "skip":
        return [("the whole run", "SKIP", "no source of mbedTLS within reach",
                 "")]
    path = pathlib.Path(log)
    if not path.exists():
        return [("build", "FAIL", "", "")]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        (test["name"], test["result"], test.get("stdout") or "",
         test.get("stderr") or "")
        for test in lines
    ]


def show(output):
    for line in output.strip().splitlines()[-TAIL:]:
        print("  | " + line)


def main(arguments):
    count = collections.Counter()
    for argument in arguments:
        run, log = argument.split("=", 1)
        for name, result, said, complained in tests_of(log):
            kind = (
                "passed" if result in GOOD
                else "skipped" if result == "SKIP"
                else "failed"
            )
            count[kind] += 1
            if kind == "failed":
                print("failed: %s: %s: %s" % (run, name, result))
                show(said)
                show(complained)
            elif kind == "skipped":
                # A skipped test prints the reason in its last line.
                why = said.strip().rpartition("\n")[2]
                print("skipped: %s: %s: %s" % (run, name, why))
    line = "%d passed, %d failed" % (count["passed"], count["failed"])
    if count["skipped"]:
        line += ", %d skipped" % count["skipped"]
    print(line)
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
