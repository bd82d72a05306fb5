/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../core/calls.h"

/*
 * What the app may not do, one per boot: the word of the command line says
 * which.  faults.sh looks for the panic that each has to end in.
 */

static const char faults_constant[] = "a constant";

/* The compiler may not know what an address is. */
static volatile char *
faults_address(uintptr_t address)
{
    __asm__ volatile("" : "+r"(address));
    return (volatile char *)address;
}

static void
faults_run(volatile char *code)
{
    *code = (char)0xc3; /* ret */
    ((void (*)(void))(uintptr_t)code)();
}

static void
faults_null(void)
{
    *faults_address(0) = 1;
}

static void
faults_write_text(void)
{
    *faults_address((uintptr_t)faults_run) = 1;
}

static void
faults_write_constant(void)
{
    *faults_address((uintptr_t)faults_constant) = 1;
}

static void
faults_run_heap(void)
{
    faults_run(malloc(1));
}

static void
faults_run_stack(void)
{
    volatile char code[16];

    faults_run(code);
}

static unsigned
faults_recurse(unsigned depth)
{
    volatile char space[4096];

    space[depth % 4096] = 1;
    return depth == 0 ? 0 : faults_recurse(depth - 1) + (unsigned)space[0];
}

static void
faults_overflow(void)
{
    faults_recurse(1000);
}

static void
faults_use_freed(void)
{
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    munmap(page, 4096);
    *faults_address((uintptr_t)page) = 1;
}

static void
faults_read_core(void)
{
    (void)*faults_address(0x200000);
}

static void
faults_device(void)
{
    *faults_address(0xfee000b0) = 0;
}

static void
faults_halt(void)
{
    __asm__ volatile("hlt");
}

static void
faults_port(void)
{
    __asm__ volatile("outb %%al, $0xf4" : : "a"(0));
}

static void
faults_interrupts(void)
{
    __asm__ volatile("cli");
}

static void
faults_msr(void)
{
    __asm__ volatile("rdmsr" : : "c"(0xc0000080) : "eax", "edx");
}

static void
faults_run_core(void)
{
    ((void (*)(void))(uintptr_t)faults_address(0x200000))();
}

static void
faults_software_interrupt(void)
{
    __asm__ volatile("int $0x20");
}

/* An x87 exception that is not masked comes with the next instruction. */
static void
faults_float(void)
{
    const uint16_t control = 0x0340;

    __asm__ volatile("fldcw %0; fld1; fldz; fdivrp; fwait" : : "m"(control));
}

/* musl finds it in free(3), and executes hlt. */
static void
faults_corrupt_heap(void)
{
    void *block = malloc(100);
    volatile char *before = faults_address((uintptr_t)block - 16);
    size_t i;

    for (i = 0; i < 16; i++)
        before[i] = (char)0xff;
    free(block);
}

/* Of xen/xen.h, xen/event_channel.h and xen/sched.h. */
#define FAULTS_MEMORY_OP 12
#define FAULTS_SCHED_OP  29
#define FAULTS_EVENT_OP  32
#define FAULTS_CLOSE     3
#define FAULTS_SEND      4
#define FAULTS_RESET     10
#define FAULTS_SHUTDOWN  2
#define FAULTS_POLL      3

static bool
faults_refused(uint64_t number, uint64_t operation, const void *argument,
               int error)
{
    return syscall(CALL_GUEST_HYPERCALL, number, operation, argument) == -1 &&
           errno == error;
}

/* One port is the core's, that of the console. */
static bool
faults_keeps_console(void)
{
    uint32_t port, found = 0;

    for (port = 1; port < 64; port++)
        if (faults_refused(FAULTS_EVENT_OP, FAULTS_SEND, &port, EPERM))
            found++;
    return found == 1;
}

/* In a domain of Xen the hypercalls fail that could be used against the core.
 */
