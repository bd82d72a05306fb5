/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include "../plat/plat.h"
#include "../plat/x86/cpu.h"
#include "bytes.h"
#include "calls.h"
#include "linux.h"
#include "memory.h"
#include "report.h"
#include "start.h"
#include "trap.h"

/*
 * System calls: those of Linux that musl and mbedTLS make, and those of
 * "calls.h".
 *
 * Invariants:
 * - Every address of the app is checked against the page tables before it is
 *   used, and its bytes lie in pages that the app itself may read or write.
 *   Interrupts are off and there is one thread, so what was checked stays so.
 * - No call makes a page executable.
 * - A call that is not here answers ENOSYS.
 */

#define LINUX_NSEC        INT64_C(1000000000)
#define LINUX_SET_FS      0x1002 /* ARCH_SET_FS */
#define LINUX_MSR_FS_BASE 0xc0000100
#define LINUX_STDIN       0
#define LINUX_STDOUT      1
#define LINUX_STDERR      2
#define LINUX_PID         1
#define LINUX_SCHED_OP    29   /* xen/xen.h */
#define LINUX_VECTORS     1024 /* IOV_MAX */

static uint64_t linux_sleep_count;

static int64_t
linux_status(bool ok, int error)
{
    return ok ? 0 : -error;
}

/* --- memory --- */

/* False if the protection includes execution. */
static bool
linux_access(uint64_t protection, enum memory_access *ret)
{
    if ((protection & ~(uint64_t)(PROT_READ | PROT_WRITE)) != 0)
        return false;
    *ret = (protection & PROT_WRITE) != 0  ? MEMORY_WRITE
           : (protection & PROT_READ) != 0 ? MEMORY_READ
                                           : MEMORY_NONE;
    return true;
}

/* Anonymous memory, anywhere. */
static int64_t
linux_mmap(const uint64_t *arg)
{
    enum memory_access access;
    uintptr_t address;

    if (arg[1] == 0)
        return -EINVAL;
    if ((arg[3] & MAP_ANONYMOUS) == 0 || (arg[3] & MAP_FIXED) != 0)
        return -ENODEV;
    if (!linux_access(arg[2], &access))
        return -EACCES;
    address = memory_map(arg[1], access);
    return address != 0 ? (int64_t)address : -ENOMEM;
}

static int64_t
linux_mprotect(const uint64_t *arg)
{
    enum memory_access access;

    if (!linux_access(arg[2], &access))
        return -EACCES;
    return linux_status(memory_protect(arg[0], arg[1], access), EINVAL);
}

static int64_t
linux_munmap(const uint64_t *arg)
{
    return linux_status(memory_unmap(arg[0], arg[1]), EINVAL);
}

/* There is none: musl then takes its memory by mmap. */
static int64_t
linux_brk(const uint64_t *arg)
{
    (void)arg;
    return 0;
}

/* --- the console --- */

static int64_t
linux_print(uint64_t fd, uintptr_t text, size_t len)
{
    if (fd != LINUX_STDOUT && fd != LINUX_STDERR)
        return -EBADF;
    if (!memory_is_readable(text, len))
        return -EFAULT;
    plat_get()->put((const char *)text, len);
    return (int64_t)len;
}

/* One byte of what was typed.  It does not wait: EAGAIN, if there is none. */
static int64_t
linux_read(const uint64_t *arg)
{
    if (arg[0] != LINUX_STDIN)
        return -EBADF;
    if (arg[2] == 0)
        return 0;
    if (!memory_is_writable(arg[1], 1))
        return -EFAULT;
    return plat_get()->get((char *)arg[1]) ? 1 : -EAGAIN;
}

static int64_t
linux_write(const uint64_t *arg)
{
    return linux_print(arg[0], arg[1], arg[2]);
}

static int64_t
linux_writev(const uint64_t *arg)
{
    const struct iovec *vec = (const struct iovec *)arg[1];
    int64_t total = 0, written;
    uint64_t i;

    if (arg[2] > LINUX_VECTORS)
        return -EINVAL;
    if (!memory_is_readable(arg[1], arg[2] * sizeof(*vec)))
        return -EFAULT;
    for (i = 0; i < arg[2]; i++) {
        written =
            linux_print(arg[0], (uintptr_t)vec[i].iov_base, vec[i].iov_len);
        if (written < 0)
            return total > 0 ? total : written;
        total += written;
    }
    return total;
}

/* musl asks whether stdout is a terminal, and ends lines only there. */
static int64_t
linux_ioctl(const uint64_t *arg)
{
    struct winsize none = { 0 };

    if (arg[0] > LINUX_STDERR)
        return -EBADF;
    if (arg[1] != TIOCGWINSZ)
        return -ENOTTY;
    if (!memory_is_writable(arg[2], sizeof(none)))
        return -EFAULT;
    bytes_copy((void *)arg[2], &none, sizeof(none));
    return 0;
}

/* The standard descriptors are open. */
static int64_t
linux_fcntl(const uint64_t *arg)
{
    if (arg[0] > LINUX_STDERR)
        return -EBADF;
    return arg[1] == F_GETFD ? 0 : -EINVAL;
}

/* --- the process --- */

