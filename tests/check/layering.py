#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Who may include whom: layering.py [TOP].

The table is that of docs/architecture.md.  A file is ruled by the first row
whose pattern matches it; a file that no row matches is an error too.  The
compilers' builtins for atomic access stand in two headers only.
"""

import fnmatch
import re

import report

COMPILER = {
    "stdalign.h", "stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h",
    "stdint.h", "stdnoreturn.h", "limits.h",
}
FREESTANDING = COMPILER | {"string.h"}
ANY = {"*"}
GROUND = [
    "include/flow/%s.h" % name
    for name in ("align", "buf", "env", "export", "port", "status", "version",
                 "wait")
]
PUBLIC = ["include/flow/*.h"]

FILTERS = ["flow/%s.c" % name
           for name in ("buffered", "fault", "prefix", "trace")]
# What only code for one system may include, in rows that say "any".
OF_A_SYSTEM = ["include/flow/posix.h"]

# (files, system headers, headers of the project); "@" is the file's own
# directory, "+" the port, backend or test directory it belongs to.
TABLE = [
    ("include/flow/*.h", COMPILER, PUBLIC),
    ("lib/plat/unikernel/*", FREESTANDING,
     GROUND + ["include/flow/machine.h", "include/flow/entropy.h", "lib/*.h",
               "+/*"]),
    ("lib/plat/*/*", ANY, GROUND + ["lib/*.h", "+/*"]),
    ("lib/*", FREESTANDING, GROUND + ["lib/*.h"]),
    # The filters need no more than one that somebody else writes.
    *((name, FREESTANDING, PUBLIC) for name in FILTERS),
    ("flow/*", FREESTANDING, PUBLIC + ["lib/*.h", "flow/*.h"]),
    ("tls/mbedtls/*",
     FREESTANDING | {"mbedtls/*", "psa/*"},
     PUBLIC + ["lib/*.h", "tls/*.h", "tls/mbedtls/*.h"]),
    ("tls/ipsecmb/*", FREESTANDING | {"intel-ipsec-mb.h"},
     PUBLIC + ["lib/*.h", "tls/*.h"]),
    ("tls/libcrypto/*", FREESTANDING | {"openssl/*"},
     PUBLIC + ["lib/*.h", "tls/*.h"]),
    ("tls/posix/*", ANY, PUBLIC + ["lib/*.h", "tls/*.h", "@/*"]),
    ("tls/*", FREESTANDING, PUBLIC + ["lib/*.h", "tls/*.h"]),
    ("backends/lwip/*", FREESTANDING | {"lwip/*", "netif/*"},
     PUBLIC + ["+/*"]),
    ("backends/pair/*", FREESTANDING, PUBLIC + ["+/*"]),
    ("backends/vchan/hyp_unikernel*", FREESTANDING | {"xen/*"},
     PUBLIC + ["+/*"]),
    ("backends/vchan/hyp_*", ANY, PUBLIC + ["+/*"]),
    ("backends/vchan/*", FREESTANDING, PUBLIC + ["+/*"]),
    # What the two kinds of socket have in common.
    ("backends/posix/*", ANY, PUBLIC + ["+/*"]),
    ("backends/tcp/*", ANY, PUBLIC + ["backends/posix/*", "+/*"]),
    ("backends/unix/*", ANY, PUBLIC + ["backends/posix/*", "+/*"]),
    ("backends/*/*", ANY, PUBLIC + ["+/*"]),
    ("examples/*", ANY, PUBLIC + ["examples/**"]),
    ("tests/contract/*", ANY, PUBLIC + ["tests/**"]),
    ("tests/fault/*", ANY, PUBLIC + ["tests/**"]),
    ("tests/interop/*", ANY, PUBLIC + ["tests/**"]),
    ("tests/*", ANY, ["**"]),
    ("subprojects/packagefiles/*", ANY, ["@/*"]),
]
# Only these may see the engine, lwIP or Xen, whatever "any" says above.
RESERVED = [
    (re.compile(r"(mbedtls|psa)/"),
     ("tls/mbedtls/*", "tests/*", "subprojects/*")),
    (re.compile(r"(lwip|netif)/"),
     ("backends/lwip/*", "tests/*", "subprojects/*")),
    (re.compile(r"openssl/"),
     ("tls/libcrypto/*", "tests/*", "examples/*", "subprojects/*")),
    (re.compile(r"intel-ipsec-mb"), ("tls/ipsecmb/*", "tests/*")),
    (re.compile(r"xen"),
     ("backends/vchan/hyp_linux*", "backends/vchan/hyp_unikernel*",
      "tests/*")),
]
# The compilers' builtins for atomic access, and the headers that give them
# names: one for the library, one for the page that a vchan's peer shares.
BUILTIN = re.compile(r"\b__(?:atomic|sync)_\w+")
ATOMIC = ("lib/atomic.h", "backends/vchan/atomic.h", "tests/*", "subprojects/*")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
SKIPPED = re.compile(r"(^|/)(\.|build|subprojects/(mbedtls-|lwip-|packagecache))")


def matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def beside(name, patterns):
    """As matches(), but "*" stays within one directory and "**" does not."""
    for pattern in patterns:
        parts = re.split(r"(\*+)", pattern)
        expression = "".join(
            {"*": "[^/]*", "**": ".*"}.get(part, re.escape(part))
            for part in parts
        )
        if re.fullmatch(expression, name):
            return True
    return False


def resolve(top, path, quote, name):
    """The file in the tree that is meant, or None for a system header."""
    places = [top / "include"]
    if quote == '"':
        places = [path.parent, top, top / "include"]
    for place in places:
        if (place / name).is_file():
            return (place / name).resolve().relative_to(top).as_posix()
    return None


def row_of(name):
    for pattern, system, ours in TABLE:
        if fnmatch.fnmatchcase(name, pattern):
            own = name.rpartition("/")[0]
            depth = 3 if name.startswith("lib/plat/") else 2
            group = "/".join(name.split("/")[:depth])
            ours = [
                p.replace("@", own).replace("+", group) for p in ours
            ]
            return system, ours
    return None


def check_file(top, path):
    name = path.relative_to(top).as_posix()
    row = row_of(name)
    if row is None:
        yield "%s: no rule says what it may include" % name
        return
    system, ours = row
    text = path.read_text()
    if not matches(name, ATOMIC):
        for builtin in BUILTIN.findall(text):
            yield "%s: may not call %s" % (name, builtin)
    for quote, header in INCLUDE.findall(text):
        target = resolve(top, path, quote, header)
        if target is None:
            allowed = matches(header, system)
            for pattern, holders in RESERVED:
                if pattern.match(header) and not matches(name, holders):
                    allowed = False
        else:
            allowed = beside(target, ours) and (
                target not in OF_A_SYSTEM or system is ANY)
        if not allowed:
            yield "%s: may not include %s" % (name, target or "<%s>" % header)


def violations(top):
    for path in sorted(top.rglob("*.[ch]")):
        if not SKIPPED.search(path.relative_to(top).as_posix()):
            yield from check_file(top, path)


if __name__ == "__main__":
    report.main(violations)
