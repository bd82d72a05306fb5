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
 * The tables of a hypervisor in a directory, shared by every process that opens
 * it: grants, event channels, the store.  The file `world` holds this struct,
 * `pages` the memory that can be granted, `port-N` is the socket of event
 * channel N.
 *
 * A member is one opening of the directory and stands for a process in a
 * domain. It listens on a socket (hyp_fake_member.h).  If it dies, the first
 * member that finds this out cleans up after it, as a kernel would.
 *
 * Every member can write the tables, so their contents are checked: an index is
 * loaded once and checked, a name is compared within its bounds, only its
 * socket says whether a member is dead, and a member knows from its own lists
 * what it owns.  A member that writes wrong entries, or dies at any point, can
 * deprive the others of memory of the world, and otherwise can do no more than
 * a peer on Xen.  The permissions of the directory protect the files from
 * removal and truncation: they belong to one user, whose processes could send
 * signals as well.
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
    uint8_t orphan; /* its owner is dead: free it when it is unmapped */
};

enum fake_port_state { FAKE_FREE, FAKE_UNBOUND, FAKE_BOUND };

struct fake_port {
    _Atomic uint32_t owner; /* member */
    uint16_t domid;
    uint16_t peer;  /* domain that may bind, or has bound */
    uint16_t state; /* enum fake_port_state */
    _Atomic uint32_t remote;
    /* The byte to clear when the owner dies. */
    _Atomic uint32_t clear_ref; /* 0: none */
    _Atomic uint32_t clear_at;
};

struct fake_key {
    char base[FAKE_BASE]; /* empty: free */
    uint32_t ref;
    _Atomic uint32_t port;
};

struct fake_world {
    _Atomic uint32_t magic; /* set last */
    _Atomic uint32_t
        silent; /* the end of a member clears no byte and sends no event */
    _Atomic uint32_t members; /* first number to try for a new member */
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
    int alive_fd; /* the member's socket, or -1 */
    uint32_t member;
    bool silent; /* as the maker of the world has it */
    pthread_mutex_t lock;
    uint32_t lock_tries; /* in vain, since the world's lock was last taken */
};

/* The caller of each function has the lock of the world (hyp_fake_dir.h). */

/* A free run of pages, granted to `peer`; its first index, or -1. */
int32_t flow__fake_grant(struct fake_dir *dir, uint16_t peer, uint32_t count,
                         bool writable);
/* False if a living peer has one of the pages mapped. */
bool flow__fake_ungrant(struct fake_dir *dir, uint32_t first, uint32_t count);
/* Whether `domid` may map the page of a reference. */
bool flow__fake_may_map(const struct fake_dir *dir, uint16_t domid,
                        uint32_t ref, bool writable);
void flow__fake_unmapped(struct fake_world *w, uint32_t ref);

/* A free port, or 0. */
uint32_t flow__fake_port_new(struct fake_dir *dir, uint16_t domid,
                             uint16_t peer);
void flow__fake_port_free(struct fake_world *w, uint32_t port);
/* The port of a number from a table, or NULL if the number is invalid. */
struct fake_port *flow__fake_port_at(struct fake_world *w, uint32_t port);

/*
 * To be called when the socket of the other end of a port of ours has ended.
 * Frees the other port and, if its owner is dead, whatever else it had, as the
 * owner's kernel would.
 */
void flow__fake_port_ended(struct fake_dir *dir, uint32_t port);

/* Does for a member that died what its kernel would do; then its number is
 * free. */
void flow__fake_reclaim(struct fake_dir *dir, uint32_t member);

struct fake_key *flow__fake_key_find(struct fake_world *w, const char *base);
/* A free key, or NULL. */
struct fake_key *flow__fake_key_new(struct fake_dir *dir);

#endif
