/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/flow.h>

#include "fixture.h"
#include "lib/plat/fake/fake.h"
#include "mock_flow.h"
#include "unit.h"

/* A refused call with the status of an end ends nothing. */
static void
error_of_an_end_replaces_that_of_a_refused_call(void **state)
{
    struct mock *m = new_mock();
    struct flow_error err;
    size_t n;

    (void)state;
    m->shutdown_st = FLOW_AGAIN;
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_AGAIN);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_CLOSED);
    m->shutdown_st = FLOW_E_CLOSED;
    m->fail_text = "the cause";
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_E_CLOSED);
    flow_get_error(&m->base, FLOW_WRITE, &err);
    assert_int_equal(err.status, FLOW_E_CLOSED);
    assert_string_equal(err.text, "the cause");
    assert_int_equal(err.code, 7);
    flow_close(&m->base);

    /* The same if the backend gives only a status. */
    m = new_mock();
    m->shutdown_st = FLOW_AGAIN;
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_AGAIN);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_CLOSED);
    m->shutdown_st = FLOW_E_CLOSED;
    assert_int_equal(flow_shutdown(&m->base, FLOW_WRITE), FLOW_E_CLOSED);
    flow_get_error(&m->base, FLOW_WRITE, &err);
    assert_string_equal(err.text, flow_status_text(FLOW_E_CLOSED));
    flow_close(&m->base);
}

static void
first_error_record_of_an_end_is_kept(void **state)
{
    struct mock *m = new_mock();
    struct flow_error err;
    char buf[4];
    size_t n;

    (void)state;
    m->read_st = FLOW_E_RESET;
    m->fail_text = "the cause";
    m->fail_dirs = FLOW_WRITE;
    assert_int_equal(flow_read(&m->base, buf, 4, &n), FLOW_E_RESET);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_RESET);
    assert_int_equal(m->writes, 0);
    flow_fail(&m->base, FLOW_WRITE, FLOW_E_RESET, FLOW_DOMAIN_NONE, 0,
              "a consequence");
    flow_fail(&m->base, FLOW_WRITE, FLOW_E_PROTO, FLOW_DOMAIN_NONE, 0,
              "another");
    flow_get_error(&m->base, FLOW_WRITE, &err);
    assert_int_equal(err.status, FLOW_E_RESET);
    assert_string_equal(err.text, "the cause");
    assert_int_equal(err.code, 7);
    flow_close(&m->base);
}

static void
error_record_has_the_cause_and_every_layer(void **state)
{
    struct mock *low = new_mock();
    struct mock *mid = mock_wrap(&low->base, true, MOCK_CAPS);
    struct mock *top = mock_wrap(&mid->base, true, MOCK_CAPS);
    struct flow_error err;
    char buf[4];
    size_t n;

    (void)state;
    low->read_st = FLOW_E_SYS;
    low->fail_text = "the cause";
    assert_int_equal(flow_read(&top->base, buf, 4, &n), FLOW_E_SYS);
    flow_get_error(&top->base, FLOW_READ, &err);
    assert_string_equal(err.text, "the cause");
    assert_int_equal(err.layer_count, 3);
    assert_int_equal(err.code, 7);
    flow_close(&top->base);
}

static void
end_of_the_lower_flow_can_be_an_error_above(void **state)
{
    struct mock *low = new_mock();
    struct mock *top = mock_wrap(&low->base, true, MOCK_CAPS);
    struct flow_error err;

    (void)state;
    assert_int_equal(
        flow_fail_lower(&top->base, FLOW_READ, FLOW_READ, FLOW_EOF), FLOW_EOF);
    flow_get_error(&top->base, FLOW_READ, &err);
    assert_int_equal(err.status, FLOW_OK);
    assert_int_equal(
        flow_fail_lower(&top->base, FLOW_READ, FLOW_READ, FLOW_E_TRUNCATED),
        FLOW_E_TRUNCATED);
    flow_get_error(&top->base, FLOW_READ, &err);
    assert_int_equal(err.status, FLOW_E_TRUNCATED);
    assert_int_equal(err.layer_count, 2);
    assert_non_null(err.text);
    flow_close(&top->base);
}
/* The mock adds an error code, so the record needs more room than the flow
 * has. */
