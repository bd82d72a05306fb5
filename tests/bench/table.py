#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The table of all benchmarks: table.py BUILD JSON [MODULE].

Runs bench_beside of BUILD, some rows with libcrypto's ciphers too, programs.py and
idle.py; prints one table and writes the same as JSON.  MODULE is a stock mbedTLS
(tests/bench/run.sh makes it).
"""

import json
import os
import pathlib
import platform
import subprocess
import sys

import idle

# What is measured with ciphers that are not the best of the build.
OTHER_CIPHERS = "records\tTLS 1.3 AES-128-GCM"
HERE = pathlib.Path(__file__).resolve().parent
FIELDS = ("kind", "row", "peer", "transport", "part", "ratio", "low", "high",
          "ours", "unit")


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            flags = [f for f in ("aes", "vaes", "avx512f", "sha_ni")
                     if f in open("/proc/cpuinfo").read().split()]
            return "%s (%s)" % (line.split(":")[1].strip(), ", ".join(flags))
    return platform.processor()


def lines_of(command, environment=None):
    """The fields of each line, as the command prints them."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                          env=dict(os.environ, **environment or {})) as process:
        for line in process.stdout:
            yield line.rstrip("\n").split("\t")
    if process.returncode not in (0, idle.SKIPPED):
        raise SystemExit("%s failed" % command[0])


def ciphers_of(build):
    """The providers of our ciphers that are measured: the best of the build,
    and libcrypto, which OpenSSL's own are of."""
    text = (build / "tls/aead_list.c").read_text()
    listed = text[text.index("flow__aead_list[]"):]
    names = [name for mark, name in
             (("ipsecmb,", "ipsecmb"), ("libcrypto,", "libcrypto"),
              ("modules,", "mbedtls"), ("psa,", "psa")) if mark in listed]
    return names[:1] + [n for n in names[1:] if n == "libcrypto"]


def collect(build, module):
    """Versions, and every row as a dictionary."""
    beside = [str(build / "tests/bench/bench_beside")]
    if module:
        beside += ["--mbedtls", module]
    best, *others = ciphers_of(build)
    runs = [(beside, {"FLOW_TEST_AEAD": best}, best)]
    runs += [(beside + ["--row", OTHER_CIPHERS], {"FLOW_TEST_AEAD": name}, name)
             for name in others]
    runs.append(([sys.executable, str(HERE / "programs.py"), str(build)], {},
                 best))
    runs.append(([sys.executable, str(HERE / "idle.py"), str(build),
                  str(build / "tests/bench/bench_idle_client")], {}, best))
    versions, rows = {}, []
    for command, environment, ciphers in runs:
        for fields in lines_of(command, environment):
            if fields[0] == "version":
                versions[fields[1]] = fields[2]
                continue
            row = dict(zip(FIELDS, fields), ciphers=ciphers)
            for name in ("ratio", "low", "high", "ours"):
                row[name] = float(row[name])
            rows.append(row)
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return versions, rows


def by_row(rows):
    """{(kind, row, transport, part, ciphers): {peer: row}}, in order."""
    table = {}
    for row in rows:
        key = tuple(row[name] for name in
                    ("kind", "row", "transport", "part", "ciphers"))
        table.setdefault(key, {})[row["peer"]] = row
    return table


def amount(row):
    if row["unit"] == "ns" and row["ours"] >= 1e5:
        return "%.2f ms" % (row["ours"] / 1e6)
    return "%.0f %s" % (row["ours"], row["unit"])


def print_group(rows):
    peers = list(dict.fromkeys(row["peer"] for row in rows))
    print("\n| work | over | part | ours | %s |" % " | ".join(peers))
    print("|---|---|---|---:|%s" % ("---|" * len(peers)))
    for key, cells in by_row(rows).items():
        shown = ["%.2f (%.2f to %.2f)" % (cells[p]["ratio"], cells[p]["low"],
                                          cells[p]["high"])
                 if p in cells else "" for p in peers]
        print("| %s | %s | %s | %s | %s |" % (
            *key[1:4], amount(next(iter(cells.values()))), " | ".join(shown)))


def print_table(versions, rows):
    print("Processor: %s.  Versions: %s.  A cell says how many times as long "
          "the other took, or for memory how many times as much it held: the "
          "median of the rounds, and their quartiles." % (
              processor(), ", ".join("%s %s" % v for v in versions.items())))
    for kind, ciphers in dict.fromkeys(
            (row["kind"], row["ciphers"]) for row in rows):
        print("\n### %s, our ciphers by %s" % (kind.capitalize(), ciphers))
        print_group([row for row in rows if
                     (row["kind"], row["ciphers"]) == (kind, ciphers)])


def main(arguments):
    if not 2 <= len(arguments) <= 3:
        print("usage: table.py BUILD JSON [MODULE]", file=sys.stderr)
        return 2
    build = pathlib.Path(arguments[0]).resolve()
    versions, rows = collect(build, arguments[2] if arguments[2:] else None)
    print_table(versions, rows)
    with open(arguments[1], "w") as out:
        json.dump({"processor": processor(), "versions": versions,
                   "rows": rows}, out, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
