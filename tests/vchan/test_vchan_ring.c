/* SPDX-License-Identifier: ISC */
/* One ring: the values that its two ends accept of each other, and those
 * that are faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/vchan/ring.h"
#include "backends/vchan/shm.h"

#define SIZE 1024u

/* Both ends of one ring and the bytes that they share. */
struct ring {
    uint8_t data[SIZE];
    uint32_t prod;
    uint32_t cons;
    uint8_t writer_live;
    uint8_t reader_live;
    uint8_t writer_notify;
    uint8_t reader_notify;
    struct vchan_rx rx;
    struct vchan_tx tx;
};

static void
start(struct ring *r, uint32_t at)
{
    memset(r, 0, sizeof(*r));
    r->prod = r->cons = at;
    r->writer_live = r->reader_live = VCHAN_LIVE_HERE;
    r->rx = (struct vchan_rx){
        .data = r->data,
        .size = SIZE,
        .shr_prod = &r->prod,
        .shr_cons = &r->cons,
        .notify = { .peer = &r->writer_notify, .own = &r->reader_notify },
        .live = { &r->writer_live, VCHAN_LIVE_HERE, VCHAN_LIVE_HERE },
    };
    r->tx = (struct vchan_tx){
        .data = r->data,
        .size = SIZE,
        .shr_prod = &r->prod,
        .shr_cons = &r->cons,
        .notify = { .peer = &r->reader_notify, .own = &r->writer_notify },
        .live = { &r->reader_live, VCHAN_LIVE_HERE, VCHAN_LIVE_HERE },
    };
    assert_true(flow__vchan_rx_attach(&r->rx));
    assert_true(flow__vchan_tx_attach(&r->tx));
}

static void
write_bytes(struct ring *r, const void *data, uint32_t len)
{
    uint32_t room;

    assert_int_equal(flow__vchan_tx_look(&r->tx, &room), FLOW_OK);
    assert_true(room >= len);
    flow__vchan_tx_put(&r->tx, 0, data, len);
    flow__vchan_tx_publish(&r->tx, len);
}

static void
bytes_pass_in_order_across_the_wrap_of_ring_and_index(void **state)
{
    struct ring r;
    uint8_t in[SIZE];
    uint8_t out[SIZE];
    uint32_t sent = 0;
    uint32_t got = 0;
    uint32_t n;

    (void)state;
    start(&r, UINT32_MAX - 3 * SIZE);
    srand(7);
    while (got < 64 * SIZE) {
        if (flow__vchan_tx_look(&r.tx, &n) == FLOW_OK) {
            n = (uint32_t)rand() % n + 1;
            for (uint32_t i = 0; i < n; i++)
                in[i] = (uint8_t)((sent + i) * 31 >> 3);
            flow__vchan_tx_put(&r.tx, 0, in, n / 2);
            flow__vchan_tx_put(&r.tx, n / 2, in + n / 2, n - n / 2);
            flow__vchan_tx_publish(&r.tx, n);
            sent += n;
        }
        if (flow__vchan_rx_look(&r.rx, &n) == FLOW_OK) {
            n = (uint32_t)rand() % n + 1;
            flow__vchan_rx_get(&r.rx, 0, out, n);
            for (uint32_t i = 0; i < n; i++)
                assert_int_equal(out[i], (uint8_t)((got + i) * 31 >> 3));
            flow__vchan_rx_take(&r.rx, n);
            got += n;
        }
    }
    assert_int_equal(r.prod, UINT32_MAX - 3 * SIZE + sent);
    assert_int_equal(r.cons, UINT32_MAX - 3 * SIZE + got);
}

static void
a_full_ring_is_legal_and_an_empty_one_has_room_for_all(void **state)
{
    struct ring r;
    uint8_t data[SIZE] = { 1 };
    struct vchan_span span[2];
    uint32_t n;

    (void)state;
    start(&r, 100);
    assert_int_equal(flow__vchan_rx_look(&r.rx, &n), FLOW_AGAIN);
    assert_int_equal(flow__vchan_tx_look(&r.tx, &n), FLOW_OK);
    assert_int_equal(n, SIZE);
    write_bytes(&r, data, SIZE);
    assert_int_equal(flow__vchan_tx_look(&r.tx, &n), FLOW_AGAIN);
    assert_int_equal(n, 0);
    assert_int_equal(flow__vchan_rx_look(&r.rx, &n), FLOW_OK);
    assert_int_equal(n, SIZE);
    flow__vchan_rx_spans(&r.rx, n, span);
    assert_ptr_equal(span[0].base, r.data + 100);
    assert_int_equal(span[0].len, SIZE - 100);
    assert_ptr_equal(span[1].base, r.data);
    assert_int_equal(span[1].len, 100);
}