static bool
faults_hypercall(void)
{
    const void *core = (const void *)(uintptr_t)0x200000;
    struct {
        const void *ports;
        uint32_t count, zero;
        uint64_t timeout;
    } many = { &many, 129, 0, 1 }, wild = { core, 1, 0, 1 };
    struct calls_guest guest;
    uint32_t port = 1;

    if (syscall(CALL_GUEST_START, core) != -1)
        return false;
    if (syscall(CALL_GUEST_START, &guest) != 0)
        return errno == ENODEV;
    return faults_refused(FAULTS_EVENT_OP, FAULTS_CLOSE, core, EFAULT) &&
           faults_refused(FAULTS_EVENT_OP, FAULTS_CLOSE, faults_constant,
                          EFAULT) &&
           faults_refused(FAULTS_EVENT_OP, FAULTS_RESET, &port, ENOSYS) &&
           faults_refused(FAULTS_SCHED_OP, FAULTS_SHUTDOWN, &port, ENOSYS) &&
           faults_refused(FAULTS_MEMORY_OP, 7, &port, ENOSYS) &&
           faults_refused(FAULTS_SCHED_OP, FAULTS_POLL, &many, EINVAL) &&
           faults_refused(FAULTS_SCHED_OP, FAULTS_POLL, &wild, EFAULT) &&
           faults_keeps_console();
}

/* System calls with bad addresses fail; they do not fault. */
static void
faults_call(void)
{
    const uintptr_t bad[] = { 0, 0x200000, 0xfee00000, UINTPTR_MAX - 10 };
    size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (syscall(SYS_write, 1, bad[i], 100) != -1 ||
            syscall(SYS_clock_gettime, 1, bad[i]) != -1 ||
            syscall(SYS_writev, 1, bad[i], 1) != -1)
            exit(1);
    if (syscall(SYS_clock_gettime, 1, faults_constant) != -1 ||
        mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
             0) != MAP_FAILED ||
        syscall(SYS_getrandom, faults_run, 8, 0) != -1 ||
        munmap((void *)(uintptr_t)0x200000, 4096) != -1)
        exit(2);
    if (!faults_hypercall())
        exit(3);
    exit(0);
}

static char *
faults_map(size_t len)
{
    return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                -1, 0);
}

/* Takes all memory twice, with holes in between. */
static void
faults_memory(void)
{
    const size_t len = (size_t)1 << 20;
    char *piece[1024];
    size_t count = 0, i, j;

    while ((piece[count] = faults_map(len)) != MAP_FAILED) {
        for (j = 0; j < len; j += 512)
            if (piece[count][j] != 0)
                exit(1);
        memset(piece[count++], 0x5a, len);
    }
    if (count < 10)
        exit(2);
    for (i = 0; i < count; i += 2)
        if (munmap(piece[i], len) != 0)
            exit(3);
    if (munmap(piece[0], len) != -1 || faults_map(2 * len) != MAP_FAILED)
        exit(4);
    for (i = 0; i < count; i += 2) {
        piece[i] = faults_map(len);
        if (piece[i] == MAP_FAILED || piece[i][len - 1] != 0)
            exit(5);
    }
    for (i = 0; i < count; i++)
        if (piece[i][0] != (i % 2 == 0 ? 0 : 0x5a) ||
            munmap(piece[i], len) != 0)
            exit(6);
    exit(faults_map(count * len) != MAP_FAILED ? 0 : 7);
}

static const struct {
    const char *name;
    void (*run)(void);
} faults[] = {
    { "null", faults_null },
    { "write-text", faults_write_text },
    { "write-constant", faults_write_constant },
    { "run-heap", faults_run_heap },
    { "run-stack", faults_run_stack },
    { "overflow", faults_overflow },
    { "use-freed", faults_use_freed },
    { "read-core", faults_read_core },
    { "device", faults_device },
    { "halt", faults_halt },
    { "port", faults_port },
    { "interrupts", faults_interrupts },
    { "msr", faults_msr },
    { "corrupt-heap", faults_corrupt_heap },
    { "run-core", faults_run_core },
    { "software-interrupt", faults_software_interrupt },
    { "float", faults_float },
    { "memory", faults_memory },
    { "call", faults_call },
};

int
main(int argc, char **argv)
{
    size_t i;

    for (i = 0; argc > 1 && i < sizeof(faults) / sizeof(faults[0]); i++)
        if (strcmp(argv[1], faults[i].name) == 0)
            faults[i].run();
    printf("'%s' has not ended the machine\n", argc > 1 ? argv[1] : "");
    return EXIT_FAILURE;
}
