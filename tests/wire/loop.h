/* SPDX-License-Identifier: ISC */
#ifndef TEST_WIRE_LOOP_H
#define TEST_WIRE_LOOP_H

#include <flow/backend.h>

/*
 * The flow below TLS, in the hands of the test: what is put in is read, what
 * is written is kept.  Its memory is the test's.
 */
struct loop {
    struct flow base;
    uint8_t *in;
    size_t in_len;
    size_t in_off;
    size_t in_cap;
    bool in_ended; /* the end follows what is in */
    size_t chunk;  /* most bytes per read, 0: no limit */
    uint8_t *out;  /* everything that was written */
    size_t out_len;
    size_t out_cap;
    bool out_full;      /* writing answers AGAIN */
    unsigned reads;     /* calls, for bounds on work */
    unsigned shutdowns; /* of writing */
    unsigned closes;
};

void loop_init(struct loop *l, const struct flow_env *env);
void loop_put(struct loop *l, const void *data, size_t len);
void loop_free(struct loop *l);

#endif
