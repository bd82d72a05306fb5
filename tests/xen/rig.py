#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Boots Debian's Xen under QEMU and judges what it writes: rig.py MODE.

Mode unikernel boots the images of examples/unikernel, given by --image, without
libflow in dom0; mode site those of the site, whose certificate of the CA and sums
are given by --site.

MODE is lean, full, or a control: control-crash and control-corrupt run what
must not pass and succeed when the verdict is that it failed.  Exit code 77
with a reason when this machine cannot run the rig.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import time

import image
import packages
from packages import Missing

HERE = pathlib.Path(__file__).resolve().parent
SKIP = 77

LEAN = "ours-ours ours-lib lib-ours tls13 same-domain killed store".split()
FULL = LEAN + ("lib-lib tls12 readonly pv-ours pv-lib lib-pv pv-tls13"
               " pvh-ours pvh-lib pvh-tls12 from-pv from-pvh destroyed"
               " destroyed-blind destroyed-watch echo site hoarder hoarder-blind"
           " older older-blind store").split()
UNIKERNEL = ("unikernel unikernel-null unikernel-overflow"
             " unikernel-halt").split()
STEPS = {
    "lean": LEAN,
    "full": FULL,
    "control-crash": "ours-lib crash same-domain".split(),
    "control-corrupt": "corrupt same-domain".split(),
    "unikernel": UNIKERNEL,
    "site": UNIKERNEL + ("image-serves image-proxy image-scan image-destroyed"
                         " client-destroyed").split(),
}

# Where domains with Linux run.
WITH_GUESTS = ("full", "site")

# The kernel of a guest of 192 MB, see steps.sh, unpacks as much as half of what it
# has left, and runs what it has unpacked: 46.7 MB did, and 28 KB more did not.
GUEST_RAMDISK_MAX = 36 << 20

# No AVX: with lazy FPU switching, emulated, vCPUs would see each other's
# registers.  npt: guests in hardware mode need it.
# rdrand: the unikernel's entropy.
CPU = ["-accel", "tcg,thread=single,tb-size=256", "-cpu", "qemu64,+npt,+rdrand",
       "-smp", "1"]
XEN = ("console=com1 com1=115200,8n1 dom0_mem=%dM,max:%dM dom0_max_vcpus=1"
       " guest_loglvl=all spec-ctrl=eager-fpu")


def certificate(work):
    """A key and a certificate for the TLS steps, of today."""
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-days", "3",
         "-subj", "/CN=peer.example", "-addext",
         "subjectAltName=DNS:peer.example", "-keyout", "key.pem", "-out",
         "cert.pem"],
        cwd=work, check=False, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise Missing("openssl makes no certificate")
    return {name: work / name for name in ("cert.pem", "key.pem")}


def build(work, mode, args):
    """Everything QEMU needs, in WORK."""
    programs, library_dirs = args.program, args.library_dir
    root = packages.unpacked(work)
    image.hypervisor(root, work / "xen.bin")
    if not (work / "vmlinux").exists():
        image.kernel(root, work / "vmlinux")
    if shutil.which("openssl") is None:
        raise Missing("no openssl here to make a certificate")
    extra = certificate(work)
    extra.update({"site/" + path.name: path for path in args.site})
    if mode in WITH_GUESTS:
        image.guest(root, work / "guest.cpio", programs, library_dirs, HERE,
                    extra)
        size = (work / "guest.cpio").stat().st_size
        if size > GUEST_RAMDISK_MAX:
            raise SystemExit("rig: a guest's ramdisk has %d bytes, more than %d"
                             % (size, GUEST_RAMDISK_MAX))
        extra.update({"guest/vmlinux": work / "vmlinux",
                      "guest/initrd": work / "guest.cpio"})
    extra.update({"guest/" + path.name: path for path in args.image})
    image.dom0(root, work / "dom0.cpio", programs + args.dom0_program,
               library_dirs, HERE, extra)


def boot(work, mode, limit):
    """Runs QEMU; its log as text.  It powers itself off, or is ended."""
    memory, dom0 = (2048, 768) if mode in WITH_GUESTS else (1024, 384)
    log = work / (mode + ".log")
    command = ["qemu-system-x86_64"] + CPU + [
        "-m", str(memory), "-nographic", "-no-reboot", "-nic", "none",
        "-vga", "none", "-kernel", "xen.bin", "-append", XEN % (dom0, dom0),
        # QEMU parts modules at commas, so there is none in the words.
        "-initrd", "vmlinux console=hvc0 quiet steps=%s limit=%d,dom0.cpio"
        # A step may take long where the machine is slow, and few do at once.
        % (":".join(STEPS[mode]), max(90, limit // 6)),
    ]
    with open(log, "wb") as out:
        process = subprocess.Popen(
            command, cwd=work, stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            print("rig: QEMU was ended after %d s" % limit)
    return log.read_bytes().decode(errors="replace").replace("\r", "")


def judge(text, steps):
    """Whether every step passed and dom0 reached its end; prints why not.

    The exit code of QEMU says nothing: it is 0 after a panic too.
    """
    verdicts = re.findall(r"^(?:\(XEN\) )?RIG step (\S+): (\w+)", text, re.M)
    good = True
    for name, verdict in verdicts:
        if verdict != "pass":
            print("rig: step %s: %s" % (name, verdict))
            good = False
    if [name for name, _ in verdicts] != steps:
        print("rig: steps %s, ran %s"
              % (" ".join(steps), " ".join(n for n, _ in verdicts) or "none"))
        good = False
    if not re.search(r"^RIG done$", text, re.M):
        started = re.findall(r"^(?:\(XEN\) )?RIG starts (\S+)", text, re.M)
        print("rig: dom0 did not reach its end; the last step that started: %s"
              % (started[-1] if started else "none"))
        good = False
    # A guest that a step ends by a fault may say so.
    host = re.sub(r"^  guest: .*$", "", text, flags=re.M)
    for sign in ("Kernel panic", "Xen BUG", "FATAL TRAP", "general protection"):
        if sign in host:
            print("rig: the log says: %s" % sign)
            good = False
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=sorted(STEPS))
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--program", type=pathlib.Path, action="append",
                        default=[])
    parser.add_argument("--dom0-program", type=pathlib.Path, action="append",
                        default=[], help="a program that guests do not have")
    parser.add_argument("--image", type=pathlib.Path, action="append",
                        default=[])
    parser.add_argument("--site", type=pathlib.Path, action="append",
                        default=[], help="a file for /site of dom0")
    parser.add_argument("--library-dir", action="append", default=[])
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--steps", help="other steps than the mode's, a:b:c")
    args = parser.parse_args()
    if args.steps:
        STEPS[args.mode] = args.steps.split(":")

    try:
        if shutil.which("qemu-system-x86_64") is None:
            raise Missing("no qemu-system-x86_64: install qemu-system-x86")
        args.work.mkdir(parents=True, exist_ok=True)
        build(args.work, args.mode, args)
    except Missing as reason:
        print("skipped: %s" % reason)
        return SKIP
    began = time.monotonic()
    text = boot(args.work, args.mode, args.limit)
    print("\n".join(
        line for line in text.splitlines()
        if re.match(r"RIG |  (flow|libxenvchan|guest|noticed)|PEER |HOARDER ",
                    line)
    ))
    good = judge(text, STEPS[args.mode])
    print("rig: %s in %d s" % ("passed" if good else "failed",
                               time.monotonic() - began))
    if args.mode.startswith("control-"):
        good = not good
    if not good:
        print("\n".join(text.splitlines()[-60:]))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
