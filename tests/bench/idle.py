#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Memory of servers with many idle TLS connections: idle.py BUILD CLIENT [COUNT].

CLIENT (idle_client.c) opens COUNT connections to flow-site over loopback, and to
nginx if that is installed; each has had one answer.  What the server's process
holds more than before, divided by the number of connections, is told: its resident
memory (VmRSS), and the part of it that is its heap.  nginx allocates its table of
connections at its start, so that is not in its figure.  Exits with 77 where a
process may not have so many descriptors.
"""

import contextlib
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile

import programs

COUNT = 10_000
SECONDS = 130  # to open them; after that those that are open count
SPARE = 100  # descriptors besides connections
SKIPPED = 77

NGINX = """
daemon off;
master_process off;
pid {dir}/nginx.pid;
error_log {dir}/nginx.log;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    keepalive_timeout 600;
    client_body_temp_path {dir}/nginx-1;
    proxy_temp_path {dir}/nginx-2;
    fastcgi_temp_path {dir}/nginx-3;
    uwsgi_temp_path {dir}/nginx-4;
    scgi_temp_path {dir}/nginx-5;
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        root {dir};
        ssl_certificate {chain};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites {suite};
        ssl_session_tickets off;
        ssl_session_cache off;
    }}
}}
"""


def say(text):
    print("idle: " + text, file=sys.stderr, flush=True)


def resident(pid):
    """Bytes of a process in memory, and those of its heap."""
    status = pathlib.Path("/proc/%d/status" % pid).read_text()
    whole = int(re.search(r"VmRSS:\s*(\d+) kB", status)[1]) * 1024
    maps = pathlib.Path("/proc/%d/smaps" % pid).read_text()
    heap = re.search(r"\[heap\]\n(?:.*\n)*?Rss:\s*(\d+) kB", maps)
    return whole, int(heap[1]) * 1024 if heap else 0


def measure(name, server, client, keys, count):
    """Bytes of memory and of heap for each connection."""
    command = [client, str(server.port), str(keys / "ca.pem"), programs.NAME]
    pid = server.process.pid
    # One connection before, so that what is made once is there.
    for number, seconds in ("1", "10"), (str(count), str(SECONDS)):
        before = resident(pid)
        with subprocess.Popen(command + [number, seconds], text=True,
                              stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as process:
            line = process.stdout.readline()
            after = resident(pid)
            process.stdin.close()
        if process.returncode != 0 or not line.endswith(" open\n"):
            raise SystemExit("idle: the client of %s failed" % name)
    opened = int(line.split()[0])
    if opened < count:
        say("%s: %d of %d opened in %d s" % (name, opened, count, SECONDS))
    if opened < count // 10:
        raise SystemExit("idle: too few to tell")
    each = [(b - a) / opened for a, b in zip(before, after)]
    say("%s: %d connections, each %.0f bytes resident, %.0f of them heap" %
        (name, opened, *each))
    return each


def flow_site(stack, build, directory, keys, count):
    return programs.Server(stack, [
        str(build / "examples/flow-site"), "--listen", "127.0.0.1:0",
        "--cert", str(keys / "p256.pem"), "--key", str(keys / "p256.key"),
        "--max-connections", str(count + SPARE // 2),
        "--idle-timeout", "600", "--handshake-timeout", "60",
        "--serve", "%s=%s" % (programs.NAME, directory / "small")])


def nginx(stack, directory, keys, count):
    port = programs.free_port()
    config = directory / "nginx.conf"
    config.write_text(NGINX.format(
        dir=directory, port=port, connections=count + SPARE // 2,
        chain=keys / "p256.pem", key=keys / "p256.key", suite=programs.SUITE))
    return programs.Server(stack, [
        "nginx", "-e", str(directory / "nginx.log"), "-c", str(config)], port)


def tell(count, ours, theirs):
    """Rows as beside.c prints them; there is one measurement."""
    row = "{:,} idle TLS 1.3 servers".format(count)
    for part, mine, other in zip(("RSS", "heap"), ours, theirs):
        print("memory\t%s\tnginx\tTCP\t%s\t%.3f\t%.3f\t%.3f\t%.1f\tB" %
              (row, part, *[other / mine] * 3, mine), flush=True)


def main(arguments):
    if not 2 <= len(arguments) <= 3:
        print("usage: idle.py BUILD CLIENT [COUNT]", file=sys.stderr)
        return 2
    build = pathlib.Path(arguments[0]).resolve()
    client = arguments[1]
    count = int(arguments[2]) if arguments[2:] else COUNT
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < count + SPARE:
        say("skipped: a process may have %d descriptors (ulimit -Hn), and %d "
            "are needed" % (most, count + SPARE))
        return SKIPPED
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + SPARE, most))
    keys = build / "tests/support/keys"
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(
            stack.enter_context(tempfile.TemporaryDirectory()))
        (directory / "small").write_bytes(b"x" * programs.SMALL)
        with contextlib.ExitStack() as running:
            ours = measure("flow-site", flow_site(
                running, build, directory, keys, count), client, keys, count)
        if not shutil.which("nginx"):
            programs.missing("nginx")
            return 0
        # Its process may run as another user.
        directory.chmod(0o755)
        with contextlib.ExitStack() as running:
            theirs = measure("nginx", nginx(
                running, directory, keys, count), client, keys, count)
        tell(count, ours, theirs)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
