/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef CLI_JSON
#include <jansson.h>
#endif

#include <flow/tls_sni.h>
#include <flow/version.h>

#include "../common/certs.h"
#include "../common/site_options.h"

/*
 * Says which certificate flow-site would serve to a client, and why, by the
 * selector that flow-site makes of the same options.
 */

static const char help_text[] =
    "usage: flow-sni explain --cert FILE --key FILE [OPTION...] NAME\n"
    "\n"
    "Prints which certificate flow-site would serve to a client that requests\n"
    "NAME, and why it would not serve the others.  NAME is \"\" for a client "
    "that\n"
    "sends no name.\n"
    "\n"
    "  --cert FILE --key FILE   certificate chain and private key, PEM; repeat "
    "the\n"
    "                           pair for more names or key types\n"
    "  --certs DIR              every certificate in DIR, as flow-site\n"
    "  --passphrase-file FILE   first line: passphrase of encrypted keys\n"
    "  --alpn LIST              protocols that the client offers, "
    "comma-separated\n"
    "                           (default: none)\n"
    "  --sigalgs LIST           signature algorithms that the client offers,\n"
    "                           comma-separated names of RFC 8446 (default: "
    "all\n"
    "                           that libflow supports)\n"
    "  --tls1.2, --tls1.3       the client offers this version only\n"
    "  --json                   print the result as JSON\n"
    "  -h, --help               print this text\n"
    "  --version                print the version\n"
    "\n"
    "The other options of flow-site are accepted and have no effect, so that "
    "a\n"
    "command line of flow-site can be used as it is.\n"
    "\n"
    "Exit codes: 0 served, 1 refused or failure, 2 usage error.\n";

#define SIGALGS_MAX   32
#define PROTOCOLS_MAX 512

enum { OPT_ALPN = 256, OPT_SIGALGS, OPT_TLS_1_2, OPT_TLS_1_3, OPT_JSON };

static const struct option own_options[] = {
    { "alpn", required_argument, NULL, OPT_ALPN },
    { "sigalgs", required_argument, NULL, OPT_SIGALGS },
    { "tls1.2", no_argument, NULL, OPT_TLS_1_2 },
    { "tls1.3", no_argument, NULL, OPT_TLS_1_3 },
    { "json", no_argument, NULL, OPT_JSON },
};

#define OWN_OPTIONS (sizeof(own_options) / sizeof(own_options[0]))

/* RFC 8446 4.2.3 */
static const struct {
    const char *name;
    uint16_t number;
} sigalg_names[] = {
    { "ecdsa_secp256r1_sha256", 0x0403 },
    { "ecdsa_secp384r1_sha384", 0x0503 },
    { "ecdsa_secp521r1_sha512", 0x0603 },
    { "rsa_pss_rsae_sha256", 0x0804 },
    { "rsa_pss_rsae_sha384", 0x0805 },
    { "rsa_pss_rsae_sha512", 0x0806 },
    { "rsa_pkcs1_sha256", 0x0401 },
    { "rsa_pkcs1_sha384", 0x0501 },
    { "rsa_pkcs1_sha512", 0x0601 },
    { "rsa_pkcs1_sha1", 0x0201 },
    { "ecdsa_sha1", 0x0203 },
    { "ed25519", 0x0807 },
    { "ed448", 0x0808 },
    { "rsa_pss_pss_sha256", 0x0809 },
    { "rsa_pss_pss_sha384", 0x080a },
    { "rsa_pss_pss_sha512", 0x080b },
};

/* Those of the table that libflow has come first. */
#define SIGALGS_KNOWN     (sizeof(sigalg_names) / sizeof(sigalg_names[0]))
#define SIGALGS_SUPPORTED 9

struct options {
    struct certs_places places;
    enum flow_tls_version only; /* 0: both */
    uint8_t sigalgs[2 * SIGALGS_MAX];
    size_t sigalgs_len;
    uint8_t alpn[PROTOCOLS_MAX];
    size_t alpn_len;
    bool json;
};

/* --- options --- */

static bool
sni_add_sigalg(struct options *o, uint16_t number)
{
    if (o->sigalgs_len + 2 > sizeof(o->sigalgs))
        return false;
    o->sigalgs[o->sigalgs_len++] = (uint8_t)(number >> 8);
    o->sigalgs[o->sigalgs_len++] = (uint8_t)number;
    return true;
}

