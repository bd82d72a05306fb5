/* SPDX-License-Identifier: ISC */
/* The page sets of a listener: granted once and reused. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <flow/util.h>
#include <flow/vchan.h>

#include "descriptors.h"
#include "domains.h"
#include "loop.h"

static const struct vchan_orders small = { 12, 12 };

/* A foreign loop has registered the descriptor for the flow. */
static void
a_foreign_loop_gets_no_event_of_a_closed_flow(void **state)
{
    int loop = loop_new();
    struct client c;
    struct world w;
    struct flow *f;

    (void)state;
    world_start(&w, 0);
    world_listen_small(&w, 0);
    client_attach(w.client, &c);
    assert_int_equal(flow_accept(w.listener, &f), FLOW_OK);
    loop_add(loop, loop_fd_of_flow(f));
    w.client->events->notify(c.channel);
    assert_true(loop_fires(loop));
    flow_close(f);
    w.client->events->notify(c.channel);
    assert_false(loop_fires(loop));
    client_leave(&c);
    assert_false(loop_fires(loop));
    client_unmap(&c);
    assert_int_equal(close(loop), 0);
    world_stop(&w);
}

/* The same for an offer that became a flow; no descriptor is used for both. */
static void
a_foreign_loop_gets_no_flow_event_for_its_listener(void **state)
{
    int loop = loop_new();
    struct client c[2];
    struct world w;
    struct flow *f[2];
    int offer;

    (void)state;
    world_start(&w, 0);
    world_listen_small(&w, 0);
    for (unsigned i = 0; i < 2; i++) {
        offer = loop_fd_of_listener(w.listener);
        loop_add(loop, offer);
        client_attach(w.client, &c[i]);
        assert_true(loop_fires(loop));
        assert_int_equal(flow_accept(w.listener, &f[i]), FLOW_OK);
        assert_false(loop_fires(loop));
        assert_int_not_equal(loop_fd_of_flow(f[i]), offer);
        assert_int_not_equal(loop_fd_of_listener(w.listener), offer);
        w.client->events->notify(c[i].channel);
        assert_false(loop_fires(loop));
    }
    loop_add(loop, loop_fd_of_flow(f[0]));
    w.client->events->notify(c[0].channel);
    assert_true(loop_fires(loop));
    for (unsigned i = 0; i < 2; i++) {
        client_leave(&c[i]);
        client_unmap(&c[i]);
        flow_close(f[i]);
    }
    assert_int_equal(close(loop), 0);
    world_stop(&w);
}

static struct vchan_sets *
sets_of(struct world *w, uint32_t pages)
{
    const struct vchan_kept max = { pages, 100 };
    struct vchan_sets *sets;

    assert_int_equal(
        flow__vchan_sets_new(w->server, 2, small, false, max, &sets), FLOW_OK);
    return sets;
}

static struct vchan_set *
take(struct vchan_sets *sets)
{
    struct flow_buf buf;

    assert_int_equal(flow_buf_acquire(&sets->policy, 1, &buf), FLOW_OK);
    assert_int_equal(buf.len, VCHAN_PAGE_SIZE);
    return flow__vchan_sets_find(sets, &buf);
}

static void
give(struct vchan_set *set)
{
    struct flow_buf buf = flow__vchan_set_buf(set);

    flow_buf_release(&set->sets->policy, &buf);
    assert_null(buf.base);
}

static void
every_page_has_a_reference_of_its_own(void **state)
{
    uint32_t refs[5 * SET_PAGES];
    struct vchan_set *set[5];
    struct vchan_sets *sets;
    unsigned count = 0;
    struct world w;

    (void)state;
    world_start(&w, 0);
    sets = sets_of(&w, 0);
    for (unsigned round = 0; round < 3; round++) {
        count = 0;
        for (unsigned i = 0; i < 5; i++) {
            set[i] = take(sets);
            refs[count++] = set[i]->ref;
            for (unsigned r = 0; r < set[i]->ring_pages; r++)
                refs[count++] = set[i]->ring_refs[r];
        }
        assert_int_equal(count, 5 * SET_PAGES);
        for (unsigned i = 0; i < count; i++)
            for (unsigned j = 0; j < i; j++)
                assert_int_not_equal(refs[i], refs[j]);
        for (unsigned i = 0; i < 5; i++)
            give(set[i]);
        assert_int_equal(flow__vchan_sets_stats(sets).granted, count);
        assert_int_equal(flow__vchan_sets_stats(sets).kept.pages, 0);
    }
    flow__vchan_sets_close(sets);
    world_stop(&w);
}

