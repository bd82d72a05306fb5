/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_PLAT_PLAT_H
#define UNIKERNEL_PLAT_PLAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../core/calls.h"

/*
 * What the core asks of the machine that it runs on.  The image has every
 * platform, and finds out at the start which one this is.
 *
 * No function sleeps but wait, and none is called by a handler of an
 * interrupt.
 */
struct plat {
    const char *name;
    /* Finds the devices; called once, with the tables of "memory.h" loaded.
     * Only put and exit are called before. */
    void (*start)(const char *command);
    void (*put)(const char *text, size_t len);
    /* A byte that was typed on the console; false if there is none. */
    bool (*get)(char *ret_byte);
    /* Monotonic ns since the start. */
    uint64_t (*now)(void);
    /* Seconds since 1970-01-01 UTC. */
    int64_t (*wall)(void);
    /* Sleep until an interrupt, or a time of now (0: none), or less. */
    void (*wait)(uint64_t deadline);
    /* Power off; code 0 is success. */
    void (*exit)(int code) __attribute__((noreturn));
    const struct plat_net *net;
    const struct plat_guest *guest; /* NULL: this is not a domain of Xen */
};

#define PLAT_FRAME_MAX 1514

/* A network card, of which plat::wait returns when it has received a frame. */
struct plat_net {
    /* Its Ethernet address; false if there is no card. */
    bool (*station)(uint8_t ret_address[6]);
    /* A frame of at most PLAT_FRAME_MAX bytes, which is copied; false if the
     * card takes none now. */
    bool (*send)(const void *frame, size_t len);
    /* Copies the next frame, and returns its bytes; 0 if there is none.  Longer
     * ones than cap are dropped. */
    size_t (*receive)(void *frame, size_t cap);
};

/* A domain of Xen that shares pages with others. */
struct plat_guest {
    /* Lets ring 3 use the pages of the domain. */
    void (*start)(struct calls_guest *ret);
    /* CALL_GUEST_HYPERCALL of "calls.h"; the address is not checked yet. */
    int64_t (*hypercall)(uint64_t number, uint64_t operation,
                         uintptr_t argument);
};

const struct plat *plat_get(void);

extern const struct plat plat_pc, plat_xen;

#endif
