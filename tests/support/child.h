/* SPDX-License-Identifier: ISC */
#ifndef TEST_SUPPORT_CHILD_H
#define TEST_SUPPORT_CHILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * Part of a test in a forked child, where cmocka's assertions would go on with
 * the parent's tests.
 */

/* What a child may take before it counts as hanging, in seconds. */
#define CHILD_SECONDS 60

/* In a child: fail the test unless it is so. */
#define CHILD_CHECK(what)                                                      \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "%s:%d: in the child: %s\n", __FILE__, __LINE__,   \
                    #what);                                                    \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

/* As fork(2): 0 in the child, which SIGALRM ends when it hangs, and which ends
 * with child_end(). */
static inline pid_t
child_begin(void)
{
    pid_t child = fork();

    if (child == 0)
        alarm(CHILD_SECONDS);
    return child;
}

static inline void
child_end(void)
{
    _exit(0);
}

/*
 * The same for a child whose parent has more threads.  What these alone pointed
 * at is not the child's to free, and a checker that looks for leaks at the exit
 * would count it; it does not look at a program that another one replaces.
 */
static inline void
child_end_without_threads(void)
{
    execlp("true", "true", (char *)NULL);
    _exit(0);
}

/* Wait for the child's end; the test fails when a check of its did, or when
 * it hung. */
static inline void
child_join(pid_t child)
{
    int status = -1;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/*
 * What sanitizers do not let a child do whose parent has threads: make threads
 * (ThreadSanitizer), and allocate (AddressSanitizer, whose allocator another
 * thread may have locked at the fork).
 */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHILD_HAS_NO_THREADS 1
#endif
#if __has_feature(address_sanitizer)
#define CHILD_HAS_NO_MEMORY 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define CHILD_HAS_NO_THREADS 1
#endif
#ifdef __SANITIZE_ADDRESS__
#define CHILD_HAS_NO_MEMORY 1
#endif

#endif
