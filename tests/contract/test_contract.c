/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract.h"

static const struct clause *const lists[] = { clauses_bytes, clauses_ends,
                                              clauses_wait,  clauses_stack,
                                              clauses_built, clauses_process };

#define LISTS (sizeof(lists) / sizeof(lists[0]))

struct contract_case {
    const struct clause *clause;
    const struct stack *stack;
};

size_t
contract_fill(struct ends *e, struct flow *f, uint64_t seed)
{
    static uint8_t block[1 << 16];
    static uint8_t *all;
    size_t n, total = 0;
    enum flow_status st;

    /* One stream of bytes, made once per seed, longer than any buffer. */
    static uint64_t made;
    if (all == NULL)
        all = malloc((size_t)32 << 20);
    assert_non_null(all);
    if (made != seed)
        test_fill(all, (size_t)32 << 20, made = seed);
    (void)e;
    for (;;) {
        memcpy(block, all + total, sizeof(block));
        st = flow_write(f, block, sizeof(block), &n);
        total += n;
        assert_true(total < ((size_t)32 << 20) - sizeof(block));
        if (st == FLOW_OK)
            continue;
        assert_status(st, FLOW_AGAIN);
        assert_int_equal(n, 0);
        if (step_ready(f, FLOW_READY_WRITE) == 0)
            return total;
    }
}

void
contract_take(struct ends *e, struct flow *f, size_t len, uint64_t seed)
{
    uint8_t *got = malloc(len + 1);

    assert_non_null(got);
    step_get(e, f, got, len);
    test_check(got, len, seed, 0);
    free(got);
}

bool
contract_half_close(struct flow *f)
{
    if (flow_caps(f) & FLOW_CAP_HALF_CLOSE_WRITE)
        return true;
    assert_status(flow_shutdown(f, FLOW_WRITE), FLOW_E_NOTSUP);
    return false;
}

void
contract_end(struct ends *e, struct flow *f)
{
    if (contract_half_close(f)) {
        step_shutdown(e, f);
        return;
    }
    step_flush(e, f);
    if (f == e->a)
        e->a = NULL;
    else
        e->b = NULL;
    flow_close(f);
}

static void
run_case(void **state)
{
    const struct contract_case *c = *state;
    char name[160];
    struct ends e;

    snprintf(name, sizeof(name), "%s [%s]", c->clause->name, c->stack->name);
    guard_case(name);
    ends_make(&e, c->stack);
    c->clause->check(&e);
    ends_close(&e);
    guard_case(NULL);
}

/* cmocka gives the initial state to the setup in place. */
static int
begin_case(void **state)
{
    void *unused = NULL;

    (void)state;
    return guard_begin(&unused);
}

static int
end_case(void **state)
{
    void *unused = NULL;

    (void)state;
    return guard_end(&unused);
}

static void
add_case(struct CMUnitTest *test, const struct clause *clause,
         const struct stack *stack)
{
    struct contract_case *c = malloc(sizeof(*c));
    char *name = malloc(160);

    if (c == NULL || name == NULL)
        abort();
    c->clause = clause;
    c->stack = stack;
    snprintf(name, 160, "%s [%s]", clause->name, stack->name);
    test->name = name;
    test->test_func = run_case;
    test->setup_func = begin_case;
    test->teardown_func = end_case;
    test->initial_state = c;
}

/* Whether a stack ends in "/pair", or is it. */
static bool
stands_on(const struct stack *s, const char *transport)
{
    return transport == NULL || strcmp(s->transport->name, transport) == 0;
}

/*
 * usage: test_contract [TRANSPORT [PATTERN]], where the pattern is cmocka's:
 * "c24*", "*[tls13/tcp]".
 */
int
main(int argc, char **argv)
{
    const char *transport = argc > 1 ? argv[1] : NULL;
    size_t stack_count, count = 0, i, l;
    const struct stack *list = stacks(&stack_count);
    struct CMUnitTest *tests;
    const struct clause *c;
    int rc;

    tests = calloc(stack_count * 100, sizeof(*tests));
    if (tests == NULL)
        abort();
    for (i = 0; i < stack_count; i++)
        for (l = 0; stands_on(&list[i], transport) && l < LISTS; l++)
            for (c = lists[l]; c->name != NULL; c++)
                add_case(&tests[count++], c, &list[i]);
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    rc = _cmocka_run_group_tests(transport == NULL ? "contract" : transport,
                                 tests, count, guard_process, NULL);
    for (i = 0; i < count; i++) {
        free(tests[i].initial_state);
        free((void *)(uintptr_t)tests[i].name);
    }
    free(tests);
    return rc != 0;
}
