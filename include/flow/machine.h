/* SPDX-License-Identifier: ISC */
#ifndef FLOW_MACHINE_H
#define FLOW_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief A machine without an operating system: what the port
 * `lib/plat/unikernel` asks of it.
 *
 * A unikernel fills in a #flow_machine and calls flow_machine_start() before
 * any other function of the library.  The port is for one processor and no
 * threads: its locks are empty, except that the wait lock masks interrupts.
 */

/**
 * @brief The functions of a machine.
 *
 * The table and what it points to must live as long as the library is used.
 * The members without which the port can do are marked "or NULL".
 */
struct flow_machine {
    /** Given back to every function. */
    void *ctx;

    /** Monotonic nanoseconds, which never go back. */
    uint64_t (*now)(void *ctx);
    /** Seconds since 1970-01-01 UTC, negative before it, or -1 if they are
     *  unknown; or NULL. */
    int64_t (*wall)(void *ctx);

    /** Fill @p buf with bytes that are fit for keys; false if no source is
     *  healthy; or NULL: there is no source.  TLS answers #FLOW_E_ENTROPY then.
     *  <flow/entropy.h> has such a function. */
    bool (*random)(void *ctx, void *buf, size_t len);
    /** Set text, hint and detail of an error to why random answers false; or
     *  NULL. */
    void (*random_error)(void *ctx, struct flow_error *err);

    /** @p size > 0 bytes at a multiple of @p align, a power of two, or NULL if
     *  there is no memory. */
    void *(*alloc)(void *ctx, size_t size, size_t align);
    /** Release what alloc gave, with the same @p size and @p align. */
    void (*free)(void *ctx, void *ptr, size_t size, size_t align);

    /**
     * Sleep until an interrupt, or until @p deadline (of now; 0: no deadline).
     *
     * It must not sleep if @p woken is not 0, and must look at it after it has
     * masked interrupts, so that an interrupt before the sleep ends it.  It may
     * return early.  It may call functions of backends that signal events, such
     * as flow_lwip_receive(); it must not call functions of flows, or wait.
     */
    void (*idle)(void *ctx, uint64_t deadline, const uint32_t *woken);

    /** Mask interrupts, and return what restore needs; or NULL if interrupt
     *  handlers call no function of the library.  Both or none are set. */
    uintptr_t (*mask)(void *ctx);
    /** Make the interrupts as they were at the call of mask. */
    void (*restore)(void *ctx, uintptr_t state);
};

/**
 * @brief Give the port its machine.
 *
 * Before this call the port has no memory and no entropy, and its clock stands
 * still.
 *
 * @param[in] machine  The table; it is not copied.  now, alloc, free and idle
 *                     are set.
 * @par Since
 * 0.1
 */
void flow_machine_start(const struct flow_machine *machine);

#ifdef __cplusplus
}
#endif

#endif
