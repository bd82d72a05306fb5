/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/plat.h"
#include "unit.h"

static void
process_number_stays(void **state)
{
    uint32_t number = flow_process();
    int i;

    (void)state;
    assert_int_not_equal(number, 0);
    for (i = 0; i < 1000; i++)
        assert_int_equal(flow_process(), number);
}

/* The exit status of a child: 0 if its checks passed. */
static void
assert_child_succeeds(pid_t child)
{
    int status;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void
every_generation_has_its_own_number(void **state)
{
    uint32_t mine = flow_process();
    uint32_t theirs;
    int status = 1;
    pid_t child;
    pid_t grandchild;

    (void)state;
    child = fork();
    if (child == 0) {
        theirs = flow_process();
        grandchild = fork();
        if (grandchild == 0)
            _exit(flow_process() == mine || flow_process() == theirs);
        if (waitpid(grandchild, &status, 0) != grandchild || status != 0)
            _exit(2);
        _exit(theirs == 0 || theirs == mine || flow_process() != theirs);
    }
    assert_child_succeeds(child);
    assert_int_equal(flow_process(), mine);
}

/* A generation that never asks for its number does not hide the next one. */
static void
grandchild_of_a_child_that_never_asked_has_a_new_number(void **state)
{
    uint32_t mine = flow_process();
    int status = 1;
    pid_t child;
    pid_t grandchild;

    (void)state;
    child = fork();
    if (child == 0) {
        grandchild = fork();
        if (grandchild == 0)
            _exit(flow_process() == mine);
        _exit(waitpid(grandchild, &status, 0) != grandchild || status != 0);
    }
    assert_child_succeeds(child);
}

#define ASKERS 4

static void *
ask(void *arg)
{
    uint32_t *ret_number = arg;

    *ret_number = flow_process();
    return NULL;
}

/* Threads that ask first in a child get the same number. */
static bool
threads_agree(uint32_t parents)
{
    pthread_t thread[ASKERS];
    uint32_t number[ASKERS];
    size_t i;

    for (i = 0; i < ASKERS; i++)
        if (pthread_create(&thread[i], NULL, ask, &number[i]) != 0)
            return false;
    for (i = 0; i < ASKERS; i++)
        pthread_join(thread[i], NULL);
    for (i = 0; i < ASKERS; i++)
        if (number[i] == parents || number[i] != number[0])
            return false;
    return number[0] == flow_process();
}

static void
threads_of_a_child_get_one_number(void **state)
{
    uint32_t mine = flow_process();
    pid_t child;
    int i;

    (void)state;
    for (i = 0; i < 50; i++) {
        child = fork();
        if (child == 0)
            _exit(!threads_agree(mine));
        assert_child_succeeds(child);
    }
}

#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
#define HAVE_BARE_FORK 1
#endif
#endif

/* A fork that runs no pthread_atfork() handlers. */
static void
fork_without_atfork_handlers_is_noticed(void **state)
{
#ifdef HAVE_BARE_FORK
    uint32_t mine = flow_process();
    pid_t child = _Fork();

    (void)state;
    if (child == 0)
        _exit(flow_process() == mine);
    assert_child_succeeds(child);
#else
    (void)state;
    skip();
#endif
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(process_number_stays),
        cmocka_unit_test(every_generation_has_its_own_number),
        cmocka_unit_test(
            grandchild_of_a_child_that_never_asked_has_a_new_number),
        cmocka_unit_test(threads_of_a_child_get_one_number),
        cmocka_unit_test(fork_without_atfork_handlers_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
