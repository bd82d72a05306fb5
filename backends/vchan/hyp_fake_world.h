/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_FAKE_WORLD_H
#define FLOW_VCHAN_HYP_FAKE_WORLD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/status.h>

#include "backends/vchan/proto.h"

/*
 * A hypervisor's tables in a directory, shared by every process that opens
 * it: grants, event channels, the store.  `world` holds this struct, `pages`
 * the memory that can be granted, `port-N` the socket of event channel N.
 *
 * A member is one opening of the directory and stands for a process in a
 * domain: what it leaves when it dies is cleaned up by whoever notices first,
 * in the place of the kernel.  It listens on a socket, `alive` for the maker of
 * the directory and `member-N` for the others: who can connect knows that it
 * lives, and no two members have one number.
 *
 * Every member can write the tables, so nothing in them is trusted: an index is
 * loaded once and checked, a name is compared within its bounds, a member is
 * taken for dead if its socket says so, and what a member itself owns it knows
 * from its own lists.  A member that lies, or dies at any point, can take
 * memory of the world away from the others, but does not make them fail in any
 * other way than a peer on Xen can.  That a member removes or truncates the
 * files is for the directory's permissions to prevent: they are those of one
 * user, who could as well send a signal.
 */

#define FAKE_MAGIC  0x76636866u
#define FAKE_PAGES  16384u
#define FAKE_PORTS  1024u
#define FAKE_KEYS   64u
#define FAKE_BASE   160u
#define FAKE_NOBODY 0u
#define FAKE_MAKER  1u

/* Directory names are short: a socket's path holds 108 bytes. */
#define FAKE_DIR 88u

/* A page that can be granted; its reference is its index + VCHAN_REF_MIN. */
struct fake_page {
    _Atomic uint32_t owner;  /* member, or FAKE_NOBODY: free */
    _Atomic uint32_t mapper; /* member that has it mapped, or FAKE_NOBODY */
    uint16_t peer;           /* domain that may map it */
    uint8_t writable;
    uint8_t orphan; /* its owner died: free once unmapped */
};

enum fake_port_state { FAKE_FREE, FAKE_UNBOUND, FAKE_BOUND };

struct fake_port {
    _Atomic uint32_t owner; /* member */
    uint16_t domid;
    uint16_t peer;  /* domain that may bind, or has bound */
    uint16_t state; /* enum fake_port_state */
    _Atomic uint32_t remote;
    /* What the owner's kernel does when the owner dies. */
    _Atomic uint32_t clear_ref; /* 0: nothing */
    _Atomic uint32_t clear_at;
};

struct fake_key {
    char base[FAKE_BASE]; /* empty: free */
    uint32_t ref;
    _Atomic uint32_t port;
};

struct fake_world {
    _Atomic uint32_t magic;   /* set last */
    _Atomic uint32_t silent;  /* deaths clear no byte and send no event */
    _Atomic uint32_t members; /* where to look for a free number of a member */
    struct fake_page page[FAKE_PAGES];
    struct fake_port port[FAKE_PORTS];
    struct fake_key key[FAKE_KEYS];
};

/* One opening of a directory. */
struct fake_dir {
    char path[FAKE_DIR];
    struct fake_world *world; /* NULL: not attached yet */
    int world_fd;
    int pages_fd;
    int alive_fd; /* the socket that says that we live, or -1 */
    uint32_t member;
    bool silent; /* as the maker of the world has it */
    pthread_mutex_t lock;
    uint32_t lock_tries; /* in vain, since the world's lock was last taken */
};

/* The caller of each function has the lock of the world (hyp_fake_dir.h). */

/* A free run of pages, granted to `peer`; its first index, or -1. */
int32_t flow__fake_grant(struct fake_dir *dir, uint16_t peer, uint32_t count,
                         bool writable);
/* False when a peer that lives has one of the pages mapped. */
bool flow__fake_ungrant(struct fake_dir *dir, uint32_t first, uint32_t count);
/* Whether `domid` may map the page behind a reference of `owner_domid`. */
bool flow__fake_may_map(const struct fake_dir *dir, uint16_t domid,
                        uint32_t ref, bool writable);
void flow__fake_unmapped(struct fake_world *w, uint32_t ref);

/* A free port, or 0. */
uint32_t flow__fake_port_new(struct fake_dir *dir, uint16_t domid,
                             uint16_t peer);
void flow__fake_port_free(struct fake_world *w, uint32_t port);
/* A port that a table names, or NULL if there is none of this number. */
struct fake_port *flow__fake_port_at(struct fake_world *w, uint32_t port);

/*
 * The socket of the other end of a port of ours has ended.  Frees the other
 * port as its owner's kernel would if the owner died without doing so, and what
 * else it had.
 */
void flow__fake_port_ended(struct fake_dir *dir, uint32_t port);

/* Does for a member that died what its kernel would do; then its number is
 * free. */
void flow__fake_reclaim(struct fake_dir *dir, uint32_t member);

struct fake_key *flow__fake_key_find(struct fake_world *w, const char *base);
/* A free key, or NULL. */
struct fake_key *flow__fake_key_new(struct fake_dir *dir);

#endif
