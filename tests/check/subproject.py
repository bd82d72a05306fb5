#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""libflow as a subproject of somebody else's build: subproject.py TOP OPTION...

A small project that asks for dependency('libflow') is configured, built whole
and tested with this tree as its subproject; the options go to libflow.  Of
libflow only the library is built, and what the project installs is its own
program, which runs from where it was installed.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

PARENT = """
project('parent', 'c', default_options: ['warning_level=2', 'werror=true'])
libflow = dependency('libflow', fallback: 'libflow')
assert(libflow.type_name() == 'internal', 'the fallback is what is under test')
assert('pair' in libflow.get_variable('backends').split(), 'no pair')
test('version', executable('user', 'user.c', dependencies: libflow, install: true))
"""
USER = """
#include <flow/endpoint.h>
#include <flow/flow.h>
#include <flow/version.h>
#include <string.h>
int main(void)
{
    struct flow *f;
    struct flow_error err;
    /* Every scheme is linked in, and with tls+ the handshake. */
    if (flow_endpoint_dial(NULL, "no-such-scheme:", NULL, &f, &err) == FLOW_OK)
        return 1;
    return strcmp(flow_version(), FLOW_VERSION_STRING) != 0;
}
"""


def check_built(build):
    """Programs and shared libraries of libflow are not built."""
    targets = json.loads(subprocess.run(
        ["meson", "introspect", "--targets", build], check=True, text=True,
        stdout=subprocess.PIPE,
    ).stdout)
    built = sorted(
        target["name"] for target in targets
        if target["build_by_default"]
        and target["type"] not in ("static library", "custom")
    )
    if built != ["user"]:
        raise SystemExit("built by default: %s" % " ".join(built))


def check_installed(build, root):
    subprocess.run(
        ["meson", "install", "--quiet", "-C", build, "--destdir", str(root)],
        check=True,
    )
    files = [path for path in root.rglob("*") if not path.is_dir()]
    if [path.name for path in files] != ["user"]:
        raise SystemExit("installed: %s" % " ".join(map(str, sorted(files))))
    subprocess.run(
        [str(files[0])], check=True,
        env={k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"},
    )


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
        subprocess.run(["ninja", "-j2", "-C", build], check=True)
        subprocess.run(["meson", "test", "-C", build, "version"], check=True)
        check_built(build)
        check_installed(build, pathlib.Path(scratch) / "root")


if __name__ == "__main__":
    main(sys.argv[1:])
