/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include <flow/tls_sni.h>

/*
 * Shows which certificate a client would get, and why: names NAME [PROTOCOL].
 *
 * The selector is that of a shop whose wildcard has only an RSA key, with a
 * strict policy.  No keys are needed to ask it.
 */

static void
names_report(void *user, const struct flow_error *problem)
{
    (void)user;
    fprintf(stderr, "names: %s (%s)\n", problem->text, problem->detail);
}

static enum flow_status
names_add_shop(struct flow_tls_sni *s, struct flow_error *err)
{
    static const char *const shop[] = { "shop.example", "www.shop.example" };
    static const char *const rest[] = { "*.shop.example", "!old.shop.example" };
    static const char *const alpn[] = { "h2", "http/1.1" };
    const struct flow_tls_sni_entry entry[] = {
        { .id = "shop",
          .patterns = shop,
          .pattern_count = 2,
          .flags = FLOW_TLS_SNI_IS_DEFAULT,
          .alpn = alpn,
          .alpn_count = 2 },
        { .id = "rest",
          .patterns = rest,
          .pattern_count = 2,
          .max_version = FLOW_TLS_1_2 },
    };
    const struct flow_tls_sni_identity certificate[] = {
        { .key = FLOW_TLS_KEY_P256, .names = shop, .name_count = 2 },
        { .key = FLOW_TLS_KEY_RSA, .names = rest, .name_count = 1 },
    };
    enum flow_status st = FLOW_OK;
    size_t i, index;

    for (i = 0; i < 2 && st == FLOW_OK; i++) {
        st = flow_tls_sni_add_entry(s, &entry[i], &index, err);
        if (st == FLOW_OK)
            st = flow_tls_sni_add_identity(s, index, &certificate[i], err);
    }
    return st;
}

/* A client of today. */
static void
names_fill_client(struct flow_tls_sni_client *client, const char *name,
                  const char *protocol, uint8_t *alpn)
{
    static const uint8_t versions[] = { 0x03, 0x04, 0x03, 0x03 };
    static const uint8_t suites[] = { 0x13, 0x01, 0xc0, 0x2b, 0xc0, 0x2f };
    static const uint8_t sigalgs[] = { 0x04, 0x03, 0x08, 0x04, 0x04, 0x01 };

    memset(client, 0, sizeof(*client));
    flow_tls_sni_client_set_name(client, name);
    client->legacy_version = FLOW_TLS_1_2;
    client->versions = (struct flow_tls_sni_list){ versions, sizeof(versions) };
    client->suites = (struct flow_tls_sni_list){ suites, sizeof(suites) };
    client->sigalgs = (struct flow_tls_sni_list){ sigalgs, sizeof(sigalgs) };
    if (protocol != NULL) {
        alpn[0] = (uint8_t)strlen(protocol);
        memcpy(alpn + 1, protocol, alpn[0]);
        client->alpn = (struct flow_tls_sni_list){ alpn, 1u + alpn[0] };
    }
}

static void
names_explain(const struct flow_tls_sni *s,
              const struct flow_tls_sni_client *client)
{
    const struct flow_tls_sni_terms terms = {
        .min_version = FLOW_TLS_1_2,
        .max_version = FLOW_TLS_1_3,
        .now = -1,
        .answer = FLOW_TLS_SNI_NOT_ASKED,
    };
    struct flow_tls_sni_decision d;
    struct flow_tls_sni_verdict v;
    size_t i;

    if (flow_tls_sni_select(s, client, &terms, &d) != FLOW_OK)
        return;
    if (d.outcome == FLOW_TLS_SNI_SERVED)
        printf("served by entry %s, which matches as %s\n",
               flow_tls_sni_entry_id(s, d.entry), d.pattern);
    else
        printf("refused with alert %d: %s\n", d.alert, d.text);
    for (i = 0; flow_tls_sni_explain(s, client, &terms, &d, i, &v) == FLOW_OK;
         i++)
        printf("%s: %s\n", v.id, v.text);
}

int
main(int argc, char **argv)
{
    struct flow_tls_sni_policy strict;
    struct flow_tls_sni_client client;
    struct flow_tls_sni *s;
    struct flow_error err;
    uint8_t alpn[256];

    if (argc < 2 || argc > 3 || (argc > 2 && strlen(argv[2]) > 255)) {
        fprintf(stderr, "usage: names NAME [PROTOCOL]\n");
        return 2;
    }
    if (flow_tls_sni_new(NULL, &s, &err) != FLOW_OK)
        return 1;
    flow_tls_sni_preset(FLOW_TLS_SNI_STRICT, &strict);
    if (flow_tls_sni_set_report(s, names_report, NULL) != FLOW_OK ||
        flow_tls_sni_set_policy(s, &strict) != FLOW_OK ||
        names_add_shop(s, &err) != FLOW_OK ||
        flow_tls_sni_freeze(s, &err) != FLOW_OK)
        return 1;
    names_fill_client(&client, argv[1], argc > 2 ? argv[2] : NULL, alpn);
    names_explain(s, &client);
    flow_tls_sni_unref(s);
    return 0;
}
