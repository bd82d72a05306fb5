/* SPDX-License-Identifier: ISC */
#ifndef TEST_WIRE_LOOP_H
#define TEST_WIRE_LOOP_H

#include <flow/backend.h>

/*
 * The flow below TLS, controlled by the test: it reads the bytes that the test
 * puts in, and keeps the bytes that are written.  The test owns its memory.
 */
struct loop {
    struct flow base;
    uint8_t *in;
    size_t in_len;
    size_t in_off;
    size_t in_cap;
    bool in_ended; /* an end follows the bytes in it */
    size_t chunk;  /* largest read, 0: no limit */
    uint8_t *out;  /* all bytes that were written */
    size_t out_len;
    size_t out_cap;
    bool out_full;      /* writes answer AGAIN */
    unsigned reads;     /* calls, to bound the work */
    unsigned shutdowns; /* of write */
    unsigned closes;
};

void loop_init(struct loop *l, const struct flow_env *env);
void loop_put(struct loop *l, const void *data, size_t len);
void loop_free(struct loop *l);

#endif
