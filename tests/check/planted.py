# SPDX-License-Identifier: ISC
"""A small tree with planted faults, for the tests of checks."""

import pathlib
import tempfile
import unittest


def violations(check, files):
    """What the check, a function of a tree's top, finds in a tree of these
    files: {name: text}."""
    with tempfile.TemporaryDirectory() as scratch:
        top = pathlib.Path(scratch).resolve()
        for name, text in files.items():
            path = top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return list(check(top))


class PlantedTest(unittest.TestCase):
    """A test of a check: TREE is free of faults, and found() reads it with
    some files changed."""

    TREE = {}

    def check(self, top):
        raise NotImplementedError

    def found(self, **changed):
        return violations(self.check, {**self.TREE, **changed})

    def assert_caught(self, name, text, *what):
        """With this file there is one violation, and it has these words."""
        found = self.found(**{name: text})
        self.assertEqual(len(found), 1, found)
        for part in what:
            self.assertIn(part, found[0])
