/* SPDX-License-Identifier: ISC */
/*
 * Every schedule of one writer and one reader over rings of 1, 2 and 4 bytes.
 *
 * The two sides run the ring code as it ships, built with explore_shm.h.  A
 * side is a deterministic function of what its loads return, so a step is
 * taken by running the function again from the start of its current call,
 * answering from the log of earlier steps, until it asks for one more.  No
 * stack is saved, and a state is plain bytes that can be compared.
 *
 * Memory is weaker than any machine the library runs on: stores, and atomic
 * operations whose result is unused, sit in a buffer of their side and reach
 * memory in any order, except that a release store waits for everything before
 * it and two accesses to one place keep their order.  A fence and an event wait
 * until the buffer is empty.
 *
 * In every state: each byte read is the next byte written.  In every final
 * state: no thread sleeps, every published byte was read, both sides ended.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backends/vchan/ring.h"
#include "explore_seen.h"
#include "explore_shm.h"

#define BYTE(i) ((uint8_t)(0x41 + (i)))

/* The indexes start here, so that every longer run passes 2^32. */
#define START 0xfffffffeu

enum { WRITER, READER };

enum mutant {
    NONE,
    NO_REQUEST_FENCE, /* between setting the bit and looking again */
    NO_REPORT_FENCE,  /* between storing the index and clearing the bit */
    NO_RECHECK,       /* sleeps without looking again */
    NO_END_RECHECK,   /* an empty ring and a gone peer are the end */
    NO_RELEASE,       /* index may be seen before the bytes */
};

struct plan {
    uint8_t ring;
    uint8_t total;
    uint8_t write_max;
    uint8_t read_max;
    int8_t reader_stops; /* number of bytes; -1: never */
    bool crashes;        /* either side may die at any step */
    enum mutant mutant;
};

/* The addresses the sides use; the contents live in the state. */
static struct memory place;

static struct plan plan;
static struct state *now;
static int who;
static unsigned step_at;
static jmp_buf asked;
static struct store request;

static uint64_t states;
static uint64_t wakes;
static const char *broken;

static void
fail_with(const char *what)
{
    if (broken == NULL)
        broken = what;
}

uint32_t
explore_step(enum explore_kind kind, const void *p, uint8_t width,
             uint32_t value)
{
    struct side *s = &now->side[who];

    if (step_at < s->logged)
        return s->log[step_at++];
    request.off = 0;
    if (p != NULL)
        request.off = (uint8_t)((const char *)p - (const char *)&place);
    request.width = width;
    request.kind = (uint8_t)kind;
    request.value = value;
    longjmp(asked, 1);
}

static void
send_event(void)
{
    explore_step(EXPLORE_EVENT, NULL, 0, 0);
}

static void
leave(uint8_t *live)
{
    flow__shm_store8(live, VCHAN_LIVE_GONE);
    flow__shm_fence();
    send_event();
}

/* One call of the writer: everything between two of them is in *w. */
static enum phase
writer_call(struct writer *w)
{
    uint8_t byte;
    uint32_t room;
    uint32_t n;
    enum flow_status st;

    if (w->sent == plan.total) {
        leave(&place.writer_live);
        return DONE;
    }
    st = flow__vchan_tx_look(&w->tx, &room);
    if (st == FLOW_AGAIN)
        st = flow__vchan_tx_arm(&w->tx, &room);
    if (st == FLOW_AGAIN)
        return SLEEP;
    if (st == FLOW_E_CLOSED) {
        w->closed = 1;
        return DONE;
    }
    if (st != FLOW_OK)
        fail_with("writer: fault between honest sides");

    n = (uint32_t)(plan.total - w->sent);
    n = n < plan.write_max ? n : plan.write_max;
    n = n < room ? n : room;
    /* In parts, with one report for all of them. */
    for (uint32_t i = 0; i < n; i++) {
        byte = BYTE(w->sent);
        flow__vchan_tx_put(&w->tx, 0, &byte, 1);
        flow__vchan_tx_publish(&w->tx, 1);
        w->sent++;
    }
    if (flow__vchan_tx_report(&w->tx))
        send_event();
    return RUN;
}

static enum phase
reader_call(struct reader *r)
{
    uint8_t byte;
    uint32_t avail;
    uint32_t n;
    enum flow_status st;

    if (plan.reader_stops >= 0 && r->got >= plan.reader_stops) {
        leave(&place.reader_live);
        return DONE;
    }
    st = flow__vchan_rx_look(&r->rx, &avail);
    if (st == FLOW_AGAIN)
        st = flow__vchan_rx_arm(&r->rx, &avail);
    if (st == FLOW_AGAIN)
        return SLEEP;
    if (st == FLOW_EOF) {
        r->eof = 1;
        return DONE;
    }
    if (st != FLOW_OK)
        fail_with("reader: fault between honest sides");

    n = avail < plan.read_max ? avail : plan.read_max;
    for (uint32_t i = 0; i < n; i++) {
        flow__vchan_rx_get(&r->rx, 0, &byte, 1);
        if (byte != BYTE(r->got))
            fail_with("reader: a byte that was not the next one");
        flow__vchan_rx_take(&r->rx, 1);
        r->got++;
    }
    if (flow__vchan_rx_report(&r->rx))
        send_event();
    return RUN;
}

