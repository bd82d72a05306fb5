/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/tls_verify.h>

#include "tests/fuzz/fuzz.h"
#include "tls/constraint.h"
#include "tls/crl.h"
#include "tls/dn.h"

/*
 * Input: two bytes with the length of a certificate, the certificate of an
 * authority, and a certificate below it.  Each is read as a revocation list
 * too.  What is read must lie within its bytes, and be the same when it is read
 * again.
 */

#define COMPARISONS 4096

static void
check_within(struct flow__span outer, struct flow__span inner)
{
    FUZZ_CHECK(inner.len == 0 ||
               (inner.base >= outer.base && inner.len <= outer.len &&
                (size_t)(inner.base - outer.base) <= outer.len - inner.len));
}

static void
check_name(struct flow__span name)
{
    struct flow__dn_rest rest = { { NULL, 0 }, name };
    struct flow__span email;
    char text[64];

    FUZZ_CHECK(flow__dn_is_valid(name));
    FUZZ_CHECK(flow__dn_equal(name, name));
    FUZZ_CHECK(flow__dn_is_within(name, name));
    (void)flow__dn_text(name, text, sizeof(text));
    FUZZ_CHECK(strlen(text) < sizeof(text));
    while (flow__dn_next_email(&rest, &email))
        check_within(name, email);
}

/* What is shown of a certificate cannot control a terminal. */
static void
check_text(const char *text)
{
    for (; *text != '\0'; text++)
        FUZZ_CHECK(*text >= 0x20 && *text < 0x7f);
}

static void
check_facts(struct flow__span der)
{
    const struct flow_tls_der cert = { der.base, der.len };
    enum flow_tls_name_kind kind;
    struct flow_tls_facts facts;
    char text[FLOW_TLS_TEXT_MAX];

    FUZZ_CHECK(flow_tls_get_facts(&cert, &facts) == FLOW_OK);
    check_text(facts.subject);
    check_text(facts.issuer);
    check_text(facts.serial);
    while (flow_tls_next_name(&facts.names, &kind, text, sizeof(text)) ==
           FLOW_OK)
        check_text(text);
    FUZZ_CHECK(facts.names.len == 0);
}

static void
check_names(struct flow__span names)
{
    struct flow__span all = names, value;
    unsigned choice;

    while (names.len > 0) {
        FUZZ_CHECK(flow__cert_take_name(&names, &choice, &value));
        check_within(all, value);
        FUZZ_CHECK(choice <= 8);
    }
}

static bool
check_cert(struct flow__span der, struct flow__cert *c)
{
    if (!flow__cert_read(der, c))
        return false;
    check_within(der, c->serial);
    check_within(der, c->spki);
    check_within(der, c->signature.signed_bytes);
    check_within(der, c->signature.value);
    check_within(der, c->permitted);
    check_within(der, c->excluded);
    check_within(der, c->key_id);
    check_within(der, c->issuer_key_id);
    check_within(der, c->issuer);
    check_within(der, c->subject);
    check_within(der, c->names);
    check_name(c->issuer);
    check_name(c->subject);
    check_names(c->names);
    FUZZ_CHECK(c->version >= 1 && c->version <= 3);
    FUZZ_CHECK((c->key == FLOW__KEY_RSA) == (c->rsa_bits > 0));
    check_facts(der);
    if (flow__dn_equal(c->issuer, c->subject))
        FUZZ_CHECK(c->issuer_hash == c->subject_hash);
    return true;
}

static void
check_list(struct flow__span der, struct flow__span serial)
{
    struct flow__crl crl;

    if (flow__crl_read(der, &crl) != FLOW__CRL_READ)
        return;
    check_within(der, crl.revoked);
    check_within(der, crl.signature.signed_bytes);
    check_within(der, crl.signature.value);
    check_name(crl.issuer);
    (void)flow__crl_has(&crl, serial);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct flow__span in = { data, len }, upper;
    struct flow__cert authority, cert;
    uint32_t budget = COMPARISONS;

    if (!flow__span_take_vec16(&in, &upper))
        return 0;
    check_list(upper, in);
    check_list(in, upper);
    if (check_cert(upper, &authority) && check_cert(in, &cert)) {
        enum flow__constraint first =
            flow__constraint_check(&authority, &cert, &budget);
        uint32_t again = COMPARISONS;

        FUZZ_CHECK(budget <= COMPARISONS);
        FUZZ_CHECK(flow__constraint_check(&authority, &cert, &again) == first);
        if (authority.permitted.len == 0 && authority.excluded.len == 0)
            FUZZ_CHECK(first == FLOW__CONSTRAINT_MET);
    }
    return 0;
}
