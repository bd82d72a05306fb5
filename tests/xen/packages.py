# SPDX-License-Identifier: ISC
"""Debian's Xen and a kernel for it, unpacked into a directory of the build.

Nothing is installed: packages are fetched with apt-get download and unpacked
with dpkg -x.  What cannot be had raises Missing with the reason.
"""

import pathlib
import re
import shutil
import subprocess

# Besides the hypervisor, its tools and the kernel, whose names carry versions.
PLAIN = """
busybox-static libc6 libgcc-s1 libtinfo6 liblzma5 libncurses6 libuuid1
libxencall1 libxendevicemodel1 libxenevtchn1 libxenforeignmemory1
libxengnttab1 libxenhypfs1 libxenstore4 libxentoolcore1 libxentoollog1
libyajl2 libzstd1 xenstore-utils zlib1g
""".split()


class Missing(Exception):
    """The rig cannot be built on this machine; says why."""


def run(*command, cwd=None):
    done = subprocess.run(
        command, cwd=cwd, check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        raise Missing("%s: %s" % (" ".join(command[:3]), last))
    return done.stdout


def depends(package):
    text = run("apt-cache", "depends", package)
    return re.findall(r"^\s*Depends: (\S+)$", text, re.M)


def first(names, pattern):
    for name in names:
        if re.fullmatch(pattern, name):
            return name
    raise Missing("no package like %s: is this Debian on x86-64?" % pattern)


def wanted():
    """The packages of this release."""
    xen = depends("xen-system-amd64")
    hypervisor = first(xen, r"xen-hypervisor-[\d.]+-amd64")
    utils = first(xen, r"xen-utils-[\d.]+")
    misc = first(depends(utils), r"libxenmisc[\d.]+\w*")
    kernel = first(depends("linux-image-amd64"), r"linux-image-\d\S*")
    return [hypervisor, utils, misc, kernel] + PLAIN


def merge(root):
    """As on the system: newer packages have everything below usr."""
    for name in ("bin", "lib", "sbin"):
        if not (root / name).exists():
            (root / name).symlink_to("usr/" + name)


def prune(root):
    """Leaves out what the images do not take, nine tenths of it modules."""
    shutil.rmtree(root / "usr/share", ignore_errors=True)
    for kernel in root.glob("lib/modules/*/kernel"):
        (kernel / "drivers/xen").rename(root / "xen-modules")
        shutil.rmtree(kernel)
        (kernel / "drivers").mkdir(parents=True)
        (root / "xen-modules").rename(kernel / "drivers/xen")


def unpacked(directory):
    """The packages in DIRECTORY/root, fetched if they are not there yet."""
    for tool in ("apt-get", "apt-cache", "dpkg"):
        if shutil.which(tool) is None:
            raise Missing("no %s here: the rig is made of Debian's packages"
                          % tool)
    root = pathlib.Path(directory) / "root"
    stamp = root / ".complete"
    names = wanted()
    if stamp.exists() and stamp.read_text().split() == names:
        return root
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    files = pathlib.Path(directory) / "packages"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir()
    run("apt-get", "download", *names, cwd=files)
    for package in sorted(files.glob("*.deb")):
        run("dpkg", "-x", str(package.resolve()), str(root.resolve()))
    shutil.rmtree(files)
    merge(root)
    prune(root)
    stamp.write_text("\n".join(names) + "\n")
    return root
