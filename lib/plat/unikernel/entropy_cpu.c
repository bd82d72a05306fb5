/* SPDX-License-Identifier: ISC */
#include "lib/plat/unikernel/entropy_cpu.h"

#include <string.h>

#include <flow/entropy.h>
#include <flow/env.h>

/*
 * RDSEED and RDRAND of x86-64, always in the form of 64 bits: AMD has reported
 * processors of which the shorter forms of RDSEED give 0 and call it a success.
 * Others answered all ones after a resume, which the health tests find.
 *
 * Intel's guide to its generator: RDRAND that fails ten times in a row has a
 * broken generator.  RDSEED may fail whenever others take much, so it is tried
 * longer and with pauses; if that does not help, the caller has RDRAND.
 */
#define ENTROPY_RDRAND_TRIES 10u
#define ENTROPY_RDSEED_TRIES 128u

/* See lib/plat/unikernel/entropy_cpu.h. */
size_t
flow__entropy_words(void *ctx, uint8_t *buf, size_t len)
{
    const struct flow__entropy_instruction *instruction = ctx;
    uint64_t word = 0;
    size_t done = 0;
    unsigned tries;

    while (len - done >= sizeof(word)) {
        for (tries = 1; !instruction->word(&word); tries++)
            if (tries == instruction->tries)
                return done;
        memcpy(buf + done, &word, sizeof(word));
        done += sizeof(word);
    }
    flow_wipe(&word, sizeof(word));
    return done;
}

#ifdef __x86_64__

/* Leaf 1, ECX, and leaf 7, EBX. */
#define ENTROPY_CPUID_RDRAND (1u << 30)
#define ENTROPY_CPUID_RDSEED (1u << 18)

struct entropy_cpu_registers {
    uint32_t a, b, c, d;
};

static struct entropy_cpu_registers
entropy_cpu_id(uint32_t leaf)
{
    struct entropy_cpu_registers r = { .a = leaf };

    __asm__ volatile("cpuid" : "+a"(r.a), "=b"(r.b), "+c"(r.c), "=d"(r.d));
    return r;
}

static bool
entropy_cpu_rdrand(uint64_t *ret)
{
    unsigned char done;

    __asm__ volatile("rdrand %0\n\tsetc %1" : "=r"(*ret), "=qm"(done) : : "cc");
    return done != 0;
}

static bool
entropy_cpu_rdseed(uint64_t *ret)
{
    unsigned char done;

    __asm__ volatile("rdseed %0\n\tsetc %1" : "=r"(*ret), "=qm"(done) : : "cc");
    if (done == 0)
        __asm__ volatile("pause");
    return done != 0;
}

static struct flow__entropy_instruction entropy_cpu_of_rdrand = {
    entropy_cpu_rdrand, ENTROPY_RDRAND_TRIES
};
static struct flow__entropy_instruction entropy_cpu_of_rdseed = {
    entropy_cpu_rdseed, ENTROPY_RDSEED_TRIES
};

static const struct flow_entropy_source entropy_cpu_rdrand_source = {
    .name = "rdrand",
    .ctx = &entropy_cpu_of_rdrand,
    .read = flow__entropy_words,
    .fresh = true,
};
static const struct flow_entropy_source entropy_cpu_rdseed_source = {
    .name = "rdseed",
    .ctx = &entropy_cpu_of_rdseed,
    .read = flow__entropy_words,
    .fresh = true,
};

/* See <flow/entropy.h>. */
const struct flow_entropy_source *
flow_entropy_rdseed(void)
{
    if (entropy_cpu_id(0).a < 7 ||
        (entropy_cpu_id(7).b & ENTROPY_CPUID_RDSEED) == 0)
        return NULL;
    return &entropy_cpu_rdseed_source;
}

/* See <flow/entropy.h>. */
const struct flow_entropy_source *
flow_entropy_rdrand(void)
{
    if ((entropy_cpu_id(1).c & ENTROPY_CPUID_RDRAND) == 0)
        return NULL;
    return &entropy_cpu_rdrand_source;
}

#else

/* See <flow/entropy.h>. */
const struct flow_entropy_source *
flow_entropy_rdseed(void)
{
    return NULL;
}

/* See <flow/entropy.h>. */
const struct flow_entropy_source *
flow_entropy_rdrand(void)
{
    return NULL;
}

#endif
