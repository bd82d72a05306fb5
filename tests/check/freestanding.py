#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Build libflow for a machine without an operating system.

freestanding.py [--update|--port] TOP [FLAG...] -- COMPILER... -- SOURCE...

Compiles lib, flow, tls and the backends that need no system, pair and vchan,
with no headers in reach but the compiler's own, a string.h of nine functions,
mbedTLS's and, for a bare Xen guest, Xen's, links all of it into one object, and
compares what that still needs with freestanding.list: memory and string
functions, the port of lib/plat.h, mbedTLS, and the lists of schemes and of AEAD
providers, which the build makes of what it has.

With --port the sources include a port: of libflow's own names only those
that the build provides may be missing then.
"""

import difflib
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LIST = HERE / "freestanding.list"
# What the build and its mbedTLS have, and no port.
BY_THE_BUILD = re.compile(r"flow__(aead_list|schemes|mbed_\w+)$")
# What mbedTLS's own headers include, and nothing of ours.
ENGINE_HEADERS = HERE / "freestanding" / "engine"


def run(command, text=""):
    return subprocess.run(
        command, stdout=subprocess.PIPE, check=True, text=True, input=text
    ).stdout


def xen_headers(compiler, scratch):
    """A directory with nothing but the directory xen."""
    text = run(compiler + ["-E", "-"], "#include <xen/errno.h>\n")
    found = re.search(r'"([^"]*/xen)/errno\.h"', text).group(1)
    place = scratch / "headers"
    place.mkdir()
    (place / "xen").symlink_to(found)
    return place


def compile_all(top, flags, compiler, sources, scratch):
    own = run(compiler + ["-print-file-name=include"]).strip()
    common = compiler + [
        "-std=c11", "-O2", "-ffreestanding", "-nostdinc", "-fno-stack-protector",
        "-fno-pic", "-isystem", own, "-I", str(top), "-I", str(top / "include"),
        "-isystem", str(HERE / "freestanding"), "-c",
    ]
    objects = []
    xen = None
    for number, source in enumerate(sources):
        target = str(scratch / ("%d.o" % number))
        extra = []
        if "tls/mbedtls" in source:
            extra = flags + ["-isystem", str(ENGINE_HEADERS)]
        if "hyp_unikernel" in source:
            xen = xen or xen_headers(compiler, scratch)
            extra = ["-isystem", str(xen)]
        run(common + extra + [source, "-o", target])
        objects.append(target)
    return objects


def needs(objects, scratch):
    whole = str(scratch / "libflow.o")
    run(["ld", "-r", "-o", whole, *objects])
    return sorted({
        line.split()[-1] for line in run(["nm", "-u", whole]).splitlines()
    })


def split(arguments):
    first, second = [i for i, word in enumerate(arguments) if word == "--"][:2]
    return (
        arguments[:first], arguments[first + 1:second], arguments[second + 1:]
    )


def main(arguments):
    update = "--update" in arguments
    port = "--port" in arguments
    arguments = [w for w in arguments if w not in ("--update", "--port")]
    (top, *flags), compiler, sources = split(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        now = needs(
            compile_all(pathlib.Path(top), flags, compiler, sources, scratch),
            scratch,
        )
    if update:
        LIST.write_text("".join(name + "\n" for name in now))
        return 0
    then = LIST.read_text().split()
    if port:
        then = [name for name in then
                if not name.startswith("flow_") or BY_THE_BUILD.match(name)]
    for line in difflib.unified_diff(
        then, now, "freestanding.list", "needed now", lineterm="", n=0
    ):
        print(line)
    if now != then:
        print("meant so? ninja update-freestanding")
    return now != then


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
