/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_linux_view.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Flows of several threads share a list.  fork(2) waits, so that a child finds
 * it consistent and its lock free. */
static void
view_enter(struct linux_views *list)
{
    flow_fork_block();
    flow_lock_acquire(&list->lock);
}

static void
view_leave(struct linux_views *list)
{
    flow_lock_release(&list->lock);
    flow_fork_unblock();
}

static struct epoll_event
view_wanted(const struct linux_view *view)
{
    return (struct epoll_event){
        .events = view->list->lost ? EPOLLIN | EPOLLOUT : EPOLLIN,
    };
}

/* Opens a file; -1 with errno. */
static int
view_make_file(const struct linux_view *view)
{
    struct epoll_event event = view_wanted(view);
    int fd = epoll_create1(EPOLL_CLOEXEC);
    int code;

    if (fd >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, view->channel, &event) != 0) {
        code = errno;
        close(fd);
        errno = code;
        return -1;
    }
    return fd;
}

/* Closes the file.  A forked child may keep it open, with what a loop has
 * registered; so the process that made it empties it first. */
static void
view_end_file(struct linux_view *view, bool inherited)
{
    if (view->fd < 0)
        return;
    if (!inherited)
        epoll_ctl(view->fd, EPOLL_CTL_DEL, view->channel, NULL);
    close(view->fd);
    view->fd = -1;
}

void
flow__vchan_linux_view_init(struct linux_view *view, struct linux_views *list,
                            int channel)
{
    *view = (struct linux_view){ .list = list, .channel = channel, .fd = -1 };
    view_enter(list);
    view->next = list->first;
    view->at = &list->first;
    if (view->next != NULL)
        view->next->at = &view->next;
    list->first = view;
    view_leave(list);
}

bool
flow__vchan_linux_view_renew(struct linux_view *view)
{
    int code;
    int fd;

    view_enter(view->list);
    fd = view_make_file(view);
    view_end_file(view, false);
    view->fd = fd >= 0 ? fd : view_make_file(view);
    code = errno;
    view_leave(view->list);
    errno = code;
    return view->fd >= 0;
}

void
flow__vchan_linux_view_fini(struct linux_view *view, bool inherited)
{
    view_enter(view->list);
    *view->at = view->next;
    if (view->next != NULL)
        view->next->at = view->at;
    view_end_file(view, inherited);
    view_leave(view->list);
}

void
flow__vchan_linux_views_lose(struct linux_views *list)
{
    struct epoll_event event;

    view_enter(list);
    list->lost = true;
    for (struct linux_view *v = list->first; v != NULL; v = v->next) {
        event = view_wanted(v);
        if (v->fd >= 0)
            epoll_ctl(v->fd, EPOLL_CTL_MOD, v->channel, &event);
    }
    view_leave(list);
}
