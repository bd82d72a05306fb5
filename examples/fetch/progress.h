/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_FETCH_PROGRESS_H
#define EXAMPLES_FETCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* A progress bar on stderr. */
struct progress {
    bool enabled;
    bool shown;
    uint64_t total; /* bytes, 0 when unknown */
    uint64_t began; /* ns */
    uint64_t drawn; /* ns */
};

/* The bar is drawn if `enabled` is true and stderr is a terminal. */
void progress_start(struct progress *p, bool enabled, uint64_t total,
                    uint64_t now);
void progress_update(struct progress *p, uint64_t done, uint64_t now);
/* Draws the final state and ends the line. */
void progress_end(struct progress *p, uint64_t done, uint64_t now);

#endif
