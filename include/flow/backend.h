/* SPDX-License-Identifier: ISC */
#ifndef FLOW_BACKEND_H
#define FLOW_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/export.h>
#include <flow/flow.h>
#include <flow/port.h>
#include <flow/status.h>
#include <flow/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief For authors of backends, filters and layers.
 *
 * A flow is a struct whose first member is a struct flow, and a table of
 * operations.  readv, writev, wait and close are mandatory, and so is shutdown
 * for a flow with a half close and none below; the others have defaults.  The
 * core (flow_read() and so on) is the only caller: it checks arguments, keeps
 * the sticky states, the deadlines and the leases, opens the flow on first use
 * and refuses a second call of the same direction, so an operation may rely on
 * all of that.  The library's own backends use no more than this header;
 * docs/new-backend.md explains a whole backend.
 *
 * <!-- fragment -->
 * @code
 * static const struct flow_ops null_ops = {
 *     .version = FLOW_OPS_VERSION, .name = "null",
 *     .readv = null_readv, .writev = null_writev, .shutdown = null_shutdown,
 *     .wait = null_wait, .close = null_close,
 * };
 *
 * struct null { struct flow base; };
 *
 * n = flow_env_alloc(env, sizeof(*n));
 * if (n == NULL)
 *     return FLOW_E_NOMEM;
 * st = flow_base_init(&n->base, &null_ops, env, FLOW_CAP_ORDERLY_END);
 * if (st != FLOW_OK)
 *     flow_env_free(env, n, sizeof(*n));
 * @endcode
 */

/**
 * @brief The layout of #flow_ops and struct flow that this header describes.
 *
 * A backend is compiled with both.  The number grows whenever either changes.
 * If the library has another number than the backend, flow_base_init() and
 * flow_base_wrap() write nothing and return #FLOW_E_NOTSUP: compile the backend
 * again.  Members that a new version adds are optional, so the same source
 * works with the next version; docs/CHANGES.md names exceptions.
 */
#define FLOW_OPS_VERSION 2u

/**
 * @brief The operations of a kind of flow.
 *
 * Every function gets the flow it was called on.  No function blocks.  One that
 * fails first calls flow_fail() (the failure arose here) or flow_fail_lower()
 * (the flow below failed) and returns what that returns; the core keeps an
 * error that is sticky.
 */
struct flow_ops {
    /** #FLOW_OPS_VERSION. */
    uint32_t version;
    /** Static name of the kind, lower case. */
    const char *name;

    /**
     * Deliver at least one byte, or say why not.
     * Called: open, not ended, no read lease; the first segment of @p vec is
     * not empty.  A NULL base discards.  After shutdown(#FLOW_READ) the core
     * calls it to discard later input, until it answers something other than OK
     * or AGAIN.  These calls come from one thread at a time, which may be the
     * writer's.
     * Returns: OK with *ret_len >= 1; AGAIN, EOF or an error with 0.
     */
    enum flow_status (*readv)(struct flow *f, const struct flow_vec *vec,
                              size_t count, size_t *ret_len);
    /**
     * Accept a prefix.
     * Called: open, write direction not ended, no write lease; the first
     * segment of @p vec is not empty.  @p flags is 0 or #FLOW_MORE: the core
     * turns #FLOW_FIN into #FLOW_MORE and a call of shutdown when everything
     * was accepted.
     * Returns: OK with *ret_len >= 1; AGAIN or an error with 0.
     */
    enum flow_status (*writev)(struct flow *f, const struct flow_cvec *vec,
                               size_t count, uint32_t flags, size_t *ret_len);
    /**
     * End one direction; for #FLOW_WRITE send what was accepted, send the end
     * marker exactly once, and end the flow below.
     * Called: open; again after AGAIN; never again after OK.  #FLOW_WRITE only
     * with #FLOW_CAP_HALF_CLOSE_WRITE.  #FLOW_READ drops what this layer has
     * read ahead and is not passed on: the core still reads later input through
     * readv, to learn how the peer ended (C30).  NULL: #FLOW_READ is the core's
     * alone and #FLOW_WRITE goes to the lower flow.
     * Returns: OK, AGAIN or an error.
     */
    enum flow_status (*shutdown)(struct flow *f, enum flow_dir dir);
    /**
     * Say what is ready, or what to wait for.
     * Called: at any time, from either direction's thread.  @p interest has
     * only bits whose state the core cannot answer itself (an ended direction
     * is ready without asking); after shutdown(#FLOW_READ) #FLOW_READY_READ
     * asks for input to discard.  Before the flow is open the core asks with
     * #FLOW_READY_OPEN alone.  Take flow_event_sequence() before looking.  A
     * flow with leases compares what there is with flow_wanted().
     * flow_wait_fd_ready() tells whether a descriptor is ready.  Call
     * flow_fd_closing() before closing a descriptor that was named here.
     * Returns: ready bits of @p interest; sources only when there are none.
     */
    uint32_t (*wait)(struct flow *f, uint32_t interest,
                     struct flow_wait_set *set);
    /**
     * Release everything, this object's memory too; call flow_base_fini(),
     * which closes an owned lower flow.
     * Called: once, last.
     */
    void (*close)(struct flow *f);

