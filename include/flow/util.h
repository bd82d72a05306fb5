/* SPDX-License-Identifier: ISC */
#ifndef FLOW_UTIL_H
#define FLOW_UTIL_H

#include <flow/flow.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief The calls that loop for you: blocking, exact, copying, ending.
 *
 * Each is a loop over an operation of <flow/flow.h> and flow_wait().  They obey
 * the deadlines of flow_set_deadline(); #FLOW_E_TIMEOUT loses nothing and the
 * count says how much was done.
 *
 * Every call of this header may block, except those of a relay other than
 * flow_relay_run().  Outside this header only flow_wait(), flow_accept_wait()
 * and flow_poller_wait() block.  A call that waits until one operation succeeds
 * is named after the operation, with "_wait" at the end.
 *
 * If #FLOW_OK means that everything was done, the count (such as ret_len) may
 * be NULL.  Elsewhere it must not be NULL.
 */

/**
 * @brief Wait for at least one byte and read.
 * @param[in,out] f        The flow.
 * @param[out]    buf      Where to.
 * @param[in]     len      Bytes at @p buf, >= 1.
 * @param[out]    ret_len  Bytes read.
 * @retval FLOW_OK         1 or more bytes.
 * @retval FLOW_E_TIMEOUT  The read deadline passed first.
 * @return As flow_read(), never #FLOW_AGAIN.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_read_wait(struct flow *f, void *buf, size_t len, size_t *ret_len);

/**
 * @brief Read exactly @p len bytes.
 * @param[in,out] f        The flow.
 * @param[out]    buf      Where to.
 * @param[in]     len      How many.
 * @param[out]    ret_len  Bytes read, @p len on success; may be NULL.
 * @retval FLOW_OK           All of them.
 * @retval FLOW_EOF          The stream ended at the boundary: 0 bytes.
 * @retval FLOW_E_TRUNCATED  It ended inside: 1..@p len - 1 bytes.  The flow's
 *                           own state is #FLOW_EOF.
 * @retval FLOW_E_TIMEOUT    The read deadline passed first.
 * @return Any other error of flow_read().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_read_exact(struct flow *f, void *buf, size_t len, size_t *ret_len);

/**
 * @brief Read up to a delimiter, and nothing beyond it.
 *
 * For protocols with lines or headers.  The search happens in the flow's own
 * buffer, so the flow must lend it (#FLOW_CAP_LEASE_READ).  TLS and pairs do;
 * wrap any other flow with <flow/buffered.h>.
 *
 * After #FLOW_E_TIMEOUT call again with the same arguments and *@p len
 * unchanged: the call goes on where it stopped.
 *
 * @param[in,out] f          The flow.
 * @param[in,out] buf        Where to; not terminated.  The first *@p len bytes
 *                           are those of the call before.
 * @param[in]     limit      Bytes at @p buf; no line is longer.
 * @param[in]     delim      The delimiter, "\n" or "\r\n\r\n".
 * @param[in]     delim_len  Its bytes, 1..@p limit.
 * @param[in,out] len        0 before the first call; then the bytes at @p buf,
 *                           with #FLOW_OK the delimiter included.
 * @retval FLOW_OK           The bytes at @p buf end with the delimiter.
 * @retval FLOW_EOF          The stream ended, and @p buf is empty.
 * @retval FLOW_E_TRUNCATED  The stream ended without the delimiter.  The flow's
 *                           own state is #FLOW_EOF.
 * @retval FLOW_E_PROTO      @p limit bytes came without the delimiter.  They
 *                           are consumed and at @p buf; the flow can still be
 *                           used.
 * @retval FLOW_E_TIMEOUT    The read deadline passed first.
 * @retval FLOW_E_NOTSUP     The flow has no #FLOW_CAP_LEASE_READ.
 * @retval FLOW_E_INVAL      A length is out of range.
 * @return Any other error of flow_lease().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_read_until(struct flow *f, void *buf, size_t limit, const void *delim,
                size_t delim_len, size_t *len);

/**
 * @brief Write all of @p len bytes and flush them.
 * @param[in,out] f        The flow.
 * @param[in]     buf      The bytes.
 * @param[in]     len      How many.
 * @param[out]    ret_len  Bytes accepted; may be NULL.
 * @retval FLOW_OK         All accepted and flushed.
 * @retval FLOW_E_TIMEOUT  The write deadline passed first.
 * @return Any other error of flow_write().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_write_all(struct flow *f, const void *buf, size_t len, size_t *ret_len);

/**
 * @brief Write all of a vector and flush it.
 * @param[in,out] f        The flow.
 * @param[in,out] vec      Segments; used as scratch, their contents undefined
 *                         afterwards.
 * @param[in]     count    How many.
 * @param[in]     flags    0, #FLOW_MORE or #FLOW_FIN.
 * @param[out]    ret_len  Bytes accepted; may be NULL.
 * @return As flow_write_all(); with #FLOW_FIN #FLOW_OK means that the end
 *         marker has been handed down.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_writev_all(struct flow *f, struct flow_cvec *vec, size_t count,
                uint32_t flags, size_t *ret_len);

/**
 * @brief Wait until the flow is open (connected, handshaken).
 * @param[in,out] f  The flow.
 * @return As flow_open(), never #FLOW_AGAIN.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_open_wait(struct flow *f);

/**
 * @brief Wait until every accepted byte is with the layer below.
 * @param[in,out] f  The flow.
 * @return As flow_flush(), never #FLOW_AGAIN.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_flush_wait(struct flow *f);

/**
 * @brief Wait until a direction is ended.
 * @param[in,out] f    The flow.
 * @param[in]     dir  One direction.
 * @return As flow_shutdown(), never #FLOW_AGAIN.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_shutdown_wait(struct flow *f,
                                                           enum flow_dir dir);

/**
 * @brief Copy until the source ends.
 *
 * Does not end the destination.  What was read when the destination failed or
 * its deadline passed is lost: a #flow_relay keeps it.
 *
 * The write deadline of @p to applies all the time, also while there is nothing
 * to write.  The read deadline of @p from does not interrupt writing, which
 * would lose what was read.
 *
 * @param[in,out] from     Read from here.
 * @param[in,out] to       Write to here; of the environment of @p from.
 * @param[in]     limit    At most that many bytes, UINT64_MAX for all.
 * @param[out]    ret_len  Bytes that the destination accepted; may be NULL.
 * @retval FLOW_OK        The limit was reached.
 * @retval FLOW_EOF       The source ended in order; all of it was copied.
 * @retval FLOW_E_TIMEOUT The read deadline of @p from or the write deadline of
 *                        @p to passed; flow_get_error() of that flow has it.
 * @retval FLOW_E_NOMEM   No memory for a buffer; nothing was read.
 * @return The error of either side; flow_get_error() of both tells which.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_copy(struct flow *from,
                                                  struct flow *to,
                                                  uint64_t limit,
                                                  uint64_t *ret_len);

/** Flows that flow_wait_any() takes, at most. */
#define FLOW_WAIT_ANY 7

