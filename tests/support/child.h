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
 * Part of a test in a forked child.  A failed cmocka assertion there would
 * continue with the parent's tests, so children use CHILD_CHECK().
 */

/* Seconds after which a child counts as hanging. */
#define CHILD_SECONDS 60

/* In a child: fail the test unless the condition holds. */
#define CHILD_CHECK(what)                                                      \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "%s:%d: in the child: %s\n", __FILE__, __LINE__,   \
                    #what);                                                    \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

/* As fork(2); returns 0 in the child.  SIGALRM ends a child that hangs, and
 * child_end() ends it otherwise. */
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
 * The same for a child whose parent has other threads.  The child cannot free
 * memory that only their stacks pointed at, and LeakSanitizer would report it
 * at exit.  It does not check a program that another one replaces.
 */
static inline void
child_end_without_threads(void)
{
    execlp("true", "true", (char *)NULL);
    _exit(0);
}

/* Wait for the child to end.  The test fails if one of the child's checks did
 * or if it hung. */
static inline void
child_join(pid_t child)
{
    int status = -1;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/*
 * What sanitizers do not support in a child whose parent has threads: creating
 * threads (ThreadSanitizer), and allocating (AddressSanitizer, whose allocator
 * another thread may have locked at the fork).
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
