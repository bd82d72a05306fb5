#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Boot the image in QEMU.

boot.py [--memory MIB] [--https PORT] [--http PORT] [--boots N] IMAGE

Forwards two ports of 127.0.0.1 to the image, and connects its console to
standard input and output; the exit status is 1 if the image ended well, since
QEMU's is twice that of the image, and 1.  With --boots it boots so many times, powers off when
the image listens, and prints the time until then and the processor time of QEMU
up to the end.
"""

import argparse
import os
import statistics
import subprocess
import time

CTRL_C = b"\x03"
ENDED_WELL = 1


def command(options):
    words = ["ip=10.0.2.15/24", "router=10.0.2.2"]
    network = "user,id=net"
    if options.https:
        words.append("https-port=%d" % options.https)
        network += ",hostfwd=tcp:127.0.0.1:%d-:443" % options.https
    if options.http:
        network += ",hostfwd=tcp:127.0.0.1:%d-:80" % options.http
    return [
        "qemu-system-x86_64", "-nodefaults", "-no-reboot", "-display", "none",
        "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
        # Without ACPI tables QEMU tells of its devices on the command line.
        "-machine", "microvm,acpi=off", "-bios", "qboot.rom",
        # The default processor has no RDRAND.
        "-accel", "tcg", "-cpu", "max", "-m", str(options.memory),
        "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
        "-global", "virtio-mmio.force-legacy=false",
        "-netdev", network, "-device", "virtio-net-device,netdev=net",
        "-kernel", options.image, "-append", " ".join(words),
    ]


def measure(options):
    """Seconds until it listens, and of processor time."""
    began = time.monotonic()
    machine = subprocess.Popen(command(options), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    listening = None
    for line in machine.stdout:
        if line.startswith(b"listening") and listening is None:
            listening = time.monotonic() - began
            machine.stdin.write(CTRL_C)
            machine.stdin.flush()
    _, status, usage = os.wait4(machine.pid, 0)
    if os.waitstatus_to_exitcode(status) != ENDED_WELL or listening is None:
        raise SystemExit("boot.py: the image did not boot and power off")
    return listening, usage.ru_utime + usage.ru_stime


def row(name, seconds):
    times = sorted(1000 * second for second in seconds)
    print("%s: median %.0f ms, %.0f to %.0f"
          % (name, statistics.median(times), times[0], times[-1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", type=int, default=64)
    parser.add_argument("--https", type=int)
    parser.add_argument("--http", type=int)
    parser.add_argument("--boots", type=int)
    parser.add_argument("image")
    options = parser.parse_args()
    if options.boots:
        boots = [measure(options) for _ in range(options.boots)]
        row("start of QEMU to listening", [boot[0] for boot in boots])
        row("processor time of QEMU", [boot[1] for boot in boots])
        return
    # Ctrl-C of a terminal goes to the shell, which types it on the console.
    if os.getpid() != os.getpgrp():
        os.setsid()
    words = command(options)
    os.execvp(words[0], words)


if __name__ == "__main__":
    main()