/** One of several flows that are waited for. */
struct flow_wait_item {
    struct flow *flow; /**< The flow. */
    uint32_t interest; /**< FLOW_READY_ bits; 0: not this one. */
    uint32_t ready;    /**< Those of them that are ready. */
};

/**
 * @brief Sleep until one of a few flows can make progress.
 *
 * As flow_wait() for each; for more flows there is <flow/poller.h>.  If a flow
 * waits for more descriptors than there is room for, which can happen while it
 * dials, it is polled every millisecond.
 *
 * @param[in,out] items     The flows, all of one environment; every
 *                          flow_wait_item::ready is written, 0 on error.
 * @param[in]     count     How many, 1..#FLOW_WAIT_ANY.
 * @param[in]     deadline  Monotonic ns, #FLOW_NEVER, or #FLOW_NOW to look
 *                          only.
 * @retval FLOW_OK         At least one is ready.
 * @retval FLOW_E_TIMEOUT  @p deadline passed, or that of a direction in an
 *                         interest; then flow_get_error() of that flow has it.
 * @retval FLOW_E_INVAL    @p count is out of range, an interest has unknown
 *                         bits or all are 0, or environments differ.
 * @retval FLOW_E_NOMEM    No memory for the wait; nothing is lost.
 * @return An error of the environment's wait.
 * @par Threads
 * As flow_wait() of each flow.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_wait_any(struct flow_wait_item *items, size_t count, uint64_t deadline);

/** What flow_finish() achieved. */
struct flow_finish_result {
    enum flow_end ours;      /**< How our direction ended. */
    enum flow_end peers;     /**< How the peer's ended, before the close. */
    uint64_t drained;        /**< Bytes that came in meanwhile, discarded. */
    enum flow_status status; /**< #FLOW_OK, or what cut it short. */
};

/**
 * @brief End a flow properly: shutdown(write), drain until the peer ends,
 * close.
 *
 * A close with unread input can cause a reset that destroys our last bytes;
 * flow_finish() reads it first.  The flows below that @p f owns are ended and
 * drained in the same way, down to the transport: the peer's end of a TLS flow
 * is not yet the end of its connection.  Without #FLOW_CAP_HALF_CLOSE_WRITE:
 * flush, drain, close; below a layer that has that capability such a flow is
 * only closed.
 *
 * The input is drained even after flow_shutdown(#FLOW_READ).
 *
 * @param[in]  f         The flow, gone afterwards, whatever happens.
 * @param[in]  deadline  Monotonic ns; all of it ends by then.
 * @param[in]  max_drain Most bytes to discard, of all layers together, then
 *                       close.
 * @param[out] ret       What was achieved; may be NULL.
 * @retval FLOW_OK          Both directions ended in order, and every layer
 *                          below has ended or broken since.
 * @retval FLOW_E_TIMEOUT   The deadline passed first.  If only a flow below
 *                          timed out, flow_finish_result::peers is an orderly
 *                          end.
 * @retval FLOW_E_CANCELED  More than @p max_drain bytes came.
 * @return The reason why not; the flow is closed all the same.
 * @par Since
 * 0.1
 */
