#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Check where the site's image takes its random bytes from.

entropy.py IMAGE NAME

Boots the image on processors with RDRAND, with RDSEED alone, if QEMU has it, and
with neither: there it has to say why TLS is not set up, and ends without having
listened, also with a seed.  Then it takes a snapshot of a machine that listens,
and resumes it twice.  Both copies get the same greeting for the TLS name NAME,
and their answers, which begin with random bytes, have to differ.
"""

import argparse
import json
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import boot  # noqa: E402

FAILED = 3  # twice the exit code 1, and 1
PATIENCE = 120
REFUSAL = ("site: cannot set up TLS: tls: the machine has no source of entropy; "
           "use a processor with RDRAND (qemu -cpu max); a seed is not a source")
# RFC 8446 4.1.3 after the headers of record and message, and the version.
RANDOM_AT = 5 + 4 + 2
RANDOM_LEN = 32


def fail(text):
    raise SystemExit("entropy.py: " + text)


def command(image, cpu="max", word=None, port=None):
    options = argparse.Namespace(memory=64, https=port, http=None, image=image)
    words = boot.command(options)
    words[words.index("-cpu") + 1] = cpu
    if word is not None:
        words[words.index("-append") + 1] += " " + word
    return words


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def run(image, cpu, word, keys):
    """The lines of the console and the exit status."""
    done = subprocess.run(command(image, cpu, word), input=keys,
                          stdout=subprocess.PIPE, timeout=PATIENCE,
                          check=False)
    return done.stdout.decode().splitlines(), done.returncode


def has_rdseed():
    """Whether QEMU emulates it: that of Debian 12 does not."""
    done = subprocess.run(
        ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-monitor",
         "stdio", "-S", "-accel", "tcg", "-machine", "microvm",
         "-bios", "qboot.rom", "-cpu", "qemu64,+rdseed,enforce"],
        input=b"quit\n", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        timeout=PATIENCE, check=False)
    if done.returncode != 0 and b"rdseed" not in done.stderr:
        fail("QEMU does not tell whether it has RDSEED: %s"
             % done.stderr.decode())
    return done.returncode == 0


def check_boots(image):
    able = ["max", "max,-rdseed"]
    if has_rdseed():
        able.append("max,-rdrand")
    else:
        print("%-22s not booted: QEMU does not emulate RDSEED" % "max,-rdrand")
    for cpu in able:
        lines, status = run(image, cpu, None, boot.CTRL_C)
        if status != boot.ENDED_WELL or \
                not any(line.startswith("listening") for line in lines):
            fail("%s: did not listen: %s" % (cpu, lines))
        print("%-22s listens" % cpu)
    for cpu, word in (("qemu64", None), ("max,-rdrand,-rdseed", "seed=secret")):
        lines, status = run(image, cpu, word, b"")
        if status != FAILED or REFUSAL not in lines or \
                any(line.startswith("listening") for line in lines):
            fail("%s: expected '%s' and status %d, found %s and %d"
                 % (cpu, REFUSAL, FAILED, lines, status))
        print("%-22s %s" % (cpu, REFUSAL))


class Machine:
    """A machine of which a snapshot can be taken, or one from a snapshot."""

    def __init__(self, image, place, snapshot=None, more=()):
        self.port = free_port()
        path = os.path.join(place, "monitor-%d" % self.port)
        words = command(image, port=self.port)
        words += ["-qmp", "unix:%s,server=on,wait=off" % path, *more]
        if snapshot is not None:
            words += ["-incoming", "exec:cat '%s'" % snapshot]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.monitor = None
        until = time.monotonic() + PATIENCE
        while self.monitor is None:
            try:
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(path)
                self.monitor = connection.makefile("rw")
            except OSError:
                connection.close()
                if time.monotonic() > until:
                    fail("QEMU has no monitor")
                time.sleep(0.05)
        self.monitor.readline()
        self.order("qmp_capabilities")

    def order(self, name, **arguments):
        json.dump({"execute": name, "arguments": arguments}, self.monitor)
        self.monitor.write("\n")
        self.monitor.flush()
        while True:
            answer = json.loads(self.monitor.readline())
            if "error" in answer:
                fail("%s: %s" % (name, answer["error"]["desc"]))
            if "return" in answer:
                return answer["return"]

    def wait_until(self, name, key, values):
        until = time.monotonic() + PATIENCE
        while self.order(name).get(key) not in values:
            if time.monotonic() > until:
                fail("%s does not become %s" % (name, values))
            time.sleep(0.05)

    def wait_for_listening(self):
        for line in self.process.stdout:
            if line.startswith(b"listening"):
                return
        fail("the image does not listen")

    def save(self, snapshot):
        self.order("stop")
        self.order("migrate", uri="exec:cat > '%s'" % snapshot)
        self.wait_until("query-migrate", "status", ("completed",))

    def resume(self):
        self.wait_until("query-status", "status", ("paused", "running"))
        self.order("cont")

    def answer_to(self, greeting):
        """The random bytes of the ServerHello."""
        with socket.create_connection(("127.0.0.1", self.port),
                                      timeout=PATIENCE) as connection:
            connection.sendall(greeting)
            answer = b""
            while len(answer) < RANDOM_AT + RANDOM_LEN:
                part = connection.recv(4096)
                if not part:
                    fail("no ServerHello: %r" % answer)
                answer += part
        if answer[0] != 22 or answer[5] != 2:
            fail("not a ServerHello: %r" % answer[:16])
        return answer[RANDOM_AT:RANDOM_AT + RANDOM_LEN]

    def close(self):
        self.process.kill()
        self.process.wait()


def greeting_for(name):
    """One ClientHello, to be sent more than once."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing,
                                                   server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def check_snapshot(image, name):
    greeting = greeting_for(name)
    with tempfile.TemporaryDirectory() as place:
        snapshot = os.path.join(place, "snapshot")
        first = Machine(image, place)
        try:
            first.wait_for_listening()
            first.answer_to(greeting)
            first.save(snapshot)
        finally:
            first.close()
        answers = []
        for _ in range(2):
            copy = Machine(image, place, snapshot)
            try:
                copy.resume()
                answers.append(copy.answer_to(greeting))
            finally:
                copy.close()
    if answers[0] == answers[1]:
        fail("two copies of a snapshot answer the same: " + answers[0].hex())
    for answer in answers:
        print("a copy of a snapshot answers " + answer.hex())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image")
    parser.add_argument("name")
    options = parser.parse_args()
    check_boots(options.image)
    check_snapshot(options.image, options.name)


if __name__ == "__main__":
    main()
