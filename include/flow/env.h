/* SPDX-License-Identifier: ISC */
#ifndef FLOW_ENV_H
#define FLOW_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/export.h>
#include <flow/status.h>
#include <flow/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief What a flow needs from the system: clock, memory, entropy, waiting,
 *        names, log.
 *
 * A table of functions, given at construction.  The default is that of the
 * platform the library was built for; a test may give a fake clock or an
 * allocator that fails, a unikernel its own functions.  A layer takes the
 * environment of the flow below it.
 */

/** A network address, independent of the system's socket headers. */
struct flow_addr {
    uint8_t family;    /**< 4 or 6. */
    uint8_t bytes[16]; /**< Network order; the first 4 for family 4. */
    uint16_t port;     /**< Host order. */
    uint32_t scope;    /**< IPv6 scope id, 0 for none. */
};

/** A lookup in progress; the resolver defines it. */
struct flow_lookup;

/**
 * @brief How to look up host names, without blocking the caller.
 *
 * Called only for names: literal addresses never reach it.
 */
struct flow_resolver {
    /**
     * Begin.  @p host and @p service are copied.  #FLOW_OK with a lookup, or
     * an error and nothing to release.
     */
    enum flow_status (*start)(void *ctx, const char *host, uint16_t port,
                              struct flow_lookup **ret_lookup);
    /**
     * Check whether the lookup is done.  #FLOW_OK: 1..@p cap addresses in the
     * order in which to try them.  #FLOW_AGAIN: not yet.  Any other status: it
     * failed, and @p ret_code has the resolver's error number.
     */
    enum flow_status (*result)(struct flow_lookup *lookup,
                               struct flow_addr *ret_addr, size_t cap,
                               size_t *ret_count, int32_t *ret_code);
    /** Add what to wait for. */
    void (*wait)(struct flow_lookup *lookup, struct flow_wait_set *set);
    /** Release it, done or not.  Never blocks. */
    void (*cancel)(struct flow_lookup *lookup);
    /** A static phrase for a resolver's number. */
    const char *(*text)(int32_t code);
};

/** How much a log line matters. */
enum flow_log_level {
    FLOW_LOG_DEBUG = 0, /**< Every call; the trace filter uses it. */
    FLOW_LOG_INFO = 1,  /**< Life-cycle events. */
    FLOW_LOG_WARN = 2   /**< Something a person should look at. */
};

/**
 * @brief The environment of a flow.
 *
 * The table must outlive every flow made with it.  Every function may be
 * called from any thread that uses such a flow.
 */
struct flow_env {
    /** Given back to every function. */
    void *ctx;

    /** Monotonic nanoseconds, never 0 or 1, never going back. */
    uint64_t (*now)(void *ctx);
    /** Seconds since 1970-01-01 UTC, negative before it, or -1 when unknown.
     *  A clock that was not set is not unknown: no certificate is valid by
     *  it. */
    int64_t (*wall)(void *ctx);

    /** @p size > 0 bytes at a multiple of @p align (a power of two, at least
     *  that of max_align_t is given for 0), or NULL. */
    void *(*alloc)(void *ctx, size_t size, size_t align);
    /** Release what alloc gave, with the same @p size and @p align. */
    void (*free)(void *ctx, void *ptr, size_t size, size_t align);

    /** Fill @p buf with bytes fit for keys; false when there is no entropy. */
    bool (*random)(void *ctx, void *buf, size_t len);

    /**
     * Sleep until a source may have fired or the earlier of @p deadline and the
     * wait set's own has passed.  May return early.  Arms a waker of its own at
     * the events of the wait set, and does not sleep if one was signalled since
     * it was looked at.  #FLOW_OK, or an error when waiting is not possible.
     */
    enum flow_status (*wait)(void *ctx, struct flow_wait_set *set,
                             uint64_t deadline);

    /** Names to addresses; NULL when only literal addresses work. */
    const struct flow_resolver *resolver;

    /** A line for the operator of the program; NULL: no log.  @p layer and
     *  @p event are static; @p flow tells flows apart; @p value belongs to the
     *  event. */
    void (*log)(void *ctx, enum flow_log_level level, const char *layer,
                const char *event, const void *flow, int64_t value);
};

/**
 * @brief The environment of the platform the library was built for.
 *
 * On POSIX: CLOCK_MONOTONIC, malloc, the kernel's random source, poll(2) with
 * one wake descriptor per waiting thread, getaddrinfo() in a thread, no log.
 *
 * @return A static table, never NULL.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API const struct flow_env *flow_env_default(void);

/**
 * @brief Memory from an environment, zeroed.
 *
 * @param[in] env   The environment.
 * @param[in] size  Bytes, > 0.
 * @return The memory, for flow_env_free() with the same size, or NULL.
 * @par Since
 * 0.1
 */
FLOW_API void *flow_env_alloc(const struct flow_env *env, size_t size);

/**
 * @brief Release memory of flow_env_alloc().
 *
 * @param[in] env   The environment.
 * @param[in] ptr   The memory, or NULL, which does nothing.
 * @param[in] size  As it was asked for.
 * @par Since
 * 0.1
 */
FLOW_API void flow_env_free(const struct flow_env *env, void *ptr, size_t size);

/**
 * @brief Overwrite memory with zeros in a way no compiler removes.
 *
 * @param[out] ptr  The memory, or NULL when @p len is 0.
 * @param[in]  len  Bytes.
 * @par Since
 * 0.1
 */
FLOW_API void flow_wipe(void *ptr, size_t len);

#ifdef __cplusplus
}
#endif

#endif
