/* SPDX-License-Identifier: ISC */
#include <flow/posix.h>

#include <errno.h>

struct error_row {
    int code;
    enum flow_status status;
    const char *text;
    const char *hint;
};

static const struct error_row error_table[] = {
    { ECONNRESET, FLOW_E_RESET, "connection reset by peer", NULL },
    { EPIPE, FLOW_E_CLOSED, "broken pipe: the peer has closed the connection",
      NULL },
    /* Of an established connection: the peer does not answer any more. */
    { ETIMEDOUT, FLOW_E_RESET, "connection timed out", NULL },
    { ECONNABORTED, FLOW_E_RESET, "connection aborted", NULL },
    { ENETRESET, FLOW_E_RESET, "the network dropped the connection", NULL },
    { ECONNREFUSED, FLOW_E_SYS, "connection refused",
      "check that the server runs and listens there" },
    { EHOSTUNREACH, FLOW_E_SYS, "no route to host",
      "check the address and the route to it" },
    { ENETUNREACH, FLOW_E_SYS, "network is unreachable",
      "check the address and the route to it" },
    { ENETDOWN, FLOW_E_SYS, "network is down", NULL },
    { EADDRINUSE, FLOW_E_SYS, "address already in use",
      "another process listens there: stop it or choose another address" },
    { EADDRNOTAVAIL, FLOW_E_SYS, "this machine does not have this address",
      NULL },
    { EAFNOSUPPORT, FLOW_E_SYS,
      "this machine does not support this kind of address", NULL },
    { EACCES, FLOW_E_SYS, "permission denied", NULL },
    { EPERM, FLOW_E_SYS, "operation not permitted", NULL },
    { EEXIST, FLOW_E_SYS, "a file has this name already",
      "remove the file or choose another path" },
    { ENOENT, FLOW_E_SYS, "no such file or directory",
      "check that the directory exists and, to connect, that the server runs" },
    { ENOTDIR, FLOW_E_SYS, "a part of the path is not a directory",
      "check the path" },
    { ENOTSOCK, FLOW_E_SYS, "not a socket", NULL },
    { EPROTOTYPE, FLOW_E_SYS, "not a stream socket", NULL },
    { EROFS, FLOW_E_SYS, "read-only file system", NULL },
    { EIO, FLOW_E_SYS, "input or output error", NULL },
    { ENOSPC, FLOW_E_SYS, "no space left on device", NULL },
    { EMFILE, FLOW_E_SYS, "too many open files in this process",
      "close descriptors, or raise the limit of open files" },
    { ENFILE, FLOW_E_SYS, "too many open files in the system", NULL },
    { ENOBUFS, FLOW_E_NOMEM, "the system has no buffer space left", NULL },
    { ENOMEM, FLOW_E_NOMEM, "the system has no memory left", NULL },
};

enum flow_status
flow_posix_error(struct flow_error *err, const char *layer, int code,
                 const char *fallback, const char *detail)
{
    struct error_row e = { code, FLOW_E_SYS, fallback, NULL };
    size_t i;

    for (i = 0; i < sizeof(error_table) / sizeof(error_table[0]); i++)
        if (error_table[i].code == code)
            e = error_table[i];
    flow_error_set(err, e.status, layer, FLOW_DOMAIN_ERRNO, code, e.text);
    if (err != NULL)
        err->hint = e.hint;
    if (detail != NULL)
        flow_error_set_detail(err, detail);
    return e.status;
}

enum flow_status
flow_posix_fail(struct flow *f, uint32_t dirs, int code, const char *fallback,
                const char *detail)
{
    struct flow_error err;

    flow_posix_error(&err, flow_name(f), code, fallback, detail);
    return flow_fail_with(f, dirs, &err);
}