static void
events_are_sent_only_when_asked_for(void **state)
{
    struct ring r;
    uint8_t data[SIZE] = { 1 };
    uint32_t n;

    (void)state;
    start(&r, 0);
    flow__vchan_tx_put(&r.tx, 0, data, 1);
    flow__vchan_tx_publish(&r.tx, 1);
    assert_false(flow__vchan_tx_report(&r.tx));
    flow__vchan_rx_look(&r.rx, &n);
    flow__vchan_rx_take(&r.rx, 1);
    assert_false(flow__vchan_rx_report(&r.rx));

    /* The reader requests an event, the writer reports once. */
    assert_int_equal(flow__vchan_rx_arm(&r.rx, &n), FLOW_AGAIN);
    assert_int_equal(r.writer_notify, VCHAN_NOTIFY_WRITE);
    flow__vchan_tx_publish(&r.tx, SIZE - 1);
    flow__vchan_tx_publish(&r.tx, 1);
    assert_true(flow__vchan_tx_report(&r.tx));
    assert_int_equal(r.writer_notify, 0);
    assert_false(flow__vchan_tx_report(&r.tx));

    /* The writer requests an event; the other bit does not change. */
    r.reader_notify = VCHAN_NOTIFY_WRITE;
    assert_int_equal(flow__vchan_tx_arm(&r.tx, &n), FLOW_AGAIN);
    assert_int_equal(flow__vchan_rx_look(&r.rx, &n), FLOW_OK);
    flow__vchan_rx_take(&r.rx, 1);
    assert_true(flow__vchan_rx_report(&r.rx));
    assert_int_equal(r.reader_notify, VCHAN_NOTIFY_WRITE);
    assert_false(flow__vchan_rx_report(&r.rx));
}

static void
arming_finds_bytes_that_came_meanwhile(void **state)
{
    struct ring r;
    uint32_t n;

    (void)state;
    start(&r, 0);
    assert_int_equal(flow__vchan_rx_look(&r.rx, &n), FLOW_AGAIN);
    flow__vchan_tx_publish(&r.tx, 5);
    assert_int_equal(flow__vchan_rx_arm(&r.rx, &n), FLOW_OK);
    assert_int_equal(n, 5);
}

static void
the_end_comes_after_the_last_byte(void **state)
{
    struct ring r;
    uint8_t out[3];
    uint32_t n;

    (void)state;
    start(&r, UINT32_MAX);
    write_bytes(&r, "abc", 3);
    r.writer_live = VCHAN_LIVE_GONE;
    assert_int_equal(flow__vchan_rx_look(&r.rx, &n), FLOW_OK);
    assert_int_equal(n, 3);
    flow__vchan_rx_get(&r.rx, 0, out, 3);
    assert_memory_equal(out, "abc", 3);
    flow__vchan_rx_take(&r.rx, 3);
    assert_int_equal(flow__vchan_rx_look(&r.rx, &n), FLOW_EOF);
    /* A live byte that is set again after GONE is not loaded. */
    r.writer_live = VCHAN_LIVE_HERE;
    r.prod += 9;
    assert_int_equal(flow__vchan_rx_look(&r.rx, &n), FLOW_EOF);
    assert_int_equal(n, 0);
}

static void
writing_to_a_gone_reader_is_closed_at_once(void **state)
{
    struct ring r;
    uint32_t n;

    (void)state;
    start(&r, 0);
    r.reader_live = VCHAN_LIVE_GONE;
    assert_int_equal(flow__vchan_tx_look(&r.tx, &n), FLOW_E_CLOSED);
    assert_int_equal(n, 0);
    r.reader_live = VCHAN_LIVE_HERE;
    assert_int_equal(flow__vchan_tx_look(&r.tx, &n), FLOW_E_CLOSED);
}

