#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Measure the image under load.

figures.py --ca FILE --name NAME [--connections N] IMAGE

Boots the image with 32 MiB of memory: idle; with a fifth of N HTTPS connections
one after another, and with all N, which may not need more memory; and with more
connections at once than it serves.  NAME is one with a short body.  The exit
status is 0 only if every connection was served and nothing is above its limit.
"""

import argparse
import re
import socket
import ssl
import subprocess
import threading
import time

import boot

AT_ONCE = 100    # max_connections of app/main.c
WAITING = 20     # connections above that
IDLE_SECONDS = 5
WAKES_MAX = 10   # in a second
GROWTH_MAX = 128 # KiB, from a fifth of the connections to all
PATIENCE = 120   # seconds that anything may take


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Machine:
    """A boot of the image."""

    def __init__(self, options):
        self.port = free_port()
        self.name = options.name
        self.tls = ssl.create_default_context(cafile=options.ca)
        arguments = argparse.Namespace(
            memory=32, https=self.port, http=None, image=options.image)
        self.process = subprocess.Popen(
            boot.command(arguments), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        self.console = []
        reader = threading.Thread(target=self.read_console, daemon=True)
        reader.start()
        self.wait_for("^listening")

    def read_console(self):
        for line in self.process.stdout:
            self.console.append(line.decode().rstrip())

    def wait_for(self, pattern):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for line in list(self.console):
                found = re.search(pattern, line)
                if found:
                    return found
            time.sleep(0.02)
        self.process.kill()
        raise SystemExit("figures.py: no line '%s' on the console:\n%s"
                         % (pattern, "\n".join(self.console)))

    def connect(self):
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        return self.tls.wrap_socket(plain, server_hostname=self.name)

    def fetch(self):
        with self.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n"
                           % self.name.encode())
            answer = b""
            while more := client.recv(65536):
                answer += more
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit("figures.py: a connection was not served")

    def end(self):
        """Milliseconds, KiB of memory, sleeps."""
        self.process.stdin.write(boot.CTRL_C)
        self.process.stdin.flush()
        said = self.wait_for(r"ended with code 0 after (\d+) ms; it had at most "
                             r"(\d+) KiB, and slept (\d+) times")
        self.process.wait()
        return [int(number) for number in said.groups()]


def row(ok, text):
    print(text if ok else text + ": TOO MUCH", flush=True)
    return ok


def idle(options):
    machine = Machine(options)
    time.sleep(IDLE_SECONDS)
    msec, _, sleeps = machine.end()
    wakes = 1000 * sleeps / msec
    return row(wakes <= WAKES_MAX, "idle: wakes %.1f times a second" % wakes)


def one_after_another(options, count):
    """The memory that the app took, in KiB."""
    machine = Machine(options)
    times = []
    for _ in range(count):
        began = time.monotonic()
        machine.fetch()
        times.append(time.monotonic() - began)
    _, memory, _ = machine.end()
    print("%d connections one after another: %.0f a second, the slowest in "
          "%.0f ms; the app took %d KiB"
          % (count, count / sum(times), 1000 * max(times), memory), flush=True)
    return memory


def growth(options):
    few = one_after_another(options, max(1, options.connections // 5))
    many = one_after_another(options, options.connections)
    return row(many <= few + GROWTH_MAX,
               "growth of memory: %d KiB" % (many - few))


def has_ended(client):
    """Whether the image has closed a connection without a request."""
    client.settimeout(0.01)
    try:
        client.recv(1)
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def at_once(options):
    machine = Machine(options)
    clients = [machine.connect() for _ in range(AT_ONCE)]
    answered = []

    def wait_for_turn():
        machine.fetch()
        answered.append(time.monotonic())

    waiting = [threading.Thread(target=wait_for_turn) for _ in range(WAITING)]
    for thread in waiting:
        thread.start()
    time.sleep(2)
    early = len(answered)
    # On a slow host some have waited too long for a request.
    ended = sum(has_ended(client) for client in clients)
    for client in clients:
        client.close()
    for thread in waiting:
        thread.join()
    _, memory, _ = machine.end()
    return row(early <= ended and len(answered) == WAITING,
               "%d connections at once: the app took %d KiB; of %d more, %d "
               "were served before others ended, and %d after that"
               % (AT_ONCE, memory, WAITING, max(0, early - ended),
                  len(answered) - max(0, early - ended)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ca", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("image")
    options = parser.parse_args()
    results = [idle(options), growth(options), at_once(options)]
    raise SystemExit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
