#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Xen's libraries are loaded when a vchan on Xen is made, and not before:
test_libraries.py LIBFLOW LIBFLOW_PC FLOW_CAT EMPTY_LIBRARY.

EMPTY_LIBRARY has none of the functions of libxencall.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

LIBFLOW, PC, FLOW_CAT, EMPTY = map(pathlib.Path, sys.argv[1:])


def expect(good, what):
    if not good:
        raise SystemExit(what)


def dial(places):
    """What flow-cat says of a vchan on Xen with libraries of these places."""
    done = subprocess.run(
        [FLOW_CAT, "vchan://7/x"], stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=50,
        env={**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, places))},
    )
    expect(done.returncode != 0, "a vchan without libxencall was made")
    return done.stdout


def no_library_is_named():
    text = subprocess.run(
        ["readelf", "-d", LIBFLOW], stdout=subprocess.PIPE, check=True,
        text=True,
    ).stdout
    names = re.findall(r"\(NEEDED\).*\[(.*?)\]", text)
    expect(names, "readelf shows no library that libflow.so needs")
    expect(not any("xen" in n for n in names), "libflow.so needs %s" % names)
    expect("xen" not in PC.read_text(), "libflow.pc names Xen's libraries")


def a_library_that_cannot_be_loaded_is_named(place):
    (place / "libxencall.so.1").write_text("not a library\n")
    told = dial([place, LIBFLOW.parent])
    for words in ("cannot load libxencall.so.1", "libxencall1"):
        expect(words in told, "%r is not in: %s" % (words, told))


def a_function_that_is_missing_is_named(place):
    shutil.copy(EMPTY, place / "libxencall.so.1")
    told = dial([place, LIBFLOW.parent])
    for words in ("libxencall.so.1 lacks a function", "xencall_open",
                  "libxencall1"):
        expect(words in told, "%r is not in: %s" % (words, told))


no_library_is_named()
for case in (a_library_that_cannot_be_loaded_is_named,
             a_function_that_is_missing_is_named):
    with tempfile.TemporaryDirectory() as name:
        case(pathlib.Path(name))
