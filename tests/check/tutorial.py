#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Follow the tutorial as a reader does: tutorial.py BUILD.

Installs libflow into a directory of its own, takes the guide and its programs
from there, and gives every command of the guide to one shell, in order, in a
directory with nothing but the programs.  What a command prints must be what the
guide shows.  The one difference: where the guide has port 7777, a server listens
on any free port.
"""

import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

import blocks
import installed

PORT = "7777"
LIMIT = 60 * float(os.environ.get("FLOW_PATIENCE", "1"))
LISTENING = re.compile(r"listening on \S*:([0-9]+)")


class Shell:
    """A shell that is given one command after another."""

    def __init__(self, directory, environment):
        self.process = subprocess.Popen(
            ["bash"], cwd=directory, env=environment, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.unread = b""

    def read_until(self, found):
        """Output up to where the expression found ends."""
        end = time.monotonic() + LIMIT
        while not (match := re.search(found, self.unread)):
            left = end - time.monotonic()
            stream = self.process.stdout
            if left <= 0 or not select.select([stream], [], [], left)[0]:
                raise SystemExit("took too long, after %r" % self.unread)
            data = os.read(stream.fileno(), 65536)
            if not data:
                raise SystemExit("the shell ended, after %r" % self.unread)
            self.unread += data
        read, self.unread = (
            self.unread[:match.start()], self.unread[match.end():])
        return read.decode(), match

    def run(self, command, lines):
        """What it prints: as many lines as expected if it stays in the
        background, else everything."""
        self.process.stdin.write(
            (command + "\nprintf '\\036%d\\036' $?\n").encode())
        self.process.stdin.flush()
        if command.endswith("&") and lines:
            early, _ = self.read_until(rb"\036[0-9]+\036")
            self.unread = early.encode() + self.unread
            late, match = self.read_until(rb"(?:[^\n]*\n){%d}" % lines)
            return late + match.group().decode()
        return self.read_until(rb"\036[0-9]+\036")[0]

    def close(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def follow(text, shell, refusing):
    """Every command of a guide; how many there were."""
    port = refusing
    count = 0
    for block in blocks.blocks(text):
        if block.language not in ("sh", "console") or (
                block.mark == "fragment"):
            continue
        for command, wanted in blocks.commands(block):
            listens = command.startswith("./server ")
            told = shell.run(
                command.replace(PORT, "0" if listens else port), len(wanted))
            if listens:
                found = LISTENING.search(told)
                if not found:
                    raise SystemExit("%s\n%s" % (command, told))
                port = found.group(1)
            print("$ " + command + "\n" + told, end="", flush=True)
            if block.language == "sh":
                continue
            wanted = "".join(
                line.replace(PORT, port) + "\n" for line in wanted)
            if told != wanted:
                raise SystemExit("line %d: the guide shows\n%s" % (
                    block.line, wanted))
            count += 1
    return count


def check_left(directory):
    """What the commands were to make is there, and works."""
    for name in ("client", "server"):
        linked = subprocess.run(
            ["ldd", str(directory / name)], stdout=subprocess.PIPE,
            check=True, text=True).stdout
        if "libflow.so" not in linked:
            raise SystemExit("%s is not linked with the library" % name)
    for name in ("cert.pem", "key.pem"):
        if not (directory / name).stat().st_size:
            raise SystemExit("%s is empty" % name)


def main(build):
    with tempfile.TemporaryDirectory() as scratch, socket.socket() as held:
        scratch = pathlib.Path(scratch)
        where = installed.install(build, scratch / "root")
        (guides,) = (scratch / "root").rglob("doc/libflow")
        directory = scratch / "reader"
        directory.mkdir()
        for source in (guides / "examples/tutorial").iterdir():
            (directory / source.name).write_text(source.read_text())
        # Bound and not listening: connections are refused, and no other
        # process gets the port.
        held.bind(("127.0.0.1", 0))
        paths = [str(where), os.environ.get("PKG_CONFIG_PATH", "")]
        shell = Shell(directory, {
            **os.environ,
            "PKG_CONFIG_PATH": ":".join(filter(None, paths)),
            "LD_LIBRARY_PATH": str(where.parent),
        })
        try:
            count = follow((guides / "docs/tutorial.md").read_text(), shell,
                           str(held.getsockname()[1]))
        finally:
            shell.close()
        check_left(directory)
        if count < 15:
            raise SystemExit("only %d commands were found" % count)


if __name__ == "__main__":
    main(*sys.argv[1:])
