/* SPDX-License-Identifier: ISC */
#include <flow/util.h>

#include "flow/core.h"

/* Bytes discarded between two looks at the clock. */
#define DRAIN_STEP 65536u

static enum flow_end
end_of(struct flow *f, enum flow_query_key key)
{
    uint32_t end = FLOW_END_NONE;
    size_t len = sizeof(end);

    if (flow_query(f, key, &end, &len) != FLOW_OK)
        return FLOW_END_NONE;
    return (enum flow_end)end;
}

static enum flow_status
end_ours(struct flow *f, enum flow_end *ret_end)
{
    enum flow_status st;

    if ((flow_caps(f) & FLOW_CAP_HALF_CLOSE_WRITE) == 0) {
        st = flow_flush_wait(f);
        *ret_end = FLOW_END_GONE;
        return st;
    }
    st = flow_shutdown_wait(f, FLOW_WRITE);
    *ret_end = end_of(f, FLOW_QUERY_END_WRITE);
    return st;
}

/* Until the peer ends: input that is left unread when a socket closes makes
 * the system answer with a reset, which may overtake our last bytes. */
static enum flow_status
drain(struct flow *f, uint64_t deadline, uint64_t max, uint64_t *drained)
{
    enum flow_status st;
    size_t len, n;

    for (;;) {
        if (flow__is_due(f->env, deadline))
            return FLOW_E_TIMEOUT;
        /* One byte beyond the limit tells an end from more. */
        len = max - *drained < DRAIN_STEP ? (size_t)(max - *drained) + 1
                                          : DRAIN_STEP;
        st = flow_read_some(f, NULL, len, &n);
        if (st != FLOW_OK)
            return st == FLOW_EOF ? FLOW_OK : st;
        if (n > max - *drained)
            return FLOW_E_CANCELED;
        *drained += n;
    }
}

/* See <flow/util.h>. */
enum flow_status
flow_finish(struct flow *f, uint64_t deadline, uint64_t max_drain,
            struct flow_finish_result *ret)
{
    struct flow_finish_result result = { .status = FLOW_OK };

    flow_set_deadline(f, FLOW__BOTH, deadline);
    result.status = end_ours(f, &result.ours);
    if (result.status == FLOW_OK)
        result.status = drain(f, deadline, max_drain, &result.drained);
    result.peers = end_of(f, FLOW_QUERY_END_READ);
    flow_close(f);
    if (ret != NULL)
        *ret = result;
    return result.status;
}
