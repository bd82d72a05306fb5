/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_LINUX_LIBS_H
#define FLOW_VCHAN_HYP_LINUX_LIBS_H

#include <flow/status.h>

#include <xencall.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>
#include <xentoollog.h>

/*
 * Xen's libraries are loaded when the first vchan is made on Xen, so a program
 * that makes none does not need them.
 *
 * The table is written once in a process, under the lock of the list of handles
 * and before the first handle exists.  A thread that has a handle reads it
 * without a lock.
 */

/* The functions of each library. */
/* clang-format off */
#define VCHAN_XENCALL(X)            \
    X(xencall_open)                 \
    X(xencall_close)                \
    X(xencall_alloc_buffer)         \
    X(xencall_free_buffer)          \
    X(xencall2)

#define VCHAN_XENEVTCHN(X)          \
    X(xenevtchn_open)               \
    X(xenevtchn_close)              \
    X(xenevtchn_fd)                 \
    X(xenevtchn_notify)             \
    X(xenevtchn_bind_unbound_port)  \
    X(xenevtchn_bind_interdomain)   \
    X(xenevtchn_pending)            \
    X(xenevtchn_unmask)

#define VCHAN_XENGNTTAB(X)             \
    X(xengnttab_open)                  \
    X(xengnttab_close)                 \
    X(xengnttab_map_domain_grant_refs) \
    X(xengnttab_map_grant_ref_notify)  \
    X(xengnttab_unmap)                 \
    X(xengntshr_open)                  \
    X(xengntshr_close)                 \
    X(xengntshr_fd)                    \
    X(xengntshr_share_pages)           \
    X(xengntshr_share_page_notify)     \
    X(xengntshr_unshare)

#define VCHAN_XENSTORE(X)              \
    X(xs_open)                         \
    X(xs_close)                        \
    X(xs_daemon_destroy_postfork)      \
    X(xs_fileno)                       \
    X(xs_read)                         \
    X(xs_write)                        \
    X(xs_rm)                           \
    X(xs_directory)                    \
    X(xs_get_permissions)              \
    X(xs_set_permissions)              \
    X(xs_transaction_start)            \
    X(xs_transaction_end)              \
    X(xs_watch)                        \
    X(xs_check_watch)                  \
    X(xs_is_domain_introduced)
/* clang-format on */

#define VCHAN_XEN_MEMBER(name) __typeof__(name) *name;

struct vchan_xen {
    VCHAN_XENCALL(VCHAN_XEN_MEMBER)
    VCHAN_XENEVTCHN(VCHAN_XEN_MEMBER)
    VCHAN_XENGNTTAB(VCHAN_XEN_MEMBER)
    VCHAN_XENSTORE(VCHAN_XEN_MEMBER)
};

extern struct vchan_xen flow__xen;

/* For the functions that take a logger: drops every message.  Without it the
 * libraries write to stderr; what failed is in our error records. */
extern xentoollog_logger flow__vchan_linux_log;

/* Fills the table unless it is filled; the caller has the lock of the list of
 * handles.  E_NOTSUP: a library or a function is missing; the next call tries
 * again. */
enum flow_status flow__vchan_linux_load(struct flow_error *err);

#endif
