/* SPDX-License-Identifier: ISC */
#ifndef FLOW_FLOW_H
#define FLOW_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/export.h>
#include <flow/status.h>
#include <flow/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief The flow: a stream of bytes in both directions, over any transport.
 *
 * A flow is made by a constructor (<flow/tcp.h>, <flow/pair.h>, <flow/tls.h>,
 * or a name through <flow/endpoint.h>), used with the functions below and
 * ended with flow_close().  Flows stack: TLS takes a flow and is one.
 *
 * @section conventions Conventions, the same for every function
 *
 * - **Never blocks.**  Every operation here does what can be done now.
 *   #FLOW_AGAIN means that nothing could be done; flow_wait() sleeps until it
 *   is worth calling again.  The calls that wait are in <flow/util.h>.  After
 *   #FLOW_AGAIN nothing is pending: the caller may call again with other
 *   arguments, use the other direction, or close the flow.
 * - **Status and count are separate.**  The result is an #flow_status and must
 *   be checked.  Counts are `ret_` parameters that are always written.  Other
 *   `ret_` parameters are written on success only.
 * - **Accepted bytes belong to the flow.**  The flow delivers the bytes that a
 *   write has counted; the caller may reuse its memory on return.
 * - **Sticky ends.**  #FLOW_EOF and the errors that flow_status_is_sticky()
 *   names are permanent for their direction; flow_get_error() has the details.
 * - **Lengths** are `size_t` bytes, **times** are `uint64_t` monotonic
 *   nanoseconds of the flow's environment.
 * - **Pointers** are not NULL unless the text says so; an empty range may
 *   have a NULL base.
 * - **Ownership.**  If a constructor fails, it has not changed its arguments.
 *   If it succeeds, a filter or TLS flow owns the flow below it, and closing
 *   the one also closes the other.
 * - **Threads.**  One thread at a time per direction: where flow_caps() has
 *   #FLOW_CAP_DUPLEX one reader and one writer may run in parallel, else one
 *   thread in all.  flow_abort() and flow_set_deadline() may be called from
 *   any thread until flow_close() begins.
 */

struct flow;

/** A segment to read into. */
struct flow_vec {
    void *base; /**< NULL: discard that many bytes. */
    size_t len; /**< Bytes. */
};

/** A segment to write from. */
struct flow_cvec {
    const void *base; /**< The bytes. */
    size_t len;       /**< How many. */
};

/** The two directions of a flow; also bits of a mask. */
enum flow_dir {
    FLOW_READ = 0x1, /**< Towards us. */
    FLOW_WRITE = 0x2 /**< Towards the peer. */
};

/** Interest and readiness: the flow can be read (data, end or error). */
#define FLOW_READY_READ 0x1u
/** The flow takes bytes, or writing fails. */
#define FLOW_READY_WRITE 0x2u
/** flow_flush() or a pending flow_shutdown() makes progress. */
#define FLOW_READY_FLUSH 0x4u
/** flow_open() makes progress. */
#define FLOW_READY_OPEN 0x8u

/** flow_writev(): more comes at once, bytes may be held back to fill a
 *  record or segment. */
#define FLOW_MORE 0x1u
/** flow_writev(): these are the last; ends the direction when all were
 *  accepted. */
#define FLOW_FIN 0x2u

