/* SPDX-License-Identifier: ISC */
#ifndef TEST_FAULT_SESSION_H
#define TEST_FAULT_SESSION_H

#include "step.h"

/*
 * A whole connection in one thread: both ends open, send a message with FIN,
 * read the other's to its end, and close as soon as they are done or have
 * failed.  Whatever happens below, it comes to an end.
 */
#define SESSION_BYTES 600u

struct session_side {
    struct flow *f;
    enum flow_status open;  /* OK, or why it failed. */
    enum flow_status read;  /* How reading ended. */
    enum flow_status write; /* OK: everything and the marker are below. */
    struct flow_error why;  /* The first of these failures, if there was one. */
    size_t sent;
    size_t got; /* Compared with what the other sent. */
    bool closed;
};

struct session {
    struct ends e;
    struct session_side side[2];
};

/* The ends are made; they are closed afterwards.  Fails when nothing moves. */
void session_run(struct session *s);

/* No failure is possible here: both must have everything. */
void session_check_complete(const struct session *s);
/* Whatever was cut: nothing lost without a word, nothing invented. */
void session_check_sound(const struct session *s);

#endif
