# SPDX-License-Identifier: ISC
"""Put the source of another project where the build looks for it.

The release that the project's wrap in subprojects/ names is tried first.  Where
its address cannot be reached, Debian's source package of any release that is
recent enough serves: apt reads it in a directory of its own, from the mirror
this machine already uses, and checks the signatures.
"""

import configparser
import hashlib
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request

TOP = pathlib.Path(__file__).resolve().parent.parent
SUBPROJECTS = TOP / "subprojects"
CONNECT_SECONDS = 10
GIT_SECONDS = 120
APT_SECONDS = 600


class Failed(Exception):
    pass


class Source:
    """A project: the name of its wrap and of its Debian package, in which suites
    to look for which releases, and what shows that it is unpacked."""

    def __init__(self, name, title, suites, oldest, below, shown):
        self.name = name
        self.title = title
        self.suites = suites
        self.oldest = oldest
        self.below = below
        self.shown = shown

    def say(self, text):
        print("%s: %s" % (self.name, text), flush=True)

    def wrap(self):
        wrap = configparser.ConfigParser(interpolation=None)
        wrap.read(SUBPROJECTS / (self.name + ".wrap"))
        return wrap[wrap.sections()[0]]


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def unpack(tarball, directory):
    """Unpack beside the final directory first: never leave half a tree."""
    with tempfile.TemporaryDirectory(dir=SUBPROJECTS) as scratch:
        with tarfile.open(tarball) as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(scratch, filter="data")
            else:
                archive.extractall(scratch)
        (tree,) = pathlib.Path(scratch).iterdir()
        tree.rename(directory)


def apply_overlay(overlay, directory):
    """Install our meson.build and configuration over those of an older checkout."""
    for source in overlay.rglob("*"):
        target = directory / source.relative_to(overlay)
        if source.is_dir():
            target.mkdir(exist_ok=True)
        elif not target.exists() or not target.samefile(source):
            if not target.exists() or (
                target.read_bytes() != source.read_bytes()
            ):
                shutil.copyfile(source, target)


def commit_from_upstream(source, wrap, directory):
    """The commit that the wrap names, whose number is the check of its bytes."""
    source.say("fetching %s" % wrap["url"])
    with tempfile.TemporaryDirectory(dir=SUBPROJECTS) as scratch:
        tree = pathlib.Path(scratch) / "tree"
        for command in (
            ("init", "--quiet", str(tree)),
            ("-C", str(tree), "fetch", "--quiet", "--depth=1", wrap["url"],
             wrap["revision"]),
            ("-C", str(tree), "checkout", "--quiet", wrap["revision"]),
        ):
            try:
                subprocess.run(
                    ("git",) + command, check=True, timeout=GIT_SECONDS,
                    capture_output=True, text=True,
                )
            except subprocess.CalledProcessError as error:
                raise Failed("upstream cannot be reached: %s" %
                             error.stderr.strip()) from error
            except (OSError, subprocess.TimeoutExpired) as error:
                raise Failed("upstream cannot be reached: %s" %
                             error) from error
        shutil.rmtree(tree / ".git")
        tree.rename(directory)


def file_from_upstream(source, wrap):
    cache = SUBPROJECTS / "packagecache"
    cache.mkdir(exist_ok=True)
    tarball = cache / wrap["source_filename"]
    if not tarball.exists():
        source.say("downloading " + wrap["source_url"])
        part = tarball.with_suffix(".part")
        try:
            with urllib.request.urlopen(
                wrap["source_url"], timeout=CONNECT_SECONDS
            ) as answer, open(part, "wb") as out:
                shutil.copyfileobj(answer, out)
        except (urllib.error.URLError, OSError) as error:
            part.unlink(missing_ok=True)
            raise Failed("upstream cannot be reached: %s" % error) from error
        part.rename(tarball)
    if sha256(tarball) != wrap["source_hash"]:
        tarball.unlink()
        raise Failed("the downloaded file is not the one the wrap names")
    return tarball


def apt_entries(etc):
    """(URI, suites, Signed-By) that apt installs from, in both formats."""
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            fields = {}
            name = None
            for line in stanza.splitlines():
                if line.startswith("#"):
                    continue
                if line[:1] in " \t" and name:
                    fields[name] += "\n" + line
                elif ":" in line:
                    name, value = line.split(":", 1)
                    name = name.strip().lower()
                    fields[name] = value.strip()
            if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
                continue
            if {"uris", "suites"} <= fields.keys():
                yield (
                    fields["uris"].split()[0],
                    fields["suites"].split(),
                    fields.get("signed-by"),
                )
    lists = [etc / "sources.list"]
    lists += sorted((etc / "sources.list.d").glob("*.list"))
    for path in lists:
        if not path.exists():
            continue
        for line in path.read_text().splitlines():
            match = re.match(
                r"\s*deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)", line
            )
            if match:
                options, uri, suite = match.groups()
                signed = re.search(r"signed-by=(\S+)", options or "")
                yield uri, [suite], signed.group(1) if signed else None


