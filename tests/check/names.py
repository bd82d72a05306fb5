#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Names that one file has for itself: names.py [TOP].

The name of a static function begins with the noun of its file.  That is the
file's name without ".c", the first or the last words of it, or the name of its
directory: store_read() in hyp_linux_store.c, ipsecmb_seal() in ipsecmb/aead.c.
So a name in a stack trace or in a search says where it is.  No name stands in
two files of the product.  A function that a header defines begins with "flow_"
like all that crosses files.

The same holds for the static objects, the macros and the types of a .c file,
except in the examples, each of which is a program of its own.  A type whose
name begins with "flow_" is declared by a header.  A macro that its own file
undefines, as a short column of a table, ends with the table and needs no noun.
"""

import pathlib
import re

import report

# In flow/flow.c "flow_" would look public.
NOUNS = {"flow/flow.c": {"front"}}
ROOMS = ("flow", "lib", "backends", "tls", "examples")
# Objects, macros and types of these are checked too.
PRODUCT = ("flow", "lib", "backends", "tls")
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                     re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.M)
NAME = re.compile(r"(\w+)\s*\(")
ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)|_Alignas\s*\([^()]*\)", re.S)
MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)", re.M)
# A macro of the system, for systems that have none.
SUPPLIED = re.compile(r"^[ \t]*#[ \t]*ifndef[ \t]+(\w+)\n[ \t]*#[ \t]*define[ \t]+\1\b",
                      re.M)
UNDEFINED = re.compile(r"^[ \t]*#[ \t]*undef[ \t]+(\w+)", re.M)
TYPE = re.compile(r"\b(?:struct|union|enum)\s+(\w+)\s*\{")
NOT_NAMES = {"__attribute__", "_Alignas", "alignas", "typeof", "__typeof__"}


def plain(text):
    """The code alone: no comments, no strings, no directives."""
    text = COMMENT.sub(lambda m: " " if m[0][0] == "/" else '""', text)
    return DIRECTIVE.sub("", text)


def outermost(text):
    """What stands before each block of the outermost level."""
    depth = begin = 0
    for at, c in enumerate(text):
        if c == "{":
            if depth == 0:
                yield text[begin:at]
            depth += 1
        elif c == "}":
            depth -= 1
        if depth == 0 and c in "};":
            begin = at + 1


def functions(text):
    """Names of the static functions that a file defines."""
    for head in outermost(plain(text)):
        if not re.search(r"\bstatic\b", head) or "=" in head:
            continue
        for name in NAME.findall(head):
            if name not in NOT_NAMES:
                yield name
                break


def declarations(text):
    """What the outermost level declares, without blocks, one string each."""
    depth = begin = 0
    parts = ""
    for at, c in enumerate(text):
        if c == "{":
            if depth == 0:
                parts += text[begin:at]
            depth += 1
        elif c == "}":
            depth -= 1
            if depth == 0:
                begin = at + 1
                if parts.rstrip().endswith(")") and "=" not in parts:
                    parts = ""  # It was the body of a function.
        elif c == ";" and depth == 0:
            yield parts + text[begin:at]
            parts, begin = "", at + 1


def objects(text):
    """Names of the static objects that a file defines."""
    for declaration in declarations(plain(text)):
        head = ATTRIBUTE.sub(" ", declaration.split("=")[0])
        if not re.match(r"\s*static\b", head):
            continue
        pointer = re.search(r"\(\s*\*[\s*]*(?:const\s+)?(\w+)", head)
        if pointer:
            yield pointer[1]
        elif "(" not in head:
            yield re.findall(r"\w+", re.sub(r"\[[^\]]*\]", "", head))[-1]


def macros(text):
    """Names of the macros that a file defines for all that follows."""
    code = COMMENT.sub(lambda m: " " if m[0][0] == "/" else '""', text)
    supplied = set(SUPPLIED.findall(code))
    columns = set(UNDEFINED.findall(code))
    for name in MACRO.findall(code):
        if name not in supplied | columns and not name.startswith("_"):
            yield name


def types(text):
    for name in TYPE.findall(plain(text)):
        if not name.startswith("flow_"):
            yield name


def locals_of(text):
    """Objects, macros and types that a .c file has for itself."""
    return set(objects(text)) | set(macros(text)) | set(types(text))


def nouns(name):
    """What the names of a file may begin with."""
    if name in NOUNS:
        return NOUNS[name]
    path = pathlib.PurePosixPath(name)
    words = path.stem.split("_")
    found = {"_".join(words[at:]) for at in range(len(words))}
    found |= {"_".join(words[:at + 1]) for at in range(len(words))}
    if len(path.parts) > 2:
        found.add(path.parent.name)
    return found


def carries(function, name):
    if name.endswith(".h"):
        return function.startswith("flow_")
    return any(
        function == noun or function.startswith(noun + "_")
        for noun in nouns(name)
    )


def files(top):
    return report.sources(top, ROOMS)


def local_names(top, rooms):
    """(name, where) of every object, macro and type that one file has for
    itself."""
    for where, text in files(top):
        if where.endswith(".c") and where.split("/")[0] in rooms:
            for name in sorted(locals_of(text)):
                yield name, where


def violations(top):
    places = {}
    for local, name in local_names(top, PRODUCT):
        places.setdefault(local, []).append(name)
        if not carries(local.lower(), name):
            yield "%s: %s does not begin with %s" % (
                name, local, " or ".join(sorted(nouns(name))))
    for name, text in files(top):
        for function in functions(text):
            places.setdefault(function + "()", []).append(name)
            if not carries(function, name):
                yield "%s: %s() does not begin with %s" % (
                    name, function, " or ".join(sorted(nouns(name)))
                    if name.endswith(".c") else "flow_")
    for function, names in sorted(places.items()):
        if len(set(names)) > 1:
            yield "%s stands in %s" % (function, ", ".join(sorted(set(names))))


if __name__ == "__main__":
    report.main(violations)
