/* SPDX-License-Identifier: ISC */
#include <pthread.h>

#include "tests/support/env.h"
#include "tests/unit/tls/bytes.h"
#include "tests/unit/tls/sni_model.h"
#include "tests/unit/tls/sni_table.h"

/*
 * The selector: the cases of sni_cases.txt, and random selectors and clients,
 * against sni_model.c; the reasons it gives; what it refuses; failing memory;
 * threads on one snapshot.
 */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define CASES    300

static struct flow_tls_sni *
make(const struct model *m)
{
    struct flow_tls_sni *s;
    struct flow_error err;

    assert_int_equal(table_make(NULL, m, &s, &err), FLOW_OK);
    if (flow_tls_sni_freeze(s, &err) != FLOW_OK)
        fail_msg("%s (%s)", err.text, err.detail);
    return s;
}

static void
decide(const struct model *m, const struct flow_tls_sni *s,
       const struct flow_tls_sni_client *client,
       struct flow_tls_sni_terms *terms, struct flow_tls_sni_decision *d)
{
    table_terms(terms);
    assert_int_equal(flow_tls_sni_select(s, client, terms, d), FLOW_OK);
    if (d->outcome != FLOW_TLS_SNI_ASK)
        return;
    assert_true(m->has_callback);
    terms->answer = m->answer;
    assert_int_equal(flow_tls_sni_select(s, client, terms, d), FLOW_OK);
}

/* One certificate is chosen if one is served; the others have reasons that fit
 * the decision. */
static void
check_reasons(const struct flow_tls_sni *s,
              const struct flow_tls_sni_client *client,
              const struct flow_tls_sni_terms *terms,
              const struct flow_tls_sni_decision *d)
{
    struct flow_tls_sni_verdict v;
    size_t chosen = 0, index = 0;

    while (flow_tls_sni_explain(s, client, terms, d, index++, &v) == FLOW_OK) {
        assert_non_null(v.text);
        assert_string_equal(v.id, flow_tls_sni_entry_id(s, v.entry));
        if (v.reason == FLOW_TLS_SNI_CHOSEN) {
            assert_int_equal(v.entry, d->entry);
            assert_int_equal(v.identity, d->identity);
            chosen++;
        }
        if (v.reason == FLOW_TLS_SNI_NOT_REACHED)
            assert_int_not_equal(d->outcome, FLOW_TLS_SNI_SERVED);
        if (v.reason == FLOW_TLS_SNI_LESS_EXACT)
            assert_true(v.kind > d->kind);
    }
    assert_int_equal(chosen, d->outcome == FLOW_TLS_SNI_SERVED ? 1 : 0);
}

/* What the selector decides, in words, after it was compared with the model. */
static void
ask(const struct model *m, const struct flow_tls_sni *s,
    const struct model_client *c, char *buf, size_t cap)
{
    struct flow_tls_sni_decision d;
    struct flow_tls_sni_terms terms;
    struct table_client client;
    struct model_answer want;
    char expected[256];

    table_make_client(c, &client);
    decide(m, s, &client.client, &terms, &d);
    model_select(m, c, &want);
    table_write(m, &want, expected, sizeof(expected));
    table_write_decision(m, &d, buf, cap);
    assert_string_equal(buf, expected);
    assert_int_equal(d.text != NULL, d.outcome != FLOW_TLS_SNI_SERVED);
    check_reasons(s, &client.client, &terms, &d);
}

static char *
next_line(char **text)
{
    char *line = *text;
    char *end = strchr(line, '\n');

    if (end == NULL)
        return NULL;
    *end = '\0';
    *text = end + 1;
    return line;
}