static void
sni_add_supported(struct options *o)
{
    for (size_t i = 0; i < SIGALGS_SUPPORTED; i++)
        (void)sni_add_sigalg(o, sigalg_names[i].number);
}

static bool
sni_take_sigalg(struct options *o, const char *name, size_t len)
{
    for (size_t i = 0; i < SIGALGS_KNOWN; i++)
        if (strlen(sigalg_names[i].name) == len &&
            memcmp(sigalg_names[i].name, name, len) == 0)
            return sni_add_sigalg(o, sigalg_names[i].number);
    return false;
}

static bool
sni_take_protocol(struct options *o, const char *name, size_t len)
{
    if (len == 0 || len > 255 || o->alpn_len + 1 + len > sizeof(o->alpn))
        return false;
    o->alpn[o->alpn_len++] = (uint8_t)len;
    memcpy(o->alpn + o->alpn_len, name, len);
    o->alpn_len += len;
    return true;
}

/* Each word of a comma-separated list. */
static bool
sni_take_list(struct options *o, const char *list,
              bool (*take)(struct options *, const char *, size_t))
{
    for (;;) {
        size_t len = strcspn(list, ",");

        if (!take(o, list, len))
            return false;
        if (list[len] == '\0')
            return true;
        list += len + 1;
    }
}

static int
sni_only(struct options *o, enum flow_tls_version version)
{
    if (o->only != 0 && o->only != version)
        return cli_usage("--tls1.2 and --tls1.3 exclude each other; without "
                         "either both are offered");
    o->only = version;
    return -1;
}

/* An exit code, or -1 to go on. */
static int
sni_take_option(int option, const char *value, struct options *o)
{
    switch (option) {
    case SITE_OPT_CERT:
        return cli_add_cert(&o->places.pairs, value) ? -1 : CLI_USAGE;
    case SITE_OPT_KEY:
        return cli_add_key(&o->places.pairs, value) ? -1 : CLI_USAGE;
    case SITE_OPT_CERTS:
        return certs_add_directory(&o->places, value) ? -1 : CLI_USAGE;
    case SITE_OPT_PASSPHRASE_FILE:
        o->places.pairs.passphrase_file = value;
        return -1;
    case OPT_ALPN:
        if (sni_take_list(o, value, sni_take_protocol))
            return -1;
        return cli_usage("--alpn: '%s' is not a list of protocol names", value);
    case OPT_SIGALGS:
        if (sni_take_list(o, value, sni_take_sigalg))
            return -1;
        return cli_usage("--sigalgs: '%s' is not a list of signature "
                         "algorithms, such as rsa_pss_rsae_sha256",
                         value);
    case OPT_TLS_1_2:
        return sni_only(o, FLOW_TLS_1_2);
    case OPT_TLS_1_3:
        return sni_only(o, FLOW_TLS_1_3);
    case OPT_JSON:
#ifdef CLI_JSON
        o->json = true;
        return -1;
#else
        return cli_usage("--json: this build has no JSON library; build "
                         "libflow with jansson");
#endif
    case 'h':
        fputs(help_text, stdout);
        return cli_close_stdout(CLI_OK);
    case SITE_OPT_VERSION:
        printf("flow-sni %s\n", flow_version());
        return cli_close_stdout(CLI_OK);
    case '?':
        fprintf(stderr, "Try 'flow-sni --help'.\n");
        return CLI_USAGE;
    default: /* of flow-site, without effect here */
        return -1;
    }
}

/* --- the selector and the client --- */

/* A client that offers what libflow's own does, but for the options. */
static void
sni_fill_client(const struct options *o, const char *name,
                struct flow_tls_sni_client *client)
{
    static const uint8_t versions[] = { 3, 4, 3, 3 };
    static const uint8_t suites[] = { 0x13, 1,    0x13, 2,    0x13, 3,
                                      0xc0, 0x2b, 0xc0, 0x2c, 0xcc, 0xa9,
                                      0xc0, 0x2f, 0xc0, 0x30, 0xcc, 0xa8 };
    static const uint8_t groups[] = { 0, 0x1d, 0, 0x17, 0, 0x18, 0, 0x19 };
    const size_t first = o->only == FLOW_TLS_1_2 ? 2 : 0;

