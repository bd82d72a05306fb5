# SPDX-License-Identifier: ISC
"""What the tests of the example programs share: where the programs are, keys
and certificates, processes that never outlive a test, ports that the system
chose."""

import contextlib
import hashlib
import os
import pathlib
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PROGRAMS = pathlib.Path(os.environ["FLOW_PROGRAMS"])
HELPERS = pathlib.Path(os.environ["FLOW_HELPERS"])

# nohup(1) has it ignored, which the programs would inherit.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Time limit of every operation; one that hangs is a failure.
LIMIT = 30 * float(os.environ.get("FLOW_PATIENCE", "1"))


def program(name):
    return str(PROGRAMS / name)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def is_sanitized(program):
    """Whether the program was built with a sanitizer, which makes it slow."""
    code = pathlib.Path(program).read_bytes()
    return any(mark in code for mark in (b"__asan_init", b"__tsan_init"))


class Limit:
    """A deadline from which socket timeouts and polls are computed."""

    def __init__(self, seconds=None):
        self.end = time.monotonic() + (seconds or LIMIT)

    def left(self):
        left = self.end - time.monotonic()
        if left <= 0:
            raise AssertionError("took too long")
        return left


class Program:
    """A process whose output is collected while it runs."""

    def __init__(self, *command, stdin=subprocess.DEVNULL, **more):
        self.output = b""
        self.errors = b""
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True, **more)
        self.readers = [
            threading.Thread(target=self.collect, args=(name, stream))
            for name, stream in (("output", self.process.stdout),
                                 ("errors", self.process.stderr))
        ]
        for reader in self.readers:
            reader.start()

    def collect(self, name, stream):
        while data := os.read(stream.fileno(), 65536):
            with self.changed:
                setattr(self, name, getattr(self, name) + data)
                self.changed.notify_all()

    def wait_for(self, found, limit=None):
        """Wait until found(self) is true; returns its result."""
        limit = limit or Limit()
        with self.changed:
            while not (result := found(self)):
                if self.process.poll() is not None and not any(
                        reader.is_alive() for reader in self.readers):
                    raise AssertionError(
                        "ended with %s: %r" % (self.process.returncode,
                                               self.errors))
                self.changed.wait(min(limit.left(), 0.1))
        return result

    def line(self, prefix, stream="output"):
        """Wait for a line that begins with prefix; returns the rest of it."""
        def found(self):
            for line in getattr(self, stream).splitlines(keepends=True):
                if line.startswith(prefix) and line.endswith(b"\n"):
                    return line[len(prefix):].strip().decode()
            return None
        return self.wait_for(found)

    def kill(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def finish(self, limit=None):
        """Wait until it exits by itself; its exit code."""
        code = self.process.wait((limit or Limit()).left())
        for reader in self.readers:
            reader.join()
        return code

    def cpu_seconds(self):
        stat = pathlib.Path("/proc/%d/stat" % self.process.pid).read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def idle_cpu_seconds(self, limit=None):
        """CPU time once the process is idle; a busy loop is an error."""
        limit = limit or Limit()
        before = None
        while (now := self.cpu_seconds()) != before:
            before = now
            time.sleep(min(limit.left(), 0.25))
        return now

    def close(self):
        """End the process and all that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.finish()
        self.process.stdout.close()
        self.process.stderr.close()
        if self.process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()


def run(*command, stdin=b"", limit=LIMIT, **more):
    """Run to the end: (code, stdout, stderr)."""
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=limit, check=False,
                          **more)
    return done.returncode, done.stdout, done.stderr


class Pki:
    """A CA and its certificates, made by openssl for this run."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.make_ca("ca")
        self.ca = self.path("ca.pem")

    def path(self, name):
        return str(self.directory / name)

    def openssl(self, *arguments):
        code, _, errors = run("openssl", *arguments)
        assert code == 0, errors

    def make_key(self, name, kind):
        if kind.startswith("rsa"):
            self.openssl("genrsa", "-out", self.path(name + ".key"),
                         kind[3:] or "2048")
        else:
            self.openssl("ecparam", "-name", kind, "-genkey", "-noout",
                         "-out", self.path(name + ".key"))

    def configure(self, name, subject, extensions):
        path = self.directory / (name + ".cnf")
        path.write_text(
            "[req]\ndistinguished_name = name\nprompt = no\n"
            "x509_extensions = more\n[name]\nCN = %s\n[more]\n%s\n"
            "[ca]\ndatabase = %s\nnew_certs_dir = %s\nserial = %s\n"
            "default_md = sha256\npolicy = policy\n"
            "[policy]\ncommonName = supplied\n"
            % (subject, "\n".join(extensions), self.path(name + ".db"),
               self.directory, self.path(name + ".serial")))
        return str(path)

    def make_ca(self, name):
        self.make_key(name, "prime256v1")
        config = self.configure(name, "test CA " + name, [
            "basicConstraints = critical, CA:TRUE",
            "keyUsage = critical, keyCertSign",
            "subjectKeyIdentifier = hash",
        ])
        self.openssl("req", "-new", "-x509", "-config", config, "-key",
                     self.path(name + ".key"), "-days", "30", "-out",
                     self.path(name + ".pem"))

    def make(self, name, names, kind="prime256v1", ca="ca", start=None,
             end=None, usage="serverAuth"):
        """NAME.pem and NAME.key for DNS names; start, end: YYYYMMDD."""
        self.make_key(name, kind)
        config = self.configure(name, names[0], [
            "basicConstraints = critical, CA:FALSE",
            "keyUsage = critical, digitalSignature",
            "extendedKeyUsage = " + usage,
            "subjectAltName = " + ", ".join("DNS:" + n for n in names),
        ])
        self.openssl("req", "-new", "-config", config, "-key",
                     self.path(name + ".key"), "-out",
                     self.path(name + ".csr"))
        (self.directory / (name + ".db")).write_text("")
        (self.directory / (name + ".serial")).write_text(
            os.urandom(8).hex() + "\n")
        dates = ["-days", "30"]
        if start:
            dates = ["-startdate", start + "000000Z",
                     "-enddate", end + "000000Z"]
        self.openssl("ca", "-batch", "-notext", "-name", "ca", "-config",
                     config, "-cert", self.path(ca + ".pem"), "-keyfile",
                     self.path(ca + ".key"), "-in", self.path(name + ".csr"),
                     "-extensions", "more", "-out", self.path(name + ".pem"),
                     *dates)
        return self.path(name + ".pem"), self.path(name + ".key")

    def client(self, version=None):
        """An ssl.SSLContext that trusts the CA."""
        context = ssl.create_default_context(cafile=self.ca)
        # An end without close_notify must raise an error.
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def server(self, name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(name + ".pem"),
                                self.path(name + ".key"))
        return context


class Case(unittest.TestCase):
    """Temporary directory, certificates and clean-up for a class of tests."""

    @classmethod
    def setUpClass(cls):
        cls.stack = contextlib.ExitStack()
        directory = cls.stack.enter_context(tempfile.TemporaryDirectory())
        cls.directory = pathlib.Path(directory)
        cls.pki = Pki(directory)

    @classmethod
    def tearDownClass(cls):
        cls.stack.close()

    def start(self, *command, **more):
        started = Program(*command, **more)
        self.addCleanup(started.close)
        return started

    def connect(self, port, receive_buffer=None):
        """receive_buffer bytes, set before the window is agreed."""
        plain = socket.socket()
        self.addCleanup(plain.close)
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                             receive_buffer)
        plain.settimeout(LIMIT)
        plain.connect(("127.0.0.1", port))
        return plain

    def connect_tls(self, port, name, version=None, context=None, **more):
        context = context or self.pki.client(version)
        tls = context.wrap_socket(self.connect(port, **more),
                                  server_hostname=name,
                                  suppress_ragged_eofs=False)
        self.addCleanup(tls.close)
        return tls

    def listen(self):
        server = socket.create_server(("127.0.0.1", 0))
        server.settimeout(LIMIT)
        self.addCleanup(server.close)
        return server

    def refusing_port(self):
        """A port without a listener that no other program can get."""
        held = socket.socket()
        held.bind(("127.0.0.1", 0))
        self.addCleanup(held.close)
        return held.getsockname()[1]

    def need(self, tool):
        if shutil.which(tool) is None:
            self.skipTest("no %s here" % tool)


def receive_all(connection):
    """Read to the end; raises if the connection is cut."""
    data = []
    while piece := connection.recv(65536):
        data.append(piece)
    return b"".join(data)


def readable(connection, seconds):
    return bool(select.select([connection], [], [], seconds)[0])


class Skips(unittest.TextTestResult):
    """Prints the reason for which a test was skipped."""

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print("skipped: %s: %s" % (test, reason))


def main():
    # The server may close while we write.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    suite = unittest.defaultTestLoader.loadTestsFromModule(
        sys.modules["__main__"])
    if len(sys.argv) > 1:
        suite = unittest.defaultTestLoader.loadTestsFromNames(
            sys.argv[1:], sys.modules["__main__"])
    result = unittest.TextTestRunner(verbosity=2, resultclass=Skips).run(suite)
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun and len(result.skipped) == result.testsRun:
        sys.exit(77)