/*
 * Runs a side up to its next unanswered step.  True when there is one, in
 * `request`; false when the call returned and its effects are in `now`.
 */
static bool
run_side(int side)
{
    static struct writer w;
    static struct reader r;
    struct side *s = &now->side[side];
    enum phase phase;

    w = now->writer;
    r = now->reader;
    who = side;
    step_at = 0;
    if (setjmp(asked) != 0)
        return true; /* changes of the unfinished call are repeated */
    phase = side == WRITER ? writer_call(&w) : reader_call(&r);
    now->writer = w;
    now->reader = r;
    s = &now->side[who];
    s->phase = (uint8_t)phase;
    s->logged = 0;
    s->last_kind = EXPLORE_LOAD;
    s->last_width = 0;
    s->last_value = 0;
    s->stale = 0;
    memset(s->log, 0, sizeof(s->log));
    return false;
}

static uint32_t
memory_read(const struct memory *m, uint8_t off, uint8_t width)
{
    uint32_t word;

    if (width == 1)
        return ((const uint8_t *)m)[off];
    memcpy(&word, (const char *)m + off, sizeof(word));
    return word;
}

static void
memory_apply(struct memory *m, const struct store *st)
{
    uint8_t *byte = (uint8_t *)m + st->off;

    if (st->kind == EXPLORE_SET)
        *byte |= (uint8_t)st->value;
    else if (st->kind == EXPLORE_CLEAR)
        *byte &= (uint8_t)~st->value;
    else if (st->width == 1)
        *byte = (uint8_t)st->value;
    else
        memcpy(byte, &st->value, sizeof(st->value));
}

/* Whether buffered store i of s may reach memory before the earlier ones. */
static bool
may_drain(const struct side *s, unsigned i)
{
    if (s->store[i].kind == EXPLORE_STORE_RELEASE)
        return i == 0;
    for (unsigned j = 0; j < i; j++)
        if (s->store[j].off == s->store[i].off)
            return false;
    return true;
}

static void
drain(struct state *st, int side, unsigned i)
{
    struct side *s = &st->side[side];

    memory_apply(&st->mem, &s->store[i]);
    s->stores--;
    memmove(&s->store[i], &s->store[i + 1],
            (s->stores - i) * sizeof(s->store[0]));
    memset(&s->store[s->stores], 0, sizeof(s->store[0]));
}

/* The newest buffered store to a place, or NULL. */
static const struct store *
buffered(const struct side *s, uint8_t off)
{
    for (unsigned i = s->stores; i > 0; i--)
        if (s->store[i - 1].off == off)
            return &s->store[i - 1];
    return NULL;
}

static bool
fence_removed(const struct side *s)
{
    if (plan.mutant == NO_REQUEST_FENCE)
        return s->last_kind == EXPLORE_SET;
    if (plan.mutant == NO_REPORT_FENCE)
        return s->last_kind == EXPLORE_STORE_RELEASE && s->last_width == 4;
    return false;
}

static bool
load_is_stale(const struct side *s)
{
    if (plan.mutant == NO_RECHECK)
        return s->stale != 0;
    /* Whether this load is that of the index right after a live byte of
     * GONE. */
    return plan.mutant == NO_END_RECHECK && request.width == 4 &&
           s->last_kind == EXPLORE_LOAD && s->last_width == 1 &&
           s->last_value == VCHAN_LIVE_GONE;
}

static bool
is_index(uint8_t off)
{
    return off < offsetof(struct memory, writer_live);
}

static uint32_t
load(struct state *st, struct side *s)
{
    const struct store *own = buffered(s, request.off);
    bool live = request.off == offsetof(struct memory, writer_live) ||
                request.off == offsetof(struct memory, reader_live);
    uint32_t value = own != NULL
                         ? own->value
                         : memory_read(&st->mem, request.off, request.width);

    if (plan.mutant == NONE)
        return value;
    if (is_index(request.off)) {
        value = load_is_stale(s) ? s->seen_index : value;
        s->seen_index = value;
    } else if (live) {
        value = load_is_stale(s) ? s->seen_live : value;
        s->seen_live = (uint8_t)value;
    }
    return value;
}

