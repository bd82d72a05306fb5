/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_PAIR_PAIR_H
#define BACKENDS_PAIR_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/backend.h>
#include <flow/buf.h>
#include <flow/port.h>

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
 * - Under the pair's lock: tail - head <= size.  Only the reader moves head,
 * and only the writer moves tail, so each uses its own part of the memory
 * without the lock.
 * - The margin belongs to the reader while the filled part wraps and to the
 *   writer while the free part wraps.  The two never wrap at once, and no part
 *   that is lent becomes the other's.
 */
struct pair_ring {
    struct flow_buf buf;
    uint32_t size;
    uint32_t head;
    uint32_t tail;
    bool ended;       /* The writer called flow_shutdown(). */
    bool writer_gone; /* The writer closed its end. */
    bool reader_gone;
    bool discards; /* The reader called flow_shutdown(). */
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
    struct flow_lock lock;
    unsigned open; /* Ends that are not closed. */
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
