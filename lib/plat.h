/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_PLAT_H
#define FLOW_LIB_PLAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/env.h>
#include <flow/port.h>

/*
 * The porting guide: everything libflow needs from an operating system outside
 * its backends.  A port is a directory lib/plat/NAME that implements these
 * functions and those of <flow/port.h> under these names, one facility per
 * file; docs/porting.md walks through it.  None of them prints, exits or
 * blocks, except flow_lock_acquire() (briefly: no lock is held across a wait)
 * and the wait of the environment.
 */

/*
 * The wait lock: one for the process, innermost of all locks, never held while
 * a thread waits.  Guards the lists of sleepers of every flow_event, the chain
 * of flows from a lower one to its upper one, the error records of flows, and
 * the list of entries that have woken their poller.
 */
void flow__wait_lock(void);
void flow__wait_unlock(void);

/*
 * Let other threads run, while one of them holds a latch (lib/latch.h) for a
 * moment.  tries: how often this was called in a row.  From some number on it
 * sleeps briefly, so that a holder with a lower priority gets the processor
 * too.  Nothing, where there is one thread.
 */
void flow__plat_pause(unsigned tries);

/* Monotonic nanoseconds, >= 2; seconds since 1970 or -1. */
uint64_t flow__plat_now(void);
int64_t flow__plat_wall(void);

/* Key material from the system; false when there is none. */
bool flow__plat_random(void *buf, size_t len);
/* Why it answers false: sets err (or nothing, if NULL), and returns
 * FLOW_E_ENTROPY. */
enum flow_status flow__plat_random_error(struct flow_error *err,
                                         const char *layer);

/* A word that each thread has for itself, 0 at first; never NULL.  Only
 * tls/mbedtls/memory.c uses it. */
uintptr_t *flow__plat_thread_word(void);

/* size > 0, align a power of two. */
void *flow__plat_alloc(size_t size, size_t align);
void flow__plat_free(void *ptr, size_t size, size_t align);

/*
 * A whole file into memory of env; *ret_len bytes, plus a NUL that is not
 * counted, so that PEM parsers find their end.  Release: flow_env_free() with
 * *ret_len + 1.  Only regular files are read, so that a FIFO without a writer
 * holds no caller up.  FLOW_E_SYS with *ret_code = errno and *ret_text saying
 * in a static phrase what that means; FLOW_E_INVAL above max bytes;
 * FLOW_E_NOTSUP where there are no files.
 */
enum flow_status flow__plat_read_file(const struct flow_env *env,
                                      const char *path, size_t max,
                                      uint8_t **ret_data, size_t *ret_len,
                                      int32_t *ret_code, const char **ret_text);

/* The files in which systems keep their trust store, the preferred one first,
 * ended by NULL; an empty list where there are none. */
const char *const *flow__plat_trust_files(void);

/* Which of FLOW_WAIT_IN and FLOW_WAIT_OUT a descriptor is ready for now; all of
 * events after an error.  0 where there are no descriptors. */
uint32_t flow__plat_fd_ready(int fd, uint32_t events);

/*
 * What pollers sleep on: a set of descriptors, each with the events looked for
 * and a key given back, plus a waker.  FLOW_E_NOTSUP where there is none.
 */
struct flow__pollset;

struct flow__pollset_event {
    uint64_t key;
    uint32_t events; /* FLOW_WAIT_IN, FLOW_WAIT_OUT; errors set both. */
};

enum flow_status flow__pollset_new(const struct flow_env *env,
                                   struct flow__pollset **ret_set);
/* In a child of the process that made it: without effect on the parent's. */
void flow__pollset_free(struct flow__pollset *set);
/*
 * events 0 removes the descriptor. before: what was set last, 0 for a
 * descriptor that is not in the set; if the system still has it, it gets the
 * new key. key is not UINT64_MAX.  FLOW_E_CLOSED: the descriptor that was set
 * before is no longer there, this is another one with its number.
 */
enum flow_status flow__pollset_set(struct flow__pollset *set, int fd,
                                   uint32_t before, uint32_t events,
                                   uint64_t key);
/* Removes every descriptor, also those that were closed and that the system
 * still reports.  FLOW_E_SYS: there is no descriptor for a new set, and nothing
 * has changed. */
enum flow_status flow__pollset_renew(struct flow__pollset *set);
/*
 * Sleeps until deadline (monotonic ns of flow__plat_now(), FLOW_NEVER,
 * FLOW_NOW), an event, or a wake.  *ret_all: false if more may be ready than
 * was reported; descriptors that stay ready are reported in turn.
 */
enum flow_status flow__pollset_wait(struct flow__pollset *set,
                                    struct flow__pollset_event *ev, size_t cap,
                                    uint64_t deadline, size_t *ret_count,
                                    bool *ret_all);
struct flow_waker *flow__pollset_waker(struct flow__pollset *set);
/* A descriptor that is readable when the wait would report something, always
 * the same; -1 when the whole set has none, or none is left. */
int flow__pollset_fd(struct flow__pollset *set);

#endif
