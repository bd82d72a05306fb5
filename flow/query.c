/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/buf.h>

#include "flow/core.h"
#include "lib/atomic.h"
#include "lib/checked.h"

/*
 * Questions about a flow: the core answers for the whole stack, asks the layer,
 * or passes the key to the flow below, by the range of the key.
 *
 * Invariant: a key about security is never passed below a confidential layer
 * (C64), so nothing is taken for a fact about the outermost security layer that
 * an inner one answers.
 *
 * Locks: none; what a layer keeps of itself it guards itself.
 */

/* Longest description of one layer, and of a stack. */
#define QUERY_LAYER_TEXT 160
#define QUERY_STACK_TEXT 512

/* Whether a key is in the range that must not pass a confidential layer (C64):
 * what an outer layer knows of security says nothing about an inner one. */
static bool
query_is_about_security(enum flow_query_key key)
{
    return key >= FLOW_QUERY_SECURITY && key <= FLOW_QUERY_SECURITY_LAST;
}

static bool
query_is_confidential_layer(const struct flow *f)
{
    return (f->caps & FLOW_CAP_CONFIDENTIAL) != 0 &&
           (f->caps & FLOW_CAP_FILTER) == 0;
}

/* What one layer says itself. */
static enum flow_status
query_ask_layer(struct flow *f, enum flow_query_key key, void *buf, size_t *len)
{
    if (f->ops->query == NULL)
        return FLOW_E_NOTSUP;
    return f->ops->query(f, key, buf, len);
}

/* "tls over tcp 127.0.0.1:443" */
static enum flow_status
query_describe(struct flow *f, void *buf, size_t *len)
{
    char text[QUERY_STACK_TEXT] = "";
    char layer[QUERY_LAYER_TEXT];
    const char *part;
    size_t at = 0, size;

    for (; f != NULL; f = f->lower) {
        size = sizeof(layer);
        part = f->ops->name;
        if (query_ask_layer(f, FLOW_QUERY_DESCRIPTION, layer, &size) == FLOW_OK)
            part = layer;
        size = strlen(part);
        if (at + size + sizeof(" over ") > sizeof(text))
            break;
        memcpy(text + at, part, size);
        at += size;
        if (f->lower != NULL) {
            memcpy(text + at, " over ", 6);
            at += 6;
        }
    }
    text[at] = '\0';
    return flow_answer_string(buf, len, text);
}

/* Of one layer, besides its own answer. */
static size_t
query_records_of(const struct flow *f)
{
    size_t count = (flow__load(&f->error[0]) != NULL ? 1u : 0u) +
                   (flow__load(&f->error[1]) != NULL ? 1u : 0u);

    return count * sizeof(struct flow_error);
}

/* The sum over the stack; a layer without an answer adds 0. */
static enum flow_status
query_add_footprints(struct flow *f, void *buf, size_t *len)
{
    size_t total = 0, part, size;

    for (; f != NULL; f = f->lower) {
        size = sizeof(part);
        if (query_ask_layer(f, FLOW_QUERY_FOOTPRINT, &part, &size) != FLOW_OK)
            part = 0;
        if (!flow__checked_add(part, query_records_of(f), &part) ||
            !flow__checked_add(total, part, &total))
            return FLOW_E_INVAL;
    }
    return flow_answer(buf, len, &total, sizeof(total));
}

static enum flow_status
query_compose_hints(struct flow *f, struct flow_buf_hints *hints)
{
    struct flow_buf_hints part;
    size_t size = sizeof(part);
    enum flow_status st;

    if (f == NULL) {
        flow_buf_hints_init(hints);
        return FLOW_OK;
    }
    /* From the bottom up: the depth of a stack is small. */
    st = query_compose_hints(f->lower, hints);
    if (st != FLOW_OK ||
        query_ask_layer(f, FLOW_QUERY_BUF_HINTS, &part, &size) != FLOW_OK)
        return st;
    return flow_buf_compose(hints, &part);
}

static enum flow_status
query_answer_hints(struct flow *f, void *buf, size_t *len)
{
    struct flow_buf_hints hints;
    enum flow_status st = query_compose_hints(f, &hints);

    if (st != FLOW_OK)
        return st;
    return flow_answer(buf, len, &hints, sizeof(hints));
}

/* An end that a filter hands on is as good as that of the flow below, which may
 * be worse than its capabilities promise: a cut that TLS tolerates. */
static enum flow_end
query_end_below(struct flow *lower, enum flow_dir dir)
{
    enum flow_query_key key =
        dir == FLOW_READ ? FLOW_QUERY_END_READ : FLOW_QUERY_END_WRITE;
    uint32_t end = FLOW_END_NONE;
    size_t size = sizeof(end);

    if (flow_query(lower, key, &end, &size) != FLOW_OK || end == FLOW_END_NONE)
        return FLOW_END_GONE;
    return (enum flow_end)end;
}

