/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VCHAN_DESCRIPTORS_H
#define TESTS_VCHAN_DESCRIPTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

/* Descriptors below a number alone can be made until the old limit is set
 * again. Number 0 is open, so that poll() works. */
static inline struct rlimit
descriptors_limit(rlim_t number)
{
    struct rlimit old;
    struct rlimit few;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = number;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    return old;
}

/* None can be made, also after others are closed. */
static inline struct rlimit
descriptors_forbid(void)
{
    struct rlimit old = descriptors_limit(1);

    assert_int_equal(dup(0), -1);
    return old;
}

/* As many more than are open. */
static inline struct rlimit
descriptors_leave(unsigned count)
{
    int next = dup(0);

    assert_true(next > 0);
    close(next);
    return descriptors_limit((rlim_t)next + count);
}

static inline void
descriptors_restore(const struct rlimit *old)
{
    assert_int_equal(setrlimit(RLIMIT_NOFILE, old), 0);
}

#endif