    memset(client, 0, sizeof(*client));
    flow_tls_sni_client_set_name(client, name[0] != '\0' ? name : NULL);
    client->legacy_version = FLOW_TLS_1_2;
    client->versions.base = versions + first;
    client->versions.len = o->only == 0 ? 4 : 2;
    client->suites.base = suites;
    client->suites.len = sizeof(suites);
    client->groups.base = groups;
    client->groups.len = sizeof(groups);
    client->sigalgs.base = o->sigalgs;
    client->sigalgs.len = o->sigalgs_len;
    if (o->alpn_len > 0) {
        client->alpn.base = o->alpn;
        client->alpn.len = o->alpn_len;
    }
}

/* What flow-site negotiates. */
static struct flow_tls_sni_terms
sni_terms(void)
{
    static const char *const alpn[] = { "http/1.1" };
    const struct flow_tls_sni_terms terms = {
        .min_version = FLOW_TLS_1_2,
        .max_version = FLOW_TLS_1_3,
        .alpn = alpn,
        .alpn_count = 1,
        .now = (int64_t)time(NULL),
        .answer = FLOW_TLS_SNI_NOT_ASKED,
    };

    return terms;
}

/* --- the result --- */

/* The file of an entry, whose id begins with the certificate's number. */
static const char *
sni_chain(const struct certs *certs, const struct flow_tls_sni *s, size_t entry)
{
    size_t i = strtoul(flow_tls_sni_entry_id(s, entry), NULL, 10);

    return i > 0 && i <= certs->count ? certs->item[i - 1].chain : "?";
}

static const char *
sni_key(enum flow_tls_key key)
{
    static const char *const names[] = {
        [FLOW_TLS_KEY_P256] = "P-256",
        [FLOW_TLS_KEY_P384] = "P-384",
        [FLOW_TLS_KEY_P521] = "P-521",
        [FLOW_TLS_KEY_RSA] = "RSA",
    };

    return names[key];
}

static const char *
sni_kind(enum flow_tls_sni_kind kind)
{
    static const char *const names[] = {
        [FLOW_TLS_SNI_EXACT] = "an exact name",
        [FLOW_TLS_SNI_WILDCARD] = "a wildcard",
        [FLOW_TLS_SNI_SUFFIX] = "a suffix",
        [FLOW_TLS_SNI_TRAILING] = "a trailing wildcard",
        [FLOW_TLS_SNI_CALLBACK] = "the callback",
        [FLOW_TLS_SNI_CATCH_ALL] = "the catch-all",
        [FLOW_TLS_SNI_DEFAULT] = "the default for unknown names",
        [FLOW_TLS_SNI_FIRST] = "the first that is usable",
        [FLOW_TLS_SNI_NO_NAME] = "the default for clients without a name",
    };

    return names[kind];
}

static const char *
sni_version(enum flow_tls_version version)
{
    return version == FLOW_TLS_1_3 ? "TLSv1.3" : "TLSv1.2";
}

static void
sni_print_decision(const struct certs *certs, const struct flow_tls_sni *s,
                   const struct flow_tls_sni_decision *d)
{
    if (d->outcome != FLOW_TLS_SNI_SERVED) {
        printf("refused: %s (alert %s)\n", d->text,
               d->alert >= 0 ? flow_alert_name(d->alert) : "none");
        return;
    }
    printf("served: %s, by %s%s%s, %s, ALPN %s%s\n",
           sni_chain(certs, s, d->entry), sni_kind(d->kind),
           d->pattern[0] != '\0' ? " " : "", d->pattern,
           sni_version(d->version), d->alpn[0] != '\0' ? d->alpn : "none",
           d->outside_validity ? ", not valid at this time" : "");
}

static void
sni_print_text(const struct certs *certs, const struct flow_tls_sni *s,
               const struct flow_tls_sni_client *client,
               const struct flow_tls_sni_decision *d)
{
    const struct flow_tls_sni_terms terms = sni_terms();
    struct flow_tls_sni_verdict v;

    sni_print_decision(certs, s, d);
    for (size_t i = 0;
         flow_tls_sni_explain(s, client, &terms, d, i, &v) == FLOW_OK; i++)
        printf("  %s (%s%s%s): %s\n", sni_chain(certs, s, v.entry),
               sni_key(v.key), v.pattern[0] != '\0' ? ", " : "", v.pattern,
               v.text);
}

