#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Every public declaration is documented: documented.py DOXYGEN TOP VERSION.

Runs doxygen with docs/Doxyfile.in; every warning of it is an error.
"""

import pathlib
import subprocess
import sys
import tempfile


def configuration(top, version, output):
    text = (top / "docs/Doxyfile.in").read_text()
    for name, value in {
        "version": version,
        "output": output,
        "include": str(top / "include"),
        "warn_as_error": "FAIL_ON_WARNINGS",
    }.items():
        text = text.replace("@%s@" % name, value)
    return text


def main(arguments):
    doxygen, top, version = arguments
    with tempfile.TemporaryDirectory() as output:
        done = subprocess.run(
            [doxygen, "-"], text=True, check=False, cwd=top,
            input=configuration(pathlib.Path(top), version, output),
        )
        described = list(pathlib.Path(output).glob("xml/*_8h.xml"))
    if not described:
        print("no header was read")
    return 1 if done.returncode or not described else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
