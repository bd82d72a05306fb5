#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""How the product is divided into files: partition.py [TOP].

Two graphs have no circle: that of the .c files, where a file points to the files
that define the functions it names, and that of the headers, where a header points
to those it includes.  So every file can be read after the files it depends on.
No file has more than 700 lines.
"""

import re

import layering
import names
import report

ROOMS = ("flow", "lib", "tls", "backends")
LINES_MAX = 700
WORD = re.compile(r"\b[A-Za-z_]\w*\b")


def definitions(text):
    """Names of the functions that a file defines for others."""
    for head in names.outermost(names.plain(text)):
        if "=" in head or re.search(r"\bstatic\b", head):
            continue
        for name in names.NAME.findall(head):
            if name not in names.NOT_NAMES:
                yield name
                break


def call_graph(top):
    """The files of which a .c file names a function, by name."""
    texts = dict(report.sources(top, ROOMS, "c"))
    homes = {}
    for name, text in texts.items():
        for function in definitions(text):
            homes.setdefault(function, set()).add(name)
    graph = {}
    for name, text in texts.items():
        own = set(names.functions(text))
        graph[name] = {
            home
            for word in set(WORD.findall(names.plain(text))) - own
            for home in homes.get(word, ()) if name not in homes[word]
        }
    return graph


def include_graph(top):
    graph = {}
    for name, text in report.sources(top, ROOMS + ("include",), "h"):
        found = (layering.resolve(top, top / name, quote, header)
                 for quote, header in layering.INCLUDE.findall(text))
        graph[name] = {target for target in found if target}
    return graph


def reached(graph, start):
    seen, left = set(), [start]
    while left:
        for following in graph.get(left.pop(), set()) - seen:
            seen.add(following)
            left.append(following)
    return seen


def circles(graph):
    """The sets of files that reach each other."""
    reach = {name: reached(graph, name) for name in graph}
    done = set()
    for name in sorted(graph):
        if name in done or name not in reach[name]:
            continue
        circle = {other for other in reach[name]
                  if name in reach.get(other, ())}
        done |= circle
        yield sorted(circle)


def check_circles(graph):
    for circle in circles(graph):
        yield "a circle: " + ", ".join(
            "%s -> %s" % (name, " ".join(sorted(graph[name] & set(circle))))
            for name in circle)


def check_lengths(top):
    for name, text in report.sources(top, ROOMS + ("include",)):
        lines = len(text.splitlines())
        if lines > LINES_MAX:
            yield "%s: %d lines, more than %d" % (name, lines, LINES_MAX)


def violations(top):
    yield from check_circles(call_graph(top))
    yield from check_circles(include_graph(top))
    yield from check_lengths(top)


if __name__ == "__main__":
    report.main(violations)
