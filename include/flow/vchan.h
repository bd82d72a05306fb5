/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_H
#define FLOW_VCHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <flow/flow.h>
#include <flow/listener.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief Flows between Xen domains over shared memory.
 *
 * A vchan is two rings in pages that one domain grants to another, and an
 * event channel.  These flows speak the protocol of Xen's libxenvchan, so the
 * other end may be any program that uses that library.  docs/vchan.md has the
 * protocol and the trust model.
 *
 * The peer can change every shared byte at any time.  If it violates the
 * protocol, the flow fails for good with #FLOW_E_PROTO and the cause in the
 * record.  It can neither stall the flow nor make it access other memory.
 *
 * A vchan has no half close: flow_shutdown() of the write direction answers
 * #FLOW_E_NOTSUP, and the end of the stream is #FLOW_END_GONE, since a peer
 * that closed and a peer that disappeared look the same.  TLS on top adds half
 * close and tells the two apart.
 *
 * Only the process that made a flow or a listener may use it.  A process that
 * inherited one by fork(2) gets #FLOW_E_INVAL; it may close it, which changes
 * nothing for the parent and the peer.
 *
 * <!-- fragment -->
 * @code
 * struct flow_error err;
 * struct flow *f;
 *
 * if (flow_vchan_connect(NULL, 3, "echo", NULL, &f, &err) == FLOW_OK) {
 *     st = flow_write_all(f, "hello", 5, &n);
 *     flow_close(f);
 * }
 * @endcode
 */

/** Settings of a vchan; zero is the default of each. */
struct flow_vchan_options {
    /** Listening: least size of the ring towards us in bytes, at most 1 MiB,
     *  rounded up to a power of two of at least 1024.  0: 32 KiB. */
    size_t read_size;
    /** Listening: the same for the ring towards the peer. */
    size_t write_size;
    /** Listening: grant the ring towards the peer for reading only.  Peers of
     *  this library and of libxenvchan can use it, ocaml-vchan cannot. */
    bool readonly_ring;
    /** Let flow_lease() lend ring memory itself, which the peer can read and
     *  change meanwhile (#FLOW_CAP_LEASE_VOLATILE, #FLOW_CAP_LEASE_SHARED).
     *  Without this option there are no leases. */
    bool lease_rings;
    /** Connecting: ns within which the flow must have attached to a server,
     *  else #FLOW_E_TIMEOUT; 0: only the flow's own deadlines. */
    uint64_t timeout;
    /** Listening: pages that the peer may keep mapped after their flows ended;
     *  0: 2048.  While it keeps more, the listener offers it no vchan.  Pages
     *  that other peers keep do not count.  docs/vchan.md has the rules. */
    uint32_t pinned_max;
    /** Listening: ended flows whose event channels the peer may keep; 0: 128.
     *  This limits descriptors if the rings are small.  Both limits hold. */
    uint32_t pinned_channels_max;
    /** Learn at once, from the store's watch \@releaseDomain, that the
     *  peer's domain was destroyed, and not up to 10 s later.
     *
     *  In both cases the user must be allowed to make hypercalls
     *  (/dev/xen/privcmd) or be in domain 0, since the watch does not say
     *  which domain ended; otherwise the flow does not learn it at all.  The
     *  option costs each flow a connection to the store and a thread of Xen's
     *  library.  If the store refuses the watch, which is its default for
     *  domains other than 0, connecting or accepting fails.  The fake
     *  hypervisor does not need it and ignores it. */
    bool watch_domains;
    /** Connecting: take the place of a client that has left.  A server of
     *  libxenvchan with `server_persist` waits for the next client, and
     *  continues with the indexes and bytes in its rings.  Do not set this for
     *  a server of this library, which has pages for each client: its flow to
     *  the client that has left would fail. */
    bool reattach;
    /** Allow a peer in our own domain, for tests: some kernels crash when they
     *  map a grant of their own domain. */
    bool insecure_same_domain;
};