/* Whether the channel of a set fires for an event that its peer sends. */
static bool
hears(struct world *w, struct vchan_set *set)
{
    struct vchan_hyp *hyp = w->client;
    uint32_t port = w->server->events->port(set->channel);
    struct vchan_channel *other;
    struct flow_wait_set waits;
    bool fired;

    assert_int_equal(hyp->events->bind(hyp, 1, port, &other, NULL), FLOW_OK);
    w->server->events->drain(set->channel);
    flow_wait_set_init(&waits);
    w->server->events->wait(set->channel, &waits);
    assert_int_equal(waits.count, 1);
    assert_true(waits.source[0].fd >= 0);
    hyp->events->notify(other);
    fired = flow_wait_fd_ready(&waits, waits.source[0].fd, FLOW_WAIT_IN) != 0;
    hyp->events->close(other);
    return fired;
}

/* The set is neither lost nor acquired without a wait source. */
static void
a_set_without_a_wait_source_waits_for_a_descriptor(void **state)
{
    struct vchan_sets *sets;
    struct vchan_set *set;
    struct rlimit old;
    struct flow_buf buf;
    struct world w;

    (void)state;
    world_start(&w, 0);
    sets = sets_of(&w, 0);
    set = take(sets);
    old = descriptors_forbid();
    give(set);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(flow_buf_acquire(&sets->policy, 1, &buf), FLOW_E_SYS);
        assert_string_equal(sets->error.text,
                            "no descriptor for an event channel");
        assert_non_null(sets->error.hint);
        assert_false(set->out);
        assert_int_equal(flow__vchan_sets_stats(sets).granted, SET_PAGES);
    }
    descriptors_restore(&old);
    assert_ptr_equal(take(sets), set);
    assert_true(hears(&w, set));
    give(set);
    flow__vchan_sets_close(sets);
    world_stop(&w);
}

static bool
all_zero(const struct vchan_region *region)
{
    for (uint32_t i = 0; i < region->count * VCHAN_PAGE_SIZE; i++)
        if (region->base[i] != 0)
            return false;
    return true;
}

/* Whether we wrote last or the peer, which still can. */
static void
a_set_goes_out_with_every_byte_zero(void **state)
{
    struct vchan_region *kept;
    struct vchan_sets *sets;
    struct vchan_set *set;
    struct world w;
    uint32_t ref;

    (void)state;
    world_start(&w, 0);
    sets = sets_of(&w, 0);
    set = take(sets);
    ref = set->ring_refs[0];
    assert_int_equal(w.client->grants->map(w.client, 1, &ref, 1, true,
                                           no_unmap_notify, &kept, NULL),
                     FLOW_OK);
    memset(set->control->base, 0x55, VCHAN_PAGE_SIZE);
    memset(set->right->base, 0x55, VCHAN_PAGE_SIZE);
    give(set);
    memset(kept->base, 0xaa, VCHAN_PAGE_SIZE);
    assert_ptr_equal(take(sets), set);
    assert_true(all_zero(set->control));
    assert_true(all_zero(set->left));
    assert_true(all_zero(set->right));
    assert_true(all_zero(kept));
    give(set);
    w.client->grants->unmap(w.client, kept);
    flow__vchan_sets_close(sets);
    world_stop(&w);
}