def codename():
    text = pathlib.Path("/etc/os-release").read_text()
    match = re.search(r'^VERSION_CODENAME="?(\w+)', text, re.M)
    return match.group(1) if match else None


def debian_sources(suite, etc=pathlib.Path("/etc/apt")):
    """A sources file for apt: the machine's own mirror, another suite."""
    wanted = {codename(), "oldstable", "stable", "testing", "unstable", "sid"}
    for uri, suites, signed_by in apt_entries(etc):
        if wanted & set(suites):
            text = "Types: deb-src\nURIs: %s\nComponents: main\n" % uri
            text += "Suites: %s\n" % suite
            if signed_by:
                text += "Signed-By: %s\n" % signed_by
            return text
    raise Failed("apt's configuration names no Debian mirror")


def run_apt(tool, private, *arguments):
    options = {
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": private / "etc",
        "Dir::State": private / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": private / "cache",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
    }
    command = [tool, "-q"]
    for name, value in options.items():
        command += ["-o", "%s=%s" % (name, value)]
    try:
        done = subprocess.run(
            command + list(arguments),
            cwd=private,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=APT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise Failed("%s took too long" % tool) from late
    if done.returncode != 0:
        raise Failed("%s failed:\n%s" % (tool, done.stdout.strip()))
    return done.stdout


def release(version):
    """(3, 6, 7) of "3.6.7-3" and of "3.6.7+dfsg1-3"; None if it is not plain
    numbers."""
    match = re.fullmatch(
        r"(\d+)\.(\d+)\.(\d+)(?:\+dfsg\d*)?(?:-[^-]*)?", version
    )
    return tuple(int(part) for part in match.groups()) if match else None


def download(source, suite, private):
    """The newest release in that suite of Debian that is wanted."""
    for part in ("etc", "state/lists/partial", "cache/archives/partial"):
        (private / part).mkdir(parents=True)
    (private / "etc" / "source.sources").write_text(debian_sources(suite))
    source.say(
        "reading the list of source packages of Debian %s (10 MB)" % suite
    )
    run_apt("apt-get", private, "update")
    listing = run_apt("apt-cache", private, "showsrc", source.name)
    found = {}
    for version in re.findall(r"^Version: (\S+)", listing, re.M):
        numbers = release(version)
        if numbers and source.oldest <= numbers < source.below:
            found[numbers] = version
    if not found:
        raise Failed("no recent source package of %s in %s" % (
            source.title, suite))
    version = found[max(found)]
    source.say("downloading Debian's source package " + version)
    run_apt(
        "apt-get", private, "source", "--download-only",
        "--only-source", "%s=%s" % (source.name, version),
    )
    (tarball,) = private.glob(source.name + "_*.orig.tar.*[2z]")
    return tarball, version


def from_upstream(source, wrap, directory):
    if "revision" in wrap:
        commit_from_upstream(source, wrap, directory)
    else:
        unpack(file_from_upstream(source, wrap), directory)


def from_debian(source, wrap, private):
    if not shutil.which("apt-get"):
        raise Failed("not a Debian system, and upstream is out of reach")
    for suite in source.suites:
        try:
            tarball, version = download(source, suite, private / suite)
            break
        except Failed as why:
            source.say(str(why))
    else:
        raise Failed("Debian's source package is out of reach, too")
    pinned = wrap["directory"].rpartition("-")[2]
    if release(version) != tuple(int(part) for part in pinned.split(".")):
        source.say("another release than the wrap's %s" % pinned)
    elif "source_hash" in wrap and "dfsg" not in version:
        if sha256(tarball) != wrap["source_hash"]:
            raise Failed("%s differs from the wrap's file" % tarball.name)
        source.say("identical to the release that the wrap names")
    return tarball


def fetch(source):
    wrap = source.wrap()
    directory = SUBPROJECTS / wrap["directory"]
    if not (directory / source.shown).is_dir():
        try:
            from_upstream(source, wrap, directory)
        except Failed as why:
            source.say(str(why))
            with tempfile.TemporaryDirectory() as private:
                unpack(
                    from_debian(source, wrap, pathlib.Path(private)), directory
                )
    apply_overlay(SUBPROJECTS / "packagefiles" / source.name, directory)


def main(source, otherwise):
    """The program; otherwise: what else the user can do."""
    try:
        fetch(source)
    except Failed as why:
        source.say(str(why))
        wrap = source.wrap()
        if "source_filename" in wrap:
            source.say("put the file that subprojects/%s.wrap names into" %
                       source.name)
            source.say("subprojects/packagecache/ and start again, or " +
                       otherwise)
        else:
            source.say("put the commit that subprojects/%s.wrap names into" %
                       source.name)
            source.say("subprojects/%s/ and start again, or %s" %
                       (wrap["directory"], otherwise))
        sys.exit(1)
