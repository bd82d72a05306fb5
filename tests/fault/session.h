/* SPDX-License-Identifier: ISC */
#ifndef TEST_FAULT_SESSION_H
#define TEST_FAULT_SESSION_H

#include "step.h"

/*
 * A whole connection in one thread: both ends open, send a message with FIN,
 * read the other's message to its end, and close when they are done or have
 * failed.  Whatever the layers below do, it terminates.
 */
#define SESSION_BYTES 600u

struct session_side {
    struct flow *f;
    enum flow_status open;  /* OK, or why the side failed. */
    enum flow_status read;  /* Status that ended reading. */
    enum flow_status write; /* OK: bytes and marker were accepted below. */
    struct flow_error why;  /* The first of these failures, or OK. */
    size_t sent;
    size_t got; /* Received bytes that match what the other sent. */
    bool closed;
};

struct session {
    struct ends e;
    struct session_side side[2];
};

/* Run the session on these ends and close them.  The test fails if neither side
 * makes progress. */
void session_run(struct session *s);

/* Without faults: both sides must have everything. */
void session_check_complete(const struct session *s);
/* After a cut: no loss is unreported, and no byte is invented. */
void session_check_sound(const struct session *s);

#endif
