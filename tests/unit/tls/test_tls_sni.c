/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/bytes.h"

#include "tls/sni.h"
#include "tls/suite.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NAMES    3
#define PAIRS    6
#define NUMBERS  16

/* A ClientHello in the form that the parser returns. */
struct client {
    struct flow__client_hello hello;
    uint8_t sigalgs[2 * NUMBERS];
    uint8_t groups[2 * NUMBERS];
    uint8_t suites[2 * NUMBERS];
    uint8_t versions[2 * NUMBERS];
};

static struct flow__span
numbers(uint8_t *out, const uint16_t *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[2 * i] = (uint8_t)(list[i] >> 8);
        out[2 * i + 1] = (uint8_t)list[i];
    }
    return (struct flow__span){ out, 2 * count };
}

static void
set_name(struct client *c, const char *name)
{
    c->hello.sni_state = FLOW__SNI_ABSENT;
    memset(&c->hello.sni, 0, sizeof(c->hello.sni));
    if (name == NULL)
        return;
    c->hello.sni_state = FLOW__SNI_NAME;
    assert_int_equal(flow__name_parse(name, strlen(name), &c->hello.sni),
                     FLOW__NAME_DNS);
}

/* A client of today: both versions, every key. */
static void
modern(struct client *c, const char *name)
{
    static const uint16_t sigalgs[] = { 0x0403, 0x0503, 0x0603, 0x0804,
                                        0x0805, 0x0806, 0x0401 };
    static const uint16_t groups[] = { 0x001d, 0x0017, 0x0018, 0x0019 };
    static const uint16_t suites[] = { 0x1301, 0xc02b, 0xc02f };
    static const uint16_t versions[] = { 0x0304, 0x0303 };

    memset(c, 0, sizeof(*c));
    c->hello.legacy_version = 0x0303;
    c->hello.sigalgs = numbers(c->sigalgs, sigalgs, COUNT(sigalgs));
    c->hello.groups = numbers(c->groups, groups, COUNT(groups));
    c->hello.suites = numbers(c->suites, suites, COUNT(suites));
    c->hello.versions = numbers(c->versions, versions, COUNT(versions));
    set_name(c, name);
}

static const struct flow__sni_policy both = { 0x0303, 0x0304, NULL, 0 };

/* Key pairs, with their names separated by blanks. */
struct store {
    struct flow__sni_candidate pair[PAIRS];
    struct flow__span name[PAIRS][NAMES];
    size_t count;
};

static void
add_pair(struct store *s, enum flow__key_type key, const char *names)
{
    struct flow__sni_candidate *c = &s->pair[s->count];
    struct flow__span *name = s->name[s->count++];

    memset(c, 0, sizeof(*c));
    c->names = name;
    c->key = key;
    while (*names != '\0') {
        size_t len = strcspn(names, " ");

        name[c->name_count++] =
            (struct flow__span){ (const uint8_t *)names, len };
        names += len + (names[len] == ' ');
    }
}

static void
assert_serves(const struct store *s, const struct client *c, size_t index,
              enum flow__sni_kind kind, const char *pattern)
{
    struct flow__sni_decision d;

    flow__sni_select(s->pair, s->count, &both, &c->hello, &d);
    assert_true(d.serve);
    assert_int_equal(d.fault.alert, FLOW__ALERT_NONE);
    assert_int_equal(d.index, index);
    assert_int_equal(d.kind, kind);
    assert_int_equal(d.pattern.len, strlen(pattern));
    assert_memory_equal(d.pattern.base, pattern, strlen(pattern));
}

static void
assert_refuses(const struct store *s, const struct client *c,
               const struct flow__sni_policy *policy, enum flow__alert alert)
{
    struct flow__sni_decision d;

    flow__sni_select(s->pair, s->count, policy, &c->hello, &d);
    assert_false(d.serve);
    assert_int_equal(d.fault.alert, alert);
    assert_non_null(d.fault.text);
}