/** @name Capabilities, flow_caps() */
/**@{*/
/** shutdown(write) tells the peer, and reading goes on. */
#define FLOW_CAP_HALF_CLOSE_WRITE 0x0001u
/** After the peer's end, writing goes on. */
#define FLOW_CAP_HALF_CLOSE_READ 0x0002u
/** The transport has a real end marker. */
#define FLOW_CAP_ORDERLY_END 0x0004u
/** The end marker is authenticated. */
#define FLOW_CAP_AUTHENTICATED_END 0x0008u
/** What passes is encrypted for the peer. */
#define FLOW_CAP_CONFIDENTIAL 0x0010u
/** flow_lease() works for reading. */
#define FLOW_CAP_LEASE_READ 0x0080u
/** flow_lease() works for writing. */
#define FLOW_CAP_LEASE_WRITE 0x0100u
/** The peer can change leased memory. */
#define FLOW_CAP_LEASE_VOLATILE 0x0200u
/** The peer can read leased memory. */
#define FLOW_CAP_LEASE_SHARED 0x0400u
/** One reader and one writer thread may run in parallel. */
#define FLOW_CAP_DUPLEX 0x0800u
/** Everything it waits for is a descriptor. */
#define FLOW_CAP_FD 0x1000u
/** flow_open() has work to do (connect, handshake). */
#define FLOW_CAP_NEEDS_OPEN 0x4000u
/** flow_detach() can give the lower flow back. */
#define FLOW_CAP_DETACH 0x8000u
/** A filter: it passes on what the flow below promises and promises nothing of
 *  its own, so keys about security pass through it. */
#define FLOW_CAP_FILTER 0x10000u
/** Closed with unread input, or while the peer still sends, the transport is
 *  reset: the peer may lose what it has not read.  flow_finish() avoids it. */
#define FLOW_CAP_RESETS_UNREAD 0x20000u
/**@}*/

/** How a direction ended, #FLOW_QUERY_END_READ and #FLOW_QUERY_END_WRITE. */
enum flow_end {
    FLOW_END_NONE = 0,         /**< It has not ended. */
    FLOW_END_GONE = 1,         /**< The transport went away; no marker. */
    FLOW_END_ORDERLY = 2,      /**< With the transport's own marker. */
    FLOW_END_AUTHENTICATED = 3 /**< With a marker only the peer can make. */
};

/** What flow_query() can be asked.  Strings are NUL terminated.  A layer
 * without an answer passes a key to the flow below; one from
 * #FLOW_QUERY_SECURITY to #FLOW_QUERY_SECURITY_LAST goes no further than the
 * first layer with #FLOW_CAP_CONFIDENTIAL that is not a filter. */
enum flow_query_key {
    FLOW_QUERY_DESCRIPTION = 1,   /**< string: the stack in one line. */
    FLOW_QUERY_LOCAL_ADDRESS = 2, /**< string: "127.0.0.1:80". */
    FLOW_QUERY_PEER_ADDRESS = 3,  /**< string. */
    FLOW_QUERY_FD = 4,            /**< int: the descriptor; still the flow's. */
    FLOW_QUERY_LOWER = 5,         /**< struct flow *: the flow below. */
    FLOW_QUERY_END_READ = 6,      /**< uint32_t: enum flow_end. */
    FLOW_QUERY_END_WRITE = 7,     /**< uint32_t: enum flow_end. */
    FLOW_QUERY_OVERHEAD = 8,      /**< uint32_t: bytes added per record, not
                                       counting padding. */
    FLOW_QUERY_FOOTPRINT = 9,     /**< size_t: bytes held now, whole stack. */
    FLOW_QUERY_BUF_HINTS = 10,    /**< struct flow_buf_hints, composed. */
    FLOW_QUERY_PEER_PORT = 11,    /**< uint32_t: event channel port, vchan. */
    FLOW_QUERY_PINNED_PAGES = 12, /**< uint32_t: vchan, of ended flows, that
                                       the peer holds. */
    FLOW_QUERY_GRANTED_PAGES = 13, /**< uint32_t: of a vchan listener, granted
                                      to its peer in all. */
    FLOW_QUERY_SECURITY = 0x100,   /**< First key about security; the headers
                                        of the layers define them
                                        (#FLOW_QUERY_TLS_INFO). */
    FLOW_QUERY_SECURITY_LAST = 0x1ff, /**< Last key about security. */
    FLOW_QUERY_PRIVATE = 0x1000       /**< First key for backends outside this
                                           library, which never uses it or one
                                           above. */
};

