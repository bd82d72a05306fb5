#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""libflow as a subproject of somebody else's build: subproject.py TOP OPTION...

A small project that asks for dependency('libflow') is configured, built and
tested with this tree as its subproject; the options go to libflow.
"""

import pathlib
import subprocess
import sys
import tempfile

PARENT = """
project('parent', 'c', default_options: ['warning_level=2', 'werror=true'])
flow = dependency('libflow', fallback: 'libflow')
assert(flow.type_name() == 'internal', 'the fallback is what is under test')
assert('pair' in flow.get_variable('backends').split(), 'no pair')
test('version', executable('user', 'user.c', dependencies: flow))
"""
USER = """
#include <flow/version.h>
#include <string.h>
int main(void)
{
    return strcmp(flow_version(), FLOW_VERSION_STRING) != 0;
}
"""


def main(arguments):
    top = pathlib.Path(arguments[0]).resolve()
    options = [
        word.replace("-D", "-Dlibflow:", 1) for word in arguments[1:]
    ]
    with tempfile.TemporaryDirectory() as scratch:
        parent = pathlib.Path(scratch) / "parent"
        (parent / "subprojects").mkdir(parents=True)
        (parent / "subprojects/libflow").symlink_to(top)
        (parent / "meson.build").write_text(PARENT)
        (parent / "user.c").write_text(USER)
        build = str(pathlib.Path(scratch) / "build")
        subprocess.run(
            ["meson", "setup", build, str(parent), *options], check=True
        )
        subprocess.run(["ninja", "-j2", "-C", build, "user"], check=True)
        subprocess.run(["meson", "test", "-C", build, "version"], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
