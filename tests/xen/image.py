# SPDX-License-Identifier: ISC
"""What QEMU boots: the hypervisor, a plain kernel, and initial ramdisks."""

import gzip
import lzma
import os
import pathlib
import re
import shutil
import stat
import struct
import subprocess

from packages import Missing

# In the order of insmod; everything else is built into the kernel.
MODULES = "xen-privcmd xenfs/xenfs xen-evtchn xen-gntdev xen-gntalloc".split()
TOOLS = "xl xenstored xenconsoled xen-init-dom0".split()


def one(root, pattern):
    found = sorted(root.glob(pattern))
    if not found:
        raise Missing("the packages hold no %s" % pattern)
    return found[0]


def hypervisor(root, target):
    """The hypervisor as the ELF file that QEMU loads by multiboot."""
    target.write_bytes(gzip.decompress(one(root, "boot/xen-*.gz").read_bytes()))


def kernel(root, target):
    """The ELF kernel in a bzImage: Xen would unpack it far more slowly."""
    image = one(root, "boot/vmlinuz-*").read_bytes()
    setup = (image[0x1f1] or 4) + 1
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = setup * 512 + offset
    payload = image[start:start + length]
    if payload[:6] == b"\xfd7zXZ\x00":
        target.write_bytes(lzma.LZMADecompressor().decompress(payload))
    elif payload[:4] == b"\x28\xb5\x2f\xfd":
        unzstd(payload, target)
    else:
        raise Missing("the kernel is compressed with neither xz nor zstd")


def unzstd(payload, target):
    if shutil.which("zstd") is None:
        raise Missing("no zstd here to unpack the kernel")
    # The size of the content, four bytes, follows the frame.
    done = subprocess.run(
        ["zstd", "-dc"], input=payload[:-4], check=False,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    if done.returncode != 0:
        raise Missing("zstd does not unpack the kernel")
    target.write_bytes(done.stdout)


def needed(path):
    text = subprocess.run(
        ["readelf", "-d", "-l", str(path)], check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ).stdout
    names = re.findall(r"\(NEEDED\).*\[(.*?)\]", text)
    return names + re.findall(r"interpreter: (\S+?)\]", text)


def libraries(root, programs, extra):
    """Shared libraries of PROGRAMS: {path in the image: file}.

    Those of the packages first, then EXTRA directories, then this machine's.
    """
    places = [root / "lib/x86_64-linux-gnu", root / "usr/lib/x86_64-linux-gnu"]
    places += sorted(root.glob("usr/lib/xen-*/lib/x86_64-linux-gnu"))
    places += [pathlib.Path(p) for p in extra]
    places += [pathlib.Path("/lib/x86_64-linux-gnu"),
               pathlib.Path("/usr/lib/x86_64-linux-gnu")]
    found = {}
    # The C library opens the first by itself when a thread is cancelled, and
    # libflow the others when a vchan is made.
    todo = ["libgcc_s.so.1", "libxencall.so.1", "libxenevtchn.so.1",
            "libxengnttab.so.1", "libxenstore.so.4"]
    for program in programs:
        todo += needed(program)
    while todo:
        name = todo.pop()
        target = name if name.startswith("/") else "/lib/" + name
        if target in found:
            continue
        for place in places:
            path = place / os.path.basename(name)
            if path.exists():
                found[target] = path.resolve()
                todo += needed(path)
                break
        else:
            raise Missing("no library %s for the image" % name)
    return found


class Cpio:
    """A ramdisk in the one format the kernel knows, "newc"."""

    def __init__(self, path):
        self.file = open(path, "wb")
        self.number = 0
        self.made = set()

    def entry(self, name, mode, data=b""):
        self.number += 1
        encoded = name.encode() + b"\0"
        fields = [self.number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
                  len(encoded), 0]
        head = b"070701" + b"".join(b"%08X" % field for field in fields)
        for part in (head + encoded, data):
            self.file.write(part + b"\0" * (-len(part) % 4))

    def directory(self, name):
        if name and name not in self.made:
            self.directory(name.rpartition("/")[0])
            self.made.add(name)
            self.entry(name, stat.S_IFDIR | 0o755)

    def add(self, name, data, mode=0o755):
        name = name.lstrip("/")
        self.directory(name.rpartition("/")[0])
        self.entry(name, stat.S_IFREG | mode, data)

    def link(self, name, to):
        name = name.lstrip("/")
        self.directory(name.rpartition("/")[0])
        self.entry(name, stat.S_IFLNK | 0o777, to.encode())

    def close(self):
        for name in ("proc", "sys", "dev", "run", "tmp", "var/log/xen/console"):
            self.directory(name)
        # The last one, by which init knows that the kernel unpacked all.
        self.add("complete", b"")
        self.entry("TRAILER!!!", 0)
        self.file.close()


def common(cpio, root, programs, library_dirs, init):
    """What a dom0 and a guest both have."""
    cpio.add("init", init.read_bytes())
    cpio.add("bin/busybox", (root / "bin/busybox").read_bytes())
    cpio.link("bin/sh", "busybox")
    files = {"bin/" + p.name: p for p in programs}
    for module in MODULES:
        path = one(root, "lib/modules/*/kernel/drivers/xen/%s.ko*" % module)
        code = path.read_bytes()
        if path.suffix == ".xz":
            code = lzma.decompress(code)
        cpio.add("modules/%s.ko" % path.name.partition(".")[0], code)
    files["bin/xenstore"] = one(root, "usr/bin/xenstore")
    for name, path in files.items():
        cpio.add(name, path.read_bytes())
    for name in ("read", "write", "ls", "rm"):
        cpio.link("bin/xenstore-" + name, "xenstore")
    return libraries(root, list(files.values()), library_dirs)


def guest(root, target, programs, library_dirs, here, extra):
    cpio = Cpio(target)
    found = common(cpio, root, programs, library_dirs, here / "guest.init")
    found.update(extra)
    for name, path in found.items():
        cpio.add(name, path.read_bytes())
    cpio.close()


def dom0(root, target, programs, library_dirs, here, extra):
    """EXTRA: {path in the image: file}, such as kernels of guests."""
    cpio = Cpio(target)
    tools = [one(root, "usr/lib/xen-*/bin/" + name) for name in TOOLS]
    tools.append(one(root, "usr/lib/xen-*/bin/vchan-socket-proxy"))
    found = common(cpio, root, programs, library_dirs, here / "dom0.init")
    found.update(libraries(root, tools, library_dirs))
    for name, path in found.items():
        cpio.add(name, path.read_bytes())
    for path in tools:
        cpio.add("bin/" + path.name, path.read_bytes())
    cpio.add("etc/xen/xl.conf", b'autoballoon="off"\n', 0o644)
    cpio.add("steps", (here / "steps.sh").read_bytes())
    for name, path in extra.items():
        cpio.add(name, path.read_bytes())
    cpio.close()
