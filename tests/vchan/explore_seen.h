/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VCHAN_EXPLORE_SEEN_H
#define TESTS_VCHAN_EXPLORE_SEEN_H

#include <stdbool.h>

#include "explore_state.h"

/* The states that were seen, by fingerprints of 128 bits. */

/* Adds a state; true if it was not seen before. */
bool explore_seen_add(const struct state *st);

/* Forgets all states, and keeps the memory. */
void explore_seen_clear(void);

/* Frees the memory. */
void explore_seen_free(void);

#endif