    /**
     * Drive the opening one step.  NULL: opens the lower flow, if any.
     * Called: only with #FLOW_CAP_NEEDS_OPEN, until it answers OK or an error,
     * by one thread at a time; once more after the deadline, to get the error
     * of an opening that has failed but has something left to send.
     * flow_opening_is_late() is true in that call, which must not wait any
     * longer.
     * Returns: OK, AGAIN or an error, which becomes final for both directions.
     * OK and AGAIN after the deadline become #FLOW_E_TIMEOUT.
     */
    enum flow_status (*open)(struct flow *f);
    /**
     * Pass buffered bytes to the flow below.  NULL: flushes the lower flow, if
     * any.
     * Called: open, write direction not failed.
     * Returns: OK when nothing is held here or below, AGAIN or an error.
     */
    enum flow_status (*flush)(struct flow *f);
    /**
     * Lend memory.  NULL: not supported.
     * Called: as readv or writev; @p want >= 1; only with the capability.
     * Returns: as flow_lease().  AGAIN only if wait reports when there are @p
     * want bytes or that much room: the core keeps @p want for it.
     */
    enum flow_status (*lease)(struct flow *f, enum flow_dir dir, size_t want,
                              struct flow_vec ret_span[2]);
    /**
     * Take a lease back.  NULL only with lease NULL.
     * Called: a lease is out and @p used is no more than was lent.  @p flags
     * is 0 or #FLOW_MORE.
     * Returns: OK or an error, never AGAIN.
     */
    enum flow_status (*commit)(struct flow *f, enum flow_dir dir, size_t used,
                               uint32_t flags);
    /**
     * Prepare to be removed from the stack.  NULL: not supported.
     * Called: nothing else runs.  Changes nothing, since the core may still
     * fail.
     * Returns: OK with the bytes read ahead (valid until close), or BUSY.
     */
    enum flow_status (*detach)(struct flow *f, const void **ret_ahead,
                               size_t *ret_len);
    /**
     * Answer a key.  NULL or #FLOW_E_NOTSUP: the core answers from its own
     * knowledge or asks below.  Of #FLOW_QUERY_DESCRIPTION,
     * #FLOW_QUERY_FOOTPRINT and #FLOW_QUERY_BUF_HINTS a layer answers its own
     * part ("tcp 127.0.0.1:80"); the core puts those of the stack together.
     * Called: at any time.  Use flow_answer() to obey the length rules.
     * Returns: as flow_query().
     */
    enum flow_status (*query)(struct flow *f, enum flow_query_key key,
                              void *buf, size_t *len);
    /**
     * Obey a key.  NULL or #FLOW_E_NOTSUP: the core asks below.
     * Called: no other operation of the flow runs.
     * Returns: as flow_control().
     */
    enum flow_status (*control)(struct flow *f, enum flow_control_key key,
                                int64_t value);
};

/**
 * @brief What every flow begins with.
 *
 * A backend may read #ops, #env, #lower and #caps; the rest is the core's.
 *
 * Invariants: state[d] is FLOW_OK or how direction d ended, and never changes
 * again once it is not FLOW_OK; leased[d] implies state[d] was FLOW_OK when
 * the lease was given; ended implies ending; lower->upper is this flow.
 * Members marked (a) are read and written atomically, since flow_abort() and
 * flow_set_deadline() come from any thread; those marked (l) only under the
 * library's wait lock.  Index 0 is #FLOW_READ, 1 is #FLOW_WRITE.
 */
