#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Use libflow as one who installed it: installed.py BUILD CC CXX BACKENDS.

Installs into a directory of its own, then compiles and runs a C and a C++
program with nothing but what "pkg-config --cflags --libs libflow" says, and
the C one once more with --static.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PROGRAM = r"""
#include <flow/version.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
    printf("%s\n", flow_version());
    return strcmp(flow_version(), FLOW_VERSION_STRING) != 0;
}
"""


def run(*command, **options):
    print("+", *command, flush=True)
    return subprocess.run(command, check=True, text=True, **options)


def output_of(*command, **options):
    return run(*command, stdout=subprocess.PIPE, **options).stdout


def install(build, root):
    run(
        "meson", "install", "--no-rebuild", "--quiet", "-C", build,
        "--destdir", root,
    )
    options = json.loads(
        output_of("meson", "introspect", "--buildoptions", build)
    )
    prefix = next(o["value"] for o in options if o["name"] == "prefix")
    (description,) = root.rglob("libflow.pc")
    # The one path that installing under another root leaves wrong.
    text = description.read_text()
    moved = str(root) + prefix
    description.write_text(re.sub(r"(?m)^prefix=.*$", "prefix=" + moved, text))
    return description.parent


def main(arguments):
    build, c_compiler, cxx_compiler, backends = arguments
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        where = install(build, scratch / "root")
        environment = dict(os.environ)
        environment["PKG_CONFIG_PATH"] = os.pathsep.join(
            filter(None, [str(where), environment.get("PKG_CONFIG_PATH")])
        )
        environment["LD_LIBRARY_PATH"] = str(where.parent)

        def flags(*words):
            return output_of(
                "pkg-config", *words, "libflow", env=environment
            ).split()

        told = flags("--variable=backends")
        if told != backends.split():
            raise SystemExit("backends, as pkg-config tells: %s" % told)
        for name, compiler in (
            ("user.c", c_compiler), ("user.cc", cxx_compiler),
        ):
            source = scratch / name
            source.write_text(PROGRAM)
            program = str(scratch / "program")
            run(*compiler.split(), "-Wall", "-Wextra", "-Werror", str(source),
                *flags("--cflags", "--libs"), "-o", program)
            run(program, env=environment)
            linked = output_of("ldd", program, env=environment)
            if "libflow.so" not in linked:
                raise SystemExit("not linked with the shared library")
            # Whole archive: every undefined symbol must be found, not only
            # those that this small program happens to reach.
            run(*compiler.split(), str(source), "-static",
                "-Wl,--whole-archive", str(where.parent / "libflow.a"),
                "-Wl,--no-whole-archive",
                *flags("--static", "--cflags", "--libs"), "-o", program)
            run(program)
            if "not a dynamic" not in subprocess.run(
                ["ldd", program], stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, check=False, text=True,
            ).stdout:
                raise SystemExit("the static program is not static")


if __name__ == "__main__":
    main(sys.argv[1:])
