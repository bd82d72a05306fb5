/* SPDX-License-Identifier: ISC */
#ifndef TEST_SUPPORT_TAP_H
#define TEST_SUPPORT_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/backend.h>

/*
 * A filter that stands for the wire: keeps a copy of what goes down through
 * it, counts how it is ended, and can hold bytes back or cut a direction at an
 * exact byte.
 */

/* What went down through a tap; outlives it. */
struct wire {
    uint8_t *data;      /* Every byte written. */
    size_t len;         /* How many. */
    size_t cap;         /* Memory at data. */
    unsigned shutdowns; /* Times shutdown(WRITE) answered OK. */
    unsigned closes;    /* Times the tap was closed. */
};

struct tap {
    struct flow base;
    struct wire *wire;
    struct flow_event changed;  /* A gate or a cut was moved. */
    uint64_t gate[2];           /* Bytes that may still pass. */
    enum flow_status beyond[2]; /* What comes then: AGAIN, or the cut. */
    unsigned gathered;          /* Most segments in one write. */
};

#define TAP_OPEN UINT64_MAX

/* wire may be NULL; fails the test when there is no memory. */
struct flow *tap_wrap(struct flow *lower, struct wire *wire,
                      struct tap **ret_tap);

/* Let pass so many bytes of a direction, then hold the rest back. */
void tap_gate(struct tap *t, enum flow_dir dir, uint64_t bytes);
/* Let pass so many bytes, then answer status. */
void tap_cut(struct tap *t, enum flow_dir dir, uint64_t bytes,
             enum flow_status status);

void wire_free(struct wire *w);

/* TLS records on a wire, told apart by what anyone can see. */
struct records {
    unsigned total;
    unsigned handshake;   /* Outer type 22. */
    unsigned ccs;         /* 20. */
    unsigned alert;       /* 21. */
    unsigned data;        /* 23. */
    unsigned alert_sized; /* 23 and as long as an alert of TLS 1.3. */
    unsigned key_update;  /* 23 and as long as a KeyUpdate. */
    size_t largest;       /* Most bytes behind a header. */
    size_t rest;          /* Bytes of an unfinished record at the end. */
};

/* Those from byte off on. */
void wire_records(const struct wire *w, size_t off, struct records *ret);

/*
 * close_notify on a wire since byte off, of a connection in which nothing else
 * looks like one: no other alert is sent and application data is never two
 * bytes long.  version as in FLOW_QUERY_VERSION.
 */
unsigned wire_close_notifies(const struct wire *w, size_t off,
                             uint32_t version);

#endif
