#!/bin/sh
# SPDX-License-Identifier: ISC
#
# faults.sh IMAGE: boots the image of faults.c once for each fault, and once on a
# machine without a timer.  Each time it compares how the machine ends: in one line
# of panic and a power-off.

image=$1
machine=microvm,acpi=off
failed=0

# fault NAME STATUS PATTERN
fault() {
    output=$(timeout 60 qemu-system-x86_64 -nodefaults -display none -no-reboot \
        -serial stdio -m 32 -accel tcg -cpu max -M "$machine" \
        -bios qboot.rom -device isa-debug-exit,iobase=0xf4,iosize=1 \
        -kernel "$image" -append "$1" </dev/null 2>&1)
    status=$?
    line=$(printf '%s\n' "$output" | tr -d '\r' | tail -n 1)
    printf '%-19s %s\n' "$1" "$line"
    # shellcheck disable=SC2254 # a pattern
    case $line in
    $3) [ "$status" -eq "$2" ] && return ;;
    esac
    echo "faults.sh: $1: status $status, expected $2 and a line like '$3'" >&2
    failed=1
}

# isa-debug-exit: twice the code, and 1.
panic=7
ok=1
fault null $panic 'panic: page fault in the app: write to 0x0 (a null pointer)*'
fault write-text $panic 'panic: page fault in the app: write to * (text of the app)*'
fault write-constant $panic 'panic: page fault in the app: write to * (constants of the app)*'
fault run-heap $panic 'panic: page fault in the app: execution of * (memory of the app)*'
fault run-stack $panic 'panic: page fault in the app: execution of * (memory of the app)*'
fault overflow $panic 'panic: page fault in the app: write to * (a guard page of the app)*'
fault use-freed $panic 'panic: page fault in the app: write to * (a free page)*'
fault read-core $panic 'panic: page fault in the app: read of 0x200000 (text of the core)*'
fault device $panic 'panic: page fault in the app: write to 0xfee000b0 (a device)*'
fault halt $panic 'panic: general protection fault in the app*'
fault port $panic 'panic: general protection fault in the app*'
fault interrupts $panic 'panic: general protection fault in the app*'
fault msr $panic 'panic: general protection fault in the app*'
fault corrupt-heap $panic 'panic: general protection fault in the app*'
fault run-core $panic 'panic: page fault in the app: execution of 0x200000 (text of the core)*'
fault software-interrupt $panic 'panic: general protection fault in the app*'
fault float $panic 'panic: floating-point error in the app*'
fault memory $ok 'core: the app ended with code 0*'
fault call $ok 'core: the app ended with code 0*'

# A machine whose interval timer stands still.
machine=microvm,acpi=off,pit=off
fault call $panic 'panic: the interval timer cannot be read*'
exit $failed
