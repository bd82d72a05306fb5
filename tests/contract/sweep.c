/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/align.h>
#include <flow/buffered.h>

#include "step.h"
#include "sweep.h"

/*
 * Any offset and length of the caller's memory arrives intact, over every flow
 * and under every buffer policy.
 */

#define OFFSETS 4096u
#define LONGEST 65536u

static const size_t lengths[] = {
    0, 1, 1245, 2047, 2048, 2049, 4095, 4096, 4097, 2920 + 1245, 16384, LONGEST,
};

static uint8_t from[OFFSETS + LONGEST], to[OFFSETS + LONGEST];
static size_t stride;

/* Transfer one message from one address to another. */
static void
carry(struct ends *e, const uint8_t *src, uint8_t *dst, size_t len)
{
    size_t sent = 0, got = 0, n;
    enum flow_status st;
    bool stuck;

    while (got < len || sent < len) {
        stuck = true;
        if (sent < len) {
            st = flow_write(e->a, src + sent, len - sent, &n);
            assert_status_in(st, STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN));
            sent += n;
            stuck = n == 0;
        }
        st = flow_flush(e->a);
        assert_status_in(st, STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN));
        if (got == len)
            continue;
        st = flow_read(e->b, dst + got, len - got, &n);
        assert_status_in(st, STATUS_BIT(FLOW_OK) | STATUS_BIT(FLOW_AGAIN));
        got += n;
        if (stuck && n == 0)
            step_wait(e, sent < len ? FLOW_READY_WRITE : FLOW_READY_FLUSH,
                      FLOW_READY_READ);
    }
    assert_memory_equal(dst, src, len);
}

static void
every_offset(struct ends *e)
{
    size_t i, off;

    step_open(e);
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        for (off = i % stride; off < OFFSETS; off += stride)
            carry(e, from + off, to + (OFFSETS - 1 - off), lengths[i]);
    /* The corner cases, whatever the stride. */
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        carry(e, from + OFFSETS - 1, to, lengths[i]);
        carry(e, from, to + OFFSETS - 1, lengths[i]);
        carry(e, from + 63, to + 65, lengths[i]);
    }
}

/* One policy of each kind; NULL: no filter. */
struct policies {
    struct flow_align_policy plain, line, page;
    struct flow_arena_policy arena;
    struct flow_pool *pool;
    const struct flow_buf_policy *list[6];
};

static void
make_policies(struct policies *p)
{
    static uint8_t memory[65536];

    assert_status(flow_align_init(&p->plain, TEST_ENV, 1, false), FLOW_OK);
    assert_status(flow_align_init(&p->line, TEST_ENV, FLOW_CACHE_LINE, true),
                  FLOW_OK);
    assert_status(flow_align_init(&p->page, TEST_ENV, FLOW_PAGE_SIZE, true),
                  FLOW_OK);
    assert_status(flow_arena_init(&p->arena, memory, sizeof(memory), 16),
                  FLOW_OK);
    assert_status(flow_pool_new(TEST_ENV, 4096, 8, 512, &p->pool), FLOW_OK);
    p->list[0] = NULL;
    p->list[1] = &p->plain.base;
    p->list[2] = &p->line.base;
    p->list[3] = &p->page.base;
    p->list[4] = &p->arena.base;
    p->list[5] = flow_pool_policy(p->pool);
}

static void
sweep_stack(const struct flow_contract_backend *backend, layer_fn *layer,
            const struct flow_buf_policy *policy)
{
    struct ends e;

    ends_make_bare(&e, backend);
    if (layer != NULL)
        layer(&e);
    if (policy != NULL) {
        assert_status(flow_buffered_wrap(e.a, policy, 4096, &e.a), FLOW_OK);
        assert_status(flow_buffered_wrap(e.b, policy, 4096, &e.b), FLOW_OK);
    }
    every_offset(&e);
    ends_close(&e);
}

static void
sweep_backend(void **state)
{
    static layer_fn *const layers[] = {
        NULL,
#ifdef TEST_TLS
        layer_tls12,
        layer_tls13,
#endif
    };
    const struct flow_contract_backend *backend = *state;
    struct policies policies;
    char label[80];
    size_t l, p;

    test_fill(from, sizeof(from), 1);
    for (l = 0; l < sizeof(layers) / sizeof(layers[0]); l++)
        for (p = 0; p < sizeof(policies.list) / sizeof(policies.list[0]); p++) {
            snprintf(label, sizeof(label), "%s, layer %zu, policy %zu",
                     backend->name, l, p);
            guard_case(label);
            make_policies(&policies);
            sweep_stack(backend, layers[l], policies.list[p]);
            assert_int_equal(flow_pool_in_use(policies.pool), 0);
            flow_pool_free(policies.pool);
        }
    guard_case(NULL);
}

int
sweep_run(const struct flow_contract_backend *backend, size_t every)
{
    const struct CMUnitTest test[] = {
        { backend->name, sweep_backend, guard_begin, guard_end,
          (void *)(uintptr_t)backend },
    };

    stride = every;
    return cmocka_run_group_tests_name("sweep", test, guard_process, NULL);
}
