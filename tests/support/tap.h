/* SPDX-License-Identifier: ISC */
#ifndef TEST_SUPPORT_TAP_H
#define TEST_SUPPORT_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/backend.h>

/*
 * A filter that stands for the wire: copies the bytes that pass down through
 * it, counts shutdowns and closes, and can hold bytes back or cut a direction
 * at an exact byte.
 */

/* Bytes that passed down through a tap; outlives the tap. */
struct wire {
    uint8_t *data;      /* Every byte written. */
    size_t len;         /* Their number. */
    size_t cap;         /* Allocated size of data. */
    unsigned shutdowns; /* Times shutdown(WRITE) answered OK. */
    unsigned closes;    /* Times the tap was closed. */
};

struct tap {
    struct flow base;
    struct wire *wire;
    struct flow_event changed;  /* Signalled by tap_gate() and tap_cut(). */
    uint64_t gate[2];           /* Bytes that may still pass. */
    enum flow_status beyond[2]; /* The answer after that. */
    unsigned gathered;          /* Largest number of segments in one write. */
};

#define TAP_OPEN UINT64_MAX

/* wire may be NULL.  The test fails if there is no memory. */
struct flow *tap_wrap(struct flow *lower, struct wire *wire,
                      struct tap **ret_tap);

/* Let this many bytes of a direction pass, then hold the rest back. */
void tap_gate(struct tap *t, enum flow_dir dir, uint64_t bytes);
/* Let this many bytes pass, then answer status. */
void tap_cut(struct tap *t, enum flow_dir dir, uint64_t bytes,
             enum flow_status status);

void wire_free(struct wire *w);

/* TLS records on a wire, counted by what their headers show. */
struct records {
    unsigned total;
    unsigned handshake;   /* Outer type 22. */
    unsigned ccs;         /* 20. */
    unsigned alert;       /* 21. */
    unsigned data;        /* 23. */
    unsigned alert_sized; /* 23, of the length of an alert of TLS 1.3. */
    unsigned key_update;  /* 23, of the length of a KeyUpdate. */
    size_t largest;       /* Longest record, without its header. */
    size_t rest;          /* Bytes of an unfinished record at the end. */
};

/* Count the records from offset off on. */
void wire_records(const struct wire *w, size_t off, struct records *ret);

/*
 * Number of close_notify alerts on a wire from offset off on.  Counts
 * alert-sized records, so it needs a connection in which no other alert is sent
 * and no application data has two bytes.  version as in flow_tls_info::version.
 */
unsigned wire_close_notifies(const struct wire *w, size_t off,
                             uint32_t version);

#endif