/** What flow_control() can be told.  The value is an int64_t.  The ranges are
 *  those of enum flow_query_key. */
enum flow_control_key {
    FLOW_CONTROL_NODELAY = 1,      /**< 0 or 1: send small segments at once. */
    FLOW_CONTROL_KEEPALIVE = 2,    /**< 0 or 1. */
    FLOW_CONTROL_RELEASE = 3,      /**< 1: give idle buffers back now. */
    FLOW_CONTROL_SECURITY = 0x100, /**< First key about security. */
    FLOW_CONTROL_RECORD_LIMIT = 0x101, /**< plaintext bytes per record, at
                                            most. */
    FLOW_CONTROL_TRUNCATION = 0x102,   /**< 1: a missing end marker is EOF. */
    FLOW_CONTROL_REKEY = 0x103,        /**< 0: our keys; 1: ask the peer too. */
    FLOW_CONTROL_PROPAGATE = 0x104,    /**< 0 or 1: flow_shutdown() of
                                            #FLOW_WRITE also ends the flow
                                            below.  Set it before the shutdown;
                                            0 to go on below after
                                            flow_detach(). */
    FLOW_CONTROL_SECURITY_LAST = 0x1ff, /**< Last key about security. */
    FLOW_CONTROL_PRIVATE = 0x1000       /**< First key for backends outside this
                                             library. */
};