static void
a_client_that_never_came_can_be_written_to(void **state)
{
    struct ring r;
    uint32_t n;

    (void)state;
    start(&r, 0);
    r.tx.live.seen = r.tx.live.max = VCHAN_LIVE_NEVER;
    r.reader_live = VCHAN_LIVE_NEVER;
    assert_int_equal(flow__vchan_tx_look(&r.tx, &n), FLOW_OK);
    /* Attached and closed between two looks. */
    r.reader_live = VCHAN_LIVE_GONE;
    assert_int_equal(flow__vchan_tx_look(&r.tx, &n), FLOW_E_CLOSED);
    assert_int_equal(r.tx.fault, VCHAN_FAULT_NONE);
}

/* Every producer that a reader may load, compared with the definition. */
static void
a_reader_accepts_exactly_the_producers_ahead(void **state)
{
    static const uint32_t starts[] = { 0, 5, UINT32_MAX - 700, 0x7fffff00 };
    struct ring r;
    uint32_t n;

    (void)state;
    for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
        for (uint32_t held = 0; held <= SIZE; held += 128) {
            for (int64_t move = -5000; move <= 5000; move++) {
                start(&r, starts[s]);
                r.prod += held;
                flow__vchan_rx_look(&r.rx, &n);
                r.prod = (uint32_t)(r.prod + move);
                flow__vchan_rx_look(&r.rx, &n);
                if (move < 0)
                    assert_int_not_equal(r.rx.fault, VCHAN_FAULT_NONE);
                else if (held + move > SIZE)
                    assert_int_equal(r.rx.fault, VCHAN_FAULT_PROD_RANGE);
                else
                    assert_int_equal(r.rx.fault, VCHAN_FAULT_NONE);
                assert_int_equal(n, r.rx.fault ? 0 : held + move);
            }
        }
    }
}

static void
a_writer_accepts_exactly_the_consumers_between(void **state)
{
    static const uint32_t starts[] = { 0, 5, UINT32_MAX - 700, 0x7fffff00 };
    struct ring r;
    uint32_t n;

    (void)state;
    for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
        for (uint32_t held = 0; held <= SIZE; held += 128) {
            for (int64_t move = -5000; move <= 5000; move++) {
                start(&r, starts[s]);
                flow__vchan_tx_publish(&r.tx, held);
                flow__vchan_tx_look(&r.tx, &n);
                r.cons = (uint32_t)(r.cons + move);
                flow__vchan_tx_look(&r.tx, &n);
                if (move < 0 || move > held)
                    assert_int_not_equal(r.tx.fault, VCHAN_FAULT_NONE);
                else
                    assert_int_equal(r.tx.fault, VCHAN_FAULT_NONE);
                assert_int_equal(
                    n, r.tx.fault ? 0 : (uint32_t)(SIZE - held + move));
            }
        }
    }
}

static void
faults_stay(void **state)
{
    struct ring r;
    uint32_t n;

    (void)state;
    start(&r, 0);
    r.prod = 0x80000000u;
    assert_int_equal(flow__vchan_rx_look(&r.rx, &n), FLOW_E_PROTO);
    r.prod = 5;
    assert_int_equal(flow__vchan_rx_look(&r.rx, &n), FLOW_E_PROTO);
    assert_int_equal(flow__vchan_rx_arm(&r.rx, &n), FLOW_E_PROTO);
    start(&r, 0);
    r.cons = 1;
    assert_int_equal(flow__vchan_tx_look(&r.tx, &n), FLOW_E_PROTO);
    r.cons = 0;
    assert_int_equal(flow__vchan_tx_arm(&r.tx, &n), FLOW_E_PROTO);
    assert_int_equal(r.tx.fault, VCHAN_FAULT_CONS_RANGE);
}

static void
own_indexes_are_never_read_back(void **state)
{
    struct ring r;
    uint8_t out[8];
    uint32_t n;

    (void)state;
    start(&r, 0);
    write_bytes(&r, "abcdefgh", 8);
    flow__vchan_rx_look(&r.rx, &n);
    flow__vchan_rx_take(&r.rx, 5);
    /* The writer moves the reader's own index back: no byte is delivered
     * twice. */
    r.cons = 2;
    assert_int_equal(flow__vchan_rx_look(&r.rx, &n), FLOW_OK);
    assert_int_equal(n, 3);
    flow__vchan_rx_get(&r.rx, 0, out, 3);
    assert_memory_equal(out, "fgh", 3);
    flow__vchan_rx_take(&r.rx, 3);
    assert_int_equal(r.cons, 8);
}