static void
exhaustion_is_again_with_an_event(void **state)
{
    struct vchan_channel *channel;
    struct vchan_sets *sets;
    struct vchan_set *set[2];
    struct flow_buf buf;
    struct world w;
    uint32_t seen;

    (void)state;
    world_start(&w, 0);
    sets = sets_of(&w, SET_PAGES - 1);
    assert_int_equal(flow_buf_acquire(&sets->policy, VCHAN_PAGE_SIZE + 1, &buf),
                     FLOW_E_INVAL);
    set[0] = take(sets);
    set[1] = take(sets);
    assert_int_equal(w.client->events->bind(
                         w.client, 1, w.server->events->port(set[0]->channel),
                         &channel, NULL),
                     FLOW_OK);
    give(set[0]);
    seen = flow_event_sequence(sets->policy.available);
    assert_int_equal(flow_buf_acquire(&sets->policy, 1, &buf), FLOW_AGAIN);
    assert_int_equal(flow__vchan_sets_stats(sets).kept.pages, SET_PAGES);
    give(set[1]);
    assert_int_not_equal(flow_event_sequence(sets->policy.available), seen);
    assert_ptr_equal(take(sets), set[1]);
    w.client->events->close(channel);
    assert_ptr_equal(take(sets), set[0]);
    give(set[0]);
    give(set[1]);
    flow__vchan_sets_close(sets);
    world_stop(&w);
}

static enum flow_status
no_pages(struct vchan_hyp *hyp, uint16_t peer, uint32_t count, bool writable,
         struct vchan_unmap_notify at_unmap, uint32_t *ret_refs,
         struct vchan_region **ret_region, struct flow_error *err)
{
    (void)hyp;
    (void)peer;
    (void)count;
    (void)writable;
    (void)at_unmap;
    (void)ret_refs;
    (void)ret_region;
    return flow_error_set(err, FLOW_E_NOMEM, "vchan", FLOW_DOMAIN_NONE, 0,
                          "no pages");
}

/* If a quota of the system is reached, the pool is exhausted while the peer
 * holds a set; if it holds none, that is an error. */
static void
a_quota_limits_the_pool_too(void **state)
{
    struct vchan_grant_ops grants;
    struct vchan_channel *channel;
    struct vchan_sets *sets;
    struct vchan_set *set;
    struct flow_buf buf;
    struct world w;

    (void)state;
    world_start(&w, 0);
    sets = sets_of(&w, 100);
    set = take(sets);
    grants = *w.server->grants;
    grants.share = no_pages;
    w.server->grants = &grants;
    assert_int_equal(flow_buf_acquire(&sets->policy, 1, &buf), FLOW_E_NOMEM);
    assert_string_equal(sets->error.text, "no pages");
    assert_int_equal(
        w.client->events->bind(
            w.client, 1, w.server->events->port(set->channel), &channel, NULL),
        FLOW_OK);
    give(set);
    assert_int_equal(flow_buf_acquire(&sets->policy, 1, &buf), FLOW_AGAIN);
    assert_string_equal(sets->error.text, "no pages");
    w.client->events->close(channel);
    assert_ptr_equal(take(sets), set);
    give(set);
    flow__vchan_sets_close(sets);
    world_stop(&w);
}

static enum vchan_channel_state
no_state(struct vchan_channel *channel)
{
    (void)channel;
    return VCHAN_CHANNEL_UNKNOWN;
}

/* A client that cleared its live byte may take some time to unmap; a client
 * that did not is still attached. */
static void
without_channel_states_a_set_cools_down(void **state)
{
    struct vchan_event_ops blind;
    struct vchan_sets *sets;
    struct vchan_set *set;
    struct world w;
    uint8_t *live;

    (void)state;
    world_start(&w, 0);
    blind = *w.server->events;
    blind.state = no_state;
    w.server->events = &blind;
    sets = sets_of(&w, 8 * SET_PAGES);
    set = take(sets);
    live = &set->control->base[offsetof(struct vchan_page, cli_live)];
    *live = VCHAN_LIVE_GONE;
    give(set);
    fake_now += SEC - 1;
    assert_int_equal(flow__vchan_sets_stats(sets).kept.pages, SET_PAGES);
    fake_now += 1;
    assert_int_equal(flow__vchan_sets_stats(sets).kept.pages, 0);
    assert_ptr_equal(take(sets), set);
    *live = VCHAN_LIVE_HERE;
    give(set);
    fake_now += 100 * SEC;
    assert_ptr_not_equal(take(sets), set);
    *live = VCHAN_LIVE_GONE;
    assert_ptr_equal(take(sets), set);
    give(set);
    give(sets->first);
    flow__vchan_sets_close(sets);
    world_stop(&w);
}

