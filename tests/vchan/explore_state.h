/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VCHAN_EXPLORE_STATE_H
#define TESTS_VCHAN_EXPLORE_STATE_H

#include <stdint.h>

#include "backends/vchan/ring.h"

/* A state of the exploration: the memory, and what each side has done. */

#define LOG_MAX   24
#define STORE_MAX 12

struct memory {
    uint32_t prod;
    uint32_t cons;
    uint8_t writer_live;
    uint8_t reader_live;
    uint8_t writer_notify; /* events that the reader requests */
    uint8_t reader_notify;
    uint8_t data[4];
};

enum phase { RUN, SLEEP, DONE, DEAD };

struct store {
    uint8_t off;
    uint8_t width;
    uint8_t kind;
    uint32_t value;
};

/* What one side has done in its current call, and its unfinished stores. */
struct side {
    uint8_t phase;
    uint8_t pending; /* an event has arrived */
    uint8_t logged;
    uint8_t stores;
    uint8_t last_kind; /* of the call's latest step, for the mutants */
    uint8_t last_width;
    uint8_t last_value;
    uint8_t stale; /* mutant: loads answer what they found before */
    uint32_t seen_index;
    uint8_t seen_live;
    uint32_t log[LOG_MAX];
    struct store store[STORE_MAX];
};

struct writer {
    struct vchan_tx tx;
    uint8_t sent;
    uint8_t closed; /* the writer saw that the reader is gone */
};

struct reader {
    struct vchan_rx rx;
    uint8_t got;
    uint8_t eof;
};

struct state {
    struct memory mem;
    struct side side[2];
    struct writer writer;
    struct reader reader;
    uint8_t owed[2]; /* steps that the kernel has still to do for a dead side */
};

#endif
