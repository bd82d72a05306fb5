/* SPDX-License-Identifier: ISC */
#ifndef FLOW_GUEST_H
#define FLOW_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/entropy.h>
#include <flow/env.h>
#include <flow/status.h>
#include <flow/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief A Xen guest without an operating system: what vchan asks of it, and
 * what it gets.
 *
 * The guest's boot code maps a few pages and fills in a #flow_guest.  After
 * flow_guest_start() flow_vchan_listen(), flow_vchan_connect() and the names
 * `vchan://` work as in a Linux domain.  The same code reaches Xen's store and
 * the console.  docs/porting.md has the steps.
 */

/**
 * @brief The pages and functions of a guest.
 *
 * All pages have 4096 bytes, stay mapped, and are those of this domain.  The
 * table must live as long as the library is used.
 */
struct flow_guest {
    /** Given back to every function. */
    void *ctx;

    /** Make a hypercall: its number (xen/xen.h) and its first three arguments,
     *  of which pointers are addresses in our address space.  Xen's result; an
     *  errno of Xen (xen/errno.h), negated, if it failed. */
    int64_t (*hypercall)(void *ctx, uint32_t number, uint64_t a, uint64_t b,
                         uint64_t c);
    /** Memory of @p count pages, one after another, to share with other
     * domains; NULL if there is none. */
    void *(*pages)(void *ctx, uint32_t count);
    /** Release pages of the same @p count. */
    void (*pages_free)(void *ctx, void *base, uint32_t count);
    /** The guest-physical address of one of these pages or of a window's. */
    uint64_t (*address)(void *ctx, const void *page);
    /** Reserve guest-physical addresses without memory for @p count pages, one
     *  after another, and map them; NULL if there are none. */
    void *(*window)(void *ctx, uint32_t count);
    /** Release a window of the same @p count. */
    void (*window_free)(void *ctx, void *base, uint32_t count);

    /** The page of XENMAPSPACE_shared_info. */
    void *shared_info;
    /** Pages of XENMAPSPACE_grant_table, version 1, one after another. */
    void *grant_table;
    /** How many of them; each has 512 references. */
    uint32_t grant_frames;
    /** HVM_PARAM_STORE_PFN and HVM_PARAM_STORE_EVTCHN. */
    void *store;
    uint32_t store_port; /**< See above. */
    /** HVM_PARAM_CONSOLE_PFN and HVM_PARAM_CONSOLE_EVTCHN, or NULL. */
    void *console;
    uint32_t console_port; /**< See above. */
    /** An interrupt calls flow_guest_upcall(): ports are unmasked.  Otherwise
     *  all stay masked, and flow_guest_idle() polls them. */
    bool interrupts;
};

/**
 * @brief Start vchan, the store and the console in this domain.
 *
 * @param[in]  env    For memory and time, NULL for the default; its now() is
 *                    Xen's system time.  It must live as long as @p guest.
 * @param[in]  guest  The table; it is not copied.
 * @param[out] ret_err  What went wrong; may be NULL.
 * @retval FLOW_OK       Started.
 * @retval FLOW_E_INVAL  It was started already, or there is no grant table.
 * @retval FLOW_E_NOMEM  No memory.
 * @retval FLOW_E_PROTO  The store violated its protocol.
 * @retval FLOW_E_SYS    The store does not answer or does not tell our number.
 * @par Threads
 * One, before any flow over vchan is made.
 * @par Since
 * 0.1
 */
enum flow_status flow_guest_start(const struct flow_env *env,
                                  const struct flow_guest *guest,
                                  struct flow_error *ret_err);

/**
 * @brief Tell every peer that this domain ends.
 *
 * Clears the live byte of each vchan and sends its event, since no kernel does
 * so for a domain.  It takes no lock and no memory, so a panic may call it.
 * Flows are not used afterwards.
 *
 * @par Since
 * 0.1
 */
void flow_guest_stop(void);

/**
 * @brief Signal the events of all ports that have pending ones.
 *
 * For the handler of the callback vector; it may run at any time.
 *
 * @par Since
 * 0.1
 */
void flow_guest_upcall(void);

/**
 * @brief Sleep in the hypervisor until a port has an event.
 *
 * For flow_machine::idle of a guest without interrupts.  It polls up to 128
 * ports; if there are more, it sleeps for at most 10 ms.
 *
 * @param[in] deadline  Xen's system time in nanoseconds; 0: no deadline.
 * @par Since
 * 0.1
 */
void flow_guest_idle(uint64_t deadline);

/**
 * @brief Write to the console.
 *
 * @param[in] text  The bytes.
 * @param[in] len   How many.
 * @return How many were written; fewer than @p len if the ring is full or
 *         damaged, or if there is no console.
 * @par Since
 * 0.1
 */
size_t flow_guest_console_write(const char *text, size_t len);

