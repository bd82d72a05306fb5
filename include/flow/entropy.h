/* SPDX-License-Identifier: ISC */
#ifndef FLOW_ENTROPY_H
#define FLOW_ENTROPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief Random bytes for a machine without an operating system, from sources
 * that are tested all the time.
 *
 * A unikernel names its sources in flow_entropy_start() and sets
 * flow_machine::random to flow_entropy_random().  Each source has to pass the
 * health tests of NIST SP 800-90B 4.4 before its bytes count, and passes them
 * over every byte afterwards.  While none is healthy, TLS answers
 * #FLOW_E_ENTROPY.  A seed is mixed into the result but never is a source: a
 * copy of the machine would have the same.
 *
 * <!-- fragment -->
 * @code
 * static const struct flow_machine machine = {
 *     .random = flow_entropy_random,
 *     .random_error = flow_entropy_error,
 *     ...
 * };
 * const struct flow_entropy_source *sources[2] = {
 *     flow_entropy_rdseed(), flow_entropy_rdrand()
 * };
 * const struct flow_entropy_options options = {
 *     .sources = sources, .source_count = 2, .mix = flow_tls_mix,
 *     .seed = word, .seed_len = strlen(word)
 * };
 *
 * flow_machine_start(&machine);
 * flow_entropy_start(&options, &err);
 * @endcode
 */

/** Most sources of a machine. */
#define FLOW_ENTROPY_SOURCES 4

/** A source of entropy. */
struct flow_entropy_source {
    /** Static, for errors: "rdseed". */
    const char *name;
    /** Given back to read. */
    void *ctx;
    /** Write up to @p len bytes at @p buf and return how many; 0: none now.
     *  It does not wait. */
    size_t (*read)(void *ctx, uint8_t *buf, size_t len);
    /** Each byte is made after the call of read, so no snapshot of the machine
     *  contains it.  An instruction of the processor does so; a ring in memory
     *  does not. */
    bool fresh;
};

/**
 * @brief Make bytes out of secrets: flow_tls_mix(), or a function like it.
 *
 * HKDF-SHA-256 (RFC 5869) or as strong: without @p salt and @p input the
 * @p len <= 512 bytes at @p out cannot be told from random ones.
 *
 * @return Whether it did; false without memory.
 */
typedef bool flow_entropy_mix_fn(const uint8_t *salt, size_t salt_len,
                                 const uint8_t *input, size_t input_len,
                                 uint8_t *out, size_t len);

/** What flow_entropy_start() is told. */
struct flow_entropy_options {
    /** The sources; each lives as long as the machine.  NULL stands for one
     *  that this machine lacks, as flow_entropy_rdseed() returns it. */
    const struct flow_entropy_source *const *sources;
    size_t source_count; /**< At most #FLOW_ENTROPY_SOURCES. */
    /** Mixes all that the sources give. */
    flow_entropy_mix_fn *mix;
    const void *seed; /**< Mixed in too, not kept; or NULL. */
    size_t seed_len;  /**< Its bytes. */
    /** The machine cannot be resumed from a snapshot or cloned, as a Xen guest
     *  with <flow/guest.h> cannot.  Sources that are not fresh count then. */
    bool never_copied;
};

/**
 * @brief Name the sources of the machine.  Replaces those of an earlier call.
 *
 * Reads nothing from them yet: flow_entropy_random() tests them, and a source
 * may become healthy later.
 *
 * @param[in]  options  What to use; copied, but for the sources.
 * @param[out] ret_err  What is wrong; may be NULL.
 * @retval FLOW_OK       Started.
 * @retval FLOW_E_INVAL  Too many sources, or no mix.
 * @retval FLOW_E_NOMEM  The mix failed.
 * @par Threads
 * One.
 * @par Since
 * 0.1
 */
enum flow_status flow_entropy_start(const struct flow_entropy_options *options,
                                    struct flow_error *ret_err);

/**
 * @brief Random bytes, for flow_machine::random.
 *
 * Every call takes new bytes from each healthy source.  A source that is not
 * healthy is tested again.
 *
 * @param[in]  ctx  Not used.
 * @param[out] buf  The bytes; all zero if it answers false.
 * @param[in]  len  How many.
 * @return Whether a healthy source gave some.
 * @par Threads
 * One, not in an interrupt.
 * @par Since
 * 0.1
 */
bool flow_entropy_random(void *ctx, void *buf, size_t len);

/**
 * @brief Why there are no random bytes, for flow_machine::random_error.
 *
 * @param[in]     ctx  Not used.
 * @param[in,out] err  Receives text and hint, and in the detail each source
 *                     with the test that it failed.
 * @par Threads
 * As flow_entropy_random().
 * @par Since
 * 0.1
 */
void flow_entropy_error(void *ctx, struct flow_error *err);

/**
 * @brief The instruction RDSEED of this processor.
 * @return A static source, or NULL if CPUID does not report it.
 * @par Since
 * 0.1
 */
const struct flow_entropy_source *flow_entropy_rdseed(void);

/**
 * @brief The instruction RDRAND of this processor.
 * @return A static source, or NULL if CPUID does not report it.
 * @par Since
 * 0.1
 */
const struct flow_entropy_source *flow_entropy_rdrand(void);

#ifdef __cplusplus
}
#endif

#endif