static void
the_cases_of_the_table(void **state)
{
    size_t len;
    uint8_t *file =
        load_file(getenv("FLOW_TEST_VECTORS"), "sni_cases.txt", &len);
    char *text = malloc(len + 1);
    char *rest = text;
    struct model m = { .entry_count = 0 };
    struct flow_tls_sni *s = NULL;
    size_t cases = 0;

    (void)state;
    memcpy(text, file, len);
    text[len] = '\0';
    free(file);
    for (char *line = next_line(&rest); line != NULL; line = next_line(&rest)) {
        char *arrow = strstr(line, " -> ");
        struct model_client c;
        char got[256];

        if (line[0] == '#' || line[0] == '\0')
            continue;
        if (arrow == NULL) {
            flow_tls_sni_unref(s);
            s = NULL;
            table_read(&m, line);
            continue;
        }
        *arrow = '\0';
        if (s == NULL)
            s = make(&m);
        table_read_client(&c, line);
        ask(&m, s, &c, got, sizeof(got));
        if (strcmp(got, arrow + 4) != 0)
            fail_msg("%s: %s, not %s", line, got, arrow + 4);
        cases++;
    }
    flow_tls_sni_unref(s);
    free(text);
    assert_true(cases >= CASES);
}

/* --- random selectors --- */

static const char *const name_universe[] = {
    "a.test",          "www.a.test",  "x.a.test",   "x.y.a.test",
    "b.test",          "www.b.test",  "WWW.B.test", "example.org",
    "www.example.org", "a.b.c.d.org", "d.org",      "test",
    "www.test.other"
};
static const char *const pattern_universe[] = {
    "a.test",     "www.a.test", "*.a.test", "**.a.test",   ".a.test",
    "*.y.a.test", "**.test.x",  ".d.org",   "**.c.d.org",  "b.test",
    "*.b.test",   "www.*",      "a.*",      "www.test.*",  "!www.a.test",
    "!x.a.test",  "*",          "@cert",    "example.org", "*.example.org",
    "!d.org",     "a.b.c.d.org"
};
static const char *const alpn_universe[] = { "h2", "http/1.1", "acme-tls/1",
                                             "x" };

static void
pick(struct model_words *w, const char *const *universe, size_t count,
     size_t most, uint64_t *seed)
{
    w->count = 0;
    for (size_t n = next_random(seed) % (most + 1); n > 0; n--)
        strcpy(w->word[w->count++], universe[next_random(seed) % count]);
}

static void
random_entry(struct model_entry *e, size_t index, uint64_t *seed)
{
    memset(e, 0, sizeof(*e));
    snprintf(e->id, sizeof(e->id), "e%zu", index);
    e->is_loose = true;
    pick(&e->patterns, pattern_universe, COUNT(pattern_universe), 5, seed);
    e->identity_count = 1 + next_random(seed) % 3;
    for (size_t i = 0; i < e->identity_count; i++) {
        struct model_identity *id = &e->identity[i];

        id->key = (int)(next_random(seed) % 4);
        pick(&id->names, pattern_universe, 7, 3, seed);
        id->is_expired = next_random(seed) % 4 == 0;
        id->scheme = next_random(seed) % 3 == 0 ? 0x0603 : 0;
    }
    if (next_random(seed) % 4 == 0)
        e->min = 13;
    else if (next_random(seed) % 4 == 0)
        e->max = 12;
    e->is_required = next_random(seed) % 5 == 0;
    if (e->is_required || next_random(seed) % 3 == 0)
        strcpy(e->alpn.word[e->alpn.count++],
               alpn_universe[e->is_required ? 2 : next_random(seed) % 2]);
}

static void
random_model(struct model *m, uint64_t *seed)
{
    memset(m, 0, sizeof(*m));
    m->compat = next_random(seed) % 4 == 0;
    m->on_no_name = (int)(next_random(seed) % (m->compat ? 5 : 3));
    m->on_unknown = (int)(next_random(seed) % (m->compat ? 5 : 3));
    m->invalid_is_unknown = next_random(seed) % 2 == 0;
    m->reject_ip_literal = next_random(seed) % 2 == 0;
    m->list_order = next_random(seed) % 4 == 0;
    m->key_before_exact = next_random(seed) % 4 == 0;
    m->has_callback = next_random(seed) % 4 == 0;
    m->entry_count = 1 + next_random(seed) % MODEL_ENTRIES;
    m->answer = (int)(next_random(seed) % (m->entry_count + 1)) - 1;
    for (size_t i = 0; i < m->entry_count; i++)
        random_entry(&m->entry[i], i, seed);
    m->entry[next_random(seed) % m->entry_count].is_default = true;
}