static void
exact_before_wildcard_before_default(void **state)
{
    struct store s = { .count = 0 };
    struct client c;

    (void)state;
    add_pair(&s, FLOW__KEY_P256, "default.test");
    add_pair(&s, FLOW__KEY_P256, "*.example.org");
    add_pair(&s, FLOW__KEY_RSA, "other.test WWW.example.org");
    modern(&c, "www.example.org");
    assert_serves(&s, &c, 2, FLOW__SNI_MATCH_EXACT, "WWW.example.org");
    modern(&c, "mail.example.org");
    assert_serves(&s, &c, 1, FLOW__SNI_MATCH_WILDCARD, "*.example.org");
    modern(&c, "a.b.example.org");
    assert_serves(&s, &c, 0, FLOW__SNI_MATCH_DEFAULT, "");
    modern(&c, "default.test");
    assert_serves(&s, &c, 0, FLOW__SNI_MATCH_EXACT, "default.test");
    modern(&c, NULL);
    assert_serves(&s, &c, 0, FLOW__SNI_MATCH_NO_NAME, "");
    c.hello.sni_state = FLOW__SNI_IP_LITERAL;
    assert_serves(&s, &c, 0, FLOW__SNI_MATCH_NO_NAME, "");
    c.hello.sni_state = FLOW__SNI_INVALID;
    assert_refuses(&s, &c, &both, FLOW__ALERT_UNRECOGNIZED_NAME);
}

static void
the_key_follows_the_client(void **state)
{
    static const uint16_t rsa_only[] = { 0x0804, 0x0401 };
    static const uint16_t pkcs1_only[] = { 0x0401, 0x0501 };
    static const uint16_t p384_only[] = { 0x0503 };
    struct store s = { .count = 0 };
    struct client c;

    (void)state;
    add_pair(&s, FLOW__KEY_RSA, "example.org");
    add_pair(&s, FLOW__KEY_P384, "example.org");
    add_pair(&s, FLOW__KEY_P256, "example.org");
    add_pair(&s, FLOW__KEY_P256, "example.org");
    modern(&c, "example.org");
    assert_serves(&s, &c, 2, FLOW__SNI_MATCH_EXACT, "example.org");
    c.hello.sigalgs = numbers(c.sigalgs, rsa_only, 2);
    assert_serves(&s, &c, 0, FLOW__SNI_MATCH_EXACT, "example.org");
    c.hello.sigalgs = numbers(c.sigalgs, p384_only, 1);
    assert_serves(&s, &c, 1, FLOW__SNI_MATCH_EXACT, "example.org");
    /* PKCS#1 schemes do not count in TLS 1.3; in TLS 1.2 they do. */
    c.hello.sigalgs = numbers(c.sigalgs, pkcs1_only, 2);
    assert_refuses(&s, &c, &both, FLOW__ALERT_HANDSHAKE_FAILURE);
    c.hello.versions.base = NULL;
    assert_serves(&s, &c, 0, FLOW__SNI_MATCH_EXACT, "example.org");
    /* Without the extension, TLS 1.2 implies SHA-1 schemes. */
    c.hello.sigalgs.base = NULL;
    c.hello.sigalgs.len = 0;
    assert_refuses(&s, &c, &both, FLOW__ALERT_HANDSHAKE_FAILURE);
    /* The default is chosen by key as well, among pairs of the same names. */
    modern(&c, NULL);
    assert_serves(&s, &c, 2, FLOW__SNI_MATCH_NO_NAME, "");
    c.hello.sigalgs = numbers(c.sigalgs, rsa_only, 2);
    assert_serves(&s, &c, 0, FLOW__SNI_MATCH_NO_NAME, "");
}

static void
an_unusable_key_falls_to_a_wildcard_and_no_further(void **state)
{
    static const uint16_t rsa_only[] = { 0x0804 };
    struct store s = { .count = 0 };
    struct client c;

    (void)state;
    add_pair(&s, FLOW__KEY_RSA, "default.test");
    add_pair(&s, FLOW__KEY_P256, "www.example.org");
    modern(&c, "www.example.org");
    c.hello.sigalgs = numbers(c.sigalgs, rsa_only, 1);
    assert_refuses(&s, &c, &both, FLOW__ALERT_HANDSHAKE_FAILURE);
    add_pair(&s, FLOW__KEY_RSA, "*.example.org");
    assert_serves(&s, &c, 2, FLOW__SNI_MATCH_WILDCARD, "*.example.org");
}

