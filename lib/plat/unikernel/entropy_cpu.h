/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_PLAT_UNIKERNEL_ENTROPY_CPU_H
#define FLOW_LIB_PLAT_UNIKERNEL_ENTROPY_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An instruction that may have no word for us now, which it tells. */
struct flow__entropy_instruction {
    bool (*word)(uint64_t *ret);
    unsigned tries; /* for each word */
};

/* flow_entropy_source::read, of which ctx is an instruction: whole words, until
 * one fails at every try. */
size_t flow__entropy_words(void *ctx, uint8_t *buf, size_t len);

#endif