/* Takes the requested step; false when it must wait for buffered stores. */
static bool
take_step(struct state *st, int side)
{
    struct side *s = &st->side[side];
    const struct store *own = buffered(s, request.off);
    uint32_t value = 0;

    switch ((enum explore_kind)request.kind) {
    case EXPLORE_LOAD:
        if (own != NULL &&
            (own->kind == EXPLORE_SET || own->kind == EXPLORE_CLEAR))
            return false;
        value = load(st, s);
        break;
    case EXPLORE_FENCE:
        if (s->stores > 0 && !fence_removed(s))
            return false;
        break;
    case EXPLORE_EVENT:
        if (s->stores > 0)
            return false;
        st->side[!side].pending = 1;
        break;
    case EXPLORE_STORE_RELEASE:
        if (plan.mutant == NO_RELEASE && request.width == 4)
            request.kind = EXPLORE_STORE;
        s->store[s->stores++] = request;
        break;
    case EXPLORE_STORE:
    case EXPLORE_SET:
    case EXPLORE_CLEAR:
        s->store[s->stores++] = request;
        break;
    }
    if (s->stores == STORE_MAX || s->logged == LOG_MAX)
        abort();
    s->log[s->logged++] = value;
    if (plan.mutant == NONE)
        return true;
    if (request.kind == EXPLORE_SET)
        s->stale = 1;
    s->last_kind = request.kind;
    s->last_width = request.width;
    s->last_value = (uint8_t)value;
    return true;
}

static struct state *todo;
static size_t todo_count;
static size_t todo_size;

static void
visit(const struct state *st)
{
    if (!explore_seen_add(st))
        return;
    if (todo_count == todo_size) {
        todo_size = todo_size == 0 ? 256 : todo_size * 2;
        todo = realloc(todo, todo_size * sizeof(*todo));
        assert_non_null(todo);
    }
    todo[todo_count++] = *st;
    states++;
}

/* A dead side's kernel clears its live byte, then sends the event. */
static void
kernel_step(struct state *st, int side)
{
    if (st->owed[side]-- == 2) {
        uint8_t *live =
            side == WRITER ? &st->mem.writer_live : &st->mem.reader_live;
        *live = VCHAN_LIVE_GONE;
    } else {
        st->side[!side].pending = 1;
    }
}

static void
kill_side(struct state *st, int side)
{
    struct side *s = &st->side[side];

    s->phase = DEAD;
    s->logged = 0;
    memset(s->log, 0, sizeof(s->log));
    st->owed[side] = 2;
}

/* Visits the states that a side can reach in one step; returns their number. */
static unsigned
expand_side(const struct state *from, int side)
{
    const struct side *s = &from->side[side];
    struct state next;
    unsigned found = 0;

    for (unsigned i = 0; i < s->stores; i++) {
        if (!may_drain(s, i))
            continue;
        next = *from;
        drain(&next, side, i);
        visit(&next);
        found++;
    }
    if (s->phase == RUN) {
        next = *from;
        now = &next;
        if (!run_side(side) || take_step(&next, side)) {
            visit(&next);
            found++;
        }
    } else if (s->phase == SLEEP && s->pending) {
        next = *from;
        next.side[side].phase = RUN;
        next.side[side].pending = 0;
        wakes++;
        visit(&next);
        found++;
    } else if (s->phase == DEAD && from->owed[side] > 0 && s->stores == 0) {
        next = *from;
        kernel_step(&next, side);
        visit(&next);
        found++;
    }
    if (plan.crashes && (s->phase == RUN || s->phase == SLEEP)) {
        next = *from;
        kill_side(&next, side);
        visit(&next);
    }
    return found;
}

static void
check_final(const struct state *st)
{
    const struct reader *r = &st->reader;

    for (int side = 0; side < 2; side++)
        if (st->side[side].phase == SLEEP || st->side[side].phase == RUN)
            fail_with("a side sleeps for ever: lost wake-up");
    if (r->eof && r->got != st->mem.prod - START)
        fail_with("end of stream before the last byte");
    if (st->writer.closed && st->mem.reader_live != VCHAN_LIVE_GONE)
        fail_with("closed while the reader is there");
}