static void
tls12_needs_suite_and_curve(void **state)
{
    static const uint16_t rsa_suite[] = { 0xc02f };
    static const uint16_t x25519_only[] = { 0x001d };
    static const uint16_t no_ecdsa[] = { 0xc02f, 0x1301 };
    const struct flow__sni_policy only_rsa = { 0x0303, 0x0304, no_ecdsa, 2 };
    struct store s = { .count = 0 };
    struct client c;

    (void)state;
    add_pair(&s, FLOW__KEY_P256, "a.test");
    modern(&c, "a.test");
    c.hello.versions.base = NULL;
    assert_serves(&s, &c, 0, FLOW__SNI_MATCH_EXACT, "a.test");
    assert_refuses(&s, &c, &only_rsa, FLOW__ALERT_HANDSHAKE_FAILURE);
    c.hello.groups = numbers(c.groups, x25519_only, 1);
    assert_refuses(&s, &c, &both, FLOW__ALERT_HANDSHAKE_FAILURE);
    c.hello.groups.base = NULL;
    assert_serves(&s, &c, 0, FLOW__SNI_MATCH_EXACT, "a.test");
    c.hello.suites = numbers(c.suites, rsa_suite, 1);
    assert_refuses(&s, &c, &both, FLOW__ALERT_HANDSHAKE_FAILURE);
}

static void
versions_are_agreed_first(void **state)
{
    const struct flow__sni_policy only13 = { 0x0304, 0x0304, NULL, 0 };
    const struct flow__sni_policy only12 = { 0x0303, 0x0303, NULL, 0 };
    static const uint16_t old[] = { 0x0302, 0x0301 };
    struct store s = { .count = 0 };
    struct client c;

    (void)state;
    add_pair(&s, FLOW__KEY_P256, "a.test");
    modern(&c, "a.test");
    assert_int_equal(flow__sni_version(&both, &c.hello), 0x0304);
    assert_int_equal(flow__sni_version(&only12, &c.hello), 0x0303);
    c.hello.versions.base = NULL;
    assert_int_equal(flow__sni_version(&both, &c.hello), 0x0303);
    assert_int_equal(flow__sni_version(&only13, &c.hello), 0);
    assert_refuses(&s, &c, &only13, FLOW__ALERT_PROTOCOL_VERSION);
    c.hello.legacy_version = 0x0302;
    assert_refuses(&s, &c, &both, FLOW__ALERT_PROTOCOL_VERSION);
    c.hello.legacy_version = 0x0303;
    c.hello.versions = numbers(c.versions, old, 2);
    assert_refuses(&s, &c, &both, FLOW__ALERT_PROTOCOL_VERSION);
}

/*
 * The oracle: the rules of docs/sni.md in another form, which scores every
 * candidate and takes the best.
 */

static bool
oracle_has(struct flow__span list, unsigned value)
{
    for (size_t i = 0; i + 1 < list.len; i += 2)
        if (list.base[i] * 256u + list.base[i + 1] == value)
            return true;
    return false;
}

static bool
oracle_usable(enum flow__key_type key, bool tls13,
              const struct flow__client_hello *h)
{
    const bool rsa = key == FLOW__KEY_RSA;
    const unsigned curve = 0x17u + (unsigned)key;
    bool suite = false;

    if (tls13 && rsa)
        return oracle_has(h->sigalgs, 0x0804) ||
               oracle_has(h->sigalgs, 0x0805) || oracle_has(h->sigalgs, 0x0806);
    if (tls13)
        return oracle_has(h->sigalgs, 0x0403 + ((unsigned)key << 8));
    for (size_t i = 0; i + 1 < h->suites.len; i += 2) {
        const struct flow__suite *s = flow__suite_find(
            (uint16_t)(h->suites.base[i] << 8 | h->suites.base[i + 1]));

        if (s != NULL && strstr(s->name, rsa ? "ECDHE_RSA" : "ECDHE_ECDSA"))
            suite = true;
    }
    for (unsigned hash = 4; hash <= 6; hash++)
        if (suite && oracle_has(h->sigalgs, hash << 8 | (rsa ? 1 : 3)))
            return rsa || h->groups.base == NULL ||
                   oracle_has(h->groups, curve);
    return false;
}

