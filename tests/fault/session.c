/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "session.h"

static const uint64_t seeds[2] = { 0xa, 0xb };

static bool
over(enum flow_status st)
{
    return st != FLOW_AGAIN && st != FLOW_E_NOMEM;
}

/* A transient status is not a result. */
static void
note_failure(struct session_side *me, enum flow_status st, enum flow_dir dir)
{
    if (st < 0 && me->why.status == FLOW_OK)
        flow_get_error(me->f, dir, &me->why);
}

/* Make one step of a side; whether something changed. */
static bool
step_write(struct session_side *w, unsigned me)
{
    static uint8_t data[2][SESSION_BYTES];
    static bool made[2];
    struct flow_cvec vec;
    enum flow_status st;
    size_t n;

    if (!made[me])
        test_fill(data[me], SESSION_BYTES, seeds[me]);
    made[me] = true;
    if (w->sent == SESSION_BYTES) {
        st = flow_shutdown(w->f, FLOW_WRITE);
    } else {
        vec.base = data[me] + w->sent;
        vec.len = SESSION_BYTES - w->sent;
        st = flow_writev(w->f, &vec, 1, FLOW_FIN, &n);
        w->sent += n;
        if (st == FLOW_OK)
            return true;
    }
    if (!over(st))
        return st == FLOW_E_NOMEM;
    w->write = st;
    note_failure(w, st, FLOW_WRITE);
    return true;
}

static bool
step_read(struct session_side *r, unsigned other)
{
    uint8_t buf[256];
    enum flow_status st;
    size_t n;

    st = flow_read(r->f, buf, sizeof(buf), &n);
    test_check(buf, n, seeds[other], r->got);
    r->got += n;
    if (st == FLOW_OK)
        return true;
    if (!over(st))
        return st == FLOW_E_NOMEM;
    r->read = st;
    note_failure(r, st, FLOW_READ);
    return true;
}

static bool
step_side(struct session *s, unsigned me)
{
    struct session_side *w = &s->side[me];
    bool moved = false;

    if (w->closed)
        return false;
    if (w->open == FLOW_AGAIN) {
        w->open = flow_open(w->f);
        if (w->open < 0)
            w->read = w->write = w->open;
        note_failure(w, w->open, FLOW_READ);
        moved = w->open != FLOW_AGAIN;
    }
    if (w->open == FLOW_OK && !over(w->write))
        moved |= step_write(w, me);
    if (w->open == FLOW_OK && !over(w->read))
        moved |= step_read(w, 1 - me);
    /* A failed opening is final, whatever its status was. */
    if (w->open < 0 || (over(w->read) && over(w->write))) {
        flow_close(w->f);
        w->f = NULL;
        w->closed = true;
        if (me == 0)
            s->e.a = NULL;
        else
            s->e.b = NULL;
        moved = true;
    }
    return moved;
}

static uint32_t
interest_of(const struct session_side *w)
{
    uint32_t bits = 0;

    if (w->closed)
        return 0;
    if (w->open == FLOW_AGAIN)
        return FLOW_READY_OPEN;
    if (!over(w->write))
        bits |= w->sent == SESSION_BYTES ? FLOW_READY_FLUSH : FLOW_READY_WRITE;
    if (!over(w->read))
        bits |= FLOW_READY_READ;
    return bits;
}

void
session_run(struct session *s)
{
    unsigned i;

    for (i = 0; i < 2; i++) {
        memset(&s->side[i], 0, sizeof(s->side[i]));
        s->side[i].f = i == 0 ? s->e.a : s->e.b;
        s->side[i].open = s->side[i].read = s->side[i].write = FLOW_AGAIN;
    }
    while (!s->side[0].closed || !s->side[1].closed) {
        bool moved = step_side(s, 0);

        moved |= step_side(s, 1);
        if (!moved)
            step_wait(&s->e, interest_of(&s->side[0]),
                      interest_of(&s->side[1]));
    }
}

void
session_check_complete(const struct session *s)
{
    unsigned i;

    for (i = 0; i < 2; i++) {
        assert_status(s->side[i].open, FLOW_OK);
        assert_status(s->side[i].write, FLOW_OK);
        assert_status(s->side[i].read, FLOW_EOF);
        assert_int_equal(s->side[i].got, SESSION_BYTES);
    }
}

void
session_check_sound(const struct session *s)
{
    /* A crypto library of the system may forget that it was out of memory:
     * FLOW_E_SYS. */
    const uint32_t ends = STATUS_BIT(FLOW_EOF) | STATUS_BIT(FLOW_E_TRUNCATED) |
                          STATUS_BIT(FLOW_E_RESET) | STATUS_BIT(FLOW_E_CLOSED) |
                          STATUS_BIT(FLOW_E_PROTO) | STATUS_BIT(FLOW_E_AUTH) |
                          STATUS_BIT(FLOW_E_NOMEM) | STATUS_BIT(FLOW_E_SYS);
    unsigned i;

    for (i = 0; i < 2; i++) {
        const struct session_side *me = &s->side[i], *other = &s->side[1 - i];

        assert_status_in(me->read, ends);
        assert_status_in(me->write, STATUS_BIT(FLOW_OK) | ends);
        assert_true(me->got <= other->sent);
        /* An orderly end means that all bytes arrived and that the peer
         * ended. */
        if (me->read == FLOW_EOF) {
            assert_int_equal(me->got, SESSION_BYTES);
            assert_int_equal(other->sent, SESSION_BYTES);
        }
    }
}
