/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "test.h"

/* Type, version, length; RFC 8446 5.1. */
#define HEADER 5u
/* Level and description, inner type, tag of 16; in TLS 1.3. */
#define ALERT_RECORD 19u
/* Message header of 4, request, inner type, tag. */
#define KEY_UPDATE_RECORD 22u

static struct tap *
tap_of(struct flow *f)
{
    return (struct tap *)(void *)f;
}

static unsigned
index_of(enum flow_dir dir)
{
    return dir == FLOW_READ ? 0 : 1;
}

static void
wire_append(struct wire *w, const struct flow_cvec *vec, size_t count,
            size_t len)
{
    if (w == NULL)
        return;
    if (w->cap - w->len < len) {
        w->cap = (w->len + len) * 2;
        w->data = realloc(w->data, w->cap);
        assert_non_null(w->data);
    }
    w->len += flow_cvec_get(vec, count, 0, w->data + w->len, len);
}

/* The answer of a direction after its last allowed byte. */
static enum flow_status
tap_beyond(struct tap *t, enum flow_dir dir)
{
    enum flow_status st = t->beyond[index_of(dir)];

    if (st >= 0)
        return st;
    return flow_fail(&t->base, dir, st, FLOW_DOMAIN_NONE, 0, "cut by the test");
}

static enum flow_status
tap_readv(struct flow *f, const struct flow_vec *vec, size_t count,
          size_t *ret_len)
{
    struct tap *t = tap_of(f);
    struct flow_vec part[64];
    uint64_t left = t->gate[0];
    enum flow_status st;
    size_t i;

    *ret_len = 0;
    if (left == 0)
        return tap_beyond(t, FLOW_READ);
    for (i = 0; i < count && i < 64 && left > 0; i++) {
        part[i] = vec[i];
        if (part[i].len > left)
            part[i].len = (size_t)left;
        left -= part[i].len;
    }
    st = flow_readv(f->lower, part, i, ret_len);
    if (st < 0)
        return flow_fail_lower(f, FLOW_READ, FLOW_READ, st);
    if (t->gate[0] != TAP_OPEN)
        t->gate[0] -= *ret_len;
    return st;
}

static enum flow_status
tap_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
           uint32_t flags, size_t *ret_len)
{
    struct tap *t = tap_of(f);
    struct flow_cvec part[64];
    uint64_t left = t->gate[1];
    enum flow_status st;
    size_t i;

    *ret_len = 0;
    if (left == 0)
        return tap_beyond(t, FLOW_WRITE);
    for (i = 0; i < count && i < 64 && left > 0; i++) {
        part[i] = vec[i];
        if (part[i].len > left)
            part[i].len = (size_t)left;
        left -= part[i].len;
    }
    if (count > t->gathered)
        t->gathered = (unsigned)count;
    st = flow_writev(f->lower, part, i, flags, ret_len);
    if (st < 0)
        return flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE, st);
    wire_append(t->wire, part, i, *ret_len);
    if (t->gate[1] != TAP_OPEN)
        t->gate[1] -= *ret_len;
    return st;
}

static enum flow_status
tap_shutdown(struct flow *f, enum flow_dir dir)
{
    struct tap *t = tap_of(f);
    enum flow_status st;

    if (dir == FLOW_READ)
        return FLOW_OK;
    st = flow_shutdown(f->lower, FLOW_WRITE);
    if (st < 0)
        return flow_fail_lower(f, FLOW_WRITE, FLOW_WRITE, st);
    if (st == FLOW_OK && t->wire != NULL)
        t->wire->shutdowns++;
    return st;
}

static uint32_t
tap_wait(struct flow *f, uint32_t interest, struct flow_wait_set *set)
{
    struct tap *t = tap_of(f);
    uint32_t sequence = flow_event_sequence(&t->changed);
    uint32_t held = 0;
    uint32_t ready = 0;

    if (t->gate[0] == 0)
        held |= FLOW_READY_READ;
    if (t->gate[1] == 0)
        held |= FLOW_READY_WRITE;
    if (t->gate[0] == 0 && t->beyond[0] != FLOW_AGAIN)
        ready |= FLOW_READY_READ;
    if (t->gate[1] == 0 && t->beyond[1] != FLOW_AGAIN)
        ready |= FLOW_READY_WRITE;
    ready &= interest;
    if (ready != 0)
        return ready;
    if ((interest & ~held) != 0)
        ready = flow_wait_sources(f->lower, interest & ~held, set);
    if (ready == 0)
        flow_wait_add_event(set, &t->changed, sequence);
    return ready;
}

static void
tap_close(struct flow *f)
{
    struct tap *t = tap_of(f);

    if (t->wire != NULL)
        t->wire->closes++;
    flow_event_fini(&t->changed);
    flow_base_fini(f);
    free(t);
}

static const struct flow_ops tap_ops = {
    .version = FLOW_OPS_VERSION,
    .name = "tap",
    .readv = tap_readv,
    .writev = tap_writev,
    .shutdown = tap_shutdown,
    .wait = tap_wait,
    .close = tap_close,
};

struct flow *
tap_wrap(struct flow *lower, struct wire *wire, struct tap **ret_tap)
{
    struct tap *t = calloc(1, sizeof(*t));

    assert_non_null(t);
    t->wire = wire;
    t->gate[0] = t->gate[1] = TAP_OPEN;
    t->beyond[0] = t->beyond[1] = FLOW_AGAIN;
    flow_event_init(&t->changed);
    assert_int_equal(
        flow_base_wrap(&t->base, &tap_ops, lower, true,
                       flow_caps_forward(flow_caps(lower)) & ~FLOW_CAP_DETACH),
        FLOW_OK);
    if (ret_tap != NULL)
        *ret_tap = t;
    return &t->base;
}

void
tap_cut(struct tap *t, enum flow_dir dir, uint64_t bytes,
        enum flow_status status)
{
    t->gate[index_of(dir)] = bytes;
    t->beyond[index_of(dir)] = status;
    flow_event_signal(&t->changed);
}

void
tap_gate(struct tap *t, enum flow_dir dir, uint64_t bytes)
{
    tap_cut(t, dir, bytes, FLOW_AGAIN);
}

void
wire_free(struct wire *w)
{
    free(w->data);
    memset(w, 0, sizeof(*w));
}

static void
count_record(struct records *r, uint8_t type, size_t len)
{
    r->total++;
    if (len > r->largest)
        r->largest = len;
    if (type == 20)
        r->ccs++;
    else if (type == 21)
        r->alert++;
    else if (type == 22)
        r->handshake++;
    else if (type == 23)
        r->data++;
    if (type == 23 && len == ALERT_RECORD)
        r->alert_sized++;
    if (type == 23 && len == KEY_UPDATE_RECORD)
        r->key_update++;
}

void
wire_records(const struct wire *w, size_t off, struct records *ret)
{
    memset(ret, 0, sizeof(*ret));
    while (w->len - off >= HEADER) {
        const uint8_t *h = w->data + off;
        size_t len = (size_t)h[3] << 8 | h[4];

        if (w->len - off - HEADER < len)
            break;
        count_record(ret, h[0], len);
        off += HEADER + len;
    }
    ret->rest = w->len - off;
}

unsigned
wire_close_notifies(const struct wire *w, size_t off, uint32_t version)
{
    struct records r;

    wire_records(w, off, &r);
    return version == 0x0303 ? r.alert : r.alert_sized;
}
