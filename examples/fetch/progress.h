/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_FETCH_PROGRESS_H
#define EXAMPLES_FETCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* A bar on the terminal for what takes long; nothing when there is none. */
struct progress {
    bool enabled;
    bool shown;
    uint64_t total; /* bytes, 0 when unknown */
    uint64_t began; /* ns */
    uint64_t drawn; /* ns */
};

/* `enabled`: the bar is wanted; it is drawn if stderr is a terminal. */
void progress_start(struct progress *p, bool enabled, uint64_t total,
                    uint64_t now);
void progress_update(struct progress *p, uint64_t done, uint64_t now);
/* Draws the last state and leaves the line. */
void progress_end(struct progress *p, uint64_t done, uint64_t now);

#endif
