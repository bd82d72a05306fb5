#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Build mbedTLS as a distribution would: stock_mbedtls.py SOURCE PREFIX.

Stock configuration, stock Makefile, shared and static libraries, headers and
pkg-config files under PREFIX.  Nothing is done if PREFIX already holds what
this source gives.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

LIBRARIES = {
    "mbedcrypto": "",
    "mbedx509": "mbedcrypto",
    "mbedtls": "mbedcrypto mbedx509",
}


def version_of(source):
    text = (source / "include/mbedtls/build_info.h").read_text()
    return re.search(r'MBEDTLS_VERSION_STRING\s+"([\d.]+)"', text).group(1)


def compile_libraries(source, work, jobs, shared):
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for part in ("include", "library", "3rdparty", "scripts", "framework"):
        shutil.copytree(source / part, work / part)
    # The shared libraries find each other in their own directory.
    environment = dict(
        os.environ, CFLAGS="-O2 -fPIC", LDFLAGS="-Wl,-rpath,'$$ORIGIN'"
    )
    command = ["make", "-C", "library", "-j%d" % jobs, "GEN_FILES="]
    # By name: the targets "static" and "shared" need more of the tree.
    command += ["lib%s.a" % name for name in LIBRARIES]
    if shared:
        command += ["SHARED=1"]
        command += ["lib%s.so" % name for name in LIBRARIES]
    subprocess.run(command, cwd=work, env=environment, check=True)


def install(work, prefix, version):
    lib = prefix / "lib"
    (lib / "pkgconfig").mkdir(parents=True)
    for built in (work / "library").glob("lib*"):
        if built.suffix == ".a" or ".so" in built.name:
            shutil.copy(built, lib / built.name, follow_symlinks=False)
    for part in ("mbedtls", "psa"):
        shutil.copytree(work / "include" / part, prefix / "include" / part)
    for name, needs in LIBRARIES.items():
        (lib / "pkgconfig" / (name + ".pc")).write_text(
            "prefix=%s\nincludedir=${prefix}/include\nlibdir=${prefix}/lib\n"
            "\nName: %s\nDescription: stock mbedTLS\nVersion: %s\n"
            "Requires.private: %s\nCflags: -I${includedir}\n"
            "Libs: -L${libdir} -Wl,-rpath,${libdir} -l%s\n"
            % (prefix, name, version, needs, name)
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("prefix", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--static", action="store_true", help="no shared libraries"
    )
    arguments = parser.parse_args()
    source = arguments.source.resolve()
    prefix = arguments.prefix.resolve()
    version = version_of(source)
    mark = prefix / "built"
    built = "%s static=%s\n" % (version, arguments.static)
    if mark.exists() and mark.read_text() == built:
        return
    shutil.rmtree(prefix, ignore_errors=True)
    work = prefix / "work"
    compile_libraries(source, work, arguments.jobs, not arguments.static)
    install(work, prefix, version)
    shutil.rmtree(work)
    mark.write_text(built)


if __name__ == "__main__":
    sys.exit(main())
