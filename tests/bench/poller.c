/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>

#include <flow/env.h>
#include <flow/pair.h>
#include <flow/poller.h>

/*
 * What idle flows cost a poller: the time of a wait that reports one busy flow
 * among many, beside the same among few.  Both take turns in short rounds and
 * the best rounds are compared.  A poller that asked everybody would be some
 * thousand times slower.
 */

#define FEW    10u
#define MANY   10000u
#define ROUNDS 15
#define WAITS  2000

struct crowd {
    struct flow_poller *poller;
    struct flow **near_end;
    struct flow **far_end;
    size_t count;
    uint64_t best; /* ns of a round */
};

static void
must(bool ok)
{
    if (!ok)
        abort();
}

static void
gather(struct crowd *c, size_t count)
{
    const struct flow_env *env = flow_env_default();
    const struct flow_poller_event *ev;
    size_t i, n;

    c->count = count;
    c->best = UINT64_MAX;
    c->near_end = calloc(count, sizeof(struct flow *));
    c->far_end = calloc(count, sizeof(struct flow *));
    must(c->near_end != NULL && c->far_end != NULL);
    must(flow_poller_new(env, &c->poller) == FLOW_OK);
    for (i = 0; i < count; i++) {
        must(flow_pair_new(env, 64, NULL, &c->near_end[i], &c->far_end[i]) ==
             FLOW_OK);
        must(flow_poller_add(c->poller, c->near_end[i], FLOW_READY_READ,
                             NULL) == FLOW_OK);
    }
    must(flow_poller_wait(c->poller, 1, FLOW_NOW, &ev, &n) == FLOW_E_TIMEOUT);
}

static void
disperse(struct crowd *c)
{
    size_t i;

    flow_poller_free(c->poller);
    for (i = 0; i < c->count; i++) {
        flow_close(c->near_end[i]);
        flow_close(c->far_end[i]);
    }
    free(c->near_end);
    free(c->far_end);
}

static void
run_round(struct crowd *c)
{
    const struct flow_env *env = flow_env_default();
    uint64_t begin = env->now(env->ctx);
    const struct flow_poller_event *ev;
    size_t i, n;
    char byte;

    for (i = 0; i < WAITS; i++) {
        must(flow_write(c->far_end[i % c->count], "x", 1, &n) == FLOW_OK);
        must(flow_poller_wait(c->poller, 4, FLOW_NEVER, &ev, &n) == FLOW_OK);
        must(n == 1);
        must(flow_read(ev[0].flow, &byte, 1, &n) == FLOW_OK);
    }
    begin = env->now(env->ctx) - begin;
    if (begin < c->best)
        c->best = begin;
}

int
main(void)
{
    struct crowd few, many;
    int round;

    gather(&few, FEW);
    gather(&many, MANY);
    for (round = 0; round < ROUNDS; round++) {
        run_round(&few);
        run_round(&many);
    }
    printf("wait among %u flows: %.2f times as long as among %u\n", MANY,
           (double)many.best / (double)few.best, FEW);
    disperse(&few);
    disperse(&many);
    return 0;
}
