#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Every public declaration is documented: documented.py DOXYGEN TOP VERSION.

Runs doxygen with docs/Doxyfile.in; every warning of it is an error.  The first
page of the HTML leads to every guide and every header.
"""

import pathlib
import re
import subprocess
import sys
import tempfile


def configuration(top, version, output):
    text = (top / "docs/Doxyfile.in").read_text()
    for name, value in {
        "version": version,
        "output": output,
        "docs": str(top / "docs"),
        "include": str(top / "include"),
        "warn_as_error": "FAIL_ON_WARNINGS",
    }.items():
        text = text.replace("@%s@" % name, value)
    return text


def missing_in(html, top):
    """Titles of guides, and headers, to which index.html has no link."""
    first = (html / "index.html").read_text()
    first = first[first.index('class="contents"'):]
    linked = set(re.findall(r'href="([^"#]+)', first))
    titles = {
        page.name: re.search(r"<title>libflow: (.*)</title>",
                             page.read_text()).group(1)
        for page in html.glob("*.html") if page.name in linked
    }
    for guide in sorted(top.glob("docs/*.md")):
        title = guide.read_text().split("\n", 1)[0].removeprefix("# ")
        if guide.name != "index.md" and title not in titles.values():
            yield guide.name
    for header in sorted(top.glob("include/flow/*.h")):
        name = "flow/%s File Reference" % header.name
        if name not in titles.values():
            yield header.name


def main(arguments):
    doxygen, top, version = arguments
    with tempfile.TemporaryDirectory() as output:
        done = subprocess.run(
            [doxygen, "-"], text=True, check=False, cwd=top,
            input=configuration(pathlib.Path(top), version, output),
        )
        missing = list(missing_in(pathlib.Path(output) / "html",
                                  pathlib.Path(top)))
    for page in missing:
        print("the first page has no link to " + page)
    return 1 if done.returncode or missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