static int64_t
linux_getpid(const uint64_t *arg)
{
    (void)arg;
    return LINUX_PID;
}

/* Where the thread's own variables are. */
static int64_t
linux_arch_prctl(const uint64_t *arg)
{
    if (arg[0] != LINUX_SET_FS)
        return -EINVAL;
    if (!memory_is_readable(arg[1], sizeof(uint64_t)))
        return -EPERM;
    cpu_write_msr(LINUX_MSR_FS_BASE, arg[1]);
    return 0;
}

static int64_t
linux_exit(const uint64_t *arg)
{
    start_end((int)(arg[0] & 0xff));
}

/* There are no signals. */
static int64_t
linux_signals(const uint64_t *arg)
{
    (void)arg;
    return 0;
}

/* --- time and chance --- */

static int64_t
linux_clock_gettime(const uint64_t *arg)
{
    int64_t now = (int64_t)plat_get()->now();
    struct timespec time = { now / LINUX_NSEC, now % LINUX_NSEC };

    if (arg[0] == CLOCK_REALTIME)
        time.tv_sec = plat_get()->wall();
    else if (arg[0] != CLOCK_MONOTONIC)
        return -EINVAL;
    if (!memory_is_writable(arg[1], sizeof(time)))
        return -EFAULT;
    bytes_copy((void *)arg[1], &time, sizeof(time));
    return 0;
}

static int64_t
linux_getrandom(const uint64_t *arg)
{
    if (arg[1] > MEMORY_PAGE)
        return -EINVAL;
    if (!memory_is_writable(arg[0], arg[1]))
        return -EFAULT;
    if (!cpu_random((void *)arg[0], arg[1]))
        return -EIO;
    return (int64_t)arg[1];
}

/* --- "calls.h" --- */

static int64_t
linux_net_station(const uint64_t *arg)
{
    if (!memory_is_writable(arg[0], 6))
        return -EFAULT;
    return linux_status(plat_get()->net->station((uint8_t *)arg[0]), ENODEV);
}

static int64_t
linux_net_send(const uint64_t *arg)
{
    if (arg[1] == 0 || arg[1] > PLAT_FRAME_MAX)
        return -EINVAL;
    if (!memory_is_readable(arg[0], arg[1]))
        return -EFAULT;
    return linux_status(plat_get()->net->send((const void *)arg[0], arg[1]),
                        EAGAIN);
}

static int64_t
linux_net_receive(const uint64_t *arg)
{
    size_t len;

    if (!memory_is_writable(arg[0], arg[1]))
        return -EFAULT;
    len = plat_get()->net->receive((void *)arg[0], arg[1]);
    return len > 0 ? (int64_t)len : -EAGAIN;
}

static int64_t
linux_wait(const uint64_t *arg)
{
    linux_sleep_count++;
    plat_get()->wait(arg[0]);
    return 0;
}

static int64_t
linux_guest_start(const uint64_t *arg)
{
    if (plat_get()->guest == NULL)
        return -ENODEV;
    if (!memory_is_writable(arg[0], sizeof(struct calls_guest)))
        return -EFAULT;
    plat_get()->guest->start((struct calls_guest *)arg[0]);
    return 0;
}

static int64_t
linux_guest_hypercall(const uint64_t *arg)
{
    if (plat_get()->guest == NULL)
        return -ENODEV;
    /* Of these the only operation that is made is the sleep. */
    if (arg[0] == LINUX_SCHED_OP)
        linux_sleep_count++;
    return plat_get()->guest->hypercall(arg[0], arg[1], arg[2]);
}

uint64_t
linux_sleeps(void)
{
    return linux_sleep_count;
}

/* --- the table --- */

static const struct {
    uint64_t number;
    int64_t (*run)(const uint64_t *arg);
} linux_calls[] = {
    { CALL_NET_RECEIVE, linux_net_receive },
    { CALL_NET_SEND, linux_net_send },
    { CALL_WAIT, linux_wait },
    { CALL_GUEST_HYPERCALL, linux_guest_hypercall },
    { CALL_NET_STATION, linux_net_station },
    { CALL_GUEST_START, linux_guest_start },
    { SYS_clock_gettime, linux_clock_gettime },
    { SYS_getrandom, linux_getrandom },
    { SYS_mmap, linux_mmap },
    { SYS_munmap, linux_munmap },
    { SYS_mprotect, linux_mprotect },
    { SYS_brk, linux_brk },
    { SYS_read, linux_read },
    { SYS_write, linux_write },
    { SYS_writev, linux_writev },
    { SYS_ioctl, linux_ioctl },
    { SYS_fcntl, linux_fcntl },
    { SYS_getpid, linux_getpid },
    { SYS_set_tid_address, linux_getpid },
    { SYS_gettid, linux_getpid },
    { SYS_arch_prctl, linux_arch_prctl },
    { SYS_rt_sigprocmask, linux_signals },
    { SYS_exit, linux_exit },
    { SYS_exit_group, linux_exit },
};

int64_t
linux_call(const struct trap_call *call)
{
    size_t i;

    for (i = 0; i < sizeof(linux_calls) / sizeof(linux_calls[0]); i++)
        if (linux_calls[i].number == call->number)
            return linux_calls[i].run(call->arg);
    return -ENOSYS;
}
