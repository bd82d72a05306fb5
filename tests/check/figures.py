#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Figures of the code and the documents: figures.py [TOP].

Prints a table and judges nothing, so that two states of the tree can be put
side by side.  The product is flow/, lib/, backends/, tls/ and include/; the
examples count where names are counted.  A function's lines are those of its
body with the braces; its complexity is 1 and one for each if, for, while, case,
&&, || and ?.
"""

import collections
import pathlib
import re
import statistics
import sys

import architecture
import names
import partition
import prose
import report
import tree

PRODUCT = ("flow", "lib", "backends", "tls", "include")
BRANCH = re.compile(r"\b(?:if|for|while|case)\b|&&|\|\||\?")
CALL = re.compile(r"\b(\w+)\s*\(")
DEFINED = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", re.M)


def bodies(text):
    """(what stands before it, body) of every outermost block."""
    depth = begin = 0
    for at, c in enumerate(text):
        if c == "{":
            if depth == 0:
                start = at
            depth += 1
        elif c == "}":
            depth -= 1
            if depth == 0:
                yield text[begin:start], text[start:at + 1]
        if depth == 0 and c in "};":
            begin = at + 1


def keep_lines(match):
    return "\n" * match[0].count("\n") or " "


def functions(text):
    """(name, lines, complexity) of the functions that a file defines."""
    code = names.COMMENT.sub(keep_lines, text)
    code = names.DIRECTIVE.sub(keep_lines, code)
    for head, body in bodies(code):
        found = re.search(r"(\w+)\s*\([^;]*\)\s*\Z", head, re.S)
        if found and "=" not in head:
            name = next(n for n in CALL.findall(head)
                        if n not in names.NOT_NAMES)
            yield name, body.count("\n") + 1, 1 + len(BRANCH.findall(body))


def ninetieth(values):
    return sorted(values)[int(len(values) * 0.9)]


def public_functions(top):
    """Public functions, and those of them that a comment describes."""
    all_of_them = described = 0
    for _, text in report.sources(top, ("include",)):
        for found in re.finditer(r"^FLOW_API\b", text, re.M):
            all_of_them += 1
            described += text[:found.start()].rstrip().endswith("*/")
    return all_of_them, described


def handshake(top):
    text = (top / "tls/handshake_state.h").read_text()
    body = re.search(r"^struct flow__handshake \{\n(.*?)^\};", text,
                     re.M | re.S)[1]
    members = re.findall(r"^    [^;/*]+[^;]*;", names.COMMENT.sub(" ", body),
                         re.M)
    return len(members), sum("bool " in member for member in members)


def shared(pairs):
    """Names that stand in more than one place, and all names."""
    places = collections.defaultdict(set)
    for name, where in pairs:
        places[name].add(where)
    return [name for name, where in places.items() if len(where) > 1], places


def shared_statics(top):
    several, places = shared((function, name)
                             for name, text in names.files(top)
                             for function in set(names.functions(text)))
    return (len(several), sum(len(places[name]) for name in several),
            sum(map(len, places.values())))


def shared_macros(top):
    return len(shared((macro, name) for name, text in report.sources(top, PRODUCT)
                      for macro in DEFINED.findall(text))[0])


def decisions(top):
    paths = [p for p in sorted((top / "docs/decisions").glob("[0-9]*.md"))]
    numbers = [int(p.name[:4]) for p in paths]
    forms = {
        "headings" if re.search(r"^## Choice$", p.read_text(), re.M)
        else "words" for p in paths
    }
    dated = sum(bool(re.search(r"^\* Date: ", p.read_text(), re.M))
                for p in paths)
    return len(paths), len(forms), dated, numbers[-1] - len(numbers)


def drawn_files(top):
    """Files of each drawing of docs/architecture.md that has any."""
    text = (top / architecture.DOCUMENT).read_text()
    counts = [
        len({path for _, path in architecture.LINE.findall(drawing)})
        for drawing in architecture.DRAWING.findall(text)
    ]
    return ", ".join(str(n) for n in counts if n > 0) or "none"


def words_to_avoid(top):
    """What prose.py would find in the whole tree."""
    return sum(
        len(prose.faults(name, (top / name).read_text()))
        for name in tree.names(top)
        if name not in prose.EXCEPT and prose.is_read(name)
    )


def figures(top):
    every = [f for _, text in report.sources(top, PRODUCT) for f in functions(text)]
    lengths = [lines for _, lines, _ in every]
    branches = [complexity for _, _, complexity in every]
    texts = dict(report.sources(top, PRODUCT))
    lines = {name: len(text.splitlines()) for name, text in texts.items()}
    conditions = sum(
        len(re.findall(r"^[ \t]*#[ \t]*if", text, re.M)) -
        (name.endswith(".h") and "_H\n" in text)
        for name, text in texts.items())
    shared_names, copies, statics = shared_statics(top)
    local = list(names.local_names(top, partition.ROOMS))
    public, described = public_functions(top)
    members, bools = handshake(top)
    records, forms, dated, gaps = decisions(top)
    yield "files", len(lines)
    yield "lines", sum(lines.values())
    yield "files above 700 lines", sum(n > 700 for n in lines.values())
    yield "longest file", max(lines.values())
    yield "functions", len(every)
    yield "lines of a function: median", statistics.median(lengths)
    yield "lines of a function: 90 %", ninetieth(lengths)
    yield "lines of a function: most", max(lengths)
    yield "complexity: 90 %", ninetieth(branches)
    yield "complexity: most", max(branches)
    yield "#if per 1,000 lines", round(
        1000 * conditions / sum(lines.values()), 1)
    yield "public functions", public
    yield "public functions that are described", described
    yield "static functions", statics
    yield "static names in more than one file", shared_names
    yield "static functions of such a name", copies
    yield "static functions without their file's noun", sum(
        not names.carries(function, name)
        for name, text in names.files(top)
        for function in set(names.functions(text)))
    yield "macros that two files define", shared_macros(top)
    yield "objects, macros, types of one file", len(local)
    yield "such names in more than one file", len(shared(local)[0])
    yield "such names without their file's noun", sum(
        not names.carries(name.lower(), where) for name, where in local)
    yield "most files in one circle of calls", max(
        map(len, partition.circles(partition.call_graph(top))), default=0)
    yield "files of one TLS write, one TLS read, drawn", drawn_files(top)
    yield "members of the handshake", members
    yield "members of the handshake: bool", bools
    yield "__atomic_ outside an atomic.h", sum(
        text.count("__atomic_") for name, text in texts.items()
        if not name.endswith("/atomic.h"))
    yield "decisions", records
    yield "decisions: forms", forms
    yield "decisions: with a date", dated
    yield "decisions: numbers left out", gaps
    yield "words to avoid (prose.py)", words_to_avoid(top)


def main(arguments):
    top = pathlib.Path(arguments[0] if arguments else ".").resolve()
    for what, value in figures(top):
        print("%-44s %8s" % (what, value))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
