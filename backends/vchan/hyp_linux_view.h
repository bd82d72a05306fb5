/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_LINUX_VIEW_H
#define FLOW_VCHAN_HYP_LINUX_VIEW_H

#include <stdbool.h>

#include <flow/port.h>

/*
 * What event loops know of a channel: a file that is readable when the
 * channel's is.  The handle of a server outlives the flows of its channel, and
 * a loop knows a descriptor for as long as its file is open: so the offer and
 * each flow have a file of their own.
 *
 * It also tells that everything is lost, which the channel's file does not.
 * That one, of the event channel device, can always be written, and from the
 * loss on its view asks for that too.  A descriptor for the loss in every view
 * would do as well, were it not that the kernel bounds the ways from one file
 * through nested epoll sets: at 50 for a poller in somebody else's loop.
 *
 * Lock: that of the list guards the list, and the files of its views.  Under it
 * the kernel alone is called.
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
    int fd;                 /* -1: there is none */
};

/* A view without a file, of the descriptor of a channel. */
void flow__vchan_linux_view_init(struct linux_view *view,
                                 struct linux_views *list, int channel);

/*
 * Another file; the one before fires no more.  The new one is made first, so
 * that no loop takes its number for the old one's; without a descriptor to
 * spare it takes the place of the old one.  false: there is none, with errno.
 */
bool flow__vchan_linux_view_renew(struct linux_view *view);

/* Inherited: by a child that was forked from the process that made it. */
void flow__vchan_linux_view_fini(struct linux_view *view, bool inherited);

/* All views are readable from here on, also those to come. */
void flow__vchan_linux_views_lose(struct linux_views *list);

#endif
