#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""contents.py DIRECTORY OUTPUT: an assembler file with what the image serves.

DIRECTORY has a directory for each TLS name, with the certificate chain in
cert.pem, its key in key.pem, and one more file, which is the body.  The table is
that of contents.h.
"""

import pathlib
import sys


def body_of(place):
    rest = [path for path in sorted(place.iterdir())
            if path.name not in ("cert.pem", "key.pem")]
    if len(rest) != 1:
        raise SystemExit("contents.py: expected one file besides cert.pem and "
                         "key.pem in %s, found %d" % (place, len(rest)))
    return rest[0]


def quoted(path):
    return '"%s"' % str(path).replace("\\", "\\\\").replace('"', '\\"')


def table(places):
    rows, blobs = [], []
    for number, place in enumerate(places):
        body = body_of(place)
        files = [body, place / "cert.pem", place / "key.pem"]
        blobs.append('name%d: .asciz %s' % (number, quoted(place.name)))
        blobs.append('file%d: .asciz %s' % (number, quoted(body.name)))
        rows.append("        .quad name%d, file%d" % (number, number))
        for part, path in zip(("body", "cert", "key"), files):
            label = "%s%d" % (part, number)
            blobs.append("        .balign 16")
            blobs.append("%s: .incbin %s" % (label, quoted(path.resolve())))
            blobs.append("%s_end:" % label)
            rows.append("        .quad %s, %s_end - %s" % (label, label, label))
    return rows, blobs


def main(directory, output):
    places = sorted(path for path in pathlib.Path(directory).iterdir()
                    if path.is_dir())
    if not places:
        raise SystemExit("contents.py: %s has no directory of a name" % directory)
    rows, blobs = table(places)
    lines = ['        .section .rodata.contents, "a"', "        .balign 8",
             "        .globl contents", "contents:", *rows,
             "        .quad 0, 0, 0, 0, 0, 0, 0, 0", *blobs,
             '        .section .note.GNU-stack, "", @progbits']
    pathlib.Path(output).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
