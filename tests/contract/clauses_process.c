/* SPDX-License-Identifier: ISC */
#include "child.h"
#include "contract.h"

static void
close_in_child(struct ends *e)
{
    pid_t child = child_begin();

    if (child == 0) {
        flow_close(e->a);
        flow_close(e->b);
        child_end();
    }
    child_join(child);
}

static void
c79_child_closes_for_itself(struct ends *e)
{
    close_in_child(e);
    step_open(e);
    step_pass(e, e->a, 1000, 79);
    close_in_child(e);
    step_pass(e, e->a, 1000, 80);
    step_pass(e, e->b, 1000, 81);
    if (!contract_half_close(e->a))
        return;
    /* Fork while bytes and an end are in transit. */
    step_put(e, e->b, "end", 3);
    step_shutdown(e, e->b);
    close_in_child(e);
    assert_status(step_end(e, e->a, NULL), FLOW_EOF);
    step_pass(e, e->a, 1000, 82);
}

/* Keys, or the memory of a pair, belong to the process that made the flow. */
static bool
is_of_one_process(const struct ends *e)
{
    return e->stack->tls > 0 || e->stack->backend->one_process;
}

/* The refusal may come after some AGAIN of a fault filter. */
static void
check_refusal(struct flow *f, enum flow_dir dir)
{
    enum flow_status st = FLOW_AGAIN;
    struct flow_error err;
    uint8_t byte = 0;
    size_t n;
    int i;

    for (i = 0; i < 1000 && st == FLOW_AGAIN; i++) {
        st = dir == FLOW_READ ? flow_read(f, &byte, 1, &n)
                              : flow_write(f, &byte, 1, &n);
        CHILD_CHECK(n == 0);
    }
    CHILD_CHECK(st == FLOW_E_INVAL);
    flow_get_error(f, dir, &err);
    CHILD_CHECK(err.status == FLOW_E_INVAL && err.hint != NULL);
}

static void
check_refused(struct flow *f)
{
    check_refusal(f, FLOW_READ);
    check_refusal(f, FLOW_WRITE);
    CHILD_CHECK(step_ready(f, FLOW_READY_READ) != 0);
}

static void
c80_flow_of_one_process_is_refused_in_the_child(struct ends *e)
{
    pid_t child;

    step_open(e);
    step_pass(e, e->a, 1000, 80);
    child = child_begin();
    if (child == 0) {
        if (is_of_one_process(e)) {
            check_refused(e->a);
            check_refused(e->b);
        } else {
            step_pass(e, e->a, 1000, 81);
            step_pass(e, e->b, 1000, 82);
        }
        ends_close(e);
        child_end();
    }
    child_join(child);
    /* The parent's flow still works. */
    step_pass(e, e->a, 1000, 83);
    step_pass(e, e->b, 1000, 84);
}

const struct clause clauses_process[] = {
    CLAUSE(c79_child_closes_for_itself),
    CLAUSE(c80_flow_of_one_process_is_refused_in_the_child),
    { NULL, NULL },
};
