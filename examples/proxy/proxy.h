/* SPDX-License-Identifier: ISC */
#ifndef EXAMPLES_PROXY_PROXY_H
#define EXAMPLES_PROXY_PROXY_H

#include <flow/endpoint.h>
#include <flow/poller.h>

#include "../common/reload.h"
#include "../common/starttls.h"

/* Bytes of each direction of a tunnel, and how many full records TLS sends of
 * them at once.  The more, the fewer times the kernel is called and wakes a
 * peer: 128 KiB and four records take a sixth more CPU for a large transfer. */
#define TUNNEL_BUFFER  ((size_t)256 * 1024)
#define TUNNEL_RECORDS 15

struct tunnel;

struct proxy {
    /* Settings. */
    const char *listen;
    const char *to;
    struct certs_places places;
    struct cli_client client;
    const char *passphrase_file;
    struct flow_endpoint_options dial;
    uint64_t connect_timeout;
    uint64_t idle_timeout;
    size_t max_connections;
    bool log;
    enum starttls_protocol starttls;

    /* What runs. */
    const struct flow_env *env;
    struct flow_poller *poller;
    struct reload *reload; /* of a TLS listener, else NULL */
    struct reload_program program;
    struct flow_listener *listener;
    bool listening;
    struct tunnel *tunnels;
    size_t tunnel_count;
};

/* Relay this connection, which it takes over in every case. */
void tunnel_start(struct proxy *p, struct flow *client);
/* Handle an event of the poller. */
void tunnel_event(struct tunnel *t, uint32_t ready);
/* Both connections are closed; the tunnel is freed. */
void tunnel_close(struct tunnel *t);

#endif
