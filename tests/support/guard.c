/* SPDX-License-Identifier: ISC */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

static char current[160];
static size_t descriptors;
static unsigned seconds = TEST_SECONDS;

static void
out_of_time(int sig)
{
    static const char text[] = "\ntest did not end in time: ";

    (void)sig;
    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0 ||
        write(STDERR_FILENO, current, strlen(current)) < 0 ||
        write(STDERR_FILENO, "\n", 1) < 0)
        _exit(3);
    abort();
}

size_t
guard_descriptors(void)
{
    DIR *dir = opendir("/dev/fd");
    size_t n = 0;

    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

void
guard_case(const char *name)
{
    snprintf(current, sizeof(current), "%s", name == NULL ? "" : name);
    alarm(seconds);
}

int
guard_process(void **state)
{
    const struct flow_env *env = flow_env_default();
    const char *limit = getenv("FLOW_TEST_SECONDS");
    struct flow_wait_set set;

    (void)state;
    if (limit != NULL && atoi(limit) > 0)
        seconds = (unsigned)atoi(limit);
    /* The library must work with SIGPIPE at its default. */
    signal(SIGPIPE, SIG_DFL);
    signal(SIGALRM, out_of_time);
    /* Create the waker of this thread, which lives as long as the process. */
    flow_wait_set_init(&set);
    return env->wait(env->ctx, &set, FLOW_NOW) == FLOW_OK ? 0 : -1;
}

int
guard_begin(void **state)
{
    (void)state;
    test_env_reset();
    guard_case("");
    descriptors = guard_descriptors();
    return 0;
}

int
guard_end(void **state)
{
    size_t now = guard_descriptors();
    size_t live = atomic_load(&test_env.live);
    size_t bytes = atomic_load(&test_env.bytes);

    (void)state;
    alarm(0);
    /* A case is still set: the test failed in it. */
    if (current[0] != '\0')
        print_error("in the case: %s\n", current);
    if (live != 0)
        print_error("%zu allocations (%zu bytes) were not given back\n", live,
                    bytes);
    else if (bytes != 0)
        print_error("memory was given back with another size than it had: %zd "
                    "bytes are left\n",
                    (ssize_t)bytes);
    if (now != descriptors)
        print_error("%zu descriptors were open before the test, %zu after\n",
                    descriptors, now);
    return live == 0 && bytes == 0 && now == descriptors ? 0 : -1;
}

void
test_assert_status(enum flow_status got, enum flow_status expected,
                   const char *what, const char *file, int line)
{
    if (got == expected)
        return;
    print_error("%s: %s is %s, not %s\n", current, what, flow_status_name(got),
                flow_status_name(expected));
    _fail(file, line);
}

void
test_assert_status_in(enum flow_status got, uint32_t set, const char *what,
                      const char *file, int line)
{
    if (set & STATUS_BIT(got))
        return;
    print_error("%s: %s is %s\n", current, what, flow_status_name(got));
    _fail(file, line);
}

uint64_t
test_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint8_t
byte_at(uint64_t seed, uint64_t off)
{
    uint64_t state = seed + off / 8;

    return (uint8_t)(test_random(&state) >> (off % 8 * 8));
}

void
test_fill(void *buf, size_t len, uint64_t seed)
{
    uint8_t *p = buf;
    size_t i;

    for (i = 0; i < len; i++)
        p[i] = byte_at(seed, i);
}

void
test_check(const void *buf, size_t len, uint64_t seed, uint64_t off)
{
    const uint8_t *p = buf;
    size_t i;

    for (i = 0; i < len; i++)
        if (p[i] != byte_at(seed, off + i)) {
            print_error("%s: byte %llu is 0x%02x, not 0x%02x\n", current,
                        (unsigned long long)(off + i), p[i],
                        byte_at(seed, off + i));
            fail();
        }
}