static void
random_client(struct model_client *c, uint64_t *seed)
{
    static const char *const words[] = {
        "rsa",        "pkcs1",         "p256",   "p384",       "p521",
        "no-sigalgs", "sha256-chains", "x25519", "rsa-suites", "ecdsa-suites",
        "only12",     "only13",        "only11", "old",        "no-groups"
    };
    char text[256];
    unsigned kind = (unsigned)(next_random(seed) % 16);

    snprintf(text, sizeof(text), "ask %s",
             kind == 0   ? "-"
             : kind == 1 ? "192.0.2.1"
             : kind == 2
                 ? "a..b"
                 : name_universe[next_random(seed) % COUNT(name_universe)]);
    for (size_t n = next_random(seed) % 3; n > 0; n--) {
        strcat(text, " ");
        strcat(text, words[next_random(seed) % COUNT(words)]);
    }
    table_read_client(c, text);
    if (next_random(seed) % 3 == 0)
        pick(&c->alpn, alpn_universe, COUNT(alpn_universe), 3, seed);
}

static void
random_selectors_agree_with_the_model(void **state)
{
    uint64_t seed = 20261128;
    unsigned made = 0, kinds[9] = { 0 };

    (void)state;
    for (unsigned round = 0; round < 30000; round++) {
        struct model m;
        struct flow_tls_sni *s;
        struct flow_error err;

        random_model(&m, &seed);
        assert_int_equal(table_make(NULL, &m, &s, &err), FLOW_OK);
        /* Some have duplicates, which are refused. */
        if (flow_tls_sni_freeze(s, &err) == FLOW_OK) {
            made++;
            for (unsigned i = 0; i < 8; i++) {
                struct flow_tls_sni_decision d;
                struct flow_tls_sni_terms terms;
                struct table_client client;
                struct model_client c;
                char got[256];

                random_client(&c, &seed);
                ask(&m, s, &c, got, sizeof(got));
                table_make_client(&c, &client);
                decide(&m, s, &client.client, &terms, &d);
                if (d.outcome == FLOW_TLS_SNI_SERVED)
                    kinds[d.kind]++;
            }
        }
        flow_tls_sni_unref(s);
    }
    assert_true(made > 5000);
    for (size_t i = 0; i < COUNT(kinds); i++)
        assert_true(kinds[i] > 100);
}

/* --- what is refused --- */

struct problems {
    size_t count;
    char text[16][160];
};

static void
note_problem(void *user, const struct flow_error *problem)
{
    struct problems *p = user;

    assert_true(p->count < COUNT(p->text));
    snprintf(p->text[p->count++], sizeof(p->text[0]), "%s (%s)", problem->text,
             problem->detail);
}

static void
assert_problem(const struct problems *p, const char *part)
{
    for (size_t i = 0; i < p->count; i++)
        if (strstr(p->text[i], part) != NULL)
            return;
    fail_msg("no problem about: %s", part);
}

static enum flow_status
add(struct flow_tls_sni *s, const char *id, const char *pattern, uint32_t flags,
    size_t *ret_index)
{
    struct flow_tls_sni_entry entry = {
        .id = id, .patterns = &pattern, .pattern_count = 1, .flags = flags
    };

    return flow_tls_sni_add_entry(s, &entry, ret_index, NULL);
}

static void
add_cert(struct flow_tls_sni *s, size_t entry, enum flow_tls_key key,
         const char *name)
{
    const struct flow_tls_sni_identity facts = { .key = key,
                                                 .names = &name,
                                                 .name_count = 1 };

    assert_int_equal(flow_tls_sni_add_identity(s, entry, &facts, NULL),
                     FLOW_OK);
}

