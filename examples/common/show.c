/* SPDX-License-Identifier: ISC */
#include "show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#ifdef CLI_JSON
#include <jansson.h>
#endif

#include <flow/tls.h>

#include "cli.h"

/*
 * On stderr, because stdout has what the peer sends.  The texts of certificates
 * are printable ASCII: flow_tls_get_facts() replaces all else.  A protocol name
 * is text of the peer too, and is made printable here.
 */

#define SHOW_TIME_MAX 32
#define SHOW_HEX_MAX  65

bool
show_take(const char *value, enum show *ret)
{
    if (value == NULL || strcmp(value, "text") == 0) {
        *ret = SHOW_TEXT;
        return true;
    }
    if (strcmp(value, "json") != 0) {
        (void)cli_usage("--show: expected text or json, got '%s'", value);
        return false;
    }
#ifdef CLI_JSON
    *ret = SHOW_JSON;
    return true;
#else
    (void)cli_usage("--show=json: this build has no JSON library; build "
                    "libflow with jansson");
    return false;
#endif
}

static const char *
show_version(enum flow_tls_version version)
{
    return version == FLOW_TLS_1_3 ? "TLSv1.3" : "TLSv1.2";
}

static const char *
show_printable(const char *text, char *buf, size_t cap)
{
    size_t i;

    for (i = 0; text[i] != '\0' && i + 1 < cap; i++)
        buf[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
    buf[i] = '\0';
    return buf;
}

static const char *
show_time(int64_t seconds, char buf[SHOW_TIME_MAX])
{
    time_t t = (time_t)seconds;
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL ||
        strftime(buf, SHOW_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(buf, SHOW_TIME_MAX, "%lld", (long long)seconds);
    return buf;
}

static const char *
show_hex(const uint8_t sha256[32], char buf[SHOW_HEX_MAX])
{
    for (size_t i = 0; i < 32; i++)
        snprintf(buf + 2 * i, 3, "%02x", sha256[i]);
    return buf;
}

static const char *
show_kind(enum flow_tls_name_kind kind)
{
    static const char *const names[] = {
        "other", "email", "DNS", "X400", "directory", "EDI", "URI", "IP", "ID",
    };

    return (size_t)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}

/* Why the peer is not verified. */
static const struct {
    uint32_t flag;
    const char *name;
} show_flags[] = {
    { FLOW_VERIFY_NOT_CHECKED, "not checked" },
    { FLOW_VERIFY_EXPIRED, "expired" },
    { FLOW_VERIFY_FUTURE, "not yet valid" },
    { FLOW_VERIFY_NOT_TRUSTED, "not trusted" },
    { FLOW_VERIFY_NAME, "for other names" },
    { FLOW_VERIFY_REVOKED, "revoked" },
    { FLOW_VERIFY_USAGE, "for another use" },
    { FLOW_VERIFY_WEAK, "too weak" },
    { FLOW_VERIFY_MISSING, "missing" },
    { FLOW_VERIFY_CONSTRAINT, "constraint violated" },
    { FLOW_VERIFY_PIN, "not pinned" },
    { FLOW_VERIFY_OTHER, "other" },
};

#define SHOW_FLAGS (sizeof(show_flags) / sizeof(show_flags[0]))

/* --- text --- */

static void
show_text_names(struct flow_tls_der names)
{
    enum flow_tls_name_kind kind;
    char text[FLOW_TLS_TEXT_MAX];

    while (flow_tls_next_name(&names, &kind, text, sizeof(text)) == FLOW_OK)
        fprintf(stderr, "  name         %s %s\n", show_kind(kind), text);
}

static void
show_text_cert(const struct flow_tls_facts *facts, size_t i)
{
    char from[SHOW_TIME_MAX], until[SHOW_TIME_MAX], hex[SHOW_HEX_MAX];

    fprintf(stderr, "certificate %zu\n", i);
    fprintf(stderr, "  subject      %s\n", facts->subject);
    fprintf(stderr, "  issuer       %s\n", facts->issuer);
    show_text_names(facts->names);
    fprintf(stderr, "  valid        %s to %s\n",
            show_time(facts->not_before, from),
            show_time(facts->not_after, until));
    fprintf(stderr, "  key          %s, %u bits\n", facts->key,
            facts->key_bits);
    fprintf(stderr, "  serial       %s\n", facts->serial);
    fprintf(stderr, "  SHA-256      %s\n", show_hex(facts->fingerprint, hex));
    fprintf(stderr, "  pin          %s\n", show_hex(facts->pin, hex));
}

static void
show_text(const struct flow_tls_info *info)
{
    struct flow_tls_der chain = { info->peer_chain, info->peer_chain_len };
    struct flow_tls_facts facts;
    struct flow_tls_der cert;
    char alpn[256];

    fprintf(stderr, "%s %s %s, ALPN %s, %s\n", show_version(info->version),
            info->suite_name, info->group_name,
            info->alpn[0] != '\0'
                ? show_printable(info->alpn, alpn, sizeof(alpn))
                : "none",
            info->resumed ? "resumed session" : "new session");
    fprintf(stderr, "peer %s", info->verified ? "verified" : "NOT VERIFIED");
    for (size_t i = 0; i < SHOW_FLAGS; i++)
        if ((info->verify_flags & show_flags[i].flag) != 0)
            fprintf(stderr, ", %s", show_flags[i].name);
    fprintf(stderr, "; requested name %s, certificate's name %s\n",
            info->server_name[0] != '\0' ? info->server_name : "none",
            info->matched_name[0] != '\0' ? info->matched_name : "none");
    for (size_t i = 0; flow_tls_next_cert(&chain, &cert) == FLOW_OK; i++)
        if (flow_tls_get_facts(&cert, &facts) == FLOW_OK)
            show_text_cert(&facts, i);
}

/* --- JSON --- */

#ifdef CLI_JSON
static json_t *
show_json_names(struct flow_tls_der names)
{
    json_t *list = json_array();
    enum flow_tls_name_kind kind;
    char text[FLOW_TLS_TEXT_MAX];

    while (flow_tls_next_name(&names, &kind, text, sizeof(text)) == FLOW_OK)
        json_array_append_new(list, json_pack("{s:s, s:s}", "kind",
                                              show_kind(kind), "value", text));
    return list;
}

static json_t *
show_json_cert(const struct flow_tls_facts *facts)
{
    char from[SHOW_TIME_MAX], until[SHOW_TIME_MAX];
    char hash[SHOW_HEX_MAX], pin[SHOW_HEX_MAX];

    return json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:i, s:s, s:b, s:s, s:s}",
                     "subject", facts->subject, "issuer", facts->issuer,
                     "names", show_json_names(facts->names), "not_before",
                     show_time(facts->not_before, from), "not_after",
                     show_time(facts->not_after, until), "key", facts->key,
                     "key_bits", (int)facts->key_bits, "serial", facts->serial,
                     "ca", facts->is_ca, "sha256",
                     show_hex(facts->fingerprint, hash), "pin_sha256",
                     show_hex(facts->pin, pin));
}