static void
error_record_without_memory_keeps_status_and_text(void **state)
{
    struct mock *m = new_mock();
    struct flow_error err;
    size_t n;

    (void)state;
    m->fail_text = "made to fail";
    m->write_st = FLOW_E_NOMEM;
    fake.fail_at = fake.allocs + 1;
    fake.fail_all = true;
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_NOMEM);
    flow_get_error(&m->base, FLOW_WRITE, &err);
    assert_int_equal(err.status, FLOW_E_NOMEM);
    assert_string_equal(err.text, "made to fail");
    assert_int_equal(err.layer_count, 1);
    assert_string_equal(err.layers[0], "mock");
    assert_int_equal(err.code, 0);
    flow_get_error(&m->base, FLOW_READ, &err);
    assert_int_equal(err.status, FLOW_OK);

    /* After a transient error, the record of the end has its code again ... */
    fake.fail_at = 0;
    fake.fail_all = false;
    m->write_st = FLOW_E_RESET;
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_RESET);
    flow_get_error(&m->base, FLOW_WRITE, &err);
    assert_int_equal(err.status, FLOW_E_RESET);
    assert_int_equal(err.code, 7);
    /* ... and no later error replaces it. */
    assert_int_equal(flow_commit(&m->base, FLOW_WRITE, 0, 0), FLOW_E_INVAL);
    flow_abort(&m->base);
    flow_get_error(&m->base, FLOW_WRITE, &err);
    assert_int_equal(err.status, FLOW_E_RESET);
    assert_int_equal(err.code, 7);
    flow_close(&m->base);
}

static size_t
footprint(struct flow *f)
{
    size_t bytes, len = sizeof(bytes);

    assert_int_equal(flow_query(f, FLOW_QUERY_FOOTPRINT, &bytes, &len),
                     FLOW_OK);
    return bytes;
}

/* A short record needs no allocation, and an allocated one is reused. */
static void
memory_for_error_records_is_allocated_when_needed(void **state)
{
    struct mock *m = new_mock();
    size_t before = footprint(&m->base), n;
    uint64_t allocs = fake.allocs;
    struct flow_error err;

    (void)state;
    assert_int_equal(flow_commit(&m->base, FLOW_WRITE, 0, 0), FLOW_E_INVAL);
    assert_int_equal(fake.allocs, allocs);
    m->fail_text = "made to fail";
    m->write_st = FLOW_E_NOMEM;
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_NOMEM);
    assert_int_equal(flow_write(&m->base, "x", 1, &n), FLOW_E_NOMEM);
    assert_int_equal(fake.allocs, allocs + 1);
    assert_int_equal(footprint(&m->base), before + sizeof(err));
    /* After a short record, the code of the previous one is gone. */
    assert_int_equal(flow_commit(&m->base, FLOW_WRITE, 0, 0), FLOW_E_INVAL);
    flow_get_error(&m->base, FLOW_WRITE, &err);
    assert_int_equal(err.status, FLOW_E_INVAL);
    assert_int_equal(err.code, 0);
    assert_string_equal(err.text, "no lease is out");
    flow_abort(&m->base);
    assert_int_equal(fake.allocs, allocs + 1);
    flow_close(&m->base);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(error_of_an_end_replaces_that_of_a_refused_call),
        TEST(first_error_record_of_an_end_is_kept),
        TEST(error_record_has_the_cause_and_every_layer),
        TEST(end_of_the_lower_flow_can_be_an_error_above),
        TEST(error_record_without_memory_keeps_status_and_text),
        TEST(memory_for_error_records_is_allocated_when_needed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