static void
every_problem_is_reported(void **state)
{
    struct problems p = { .count = 0 };
    struct flow_tls_sni_policy strict;
    struct flow_tls_sni *s;
    struct flow_error err;
    size_t a, b, c, d;

    (void)state;
    assert_int_equal(flow_tls_sni_new(NULL, &s, &err), FLOW_OK);
    assert_int_equal(flow_tls_sni_set_report(s, note_problem, &p), FLOW_OK);
    assert_int_equal(add(s, "a", "a.test", 0, &a), FLOW_OK);
    assert_int_equal(add(s, "b", "A.test.", 0, &b), FLOW_OK);
    assert_int_equal(add(s, "c", "*.c.test", 0, &c), FLOW_OK);
    assert_int_equal(add(s, "d", "!d.test", 0, &d), FLOW_OK);
    add_cert(s, a, FLOW_TLS_KEY_RSA, "a.test");
    add_cert(s, b, FLOW_TLS_KEY_RSA, "a.test");
    add_cert(s, c, FLOW_TLS_KEY_P256, "c.test");
    assert_int_equal(flow_tls_sni_freeze(s, &err), FLOW_E_INVAL);
    assert_int_equal(p.count, 4);
    assert_problem(&p, "no certificate (entry d)");
    assert_problem(&p, "needs a default entry");
    assert_problem(&p, "not for this name (entry c: *.c.test)");
    assert_problem(&p, "same kind of key (a.test: entry a and entry b)");
    assert_string_equal(err.text, "an entry has no certificate");
    /* It can be mended. */
    p.count = 0;
    add_cert(s, d, FLOW_TLS_KEY_P256, "d.test");
    add_cert(s, c, FLOW_TLS_KEY_P384, "*.c.test");
    flow_tls_sni_preset(FLOW_TLS_SNI_STRICT, &strict);
    strict.on_no_name = FLOW_TLS_SNI_REJECT;
    assert_int_equal(flow_tls_sni_set_policy(s, &strict), FLOW_OK);
    assert_int_equal(flow_tls_sni_freeze(s, &err), FLOW_E_INVAL);
    assert_int_equal(p.count, 3);
    assert_problem(&p, "no name to be found by (entry d)");
    flow_tls_sni_unref(s);
}

static void
entries_are_checked(void **state)
{
    static const char *const bad[] = { "",        "w*.a.test", "*.test",
                                       "**.test", ".test",     "a.*",
                                       "a..b",    "a b.test",  "\xc3\xa4.test",
                                       "*.*.a.b", "!*.a.test", "192.0.2.1",
                                       "@sni",    "a.*.test",  "!" };
    static const char *const acme[] = { "h2", "acme-tls/1" };
    struct flow_tls_sni_entry entry = { .id = "x" };
    struct problems p = { .count = 0 };
    struct flow_tls_sni *s;
    size_t index;

    (void)state;
    assert_int_equal(flow_tls_sni_new(NULL, &s, NULL), FLOW_OK);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (add(s, "x", bad[i], 0, &index) != FLOW_E_INVAL)
            fail_msg("'%s' is accepted", bad[i]);
    assert_int_equal(add(s, "tld", "*.test", FLOW_TLS_SNI_ALLOW_TLD, &index),
                     FLOW_OK);
    assert_int_equal(
        add(s, "trail", "www.*", FLOW_TLS_SNI_ALLOW_TRAILING, &index), FLOW_OK);
    assert_int_equal(index, 1);
    assert_int_equal(flow_tls_sni_set_report(s, note_problem, &p), FLOW_OK);
    entry.patterns = bad;
    entry.pattern_count = 3;
    entry.id = "tld";
    entry.alpn = acme;
    entry.alpn_count = 2;
    entry.min_version = FLOW_TLS_1_3;
    entry.max_version = FLOW_TLS_1_2;
    assert_int_equal(flow_tls_sni_add_entry(s, &entry, &index, NULL),
                     FLOW_E_INVAL);
    assert_int_equal(p.count, 3);
    assert_problem(&p, "id of another entry");
    assert_problem(&p, "acme-tls/1");
    assert_problem(&p, "range of versions");
    p.count = 0;
    entry.id = "x";
    entry.alpn_count = 0;
    entry.max_version = 0;
    entry.flags = 0x20;
    assert_int_equal(flow_tls_sni_add_entry(s, &entry, &index, NULL),
                     FLOW_E_INVAL);
    assert_int_equal(p.count, 1);
    assert_problem(&p, "unknown flags (entry x)");
    p.count = 0;
    entry.flags = 0;
    assert_int_equal(flow_tls_sni_add_entry(s, &entry, &index, NULL),
                     FLOW_E_INVAL);
    assert_int_equal(p.count, 3);
    assert_problem(&p, "(entry x: *.test)");
    assert_int_equal(flow_tls_sni_add_identity(s, 2, NULL, NULL), FLOW_E_INVAL);
    flow_tls_sni_unref(s);
}

