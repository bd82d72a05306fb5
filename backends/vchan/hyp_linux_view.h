/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_LINUX_VIEW_H
#define FLOW_VCHAN_HYP_LINUX_VIEW_H

#include <stdbool.h>

#include <flow/port.h>

/*
 * A view is the file that event loops wait on for a channel: an epoll set that
 * contains the channel's descriptor.  A server's channel outlives its flows,
 * and an event loop keeps a descriptor for as long as its file is open; so the
 * offer and each flow have a view of their own.
 *
 * A view also becomes readable when the handle is lost, of which the channel's
 * descriptor does not tell.  That descriptor is always writable, so after a
 * loss the view waits for writability too.  (An eventfd in every view would
 * serve, but the kernel limits the paths from one file through nested epoll
 * sets: 50 for a poller inside another event loop.)
 *
 * Lock: the list's lock guards the list and the files of its views.  Under it
 * only system calls are made.
 */

struct linux_view;

/* The views of a handle. */
struct linux_views {
    struct flow_lock lock;
    struct linux_view *first;
    bool lost;
};

struct linux_view {
    struct linux_views *list;
    struct linux_view *next;
    struct linux_view **at; /* what points to this one */
    int channel;            /* the descriptor that it shows */
    int fd;                 /* the epoll set, or -1 */
};

/* Makes a view of a channel's descriptor, without a file yet. */
void flow__vchan_linux_view_init(struct linux_view *view,
                                 struct linux_views *list, int channel);

/*
 * Replaces the file; the old one never fires again.  The new file is opened
 * first, so that it has another number and no event loop mistakes it for the
 * old one; if no descriptor is left, the old one is closed first.  False with
 * errno: there is no file.
 */
bool flow__vchan_linux_view_renew(struct linux_view *view);

/* inherited: this process was forked from the one that made the view. */
void flow__vchan_linux_view_fini(struct linux_view *view, bool inherited);

/* Makes all views readable, also those that are made later. */
void flow__vchan_linux_views_lose(struct linux_views *list);

#endif
