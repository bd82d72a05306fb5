/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <flow/align.h>
#include <flow/buffered.h>
#include <flow/fault.h>
#include <flow/pair.h>
#include <flow/prefix.h>
#include <flow/tls.h>
#include <flow/tls_session.h>
#include <flow/trace.h>

#include "stacks.h"
#include "test.h"
#ifdef TEST_TLS
#include "keys.h"
#endif

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static void
must_ok(enum flow_status st, const char *what)
{
    if (st != FLOW_OK) {
        print_error("%s: %s\n", what, flow_status_name(st));
        fail();
    }
}

/* Layers. */

static void
fault_both(struct ends *e, const struct flow_fault_plan *plan)
{
    struct flow_fault_plan other = *plan;

    other.seed++;
    must_ok(flow_fault_wrap(e->a, plan, &e->a), "fault");
    must_ok(flow_fault_wrap(e->b, &other, &e->b), "fault");
}

void
layer_again(struct ends *e)
{
    struct flow_fault_plan plan;

    flow_fault_plan_init(&plan);
    plan.again_always = true;
    fault_both(e, &plan);
}

void
layer_bytewise(struct ends *e)
{
    struct flow_fault_plan plan;

    flow_fault_plan_init(&plan);
    plan.max_read = plan.max_write = 1;
    fault_both(e, &plan);
}

void
layer_seeded(struct ends *e)
{
    struct flow_fault_plan plan;

    flow_fault_plan_init(&plan);
    plan.seed = 42;
    plan.again_percent = 40;
    plan.max_read = plan.max_write = 700;
    plan.random_short = true;
    fault_both(e, &plan);
}

