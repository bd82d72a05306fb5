#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Commands in the documents are commands that exist: commands.py TOP BUILD.

Every command of a block "sh" has a script, an option, a suite, a target or a
program that is there.  Commands that a reader gives in a directory of his own
are not looked at here but run, by the check that RUN names; and those of the
tests of this build are run here.  A block after "<!-- fragment -->" is left
alone.
"""

import dataclasses
import json
import pathlib
import re
import shlex
import subprocess
import sys

import blocks

# Commands that another check runs: the first word, in which document.
RUN = {
    "docs/tutorial.md": {
        "by": "tutorial.py",
        "words": {"cc", "./client", "./server", "kill", "openssl"},
    },
    "docs/installing.md": {
        "by": "installed.py", "words": {"cc", "pkg-config"},
    },
    "docs/new-backend.md": {
        "by": "backend.py", "words": {"cc", "./a.out"},
    },
}
SYSTEM = {"ldconfig"}


@dataclasses.dataclass
class Facts:
    """What there is in this tree and in a build of it."""

    top: pathlib.Path
    options: dict       # name: its choices, or None where anything goes
    suites: set
    setups: set
    targets: set        # paths in the build directory, and names
    programs: dict      # name: what --help prints


def check_script(facts, words):
    script = facts.top / words[0]
    if not script.is_file():
        yield "there is no %s" % words[0]
        return
    for word in words[1:]:
        if word.startswith("-") and word not in script.read_text():
            yield "%s has no option %s" % (words[0], word)


def check_setup(facts, words):
    for word in words:
        if not word.startswith("-D"):
            continue
        name, _, value = word[2:].partition("=")
        if name not in facts.options:
            yield "no option %s" % name
        elif facts.options[name] and value not in facts.options[name]:
            yield "option %s is never %s" % (name, value)


def check_meson(facts, words):
    if words[0] == "setup":
        yield from check_setup(facts, words[1:])
    elif words[0] == "test":
        for flag, value in zip(words, words[1:]):
            if flag == "--suite" and value not in facts.suites:
                yield "no suite %s" % value
            if flag == "--setup" and value not in facts.setups:
                yield "no setup %s" % value
    elif words[0] not in ("compile", "configure", "install"):
        yield "meson has no command %s" % words[0]


def check_ninja(facts, words):
    rest = [word for at, word in enumerate(words)
            if not word.startswith("-") and words[at - 1:at] != ["-C"]]
    for word in rest:
        if word not in facts.targets:
            yield "no target %s" % word


def check_built(facts, word):
    """A program in a build directory; those of fuzzing need a build of
    their own, and have a source each."""
    directory, _, path = word.partition("/")
    fuzz = re.match(r"tests/fuzz/fuzz_(\w+)$", path)
    if directory == "build-fuzz" and fuzz:
        if not (facts.top / "tests/fuzz" / (fuzz.group(1) + ".c")).is_file():
            yield "no fuzz target %s" % fuzz.group(1)
    elif path not in facts.targets:
        yield "no target %s" % path


def check_program(facts, words):
    told = facts.programs[words[0]]
    usage = told.split("\n", 1)[0]
    for word in words[1:]:
        if word.startswith("-") and not re.search(
                r"(^|[ ,])%s\b" % re.escape(word.partition("=")[0]), told,
                re.MULTILINE):
            yield "%s has no option %s" % (words[0], word)
    for needed in re.findall(r"(?<!\[)(--[a-z-]+)", usage):
        if needed not in words:
            yield "%s needs %s" % (words[0], needed)


def check_command(facts, document, words):
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    if not words:
        return
    first = words[0]
    if first in RUN.get(document, {"words": ()})["words"] or first in SYSTEM:
        return
    if first in ("sh", "python3"):
        yield from check_script(facts, words[1:])
        return
    if first == "meson":
        yield from check_meson(facts, words[1:])
    elif first == "ninja":
        yield from check_ninja(facts, words[1:])
    elif re.match(r"build[a-z-]*/", first):
        yield from check_built(facts, first)
    elif first in facts.programs:
        yield from check_program(facts, words)
    else:
        yield "unknown command %s" % first
    for word in words[1:]:
        begin = word.partition("/")[0]
        if "/" in word and (facts.top / begin).is_dir() and not (
                facts.top / word).exists():
            yield "there is no %s" % word


def simple_commands(line):
    """The words of each command of a line, without what redirects."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    command = []
    for word in lexer:
        if word in ("&&", ";", "||", "|", "&"):
            yield command
            command = []
        else:
            command.append(word)
    if command:
        yield command


def check(facts, document, text):
    for block in blocks.blocks(text):
        if block.mark == "fragment" or block.language not in (
                "sh", "console"):
            continue
        for line, _ in blocks.commands(block):
            for words in simple_commands(line):
                for problem in check_command(facts, document, words):
                    yield "%s:%d: %s" % (document, block.line, problem)


def introspect(build, what):
    return json.loads(subprocess.run(
        ["meson", "introspect", "--" + what, str(build)], check=True,
        stdout=subprocess.PIPE).stdout)


def facts_of(top, build):
    targets = introspect(build, "targets")
    paths = {
        pathlib.Path(path).resolve().relative_to(build).as_posix()
        for target in targets for path in target["filename"]
        if pathlib.Path(path).resolve().is_relative_to(build)
    }
    programs = {
        path: build / path for path in paths
        if re.fullmatch(r"examples/flow-[a-z]+", path)
    }
    setups = re.findall(r"add_test_setup\('(\w+)'",
                        (top / "tests/meson.build").read_text())
    return Facts(
        top=top,
        options={
            option["name"]: option.get("choices")
            for option in introspect(build, "buildoptions")
        },
        suites={
            suite.rpartition(":")[2] for test in introspect(build, "tests")
            for suite in test["suite"]
        },
        setups=set(setups),
        targets=paths | {target["name"] for target in targets}
        | {"clang-format"},
        programs={
            pathlib.Path(name).name: subprocess.run(
                [str(path), "--help"], check=True, text=True,
                stdout=subprocess.PIPE).stdout
            for name, path in programs.items()
        },
    )


def run_tests_of(build, text):
    """Cases that a document picks by a pattern, which may match none;
    problems.  What it runs whole is a test of the suite besides."""
    for block in blocks.blocks(text):
        for line, _ in blocks.commands(block) if block.language == "sh" else ():
            if not re.match(r"build/tests/.*'", line):
                continue
            command = line.replace("build/", "./", 1)
            print("+ " + command, flush=True)
            done = subprocess.run(
                ["sh", "-c", command], cwd=build, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, check=False, text=True)
            if done.returncode != 0 or "[==========]" not in done.stdout:
                yield "%s: %s" % (line, done.stdout[-2000:])


def main(top, build):
    top, build = (pathlib.Path(name).resolve() for name in (top, build))
    facts = facts_of(top, build)
    problems = []
    for path in sorted(top.glob("*.md")) + sorted(top.glob("docs/**/*.md")):
        name = path.relative_to(top).as_posix()
        problems += check(facts, name, path.read_text())
        if not problems:
            problems += run_tests_of(build, path.read_text())
    for name, there in RUN.items():
        source = (top / "tests/check" / there["by"]).read_text()
        if pathlib.Path(name).name not in source:
            problems.append("%s does not run %s" % (there["by"], name))
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
