/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/contract.h>

#include "contract.h"
#include "sweep.h"

static const struct clause *const lists[] = { clauses_bytes,  clauses_ends,
                                              clauses_wait,   clauses_lease,
                                              clauses_stack,  clauses_built,
                                              clauses_process };

#define LISTS (sizeof(lists) / sizeof(lists[0]))

struct contract_case {
    const struct clause *clause;
    const struct stack *stack;
};

bool
contract_exact(const struct stack *s)
{
    return s->tls == 0 && strstr(s->name, "again") == NULL &&
           strstr(s->name, "seeded") == NULL;
}

size_t
contract_fill(struct flow *f, uint64_t seed)
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
    test->setup_func = guard_begin;
    test->teardown_func = guard_end;
    test->initial_state = c;
}

/* The parsed command line. */
struct call {
    bool lists;
    size_t stride; /* of the sweep; 0: run the clauses */
    const char *backend;
    const char *pattern;
};

static bool
parse(struct call *call, int argc, char **argv)
{
    int i;

    memset(call, 0, sizeof(*call));
    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0)
            call->lists = true;
        else if (strcmp(argv[i], "--sweep") == 0)
            call->stride = 61;
        else if (strncmp(argv[i], "--sweep=", 8) == 0 && atoi(argv[i] + 8) > 0)
            call->stride = (size_t)atoi(argv[i] + 8);
        else if (argv[i][0] == '-' || call->pattern != NULL)
            return false;
        else if (call->backend == NULL)
            call->backend = argv[i];
        else
            call->pattern = argv[i];
    }
    return true;
}

static void
free_case(struct CMUnitTest *test)
{
    free(test->initial_state);
    free((void *)(uintptr_t)test->name);
}

static bool
is_wanted(const struct call *call, const struct flow_contract_backend *backend)
{
    return call->backend == NULL || strcmp(backend->name, call->backend) == 0;
}

/* An asterisk matches any characters. */
static bool
matches(const char *pattern, const char *name)
{
    for (; *pattern != '*'; pattern++, name++)
        if (*pattern != *name || *pattern == '\0')
            return *pattern == *name;
    do {
        if (matches(pattern + 1, name))
            return true;
    } while (*name++ != '\0');
    return false;
}

/* A test for each clause on each stack of the selected backend. */
static struct CMUnitTest *
make_tests(const struct call *call, const struct stack *list,
           size_t stack_count, size_t *ret_count)
{
    struct CMUnitTest *tests = calloc(stack_count * 100, sizeof(*tests));
    const struct clause *c;
    size_t i, l;

    if (tests == NULL)
        abort();
    *ret_count = 0;
    for (i = 0; i < stack_count; i++)
        for (l = 0; is_wanted(call, list[i].backend) && l < LISTS; l++)
            for (c = lists[l]; c->name != NULL; c++) {
                add_case(&tests[*ret_count], c, &list[i]);
                if (call->pattern == NULL ||
                    matches(call->pattern, tests[*ret_count].name))
                    ++*ret_count;
                else
                    free_case(&tests[*ret_count]);
            }
    return tests;
}

static void
free_tests(struct CMUnitTest *tests, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        free_case(&tests[i]);
    free(tests);
}

/* What main() returns. */
static int
run_clauses(const struct call *call,
            const struct flow_contract_backend *backends, size_t count)
{
    size_t stack_count, test_count, i;
    struct stack *list = stacks_on(backends, count, &stack_count);
    struct CMUnitTest *tests = make_tests(call, list, stack_count, &test_count);
    int failed = 0;

    if (test_count == 0) {
        fprintf(stderr, "contract: no test matches '%s'\n", call->pattern);
        failed = -1;
    } else if (call->lists) {
        for (i = 0; i < test_count; i++)
            puts(tests[i].name);
    } else {
        failed = _cmocka_run_group_tests(
            call->backend == NULL ? "contract" : call->backend, tests,
            test_count, guard_process, NULL);
    }
    free_tests(tests, test_count);
    free(list);
    return failed < 0 ? 2 : failed != 0;
}

/* See <flow/contract.h>. */
int
flow_contract_main(int argc, char **argv,
                   const struct flow_contract_backend *backends, size_t count)
{
    struct call call;
    size_t i, wanted = 0;

    if (!parse(&call, argc, argv)) {
        fprintf(stderr,
                "usage: %s [--list] [--sweep[=STRIDE]] [NAME [PATTERN]]\n",
                argc > 0 ? argv[0] : "contract");
        return 2;
    }
    for (i = 0; i < count; i++)
        wanted += is_wanted(&call, &backends[i]);
    if (wanted == 0) {
        fprintf(stderr, "contract: unknown backend '%s'\n",
                call.backend == NULL ? "" : call.backend);
        return 2;
    }
    if (call.stride == 0)
        return run_clauses(&call, backends, count);
    for (i = 0; i < count; i++)
        if (is_wanted(&call, &backends[i]) &&
            sweep_run(&backends[i], call.stride) != 0)
            return 1;
    return 0;
}
