/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include "pki.h"
#include "remote.h"
#include "stacks.h"
#include "test.h"

/*
 * Every preset of the selector, with openssl s_client and gnutls-cli as the
 * clients: which entry serves each name, or which alert the tool reports.
 */

#define NAMES 7

/* What a client asks for, in the order of the columns below. */
static const struct {
    const char *name; /* NULL: none */
    bool rsa_only;
} asked[NAMES] = {
    { "server.example", false },   { "second.example", false },
    { "www.wild.example", false }, { "a.b.wild.example", false },
    { "unknown.example", false },  { NULL, false },
    { "second.example", true },
};

static const struct {
    const char *name;
    enum flow_tls_sni_preset preset;
    const char *main; /* patterns of the entries, NULL: none */
    const char *wild;
    const char *answer[NAMES]; /* an entry, or the number of an alert */
} rows[] = {
    { "standard",
      FLOW_TLS_SNI_STANDARD,
      "@cert",
      "@cert",
      { "main", "second", "wild", "main", "main", "main", "40" } },
    { "strict",
      FLOW_TLS_SNI_STRICT,
      "@cert",
      "@cert",
      { "main", "second", "wild", "112", "112", "main", "40" } },
    { "nginx",
      FLOW_TLS_SNI_NGINX,
      "server.example",
      "**.wild.example",
      { "main", "second", "wild", "wild", "main", "main", "40" } },
    { "libtls",
      FLOW_TLS_SNI_LIBTLS,
      "@cert",
      "@cert",
      { "main", "second", "wild", "main", "main", "main", "40" } },
    { "HAProxy strict-sni",
      FLOW_TLS_SNI_HAPROXY_STRICT,
      "@cert",
      "@cert",
      { "main", "second", "wild", "112", "112", "109", "40" } },
    { "ocaml-tls Single",
      FLOW_TLS_SNI_OCAML_SINGLE,
      "*",
      NULL,
      { "main", "main", "main", "main", "main", "main", "main" } },
    { "ocaml-tls Multiple",
      FLOW_TLS_SNI_COMPAT_OCAML_MULTIPLE,
      "@cert",
      "@cert",
      { "main", "second", "wild", "main", "main", "main", "main" } },
    { "ocaml-tls Multiple_default",
      FLOW_TLS_SNI_COMPAT_OCAML_MULTIPLE_DEFAULT,
      NULL,
      "@cert",
      { "main", "second", "wild", "main", "main", "main", "main" } },
};

static void
add(struct flow_tls_sni *s, const char *id, const char *pattern, uint32_t flags,
    const char *const files[])
{
    const struct flow_tls_sni_entry entry = {
        .id = id,
        .patterns = &pattern,
        .pattern_count = pattern != NULL ? 1 : 0,
        .flags = flags,
    };
    char chain[64], key[64];
    size_t index;

    assert_status(flow_tls_sni_add_entry(s, &entry, &index, NULL), FLOW_OK);
    for (; *files != NULL; files++) {
        snprintf(chain, sizeof(chain), "%s.pem", *files);
        snprintf(key, sizeof(key), "%s.key", *files);
        assert_status(flow_tls_sni_add_keypair_file(s, index, pki(chain),
                                                    pki(key), NULL, NULL, NULL),
                      FLOW_OK);
    }
}

static void
serve_preset(size_t row)
{
    struct flow_tls_sni_policy policy;
    struct flow_tls_sni *s;

    flow_tls_sni_preset(rows[row].preset, &policy);
    assert_status(flow_tls_sni_new(TEST_ENV, &s, NULL), FLOW_OK);
    assert_status(flow_tls_sni_set_policy(s, &policy), FLOW_OK);
    add(s, "main", rows[row].main, FLOW_TLS_SNI_IS_DEFAULT,
        (const char *const[]){ "p256", "rsa", NULL });
    if (rows[row].wild != NULL) {
        add(s, "second", "@cert", 0, (const char *const[]){ "second", NULL });
        add(s, "wild", rows[row].wild, 0,
            (const char *const[]){ "wildcard", NULL });
    }
    serve_names(s);
    flow_tls_sni_unref(s);
}

static void
start_openssl(size_t column)
{
    const char *argv[ARGS] = { "openssl", "s_client", "-quiet", "-connect",
                               remote.address };
    size_t n = 5;

    argv[n++] = asked[column].name != NULL ? "-servername" : "-noservername";
    if (asked[column].name != NULL)
        argv[n++] = asked[column].name;
    if (asked[column].rsa_only) {
        argv[n++] = "-sigalgs";
        argv[n++] = "rsa_pss_rsae_sha256";
    }
    child_start(&remote.child, NULL, argv);
}

static void
start_gnutls(size_t column)
{
    static char sni[80];
    const char *argv[ARGS] = { "gnutls-cli", "--port", remote.port,
                               "--no-ca-verification", "--priority" };
    size_t n = 5;

    snprintf(sni, sizeof(sni), "--sni-hostname=%s",
             asked[column].name != NULL ? asked[column].name : "");
    argv[n++] = asked[column].rsa_only
                    ? "NORMAL:-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256"
                    : "NORMAL";
    argv[n++] = asked[column].name != NULL ? sni : "--disable-sni";
    argv[n++] = "127.0.0.1";
    child_start(&remote.child, NULL, argv);
}

/* Our side says which entry serves; the tool prints the alert between these
 * words. */
static void
check_answer(const char *answer, const char *before, const char *after)
{
    enum flow_status st = accept_tls();
    struct flow_tls_info info;
    struct flow_error err;
    char text[64];

    if (answer[0] > '9') {
        must_open(st);
        assert_status(flow_tls_get_info(remote.tls, &info), FLOW_OK);
        assert_string_equal(info.entry, answer);
        say_bye("pong\n");
        assert_true(child_expect(&remote.child, "pong"));
    } else {
        assert_status(st, FLOW_E_PROTO);
        flow_get_error(remote.tls, FLOW_READ, &err);
        snprintf(text, sizeof(text), "%d", err.alert_sent);
        assert_string_equal(text, answer);
        snprintf(text, sizeof(text), "%s%s%s", before, answer, after);
    }
    flow_close(remote.tls);
    remote.tls = NULL;
    if (answer[0] <= '9' && !child_expect(&remote.child, text))
        fail_msg("no \"%s\" in: %s", text, remote.child.text);
    child_kill(&remote.child);
}

static void
every_preset(void (*start)(size_t column), const char *before,
             const char *after)
{
    char name[160];

    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        serve_preset(row);
        for (size_t i = 0; i < NAMES; i++) {
            snprintf(name, sizeof(name), "%s, %s%s", rows[row].name,
                     asked[i].name != NULL ? asked[i].name : "no name",
                     asked[i].rsa_only ? ", RSA only" : "");
            guard_case(name);
            start(i);
            check_answer(rows[row].answer[i], before, after);
        }
        end();
    }
    guard_case(NULL);
}

static void
openssl_gets_what_every_preset_says(void **state)
{
    (void)state;
    if (!need("openssl"))
        skip();
    every_preset(start_openssl, "SSL alert number ", "");
}

static void
gnutls_gets_what_every_preset_says(void **state)
{
    (void)state;
    if (!need("gnutls-cli"))
        skip();
    every_preset(start_gnutls, "[", "]");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(openssl_gets_what_every_preset_says),
        TEST(gnutls_gets_what_every_preset_says),
    };

    return TEST_RUN(tests);
}
