/* SPDX-License-Identifier: ISC */
#include <mbedtls/version.h>

#include <flow/pair.h>

#include "step.h"

/*
 * An mbedTLS without locks of its own: tls/ holds a lock around its calls.  Its
 * callbacks run under that lock and call it again.
 */

/* In place of the library's, so that it reports no threading support.  For 4.x
 * the headers alone decide. */
int
mbedtls_version_check_feature(const char *feature)
{
    (void)feature;
    return -1;
}

static void
handshake(layer_fn *layer)
{
    struct ends e = { 0 };

    assert_status(flow_pair_new(TEST_ENV, 1 << 16, NULL, &e.a, &e.b), FLOW_OK);
    layer(&e);
    step_open(&e);
    step_pass(&e, e.a, 1000, 1);
    step_pass(&e, e.b, 1000, 2);
    ends_close(&e);
}

static void
engine_may_call_us_under_its_lock(void **state)
{
    (void)state;
#if MBEDTLS_VERSION_MAJOR >= 4 && defined(MBEDTLS_THREADING_C)
    print_message("this mbedTLS has locks of its own\n");
    skip();
#endif
    handshake(layer_tls13);
    handshake(layer_tls12);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { TEST(
        engine_may_call_us_under_its_lock) };

    return TEST_RUN(tests);
}