/**
 * @brief Connect to the host's entropy daemon, xentropyd.
 *
 * The daemon sends 1024 bytes a minute, unless it is configured otherwise, and
 * may begin some time after this call.  The source is not fresh: on a processor
 * without RDRAND it counts only with flow_entropy_options::never_copied.
 *
 * @param[out] ret_source  The source; it lives as long as the program, and
 *                         later calls return it again.
 * @param[out] ret_err     What went wrong; may be NULL.
 * @retval FLOW_OK        Connected, or was before.
 * @retval FLOW_E_NOTSUP  The store names no such channel; a later call may
 *                        find it.  Or the guest was not started.
 * @retval FLOW_E_NOMEM   No memory, event channel or grant.
 * @return Otherwise as flow_guest_store().
 * @par Since
 * 0.1
 */
enum flow_status
flow_guest_entropy(const struct flow_entropy_source **ret_source,
                   struct flow_error *ret_err);

/** Requests to the store, with the numbers of xen/io/xs_wire.h. */
enum flow_guest_store_op {
    /** Names of the nodes below a node, each ended by a NUL. */
    FLOW_GUEST_STORE_DIRECTORY = 1,
    /** The value of a node. */
    FLOW_GUEST_STORE_READ = 2,
    /** Permissions of a node: "n3" for its owner, domain 3, then "r2", "w2" or
     *  "b2" for each other domain, each ended by a NUL. */
    FLOW_GUEST_STORE_GET_PERMS = 3,
    /** Begin a transaction; the path is "".  Answers its number in decimal. */
    FLOW_GUEST_STORE_BEGIN = 6,
    /** End a transaction; the path is "T" to commit and "F" to abort.
     * XEN_EAGAIN is the code of the error if the caller must repeat the
     * transaction. */
    FLOW_GUEST_STORE_END = 7,
    /** Set the value of a node, which is made if necessary. */
    FLOW_GUEST_STORE_WRITE = 11,
    /** Make a node. */
    FLOW_GUEST_STORE_MKDIR = 12,
    /** Remove a node and what is below it. */
    FLOW_GUEST_STORE_RM = 13,
    /** Set permissions, in the format of #FLOW_GUEST_STORE_GET_PERMS. */
    FLOW_GUEST_STORE_SET_PERMS = 14
};

/** A request to the store. */
struct flow_guest_request {
    enum flow_guest_store_op op; /**< What to do. */
    uint32_t transaction;        /**< Its number, or 0. */
    const char *path;            /**< An absolute path, or one below our own
                                      node, "/local/domain/N". */
    const void *value;           /**< For WRITE and SET_PERMS. */
    size_t len;                  /**< Its bytes. */
    void *answer;                /**< Caller's memory for the answer. */
    size_t size;                 /**< Its bytes. */
};

/**
 * @brief Make a request to the store and wait for its answer.
 *
 * @param[in]  request  The request.
 * @param[out] ret_len  Bytes of the answer.
 * @param[out] ret_err  What went wrong, with the store's error as the code of
 *                      #FLOW_DOMAIN_XEN: 2 (ENOENT) no such node, 13 (EACCES)
 *                      not allowed, 28 (ENOSPC) a quota; may be NULL.
 * @retval FLOW_OK       Done.
 * @retval FLOW_E_INVAL  The request is longer than 4096 bytes, or the answer is
 *                       longer than its memory.
 * @retval FLOW_E_NOMEM  A quota of the store.
 * @retval FLOW_E_SYS    Any other error of the store, or the store does not
 *                       answer within 10 seconds.
 * @retval FLOW_E_PROTO  The store violated its protocol; every later request
 *                       fails.
 * @par Since
 * 0.1
 */
enum flow_status flow_guest_store(const struct flow_guest_request *request,
                                  size_t *ret_len, struct flow_error *ret_err);

/** A watch of a node of the store. */
struct flow_guest_watch;

/**
 * @brief Watch a node and what is below it.
 *
 * A watch fires once after it was made, then after every change, and may fire
 * without one.
 *
 * @param[in]  path       As in a request, less than 208 bytes with its NUL.
 * @param[out] ret_watch  The watch; release: flow_guest_watch_close().
 * @param[out] ret_err    As flow_guest_store().
 * @return As flow_guest_store(); #FLOW_E_INVAL also if @p path is too long.
 * @par Since
 * 0.1
 */
enum flow_status flow_guest_watch_open(const char *path,
                                       struct flow_guest_watch **ret_watch,
                                       struct flow_error *ret_err);

/**
 * @brief Whether a watch has fired since the last call.
 * @param[in,out] watch  The watch.
 * @return Whether to look at the node again; true for ever if the store
 *         violated its protocol.
 * @par Since
 * 0.1
 */
bool flow_guest_watch_fired(struct flow_guest_watch *watch);

/**
 * @brief Add what to wait for until a watch fires.
 * @param[in]     watch  The watch, after flow_guest_watch_fired().
 * @param[in,out] set    The wait set.
 * @par Since
 * 0.1
 */
void flow_guest_watch_wait(const struct flow_guest_watch *watch,
                           struct flow_wait_set *set);

/**
 * @brief End a watch.
 * @param[in] watch  The watch; its memory is released.
 * @par Since
 * 0.1
 */
void flow_guest_watch_close(struct flow_guest_watch *watch);

#ifdef __cplusplus
}
#endif

#endif