static void
start(struct state *st)
{
    memset(st, 0, sizeof(*st));
    st->mem.prod = st->mem.cons = START;
    st->mem.writer_live = st->mem.reader_live = VCHAN_LIVE_HERE;
    st->mem.writer_notify = VCHAN_NOTIFY_WRITE;
    st->side[WRITER].seen_index = st->side[READER].seen_index = START;
    st->side[WRITER].seen_live = st->side[READER].seen_live = VCHAN_LIVE_HERE;

    st->writer.tx = (struct vchan_tx){
        .data = place.data,
        .size = plan.ring,
        .shr_prod = &place.prod,
        .shr_cons = &place.cons,
        .notify = { .peer = &place.reader_notify, .own = &place.writer_notify },
        .live = { .byte = &place.reader_live,
                  .seen = VCHAN_LIVE_HERE,
                  .max = VCHAN_LIVE_HERE },
        .prod = START,
        .cons = START,
    };
    st->reader.rx = (struct vchan_rx){
        .data = place.data,
        .size = plan.ring,
        .shr_prod = &place.prod,
        .shr_cons = &place.cons,
        .notify = { .peer = &place.writer_notify, .own = &place.reader_notify },
        .live = { .byte = &place.writer_live,
                  .seen = VCHAN_LIVE_HERE,
                  .max = VCHAN_LIVE_HERE },
        .prod = START,
        .cons = START,
    };
}

/* Explores one plan; NULL, or the text of the failure. */
static const char *
explore(struct plan p)
{
    struct state st;

    plan = p;
    broken = NULL;
    todo_count = 0;
    explore_seen_clear();
    start(&st);
    visit(&st);
    while (todo_count > 0 && broken == NULL) {
        st = todo[--todo_count];
        if (expand_side(&st, WRITER) + expand_side(&st, READER) == 0)
            check_final(&st);
    }
    return broken;
}

/*
 * Calls explore() for every plan of a mutant; returns the first failure, or
 * NULL.  If a side may die at every step, plans that stop a side are not
 * needed.
 */
static const char *
explore_all(enum mutant mutant, bool crashes)
{
    static const uint8_t ring[] = { 1, 2, 4 };
    static const uint8_t most[] = { 1, 2, 4 };
    const char *found = NULL;

    for (unsigned c = 0; c < 27 && found == NULL; c++)
        for (uint8_t total = 0; total <= 4 && found == NULL; total++) {
            int8_t last = crashes ? -1 : (int8_t)total;

            for (int8_t stops = -1; stops <= last && found == NULL; stops++)
                found = explore((struct plan){
                    .ring = ring[c % 3],
                    .write_max = most[c / 3 % 3],
                    .read_max = most[c / 9],
                    .total = total,
                    .reader_stops = stops,
                    .crashes = crashes,
                    .mutant = mutant,
                });
        }
    return found;
}

static void
expect_sound(bool crashes)
{
    const char *found;

    states = wakes = 0;
    found = explore_all(NONE, crashes);
    if (found != NULL)
        fail_msg("ring %u, total %u, write %u, read %u, reader stops %d: %s",
                 plan.ring, plan.total, plan.write_max, plan.read_max,
                 plan.reader_stops, found);
    print_message("%llu states, %llu wake-ups\n", (unsigned long long)states,
                  (unsigned long long)wakes);
    assert_true(wakes > 1000);
}

static void
no_schedule_loses_a_wakeup_or_a_byte(void **state)
{
    (void)state;
    expect_sound(false);
}

static void
no_schedule_with_an_exit_does(void **state)
{
    (void)state;
    expect_sound(true);
}

static void
expect_caught(enum mutant mutant, const char *what)
{
    const char *found = explore_all(mutant, false);

    assert_non_null(found);
    assert_string_equal(found, what);
}

static void
sleeping_without_looking_again_is_caught(void **state)
{
    (void)state;
    expect_caught(NO_RECHECK, "a side sleeps for ever: lost wake-up");
}

static void
request_without_barrier_is_caught(void **state)
{
    (void)state;
    expect_caught(NO_REQUEST_FENCE, "a side sleeps for ever: lost wake-up");
}

static void
report_without_barrier_is_caught(void **state)
{
    (void)state;
    expect_caught(NO_REPORT_FENCE, "a side sleeps for ever: lost wake-up");
}

static void
end_without_looking_again_is_caught(void **state)
{
    (void)state;
    expect_caught(NO_END_RECHECK, "end of stream before the last byte");
}

static void
index_before_bytes_is_caught(void **state)
{
    (void)state;
    expect_caught(NO_RELEASE, "reader: a byte that was not the next one");
}

static int
release(void **state)
{
    (void)state;
    explore_seen_free();
    free(todo);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_schedule_loses_a_wakeup_or_a_byte),
        cmocka_unit_test(no_schedule_with_an_exit_does),
        cmocka_unit_test(sleeping_without_looking_again_is_caught),
        cmocka_unit_test(request_without_barrier_is_caught),
        cmocka_unit_test(report_without_barrier_is_caught),
        cmocka_unit_test(end_without_looking_again_is_caught),
        cmocka_unit_test(index_before_bytes_is_caught),
    };

    return cmocka_run_group_tests_name("vchan: every schedule", tests, NULL,
                                       release);
}
