#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""flow-site and flow-proxy: certificates in directories, and SIGHUP."""

import datetime
import os
import pathlib
import shutil
import signal
import ssl
import stat
import threading

import support
from support import program, receive_all, run

PAGE = b"<!DOCTYPE html><title>page</title>\n"
NAMES = ("a.test", "b.test", "c.test")
SITE = "flow-site"
PROXY = "flow-proxy"


def day(days):
    """A date so many days from now, for the validity of a certificate."""
    when = datetime.datetime.now(datetime.timezone.utc)
    return (when + datetime.timedelta(days=days)).strftime("%Y%m%d")


def shown(text):
    return "%s-%s-%s" % (text[:4], text[4:6], text[6:])


class Reload(support.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (cls.directory / "page").write_bytes(PAGE)
        cls.ends = {"a1": day(20), "a2": day(80), "b1": day(30), "c1": day(40),
                    "old": day(-2)}
        for name, end in cls.ends.items():
            start = day(-40) if name == "old" else day(-1)
            cls.pki.make(name, [name[0] + ".test" if name != "old"
                                else "old.test"], start=start, end=end)

    def setUp(self):
        self.certs = self.directory / ("certs-" + self.id().rpartition(".")[2])
        self.certs.mkdir()

    # Directories.

    def copy(self, source, target):
        """As a careful administrator does: complete files, renamed."""
        temporary = target.with_name("." + target.name)
        shutil.copy(source, temporary)
        temporary.rename(target)

    def store(self, name, source):
        self.copy(self.pki.path(source + ".key"), self.certs / (name + ".key"))
        self.copy(self.pki.path(source + ".pem"), self.certs / (name + ".pem"))

    def remove(self, name):
        for suffix in (".pem", ".key"):
            (self.certs / (name + suffix)).unlink()

    def link(self, name, source):
        """As certbot does: links into an archive."""
        live = self.certs / name
        live.mkdir(exist_ok=True)
        for file, suffix in (("privkey.pem", ".key"), ("fullchain.pem", ".pem")):
            new = live / (".new-" + file)
            new.symlink_to("../../" + source + suffix)
            new.rename(live / file)

    # Servers.

    def serve(self, *more, kind=SITE, named=(), **options):
        places = []
        for name in named:
            places += ["--cert", self.pki.path(name + ".pem"),
                       "--key", self.pki.path(name + ".key")]
        if self.certs.exists():
            places += ["--certs", str(self.certs)]
        if kind == SITE:
            command = ["--listen", "127.0.0.1:0"]
            for name in NAMES:
                command += ["--serve", "%s=%s" % (name, self.directory / "page")]
        else:
            plain = self.start(program("flow-echo"), "--listen",
                               "tcp://127.0.0.1:0")
            command = ["--listen", "tls+tcp://127.0.0.1:0", "--to",
                       "tcp://" + plain.line(b"listening on ").replace(
                           "tcp://", "")]
        server = self.start(program(kind), *command, *places, *more, **options)
        server.port = int(server.line(b"listening on ").rpartition(":")[2])
        server.kind = kind
        return server

    def end(self, server):
        server.kill()
        self.assertEqual(server.finish(), 0, server.errors)

    def reload(self, server, *words):
        """SIGHUP; returns what it printed, which has these words."""
        before = len(server.errors)
        server.kill(signal.SIGHUP)

        def told(s):
            text = s.errors[before:].decode()
            done = "loaded again" in text and text.endswith("\n")
            return text if done else None
        text = server.wait_for(told)
        for word in words:
            self.assertIn(word, text)
        return text

    def certificate(self, server, name, trust=True):
        """The certificate that it shows for a name, in DER."""
        context = self.pki.client()
        if not trust:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        tls = self.connect_tls(server.port, name, context=context)
        der = tls.getpeercert(binary_form=True)
        if server.kind == PROXY:
            tls.unwrap()
        tls.close()
        return der

    def shows(self, server, name, source, trust=True):
        pem = pathlib.Path(self.pki.path(source + ".pem")).read_text()
        self.assertEqual(self.certificate(server, name, trust),
                         ssl.PEM_cert_to_DER_cert(pem))

    def until(self, source):
        return "valid until " + shown(self.ends[source])


class Directories(Reload):
    def test_both_layouts(self):
        self.store("any", "a1")
        self.link("live", "b1")
        (self.certs / "README").write_text("certbot has one\n")
        for kind in (SITE, PROXY):
            server = self.serve(kind=kind)
            self.shows(server, "a.test", "a1")
            self.shows(server, "b.test", "b1")
            # The first in the order of names is the default.
            self.shows(server, "unknown.test", "a1", trust=False)
            self.end(server)

    def test_files_that_are_ignored(self):
        self.store("any", "a1")
        for name in (".b.pem", ".b.pem.swp", "b.pem~", "#b.pem#", "b.pem.bak",
                     "b.pem.orig", "notes"):
            shutil.copy(self.pki.path("ca.key"), self.certs / name)
        (self.certs / ".#b.pem").symlink_to("nothing")
        (self.certs / "empty").mkdir()
        server = self.serve()
        self.shows(server, "a.test", "a1")
        self.reload(server, "0 added, 0 removed, 0 renewed, 1 unchanged")
        self.end(server)

    def test_together_with_pairs(self):
        self.store("any", "a1")
        server = self.serve(named=["b1"])
        self.shows(server, "a.test", "a1")
        # The first --cert is the default.
        self.shows(server, "unknown.test", "b1", trust=False)
        self.end(server)

    def test_pairs_alone_are_loaded_again(self):
        self.certs.rmdir()
        for suffix in (".key", ".pem"):
            self.copy(self.pki.path("a1" + suffix),
                      self.directory / ("pair" + suffix))
        server = self.serve(named=["pair"])
        self.shows(server, "a.test", "a1")
        for suffix in (".key", ".pem"):
            self.copy(self.pki.path("a2" + suffix),
                      self.directory / ("pair" + suffix))
        self.reload(server, "renewed " + self.pki.path("pair.pem"),
                    "0 added, 0 removed, 1 renewed, 0 unchanged")
        self.shows(server, "a.test", "a2")
        self.end(server)

    def test_the_longest_valid_of_two_is_shown(self):
        for first, second in (("a1", "a2"), ("a2", "a1")):
            self.store("1", first)
            self.store("2", second)
            server = self.serve()
            self.shows(server, "a.test", "a2")
            # The default stays the first in the order of names.
            self.shows(server, "unknown.test", first, trust=False)
            self.end(server)

    def test_warnings(self):
        self.store("any", "a1")
        self.store("old", "old")
        key = self.certs / "any.key"
        key.chmod(key.stat().st_mode | stat.S_IROTH)
        shutil.copy(self.pki.path("b1.key"), self.certs / "lost.key")
        server = self.serve()
        self.shows(server, "a.test", "a1")
        self.shows(server, "old.test", "old", trust=False)
        for words in ((str(self.certs / "old.pem"), "has expired on "
                       + shown(self.ends["old"])),
                      ("every user of this machine can read", str(key),
                       "chmod o-r"),
                      (str(self.certs / "lost.key") + " is not used",
                       str(self.certs / "lost.pem") + " is missing")):
            for word in words:
                self.assertIn(word, server.errors.decode())
        self.end(server)


class Changes(Reload):
    def check_changes(self, kind):
        self.store("a", "a1")
        self.link("live", "b1")
        server = self.serve(kind=kind)
        early = self.connect_tls(server.port, "a.test")
        self.store("a", "a2")
        self.store("c", "c1")
        shutil.rmtree(self.certs / "live")
        told = self.reload(
            server, "1 added, 1 removed, 1 renewed, 0 unchanged",
            "added %s, %s" % (self.certs / "c.pem", self.until("c1")),
            "renewed %s, %s, before until %s" % (
                self.certs / "a.pem", self.until("a2"), shown(self.ends["a1"])),
            "removed %s, %s" % (self.certs / "live/fullchain.pem",
                                self.until("b1")))
        if kind == SITE:
            self.assertIn("--serve b.test: no certificate is for this name",
                          told)
        self.shows(server, "a.test", "a2")
        self.shows(server, "c.test", "c1")
        self.shows(server, "b.test", "a2", trust=False)
        # A connection from before goes on.
        early.sendall(b"G")
        if kind == SITE:
            self.assertTrue(receive_all(early).endswith(PAGE))
        else:
            self.assertEqual(early.recv(1), b"G")
            early.unwrap()
        early.close()
        # certbot renews: it changes where the links lead to.
        self.link("live", "a1")
        self.remove("a")
        self.reload(server, "1 added, 1 removed, 0 renewed, 1 unchanged")
        self.link("live", "a2")
        self.reload(server, "renewed " + str(self.certs / "live"),
                    "0 added, 0 removed, 1 renewed, 1 unchanged")
        self.shows(server, "a.test", "a2")
        self.end(server)

    def test_site(self):
        self.check_changes(SITE)

    def test_proxy(self):
        self.check_changes(PROXY)

    def test_ignored(self):
        """As under nohup(1)."""
        self.store("a", "a1")
        for kind in (SITE, PROXY):
            server = self.serve(kind=kind, preexec_fn=lambda: signal.signal(
                signal.SIGHUP, signal.SIG_IGN))
            server.kill(signal.SIGHUP)
            self.shows(server, "a.test", "a1")
            self.end(server)
            self.assertNotIn(b"loaded again", server.errors)

    def test_ends_while_it_loads(self):
        self.store("a", "a1")
        server = self.serve()
        for _ in range(20):
            server.kill(signal.SIGHUP)
        self.end(server)


class Refused(Reload):
    """Wrong directories: what is printed, and that nothing has changed."""

    def spoil(self):
        """Every mistake at once; the words of each."""
        path = self.certs
        self.store("half", "b1")
        (path / "half.key").unlink()
        self.store("mixed", "b1")
        self.copy(self.pki.path("c1.key"), path / "mixed.key")
        self.store("junk", "b1")
        (path / "junk.pem").write_text("junk\n")
        self.store("torn", "b1")
        text = (path / "torn.pem").read_text()
        (path / "torn.pem").write_text(text[:len(text) // 2])
        self.store("badkey", "b1")
        (path / "badkey.key").write_text("junk\n")
        self.link("gone", "b1")
        (path / "gone/fullchain.pem").unlink()
        (path / "gone/fullchain.pem").symlink_to("nothing")
        self.store("fifo", "b1")
        (path / "fifo.pem").unlink()
        os.mkfifo(path / "fifo.pem")
        self.store("folder", "b1")
        (path / "folder.key").unlink()
        (path / "folder.key").mkdir()
        self.store("large", "b1")
        (path / "large.pem").write_bytes(b"\n" * ((1 << 20) + 1))
        # Which is wrong even if the others were mended.
        self.store("twin", "b1")
        self.store("twin2", "b1")
        wanted = [
            ("a name has two certificates with the same kind of key", "twin.pem",
             "twin2.pem", "b.test"),
            ("half.pem: its key", "half.key is missing"),
            ("mixed.pem with", "private key does not belong to the certificate"),
            ("junk.pem: it is not a certificate chain in PEM",),
            ("torn.pem: it is not a certificate chain in PEM",),
            ("badkey.pem with", "private key is not understood"),
            ("gone/fullchain.pem: No such file",),
            ("fifo.pem: it is not a regular file",),
            ("folder.key: it is not a regular file",),
            ("large.pem: the file is too large",),
        ]
        if os.geteuid() != 0:
            self.store("locked", "b1")
            (path / "locked.key").chmod(0)
            wanted.append(("locked.key: Permission denied",))
        return wanted

    def test_every_mistake_is_told(self):
        for kind in (SITE, PROXY):
            with self.subTest(kind):
                self.store("a", "a1")
                server = self.serve(kind=kind)
                wanted = self.spoil()
                # Renewed, but not in force.
                self.store("a", "a2")
                told = self.reload(
                    server, "not loaded again, because of %d problems: those "
                    "from before stay in force" % len(wanted))
                lines = told.splitlines()
                for words in wanted:
                    self.assertEqual(
                        sum(all(word in line for word in words)
                            for line in lines), 1, (words, told))
                self.assertEqual(len(lines), len(wanted) + 1, told)
                self.shows(server, "a.test", "a1")
                # A server that starts now does not.
                code, out, err = run(*server.process.args)
                self.assertEqual((code, out), (1, b""))
                for words in wanted:
                    for word in words:
                        self.assertIn(word, err.decode())
                for path in self.certs.iterdir():
                    if not path.name.startswith("a."):
                        if path.is_dir() and not path.is_symlink():
                            shutil.rmtree(path)
                        else:
                            path.unlink()
                self.reload(server, "1 renewed, 0 unchanged")
                self.shows(server, "a.test", "a2")
                self.end(server)

    def test_the_same_certificate_twice(self):
        self.store("a", "a1")
        server = self.serve()
        self.store("copy", "a1")
        self.reload(server, "a name has two certificates with the same kind of "
                    "key", "a.test", "because of 1 problem: those from before "
                    "stay in force")
        self.shows(server, "a.test", "a1")
        self.end(server)

    def test_directories(self):
        self.store("a", "a1")
        server = self.serve()
        moved = self.certs.with_name("moved")
        self.certs.rename(moved)
        self.reload(server, "--certs %s: No such file" % self.certs,
                    "not loaded again")
        self.certs.mkdir()
        self.reload(server, "--certs %s: it has no certificate" % self.certs,
                    "store NAME.pem with NAME.key", "not loaded again")
        self.certs.rmdir()
        moved.rename(self.certs)
        self.link("live", "b1")
        self.shows(server, "a.test", "a1")
        self.end(server)
        code, _, err = run(program(SITE), "--listen", "127.0.0.1:0", "--certs",
                           str(self.certs / "live"), "--serve",
                           "a.test=%s" % (self.directory / "page"))
        self.assertEqual(code, 1)
        self.assertIn(b"is the directory of one certificate; give the one "
                      b"above it", err)


class Load(Reload):
    """SIGHUP while curl makes one request after the other."""

    RELOADS = 12

    def fetch(self, server, stop, failures, done):
        while not stop.is_set():
            command = ["curl", "-sS", "--fail", "--noproxy", "*", "--max-time",
                       "60", "--cacert", self.pki.ca, "--connect-to",
                       "a.test:443:127.0.0.1:%d" % server.port,
                       "https://a.test/"]
            code, out, err = run(*command)
            if code != 0 or out != PAGE:
                failures.append((code, out, err))
            done.append(1)

    def check_load(self, server):
        stop = threading.Event()
        failures, done = [], []
        threads = [threading.Thread(target=self.fetch,
                                    args=(server, stop, failures, done))
                   for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for i in range(self.RELOADS):
                self.store("a", ("a1", "a2")[(i + 1) % 2])
                before = len(done)
                self.reload(server, "1 renewed, 0 unchanged")
                limit = support.Limit()
                while len(done) < before + 4 and not failures:
                    limit.left()
                    threads[0].join(0.01)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])
        self.assertGreaterEqual(len(done), 4 * self.RELOADS)
        self.end(server)

    def test_site(self):
        self.need("curl")
        self.store("a", "a1")
        self.check_load(self.serve("--workers", "3"))

    def test_proxy(self):
        self.need("curl")
        self.store("a", "a1")
        site = self.serve()
        proxy = self.start(
            program(PROXY), "--listen", "tls+tcp://127.0.0.1:0", "--to",
            "tls+tcp://127.0.0.1:%d" % site.port, "--ca", self.pki.ca,
            "--server-name", "a.test", "--certs", str(self.certs))
        proxy.port = int(proxy.line(b"listening on ").rpartition(":")[2])
        self.check_load(proxy)
        self.end(site)


if __name__ == "__main__":
    support.main()