static void
live_bytes_move_forward_only(void **state)
{
    struct vchan_live live;
    uint8_t byte;

    (void)state;
    for (unsigned max = 1; max <= 2; max++) {
        for (unsigned seen = 0; seen <= max; seen++) {
            for (unsigned now = 0; now < 256; now++) {
                enum vchan_fault fault = VCHAN_FAULT_NONE;
                enum vchan_fault want = VCHAN_FAULT_NONE;
                uint8_t got;

                byte = (uint8_t)now;
                live =
                    (struct vchan_live){ &byte, (uint8_t)seen, (uint8_t)max };
                got = flow__vchan_live_look(&live, &fault);
                if (seen != 0 && now > max)
                    want = VCHAN_FAULT_LIVE_VALUE;
                else if (seen != 0 && now > seen)
                    want = VCHAN_FAULT_LIVE_BACK;
                assert_int_equal(fault, want);
                if (seen == 0 || want != VCHAN_FAULT_NONE)
                    assert_int_equal(got, VCHAN_LIVE_GONE);
                else
                    assert_int_equal(got, now);
            }
        }
    }
}

#if defined(__x86_64__) || defined(__i386__)
#define STORE_UNSEEN(p, v) __asm__ volatile("movb %1, (%0)" ::"r"(p), "q"(v))
#elif defined(__aarch64__)
#define STORE_UNSEEN(p, v) __asm__ volatile("strb %w1, [%0]" ::"r"(p), "r"(v))
#endif

#ifdef STORE_UNSEEN
/* Out of line, so that the compiler knows nothing about the ring. */
static __attribute__((noinline)) uint8_t
copy_then_change(uint8_t *ring, uint8_t value)
{
    uint8_t copy[4];

    flow__shm_get(copy, ring, sizeof(copy));
    /* As a peer does it: the compiler does not know that memory changes. */
    STORE_UNSEEN(ring, value);
    return copy[0];
}

static void
a_copy_is_not_loaded_from_the_ring_again(void **state)
{
    uint8_t ring[4] = { 1, 2, 3, 4 };

    (void)state;
    assert_int_equal(copy_then_change(ring, 9), 1);
    assert_int_equal(*(volatile uint8_t *)ring, 9);
}
#endif

static void
attaching_takes_over_the_indexes_of_the_page(void **state)
{
    struct ring r;
    uint32_t n;

    (void)state;
    start(&r, 0);
    r.prod = 0xfffffffe;
    r.cons = 0xfffffffe - SIZE;
    assert_true(flow__vchan_rx_attach(&r.rx));
    assert_true(flow__vchan_tx_attach(&r.tx));
    assert_int_equal(flow__vchan_rx_look(&r.rx, &n), FLOW_OK);
    assert_int_equal(n, SIZE);
    r.cons--;
    assert_false(flow__vchan_rx_attach(&r.rx));
    assert_int_equal(r.rx.fault, VCHAN_FAULT_INDEX);
    assert_false(flow__vchan_tx_attach(&r.tx));
    assert_int_equal(r.tx.fault, VCHAN_FAULT_INDEX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_in_order_across_the_wrap_of_ring_and_index),
        cmocka_unit_test(
            a_full_ring_is_legal_and_an_empty_one_has_room_for_all),
        cmocka_unit_test(events_are_sent_only_when_asked_for),
        cmocka_unit_test(arming_finds_bytes_that_came_meanwhile),
        cmocka_unit_test(the_end_comes_after_the_last_byte),
        cmocka_unit_test(writing_to_a_gone_reader_is_closed_at_once),
        cmocka_unit_test(a_client_that_never_came_can_be_written_to),
        cmocka_unit_test(a_reader_accepts_exactly_the_producers_ahead),
        cmocka_unit_test(a_writer_accepts_exactly_the_consumers_between),
        cmocka_unit_test(faults_stay),
        cmocka_unit_test(own_indexes_are_never_read_back),
        cmocka_unit_test(live_bytes_move_forward_only),
#ifdef STORE_UNSEEN
        cmocka_unit_test(a_copy_is_not_loaded_from_the_ring_again),
#endif
        cmocka_unit_test(attaching_takes_over_the_indexes_of_the_page),
    };

    return cmocka_run_group_tests_name("vchan: rings", tests, NULL, NULL);
}
