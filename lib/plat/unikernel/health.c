/* SPDX-License-Identifier: ISC */
#include "lib/plat/unikernel/health.h"

/*
 * The continuous health tests of NIST SP 800-90B 4.4 over a source, twice: with
 * its bytes as samples, and with words of eight bytes, which find what repeats
 * in steps of a word, as an instruction does that always gives the same.
 *
 * A sound source is taken for a bad one with a probability of a = 2^-30 for
 * each sample, the middle of what 4.3 recommends.  The min-entropy that is
 * claimed is H = 6 bits for a byte, so 48 for a word.  The sources here are
 * conditioned ones with almost 8; the reserve makes false alarms of a sound one
 * rarer still.
 *
 * Repetition count (4.4.1): C = 1 + ceil(-log2(a) / H) equal samples in a row.
 *     bytes  1 + ceil(30 / 6)  = 6
 *     words  1 + ceil(30 / 48) = 2
 *
 * Adaptive proportion (4.4.2): in a window of W = 512 samples, that of samples
 * that are not binary, C = 1 + critbinom(W, 2^-H, 1 - a) are equal to the
 * first.
 *     bytes  1 + critbinom(512, 2^-6, 1 - 2^-30) = 1 + 30 = 31
 *     words  2: critbinom(512, 2^-48, 1 - 2^-30) is 0, and the first sample
 *            counts itself
 */
#define HEALTH_WINDOW 512u

struct health_cutoffs {
    uint32_t run;
    uint32_t equal;
};

static const struct health_cutoffs health_of_bytes = { 6, 31 };
static const struct health_cutoffs health_of_words = { 2, 2 };

static void
health_count(struct flow__health_track *t, uint64_t sample)
{
    t->run = t->run > 0 && sample == t->last ? t->run + 1 : 1;
    t->last = sample;
    if (t->seen == HEALTH_WINDOW)
        t->seen = 0;
    if (t->seen++ == 0) {
        t->first = sample;
        t->equal = 0;
    }
    t->equal += sample == t->first;
}

static enum flow__health_fault
health_add(struct flow__health_track *t, const struct health_cutoffs *cutoffs,
           uint64_t sample)
{
    health_count(t, sample);
    if (t->run >= cutoffs->run)
        return FLOW__HEALTH_REPEATS;
    return t->equal >= cutoffs->equal ? FLOW__HEALTH_SKEWED : FLOW__HEALTH_GOOD;
}

static enum flow__health_fault
health_add_byte(struct flow__health *h, uint8_t byte)
{
    enum flow__health_fault fault =
        health_add(&h->bytes, &health_of_bytes, byte);
    uint64_t word;

    h->word = h->word << 8 | byte;
    if (fault != FLOW__HEALTH_GOOD || ++h->word_len < sizeof(h->word))
        return fault;
    word = h->word;
    h->word = 0;
    h->word_len = 0;
    return health_add(&h->words, &health_of_words, word);
}

/* See lib/plat/unikernel/health.h. */
enum flow__health_fault
flow__health_check(struct flow__health *h, const uint8_t *buf, size_t len)
{
    enum flow__health_fault fault = FLOW__HEALTH_GOOD;
    size_t i;

    for (i = 0; i < len && fault == FLOW__HEALTH_GOOD; i++)
        fault = health_add_byte(h, buf[i]);
    return fault;
}
