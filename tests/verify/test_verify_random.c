/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509_vfy.h>

#include "model.h"
#include "test.h"

/*
 * Random certificates, good ones with a few mistakes, against a model that
 * tries every path and against OpenSSL.  FLOW_TEST_SEED=N repeats one of them.
 */

#ifndef CASES
#define CASES 1500
#endif

static uint64_t
below(uint64_t *random, uint64_t n)
{
    return test_random(random) % n;
}

static bool
chance(uint64_t *random, unsigned percent)
{
    return below(random, 100) < percent;
}

static const char *
pick(uint64_t *random, const char *const *list)
{
    size_t count = 0;

    while (list[count] != NULL)
        count++;
    return list[below(random, count)];
}

static void
add_mistakes(uint64_t *random, struct scene_cert *c)
{
    static const char *const purposes[] = { "serverAuth",
                                            "serverAuth,clientAuth",
                                            "clientAuth", "codeSigning", NULL };

    if (chance(random, 6))
        c->from = chance(random, 50) ? -9 : 5;
    if (c->from != 0)
        c->until = c->from < 0 ? -5 : 9;
    if (chance(random, 12))
        c->purposes = pick(random, purposes);
    if (chance(random, 3))
        c->hash = SCENE_SHA1;
    if (chance(random, 2))
        c->critical = true;
    if (chance(random, 4))
        c->forged = true;
}

static void
make_authority(uint64_t *random, struct scene_cert *c, int subject, int issuer)
{
    static const char *const usages[] = { "keyCertSign", "keyCertSign,cRLSign",
                                          "cRLSign", NULL };
    static const char *const constraints[] = {
        "permitted;DNS:example",
        "permitted;DNS:b.example",
        "permitted;DNS:.example",
        "excluded;DNS:b.example",
        "excluded;DNS:x.b.example",
        "permitted;DNS:example,excluded;DNS:c.b.example",
        "permitted;IP:10.0.0.0/255.0.0.0",
        "excluded;IP:10.1.0.0/255.255.0.0",
        "permitted;email:a.example",
        "permitted;email:.example",
        "excluded;email:x@a.example",
        "permitted;dirName:scene",
        "permitted;dirName:name9",
        "excluded;dirName:name9",
        "excluded;dirName:other",
        NULL
    };

    memset(c, 0, sizeof(*c));
    c->subject = subject;
    c->issuer = issuer;
    c->key = (enum scene_key)(chance(random, 90) ? (uint64_t)subject
                                                 : below(random, 5));
    c->signer = (enum scene_key)(chance(random, 93) ? (uint64_t)issuer
                                                    : below(random, 5));
    c->ca = chance(random, 95)   ? SCENE_CA_TRUE
            : chance(random, 50) ? SCENE_CA_FALSE
                                 : SCENE_CA_ABSENT;
    if (c->ca == SCENE_CA_TRUE && chance(random, 20))
        c->path_len = 1 + (int)below(random, 3);
    if (chance(random, 25))
        c->usage = pick(random, usages);
    if (chance(random, 25))
        c->constraints = pick(random, constraints);
    add_mistakes(random, c);
}

static void
make_leaf(uint64_t *random, struct scene_cert *c)
{
    static const char *const sans[] = { "DNS:a.example",
                                        "DNS:b.example,DNS:a.example",
                                        "DNS:x.b.example",
                                        "DNS:*.b.example,DNS:a.example",
                                        "DNS:*.b.example",
                                        "DNS:a.example,IP:10.1.2.3",
                                        "DNS:a.example,IP:10.2.2.3",
                                        "DNS:a.example,email:x@a.example",
                                        "DNS:a.example,email:x@b.a.example",
                                        NULL };
    static const char *const usages[] = { "digitalSignature",
                                          "digitalSignature,keyEncipherment",
                                          "keyCertSign", NULL };

    memset(c, 0, sizeof(*c));
    c->subject = 9;
    c->issuer = (int)below(random, 5);
    c->key = SCENE_KEY_5;
    c->signer = (enum scene_key)(chance(random, 95) ? (uint64_t)c->issuer
                                                    : below(random, 5));
    c->san = pick(random, sans);
    if (chance(random, 25))
        c->usage = pick(random, usages);
    add_mistakes(random, c);
}

static void
make_model(uint64_t *random, struct model *m)
{
    static const char *const names[] = { "a.example", "a.example",
                                         "x.b.example", NULL };

    memset(m, 0, sizeof(*m));
    m->purpose =
        chance(random, 90) ? FLOW_TLS_PURPOSE_SERVER : FLOW_TLS_PURPOSE_CLIENT;
    m->name = pick(random, names);
    m->trust_count = 1 + below(random, 2);
    for (size_t i = 0; i < m->trust_count; i++)
        make_authority(random, &m->trust[i], (int)i, (int)i);
    make_leaf(random, &m->chain[0]);
    m->chain_count = 1 + below(random, 7);
    for (size_t i = 1; i < m->chain_count; i++)
        make_authority(random, &m->chain[i], 1 + (int)below(random, 4),
                       (int)below(random, 5));
}

static void
make_scene(const struct model *m, struct scene *s)
{
    memset(s, 0, sizeof(*s));
    for (size_t i = 0; i < m->trust_count; i++)
        scene_trust(s, &m->trust[i]);
    for (size_t i = 0; i < m->chain_count; i++)
        scene_send(s, &m->chain[i]);
    s->name = m->name;
    s->purpose = m->purpose;
}