/**
 * @brief Offer a vchan to a domain, one for each client.
 *
 * Each flow has pages of its own.  The pages for the next client are published
 * in the store after the last ones were taken.  After a flow has ended and the
 * client has unmapped its pages, they are zeroed and reused for the next flow
 * to the same domain.
 *
 * @param[in]  env           Environment; NULL: flow_env_default().
 * @param[in]  domid         The domain that may connect, 0..0x7fef.
 * @param[in]  path          A name of letters, digits, '-' and '_', published
 *                           as /local/domain/US/data/vchan/DOMID/NAME; or a
 *                           whole store path below /local/domain/US/.
 * @param[in]  opt           Options, or NULL.
 * @param[out] ret_listener  The listener.
 * @param[out] ret_err       Why it failed; may be NULL.
 * @retval FLOW_OK        *@p ret_listener is the caller's.
 * @retval FLOW_E_INVAL   Domain, path or a size is out of range.
 * @retval FLOW_E_NOMEM   No memory, or the peer keeps more pages than it may.
 * @retval FLOW_E_NOTSUP  The library was built without Xen.
 * @return Any other error is in @p ret_err.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_vchan_listen(const struct flow_env *env, uint32_t domid, const char *path,
                  const struct flow_vchan_options *opt,
                  struct flow_listener **ret_listener,
                  struct flow_error *ret_err);

/**
 * @brief Make a flow to a server in another domain.
 *
 * Returns at once.  The flow attaches when it is opened, and waits for its
 * server until its timeout or a deadline is over.
 *
 * @param[in]  env       Environment; NULL: flow_env_default().
 * @param[in]  domid     The server's domain, 0..0x7fef.
 * @param[in]  path      As the server's in flow_vchan_listen(); a whole path
 *                       lies below /local/domain/DOMID/.
 * @param[in]  opt       Options, or NULL.
 * @param[out] ret_flow  The flow.
 * @param[out] ret_err   Why it failed; may be NULL.
 * @return As flow_vchan_listen().
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_vchan_connect(const struct flow_env *env, uint32_t domid, const char *path,
                   const struct flow_vchan_options *opt, struct flow **ret_flow,
                   struct flow_error *ret_err);

/**
 * @brief flow_vchan_listen() without a hypervisor.
 *
 * The pages, channels and store are files and sockets in a directory; all else
 * is the same as with Xen.  It serves to try programs on any machine.  Clients
 * are processes or threads that call flow_vchan_fake_connect() with the same
 * directory, whose permissions control access.
 *
 * @param[in]  env           Environment; NULL: flow_env_default().
 * @param[in]  dir           The directory, at most 87 bytes; made with mode
 *                           0700 if missing, removed with the last flow.
 * @param[in]  opt           Options, or NULL.
 * @param[out] ret_listener  The listener.
 * @param[out] ret_err       Why it failed; may be NULL.
 * @retval FLOW_OK        *@p ret_listener is the caller's.
 * @retval FLOW_E_INVAL   The name or a size is out of range.
 * @retval FLOW_E_SYS     The system refused; EADDRINUSE: another listener uses
 *                        the directory.
 * @retval FLOW_E_NOTSUP  This build of libflow has no fake hypervisor.
 * @return Any other error is in @p ret_err.
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_vchan_fake_listen(const struct flow_env *env, const char *dir,
                       const struct flow_vchan_options *opt,
                       struct flow_listener **ret_listener,
                       struct flow_error *ret_err);

/**
 * @brief flow_vchan_connect() without a hypervisor.
 *
 * @param[in]  env       Environment; NULL: flow_env_default().
 * @param[in]  dir       The listener's directory; it may be made later.
 * @param[in]  opt       Options, or NULL.
 * @param[out] ret_flow  The flow.
 * @param[out] ret_err   Why it failed; may be NULL.
 * @return As flow_vchan_fake_listen().
 * @par Threads
 * Any.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_vchan_fake_connect(const struct flow_env *env, const char *dir,
                        const struct flow_vchan_options *opt,
                        struct flow **ret_flow, struct flow_error *ret_err);

#ifdef __cplusplus
}
#endif

#endif