/* 0: exact, 1: wildcard, 9: no match. */
static int
oracle_tier(const struct flow__sni_candidate *c, const char *name)
{
    int best = 9;

    for (size_t i = 0; i < c->name_count; i++) {
        char text[64];
        const char *dot = strchr(name, '.');

        memcpy(text, c->names[i].base, c->names[i].len);
        text[c->names[i].len] = '\0';
        if (strcmp(text, name) == 0)
            best = 0;
        else if (best > 0 && text[0] == '*' && dot != NULL &&
                 strchr(dot + 1, '.') != NULL && strcmp(text + 1, dot) == 0)
            best = 1;
    }
    return best;
}

static bool
oracle_same(const struct flow__sni_candidate *a,
            const struct flow__sni_candidate *b)
{
    const struct flow__sni_candidate *const ab[] = { a, b };

    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < ab[side]->name_count; i++) {
            bool found = false;

            for (size_t j = 0; j < ab[1 - side]->name_count; j++)
                if (ab[side]->names[i].len == ab[1 - side]->names[j].len &&
                    memcmp(ab[side]->names[i].base, ab[1 - side]->names[j].base,
                           ab[side]->names[i].len) == 0)
                    found = true;
            if (!found)
                return false;
        }
    return true;
}

/* The index of the key pair, or -alert. */
static int
oracle(const struct store *s, const struct client *c, int *ret_tier)
{
    const struct flow__client_hello *h = &c->hello;
    const bool tls13 = oracle_has(h->versions, 0x0304);
    const bool tls12 = h->versions.base == NULL
                           ? h->legacy_version >= 0x0303
                           : oracle_has(h->versions, 0x0303);
    bool configured = false;
    int best = -1;
    int best_score = 1 << 20;

    if (h->sni_state == FLOW__SNI_INVALID)
        return -FLOW__ALERT_UNRECOGNIZED_NAME;
    if (!tls13 && !tls12)
        return -FLOW__ALERT_PROTOCOL_VERSION;
    if (h->sni_state == FLOW__SNI_NAME)
        for (size_t i = 0; i < s->count; i++)
            configured |= oracle_tier(&s->pair[i], h->sni.dns) < 9;
    for (size_t i = 0; i < s->count; i++) {
        int tier = 9;

        if (configured)
            tier = oracle_tier(&s->pair[i], h->sni.dns);
        else if (oracle_same(&s->pair[0], &s->pair[i]))
            tier = h->sni_state == FLOW__SNI_NAME ? 2 : 3;
        if (tier == 9 || !oracle_usable(s->pair[i].key, tls13, h))
            continue;
        int score = tier * 10000 + (int)s->pair[i].key * 100 + (int)i;
        if (score < best_score) {
            best_score = score;
            best = (int)i;
            *ret_tier = tier;
        }
    }
    return best >= 0 ? best : -FLOW__ALERT_HANDSHAKE_FAILURE;
}

static const char *const universe[] = {
    "a.test",   "b.test",     "*.test",     "a.x.test",  "b.x.test",
    "*.x.test", "*.a.x.test", "c.a.x.test", "localhost", "*.y.test",
};

static struct flow__span
random_subset(uint8_t *out, const uint16_t *from, size_t count, uint32_t mask)
{
    uint16_t list[NUMBERS];
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        if (mask >> i & 1)
            list[n++] = from[i];
    return numbers(out, list, n);
}

