/* SPDX-License-Identifier: ISC */
/* The limits of what a peer may keep of ended connections. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <flow/vchan.h>

#include "domains.h"

/*
 * A kernel that ends every grant at once and keeps the pages for as long as
 * they are mapped.  It charges them to no process; here they are counted.
 */
static const struct vchan_grant_ops *strict_grants;
static struct vchan_grant_ops lax_grants;
static uint32_t lost_pages;

static enum flow_status
lax_unshare(struct vchan_hyp *hyp, struct vchan_region *region)
{
    uint32_t count = region->count;

    if (strict_grants->unshare(hyp, region) == FLOW_E_BUSY)
        lost_pages += count;
    return FLOW_OK;
}

static void
grant_laxly(struct vchan_hyp *hyp)
{
    strict_grants = hyp->grants;
    lax_grants = *strict_grants;
    lax_grants.unshare = lax_unshare;
    hyp->grants = &lax_grants;
    lost_pages = 0;
}

#define CONNECTIONS 1000u

static void
a_client_that_keeps_its_mappings_exhausts_nothing(void **state)
{
    static struct client c[CONNECTIONS];
    struct world w;
    struct flow *f;

    (void)state;
    world_start(&w, 0);
    grant_laxly(w.server);
    world_listen_small(&w, 0);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        client_attach(w.client, &c[i]);
        assert_int_equal(flow_accept(w.listener, &f), FLOW_OK);
        client_leave(&c[i]);
        flow_close(f);
        assert_int_equal(lost_pages, 0);
        assert_in_range(ask(w.listener, FLOW_QUERY_GRANTED_PAGES), SET_PAGES,
                        2 * SET_PAGES);
    }
    assert_int_equal(ask(w.listener, FLOW_QUERY_PINNED_PAGES), 0);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        client_unmap(&c[i]);
    world_stop(&w);
}

/* A client attaches; the server accepts its flow and closes it. */
static void
client_comes(struct world *w, struct client *c)
{
    struct flow *f;

    client_attach(w->client, c);
    assert_int_equal(flow_accept(w->listener, &f), FLOW_OK);
    flow_close(f);
}

static void
expect_limit(struct world *w)
{
    struct flow_error err;
    struct flow *f;

    assert_int_equal(flow_accept(w->listener, &f), FLOW_AGAIN);
    flow_listener_get_error(w->listener, &err);
    assert_int_equal(err.status, FLOW_E_NOMEM);
    assert_string_equal(err.text,
                        "the peer still maps too many pages of closed flows");
}

/* A client that keeps its channel bound may still use its pages: they are not
 * reused, and limited. */
static void
a_client_that_keeps_its_channels_is_limited(void **state)
{
    struct flow_wait_set set;
    struct client c[4];
    struct world w;
    struct flow *f;

    (void)state;
    world_start(&w, 0);
    world_listen_small(&w, 2 * SET_PAGES);
    for (unsigned i = 0; i < 3; i++) {
        client_comes(&w, &c[i]);
        assert_int_equal(ask(w.listener, FLOW_QUERY_PINNED_PAGES),
                         (i + 1) * SET_PAGES);
        /* These pages must not go to another client. */
        memset(c[i].ring->base, 0xee, VCHAN_PAGE_SIZE);
    }
    /* The published offer still serves one client; then the limit holds. */
    client_comes(&w, &c[3]);
    expect_limit(&w);
    flow_wait_set_init(&set);
    assert_false(flow_listener_wait_sources(w.listener, &set));
    assert_true(set.deadline > fake_now);

    /* It unmaps one set, and is served again. */
    client_leave(&c[1]);
    client_unmap(&c[1]);
    fake_now = set.deadline;
    assert_int_equal(flow_accept(w.listener, &f), FLOW_AGAIN);
    client_comes(&w, &c[1]);
    for (unsigned i = 0; i < 4; i++) {
        client_leave(&c[i]);
        client_unmap(&c[i]);
    }
    assert_int_equal(ask(w.listener, FLOW_QUERY_PINNED_PAGES), 0);
    world_stop(&w);
}

/* Each set has a channel and descriptors, even if its rings are small. */
static void
small_rings_pin_few_channels(void **state)
{
    const struct flow_vchan_options opt = { .read_size = 1024,
                                            .write_size = 2048,
                                            .pinned_channels_max = 2 };
    struct client c[4];
    struct world w;

    (void)state;
    world_start(&w, 0);
    world_listen(&w, &opt);
    for (unsigned i = 0; i < 4; i++) {
        client_comes(&w, &c[i]);
    }
    expect_limit(&w);
    for (unsigned i = 0; i < 4; i++) {
        client_leave(&c[i]);
        client_unmap(&c[i]);
    }
    world_stop(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_keeps_its_mappings_exhausts_nothing),
        cmocka_unit_test(a_client_that_keeps_its_channels_is_limited),
        cmocka_unit_test(small_rings_pin_few_channels),
    };

    return cmocka_run_group_tests_name("vchan: limits", tests, NULL, NULL);
}
