/* SPDX-License-Identifier: ISC */
#ifndef TEST_UNIT_STREAM_H
#define TEST_UNIT_STREAM_H

#include <pthread.h>

#include <flow/flow.h>

/*
 * Bytes between two connected flows, in threads and without.  The bytes of a
 * stream depend on their position, so a lost or repeated one is seen.
 */

/* Write text to one flow and read it from the other. */
void stream_text(struct flow *from, struct flow *to, const char *text);

/* For pthread_create(): writes the stream to a flow and ends that direction, or
 * reads it to the end and compares it.  Returns NULL after a failure. */
void *stream_out(void *flow);
void *stream_in(void *flow);

/* Streams in both directions at once: a reader and a writer on each end, four
 * threads in all. */
void stream_both_ways(struct flow *a, struct flow *b);

/* A thread that waits for a byte. */
struct stream_reader {
    pthread_t thread;
    struct flow *flow;
    enum flow_status status;
};

void stream_reader_start(struct stream_reader *r, struct flow *flow);
/* The status of the read. */
enum flow_status stream_reader_join(struct stream_reader *r);

#endif