static void
policies_that_need_compat(void **state)
{
    struct flow_tls_sni_policy p = { .on_unknown = FLOW_TLS_SNI_USE_FIRST };
    struct flow_tls_sni *s;

    (void)state;
    assert_int_equal(flow_tls_sni_new(NULL, &s, NULL), FLOW_OK);
    assert_int_equal(flow_tls_sni_set_policy(s, &p), FLOW_E_INVAL);
    p.compat = true;
    assert_int_equal(flow_tls_sni_set_policy(s, &p), FLOW_OK);
    for (int i = FLOW_TLS_SNI_STANDARD;
         i <= FLOW_TLS_SNI_COMPAT_OCAML_MULTIPLE_DEFAULT; i++) {
        flow_tls_sni_preset((enum flow_tls_sni_preset)i, &p);
        assert_int_equal(flow_tls_sni_set_policy(s, &p), FLOW_OK);
        assert_int_equal(p.compat, i >= FLOW_TLS_SNI_COMPAT_OCAML_MULTIPLE);
    }
    flow_tls_sni_unref(s);
}

/* A clock before 1970 is one; only -1 says that there is none. */
static void
time_decides_unless_it_is_unknown(void **state)
{
    static const struct {
        int64_t now;
        size_t chosen;
    } rows[] = { { 5000, 0 }, { -5000, 1 }, { -2, 0 }, { -1, 0 } };
    const char *const name = "a.test";
    struct flow_tls_sni_identity facts = { .key = FLOW_TLS_KEY_P256,
                                           .names = &name,
                                           .name_count = 1,
                                           .not_before = -3000,
                                           .not_after = 9000 };
    struct model_client modern;
    struct table_client client;
    struct flow_tls_sni_terms terms;
    struct flow_tls_sni_decision d;
    struct flow_tls_sni *s;
    size_t entry;

    (void)state;
    assert_int_equal(flow_tls_sni_new(NULL, &s, NULL), FLOW_OK);
    assert_int_equal(add(s, "a", name, FLOW_TLS_SNI_IS_DEFAULT, &entry),
                     FLOW_OK);
    assert_int_equal(flow_tls_sni_add_identity(s, entry, &facts, NULL),
                     FLOW_OK);
    facts.not_before = -9000;
    facts.not_after = -4000;
    assert_int_equal(flow_tls_sni_add_identity(s, entry, &facts, NULL),
                     FLOW_OK);
    assert_int_equal(flow_tls_sni_freeze(s, NULL), FLOW_OK);
    table_terms(&terms);
    table_modern(&modern, name);
    table_make_client(&modern, &client);
    for (size_t i = 0; i < COUNT(rows); i++) {
        terms.now = rows[i].now;
        assert_int_equal(flow_tls_sni_select(s, &client.client, &terms, &d),
                         FLOW_OK);
        assert_int_equal(d.outcome, FLOW_TLS_SNI_SERVED);
        assert_int_equal(d.identity, rows[i].chosen);
    }
    flow_tls_sni_unref(s);
}