static void
print_cert(const char *what, const struct scene_cert *c)
{
    print_error("  %s: %d by %d, key %d by %d, CA %d, length %d, hash %d, "
                "%ld..%ld%s%s; %s; %s; %s; %s\n",
                what, c->subject, c->issuer, c->key, c->signer, c->ca,
                c->path_len - 1, c->hash, c->from, c->until,
                c->critical ? ", critical" : "", c->forged ? ", forged" : "",
                c->usage ? c->usage : "-", c->purposes ? c->purposes : "-",
                c->san ? c->san : "-", c->constraints ? c->constraints : "-");
}

static void
print_model(const struct model *m)
{
    print_error("  name %s, purpose %d\n", m->name, m->purpose);
    for (size_t i = 0; i < m->trust_count; i++)
        print_cert("trusted", &m->trust[i]);
    for (size_t i = 0; i < m->chain_count; i++)
        print_cert(i == 0 ? "leaf" : "between", &m->chain[i]);
}

/* Why OpenSSL may accept what we refuse. */
static bool
openssl_may_accept(const struct model *m)
{
    /* It compares an excluded name with the text of a wildcard. */
    if (strchr(m->chain[0].san, '*') != NULL)
        return true;
    /* For it keyCertSign alone makes an authority. */
    for (size_t i = 0; i < m->trust_count + m->chain_count; i++) {
        const struct scene_cert *c =
            i < m->trust_count ? &m->trust[i] : &m->chain[i - m->trust_count];

        if (c->ca == SCENE_CA_ABSENT && c->usage != NULL &&
            strstr(c->usage, "keyCertSign") != NULL)
            return true;
    }
    return false;
}

/* Why it may refuse what we accept: it does not try every certificate that has
 * the issuer's name. */
static bool
openssl_may_refuse(const struct model *m)
{
    unsigned count[10] = { 0 };
    bool several = false;

    for (size_t i = 0; i < m->trust_count; i++)
        several = several || ++count[m->trust[i].subject] > 1;
    for (size_t i = 1; i < m->chain_count; i++)
        several = several || ++count[m->chain[i].subject] > 1;
    return several;
}

struct tally {
    unsigned accepted;
    unsigned refused;
    unsigned limited;
    unsigned openssl_refused; /* and the library accepted */
    unsigned wrong;
};

static void
check_one(uint64_t seed, struct tally *t)
{
    struct flow_tls_verdict verdict;
    struct flow_tls_verifier *v;
    uint64_t random = seed;
    enum flow_status st;
    struct scene s;
    struct model m;
    bool expected, theirs;

    make_model(&random, &m);
    make_scene(&m, &s);
    expected = model_accepts(&m);
    v = scene_verifier(&s);
    st = scene_verify(&s, v, &verdict);
    theirs = scene_openssl(&s) == X509_V_OK;
    flow_tls_verifier_unref(v);
    scene_free(&s);
    t->accepted += st == FLOW_OK;
    t->refused += st == FLOW_E_AUTH;
    t->limited += verdict.check == FLOW_TLS_CHECK_WORK;
    t->openssl_refused += st == FLOW_OK && !theirs;
    /* A limit may refuse a good chain, and never accepts a bad one. */
    if ((st == FLOW_OK) != expected &&
        !(expected && verdict.check == FLOW_TLS_CHECK_WORK)) {
        print_error("seed %llu: %s, and the model %s it\n",
                    (unsigned long long)seed, verdict.text,
                    expected ? "accepts" : "refuses");
        print_model(&m);
        t->wrong++;
    }
    if (theirs ? st != FLOW_OK && !openssl_may_accept(&m)
               : st == FLOW_OK && !openssl_may_refuse(&m)) {
        print_error("seed %llu: %s, and OpenSSL %s it\n",
                    (unsigned long long)seed, verdict.text,
                    theirs ? "accepts" : "refuses");
        print_model(&m);
        t->wrong++;
    }
}

static void
random_chains_have_the_verdict_of_the_model(void **state)
{
    const char *seed = getenv("FLOW_TEST_SEED");
    struct tally t = { 0, 0, 0, 0, 0 };

    (void)state;
    if (seed != NULL) {
        check_one(strtoull(seed, NULL, 10), &t);
        assert_int_equal(t.wrong, 0);
        return;
    }
    for (uint64_t i = 1; i <= CASES && t.wrong < 5; i++) {
        char text[32];

        /* No single case may hang; all of them may take their time. */
        (void)snprintf(text, sizeof(text), "seed %u", (unsigned)i);
        guard_case(text);
        check_one(i, &t);
    }
    print_message("  %u accepted, %u refused, %u of them at a limit; OpenSSL "
                  "did not find the path of %u\n",
                  t.accepted, t.refused, t.limited, t.openssl_refused);
    assert_int_equal(t.wrong, 0);
    /* The cases are worth the comparison. */
    assert_true(t.accepted > CASES / 20);
    assert_true(t.refused > CASES / 20);
    assert_true(t.limited < CASES / 20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(random_chains_have_the_verdict_of_the_model),
    };

    return TEST_RUN(tests);
}
