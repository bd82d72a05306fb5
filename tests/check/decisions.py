#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The records of docs/decisions: decisions.py [--update].

Every record is NNNN-words-of-the-title.md and has one form:

    # NNNN. Title

    * Date: YYYY-MM-DD
    * Status: accepted

    ## Context
    ## Choice
    ## Cost

A status is "accepted", "accepted, amended by decision NNNN" or "superseded by
decision NNNN", where that decision is a later one.  The numbers begin at 0001 and
none is left out.  README.md there lists all records; --update writes it.  Everywhere in the tree "decision NNNN" and
"decisions/NNNN" have four digits and name a record that exists.
"""

import datetime
import re
import sys

import tree

PLACE = "docs/decisions"
NAME = re.compile(r"(\d{4})-[a-z0-9-]+\.md")
HEAD = re.compile(
    r"# (?P<number>\d{4})\. (?P<title>\S.*)\n\n"
    r"\* Date: (?P<date>.*)\n"
    r"\* Status: (?P<status>.*)\n\n"
)
STATUS = re.compile(
    r"accepted(, amended by decision \d{4}( and decision \d{4})*)?"
    r"|superseded by decision \d{4}"
)
SECTIONS = ["Context", "Choice", "Cost"]
# The word may end a line of a comment, with the number in the next one.
REFERENCE = re.compile(
    r"\bdecisions?(?:\s+(?:[*#] )?|/)(?P<number>\d+)(?P<rest>-[\w.-]+)?", re.I)
# These name records that do not exist.
OWN = ("tests/check/decisions.py", "tests/check/test_decisions.py")
INDEX = """# Decisions

Choices that could have gone another way: what was to be decided, the choice and
its reasons, and what it costs.  A record is not rewritten when a later one changes
its choice; its status names the later one.  `tests/check/decisions.py` checks the
form of the records, and `python3 tests/check/decisions.py --update` writes this
list.

The records had other numbers until 2026-11-28, which commits up to then cite: the
name of the file at that time, shown by `git log --follow`, has the number.

| decision | date | status |
|---|---|---|
"""


def records(top):
    return sorted(
        path for path in (top / PLACE).glob("*.md") if path.name != "README.md"
    )


def check_date(text):
    try:
        datetime.datetime.strptime(text, "%Y-%m-%d")
    except ValueError:
        return False
    return len(text) == 10


def sections(text):
    """The headings of a record, and what stands below each."""
    parts = re.split(r"^## (.*)\n", text, flags=re.M)
    return parts[1::2], [part.strip() for part in parts[2::2]]


def check_record(path):
    where = "%s/%s" % (PLACE, path.name)
    name = NAME.fullmatch(path.name)
    if not name:
        yield "%s: its name is not NNNN-words.md" % where
        return
    text = path.read_text()
    head = HEAD.match(text)
    if not head:
        yield "%s: does not start with title, date and status" % where
        return
    if head["number"] != name[1]:
        yield "%s: its title says %s" % (where, head["number"])
    if not check_date(head["date"]):
        yield "%s: '%s' is not a date" % (where, head["date"])
    if not STATUS.fullmatch(head["status"]):
        yield "%s: unknown status '%s'" % (where, head["status"])
    for number in re.findall(r"\d{4}", head["status"]):
        if number <= name[1]:
            yield "%s: its status names %s, which is not later" % (where, number)
    headings, texts = sections(text)
    if headings != SECTIONS:
        yield "%s: its sections are not %s" % (where, ", ".join(SECTIONS))
    elif not all(texts):
        yield "%s: a section is empty" % where


def check_numbers(top):
    numbers = [
        path.name[:4] for path in records(top) if NAME.fullmatch(path.name)
    ]
    for number in sorted(set(numbers)):
        if numbers.count(number) > 1:
            yield "%s: two records have the number %s" % (PLACE, number)
    for place, number in enumerate(sorted(set(numbers)), 1):
        if number != "%04d" % place:
            yield "%s: %04d is left out before %s" % (PLACE, place, number)
            break


def index(top):
    text = INDEX
    for path in records(top):
        head = HEAD.match(path.read_text())
        if head:
            text += "| [%s](%s) %s | %s | %s |\n" % (
                head["number"], path.name, head["title"], head["date"],
                head["status"].replace("decision ", ""))
    return text


def check_index(top):
    readme = top / PLACE / "README.md"
    if not readme.is_file() or readme.read_text() != index(top):
        yield "%s/README.md: not the list of the records; run decisions.py --update" % (
            PLACE)


def check_references(top, names):
    known = {path.name for path in records(top)}
    numbers = {name[:4] for name in known}
    for name in names:
        if name in OWN or tree.DATA.search(name):
            continue
        text = (top / name).read_text()
        for found in REFERENCE.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            if found["number"] not in numbers:
                yield "%s:%d: there is no decision %s" % (
                    name, line, found["number"])
            elif found["rest"] and found["rest"].endswith(".md") and (
                    found["number"] + found["rest"] not in known):
                yield "%s:%d: there is no %s%s" % (
                    name, line, found["number"], found["rest"])


def violations(top, names):
    for path in records(top):
        yield from check_record(path)
    yield from check_numbers(top)
    yield from check_index(top)
    yield from check_references(top, names)


def main(arguments):
    if arguments == ["--update"]:
        (tree.TOP / PLACE / "README.md").write_text(index(tree.TOP))
    found = list(violations(tree.TOP, tree.names()))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
