/* SPDX-License-Identifier: ISC */
/*
 * The virtqueue of the example unikernel against a device made of this test:
 * one that keeps to the rules, in any order and past the end of its indices,
 * and devices that break each of them.  Every violation ends in a panic, before
 * a buffer is given out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "examples/unikernel/core/report.h"
#include "examples/unikernel/plat/pc/virtqueue.h"
#include "examples/unikernel/plat/x86/cpu.h"

static struct virtqueue queue;
static jmp_buf panicked;
static const char *panic_text;

_Noreturn void
report_panic(const char *format, ...)
{
    panic_text = format;
    longjmp(panicked, 1);
}

/* The device runs in this thread. */
void
cpu_order(void)
{
}

void
cpu_order_all(void)
{
}

static void
start(bool is_device_writing)
{
    unsigned i;

    memset(&queue, 0, sizeof(queue));
    virtqueue_init(&queue, "test", is_device_writing);
    for (i = 0; i < VIRTQUEUE_SIZE; i++)
        virtqueue_offer(&queue, i, VIRTQUEUE_BUFFER);
}

static void
device_returns(uint32_t id, uint32_t len)
{
    uint16_t place = queue.used.index % VIRTQUEUE_SIZE;

    queue.used.ring[place].id = id;
    queue.used.ring[place].len = len;
    queue.used.index++;
}

static void
assert_panic(const char *part)
{
    unsigned id = 12345;
    size_t len = 12345;

    panic_text = NULL;
    if (setjmp(panicked) == 0)
        virtqueue_take(&queue, &id, &len);
    assert_non_null(panic_text);
    assert_non_null(strstr(panic_text, part));
    assert_int_equal(id, 12345);
    assert_int_equal(len, 12345);
}

static void
buffers_return_in_any_order_past_the_end_of_the_indices(void **state)
{
    uint16_t held[VIRTQUEUE_SIZE];
    size_t count = 0, len, round;
    uint16_t seen = 0, pick;
    uint32_t wrote;
    unsigned id;

    (void)state;
    srand(1);
    start(true);
    for (round = 0; round < 200000; round++) {
        while (seen != queue.available.index)
            held[count++] = queue.available.ring[seen++ % VIRTQUEUE_SIZE];
        pick = (uint16_t)((size_t)rand() % count);
        wrote = (uint32_t)rand() % (VIRTQUEUE_BUFFER + 1);
        assert_false(virtqueue_has_used(&queue));
        device_returns(held[pick], wrote);
        assert_true(virtqueue_has_used(&queue));
        assert_true(virtqueue_take(&queue, &id, &len));
        assert_int_equal(id, held[pick]);
        assert_int_equal(len, wrote);
        held[pick] = held[--count];
        assert_false(virtqueue_take(&queue, &id, &len));
        virtqueue_offer(&queue, id, VIRTQUEUE_BUFFER);
    }
}

static void
a_descriptor_tells_what_the_device_may_do(void **state)
{
    (void)state;
    start(true);
    assert_int_equal(queue.descriptor[5].address, (uintptr_t)queue.buffer[5]);
    assert_int_equal(queue.descriptor[5].len, VIRTQUEUE_BUFFER);
    assert_int_equal(queue.descriptor[5].flags, 2);
    start(false);
    assert_int_equal(queue.descriptor[5].flags, 0);
}

static void
what_a_device_wrote_to_a_sent_buffer_is_ignored(void **state)
{
    unsigned id;
    size_t len;

    (void)state;
    start(false);
    device_returns(3, UINT32_MAX);
    assert_true(virtqueue_take(&queue, &id, &len));
    assert_int_equal(id, 3);
    assert_int_equal(len, 0);
}

static void
an_identifier_beyond_the_ring_is_a_panic(void **state)
{
    (void)state;
    start(true);
    device_returns(VIRTQUEUE_SIZE, 60);
    assert_panic("which it does not have");
    start(true);
    device_returns(UINT32_MAX, 60);
    assert_panic("which it does not have");
}

static void
a_buffer_returned_twice_is_a_panic(void **state)
{
    unsigned id;
    size_t len;

    (void)state;
    start(true);
    device_returns(7, 60);
    assert_true(virtqueue_take(&queue, &id, &len));
    device_returns(7, 60);
    assert_panic("which it does not have");
}

static void
a_length_beyond_the_buffer_is_a_panic(void **state)
{
    (void)state;
    start(true);
    device_returns(7, VIRTQUEUE_BUFFER + 1);
    assert_panic("claims to have written");
    start(true);
    device_returns(7, UINT32_MAX);
    assert_panic("claims to have written");
}

static void
an_index_beyond_what_was_offered_is_a_panic(void **state)
{
    (void)state;
    start(true);
    queue.used.index = VIRTQUEUE_SIZE + 1;
    assert_panic("more buffers than it has");
    start(true);
    queue.used.index = UINT16_MAX;
    assert_panic("more buffers than it has");
}

/* Whatever the page says, a buffer that is given out is one of the queue. */
static void
a_random_device_gets_no_further(void **state)
{
    volatile size_t round, taken = 0, panics = 0;
    uint8_t *page = (uint8_t *)&queue.used;
    unsigned id;
    size_t len, i;

    (void)state;
    srand(2);
    start(true);
    for (round = 0; round < 200000; round++) {
        if (rand() % 64 == 0)
            for (i = 0; i < sizeof(queue.used); i++)
                page[i] = (uint8_t)rand();
        queue.used.index = (uint16_t)(queue.taken + rand() % 80);
        queue.used.ring[queue.taken % VIRTQUEUE_SIZE].id =
            (uint32_t)rand() % 80;
        queue.used.ring[queue.taken % VIRTQUEUE_SIZE].len =
            (uint32_t)rand() % 2500;
        if (setjmp(panicked) != 0) {
            panics++;
            start(true);
            continue;
        }
        if (!virtqueue_take(&queue, &id, &len))
            continue;
        taken++;
        assert_true(id < VIRTQUEUE_SIZE);
        assert_true(len <= VIRTQUEUE_BUFFER);
        virtqueue_offer(&queue, id, VIRTQUEUE_BUFFER);
    }
    assert_true(taken > 10000);
    assert_true(panics > 10000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            buffers_return_in_any_order_past_the_end_of_the_indices),
        cmocka_unit_test(a_descriptor_tells_what_the_device_may_do),
        cmocka_unit_test(what_a_device_wrote_to_a_sent_buffer_is_ignored),
        cmocka_unit_test(an_identifier_beyond_the_ring_is_a_panic),
        cmocka_unit_test(a_buffer_returned_twice_is_a_panic),
        cmocka_unit_test(a_length_beyond_the_buffer_is_a_panic),
        cmocka_unit_test(an_index_beyond_what_was_offered_is_a_panic),
        cmocka_unit_test(a_random_device_gets_no_further),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