/**
 * @brief Read into a vector.
 *
 * Fills the segments in order and returns as soon as at least one byte was
 * delivered; never waits for more.  A segment with a NULL base discards.  The
 * first call opens the flow.  After #FLOW_OK the memory after the count is
 * unspecified: a layer may have written there.  #FLOW_AGAIN leaves the memory
 * as it was, with one exception: if a TLS peer pads a message without data to
 * more than 1,024 bytes, that memory may be overwritten with zeros.
 *
 * @param[in,out] f        The flow.
 * @param[in]     vec      Segments.
 * @param[in]     count    How many, 0..1024.
 * @param[out]    ret_len  Bytes delivered.
 *
 * @retval FLOW_OK     1 or more bytes; or the vector was empty, 0 bytes.
 * @retval FLOW_AGAIN  Nothing there now.
 * @retval FLOW_EOF    The peer ended its direction; every byte was delivered.
 * @retval FLOW_E_TRUNCATED  It ended without the marker this flow requires.
 * @retval FLOW_E_BUSY Another read runs, or a read lease is out.
 * @return Any other error is in flow_get_error().
 *
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_readv(struct flow *f,
                                                   const struct flow_vec *vec,
                                                   size_t count,
                                                   size_t *ret_len);

/**
 * @brief Read into one buffer; flow_readv() with one segment.
 *
 * @param[in,out] f        The flow.
 * @param[out]    buf      Where to, or NULL to discard.
 * @param[in]     len      Bytes at @p buf.
 * @param[out]    ret_len  Bytes delivered.
 * @return As flow_readv().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_read(struct flow *f, void *buf,
                                                  size_t len, size_t *ret_len);

/**
 * @brief Write a vector: accept a prefix of its bytes.
 *
 * Accepted bytes may be buffered.  Before you wait only for input, call
 * flow_flush() until #FLOW_OK, or wait for #FLOW_READY_FLUSH as well; otherwise
 * two peers may wait for each other for ever.  A layer may join segments; it
 * does not make one record per segment.  With #FLOW_MORE it may hold bytes back
 * until the next write without it, flow_flush() or flow_shutdown().  With
 * #FLOW_FIN, if every byte was accepted, the same call ends the direction as
 * flow_shutdown() does; if the end marker cannot be sent yet, call
 * flow_shutdown() until it is.  If only a prefix was accepted, #FLOW_FIN is
 * ignored.
 *
 * @param[in,out] f        The flow.
 * @param[in]     vec      Segments.
 * @param[in]     count    How many, 0..1024.
 * @param[in]     flags    #FLOW_MORE or #FLOW_FIN, or 0.
 * @param[out]    ret_len  Bytes accepted.
 *
 * @retval FLOW_OK       1 or more bytes accepted; or nothing was asked.
 * @retval FLOW_AGAIN    Nothing accepted now.
 * @retval FLOW_E_CLOSED After our shutdown, or the peer takes no more.
 * @retval FLOW_E_INVAL  Both flags at once, or unknown ones.
 * @retval FLOW_E_NOTSUP #FLOW_FIN without #FLOW_CAP_HALF_CLOSE_WRITE; nothing
 *                       was accepted.
 * @retval FLOW_E_BUSY   Another write runs, or a write lease is out.
 * @return Any other error is in flow_get_error().
 *
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_writev(struct flow *f, const struct flow_cvec *vec, size_t count,
            uint32_t flags, size_t *ret_len);

/**
 * @brief Write one buffer; flow_writev() with one segment and no flag.
 *
 * @param[in,out] f        The flow.
 * @param[in]     buf      The bytes.
 * @param[in]     len      How many.
 * @param[out]    ret_len  Bytes accepted.
 * @return As flow_writev().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_write(struct flow *f, const void *buf, size_t len, size_t *ret_len);

/**
 * @brief Drive the opening one step: connect, handshake, attach.
 *
 * Reads and writes do it by themselves; call it to complete the opening before
 * there is data.  The earlier of both deadlines applies: if it passes before
 * the flow is open, the opening fails for good.
 *
 * @param[in,out] f  The flow.
 * @retval FLOW_OK    Open; what was agreed can be asked with flow_query().
 * @retval FLOW_AGAIN Not yet; wait for #FLOW_READY_OPEN.
 * @return Any error is final for both directions.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_open(struct flow *f);

/**
 * @brief Push accepted bytes down until the layer below has them.
 *
 * @param[in,out] f  The flow.
 * @retval FLOW_OK    Nothing is held back here or below.
 * @retval FLOW_AGAIN Some is; wait for #FLOW_READY_FLUSH.
 * @return Any other error is in flow_get_error().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_flush(struct flow *f);

/**
 * @brief End one direction.
 *
 * #FLOW_WRITE: no more data from us.  Sends what was accepted, then this
 * layer's end marker, exactly once, and then ends the flow below if this flow
 * owns it and it has a half close.  Reading goes on.  #FLOW_READ: discard
 * further input; sends nothing; later reads answer #FLOW_EOF.  Later input is
 * discarded by flow_finish(), and whenever a caller waits for an interest other
 * than #FLOW_READY_READ.  flow_close() discards nothing: if a socket has unread
 * input, closing it resets the connection.
 *
 * @param[in,out] f    The flow.
 * @param[in]     dir  One direction.
 * @retval FLOW_OK       Done; also when it was done before.
 * @retval FLOW_AGAIN    The end marker has not been sent yet; call again after
 *                       #FLOW_READY_FLUSH.
 * @retval FLOW_E_NOTSUP #FLOW_WRITE without #FLOW_CAP_HALF_CLOSE_WRITE;
 *                       nothing happened.
 * @return Any other error is in flow_get_error().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_shutdown(struct flow *f,
                                                      enum flow_dir dir);

/**
 * @brief End a flow and release it.
 *
 * Does no I/O except the transport's own close.  Without a flow_shutdown()
 * before it the close is abortive, and the peer may see an error; flow_finish()
 * ends a flow in order, within a deadline.  Closes the flow below if this flow
 * owns it.  Outstanding leases become invalid.
 *
 * @param[in] f  The flow, invalid afterwards; NULL does nothing.
 * @par Threads
 * No other call may be running, not even flow_abort().
 * @par Since
 * 0.1
 */
FLOW_API void flow_close(struct flow *f);

