/* SPDX-License-Identifier: ISC */
#ifndef FLOW_UNIX_H
#define FLOW_UNIX_H

#include <flow/flow.h>
#include <flow/listener.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * @file
 * @brief Flows over UNIX-domain sockets, and over descriptors of the caller.
 */

/** Settings of a UNIX socket's flow or listener; zero is the default of each.
 */
struct flow_unix_options {
    /** Dialling: ns within which the listener's queue must have room for the
     *  connection, counted from the first try; 0: no limit. */
    uint64_t timeout;
    /** Listening: connections that may wait for accept; 0: 128. */
    int backlog;
    /** Listening: permission bits of the file, at most 0777; 0: 0600. */
    unsigned mode;
};

/**
 * @brief Make a flow to a UNIX socket.
 * @param[in]  env       Environment; NULL: flow_env_default().
 * @param[in]  path      Its path; a leading '@' means Linux's abstract names.
 * @param[in]  opt       Options, or NULL.
 * @param[out] ret_flow  The flow; connects when opened.
 * @param[out] ret_err   Why it failed; may be NULL.
 * @retval FLOW_OK       Made.
 * @retval FLOW_E_INVAL  The path is empty or too long for the system.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_unix_dial(const struct flow_env *env, const char *path,
               const struct flow_unix_options *opt, struct flow **ret_flow,
               struct flow_error *ret_err);

/**
 * @brief Listen on a UNIX socket.
 *
 * A socket file without a listener, such as a process that has exited leaves,
 * is replaced.  The process that made the listener removes the file when it
 * closes the listener; a forked child leaves the file alone.
 *
 * @param[in]  env           Environment; NULL: flow_env_default().
 * @param[in]  path          As flow_unix_dial().
 * @param[in]  opt           Options, or NULL.
 * @param[out] ret_listener  The listener.
 * @param[out] ret_err       Why it failed; may be NULL.
 * @retval FLOW_OK       Listening.
 * @retval FLOW_E_INVAL  The path is empty or too long for the system, the
 *                       backlog is negative, or the mode is above 0777.
 * @retval FLOW_E_SYS    The system refused; the record has errno.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_unix_listen(const struct flow_env *env, const char *path,
                 const struct flow_unix_options *opt,
                 struct flow_listener **ret_listener,
                 struct flow_error *ret_err);

/**
 * @brief Make a flow of descriptors that are connected.
 *
 * A stream socket of any family, or the two ends of pipes, a terminal or a
 * file.  A socket's blocking mode does not matter and is left alone.  Any other
 * descriptor is made non-blocking, for every process that shares it;
 * flow_close() restores the mode, except in a child that inherited the flow.
 * Half close is there for sockets, and where the two descriptors differ (the
 * write end is closed).
 *
 * @param[in]  env       Environment; NULL: flow_env_default().
 * @param[in]  read_fd   To read from.
 * @param[in]  write_fd  To write to; may be the same.
 * @param[out] ret_flow  The flow.
 * @param[out] ret_err   Why it failed; may be NULL.
 * @retval FLOW_OK       Made.
 * @retval FLOW_E_INVAL  A descriptor is not open for its direction, or is a
 *                       listening or datagram socket.
 * @retval FLOW_E_NOMEM  No memory.
 * @par Ownership
 * On #FLOW_OK the descriptors are the flow's and closed with it; else they are
 * still the caller's, unchanged.
 * @par Since
 * 0.1
 */
FLOW_API FLOW_MUST_USE enum flow_status
flow_fd_adopt(const struct flow_env *env, int read_fd, int write_fd,
              struct flow **ret_flow, struct flow_error *ret_err);

#ifdef __cplusplus
}
#endif

#endif