static json_t *
show_json_chain(const struct flow_tls_info *info)
{
    struct flow_tls_der chain = { info->peer_chain, info->peer_chain_len };
    struct flow_tls_facts facts;
    json_t *list = json_array();
    struct flow_tls_der cert;

    while (flow_tls_next_cert(&chain, &cert) == FLOW_OK)
        if (flow_tls_get_facts(&cert, &facts) == FLOW_OK)
            json_array_append_new(list, show_json_cert(&facts));
    return list;
}

static void
show_json(const struct flow_tls_info *info)
{
    json_t *why = json_array(), *root;
    char alpn[256];

    for (size_t i = 0; i < SHOW_FLAGS; i++)
        if ((info->verify_flags & show_flags[i].flag) != 0)
            json_array_append_new(why, json_string(show_flags[i].name));
    root = json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:b, s:o, s:o}",
                     "version", show_version(info->version), "suite",
                     info->suite_name, "group", info->group_name, "alpn",
                     show_printable(info->alpn, alpn, sizeof(alpn)), "resumed",
                     info->resumed, "server_name", info->server_name,
                     "matched_name", info->matched_name, "verified",
                     info->verified, "not_verified", why, "certificates",
                     show_json_chain(info));
    if (root == NULL || json_dumpf(root, stderr, JSON_INDENT(2)) != 0)
        cli_complain("out of memory");
    fputc('\n', stderr);
    json_decref(root);
}
#endif

void
show_flow(struct flow *f, enum show how)
{
    struct flow_tls_info info;

    if (how == SHOW_NOTHING || flow_tls_get_info(f, &info) != FLOW_OK)
        return;
#ifdef CLI_JSON
    if (how == SHOW_JSON) {
        show_json(&info);
        return;
    }
#endif
    show_text(&info);
}
