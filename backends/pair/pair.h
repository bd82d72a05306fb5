/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_PAIR_PAIR_H
#define BACKENDS_PAIR_PAIR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/backend.h>
#include <flow/buf.h>

/* Bytes per direction of a pair that was made by name. */
#define PAIR_DEFAULT_CAPACITY ((size_t)65536)
/* Longest NAME of "pair:NAME". */
#define PAIR_NAME_MAX 63
/* Of the address "pair:NAME" with its NUL. */
#define PAIR_ADDRESS_SIZE (PAIR_NAME_MAX + 6)

/*
 * One direction: a ring as in backends/pair/ring.h.  The memory is twice as
 * large as the ring: after the ring is a margin, into which a lease of
 * contiguous bytes continues past the end of the ring (decision 0010).
 *
 * There is no lock.  The members, the thread that stores them, and the order in
 * which other threads see them:
 *
 * - tail is the writer's.  It is stored with release after the bytes before it
 *   were written; the reader loads it with acquire before it reads them.
 * - head is the reader's.  It is stored with release after the bytes before it
 *   were read; the writer loads it with acquire before it writes over them.
 * - ended and writer_gone are stored with release after the last tail.  A
 *   reader loads them before tail, so that if one of them is set, no bytes come
 *   after those that it finds.
 * - discards and reader_gone are stored by the reader, which reads no byte
 *   afterwards.  After discards, head says nothing any more: for the writer the
 *   ring is empty, and for the reader too.
 * - Each end has at most one thread that moves its index: the core lets one
 * call of a direction run at a time.  Other threads look at the indexes only to
 *   tell what is ready.
 * - tail - head <= size for the thread of either end.  A third thread loads the
 *   two at different times, so what it computes is limited to 0..size.
 * - The margin belongs to the reader while the filled part wraps and to the
 *   writer while the free part wraps.  The two never wrap at once: an end
 *   computes its part from its own index and from an older one of the other
 *   end, which makes the part smaller and not longer, and its own index does
 *   not move while the part is lent.
 */
struct pair_ring {
    struct flow_buf buf;
    uint32_t size;
    _Atomic uint32_t head;
    _Atomic uint32_t tail;
    atomic_bool ended;       /* The writer called flow_shutdown(). */
    atomic_bool writer_gone; /* The writer closed its end. */
    atomic_bool reader_gone;
    atomic_bool discards; /* The reader called flow_shutdown(). */
    struct flow_event readable;
    struct flow_event writable;
};

struct pair;

struct pair_end {
    struct flow base;
    struct pair *pair;
    struct pair_ring *in;
    struct pair_ring *out;
    size_t lent_first;     /* Bytes in the first span of the write lease. */
    struct pair_end *next; /* In a listener's queue. */
};

struct pair {
    const struct flow_env *env;
    const struct flow_buf_policy *policy; /* NULL: env. */
    atomic_uint open;                     /* Ends that are not closed. */
    struct pair_ring ring[2];
    struct pair_end end[2];
    char name[PAIR_NAME_MAX + 1]; /* Empty: not made by name. */
    bool queued;                  /* A listener has got end[1]; under the lock
                                     of the names (name.c). */
    uint64_t timeout;             /* For connecting, ns, 0: none. */
    uint64_t dial_deadline;       /* Set by the first try; same lock. */
};

/* As flow_pair_new(); both ends of the object are open. */
enum flow_status flow__pair_make(const struct flow_env *env, size_t capacity,
                                 const struct flow_buf_policy *policy,
                                 struct pair **ret_pair);

void flow__pair_address(const char *name, char ret_text[PAIR_ADDRESS_SIZE]);

/* The operations of an end; an end that connects by name has some others. */
enum flow_status flow__pair_readv(struct flow *f, const struct flow_vec *vec,
                                  size_t count, size_t *ret_len);
enum flow_status flow__pair_writev(struct flow *f, const struct flow_cvec *vec,
                                   size_t count, uint32_t flags,
                                   size_t *ret_len);
enum flow_status flow__pair_shutdown(struct flow *f, enum flow_dir dir);
uint32_t flow__pair_wait(struct flow *f, uint32_t interest,
                         struct flow_wait_set *set);
enum flow_status flow__pair_lease(struct flow *f, enum flow_dir dir,
                                  size_t want, struct flow_vec ret_span[2]);
enum flow_status flow__pair_commit(struct flow *f, enum flow_dir dir,
                                   size_t used, uint32_t flags);
enum flow_status flow__pair_query(struct flow *f, enum flow_query_key key,
                                  void *buf, size_t *len);
void flow__pair_close(struct flow *f);

/* Makes an end that is not in use yet a flow of this environment. */
enum flow_status flow__pair_join(struct pair_end *e,
                                 const struct flow_env *env);

/* Capabilities of an end that is connected. */
#define PAIR_CAPS                                                              \
    (FLOW_CAP_HALF_CLOSE_WRITE | FLOW_CAP_HALF_CLOSE_READ |                    \
     FLOW_CAP_ORDERLY_END | FLOW_CAP_LEASE_READ | FLOW_CAP_LEASE_WRITE |       \
     FLOW_CAP_DUPLEX)

#endif
