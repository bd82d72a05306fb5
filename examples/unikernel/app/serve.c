/* SPDX-License-Identifier: ISC */
#include "serve.h"

#include <stdio.h>

#include <flow/tls.h>

#include "../../common/cli.h"
#include "../../site/site.h"
#include "contents.h"
#include "machine.h"

/*
 * flow-site as the only program of a machine.  Connections, answers and their
 * loop are those of ../../site; what it serves, and the certificates, are
 * linked in.
 */

static void (*serve_take_orders)(void);

/* workers.c for one worker. */

int
workers_orders(struct workers *w, size_t index)
{
    (void)w;
    (void)index;
    if (serve_take_orders != NULL)
        serve_take_orders();
    return machine_orders();
}

size_t
workers_running(const struct workers *w)
{
    (void)w;
    return 0;
}

static bool
serve_add_contents(struct site *s, struct flow_tls_config *config)
{
    const struct contents_item *item;
    struct flow_error err;

    for (item = contents; item->name != NULL; item++) {
        if (resources_add_bytes(&s->resources, item->name, item->file,
                                item->body, item->body_len) != CLI_OK)
            return false;
        if (flow_tls_config_add_keypair(config, item->chain, item->chain_len,
                                        item->key, item->key_len, NULL, NULL,
                                        &err) != FLOW_OK) {
            cli_flow_error(item->name, &err);
            return false;
        }
    }
    return resources_seal(&s->resources);
}

static bool
serve_set_versions(struct flow_tls_config *config, bool tls13_alone)
{
    return !tls13_alone || flow_tls_config_set_versions(
                               config, FLOW_TLS_1_3, FLOW_TLS_1_3) == FLOW_OK;
}

static struct flow_tls_config *
serve_make_config(struct site *s, bool tls13_alone)
{
    struct flow_tls_config *config;
    struct flow_error err;

    if (flow_tls_config_new_server(NULL, &config, &err) != FLOW_OK) {
        cli_flow_error("cannot set up TLS", &err);
        return NULL;
    }
    if (serve_set_versions(config, tls13_alone) &&
        serve_add_contents(s, config) && settings_apply(s, config) == CLI_OK)
        return config;
    flow_tls_config_unref(config);
    return NULL;
}

/* TLS is first: without random bytes it says why, and nothing listens. */
static bool
serve_listen(struct site *s, struct serve_place *place)
{
    struct flow_tls_config *config = serve_make_config(s, place->tls13_alone);
    struct flow_error err;
    bool listens;

    if (config == NULL)
        return false;
    listens = place->listen(place);
    s->plain = place->plain;
    if (listens &&
        flow_tls_listen(config, place->lower, (unsigned)s->max_connections,
                        &s->tls, &err) != FLOW_OK) {
        cli_flow_error("cannot listen with TLS", &err);
        listens = false;
    }
    if (!listens)
        flow_listener_close(place->lower);
    flow_tls_config_unref(config);
    return listens;
}

static int
serve_run(struct site *s, const char *name)
{
    int code;

    if (!settings_make_answers(s))
        return CLI_FAILED;
    if (flow_poller_new(NULL, &s->poller) != FLOW_OK) {
        cli_complain("out of memory");
        return CLI_FAILED;
    }
    machine_set_poller(s->poller);
    printf("listening on %s after %llu ms\n", name,
           (unsigned long long)(s->env->now(s->env->ctx) / 1000000));
    code = loop_run(s);
    machine_set_poller(NULL);
    return code;
}

int
serve(struct serve_place *place)
{
    struct site site = {
        .env = flow_env_default(),
        .max_connections = 100,
        .handshake_timeout = 10 * CLI_NSEC,
        .idle_timeout = 30 * CLI_NSEC,
        .log = true,
        .https_port = place->https_port,
    };
    int code = CLI_FAILED;

    serve_take_orders = place->take_orders;
    if (serve_listen(&site, place))
        code = serve_run(&site, place->name);
    conn_close_all(&site);
    flow_listener_close(site.tls);
    flow_listener_close(site.plain);
    flow_poller_free(site.poller);
    settings_free_answers(&site);
    resources_fini(&site.resources);
    return code;
}