static void
a_snapshot_does_not_change(void **state)
{
    const struct flow_tls_sni_policy policy = { .compat = true };
    struct flow_tls_sni_decision d;
    struct flow_tls_sni_terms terms;
    struct flow_tls_sni_client client = { .state = FLOW_TLS_SNI_ABSENT };
    struct flow_tls_sni *s;
    size_t entry, other;

    (void)state;
    table_terms(&terms);
    assert_int_equal(flow_tls_sni_new(NULL, &s, NULL), FLOW_OK);
    assert_int_equal(add(s, "a", "a.test", FLOW_TLS_SNI_IS_DEFAULT, &entry),
                     FLOW_OK);
    add_cert(s, entry, FLOW_TLS_KEY_RSA, "a.test");
    assert_int_equal(flow_tls_sni_select(s, &client, &terms, &d), FLOW_E_INVAL);
    assert_int_equal(flow_tls_sni_freeze(s, NULL), FLOW_OK);
    assert_int_equal(flow_tls_sni_freeze(s, NULL), FLOW_OK);
    assert_int_equal(add(s, "b", "b.test", 0, &other), FLOW_E_BUSY);
    assert_int_equal(flow_tls_sni_add_identity(s, entry, NULL, NULL),
                     FLOW_E_BUSY);
    assert_int_equal(flow_tls_sni_set_policy(s, &policy), FLOW_E_BUSY);
    assert_int_equal(flow_tls_sni_set_lookup(s, NULL, NULL, NULL), FLOW_E_BUSY);
    assert_int_equal(flow_tls_sni_set_report(s, NULL, NULL), FLOW_E_BUSY);
    assert_null(flow_tls_sni_entry_id(s, 1));
    assert_null(flow_tls_sni_entry_user(s, 1));
    flow_tls_sni_unref(s);
}

static void
an_entry_covers_its_names(void **state)
{
    char lines[][64] = { "policy strict",
                         "entry a default : *.a.test !x.a.test",
                         "cert p256 *.a.test", "entry b : b.test *",
                         "cert p256 b.test" };
    struct model m;
    struct flow_tls_sni *s;

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++)
        table_read(&m, lines[i]);
    s = make(&m);
    assert_true(flow_tls_sni_entry_covers(s, 0, "WWW.a.test."));
    assert_false(flow_tls_sni_entry_covers(s, 0, "x.a.test"));
    assert_false(flow_tls_sni_entry_covers(s, 0, "a.test"));
    assert_false(flow_tls_sni_entry_covers(s, 0, "a..test"));
    assert_true(flow_tls_sni_entry_covers(s, 1, "b.test"));
    assert_false(flow_tls_sni_entry_covers(s, 1, "c.test"));
    assert_false(flow_tls_sni_entry_covers(s, 2, "b.test"));
    flow_tls_sni_unref(s);
}

static void
a_client_hello_is_read(void **state)
{
    /* server_name "A.TEST" and supported_versions. */
    static const char hex[] =
        "010000430303000102030405060708090a0b0c0d0e0f10111213141516171819"
        "1a1b1c1d1e1f000004c02b1301010000160000000b0009000006412e54455354"
        "002b0003020304";
    uint8_t msg[256];
    struct flow_tls_sni_client client;
    struct flow_error err;
    size_t len = from_hex(hex, msg, sizeof(msg));

    (void)state;
    assert_int_equal(flow_tls_sni_client_read(msg, len, &client, &err),
                     FLOW_OK);
    assert_int_equal(client.state, FLOW_TLS_SNI_NAME);
    assert_string_equal(client.name, "a.test");
    assert_int_equal(client.legacy_version, 0x0303);
    assert_int_equal(client.suites.len, 4);
    assert_int_equal(client.versions.len, 2);
    assert_null(client.sigalgs.base);
    assert_int_equal(flow_tls_sni_client_read(msg, len - 1, &client, &err),
                     FLOW_E_PROTO);
    assert_int_equal(err.alert_sent, 50);
}