static void
random_client(struct client *c, uint64_t *seed)
{
    static const uint16_t sigalgs[] = { 0x0403, 0x0503, 0x0603, 0x0804, 0x0806,
                                        0x0401, 0x0601, 0x0201, 0x0807 };
    static const uint16_t groups[] = { 0x001d, 0x0017, 0x0018, 0x0019 };
    static const uint16_t suites[] = { 0x1301, 0xc02b, 0xc02f, 0xc0ae, 0x009c };
    static const uint16_t versions[] = { 0x0304, 0x0303, 0x0302 };
    static const char *const names[] = {
        "a.test",    "b.test",   "c.test",     "a.x.test",
        "c.x.test",  "x.test",   "c.a.x.test", "d.a.x.test",
        "localhost", "a.y.test", "a.b.y.test",
    };

    memset(c, 0, sizeof(*c));
    c->hello.legacy_version = next_random(seed) % 8 ? 0x0303 : 0x0302;
    c->hello.sigalgs =
        random_subset(c->sigalgs, sigalgs, COUNT(sigalgs), next_random(seed));
    c->hello.suites =
        random_subset(c->suites, suites, COUNT(suites), next_random(seed));
    if (next_random(seed) % 4 != 0)
        c->hello.groups =
            random_subset(c->groups, groups, COUNT(groups), next_random(seed));
    if (next_random(seed) % 4 != 0)
        c->hello.versions = random_subset(c->versions, versions,
                                          COUNT(versions), next_random(seed));
    set_name(c, names[next_random(seed) % COUNT(names)]);
    switch (next_random(seed) % 16) {
    case 0:
        set_name(c, NULL);
        break;
    case 1:
        c->hello.sni_state = FLOW__SNI_IP_LITERAL;
        break;
    case 2:
        c->hello.sni_state = FLOW__SNI_INVALID;
        break;
    default:
        break;
    }
}

static void
decisions_are_those_of_the_oracle(void **state)
{
    static const enum flow__sni_kind kinds[] = { FLOW__SNI_MATCH_EXACT,
                                                 FLOW__SNI_MATCH_WILDCARD,
                                                 FLOW__SNI_MATCH_DEFAULT,
                                                 FLOW__SNI_MATCH_NO_NAME };
    unsigned seen[4] = { 0 };
    unsigned refused = 0;
    uint64_t seed = 20261124;

    (void)state;
    for (int round = 0; round < 200000; round++) {
        struct store s = { .count = 0 };
        struct flow__sni_decision d;
        struct client c;
        char names[PAIRS][64];
        int tier = 9;

        for (size_t n = 1 + next_random(&seed) % PAIRS; n > 0; n--) {
            char *text = names[s.count];

            text[0] = '\0';
            for (size_t k = next_random(&seed) % (NAMES + 1); k > 0; k--) {
                if (text[0] != '\0')
                    strcat(text, " ");
                strcat(text, universe[next_random(&seed) % COUNT(universe)]);
            }
            add_pair(&s, (enum flow__key_type)(next_random(&seed) % 4), text);
        }
        random_client(&c, &seed);
        int want = oracle(&s, &c, &tier);
        flow__sni_select(s.pair, s.count, &both, &c.hello, &d);
        if (want < 0) {
            assert_false(d.serve);
            assert_int_equal(d.fault.alert, -want);
            refused++;
            continue;
        }
        assert_true(d.serve);
        assert_int_equal(d.index, want);
        assert_int_equal(d.kind, kinds[tier]);
        assert_int_equal(d.pattern.base != NULL, tier < 2);
        seen[tier]++;
    }
    for (int i = 0; i < 4; i++)
        assert_true(seen[i] > 1000);
    assert_true(refused > 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_before_wildcard_before_default),
        cmocka_unit_test(the_key_follows_the_client),
        cmocka_unit_test(an_unusable_key_falls_to_a_wildcard_and_no_further),
        cmocka_unit_test(tls12_needs_suite_and_curve),
        cmocka_unit_test(versions_are_agreed_first),
        cmocka_unit_test(decisions_are_those_of_the_oracle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
