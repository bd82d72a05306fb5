/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include <flow/pair.h>
#include <flow/tls.h>

#include "child.h"
#include "stacks.h"
#include "test.h"

/*
 * How many locked instructions a record of 64 bytes costs, over a pair.  A
 * child writes and reads records; this process lets it execute one instruction
 * at a time and looks at each.  Counted are instructions with a lock prefix,
 * exchanges with memory, which are locked without one, and mfence; those of
 * libc and of the cipher library included.  The child has a second thread,
 * since glibc's locks are plain instructions in a process that has one thread.
 *
 * The child marks the two halves of a record with SIGUSR1.
 */

#define LOCKED_RECORD 64
#define LOCKED_MOST   4
/* Records before the first that is counted: keys are expanded by then. */
#define LOCKED_WARM 4

static void
write_record(struct flow *f, uint8_t *buf)
{
    size_t n = 0;

    CHILD_CHECK(flow_write(f, buf, LOCKED_RECORD, &n) == FLOW_OK);
    CHILD_CHECK(n == LOCKED_RECORD);
}

static void
read_record(struct flow *f, uint8_t *buf)
{
    size_t n = 0;

    CHILD_CHECK(flow_read(f, buf, LOCKED_RECORD, &n) == FLOW_OK);
    CHILD_CHECK(n == LOCKED_RECORD);
}

static void *
stay(void *arg)
{
    pthread_mutex_t *gate = arg;

    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

static void
open_both(struct ends *e)
{
    enum flow_status a = FLOW_AGAIN, b = FLOW_AGAIN;

    while (a == FLOW_AGAIN || b == FLOW_AGAIN) {
        a = flow_open(e->a);
        b = flow_open(e->b);
    }
    CHILD_CHECK(a == FLOW_OK && b == FLOW_OK);
}

static void
transfer(layer_fn *layer)
{
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    uint8_t buf[LOCKED_RECORD] = { 0 };
    struct ends e = { NULL, NULL, NULL };
    pthread_t thread;

    CHILD_CHECK(flow_pair_new(NULL, 1u << 16, NULL, &e.a, &e.b) == FLOW_OK);
    layer(&e);
    open_both(&e);
    pthread_mutex_lock(&gate);
    CHILD_CHECK(pthread_create(&thread, NULL, stay, &gate) == 0);
    for (unsigned i = 0; i < LOCKED_WARM; i++) {
        write_record(e.a, buf);
        read_record(e.b, buf);
    }
    CHILD_CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
    raise(SIGUSR1);
    write_record(e.a, buf);
    raise(SIGUSR1);
    read_record(e.b, buf);
    raise(SIGUSR1);
    pthread_mutex_unlock(&gate);
    pthread_join(thread, NULL);
    ends_close(&e);
    child_end();
}

/* Whether an instruction locks the bus or waits for the store buffer. */
static bool
is_locked(const uint8_t *code)
{
    static const uint8_t prefixes[] = { 0x66, 0x67, 0xf2, 0xf3, 0x2e,
                                        0x36, 0x3e, 0x26, 0x64, 0x65 };
    bool at_memory;

    while (memchr(prefixes, *code, sizeof(prefixes)) != NULL)
        code++;
    if (*code == 0xf0)
        return true;
    if ((*code & 0xf0) == 0x40)
        code++;
    at_memory = code[1] < 0xc0;
    if (*code == 0x86 || *code == 0x87)
        return at_memory;
    return code[0] == 0x0f && code[1] == 0xae && code[2] >= 0xf0 &&
           code[2] <= 0xf7;
}

static bool
is_at_locked(pid_t child)
{
    uint8_t code[16] = { 0 };
    struct user_regs_struct regs;
    struct iovec here = { code, sizeof(code) };
    struct iovec there = { NULL, sizeof(code) };

    assert_int_equal(ptrace(PTRACE_GETREGS, child, NULL, &regs), 0);
    there.iov_base = (void *)(uintptr_t)regs.rip;
    /* Fewer bytes than this stand before the end of a mapping at times. */
    if (process_vm_readv(child, &here, 1, &there, 1, 0) <= 0)
        fail_msg("the instructions of the child cannot be read");
    if (is_locked(code) && getenv("FLOW_TEST_SHOW") != NULL)
        print_message("locked: %#llx\n", (unsigned long long)regs.rip);
    return is_locked(code);
}

/* Let the child run to its next mark. */
static void
await_mark(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGUSR1)
        fail_msg("the child did not come to its next mark");
}

/* Step the child to its next mark; returns how many locked instructions it
 * executed.  raise() has one or none, and begins and ends each half. */
static unsigned
count_to_mark(pid_t child)
{
    unsigned count = 0;
    int status;

    for (;;) {
        count += is_at_locked(child);
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSTOPPED(status));
        if (WSTOPSIG(status) == SIGUSR1)
            return count;
        assert_int_equal(WSTOPSIG(status), SIGTRAP);
    }
}

static void
check_counts(layer_fn *layer)
{
    const char *preloaded = getenv("LD_PRELOAD");
    unsigned write, read;
    pid_t child;

    /* valgrind cannot trace. */
    if (preloaded != NULL && strstr(preloaded, "vgpreload") != NULL)
        skip();
    child = child_begin();
    if (child == 0)
        transfer(layer);
    await_mark(child);
    write = count_to_mark(child);
    read = count_to_mark(child);
    assert_int_equal(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
    child_join(child);
    print_message("locked instructions: %u to write, %u to read\n", write,
                  read);
    assert_in_range(write, 0, LOCKED_MOST);
    assert_in_range(read, 0, LOCKED_MOST);
}

static void
a_record_of_tls13_costs_four_locked_instructions(void **state)
{
    (void)state;
    check_counts(layer_tls13);
}

static void
a_record_of_tls12_costs_four_locked_instructions(void **state)
{
    (void)state;
    check_counts(layer_tls12);
}

/* What the count depends on. */
static void
locked_instructions_are_recognised(void **state)
{
    static const struct {
        uint8_t code[16];
        bool locked;
    } table[] = {
        { { 0xf0, 0x0f, 0xb1, 0x0f }, true },       /* lock cmpxchg */
        { { 0xf0, 0x83, 0x0c, 0x24, 0x00 }, true }, /* lock orl */
        { { 0x66, 0xf0, 0x0f, 0xc1, 0x07 }, true }, /* lock xadd, 16 bits */
        { { 0x86, 0x07 }, true },                   /* xchg %al,(%rdi) */
        { { 0x48, 0x87, 0x47, 0x08 }, true },       /* xchg %rax,8(%rdi) */
        { { 0x48, 0x87, 0xc3 }, false },            /* xchg %rax,%rbx */
        { { 0x0f, 0xae, 0xf0 }, true },             /* mfence */
        { { 0x0f, 0xae, 0xf8 }, false },            /* sfence */
        { { 0x48, 0x89, 0x07 }, false },            /* mov %rax,(%rdi) */
        { { 0x90 }, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_int_equal(is_locked(table[i].code), table[i].locked);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(locked_instructions_are_recognised),
        TEST(a_record_of_tls13_costs_four_locked_instructions),
        TEST(a_record_of_tls12_costs_four_locked_instructions),
    };

    return TEST_RUN(tests);
}