struct flow {
    const struct flow_ops *ops; /**< The kind. */
    const struct flow_env *env; /**< Clock, memory, entropy, waiting. */
    struct flow *lower;         /**< The flow below, or NULL. */
    struct flow *upper;         /**< (a) Changed under the lock. */
    uint32_t caps;              /**< FLOW_CAP_ bits. */
    uint8_t owns_lower;         /**< close goes down. */
    uint8_t opened;             /**< (a) open has answered OK. */
    uint8_t opening;            /**< (a) Whether open was called, and whether
                                     a thread drives it. */
    uint8_t busy[2];            /**< (a) A call is running. */
    uint8_t leased[2];          /**< (a) A lease is out. */
    int8_t state[2];            /**< (a) How the direction ended. */
    uint8_t shut;               /**< (a) shutdown(read) was called. */
    uint8_t ending;             /**< (a) shutdown(write) has begun. */
    uint8_t ended;              /**< (a) shutdown(write) answered OK. */
    uint8_t aborted;            /**< (a) flow_abort() came before the end. */
    uint8_t discarding;         /**< (a) A thread discards input. */
    int8_t input_end;           /**< (a) After shutdown(read): the status that
                                     ended the discarded input. */
    size_t lent[2];             /**< Bytes of the lease. */
    size_t wanted[2];           /**< (a) Bytes of the lease that was refused
                                     last; see flow_wanted(). */
    uint64_t deadline[2];       /**< (a) Monotonic ns or #FLOW_NEVER. */
    struct flow_event wake[2];  /**< Signalled to make sleepers look. */
    struct flow__watch *watch;  /**< The poller's entry, or NULL. */
    void *user;                 /**< flow_set_user(). */
    /** (l) Status of each direction's error record, #FLOW_OK: none. */
    int8_t noted[2];
    /** (l) Text of a record that says no more than a status and a text;
     *  NULL: the record is in @ref error. */
    const char *reason[2];
    /** (a) Set once, under the lock, at the first error with more to record;
     *  freed when the flow closes. */
    struct flow_error *error[2];
};

/**
 * @brief Initialise the common part of a flow without one below.
 *
 * @param[out] f     First member of the backend's struct, zeroed before.
 * @param[in]  ops   Static table.
 * @param[in]  env   Must outlive the flow.
 * @param[in]  caps  FLOW_CAP_ bits of this flow.
 * @retval FLOW_OK       @p f is a flow; flow_close() ends it.
 * @retval FLOW_E_NOTSUP The table has another #FLOW_OPS_VERSION.
 * @retval FLOW_E_INVAL  A mandatory operation is missing, or one that @p caps
 *                       promises.
 * @par Ownership
 * On an error @p f is untouched, and the constructor releases its memory and
 * returns the error.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_base_init(struct flow *f, const struct flow_ops *ops,
               const struct flow_env *env, uint32_t caps);

/**
 * @brief Initialise the common part of a flow on another.
 *
 * @param[out] f      First member of the layer's struct, zeroed before.
 * @param[in]  ops    Static table.
 * @param[in]  lower  The flow below.
 * @param[in]  owned  Whether @p f owns it and closes it.
 * @param[in]  caps   FLOW_CAP_ bits, computed from flow_caps() of @p lower.
 * @return As flow_base_init().
 * @par Ownership
 * On #FLOW_OK @p f owns @p lower if @p owned is set.  Make this the
 * constructor's last call that can fail.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_base_wrap(struct flow *f, const struct flow_ops *ops, struct flow *lower,
               bool owned, uint32_t caps);

/**
 * @brief End the common part: close an owned lower flow.
 *
 * @param[in,out] f  The flow, in its close operation.
 * @par Since
 * 0.1
 */
FLOW_API void flow_base_fini(struct flow *f);