/* --- memory, threads --- */

static void
failing_memory_leaves_nothing(void **state)
{
    char lines[][80] = { "policy strict",
                         "entry a default alpn=h2,x : a.test *.a.test @cert",
                         "cert p256 a.test *.a.test",
                         "cert rsa a.test *.a.test",
                         "entry b require=acme-tls/1 : b.test !c.b.test",
                         "cert p384 b.test" };
    struct model m;
    struct flow_tls_sni *s;
    struct flow_error err;
    enum flow_status st = FLOW_E_NOMEM;
    size_t failed = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(lines); i++)
        table_read(&m, lines[i]);
    test_env_reset();
    for (size_t n = 1; st != FLOW_OK; n++) {
        test_env_fail(n, false);
        st = table_make(TEST_ENV, &m, &s, &err);
        test_env_fail(0, false);
        if (st == FLOW_OK)
            break;
        assert_int_equal(st, FLOW_E_NOMEM);
        assert_int_equal(err.status, FLOW_E_NOMEM);
        assert_int_equal(test_env.live, 0);
        assert_int_equal(test_env.bytes, 0);
        failed++;
    }
    assert_true(failed > 20);
    flow_tls_sni_unref(s);
    assert_int_equal(test_env.live, 0);
    assert_int_equal(test_env.bytes, 0);
}

struct shared {
    struct model m;
    struct flow_tls_sni *s;
};

static void *
ask_often(void *arg)
{
    struct shared *shared = arg;
    uint64_t seed = 7;

    for (unsigned i = 0; i < 2000; i++) {
        struct flow_tls_sni *mine = flow_tls_sni_ref(shared->s);
        struct model_client c;
        char got[256];

        assert_int_equal(flow_tls_sni_freeze(mine, NULL), FLOW_OK);
        random_client(&c, &seed);
        ask(&shared->m, mine, &c, got, sizeof(got));
        flow_tls_sni_unref(mine);
    }
    return NULL;
}

static void
threads_share_a_snapshot(void **state)
{
    struct shared shared;
    pthread_t thread[8];
    uint64_t seed = 3;
    struct flow_error err;

    (void)state;
    for (;;) {
        random_model(&shared.m, &seed);
        assert_int_equal(table_make(NULL, &shared.m, &shared.s, &err), FLOW_OK);
        if (shared.m.entry_count > 3 &&
            flow_tls_sni_freeze(shared.s, &err) == FLOW_OK)
            break;
        flow_tls_sni_unref(shared.s);
    }
    /* Not frozen yet: the threads do it. */
    flow_tls_sni_unref(shared.s);
    assert_int_equal(table_make(NULL, &shared.m, &shared.s, &err), FLOW_OK);
    for (size_t i = 0; i < COUNT(thread); i++)
        assert_int_equal(pthread_create(&thread[i], NULL, ask_often, &shared),
                         0);
    for (size_t i = 0; i < COUNT(thread); i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    flow_tls_sni_unref(shared.s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cases_of_the_table),
        cmocka_unit_test(random_selectors_agree_with_the_model),
        cmocka_unit_test(every_problem_is_reported),
        cmocka_unit_test(entries_are_checked),
        cmocka_unit_test(policies_that_need_compat),
        cmocka_unit_test(time_decides_unless_it_is_unknown),
        cmocka_unit_test(a_snapshot_does_not_change),
        cmocka_unit_test(an_entry_covers_its_names),
        cmocka_unit_test(a_client_hello_is_read),
        cmocka_unit_test(failing_memory_leaves_nothing),
        cmocka_unit_test(threads_share_a_snapshot),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
