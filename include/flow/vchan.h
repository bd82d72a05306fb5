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
 * The peer can change every shared byte at any time.  What it gets wrong is
 * #FLOW_E_PROTO for good, with the cause in the record; it never stalls the
 * flow and never makes it touch other memory.
 *
 * A vchan has no half close: flow_shutdown() of the write direction answers
 * #FLOW_E_NOTSUP, and the end of the stream is #FLOW_END_GONE, since a peer
 * that closed and one that died look the same.  TLS on top adds both.
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
    /** Listening: bytes of the ring towards us, at least; up to 1 MiB, made a
     *  power of two from 1024 on.  0: 32 KiB. */
    size_t read_size;
    /** Listening: bytes of the ring towards the peer, at least.  0: 32 KiB. */
    size_t write_size;
    /** Listening: grant the ring towards the peer for reading only.  Peers of
     *  this library and of libxenvchan can use it, ocaml-vchan cannot. */
    bool readonly_ring;
    /** Lend ring memory itself (flow_lease()).  The peer can change what is
     *  lent and can read it: #FLOW_CAP_LEASE_VOLATILE and
     *  #FLOW_CAP_LEASE_SHARED say so.  Without it there are no leases. */
    bool lease_rings;
    /** Connecting: ns until the peer's server must be there and attached,
     *  else #FLOW_E_TIMEOUT; 0: only the flow's own deadlines. */
    uint64_t timeout;
    /** Listening: pages that the peer may keep after their flows ended; 0:
     *  2048.  While it keeps more, the listener offers it no vchan.  What other
     *  peers keep does not count.  Other pages are used again; docs/vchan.md
     *  has the rules. */
    uint32_t pinned_max;
    /** Listening: ended flows whose event channels the peer may keep, which
     *  bounds descriptors where rings are small; 0: 128.  Both limits hold. */
    uint32_t pinned_channels_max;
    /** Have the store tell at once when the peer's domain is destroyed, which
     *  is else noticed within 10 s where the user may make hypercalls
     *  (/dev/xen/privcmd) or is in domain 0, and not at all elsewhere: what
     *  the store tells is that some domain ended, so which it was must be
     *  found out all the same.  Costs a connection to the store, and a thread
     *  of Xen's library, per flow; where the store refuses, as it does to
     *  domains other than 0 unless told otherwise, there is no flow but an
     *  error.  Nothing to the fake hypervisor, where every death is told. */
    bool watch_domains;
    /** Connecting: take the place of a client that has left.  A server of
     *  libxenvchan with `server_persist` keeps it for the next client and goes
     * on with the indexes and bytes in its rings.  Do not set it for servers of
     *  this library, which have pages for each client: the server's flow to the
     *  client that has left fails. */
    bool reattach;
    /** Allow a peer in our own domain.  It serves tests: some kernels do not
     *  survive mapping a grant of their own domain. */
    bool insecure_same_domain;
};

/**
 * @brief Offer a vchan to a domain, one for each client.
 *
 * Each flow has pages of its own, published in the store when the ones before
 * were taken.  After a flow has ended and the client has let go of its pages,
 * they are zeroed and used for the next flows to the same domain.
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
 * @retval FLOW_E_NOMEM   No memory, or the peer keeps more than it may.
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
 * Returns at once; the flow attaches when it is opened, and waits for its
 * server to appear as long as its timeout and deadlines let it.
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
 * Everything but Xen itself is the same: pages, rings, channels and store are
 * files and sockets in a directory.  For trying programs out on any machine;
 * clients are processes or threads that use flow_vchan_fake_connect() on the
 * same directory, whose permissions control access.
 *
 * @param[in]  env           Environment; NULL: flow_env_default().
 * @param[in]  dir           The directory, at most 87 bytes; made with mode
 *                           0700 if missing, removed with the last flow.
 * @param[in]  opt           Options, or NULL.
 * @param[out] ret_listener  The listener.
 * @param[out] ret_err       Why it failed; may be NULL.
 * @retval FLOW_OK        *@p ret_listener is the caller's.
 * @retval FLOW_E_INVAL   The name or a size is out of range.
 * @retval FLOW_E_SYS     Such as EADDRINUSE: another listener has it.
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
 * @param[in]  dir       The listener's directory; may appear later.
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
