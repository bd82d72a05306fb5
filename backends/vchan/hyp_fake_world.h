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
 * domain: what it leaves behind when it dies is cleaned up by whoever notices
 * first, in the place of the kernel.
 */

#define FAKE_MAGIC   0x76636866u
#define FAKE_PAGES   16384u
#define FAKE_PORTS   1024u
#define FAKE_KEYS    64u
#define FAKE_BASE    160u
#define FAKE_NOBODY  0u
#define FAKE_MEMBERS UINT16_MAX

/* Directory names are short: a socket's path holds 108 bytes. */
#define FAKE_DIR 88u

/* A page that can be granted; its reference is its index + VCHAN_REF_MIN. */
struct fake_page {
    uint16_t owner;  /* member, or FAKE_NOBODY: free */
    uint16_t peer;   /* domain that may map it */
    uint16_t mapper; /* member that has it mapped, or FAKE_NOBODY */
    uint8_t writable;
    uint8_t orphan; /* its owner died: free once unmapped */
};

enum fake_port_state { FAKE_FREE, FAKE_UNBOUND, FAKE_BOUND };

struct fake_port {
    uint16_t owner; /* member */
    uint16_t domid;
    uint16_t peer;  /* domain that may bind, or has bound */
    uint16_t state; /* enum fake_port_state */
    uint32_t remote;
    /* What the owner's kernel does when the owner dies. */
    uint32_t clear_ref; /* 0: nothing */
    uint32_t clear_at;
};

struct fake_key {
    char base[FAKE_BASE]; /* empty: free */
    uint32_t ref;
    uint32_t port;
};

struct fake_world {
    uint32_t magic;   /* set last */
    uint32_t silent;  /* deaths clear no byte and send no event */
    uint32_t members; /* numbers given out so far */
    pthread_mutex_t lock;
    struct fake_page page[FAKE_PAGES];
    struct fake_port port[FAKE_PORTS];
    struct fake_key key[FAKE_KEYS];
};

/* One opening of a directory. */
struct fake_dir {
    char path[FAKE_DIR];
    struct fake_world *world; /* NULL: not attached yet */
    int pages_fd;
    int alive_fd; /* maker: the socket that says it lives; else -1 */
    uint16_t member;
};

/*
 * Makes the directory and its tables, or fails when a living maker has it.
 */
enum flow_status flow__fake_dir_make(struct fake_dir *dir, const char *path,
                                     bool silent, struct flow_error *err);

/* Names a directory that another process makes, now or later. */
enum flow_status flow__fake_dir_name(struct fake_dir *dir, const char *path,
                                     struct flow_error *err);

/* Attaches to it: OK, AGAIN while nobody alive has made it, or an error. */
enum flow_status flow__fake_dir_attach(struct fake_dir *dir,
                                       struct flow_error *err);

/* Detaches; a maker also removes the directory. */
void flow__fake_dir_leave(struct fake_dir *dir);

void flow__fake_lock(struct fake_world *w);
void flow__fake_unlock(struct fake_world *w);

/* The rest is called under the lock. */

/* A free run of pages, granted to `peer`; its first index, or -1. */
int32_t flow__fake_grant(struct fake_dir *dir, uint16_t peer, uint32_t count,
                         bool writable);
/* False when a peer has one of the pages mapped. */
bool flow__fake_ungrant(struct fake_dir *dir, uint32_t first, uint32_t count);
/* Whether `domid` may map the page behind a reference of `owner_domid`. */
bool flow__fake_may_map(const struct fake_dir *dir, uint16_t domid,
                        uint32_t ref, bool writable);
void flow__fake_unmapped(struct fake_world *w, uint32_t ref);

/* A free port, or 0. */
uint32_t flow__fake_port_new(struct fake_dir *dir, uint16_t domid,
                             uint16_t peer);
void flow__fake_port_free(struct fake_world *w, uint32_t port);

/* Does what the kernel does for a member that died. */
void flow__fake_bury(struct fake_dir *dir, uint16_t member);

struct fake_key *flow__fake_key_find(struct fake_world *w, const char *base);

#endif