/* The quality of an end that came in order. */
static enum flow_end
query_orderly(const struct flow *f, enum flow_dir dir)
{
    if ((f->caps & FLOW_CAP_FILTER) != 0 && f->lower != NULL)
        return query_end_below(f->lower, dir);
    if ((f->caps & FLOW_CAP_AUTHENTICATED_END) != 0)
        return FLOW_END_AUTHENTICATED;
    if ((f->caps & FLOW_CAP_ORDERLY_END) != 0)
        return FLOW_END_ORDERLY;
    return FLOW_END_GONE;
}

static enum flow_end
query_end_of(const struct flow *f, enum flow_dir dir)
{
    enum flow_status st = flow__state(f, dir);

    if (dir == FLOW_WRITE && flow__load(&f->ended) != 0)
        return query_orderly(f, dir);
    /* Our own flow_shutdown() says nothing about the peer. */
    if (dir == FLOW_READ && flow__load(&f->shut) != 0)
        st = (enum flow_status)flow__load(&f->input_end);
    if (st == FLOW_OK)
        return FLOW_END_NONE;
    return st == FLOW_EOF ? query_orderly(f, dir) : FLOW_END_GONE;
}

/* A layer may know a better or a worse end than its status tells.  But a
 * direction that has failed has ended, whatever the layer saw of it: an abort
 * does not go through it (C30). */
static enum flow_status
query_answer_end(struct flow *f, enum flow_query_key key, void *buf,
                 size_t *len)
{
    enum flow_dir dir = key == FLOW_QUERY_END_READ ? FLOW_READ : FLOW_WRITE;
    uint32_t end = FLOW_END_NONE;
    size_t size = sizeof(end);
    enum flow_status st = query_ask_layer(f, key, &end, &size);

    if (st == FLOW_E_NOTSUP)
        end = (uint32_t)query_end_of(f, dir);
    else if (st != FLOW_OK)
        return st;
    else if (end == FLOW_END_NONE && flow__state(f, dir) < 0)
        end = FLOW_END_GONE;
    return flow_answer(buf, len, &end, sizeof(end));
}

/* What the core knows of one layer; FLOW_E_NOTSUP: ask below. */
static enum flow_status
query_ask_core(struct flow *f, enum flow_query_key key, void *buf, size_t *len)
{
    if (key != FLOW_QUERY_LOWER || f->lower == NULL)
        return FLOW_E_NOTSUP;
    return flow_answer(buf, len, &f->lower, sizeof(f->lower));
}

/* See <flow/flow.h>. */
enum flow_status
flow_query(struct flow *f, enum flow_query_key key, void *buf, size_t *len)
{
    size_t cap = *len;
    enum flow_status st = FLOW_E_NOTSUP;

    if (key == FLOW_QUERY_DESCRIPTION)
        return query_describe(f, buf, len);
    if (key == FLOW_QUERY_FOOTPRINT)
        return query_add_footprints(f, buf, len);
    if (key == FLOW_QUERY_BUF_HINTS)
        return query_answer_hints(f, buf, len);
    if (key == FLOW_QUERY_END_READ || key == FLOW_QUERY_END_WRITE)
        return query_answer_end(f, key, buf, len);
    for (; f != NULL && st == FLOW_E_NOTSUP; f = f->lower) {
        *len = cap;
        st = query_ask_layer(f, key, buf, len);
        if (st == FLOW_E_NOTSUP)
            st = query_ask_core(f, key, buf, len);
        if (query_is_about_security(key) && query_is_confidential_layer(f))
            break;
    }
    return st;
}

/* The same for a setting. */
static bool
query_sets_security(enum flow_control_key key)
{
    return key >= FLOW_CONTROL_SECURITY && key <= FLOW_CONTROL_SECURITY_LAST;
}

/* See <flow/flow.h>. */
enum flow_status
flow_control(struct flow *f, enum flow_control_key key, int64_t value)
{
    enum flow_status st = FLOW_E_NOTSUP;

    flow__used(f);
    for (; f != NULL && st == FLOW_E_NOTSUP; f = f->lower) {
        if (f->ops->control != NULL)
            st = f->ops->control(f, key, value);
        if (query_sets_security(key) && query_is_confidential_layer(f))
            break;
    }
    return st;
}

/* See <flow/backend.h>. */
enum flow_status
flow_answer(void *buf, size_t *len, const void *data, size_t size)
{
    size_t cap = *len;

    *len = size;
    if (buf == NULL)
        return FLOW_OK;
    if (cap < size)
        return FLOW_E_INVAL;
    if (size > 0)
        memcpy(buf, data, size);
    return FLOW_OK;
}

/* See <flow/backend.h>. */
enum flow_status
flow_answer_string(void *buf, size_t *len, const char *text)
{
    return flow_answer(buf, len, text, strlen(text) + 1);
}