#ifdef TEST_TLS
/* Small socket buffers, so that reading them byte by byte takes little time. */
static void
shrink_buffers(struct flow *f)
{
    static const int size = 4096;
    size_t len = sizeof(int);
    int fd;

    if (flow_query(f, FLOW_QUERY_FD, &fd, &len) != FLOW_OK)
        return;
    /* Fails for pipes, which have no such buffers. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static void
layer_byteread(struct ends *e)
{
    struct flow_fault_plan plan;

    shrink_buffers(e->a);
    shrink_buffers(e->b);
    flow_fault_plan_init(&plan);
    plan.max_read = 1;
    fault_both(e, &plan);
}
#endif

static void
layer_buffered(struct ends *e)
{
    static struct flow_align_policy page;

    must_ok(flow_align_init(&page, TEST_ENV, FLOW_PAGE_SIZE, true), "policy");
    must_ok(flow_buffered_wrap(e->a, &page.base, 4096, &e->a), "buffered");
    must_ok(flow_buffered_wrap(e->b, &page.base, 4096, &e->b), "buffered");
}

static void
ignore_event(void *user, const struct flow_trace_event *event)
{
    (void)user;
    assert_non_null(event->operation);
}

static void
layer_trace(struct ends *e)
{
    must_ok(flow_trace_wrap(e->a, ignore_event, NULL, &e->a), "trace");
    must_ok(flow_trace_wrap(e->b, ignore_event, NULL, &e->b), "trace");
}

static void
layer_prefix(struct ends *e)
{
    must_ok(flow_prefix_wrap(e->a, NULL, 0, &e->a), "prefix");
    must_ok(flow_prefix_wrap(e->b, NULL, 0, &e->b), "prefix");
}

#ifdef TEST_TLS
static void
tls_versions(struct flow_tls_config *c, uint32_t version)
{
    if (version != 0)
        must_ok(flow_tls_config_set_versions(c, (enum flow_tls_version)version,
                                             (enum flow_tls_version)version),
                "versions");
}

/* Whether the tests run once more with certificates of clients. */
static bool
tls_is_mutual(void)
{
    return getenv("FLOW_TEST_CLIENT_AUTH") != NULL;
}

/* Whether they run once more with sessions that are resumed. */
static bool
tls_resumes(void)
{
#ifdef TEST_PAIR
    return getenv("FLOW_TEST_SESSIONS") != NULL;
#else
    return false;
#endif
}

/* The store of the clients, in memory that the guards do not count. */
static struct flow_tls_sessions *
tls_store(void)
{
    static struct flow_tls_sessions *store;

    if (store == NULL)
        must_ok(flow_tls_sessions_new(NULL, &store, NULL), "store");
    return store;
}

/* The ticket keys of the servers, in such memory too. */
static struct flow_tls_tickets *
tls_tickets(void)
{
    static struct flow_tls_tickets *tickets;

    if (tickets == NULL)
        must_ok(flow_tls_tickets_new(NULL, &tickets, NULL), "ticket keys");
    return tickets;
}

/* One configuration per version, in memory that the guards do not count. */
static unsigned
tls_slot(uint32_t version)
{
    return version == 0 ? 0 : version - 0x0302;
}

struct flow_tls_config *
stack_tls_client(uint32_t version)
{
    static struct flow_tls_config *cache[3];
    struct flow_tls_config **c = &cache[tls_slot(version)];

    if (*c == NULL) {
        must_ok(flow_tls_config_new_client(NULL, c, NULL), "config");
        tls_versions(*c, version);
        must_ok(
            flow_tls_config_add_trust(*c, key_ca_pem, sizeof(key_ca_pem), NULL),
            "trust");
        if (tls_is_mutual())
            must_ok(flow_tls_config_add_keypair(
                        *c, key_p256_pem, sizeof(key_p256_pem), key_p256_key,
                        sizeof(key_p256_key), NULL, NULL, NULL),
                    "key pair");
        if (tls_resumes())
            must_ok(flow_tls_config_set_sessions(*c, tls_store(), 1, NULL),
                    "sessions");
    }
    return *c;
}

struct flow_tls_config *
stack_tls_server(uint32_t version)
{
    static struct flow_tls_config *cache[3];
    struct flow_tls_config **c = &cache[tls_slot(version)];

    if (*c == NULL) {
        must_ok(flow_tls_config_new_server(NULL, c, NULL), "config");
        tls_versions(*c, version);
        must_ok(flow_tls_config_add_keypair(
                    *c, key_p256_pem, sizeof(key_p256_pem), key_p256_key,
                    sizeof(key_p256_key), NULL, NULL, NULL),
                "key pair");
        if (tls_is_mutual()) {
            must_ok(flow_tls_config_add_trust(*c, key_ca_pem,
                                              sizeof(key_ca_pem), NULL),
                    "trust");
            must_ok(flow_tls_config_set_client_auth(
                        *c, FLOW_TLS_CLIENT_AUTH_REQUIRED),
                    "client certificates");
        }
        if (tls_resumes())
            must_ok(flow_tls_config_set_tickets(*c, tls_tickets(), 0, NULL),
                    "tickets");
    }
    return *c;
}

#ifdef TEST_PAIR
/* How many tickets a connection of TLS 1.3 gives. */
static void
tls_limit_tickets(unsigned count)
{
    must_ok(flow_tls_tickets_set_limits(tls_tickets(), 7200, count), "limits");
}

/* Give the store a session: a full handshake, and the byte with which its
 * tickets come.  Nothing of it is counted. */
static void
tls_prime(uint32_t version)
{
    enum flow_status st[2] = { FLOW_AGAIN, FLOW_AGAIN };
    struct flow *a, *b;
    char byte = 0;
    size_t n;

    must_ok(flow_pair_new(NULL, 65536, NULL, &a, &b), "pair");
    must_ok(flow_tls_wrap_client(stack_tls_client(version), a, "server.example",
                                 0, &a, NULL),
            "client");
    must_ok(flow_tls_wrap_server(stack_tls_server(version), b, 0, &b, NULL),
            "server");
    while (st[0] == FLOW_AGAIN || st[1] == FLOW_AGAIN) {
        st[0] = flow_open(a);
        st[1] = flow_open(b);
    }
    must_ok(flow_write(b, &byte, 1, &n), "write");
    must_ok(flow_flush(b), "flush");
    must_ok(flow_read(a, &byte, 1, &n), "read");
    flow_close(a);
    flow_close(b);
    must_ok(flow_tls_sessions_count(tls_store()) == 1 ? FLOW_OK : FLOW_E_INVAL,
            "a session");
}
#endif

static void
tls_both(struct ends *e, uint32_t version)
{
#ifdef TEST_PAIR
    if (tls_resumes()) {
        flow_tls_sessions_clear(tls_store());
        tls_limit_tickets(1);
        tls_prime(version);
    }
#endif
    must_ok(flow_tls_wrap_client(stack_tls_client(version), e->a,
                                 "server.example", 0, &e->a, NULL),
            "client");
    must_ok(
        flow_tls_wrap_server(stack_tls_server(version), e->b, 0, &e->b, NULL),
        "server");
}

void
layer_tls12(struct ends *e)
{
    tls_both(e, FLOW_TLS_1_2);
}

void
layer_tls13(struct ends *e)
{
    tls_both(e, FLOW_TLS_1_3);
}
#endif

/* A name lists the topmost layer first; an array lists the lowest layer
 * first. */
static const struct recipe recipe_table[] = {
    { "", { NULL }, true },
    { "again", { layer_again }, false },
    { "bytewise", { layer_bytewise }, false },
    { "seeded", { layer_seeded }, true },
    { "buffered", { layer_buffered }, false },
    { "buffered/seeded", { layer_seeded, layer_buffered }, false },
    { "trace", { layer_trace }, false },
    { "prefix", { layer_prefix }, false },
#ifdef TEST_TLS
    { "tls12", { layer_tls12 }, true },
    { "tls13", { layer_tls13 }, true },
    { "tls13/again", { layer_again, layer_tls13 }, false },
    { "tls12/bytewise", { layer_bytewise, layer_tls12 }, false },
    { "tls13/bytewise", { layer_bytewise, layer_tls13 }, false },
    { "tls12/seeded", { layer_seeded, layer_tls12 }, true },
    { "tls13/seeded", { layer_seeded, layer_tls13 }, true },
    { "tls13/tls13", { layer_tls13, layer_tls13 }, true },
    { "tls13/tls13/byteread",
      { layer_byteread, layer_tls13, layer_tls13 },
      true },
    { "tls13/tls12", { layer_tls12, layer_tls13 }, false },
    { "tls12/seeded/tls13", { layer_tls13, layer_seeded, layer_tls12 }, false },
    { "tls13/buffered", { layer_buffered, layer_tls13 }, false },
    { "buffered/tls13", { layer_tls13, layer_buffered }, false },
    { "trace/tls13/prefix", { layer_prefix, layer_tls13, layer_trace }, false },
#endif
};

static unsigned
count_tls(const struct recipe *r)
{
    unsigned n = 0;
#ifdef TEST_TLS
    size_t i;

    for (i = 0; i < STACK_LAYERS; i++)
        if (r->layer[i] == layer_tls12 || r->layer[i] == layer_tls13)
            n++;
#else
    (void)r;
#endif
    return n;
}

struct stack *
stacks_on(const struct flow_contract_backend *backends, size_t backend_count,
          size_t *ret_count)
{
    struct stack *list =
        calloc(backend_count * ARRAY_LEN(recipe_table), sizeof(*list));
    size_t b, r, count = 0;

    if (list == NULL)
        abort();
    for (b = 0; b < backend_count; b++) {
        for (r = 0; r < ARRAY_LEN(recipe_table); r++) {
            const struct recipe *how = &recipe_table[r];
            struct stack *s = &list[count];

            if (b > 0 && !how->everywhere)
                continue;
            s->backend = &backends[b];
            s->recipe = how;
            s->tls = count_tls(how);
            snprintf(s->name, sizeof(s->name), "%s%s%s", how->name,
                     how->name[0] == '\0' ? "" : "/", s->backend->name);
            count++;
        }
    }
    *ret_count = count;
    return list;
}

void
ends_make_bare(struct ends *e, const struct flow_contract_backend *backend)
{
    memset(e, 0, sizeof(*e));
    must_ok(backend->make(backend->ctx, TEST_ENV, &e->a, &e->b), backend->name);
}

void
ends_make(struct ends *e, const struct stack *s)
{
    size_t i;

    ends_make_bare(e, s->backend);
    e->stack = s;
    for (i = 0; i < STACK_LAYERS && s->recipe->layer[i] != NULL; i++)
        s->recipe->layer[i](e);
}

void
ends_close(struct ends *e)
{
    flow_close(e->a);
    flow_close(e->b);
    e->a = e->b = NULL;
}