static void
closing_pins_pages_that_are_mapped(void **state)
{
    struct vchan_region *kept;
    struct vchan_sets *sets;
    struct vchan_set *set[2];
    struct world w;

    (void)state;
    world_start(&w, 0);
    sets = sets_of(&w, 0);
    set[0] = take(sets);
    set[1] = take(sets);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(w.client->grants->map(w.client, 1, &set[i]->ref, 1,
                                               true, no_unmap_notify, &kept,
                                               NULL),
                         FLOW_OK);
        if (i == 0)
            give(set[0]);
    }
    /* One of them is in the pool, the other one is not. */
    flow__vchan_sets_close(sets);
    assert_int_equal(flow__vchan_pins_of(w.server, 2), 1);
    assert_int_equal(kept->base[0], 0);
    give(set[1]);
    assert_int_equal(flow__vchan_pins_of(w.server, 2), 2);
    w.client->grants->unmap(w.client, kept);
    assert_int_equal(flow__vchan_pins_of(w.server, 2), 1);
    /* Closing the client's end releases the other set. */
    world_stop(&w);
}

/*
 * A client has read the keys of an offer and binds when its set is offered
 * again: it binds the channel of the new offer, and is its client.
 */
static void
old_keys_lead_to_the_current_offer_of_a_set(void **state)
{
    struct vchan_set *first;
    struct client c;
    struct client late;
    struct world w;
    struct flow *f[2];
    uint32_t port;
    uint32_t ref;
    uint32_t now;
    char byte;
    size_t n;

    (void)state;
    world_start(&w, 0);
    world_listen_small(&w, 0);
    client_look(w.client, &ref, &port);
    client_attach(w.client, &c);
    assert_int_equal(flow_accept(w.listener, &f[0]), FLOW_OK);
    first = ((struct vchan *)f[0])->conn.set;
    client_leave(&c);
    client_unmap(&c);
    flow_close(f[0]);
    /* The next client has the other set, so that this one is offered again. */
    client_attach(w.client, &c);
    assert_int_equal(flow_accept(w.listener, &f[0]), FLOW_OK);
    client_look(w.client, &ref, &now);
    assert_int_equal(now, port);
    client_attach(w.client, &late);
    late.ring->base[0] = 'x';
    ((struct vchan_page *)(void *)late.control->base)->left.prod = 1;
    assert_int_equal(flow_accept(w.listener, &f[1]), FLOW_OK);
    assert_ptr_equal(((struct vchan *)f[1])->conn.set, first);
    assert_int_equal(flow_read(f[1], &byte, 1, &n), FLOW_OK);
    assert_int_equal(byte, 'x');
    client_leave(&late);
    client_unmap(&late);
    client_leave(&c);
    client_unmap(&c);
    flow_close(f[0]);
    flow_close(f[1]);
    world_stop(&w);
}

static void
a_flow_outlives_the_pool_of_its_listener(void **state)
{
    struct world w;
    struct flow *f[2];

    (void)state;
    world_start(&w, 0);
    world_listen_small(&w, 0);
    assert_int_equal(flow__vchan_connect_on(flow__vchan_hyp_ref(w.client), 1,
                                            "x", NULL, &f[1], NULL),
                     FLOW_OK);
    assert_int_equal(flow_open(f[1]), FLOW_OK);
    assert_int_equal(flow_accept(w.listener, &f[0]), FLOW_OK);
    flow_listener_close(w.listener);
    w.listener = NULL;
    pass(f[0], f[1], "down");
    pass(f[1], f[0], "up");
    close_pair(f);
    assert_int_equal(flow__vchan_pins_of(w.server, 2), 0);
    world_stop(&w);
}

/* A slow hypercall, while the pool is locked. */
static const struct vchan_event_ops *quick_events;
static struct vchan_event_ops slow_events;

static enum vchan_channel_state
slow_state(struct vchan_channel *channel)
{
    const struct flow_env *env = flow_env_default();
    uint64_t until = env->now(env->ctx) + SEC / 1000;

    while (env->now(env->ctx) < until)
        continue;
    return quick_events->state(channel);
}

struct asker {
    struct vchan_sets *sets;
    uint32_t stop; /* atomic */
};