/**
 * @brief Record a failure that arose in this layer.
 *
 * The first record of a direction is kept.
 *
 * @param[in,out] f       The flow.
 * @param[in]     dirs    Directions concerned, mask.
 * @param[in]     status  What the operation returns.
 * @param[in]     domain  Whose number @p code is.
 * @param[in]     code    Native code or 0.
 * @param[in]     text    Static phrase.
 * @return @p status.
 * @par Since
 * 0.1
 */
FLOW_API enum flow_status flow_fail(struct flow *f, uint32_t dirs,
                                    enum flow_status status,
                                    enum flow_domain domain, int32_t code,
                                    const char *text);

/**
 * @brief Record a complete error, made with flow_error_set().
 *
 * @param[in,out] f     The flow.
 * @param[in]     dirs  Directions concerned, mask.
 * @param[in]     err   The record; copied.
 * @return The record's status.
 * @par Since
 * 0.1
 */
FLOW_API enum flow_status flow_fail_with(struct flow *f, uint32_t dirs,
                                         const struct flow_error *err);

/**
 * @brief Record a failure of the flow below, and add the name of this layer.
 *
 * @param[in,out] f          The flow.
 * @param[in]     dirs       Directions of this flow concerned, mask.
 * @param[in]     lower_dir  Direction of the lower flow that failed.
 * @param[in]     status     What the lower flow returned; returned unless this
 *                           layer turns it into something else.
 * @return @p status.
 * @par Since
 * 0.1
 */
FLOW_API enum flow_status flow_fail_lower(struct flow *f, uint32_t dirs,
                                          enum flow_dir lower_dir,
                                          enum flow_status status);

/**
 * @brief Answer a query under its length rules.
 *
 * @param[out]    buf   As in flow_query(), may be NULL.
 * @param[in,out] len   As in flow_query().
 * @param[in]     data  The answer.
 * @param[in]     size  Its bytes.
 * @retval FLOW_OK      Copied, or only the length was asked.
 * @retval FLOW_E_INVAL Too small.
 * @par Since
 * 0.1
 */
FLOW_API enum flow_status flow_answer(void *buf, size_t *len, const void *data,
                                      size_t size);

/**
 * @brief Answer a query with a string, its NUL included.
 *
 * @param[out]    buf   As in flow_query(), may be NULL.
 * @param[in,out] len   As in flow_query().
 * @param[in]     text  The answer.
 * @return As flow_answer().
 * @par Since
 * 0.1
 */
FLOW_API enum flow_status flow_answer_string(void *buf, size_t *len,
                                             const char *text);

/**
 * @brief Wake the threads that sleep on a direction, to look again.
 *
 * For a layer in which one direction's work changes what the other waits for
 * (a handshake that completed, a shared wait source that was drained).
 *
 * @param[in,out] f     The flow.
 * @param[in]     dirs  Directions, mask.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API void flow_wake(struct flow *f, uint32_t dirs);

/**
 * @brief Whether flow_abort() came before both directions had ended (C47).
 *
 * For the close operation of a transport that has a reset: if true, it resets
 * the connection instead of ending it in order.  flow_base_fini() aborts an
 * owned lower flow before it closes it.
 *
 * @param[in] f  The flow.
 * @return true after flow_abort(), unless both directions had ended in order
 *         before it.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API bool flow_is_aborted(const struct flow *f);

/**
 * @brief Whether the deadline of an opening has passed (C45).
 *
 * For an open operation that knows why the opening has failed and waits for
 * something else, such as room for an alert: if true, it does not wait any
 * longer and returns that error.
 *
 * @param[in] f  The flow, in its open operation.
 * @return true when a deadline of @p f has passed, or of a flow above whose
 *         opening drives that of @p f.
 * @par Since
 * 0.1
 */
FLOW_API bool flow_opening_is_late(const struct flow *f);

/**
 * @brief Announce that a descriptor is about to be closed.
 *
 * A poller registers the descriptors that the wait operation names.  If a copy
 * of one (dup(), fork()) keeps the file open, the registration stays after
 * close(2).  So every operation but close calls this before it closes such a
 * descriptor or passes it on.  It costs nothing when no poller watches.
 *
 * @param[in,out] f   The flow whose wait operation named it; NULL does nothing.
 * @param[in]     fd  The descriptor, still open; -1: all that were named.
 * @par Threads
 * As an operation of the flow.
 * @par Since
 * 0.1
 */
