/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <flow/version.h>

static void
version_numbers_and_text_agree(void **state)
{
    char text[32];

    (void)state;
    snprintf(text, sizeof(text), "%d.%d.%d", FLOW_VERSION_MAJOR,
             FLOW_VERSION_MINOR, FLOW_VERSION_PATCH);
    assert_string_equal(text, FLOW_VERSION_STRING);
}

static void
library_version_is_that_of_the_header(void **state)
{
    (void)state;
    assert_string_equal(flow_version(), FLOW_VERSION_STRING);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_numbers_and_text_agree),
        cmocka_unit_test(library_version_is_that_of_the_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
