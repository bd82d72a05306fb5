/* SPDX-License-Identifier: ISC */
#include "tls/flight.h"

#include <string.h>

#include "lib/bits.h"

/*
 * Messages of ours in the clear until the whole flight is sealed.  Nothing of a
 * flight that fails leaves: out is cut back to where it was, but numbers that
 * were spent stay spent, and the caller is told.
 *
 * Threads: as for the handshake that owns it.
 */

/* See tls/flight.h. */
void
flow__flight_init(struct flow__flight *flight, const struct flow_env *env)
{
    memset(flight, 0, sizeof(*flight));
    flow__queue_init(&flight->content, env);
}

/* See tls/flight.h. */
void
flow__flight_clear(struct flow__flight *flight)
{
    flow__queue_release(&flight->content);
    flight->parts = 0;
}

/* See tls/flight.h. */
enum flow_status
flow__flight_add(struct flow__flight *flight, uint8_t type,
                 enum flow__level level, const uint8_t *bytes, size_t len)
{
    struct flow__flight_part *part = flight->part + flight->parts;

    if (flight->parts > 0 && part[-1].type == type && part[-1].level == level)
        part--;
    else if (flight->parts == FLOW__FLIGHT_PARTS)
        return FLOW_E_SYS;
    if (!flow__queue_append(&flight->content, bytes, len))
        return FLOW_E_NOMEM;
    if (part == flight->part + flight->parts) {
        flight->parts++;
        part->type = type;
        part->level = level;
        part->len = 0;
    }
    part->len += len;
    return FLOW_OK;
}

static size_t
flight_overhead(const struct flow__flight_part *part,
                const struct flow__record_keys *keys)
{
    return part->level == FLOW__LEVEL_PLAIN
               ? (size_t)FLOW__RECORD_HEADER
               : flow__record_prefix(keys) + flow__record_suffix(keys);
}

/* Bytes of all its records; 0: the key of a part is missing. */
static size_t
flight_sealed_len(const struct flow__flight *flight,
                  const struct flow__record_keys *keys, size_t limit)
{
    size_t total = 0;

    for (unsigned i = 0; i < flight->parts; i++) {
        const struct flow__flight_part *part = flight->part + i;

        if (part->level != FLOW__LEVEL_PLAIN && keys[part->level].suite == NULL)
            return 0;
        total += part->len + (part->len + limit - 1) / limit *
                                 flight_overhead(part, keys + part->level);
    }
    return total;
}

/* One record into out, which has room for it. */
static enum flow_status
flight_seal_record(const struct flow__flight_part *part,
                   struct flow__record_keys *keys, const uint8_t *bytes,
                   size_t len, struct flow__queue *out, bool *ret_spent)
{
    const struct flow_cvec vec = { bytes, len };
    const struct flow__record_content content = { part->type, &vec, 0, len, 0 };
    size_t n = FLOW__RECORD_HEADER + len;
    enum flow_status st = FLOW_OK;

    if (part->level == FLOW__LEVEL_PLAIN) {
        flow__record_write_header(flow__queue_tail(out), part->type, len);
        memcpy(flow__queue_tail(out) + FLOW__RECORD_HEADER, bytes, len);
    } else {
        st = flow__record_seal(keys, &content, flow__queue_tail(out), &n);
        *ret_spent = *ret_spent || st == FLOW_OK;
    }
    if (st == FLOW_OK)
        flow__queue_extend(out, n);
    return st == FLOW_OK || st == FLOW_E_NOMEM ? st : FLOW_E_SYS;
}

/* See tls/flight.h. */
enum flow_status
flow__flight_seal(struct flow__flight *flight, struct flow__record_keys *keys,
                  size_t limit, struct flow__queue *out, bool *ret_spent)
{
    const uint8_t *at = flow__queue_data(&flight->content);
    size_t total = flight_sealed_len(flight, keys, limit);
    size_t before = flow__queue_len(out);
    enum flow_status st = FLOW_OK;

    *ret_spent = false;
    if (flight->parts == 0)
        return FLOW_OK;
    if (total == 0)
        return FLOW_E_SYS;
    if (!flow__queue_reserve(out, total))
        return FLOW_E_NOMEM;
    for (unsigned i = 0; i < flight->parts; i++) {
        const struct flow__flight_part *part = flight->part + i;
        size_t left = part->len, n;

        for (; st == FLOW_OK && left > 0; left -= n, at += n) {
            n = flow__min(left, limit);
            st = flight_seal_record(part, keys + part->level, at, n, out,
                                    ret_spent);
        }
    }
    if (st == FLOW_OK)
        flow__flight_clear(flight);
    else
        out->end = out->start + (uint32_t)before;
    return st;
}
