#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Layout of every C file as .clang-format says, by clang-format 14.

Other versions lay the same code out in other ways, so without this one the
check is skipped.  --fix rewrites the files.
"""

import re
import shutil
import subprocess
import sys

import tree

VERSION = "14"


def clang_format():
    for name in ("clang-format-" + VERSION, "clang-format"):
        path = shutil.which(name)
        if path:
            text = subprocess.run(
                [path, "--version"], stdout=subprocess.PIPE, check=True,
                text=True,
            ).stdout
            if re.search(r"version %s\." % VERSION, text):
                return path
    return None


def main(arguments):
    tool = clang_format()
    if not tool:
        print("skipped: no clang-format %s" % VERSION)
        return 77
    files = [str(p) for p in tree.files() if p.suffix in (".c", ".h")]
    mode = ["-i"] if "--fix" in arguments else ["--dry-run", "--Werror"]
    return subprocess.run([tool, *mode, *files], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
