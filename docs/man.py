#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Man pages out of doxygen's XML: man.py XML-DIRECTORY MAN3-DIRECTORY VERSION.

Section 3: one page per function, and one per header with its types.
"""

import pathlib
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree


def escape(text):
    return text.replace("\\", "\\e").replace("-", "\\-")


def plain(node):
    """Text of a node on one line, without formatting."""
    return " ".join("".join(node.itertext()).split()) if node is not None else ""


def line(text):
    """One line of input to man: no control character at its start."""
    text = escape(text)
    return "\\&" + text if text[:1] in (".", "'") else text


def inline(node):
    """Text with the fonts of man; names in code are bold, arguments italic."""
    text = escape(node.text or "")
    for child in node:
        inner = inline(child)
        if child.tag in ("bold", "computeroutput", "ref"):
            inner = "\\fB%s\\fR" % inner
        elif child.tag == "emphasis":
            inner = "\\fI%s\\fR" % inner
        text += inner + escape(child.tail or "")
    return text


def paragraph(node):
    text = " ".join(inline(node).split())
    return "\\&" + text if text[:1] in (".", "'") else text


class Page:
    def __init__(self, name, version):
        self.name = name
        self.text = [
            '.TH "%s" 3 "" "libflow %s" "libflow"' % (name, version),
            ".nh", ".ad l",
        ]

    def section(self, title):
        self.text.append('.SH "%s"' % escape(title.upper()))

    def add(self, *lines):
        self.text += lines

    def code(self, text):
        self.add(".nf", *[line(l) for l in text.splitlines()], ".fi")

    def save(self, directory):
        target = directory / (self.name + ".3")
        target.write_text("\n".join(self.text) + "\n")

    def prose(self, node):
        """Description: paragraphs, lists and code; sections are left out."""
        for para in node.findall("para"):
            self.para(para)

    def para(self, para):
        pending = ElementTree.Element("para")
        pending.text = para.text

        def flush():
            text = paragraph(pending)
            if text:
                self.add(".PP", text)
            pending.clear()

        for child in para:
            if child.tag in ("itemizedlist", "orderedlist"):
                flush()
                for item in child.findall("listitem"):
                    self.add(".IP \\(bu 3")
                    self.add(*[paragraph(p) for p in item.findall("para")])
            elif child.tag in ("programlisting", "verbatim"):
                flush()
                self.add(".PP", ".RS 4")
                self.code(code_of(child))
                self.add(".RE")
            elif child.tag == "table":
                flush()
                for row in child.findall("row"):
                    cells = [plain(c) for c in row.findall("entry")]
                    self.add(".br", line("  |  ".join(cells)))
            elif child.tag in ("parameterlist", "simplesect", "xrefsect"):
                flush()
            else:
                pending.append(child)
                continue
            pending.text = child.tail
        flush()

    def tagged(self, tag, *paragraphs):
        self.add(".TP", "\\fB%s\\fR" % escape(tag))
        self.add(*[text for text in paragraphs if text] or ["\\&"])


def code_of(node):
    if node.tag == "verbatim":
        return node.text or ""
    lines = []
    for codeline in node.findall("codeline"):
        text = ""
        for part in codeline.iter():
            if part.tag == "sp":
                text += " "
            text += part.text or ""
            if part is not codeline:
                text += part.tail or ""
        lines.append(text)
    return "\n".join(lines)


def prototype(function):
    words = plain(function.find("type"))
    words = re.sub(r"\b(FLOW_API|FLOW_MUST_USE)\b ?", "", words)
    arguments = []
    for param in function.findall("param"):
        kind = plain(param.find("type"))
        name = plain(param.find("declname"))
        rest = plain(param.find("array"))
        if "(*" in kind:
            arguments.append(kind)
        else:
            gap = "" if kind.endswith("*") or not name else " "
            arguments.append(kind + gap + name + rest)
    gap = "" if words.endswith("*") else " "
    head = words + gap + plain(function.find("name")) + "("
    text = head + (", ".join(arguments) or "void") + ");"
    if len(text) > 72:
        text = head + "\n    " + ",\n    ".join(arguments) + ");"
    return text


def results(page, detail):
    listed = [
        item for plist in detail.iter("parameterlist")
        if plist.get("kind") == "retval"
        for item in plist.findall("parameteritem")
    ]
    notes = [
        sect for sect in detail.iter("simplesect")
        if sect.get("kind") == "return"
    ]
    if not listed and not notes:
        return
    page.section("Return value")
    for item in listed:
        page.tagged(
            plain(item.find("parameternamelist/parametername")),
            *[paragraph(p) for p in item.findall("parameterdescription/para")],
        )
    for note in notes:
        for para in note.findall("para"):
            page.add(".PP", paragraph(para))


def function_page(function, header, version, neighbours):
    name = plain(function.find("name"))
    detail = function.find("detaileddescription")
    page = Page(name, version)
    page.section("Name")
    brief = plain(function.find("briefdescription")).rstrip(".")
    page.add(line("%s - %s" % (name, brief)).replace(" \\- ", " \\- ", 1))
    page.section("Synopsis")
    page.code("#include <%s>\n\n%s" % (header, prototype(function)))
    page.section("Description")
    page.add(paragraph(function.find("briefdescription/para"))
             if function.find("briefdescription/para") is not None else "")
    page.prose(detail)
    params = [
        item for plist in detail.iter("parameterlist")
        if plist.get("kind") == "param"
        for item in plist.findall("parameteritem")
    ]
    if params:
        page.section("Parameters")
    for item in params:
        page.tagged(
            plain(item.find("parameternamelist/parametername")),
            *[paragraph(p) for p in item.findall("parameterdescription/para")],
        )
    results(page, detail)
    for sect in detail.iter("simplesect"):
        if sect.get("kind") in ("par", "note", "warning", "attention"):
            title = sect.find("title")
            page.section(
                plain(title) if title is not None else sect.get("kind")
            )
            page.add(*[paragraph(p) for p in sect.findall("para")])
    page.section("See also")
    names = [n for n in neighbours if n != name] + [header.replace("/", "_")]
    page.add(", ".join(["\\fB%s\\fR(3)" % escape(n) for n in names] +
                       ["\\fBflow\\fR(7)"]))
    return page


def members(page, compound):
    for member in compound.iter("memberdef"):
        if member.get("kind") == "variable":
            kind = plain(member.find("definition"))
            kind = kind[: kind.rfind(plain(member.find("name")))]
            kind = kind.replace(plain(compound.find("compoundname")) + "::", "")
            tag = "%s%s%s" % (kind, plain(member.find("name")),
                              plain(member.find("argsstring")))
            page.tagged(tag, *texts(member))


def texts(member):
    found = []
    for place in ("briefdescription", "detaileddescription"):
        found += [paragraph(p) for p in member.findall(place + "/para")]
    return found


def header_page(compound, header, version, directory):
    page = Page(header.replace("/", "_"), version)
    page.section("Name")
    brief = plain(compound.find("briefdescription")).rstrip(".")
    page.add(line("%s - %s" % (header.replace("/", "_"), brief)))
    page.section("Synopsis")
    page.code("#include <%s>" % header)
    page.section("Description")
    page.prose(compound.find("detaileddescription"))
    structs = [
        directory / (ref.get("refid") + ".xml")
        for ref in compound.findall("innerclass")
    ]
    kinds = [m for m in compound.iter("memberdef")]
    constants = [m for m in kinds if m.get("kind") in ("define", "enum")]
    if constants:
        page.section("Constants")
    for member in constants:
        page.tagged(plain(member.find("name")), *texts(member))
        for value in member.findall("enumvalue"):
            page.add(".RS")
            page.tagged(plain(value.find("name")), *texts(value))
            page.add(".RE")
    if structs:
        page.section("Structures")
    for path in structs:
        struct = ElementTree.parse(path).getroot().find("compounddef")
        page.tagged("struct " + plain(struct.find("compoundname")),
                    *texts(struct))
        page.add(".RS")
        members(page, struct)
        page.add(".RE")
    callbacks = [m for m in kinds if m.get("kind") == "typedef"]
    if callbacks:
        page.section("Types")
    for member in callbacks:
        page.tagged(plain(member.find("definition")) +
                    plain(member.find("argsstring")), *texts(member))
    functions = [m for m in kinds if m.get("kind") == "function"]
    if functions:
        page.section("Functions")
    for member in functions:
        page.tagged(plain(member.find("name")) + "(3)",
                    *texts(member)[:1])
    return page


def main(arguments):
    directory, target = map(pathlib.Path, arguments[:2])
    version = arguments[2]
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for path in sorted(directory.glob("*_8h.xml")):
        compound = ElementTree.parse(path).getroot().find("compounddef")
        header = compound.find("location").get("file")
        header = "flow/" + pathlib.PurePath(header).name
        functions = [
            m for m in compound.iter("memberdef")
            if m.get("kind") == "function"
        ]
        names = [plain(m.find("name")) for m in functions]
        header_page(compound, header, version, directory).save(target)
        for number, function in enumerate(functions):
            near = names[max(0, number - 3):number + 4]
            function_page(function, header, version, near).save(target)


if __name__ == "__main__":
    main(sys.argv[1:])
