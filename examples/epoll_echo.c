/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <flow/endpoint.h>
#include <flow/poller.h>

/* epoll_echo ENDPOINT: an echo server in a plain loop over epoll(7). */
struct conn {
    struct flow *flow;
    size_t len;
    char buf[4096];
};

static void
epoll_echo_start(struct flow_poller *p, struct flow_listener *l)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (c != NULL && flow_accept(l, &c->flow) == FLOW_OK &&
        flow_poller_add(p, c->flow, FLOW_READY_READ, c) == FLOW_OK)
        return;
    if (c != NULL)
        flow_close(c->flow);
    free(c);
}

static void
echo(struct flow_poller *p, struct conn *c)
{
    enum flow_status st;
    size_t n = 0;

    if (c->len == 0)
        st = flow_read(c->flow, c->buf, sizeof(c->buf), &c->len);
    else
        st = flow_write(c->flow, c->buf, c->len, &n);
    memmove(c->buf, c->buf + n, c->len -= n);
    flow_poller_set(p, c->flow, c->len ? FLOW_READY_WRITE : FLOW_READY_READ);
    if (st == FLOW_OK || st == FLOW_AGAIN)
        return;
    flow_close(c->flow); /* also removes it from the poller */
    free(c);
}

int
main(int argc, char **argv)
{
    const struct flow_env *env = flow_env_default();
    struct epoll_event ready = { .events = EPOLLIN };
    const struct flow_poller_event *ev;
    struct flow_listener *l;
    struct flow_poller *p;
    size_t i, n;
    uint64_t due, now;
    int msec, loop = epoll_create1(0);

    if (argc != 2 || flow_poller_new(NULL, &p) != FLOW_OK ||
        flow_endpoint_listen(NULL, argv[1], NULL, &l, NULL) != FLOW_OK ||
        flow_poller_add_listener(p, l, l) != FLOW_OK)
        return 1;
    /* Other descriptors of the program go into the same loop. */
    epoll_ctl(loop, EPOLL_CTL_ADD, flow_poller_fd(p), &ready);
    printf("listening on %s\n", argv[1]);
    fflush(stdout);
    for (;;) {
        due = flow_poller_timeout(p);
        now = env->now(env->ctx);
        msec = due <= now ? 0 : (int)((due - now) / 1000000 + 1);
        epoll_wait(loop, &ready, 1, due == FLOW_NEVER ? -1 : msec);
        (void)!flow_poller_wait(p, 64, FLOW_NOW, &ev, &n);
        for (i = 0; i < n; i++)
            if (ev[i].listener != NULL)
                epoll_echo_start(p, l);
            else if (ev[i].ready != 0)
                echo(p, ev[i].user);
    }
}
