#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""decisions.py itself: a record that breaks the form must be caught."""

import unittest

import decisions
import planted

RECORD = """# %s. %s

* Date: 2026-11-24
* Status: %s

## Context

Why.

## Choice

What.

## Cost

How much.
"""
FIRST = "docs/decisions/0001-one.md"
SECOND = "docs/decisions/0002-two.md"
README = "docs/decisions/README.md"


def record(number, title, status="accepted"):
    return RECORD % (number, title, status)


TREE = {
    FIRST: record("0001", "One", "accepted, amended by decision 0002"),
    SECOND: record("0002", "Two"),
    "flow/x.c": "/* (decision\n * 0001) and docs/decisions/0002 */\n",
    "docs/x.md": "[decision 0001](decisions/0001-one.md)\n",
}


class Decisions(planted.PlantedTest):
    def found(self, index=None, **changed):
        files = {**TREE, **changed}

        def check(top):
            readme = decisions.index(top) if index is None else index
            (top / README).write_text(readme)
            return decisions.violations(top, [*files, README])
        return planted.violations(check, files)

    def test_clean_tree(self):
        self.assertEqual(self.found(), [])

    def test_name(self):
        self.assert_caught("docs/decisions/x.md", record("0003", "x"),
                           "its name")

    def test_head(self):
        for text in ("# 2. Two\n", record("0002", "Two").replace(
                "* Date", "Date")):
            self.assert_caught(SECOND, text, "does not start")

    def test_number_of_the_title(self):
        self.assert_caught(SECOND, record("0003", "Two"), "title says 0003")

    def test_date(self):
        for date in ("2026-13-01", "24 November 2026", "2026-1-1"):
            text = record("0002", "Two").replace("2026-11-24", date)
            self.assert_caught(SECOND, text, "not a date")

    def test_status(self):
        for status in ("proposed", "superseded", "accepted, more or less"):
            self.assert_caught(SECOND, record("0002", "Two", status),
                               "unknown status")

    def test_superseded_by_a_later_one(self):
        self.assertEqual(self.found(**{
            FIRST: record("0001", "One", "superseded by decision 0002")
        }), [])
        self.assert_caught(
            SECOND, record("0002", "Two", "superseded by decision 0001"),
            "not later")
        self.assert_caught(
            SECOND, record("0002", "Two", "superseded by decision 0003"),
            "no decision 0003")

    def test_sections(self):
        whole = record("0002", "Two")
        self.assert_caught(SECOND, whole.replace("## Cost", "## Price"),
                           "its sections")
        self.assert_caught(SECOND, whole + "\n## Tried\n\nThat.\n",
                           "its sections")
        self.assert_caught(SECOND, whole.replace("How much.\n", ""), "empty")

    def test_two_of_one_number(self):
        self.assert_caught("docs/decisions/0001-another.md",
                           record("0001", "Another"), "two records")

    def test_number_left_out(self):
        self.assert_caught("docs/decisions/0004-four.md",
                           record("0004", "Four"), "0003 is left out")

    def test_index(self):
        found = self.found(index=decisions.INDEX)
        self.assertEqual(len(found), 1, found)
        self.assertIn("--update", found[0])

    def test_reference_to_nothing(self):
        for text in ("/* decision 0009 */\n", "# docs/decisions/0009\n",
                     "/* decision\n * 0009 */\n", "see decision 1.\n",
                     "[here](decisions/0001-other.md)\n"):
            self.assert_caught("flow/x.c", text, "there is no")


if __name__ == "__main__":
    unittest.main()
