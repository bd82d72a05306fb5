/* SPDX-License-Identifier: ISC */
#ifndef FLOW_REGISTRY_H
#define FLOW_REGISTRY_H

#include <flow/env.h>
#include <flow/wait.h>

#include "lib/plat.h"

/*
 * What the entries of a poller are registered with: descriptors in a poll set,
 * and events.
 *
 * The system holds the number of a descriptor and a generation, never a
 * pointer.  Every registration of a number has a new generation, so a report of
 * an earlier one is recognised and ignored.  Several entries may wait for one
 * descriptor: the slot of its number has a list of their sources.
 *
 * Invariants: source i of an entry is in use iff bit i of used is set, and is
 * then an event iff bit i of events is, else a descriptor.  A slot has sources
 * iff its number is in the poll set, with the union of what they want.  The set
 * may also have descriptors that were closed without flow_fd_closing(); when
 * one is reported, the set is renewed.
 *
 * A child of the process that made the registry shares the poll set with it.
 * In the child nothing here calls the system, since the registrations are the
 * parent's.
 *
 * Threads: the poller's, except that wakers are called from any.
 */

struct flow__registration;

/* Something that an entry is registered with. */
union flow__source {
    struct flow_event_node node; /* of an event */
    struct {
        struct flow__registration *owner;
        union flow__source *next; /* of the same descriptor */
        int fd;
        uint8_t wanted; /* FLOW_WAIT_ bits */
        uint8_t ready;  /* reported by the system, not used since */
    } fd;
};

/* Sources that need no memory of their own: a socket has one. */
#define FLOW__SOURCES_INSIDE 2

/* The sources of one entry. */
struct flow__registration {
    struct flow_waker waker; /* armed at every event */
    union flow__source inside[FLOW__SOURCES_INSIDE];
    union flow__source *others; /* the rest of FLOW_WAIT_SOURCES, or NULL */
    uint8_t used;               /* bit i: source i is in use */
    uint8_t events;             /* bit i: and is an event */
};

/* What is registered under the number of a descriptor. */
struct flow__slot {
    union flow__source *first;
    uint32_t generation;
    uint32_t events : 2;
    uint32_t survey : 30; /* the last one that reported it */
};

struct flow__registry {
    const struct flow_env *env;
    struct flow__pollset *set;
    /* An entry lost its sources: it must be looked at. */
    void (*lost)(struct flow__registration *r);
    /* The system reported a descriptor of an entry. */
    void (*reported)(struct flow__registration *r);
    struct flow__slot *slots; /* by descriptor */
    size_t slot_count;
    uint32_t process;
    uint32_t survey : 30;
    uint32_t changed : 1; /* since the system was asked last */
};

/* env, lost and reported are set. */
enum flow_status flow__registry_init(struct flow__registry *reg);
void flow__registry_fini(struct flow__registry *reg);

/* Whether this process was forked from the one that made it. */
bool flow__registry_is_inherited(const struct flow__registry *reg);

/*
 * Register an entry with the sources of a wait set, and with nothing else.
 * false: one of them cannot be watched.  *ret_signalled: an event fired since
 * it was looked at.
 */
bool flow__registry_watch(struct flow__registry *reg,
                          struct flow__registration *r,
                          const struct flow_wait_set *set, bool *ret_signalled);

/* Remove all sources of an entry. */
void flow__registry_drop(struct flow__registry *reg,
                         struct flow__registration *r);

/* A descriptor is about to be closed, -1: all those of an entry.  Every entry
 * that waits for one loses its sources. */
void flow__registry_closing(struct flow__registry *reg,
                            struct flow__registration *r, int fd);

/* Sleep until the deadline, as flow__pollset_wait(), and note what the system
 * reports.  *ret_all: it reported everything it had. */
enum flow_status flow__registry_ask(struct flow__registry *reg,
                                    uint64_t deadline, bool *ret_all);

/* Note everything that the system can report now, however much. */
enum flow_status flow__registry_survey(struct flow__registry *reg);

/* What the system reported of a descriptor since it was used last. */
uint32_t flow__registration_ready(const struct flow__registration *r, int fd,
                                  uint32_t events);
/* It was used: what was reported may no longer be true. */
void flow__registration_used(struct flow__registration *r);

#endif