/**
 * @brief Ask what can make progress, and what to wait for if nothing can.
 *
 * For pollers and foreign event loops.  Ready means that the call would not
 * answer #FLOW_AGAIN: buffered bytes count, ends and errors too.  After a
 * flow_lease() that answered #FLOW_AGAIN, ready means that this lease would not
 * answer it again, until the next read, write or lease of the direction.  Only
 * when nothing of @p interest is ready are sources added to @p set; the flow's
 * deadlines are among them, and events that flow_abort() and
 * flow_set_deadline() signal from other threads.  Unknown bits of @p interest
 * are never ready.
 *
 * @param[in,out] f         The flow.
 * @param[in]     interest  FLOW_READY_ bits.
 * @param[in,out] set       Initialised by the caller.
 * @return The bits of @p interest that are ready now.
 * @par Threads
 * As the operations of the directions in @p interest.
 * @par Since
 * 0.1
 */
FLOW_API uint32_t flow_wait_sources(struct flow *f, uint32_t interest,
                                    struct flow_wait_set *set);

/**
 * @brief Sleep until something can make progress.
 *
 * The one place where a thread blocks.  Ready means the same as for
 * flow_wait_sources().  The sleep also ends when another thread calls
 * flow_abort() or flow_set_deadline(); the new deadline then applies.
 *
 * @param[in,out] f          The flow.
 * @param[in]     interest   FLOW_READY_ bits, not 0.
 * @param[out]    ret_ready  Bits that are ready, 0 on error; may be NULL.
 * @retval FLOW_OK         At least one bit is ready.
 * @retval FLOW_E_TIMEOUT  The deadline of a direction in @p interest passed;
 *                         nothing is lost.
 * @return An error of the environment's wait.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_wait(struct flow *f, uint32_t interest, uint32_t *ret_ready);

/**
 * @brief Move the deadline of one or both directions.
 *
 * The time is absolute.  It applies to flow_wait() and to every call built on
 * it; the operations themselves never wait.  After a deadline has passed the
 * flow is still usable, unless it passed during the opening.  A thread that
 * sleeps is woken and obeys the new value.
 *
 * @param[in,out] f     The flow.
 * @param[in]     dirs  Mask of #FLOW_READ and #FLOW_WRITE.
 * @param[in]     nsec  Monotonic ns, #FLOW_NEVER or #FLOW_NOW.
 * @par Threads
 * Any, before flow_close().
 * @par Since
 * 0.1
 */
FLOW_API void flow_set_deadline(struct flow *f, uint32_t dirs, uint64_t nsec);

/**
 * @brief Set the deadline of one or both directions, counted from now.
 *
 * Calls flow_set_deadline() with flow_now() + @p nsec.
 *
 * @param[in,out] f     The flow.
 * @param[in]     dirs  Mask of #FLOW_READ and #FLOW_WRITE.
 * @param[in]     nsec  Nanoseconds from now; 0: no deadline.  If the sum does
 *                      not fit, the deadline is the latest time that does.
 * @par Threads
 * Any, before flow_close().
 * @par Since
 * 0.1
 */
FLOW_API void flow_set_timeout(struct flow *f, uint32_t dirs, uint64_t nsec);

/**
 * @brief The time by the clock of a flow's environment.
 *
 * @param[in] f  The flow.
 * @return Monotonic ns, never #FLOW_NEVER or #FLOW_NOW.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API uint64_t flow_now(const struct flow *f);

/**
 * @brief Give a flow up: both directions fail with #FLOW_E_CANCELED.
 *
 * Wakes sleepers.  Sends nothing and releases nothing; flow_close() does.
 * After flow_abort() closing a TCP connection resets it, so that the peer does
 * not mistake a part of the data for all of it; bytes that are still on their
 * way are lost.  A UNIX socket has no reset: its peer reads an end as after any
 * close, or #FLOW_E_RESET if input was left unread.  If both directions had
 * ended in order before, nothing is reset.
 *
 * @param[in,out] f  The flow.
 * @par Threads
 * Any, before flow_close().
 * @par Since
 * 0.1
 */
