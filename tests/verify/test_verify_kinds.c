/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <openssl/x509_vfy.h>

#include <flow/tls.h>

#include "kinds.h"
#include "test.h"

/*
 * One chain of each kind, good and bad, with the expected verdict and that of
 * OpenSSL.  Where the two differ the row says why.
 */

static void
each_kind_has_its_verdict(void **state)
{
    struct flow_tls_verdict verdict;
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < kind_count; i++) {
        const struct kind *k = &kinds[i];
        struct flow_tls_verifier *v;
        struct scene s;
        enum flow_status st;

        guard_case(k->what);
        kind_build(&s, k);
        v = scene_verifier(&s);
        st = scene_verify(&s, v, &verdict);
        assert_int_equal(
            st, verdict.check == FLOW_TLS_CHECK_NONE ? FLOW_OK : FLOW_E_AUTH);
        assert_int_equal(verdict.flags == 0, st == FLOW_OK);
        if (verdict.check != k->check || verdict.depth != k->depth) {
            print_error("%s: %d at %u (%s, %s), not %d at %u\n", k->what,
                        verdict.check, verdict.depth, verdict.text,
                        verdict.subject, k->check, k->depth);
            wrong++;
        }
        flow_tls_verifier_unref(v);
        scene_free(&s);
    }
    assert_int_equal(wrong, 0);
}

static void
openssl_has_the_same_verdict_or_a_reason(void **state)
{
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < kind_count; i++) {
        const struct kind *k = &kinds[i];
        struct scene s;
        int error;

        guard_case(k->what);
        kind_build(&s, k);
        error = scene_openssl(&s);
        if (((error == X509_V_OK) == (k->check == FLOW_TLS_CHECK_NONE)) !=
            (k->differs == SAME)) {
            print_error("%s: OpenSSL says %s\n", k->what,
                        X509_verify_cert_error_string(error));
            wrong++;
        }
        scene_free(&s);
    }
    assert_int_equal(wrong, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_kind_has_its_verdict),
        TEST(openssl_has_the_same_verdict_or_a_reason),
    };

    return TEST_RUN(tests);
}