#ifdef CLI_JSON
static json_t *
sni_json_verdicts(const struct certs *certs, const struct flow_tls_sni *s,
                  const struct flow_tls_sni_client *client,
                  const struct flow_tls_sni_decision *d)
{
    const struct flow_tls_sni_terms terms = sni_terms();
    json_t *list = json_array();
    struct flow_tls_sni_verdict v;

    for (size_t i = 0;
         flow_tls_sni_explain(s, client, &terms, d, i, &v) == FLOW_OK; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:s, s:b}", "cert",
                            sni_chain(certs, s, v.entry), "key", sni_key(v.key),
                            "pattern", v.pattern, "text", v.text, "chosen",
                            v.reason == FLOW_TLS_SNI_CHOSEN));
    return list;
}

static void
sni_print_json(const struct certs *certs, const struct flow_tls_sni *s,
               const struct flow_tls_sni_client *client,
               const struct flow_tls_sni_decision *d)
{
    const bool served = d->outcome == FLOW_TLS_SNI_SERVED;
    json_t *root = json_pack("{s:b, s:o}", "served", served, "certificates",
                             sni_json_verdicts(certs, s, client, d));
    json_t *more =
        served ? json_pack("{s:s, s:s, s:s, s:s, s:s}", "cert",
                           sni_chain(certs, s, d->entry), "by",
                           sni_kind(d->kind), "pattern", d->pattern, "version",
                           sni_version(d->version), "alpn", d->alpn)
               : json_pack("{s:s, s:s}", "text", d->text, "alert",
                           d->alert >= 0 ? flow_alert_name(d->alert) : "none");

    if (root == NULL || more == NULL || json_object_update(root, more) != 0 ||
        json_dumpf(root, stdout, JSON_INDENT(2)) != 0)
        cli_complain("cannot print the result: a text is not UTF-8, or there "
                     "is no memory");
    putchar('\n');
    json_decref(more);
    json_decref(root);
}
#endif

static int
sni_explain(const struct options *o, const char *name)
{
    const struct flow_tls_sni_terms terms = sni_terms();
    struct flow_tls_sni_client client;
    struct flow_tls_sni_decision d;
    struct flow_tls_sni *s;
    struct certs certs;
    enum flow_status st;
    int code = certs_load(&o->places, NULL, &certs, &s);

    if (code != CLI_OK) {
        certs_fini(&certs);
        return code;
    }
    sni_fill_client(o, name, &client);
    st = flow_tls_sni_select(s, &client, &terms, &d);
    if (st != FLOW_OK) {
        cli_complain("cannot decide: %s", flow_status_text(st));
        certs_fini(&certs);
        flow_tls_sni_unref(s);
        return CLI_FAILED;
    }
#ifdef CLI_JSON
    if (o->json)
        sni_print_json(&certs, s, &client, &d);
    else
#endif
        sni_print_text(&certs, s, &client, &d);
    certs_fini(&certs);
    flow_tls_sni_unref(s);
    return cli_close_stdout(d.outcome == FLOW_TLS_SNI_SERVED ? CLI_OK
                                                             : CLI_FAILED);
}

int
main(int argc, char **argv)
{
    struct option all_options[OWN_OPTIONS + SITE_OPTION_COUNT + 1];
    struct options o = { .only = 0 };
    int option, code = -1;

    cli_start("flow-sni");
    memcpy(all_options, own_options, sizeof(own_options));
    memcpy(all_options + OWN_OPTIONS, site_options, sizeof(site_options));
    while (code < 0 &&
           (option = getopt_long(argc, argv, "h", all_options, NULL)) != -1)
        code = sni_take_option(option, optarg, &o);
    if (code >= 0)
        return code;
    if (optind == argc || strcmp(argv[optind], "explain") != 0)
        return cli_usage("expected 'flow-sni explain'");
    if (optind + 2 != argc)
        return cli_usage(optind + 1 == argc ? "NAME is missing"
                                            : "more than one NAME");
    if (o.sigalgs_len == 0)
        sni_add_supported(&o);
    return sni_explain(&o, argv[optind + 1]);
}
