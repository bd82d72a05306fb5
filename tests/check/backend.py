#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Test a backend as its author does: backend.py BUILD CC SOURCE.

Installs into a directory of its own, compiles SOURCE and runs the contract suite
over it, with the commands of docs/new-backend.md.  Then it breaks the backend, one
line at a time: the suite must notice each of them.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import blocks

# What is replaced in the source, and by what.
MISTAKES = {
    "an end is told before the bytes": (
        "if (held == 0 && ended)", "if (ended)"
    ),
    "a writer wakes no thread": (
        "    q->written += *ret_len;\n"
        "    flow_event_signal(&e->cable->changed);\n",
        "    q->written += *ret_len;\n",
    ),
    "the last end frees nothing": (
        "    flow_env_free(env, c, sizeof(*c));\n}\n\nstatic const", "}\n\nstatic const"
    ),
    "a crash is told as an end": (
        "held == 0 && gone)\n        return flow_fail(f, FLOW_READ,"
        " FLOW_E_TRUNCATED, FLOW_DOMAIN_NONE, 0,\n"
        "                         \"the other end was closed without an end of"
        " data\");",
        "held == 0 && gone)\n        return FLOW_EOF;",
    ),
    "ready without room": (
        "if (out->written - out->read < QUEUE_SIZE || out->unread)", "if (out)"
    ),
    "the queue runs over": (
        "size_t run = room < QUEUE_SIZE - off ? room : QUEUE_SIZE - off;",
        "size_t run = QUEUE_SIZE - off;",
    ),
}


def run(*command, **options):
    print("+", *command, flush=True)
    return subprocess.run(command, text=True, **options)


def install(build, root):
    run("meson", "install", "-C", build, "--no-rebuild", "--destdir", root,
        check=True, stdout=subprocess.DEVNULL)
    (description,) = root.rglob("libflow-contract.pc")
    # The prefix that was configured is below the root.
    for file in description.parent.glob("libflow*.pc"):
        lines = file.read_text().splitlines()
        lines = [
            "prefix=%s%s" % (root, line[7:]) if line.startswith("prefix=")
            else line for line in lines
        ]
        file.write_text("\n".join(lines) + "\n")
    return description.parent


def follow(guide, source, directory, environment):
    """Every command of the guide, on a copy of the source."""
    directory.mkdir()
    shutil.copy(source, directory)
    commands = [
        command for block in blocks.blocks(guide) if block.language == "sh"
        for command, _ in blocks.commands(block)
    ]
    if len(commands) < 5 or not commands[0].startswith("cc "):
        raise SystemExit("new-backend.md: %s" % commands)
    for command in commands:
        result = run("sh", "-c", command, cwd=directory, env=environment,
                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode != 0:
            print("\n".join(
                line for line in result.stdout.splitlines()
                if not re.match(r"\[ RUN|\[ +OK", line)))
            raise SystemExit("the suite refuses a backend that is right")


def main(build, compiler, source):
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        where = install(build, scratch / "root")
        paths = [str(where), os.environ.get("PKG_CONFIG_PATH", "")]
        environment = {
            **os.environ,
            "PKG_CONFIG_PATH": ":".join(filter(None, paths)),
            "LD_LIBRARY_PATH": str(where.parent),
        }
        flags = run(
            "pkg-config", "--cflags", "--libs", "libflow-contract",
            env=environment, check=True, stdout=subprocess.PIPE,
        ).stdout.split()
        text = pathlib.Path(source).read_text()

        def build_program(name, text):
            code = scratch / (name + ".c")
            code.write_text(text)
            run(*compiler.split(), "-Wall", "-Wextra", "-Werror", "-o",
                str(scratch / name), str(code), *flags, check=True)
            return str(scratch / name)

        (guide,) = (scratch / "root").rglob("docs/new-backend.md")
        follow(guide.read_text(), source, scratch / "reader", environment)
        for number, (what, (old, new)) in enumerate(MISTAKES.items()):
            if text.count(old) != 1:
                raise SystemExit("cannot make this mistake: " + what)
            program = build_program("wrong%d" % number,
                                    text.replace(old, new))
            result = run(program, "cable", "*[cable]",
                         env={**environment, "FLOW_TEST_SECONDS": "10"},
                         stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
            if result.returncode == 0:
                raise SystemExit("the suite does not notice: " + what)
            print("noticed: " + what)


if __name__ == "__main__":
    main(*sys.argv[1:])
