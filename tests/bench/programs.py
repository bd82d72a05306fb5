#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Our programs compared with others over loopback: programs.py BUILD.

flow-site beside nginx, flow-fetch beside curl, flow-proxy beside stunnel and
hitch: TLS 1.3 with AES-128-GCM, one certificate, one file.  What is compared
is CPU time, of the kernel's part too: of a server by the clocks of its
processes, of a client what wait4(2) tells.  A round has every program once, in
turn.  Prints rows as beside.c does; a ratio is how many times as long the other
program took.  A program that is not there is left out and named.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 7
LARGE = 176_000_000
SMALL = 1_024
CONNECTIONS = 300
NAME = "server.example"
SUITE = "TLS_AES_128_GCM_SHA256"
CURL = ("curl", "--silent", "--show-error", "--fail", "--noproxy", "*",
        "--http1.1", "--tlsv1.3", "--tls13-ciphers", SUITE)
MISSING_AFTER = 10  # seconds until a server must have started

NGINX = """
daemon off;
master_process off;
pid {dir}/nginx.pid;
error_log {dir}/nginx.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    sendfile on;
    client_body_temp_path {dir}/nginx-1;
    proxy_temp_path {dir}/nginx-2;
    fastcgi_temp_path {dir}/nginx-3;
    uwsgi_temp_path {dir}/nginx-4;
    scgi_temp_path {dir}/nginx-5;
    server {{
        listen 127.0.0.1:{port} ssl;
        listen 127.0.0.1:{plain};
        root {dir}/files;
        ssl_certificate {chain};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites {suite};
        ssl_session_tickets off;
        ssl_session_cache off;
    }}
}}
"""

STUNNEL = """
foreground = yes
pid =
syslog = no
output = {dir}/stunnel.log
sslVersionMin = TLSv1.3
ciphersuites = {suite}
[tls]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{plain}
cert = {chain}
key = {key}
"""

HITCH = """
frontend = "[127.0.0.1]:{port}"
backend = "[127.0.0.1]:{plain}"
pem-file = "{dir}/hitch.pem"
workers = 1
tls-protos = TLSv1.3
ciphersuites = "{suite}"
log-filename = "{dir}/hitch.log"
quiet = on
{user}
"""


def missing(what):
    print("programs: %s is not installed: its rows are left out" % what,
          file=sys.stderr)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tree(pid):
    """A process and its descendants."""
    yield pid
    children = pathlib.Path("/proc/%d/task/%d/children" % (pid, pid))
    for child in children.read_text().split():
        yield from tree(int(child))


def cpu(pid):
    """Seconds of CPU that a server and its processes have used, the threads
    that have ended included: clock_getcpuclockid(3) of each."""
    return sum(time.clock_gettime(~process << 3 | 2) for process in tree(pid))


class Server:
    """A server, ours or not, that is ended with the context."""

    def __init__(self, stack, command, port=None, log=None):
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True,
            stderr=log or subprocess.DEVNULL)
        stack.callback(self.end)
        self.port = port or self.told_port()
        self.wait_until_open(command[0])

    def told_port(self):
        for line in self.process.stdout:
            if line.startswith("listening on "):
                return int(line.rsplit(":", 1)[1])
        raise RuntimeError("no line with a port")

    def wait_until_open(self, what):
        give_up = time.monotonic() + MISSING_AFTER
        while time.monotonic() < give_up and self.process.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.05)
        raise RuntimeError("%s does not listen" % what)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu(self):
        return cpu(self.process.pid)


class Place:
    """Keys, files and programs."""

    def __init__(self, build, directory):
        keys = build / "tests/support/keys"
        self.dir = directory
        self.build = build
        self.words = {
            "dir": directory, "suite": SUITE, "chain": keys / "p256.pem",
            "key": keys / "p256.key",
        }
        self.ca = str(keys / "ca.pem")
        files = directory / "files"
        files.mkdir()
        for name, size in ("large", LARGE), ("small", SMALL):
            (files / name).write_bytes(os.urandom(size))
        (directory / "hitch.pem").write_text(
            (keys / "p256.key").read_text() + (keys / "p256.pem").read_text())

    def program(self, name):
        return str(self.build / "examples" / name)

    def config(self, name, text, **more):
        path = self.dir / name
        path.write_text(text.format(**self.words, **more))
        return str(path)

    def site(self, stack, file):
        return Server(stack, [
            self.program("flow-site"), "--listen", "127.0.0.1:0",
            "--cert", str(self.words["chain"]),
            "--key", str(self.words["key"]),
            "--serve", "%s=%s" % (NAME, self.dir / "files" / file)])

    def nginx(self, stack):
        port, plain = free_port(), free_port()
        server = Server(stack, [
            "nginx", "-e", str(self.dir / "nginx.log"), "-c",
            self.config("nginx.conf", NGINX, port=port, plain=plain)], port)
        server.plain = plain
        return server

    def url(self, port, file):
        return "https://%s:%d/%s" % (NAME, port, file)

    def curl(self, port, url, *more):
        return [*CURL, *more, "--cacert", self.ca, "--resolve",
                "%s:%d:127.0.0.1" % (NAME, port), "--output", os.devnull, url]


