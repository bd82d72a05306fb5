#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Plain English: prose.py [TOP] [PATH...].

Reads what people read: comments, strings and the names of tests in C, Python,
shell and meson, Markdown without its code, manual pages.  Prints each word or
turn for which docs/style.md ("Plain English") asks another, and what to write
instead.  PATH is a file or a directory below TOP; without any, the whole tree.
"""

import re

import report
import tree

# Files that quote the list.
EXCEPT = {
    "tests/check/prose.py": "is the list",
    "tests/check/test_prose.py": "plants faults",
}

# The verbs of a clause without a subject, in the third person.
VERBS = (r"(?:accepts|asks|calls|chooses|closes|collects|comes|connects|counts"
         r"|does|drives|forks|frees|gets|gives|goes|has|holds|is|keeps|knows"
         r"|listens|locks|looks|makes|needs|opens|owns|polls|puts"
         r"|reads|sends|sets|shares|sleeps|speaks|stands|starts|stops|takes"
         r"|tells|trusts|uses|wakes|wants|waits|watches|works|writes)")
# What may stand before a relative clause that stands for a noun.  After a verb
# ("says who closes") the clause is a question, which has its own subject.
BEFORE = (r"(?:^|[.;:(]\s|[—–-]\s|\b(?:and|as|because|but|by|for|from|if|in|like"
          r"|of|or|since|so|than|that|to|unless|until|when|while|with)\s)")
# Adjectives and adverbs with which "is no" is plain English.
NO = (r"(?:longer|more|less|fewer|matter|such|better|worse|sooner|later|larger"
      r"|smaller|bigger|shorter|greater|earlier|faster|slower|different)")
BE = r"(?:is|are|was|were|be|been|being)"

# (rule, pattern, what to write instead)
RULES = (
    (1, r"\bbehind\b",
     '"after", "following", "below", or what it really is'),
    (2, BEFORE + r"(?P<word>who " + VERBS + r")\b(?![^.?;]*\?)",
     'a named subject: "the caller", "a thread that ..."'),
    (2, BEFORE + r"(?P<word>what (?:accepts|asks|calls|collects|counts|drives|gets"
        r"|knows|listens|locks|owns|polls|reads|sends|sleeps|speaks|tells"
        r"|trusts|uses|wakes|wants|waits|watches|works|writes))\b(?![^.?;]*\?)",
     'a named subject: "the flow that ...", "the code that ..."'),
    # Not the user of that name, which stands in quotation marks.
    (2, r"(?<!\")\b(?-i:[Nn]obody)\b",
     'a named subject: "no client", "no thread", "no caller"'),
    (2, r"\bwho(?:so)?ever\b",
     'a named subject: "the thread that ...", "every caller that ..."'),
    (3, r"\bbells?\b", '"doorbell" or "notification"'),
    (3, r"\bpartings?\b", '"disconnect" or "notification on unmap"'),
    (3, r"\bdeaths?\b",
     '"disconnect", "the peer disappeared", "exit of the process"'),
    (3, r"\b(?:stages?|staged|staging)\b",
     '"byte queue" or "buffer"; "buffered", "queued"'),
    (3, r"\bworn\b|\bwears?(?! out)\b",
     '"at its usage limit", "due for a key update"'),
    (3, r"\badmit(?:s|ted|ting|tance)?\b", '"accept", "allow"'),
    (3, r"\b(?:takes?|took|taken|taking) up\b(?! (?:space|room|memory))",
     '"resumed", "accepted", "handled"'),
    (3, r"\bgates?\b", '"limiter", "lock" or what it limits'),
    (3, r"\bsinks?\b", '"wait set", "output", "sift down"'),
    (3, r"\bcrumbs?\b", '"small pieces", "fragments"'),
    (4, r"(?<!here )\b" + BE + r" no (?!" + NO + r"\b)\w+",
     '"is not a ...", "there is no ..."'),
    (4, r"(?<!here )\b" + BE + r" (?-i:none)\b(?! of\b)",
     '"is not one", "does not exist", or the thing itself'),
    (4, r"(?<!here )\b" + BE + r" nothing(?:'s\b|\s*[.;:]|\s*$)",
     '"belongs to none of ...", "is empty", "is 0"'),
)
# "leaves nothing behind" and a server behind a proxy are what the words mean.
BEHIND = re.compile(
    r"\b(?:leave|leaves|left|leaving)\b[^.;]{0,30}\bbehind\b"
    r"|\b(?:fall|falls|fell|falling|lag|lags|lagging) behind\b"
    r"|\bbehind (?:\w+ ){1,2}(?:proxy|proxies|NAT|firewall|balancer)\b",
    re.I)
COMPILED = [(rule, re.compile(pattern, re.I), instead)
            for rule, pattern, instead in RULES]

C_TOKEN = re.compile(
    r'/\*(?P<block>.*?)\*/|//(?P<line>[^\n]*)'
    r'|"(?P<string>(?:\\.|[^"\\\n])*)"|\'(?:\\.|[^\'\\\n])*\'', re.S)
C_TEST = re.compile(r"^(\w+)\(\s*void \*\*\s*\w+\s*\)", re.M)
PYTHON_TOKEN = re.compile(
    r'"""(?P<doc>.*?)"""|\'\'\'(?P<doc2>.*?)\'\'\'|#(?P<comment>[^\n]*)'
    r'|"(?P<string>(?:\\.|[^"\\\n])*)"|\'(?P<string2>(?:\\.|[^\'\\\n])*)\'',
    re.S)
PYTHON_TEST = re.compile(r"^\s+def (test_\w+)", re.M)
SHELL_COMMENT = re.compile(r"(?:^|(?<=\s))#(?!!)([^\n]*)", re.M)
SHELL_STRING = re.compile(r'"((?:\\.|[^"\\$`\n])+)"|\'([^\'\n]+)\'')
MESON_STRING = re.compile(r"'((?:\\.|[^'\\\n])*)'")
FENCE = re.compile(r"^[ ]*(```|~~~).*?^[ ]*\1[ ]*$", re.M | re.S)
INLINE = re.compile(r"`[^`\n]*(?:\n[^`\n]+)?`")
TARGET = re.compile(r"\]\([^)\s]*\)|<!--.*?-->", re.S)
MACRO = re.compile(r"^\.\s*(?:TH|nf|fi|RS|RE|PP|TP|SH|SS|\\\"[^\n]*)", re.M)


def blank(match):
    """As long as what it replaces, with its line breaks."""
    return re.sub(r"[^\n]", " ", match[0])


def words(name):
    return name.replace("_", " ")


def comment_text(text):
    """A comment without the decoration of its lines, and without code."""
    return INLINE.sub(blank, re.sub(r"(?m)^([ \t]*)\*", r"\1 ", text))


def joined(parts, text):
    """Parts that only white space separates are one passage."""
    passage, begin, end, last = "", 0, 0, None
    for kind, start, stop, part in parts:
        near = last == kind and not text[end:start].strip("\"' \t\n\\*/#")
        if passage and near and text[end:start].count("\n") < 2:
            passage += text[end:start].translate(
                str.maketrans("\"'\\*/#", "      ")) + part
        else:
            if passage:
                yield begin, passage
            passage, begin = part, start
        end, last = stop, kind
    if passage:
        yield begin, passage


def c_passages(text):
    parts = []
    for match in C_TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "block":
            parts.append((kind + str(match.start()), match.start("block"),
                          match.end("block"), comment_text(match["block"])))
        elif kind:
            body = match[kind].replace("\\n", "\n ").replace("\\t", "  ")
            parts.append((kind, match.start(kind), match.end(kind),
                          body.replace("\n", " ")))
    yield from joined(parts, text)
    for match in C_TEST.finditer(text):
        yield match.start(), words(match[1])


def python_passages(text):
    parts = []
    for match in PYTHON_TOKEN.finditer(text):
        kind = match.lastgroup
        own = kind if kind in ("comment", "string", "string2") else str(
            match.start())
        parts.append((own, match.start(kind), match.end(kind), match[kind]))
    yield from joined(parts, text)
    for match in PYTHON_TEST.finditer(text):
        yield match.start(1), words(match[1])


def shell_passages(text):
    parts = [("comment", m.start(1), m.end(1), m[1])
             for m in SHELL_COMMENT.finditer(text)]
    yield from joined(parts, text)
    rest = SHELL_COMMENT.sub(blank, text)
    for match in SHELL_STRING.finditer(rest):
        yield match.start(match.lastindex), match[match.lastindex]
    # A text between two marks is printed as it stands.
    for match in re.finditer(r"<<-?\s*'?(\w+)'?\n(.*?)^\s*\1$", rest, re.M | re.S):
        yield match.start(2), match[2]


def meson_passages(text):
    parts = [("comment", m.start(1), m.end(1), m[1])
             for m in SHELL_COMMENT.finditer(text)]
    yield from joined(parts, text)
    rest = SHELL_COMMENT.sub(blank, text)
    for match in MESON_STRING.finditer(rest):
        if " " in match[1]:
            yield match.start(1), match[1]


def paragraphs(text):
    at = 0
    for part in re.split(r"(\n[ \t]*\n)", text):
        if part.strip():
            yield at, part
        at += len(part)


def markdown_passages(text):
    for pattern in (FENCE, INLINE, TARGET):
        text = pattern.sub(blank, text)
    for at, passage in paragraphs(text):
        # Cells and items are passages of their own.
        for piece in re.finditer(r"(?:[^|\n]|\n(?![ ]*(?:[*+|#-]|\d+\.)\s))+",
                                 passage):
            yield at + piece.start(), piece[0]


def man_passages(text):
    text = re.sub(r"\\f[BIRP]", lambda m: " " * 3, text)
    text = re.sub(r"\\[-&]", lambda m: " -" if m[0][1] == "-" else "  ", text)
    at = 0
    for part in re.split(r"(^\.(?:PP|TP|SH|SS|nf|fi|RS|RE|TH|\\\")[^\n]*\n)",
                         text, flags=re.M):
        if part.strip() and not part.startswith("."):
            yield at, re.sub(r"(?m)^\.(?:BR|BI|RI|IR|IB|RB|B|I) ",
                             lambda m: " " * len(m[0]), part)
        elif part.startswith((".SH", ".SS")):
            yield at + 4, part[4:]
        at += len(part)


READERS = (
    (re.compile(r"\.[ch](\.in)?$"), c_passages),
    (re.compile(r"\.py$"), python_passages),
    (re.compile(r"\.(sh|bash|supp)$|^\.ci/|(^|/)Doxyfile"), shell_passages),
    (re.compile(r"(^|/)meson(\.build|_options\.txt)$"), meson_passages),
    (re.compile(r"\.md$"), markdown_passages),
    (re.compile(r"\.[1-9]$"), man_passages),
)


def is_read(name):
    return any(pattern.search(name) for pattern, _ in READERS)


def passages(name, text):
    for pattern, reader in READERS:
        if pattern.search(name):
            return reader(text)
    return ()


def faults(name, text):
    """(line, the words, what to write instead), in the order of the text."""
    found = []
    for at, passage in passages(name, text):
        flat = re.sub(r"\s", " ", passage)
        single = re.sub(r" +", " ", flat)
        # Where each character of the flat text stands in the file.
        places, last = [], " x"
        for offset, c in enumerate(flat):
            if not (c == " " and last == " "):
                places.append(at + offset)
            last = c
        allowed = [m.span() for m in BEHIND.finditer(single)]
        for rule, pattern, instead in COMPILED:
            for match in pattern.finditer(single):
                group = "word" if "word" in pattern.groupindex else 0
                begin, end = match.span(group)
                if rule == 1 and any(a <= begin < b for a, b in allowed):
                    continue
                line = text.count("\n", 0, places[begin]) + 1
                found.append((line, match[group].strip(), instead))
    return sorted(set(found))


def chosen(top, paths):
    for name in tree.names(top):
        if name not in EXCEPT and (not paths or any(
                name == path or name.startswith(path.rstrip("/") + "/")
                for path in paths)):
            yield name


def violations(top, *paths):
    for name in chosen(top, paths):
        if is_read(name):
            for line, word, instead in faults(name, (top / name).read_text()):
                yield '%s:%d: "%s": write %s' % (name, line, word, instead)


if __name__ == "__main__":
    report.main(violations)