FLOW_API void flow_abort(struct flow *f);

/**
 * @brief Borrow the flow's memory instead of copying.
 *
 * #FLOW_READ: up to two spans of bytes that have arrived, in order.
 * #FLOW_WRITE: up to two spans to put bytes into.  The spans stay valid until
 * flow_commit() or flow_close(); one lease per direction.  If flow_caps() has
 * #FLOW_CAP_LEASE_VOLATILE the peer can change the bytes at any time: copy
 * before looking.
 *
 * After #FLOW_AGAIN the flow is ready in @p dir (flow_wait(), a poller) when
 * this lease would answer something else: there are @p want bytes or that much
 * room, an end, or an error.  A read, a write or another lease of @p dir ends
 * that; flow_flush() does not.  To continue with fewer bytes, read or write,
 * and wait if that answers #FLOW_AGAIN.
 *
 * @param[in,out] f         The flow.
 * @param[in]     dir       One direction.
 * @param[in]     want      Contiguous bytes wanted in the first span, >= 1.
 * @param[out]    ret_span  Two spans; the second may be empty.
 * @retval FLOW_OK       At least @p want bytes, or fewer when the stream ends
 *                       after them.
 * @retval FLOW_AGAIN    Fewer are there and more may come; wait for
 *                       #FLOW_READY_READ or #FLOW_READY_WRITE.
 * @retval FLOW_EOF      The stream ended, nothing is left.
 * @retval FLOW_E_INVAL  @p want is 0 or more than the flow can ever lend.
 * @retval FLOW_E_NOTSUP No leases in this direction (flow_caps());
 *                       <flow/buffered.h> adds them to any flow.
 * @retval FLOW_E_BUSY   A call or a lease of this direction is out.
 * @return Any other error is in flow_get_error().
 * @par Ownership
 * The memory stays the flow's.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_lease(struct flow *f,
                                                   enum flow_dir dir,
                                                   size_t want,
                                                   struct flow_vec ret_span[2]);

/**
 * @brief Give a lease back.
 *
 * #FLOW_READ: the first @p used bytes are consumed; with 0 none is.
 * #FLOW_WRITE: all of the first @p used bytes are accepted, as by flow_writev()
 * with @p flags.  Never answers #FLOW_AGAIN.
 *
 * @param[in,out] f      The flow.
 * @param[in]     dir    As leased.
 * @param[in]     used   Bytes from the start, at most what was lent.
 * @param[in]     flags  Write: #FLOW_MORE or #FLOW_FIN, or 0; read: 0.
 * @retval FLOW_OK      The lease is over.
 * @retval FLOW_E_INVAL No lease is out, or @p used is too much; the lease
 *                      stays as it was.
 * @return Any other error ends the lease and is in flow_get_error().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_commit(struct flow *f, enum flow_dir dir, size_t used, uint32_t flags);

/**
 * @brief Remove a layer and get the flow below it back.
 *
 * Only at a clean point: before the layer opened, or when both directions ended
 * with their markers and nothing is buffered.  Bytes that the layer had read
 * ahead are read first from *@p ret_lower.
 *
 * flow_shutdown() of a layer also ends the flow below that it owns.  To go on
 * with that flow afterwards:
 *
 * 1. flow_control() with #FLOW_CONTROL_PROPAGATE and 0;
 * 2. flow_shutdown() of #FLOW_WRITE until #FLOW_OK;
 * 3. read until #FLOW_EOF, the peer's end;
 * 4. flow_detach().
 *
 * @param[in]  f          The upper flow; closed on success.
 * @param[out] ret_lower  The flow below, perhaps in a prefix filter.
 * @retval FLOW_OK       @p f is gone, *@p ret_lower is the caller's.
 * @retval FLOW_E_BUSY   Not at a clean point; nothing changed.
 * @retval FLOW_E_NOTSUP It has nothing below (#FLOW_CAP_DETACH).
 * @retval FLOW_E_NOMEM  Nothing changed.
 * @par Ownership
 * On #FLOW_OK the caller owns *@p ret_lower if @p f did; a lower flow that
 * @p f had borrowed is still its owner's.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status flow_detach(struct flow *f,
                                                    struct flow **ret_lower);

/**
 * @brief Ask a flow about itself.
 *
 * A layer that does not know a key asks the flow below; keys about security
 * stop at the first confidential layer, so that an outer tunnel never answers
 * for an inner one.
 *
 * @param[in]     f    The flow.
 * @param[in]     key  What to ask; the type is at #flow_query_key.
 * @param[out]    buf  Where to; NULL only asks for the length.
 * @param[in,out] len  Bytes at @p buf; then the bytes of the answer.
 * @retval FLOW_OK       Answered.
 * @retval FLOW_AGAIN    Not known before the flow is open.
 * @retval FLOW_E_INVAL  @p buf is too small; @p len has the size needed.
 * @retval FLOW_E_NOTSUP No flow of the stack knows the key.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_query(struct flow *f, enum flow_query_key key, void *buf, size_t *len);

/**
 * @brief Set an option of a flow.
 *
 * Unknown keys go to the flow below, as in flow_query().
 *
 * @param[in,out] f      The flow.
 * @param[in]     key    What; the meaning of @p value is at
 *                       #flow_control_key.
 * @param[in]     value  The value.
 * @retval FLOW_OK       Done.
 * @retval FLOW_E_INVAL  @p value is out of range.
 * @retval FLOW_E_NOTSUP No flow of the stack knows the key.
 * @return Any other error is in flow_get_error().
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_control(struct flow *f, enum flow_control_key key, int64_t value);

/**
 * @brief What a flow can do.
 *
 * @param[in] f  The flow.
 * @return FLOW_CAP_ bits.
 * @par Since
 * 0.1
 */