static void *
keep_asking(void *arg)
{
    struct asker *a = arg;

    while (__atomic_load_n(&a->stop, __ATOMIC_ACQUIRE) == 0)
        assert_int_equal(flow__vchan_sets_stats(a->sets).granted,
                         2 * SET_PAGES);
    return NULL;
}

#define FORKS 20

static void
a_child_finds_the_pool_unlocked(void **state)
{
    struct vchan_set *set[2];
    struct asker a = { 0 };
    pthread_t thread;
    struct world w;

    (void)state;
    world_start(&w, 0);
    a.sets = sets_of(&w, 0);
    for (unsigned i = 0; i < 2; i++)
        set[i] = take(a.sets);
    give(set[1]);
    quick_events = w.server->events;
    slow_events = *quick_events;
    slow_events.state = slow_state;
    w.server->events = &slow_events;
    assert_int_equal(pthread_create(&thread, NULL, keep_asking, &a), 0);
    for (unsigned i = 0; i < FORKS; i++) {
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0) {
            alarm(20);
            give(set[0]);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    __atomic_store_n(&a.stop, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    give(set[0]);
    flow__vchan_sets_close(a.sets);
    world_stop(&w);
}

#define ROUNDS 300

static void *
dial_and_close(void *arg)
{
    const struct place *p = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct flow *f = dial(p, NULL);

        assert_int_equal(flow_open_wait(f), FLOW_OK);
        flow_close(f);
    }
    return NULL;
}

/* Passes flows to a thread that closes them. */
struct closer {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct flow *flow;
};

static void *
close_all(void *arg)
{
    struct closer *c = arg;

    for (unsigned i = 0; i < 2 * ROUNDS; i++) {
        struct flow *f;

        pthread_mutex_lock(&c->lock);
        while (c->flow == NULL)
            pthread_cond_wait(&c->more, &c->lock);
        f = c->flow;
        c->flow = NULL;
        pthread_cond_broadcast(&c->more);
        pthread_mutex_unlock(&c->lock);
        flow_close(f);
    }
    return NULL;
}

/* Two clients at once, one thread that accepts and one that closes. */
static void
sets_come_back_while_others_go_out(void **state)
{
    struct closer c = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER,
                        NULL };
    struct flow_listener *l;
    pthread_t thread[3];
    struct place p;

    (void)state;
    place_make(&p);
    l = listen_on(&p, NULL);
    assert_int_equal(pthread_create(&thread[0], NULL, close_all, &c), 0);
    for (unsigned i = 1; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, dial_and_close, &p),
                         0);
    for (unsigned i = 0; i < 2 * ROUNDS; i++) {
        struct flow *f;

        assert_int_equal(flow_accept_wait(l, &f), FLOW_OK);
        pthread_mutex_lock(&c.lock);
        while (c.flow != NULL)
            pthread_cond_wait(&c.more, &c.lock);
        c.flow = f;
        pthread_cond_broadcast(&c.more);
        pthread_mutex_unlock(&c.lock);
    }
    for (unsigned i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    /* Four at once: two that are out, the offer, and one on its way back. */
    assert_in_range(ask(l, FLOW_QUERY_GRANTED_PAGES), 17, 8 * 17);
    flow_listener_close(l);
    place_check_and_remove(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_foreign_loop_gets_no_event_of_a_closed_flow),
        cmocka_unit_test(a_foreign_loop_gets_no_flow_event_for_its_listener),
        cmocka_unit_test(every_page_has_a_reference_of_its_own),
        cmocka_unit_test(a_set_without_a_wait_source_waits_for_a_descriptor),
        cmocka_unit_test(a_set_goes_out_with_every_byte_zero),
        cmocka_unit_test(exhaustion_is_again_with_an_event),
        cmocka_unit_test(a_quota_limits_the_pool_too),
        cmocka_unit_test(without_channel_states_a_set_cools_down),
        cmocka_unit_test(closing_pins_pages_that_are_mapped),
        cmocka_unit_test(old_keys_lead_to_the_current_offer_of_a_set),
        cmocka_unit_test(a_flow_outlives_the_pool_of_its_listener),
        cmocka_unit_test(a_child_finds_the_pool_unlocked),
        cmocka_unit_test(sets_come_back_while_others_go_out),
    };

    return cmocka_run_group_tests_name("vchan: page sets", tests, NULL, NULL);
}
