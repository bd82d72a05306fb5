#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Keys and certificates as C arrays: embed.py DIRECTORY OUTPUT FILE...

The contract suite has them compiled in, since it runs where this tree is not.
Each array ends in the NUL that PEM input needs.
"""

import pathlib
import sys


def main(directory, output, *files):
    lines = ["/* Made by tests/support/pki/embed.py. */"]
    for name in files:
        data = pathlib.Path(directory, name).read_bytes() + b"\0"
        lines.append("static const unsigned char key_%s[] = {"
                     % name.replace(".", "_"))
        for at in range(0, len(data), 12):
            lines.append("    %s," % ", ".join(
                "0x%02x" % byte for byte in data[at:at + 12]))
        lines.append("};")
    pathlib.Path(output).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