FLOW_API uint32_t flow_caps(const struct flow *f);

/**
 * @brief The name of a flow's kind, "tcp", "tls", "pair".
 *
 * @param[in] f  The flow.
 * @return A static string.
 * @par Since
 * 0.1
 */
FLOW_API const char *flow_name(const struct flow *f);

/**
 * @brief The environment a flow was made with.
 *
 * @param[in] f  The flow.
 * @return Never NULL.
 * @par Since
 * 0.1
 */
FLOW_API const struct flow_env *flow_get_env(const struct flow *f);

/**
 * @brief Store a pointer of the caller's in a flow, for flow_get_user().
 *
 * Each flow of a stack has its own, NULL at first.  The library does not look
 * at it.
 *
 * @param[in,out] f     The flow.
 * @param[in]     user  Any pointer; the flow never frees it.
 * @par Threads
 * Any, but no other flow_set_user() or flow_get_user() at the same time.
 * @par Since
 * 0.1
 */
FLOW_API void flow_set_user(struct flow *f, void *user);

/**
 * @brief The pointer that flow_set_user() stored last.
 *
 * @param[in] f  The flow.
 * @return The pointer, NULL before the first call.
 * @par Threads
 * Any, but no flow_set_user() at the same time.
 * @par Since
 * 0.1
 */
FLOW_API void *flow_get_user(const struct flow *f);

/**
 * @brief Why a direction failed.
 *
 * A record with more than a status, a text and one layer needs memory, which is
 * allocated when the error occurs.  If that fails, the record has only these
 * three.
 *
 * @param[in]  f        The flow.
 * @param[in]  dir      One direction.
 * @param[out] ret_err  A copy of the record; #FLOW_OK in its status when the
 *                      direction has not failed.
 * @par Threads
 * As an operation of @p dir.
 * @par Since
 * 0.1
 */
FLOW_API void flow_get_error(const struct flow *f, enum flow_dir dir,
                             struct flow_error *ret_err);

#ifdef __cplusplus
}
#endif

#endif