FLOW_API enum flow_status flow_finish(struct flow *f, uint64_t deadline,
                                      uint64_t max_drain,
                                      struct flow_finish_result *ret);

/** One direction of a #flow_relay, and its statistics. */
struct flow_relay_side {
    struct flow *from;       /**< Read from here. */
    struct flow *to;         /**< Write to here. */
    uint8_t *buf;            /**< Bytes read and not yet written. */
    size_t off;              /**< First of them. */
    size_t len;              /**< How many. */
    uint64_t bytes;          /**< Written so far. */
    uint64_t operations;     /**< Writes so far. */
    uint64_t last;           /**< Monotonic ns of the last progress. */
    enum flow_status source; /**< FLOW_OK while from can be read; then FLOW_EOF
                                  or its error, which becomes status once to
                                  has taken what came before. */
    enum flow_status status; /**< FLOW_OK runs, FLOW_EOF passed on, or why it
                                  ended. */
    bool unflushed;          /**< to may hold back what was written. */
};

/**
 * @brief Two flows joined: what is read from one is written to the other.
 *
 * If one side ends and the other has a half close, the end is passed on as one,
 * and the other direction goes on.  Without a half close the other direction
 * runs to its own end or the idle deadline.  If reading fails, what was read
 * before is written and flushed first, no end is passed on, and the other
 * direction goes on.
 *
 * Made by flow_relay_init() in the caller's memory; the caller closes the
 * flows.
 */
struct flow_relay {
    struct flow_relay_side side[2]; /**< [0] a to b, [1] b to a. */
    const struct flow_env *env;     /**< That of a. */
    size_t buf_size;                /**< Bytes per direction. */
    uint64_t idle;                  /**< ns without progress, or 0. */
    uint64_t started;               /**< Monotonic ns. */
};

/**
 * @brief Join two flows.
 * @param[out] r         Caller's memory.
 * @param[in]  a         One flow.
 * @param[in]  b         The other.
 * @param[in]  buf_size  Bytes per direction, 0 for 16,384.
 * @param[in]  idle      ns without progress in either direction before the
 *                       relay ends; 0: no limit.
 * @retval FLOW_OK       Ready to step.
 * @retval FLOW_E_NOMEM  No memory; nothing to release.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_relay_init(struct flow_relay *r, struct flow *a, struct flow *b,
                size_t buf_size, uint64_t idle);

/**
 * @brief Move what can be moved now.
 * @param[in,out] r  The relay.
 * @retval FLOW_OK         Both directions ended in order.
 * @retval FLOW_AGAIN      Still running: wait for flow_relay_interest().
 * @retval FLOW_E_TIMEOUT  Idle for too long.
 * @return The first error of a direction, once the other has ended too.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_relay_step(struct flow_relay *r);

/**
 * @brief What to wait for, on each flow, before the next step.
 * @param[in]  r       The relay.
 * @param[out] ret_a   FLOW_READY_ bits for the first flow.
 * @param[out] ret_b   For the second.
 * @return When to step at the latest, monotonic ns or #FLOW_NEVER.
 * @par Since
 * 0.1
 */
FLOW_API uint64_t flow_relay_interest(const struct flow_relay *r,
                                      uint32_t *ret_a, uint32_t *ret_b);

/**
 * @brief Step and wait until it is over.
 *
 * The deadlines of both flows apply as long as the relay reads or writes that
 * direction, also while it waits for something else.
 *
 * @param[in,out] r  The relay, of flows of one environment.
 * @retval FLOW_OK         Both directions ended in order.
 * @retval FLOW_E_TIMEOUT  Idle for too long; or the deadline of a direction
 *                         passed, and flow_get_error() of that flow has it.
 *                         Nothing is lost, and another call goes on.
 * @return The first error of a direction, once the other has ended too; or an
 *         error of the wait.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_relay_run(struct flow_relay *r);

/**
 * @brief Release a relay's buffers; wipes them.  The flows stay.
 * @param[in,out] r  The relay.
 * @par Since
 * 0.1
 */
FLOW_API void flow_relay_fini(struct flow_relay *r);

#ifdef __cplusplus
}
#endif

#endif