def run(command):
    """Seconds of CPU that a command took."""
    with open(os.devnull, "wb") as nothing:
        process = subprocess.Popen(command, stdout=nothing)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError("%s failed" % command[0])
    return usage.ru_utime + usage.ru_stime


def compare(row, work):
    """Rounds of {name: function that gives seconds}; the first is ours."""
    names = list(work)
    ratios = {name: [] for name in names[1:]}
    ours = []
    for turn in range(-1, ROUNDS):
        order = names[turn % len(names):] + names[:turn % len(names)]
        took = {name: work[name]() for name in order}
        if turn < 0:  # files and pages are there from now on
            continue
        ours.append(took[names[0]])
        for name in names[1:]:
            ratios[name].append(took[name] / took[names[0]])
    for name in names[1:]:
        low, middle, high = statistics.quantiles(ratios[name], n=4,
                                                 method="inclusive")
        print("programs\t%s\t%s\tTCP\tCPU\t%.3f\t%.3f\t%.3f\t%.1f\tms"
              % (row, name, middle, low, high,
                 statistics.median(ours) * 1e3), flush=True)


def of_server(server, command):
    def measured():
        before = server.cpu()
        run(command)
        return server.cpu() - before
    return measured


def servers(place, nginx):
    with contextlib.ExitStack() as stack:
        large = place.site(stack, "large")
        small = place.site(stack, "small")
        compare("server: 176 MB", {
            "flow-site": of_server(large, place.curl(
                large.port, place.url(large.port, "large"))),
            "nginx": of_server(nginx, place.curl(
                nginx.port, place.url(nginx.port, "large"))),
        })
        many = ["--no-sessionid", "--header", "Connection: close"]
        counted = "small?[1-%d]" % CONNECTIONS
        compare("server: %d new connections, 1 KiB each" % CONNECTIONS, {
            "flow-site": of_server(small, place.curl(
                small.port, place.url(small.port, counted), *many)),
            "nginx": of_server(nginx, place.curl(
                nginx.port, place.url(nginx.port, counted), *many)),
        })


def clients(place, nginx):
    url = place.url(nginx.port, "large")
    fetch = [place.program("flow-fetch"), url, "--quiet", "--ca", place.ca,
             "--connect", "127.0.0.1:%d" % nginx.port, "--tls1.3"]
    compare("client: 176 MB", {
        "flow-fetch": lambda: run(fetch),
        "curl": lambda: run(place.curl(nginx.port, url)),
    })


def proxies(place, nginx):
    with contextlib.ExitStack() as stack:
        found = {"flow-proxy": Server(stack, [
            place.program("flow-proxy"),
            "--listen", "tls+tcp://127.0.0.1:0",
            "--cert", str(place.words["chain"]),
            "--key", str(place.words["key"]),
            "--to", "tcp://127.0.0.1:%d" % nginx.plain])}
        if shutil.which("stunnel"):
            port = free_port()
            found["stunnel"] = Server(stack, ["stunnel", place.config(
                "stunnel.conf", STUNNEL, port=port, plain=nginx.plain)], port)
        else:
            missing("stunnel")
        if shutil.which("hitch"):
            port = free_port()
            # Its workers do not run as root.
            user = 'user = "nobody"' if os.geteuid() == 0 else ""
            found["hitch"] = Server(stack, ["hitch", "--config", place.config(
                "hitch.conf", HITCH, port=port, plain=nginx.plain,
                user=user)], port)
        else:
            missing("hitch")
        compare("proxy: 176 MB", {
            name: of_server(server, place.curl(
                server.port, place.url(server.port, "large")))
            for name, server in found.items()})


def version_of(command):
    done = subprocess.run(command, capture_output=True, text=True)
    return re.search(r"\d+\.\d[\w.]*", done.stdout + done.stderr)[0]


def versions():
    for name, option in {"nginx": "-v", "curl": "--version",
                         "stunnel": "-version", "hitch": "--version"}.items():
        if shutil.which(name):
            print("version\t%s\t%s" % (name, version_of([name, option])),
                  flush=True)


def main(arguments):
    if len(arguments) != 1:
        print("usage: programs.py BUILD", file=sys.stderr)
        return 2
    if not shutil.which("nginx") or not shutil.which("curl"):
        missing("nginx or curl")
        return 0
    versions()
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        place = Place(pathlib.Path(arguments[0]).resolve(),
                      pathlib.Path(directory))
        nginx = place.nginx(stack)
        servers(place, nginx)
        clients(place, nginx)
        proxies(place, nginx)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
