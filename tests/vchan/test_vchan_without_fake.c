/* SPDX-License-Identifier: ISC */
/* A build with vchan and without the fake hypervisor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <flow/endpoint.h>
#include <flow/vchan.h>

static void
its_scheme_is_unknown(void **state)
{
    struct flow_listener *l;
    struct flow_error err;
    struct flow *f;

    (void)state;
    assert_int_equal(
        flow_endpoint_dial(NULL, "vchan+fake://somewhere", NULL, &f, &err),
        FLOW_E_NOTSUP);
    assert_string_equal(err.text, "no such scheme in this build");
    assert_int_equal(
        flow_endpoint_listen(NULL, "vchan+fake://somewhere", NULL, &l, &err),
        FLOW_E_NOTSUP);
    assert_string_equal(err.text, "no such scheme in this build");
}

static void
its_functions_say_what_to_build(void **state)
{
    struct flow_listener *l;
    struct flow_error err;
    struct flow *f;

    (void)state;
    assert_int_equal(flow_vchan_fake_listen(NULL, "somewhere", NULL, &l, &err),
                     FLOW_E_NOTSUP);
    assert_string_equal(err.hint, "build with -Dvchan_fake=enabled");
    assert_int_equal(flow_vchan_fake_connect(NULL, "somewhere", NULL, &f, NULL),
                     FLOW_E_NOTSUP);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_scheme_is_unknown),
        cmocka_unit_test(its_functions_say_what_to_build),
    };

    return cmocka_run_group_tests_name("vchan: no fake hypervisor", tests, NULL,
                                       NULL);
}
