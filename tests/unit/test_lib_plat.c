/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/plat.h"
#include "lib/plat/fake/fake.h"
#include "unit.h"

static void
clock_is_monotonic(void **state)
{
    uint64_t before = flow__plat_now();
    uint64_t after;
    int i;

    (void)state;
    assert_true(before >= 2);
    for (i = 0; i < 1000; i++, before = after) {
        after = flow__plat_now();
        assert_true(after >= before);
    }
    assert_true(flow__plat_wall() > 1700000000);
}

static void
entropy_fills_every_byte(void **state)
{
    uint8_t sum[1000] = { 0 };
    uint8_t mem[1001];
    size_t i;
    int round;

    (void)state;
    mem[1000] = 0x77;
    for (round = 0; round < 16; round++) {
        assert_true(flow__plat_random(mem, 1000));
        for (i = 0; i < 1000; i++)
            sum[i] |= mem[i];
    }
    for (i = 0; i < 1000; i++)
        assert_int_not_equal(sum[i], 0);
    assert_int_equal(mem[1000], 0x77);
}

static void
allocated_memory_is_aligned(void **state)
{
    size_t align;
    void *ptr;

    (void)state;
    for (align = 1; align <= 65536; align *= 2) {
        ptr = flow__plat_alloc(100, align);
        assert_non_null(ptr);
        assert_int_equal((uintptr_t)ptr % align, 0);
        flow__plat_free(ptr, 100, align);
    }
}

static uint32_t once_state;
static unsigned once_runs;
static struct flow_lock count_lock;
static unsigned counted;

static void
run_once(void)
{
    once_runs++;
}

static void *
use_lock(void *arg)
{
    int i;

    (void)arg;
    flow_once(run_once, &once_state);
    assert_int_equal(once_runs, 1);
    for (i = 0; i < 10000; i++) {
        flow_lock_acquire(&count_lock);
        counted++;
        flow_lock_release(&count_lock);
    }
    return NULL;
}

static void
lock_excludes_and_once_runs_one_time(void **state)
{
    pthread_t thread[4];
    size_t i;

    (void)state;
    flow_lock_init(&count_lock);
    for (i = 0; i < COUNT(thread); i++)
        assert_int_equal(pthread_create(&thread[i], NULL, use_lock, NULL), 0);
    for (i = 0; i < COUNT(thread); i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(counted, 40000);
    assert_true(flow_lock_try(&count_lock));
    assert_false(flow_lock_try(&count_lock));
    flow_lock_release(&count_lock);
    flow_lock_fini(&count_lock);
}

static void
file_is_read_whole(void **state)
{
    char path[] = "libflow-test-XXXXXX";
    struct flow__fake fake;
    const char *text;
    uint8_t *data;
    size_t len, n;
    int32_t code;
    int fd;

    (void)state;
    flow__fake_init(&fake, 1);
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "hello\n", 6), 6);
    close(fd);

    assert_int_equal(
        flow__plat_read_file(&fake.env, path, 6, &data, &len, &code, &text),
        FLOW_OK);
    assert_int_equal(len, 6);
    assert_string_equal((const char *)data, "hello\n");
    flow_env_free(&fake.env, data, len + 1);
    assert_int_equal(
        flow__plat_read_file(&fake.env, path, 5, &data, &len, &code, &text),
        FLOW_E_INVAL);
    for (n = 1; n <= 2; n++) {
        fake.fail_at = fake.allocs + n;
        assert_int_equal(
            flow__plat_read_file(&fake.env, path, 6, &data, &len, &code, &text),
            FLOW_E_NOMEM);
    }
    unlink(path);
    assert_int_equal(
        flow__plat_read_file(&fake.env, path, 6, &data, &len, &code, &text),
        FLOW_E_SYS);
    assert_int_equal(code, ENOENT);
    assert_string_equal(text, "no such file or directory");
    assert_int_equal(
        flow__plat_read_file(&fake.env, "/", 6, &data, &len, &code, &text),
        FLOW_E_SYS);
    assert_int_equal(code, EISDIR);
    assert_string_equal(text, "is a directory");
    assert_int_equal(fake.live_blocks, 0);
}

/* /proc gives no size. */
static void
file_of_unknown_size_is_read_whole(void **state)
{
    struct flow__fake fake;
    const char *text;
    uint8_t *data;
    int32_t code;
    size_t len;

    (void)state;
    flow__fake_init(&fake, 1);
    assert_int_equal(flow__plat_read_file(&fake.env, "/proc/self/comm", 100,
                                          &data, &len, &code, &text),
                     FLOW_OK);
    assert_true(len > 1);
    assert_int_equal(data[len - 1], '\n');
    assert_int_equal(data[len], 0);
    flow_env_free(&fake.env, data, len + 1);
    assert_int_equal(fake.live_blocks, 0);
}

/* Nothing is waited for: a FIFO that no process writes to, and one that a
 * process has open and is silent on. */
static void
only_regular_files_are_read(void **state)
{
    char name[] = "libflow-test-XXXXXX", path[32];
    struct flow__fake fake;
    const char *text;
    uint8_t *data;
    int32_t code;
    size_t len;
    int fd[2];

    (void)state;
    flow__fake_init(&fake, 1);
    close(mkstemp(name));
    unlink(name);
    assert_int_equal(mkfifo(name, 0600), 0);
    assert_int_equal(pipe(fd), 0);
    snprintf(path, sizeof(path), "/dev/fd/%d", fd[0]);
    for (int i = 0; i < 3; i++) {
        const char *which[] = { name, path, "/dev/null" };

        assert_int_equal(flow__plat_read_file(&fake.env, which[i], 100, &data,
                                              &len, &code, &text),
                         FLOW_E_SYS);
        assert_string_equal(text, "is not a regular file");
    }
    close(fd[0]);
    close(fd[1]);
    unlink(name);
    assert_int_equal(fake.live_blocks, 0);
}

static void
trust_files_are_listed(void **state)
{
    const char *const *file = flow__plat_trust_files();

    (void)state;
    assert_non_null(file[0]);
    for (; *file != NULL; file++)
        assert_int_equal((*file)[0], '/');
}

static void *
use_thread_word(void *arg)
{
    const uintptr_t *theirs = arg;
    uintptr_t *mine = flow__plat_thread_word();

    assert_ptr_not_equal(mine, theirs);
    assert_true(*mine == 0);
    *mine = 2;
    assert_ptr_equal(flow__plat_thread_word(), mine);
    return NULL;
}

static void
each_thread_has_its_own_value(void **state)
{
    uintptr_t *mine = flow__plat_thread_word();
    pthread_t thread;

    (void)state;
    assert_true(*mine == 0);
    *mine = 1;
    assert_int_equal(pthread_create(&thread, NULL, use_thread_word, mine), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_ptr_equal(flow__plat_thread_word(), mine);
    assert_true(*mine == 1);
    *mine = 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_is_monotonic),
        cmocka_unit_test(entropy_fills_every_byte),
        cmocka_unit_test(allocated_memory_is_aligned),
        cmocka_unit_test(lock_excludes_and_once_runs_one_time),
        cmocka_unit_test(file_is_read_whole),
        cmocka_unit_test(file_of_unknown_size_is_read_whole),
        cmocka_unit_test(only_regular_files_are_read),
        cmocka_unit_test(trust_files_are_listed),
        cmocka_unit_test(each_thread_has_its_own_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