FLOW_API void flow_fd_closing(struct flow *f, int fd);

/**
 * @brief With how many bytes, or how much room, a direction is ready (C34).
 *
 * For the wait operation of a flow with leases.
 *
 * @param[in] f    The flow.
 * @param[in] dir  One direction.
 * @return What the last lease wanted and was refused with #FLOW_AGAIN, until
 *         the next read, write or lease of @p dir; 1 without such a lease, and
 *         while a lease is out.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API size_t flow_wanted(const struct flow *f, enum flow_dir dir);

/**
 * @brief What flow_with_lease() calls while it has memory of a flow.
 *
 * It must not call the flow in the direction of the lease.
 *
 * @param[in,out] ctx   The caller's.
 * @param[in]     span  As flow_lease() returns them.
 * @return Bytes to commit, at most those of both spans.
 */
typedef size_t flow_lease_fn(void *ctx, const struct flow_vec span[2]);

/**
 * @brief Lease memory of a flow, use it, and commit, in one call.
 *
 * For a layer that fills or reads memory of the flow below: it does what
 * flow_lease(), the function and flow_commit() without flags do one after the
 * other, at the cost of one call.  Until it returns, other calls of the
 * direction answer #FLOW_E_BUSY.
 *
 * @param[in,out] f     The flow.
 * @param[in]     dir   One direction.
 * @param[in]     want  As flow_lease().
 * @param[in]     use   Called once if memory was lent, and otherwise not.
 * @param[in,out] ctx   Passed to @p use.
 * @return If @p use was called, what flow_commit() would return, and otherwise
 *         what flow_lease() would.  If @p use returns more than was lent, no
 *         byte is committed and the answer is #FLOW_E_INVAL.
 * @par Threads
 * As flow_lease().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_with_lease(struct flow *f, enum flow_dir dir, size_t want,
                flow_lease_fn *use, void *ctx);

/**
 * @brief Capabilities that a filter passing everything through may forward.
 *
 * @param[in] caps  Capabilities of the lower flow.
 * @return Those of a filter that hands vectors, ends and readiness down
 *         unchanged: everything but leases; plus #FLOW_CAP_DETACH and
 *         #FLOW_CAP_FILTER.
 * @par Since
 * 0.1
 */
FLOW_API uint32_t flow_caps_forward(uint32_t caps);

/** @name Vectors */
/**@{*/
/**
 * @brief Bytes in a vector to read into.
 * @param[in] vec    Segments.
 * @param[in] count  How many.
 * @return Their total, SIZE_MAX when it does not fit.
 * @par Since
 * 0.1
 */
FLOW_API size_t flow_vec_len(const struct flow_vec *vec, size_t count);
/**
 * @brief Bytes in a vector to write.
 * @param[in] vec    Segments.
 * @param[in] count  How many.
 * @return Their total, SIZE_MAX when it does not fit.
 * @par Since
 * 0.1
 */
FLOW_API size_t flow_cvec_len(const struct flow_cvec *vec, size_t count);
/**
 * @brief Copy into a vector, from its byte @p off on.
 * @param[in] vec    Segments; NULL bases skip.
 * @param[in] count  How many.
 * @param[in] off    Bytes of the vector to leave alone.
 * @param[in] data   Source.
 * @param[in] len    Bytes at @p data.
 * @return Bytes copied or skipped, less than @p len when the vector ends.
 * @par Since
 * 0.1
 */
FLOW_API size_t flow_vec_put(const struct flow_vec *vec, size_t count,
                             size_t off, const void *data, size_t len);
/**
 * @brief Copy out of a vector, from its byte @p off on.
 * @param[in]  vec    Segments.
 * @param[in]  count  How many.
 * @param[in]  off    Bytes of the vector to skip.
 * @param[out] data   Destination.
 * @param[in]  len    Bytes at @p data.
 * @return Bytes copied, less than @p len when the vector ends.
 * @par Since
 * 0.1
 */
FLOW_API size_t flow_cvec_get(const struct flow_cvec *vec, size_t count,
                              size_t off, void *data, size_t len);
/**@}*/

#ifdef __cplusplus
}
#endif

#endif
