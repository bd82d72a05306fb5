#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Build libflow for a machine without an operating system.

freestanding.py [--update] LIST TOP [FLAG...] -- COMPILER... -- SOURCE...

Compiles lib, flow, tls and the backends that need no system, pair and vchan,
with no headers in reach but the compiler's own, a string.h of nine functions
and mbedTLS's, links all of it into one object, and compares what that still
needs with LIST: memory and string functions, mbedTLS, the lists of schemes and of
AEAD providers, which the build makes of what it has, and, unless the sources
include a port, that of lib/plat.h.
"""

import difflib
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
# What mbedTLS's own headers include, and nothing of ours.
ENGINE_HEADERS = HERE / "freestanding" / "engine"


def run(command):
    return subprocess.run(
        command, stdout=subprocess.PIPE, check=True, text=True
    ).stdout


def compile_all(top, flags, compiler, sources, scratch):
    own = run(compiler + ["-print-file-name=include"]).strip()
    common = compiler + [
        "-std=c11", "-O2", "-ffreestanding", "-nostdinc", "-fno-stack-protector",
        "-fno-pic", "-isystem", own, "-I", str(top), "-I", str(top / "include"),
        "-isystem", str(HERE / "freestanding"), "-c",
    ]
    objects = []
    for number, source in enumerate(sources):
        target = str(scratch / ("%d.o" % number))
        extra = []
        if "tls/mbedtls" in source:
            extra = flags + ["-isystem", str(ENGINE_HEADERS)]
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
    arguments = [word for word in arguments if word != "--update"]
    (name, top, *flags), compiler, sources = split(arguments)
    path = HERE / name
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        now = needs(
            compile_all(pathlib.Path(top), flags, compiler, sources, scratch),
            scratch,
        )
    if update:
        path.write_text("".join(name + "\n" for name in now))
        return 0
    then = path.read_text().split()
    for line in difflib.unified_diff(
        then, now, name, "needed now", lineterm="", n=0
    ):
        print(line)
    if now != then:
        print("meant so? ninja update-" + path.stem)
    return now != then


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
