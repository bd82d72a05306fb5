/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef CLI_JSON
#include <jansson.h>
#endif

#include <flow/tls.h>
#include <flow/tls_verify.h>
#include <flow/version.h>

#include "../common/cli.h"

/*
 * Verifies a chain of certificates without a connection.
 */

static const char help_text[] =
    "usage: flow-verify [OPTION...] FILE\n"
    "\n"
    "Verifies the certificates in FILE, in PEM or DER: the first is the one "
    "to\n"
    "be verified, and the others may come in any order.\n"
    "\n"
    "  --ca FILE                trust the certificates in this PEM file "
    "instead "
    "of\n"
    "                           the system's; may be repeated\n"
    "  --name NAME              the host name or IP address that it must be "
    "for\n"
    "  --client                 it is a client's, not a server's\n"
    "  --at TIME                verify as of this time: YYYY-MM-DD,\n"
    "                           YYYY-MM-DDTHH:MM:SSZ, or seconds since 1970\n"
    "  --crl FILE               use these revocation lists; may be repeated\n"
    "  --require-crl            every issuer must have a revocation list\n"
    "  --pin SHA256             a key of the chain must have this SHA-256, in\n"
    "                           hexadecimal; one of several if repeated\n"
    "  --min-rsa BITS           the shortest RSA key (default 2048)\n"
    "  --min-ec BITS            the smallest curve: 256, 384 or 521\n"
    "  --min-hash BITS          the shortest hash: 256, 384 or 512\n"
    "  --json                   print the result as JSON\n"
    "  -h, --help               print this text\n"
    "  --version                print the version\n"
    "\n"
    "Exit codes: 0 verified, 1 refused or failure, 2 usage error.\n";

#define FILE_BYTES_MAX (1u << 20)

enum {
    OPT_CA = 256,
    OPT_NAME,
    OPT_CLIENT,
    OPT_AT,
    OPT_CRL,
    OPT_REQUIRE_CRL,
    OPT_PIN,
    OPT_MIN_RSA,
    OPT_MIN_EC,
    OPT_MIN_HASH,
    OPT_JSON,
    OPT_VERSION
};

static const struct option long_options[] = {
    { "ca", required_argument, NULL, OPT_CA },
    { "name", required_argument, NULL, OPT_NAME },
    { "client", no_argument, NULL, OPT_CLIENT },
    { "at", required_argument, NULL, OPT_AT },
    { "crl", required_argument, NULL, OPT_CRL },
    { "require-crl", no_argument, NULL, OPT_REQUIRE_CRL },
    { "pin", required_argument, NULL, OPT_PIN },
    { "min-rsa", required_argument, NULL, OPT_MIN_RSA },
    { "min-ec", required_argument, NULL, OPT_MIN_EC },
    { "min-hash", required_argument, NULL, OPT_MIN_HASH },
    { "json", no_argument, NULL, OPT_JSON },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, OPT_VERSION },
    { NULL, 0, NULL, 0 },
};

struct options {
    struct flow_tls_verifier *verifier;
    struct flow_tls_verify_input input;
    bool trusts; /* --ca was given */
    bool json;
    unsigned long min_rsa;
    unsigned long min_ec;
    unsigned long min_hash;
};

/* --- options --- */

static bool
verify_take_pin(struct options *o, const char *text)
{
    uint8_t pin[32];
    size_t i;

    for (i = 0; i < sizeof(pin); i++) {
        char two[3] = { text[2 * i], text[2 * i] != '\0' ? text[2 * i + 1] : 0,
                        '\0' };

        if (strspn(two, "0123456789abcdefABCDEF") != 2)
            break;
        pin[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    if (i < sizeof(pin) || text[2 * i] != '\0') {
        (void)cli_usage("--pin: expected 64 hexadecimal digits, got '%s'",
                        text);
        return false;
    }
    if (flow_tls_verifier_add_pin(o->verifier, pin) == FLOW_OK)
        return true;
    cli_complain("no memory");
    return false;
}

/* By a format of strptime(), which accepts every day up to the 31st. */
static bool
verify_read_time(const char *text, const char *format, int64_t *ret)
{
    struct tm tm = { 0 }, normal;
    const char *end = strptime(text, format, &tm);

    if (end == NULL || *end != '\0')
        return false;
    normal = tm;
    *ret = (int64_t)timegm(&normal);
    return normal.tm_mday == tm.tm_mday && normal.tm_mon == tm.tm_mon;
}

static bool
verify_take_time(struct options *o, const char *text)
{
    if (verify_read_time(text, "%Y-%m-%dT%H:%M:%SZ", &o->input.time) ||
        verify_read_time(text, "%Y-%m-%d", &o->input.time))
        return true;
    if (text[0] != '\0' && strspn(text, "0123456789") == strlen(text) &&
        strlen(text) < 13) {
        o->input.time = (int64_t)strtoull(text, NULL, 10);
        return true;
    }
    (void)cli_usage("--at: '%s' is not a time", text);
    return false;
}

/* Trust, or revocation lists, of a file. */
static int
verify_take_file(struct options *o, int option, const char *path)
{
    struct flow_error err;
    enum flow_status st =
        option == OPT_CA
            ? flow_tls_verifier_add_trust_file(o->verifier, path, &err)
            : flow_tls_verifier_add_crl_file(o->verifier, path, &err);

    if (st == FLOW_OK) {
        o->trusts = o->trusts || option == OPT_CA;
        return -1;
    }
    cli_flow_error(option == OPT_CA ? "cannot load --ca" : "cannot load --crl",
                   &err);
    return CLI_FAILED;
}

/* An exit code, or -1 to go on. */
static int
verify_take_option(int option, const char *value, struct options *o)
{
    switch (option) {
    case OPT_CA:
    case OPT_CRL:
        return verify_take_file(o, option, value);
    case OPT_NAME:
        o->input.name = value;
        return -1;
    case OPT_CLIENT:
        o->input.purpose = FLOW_TLS_PURPOSE_CLIENT;
        return -1;
    case OPT_AT:
        return verify_take_time(o, value) ? -1 : CLI_USAGE;
    case OPT_REQUIRE_CRL:
        return flow_tls_verifier_require_crl(o->verifier, true) == FLOW_OK
                   ? -1
                   : CLI_FAILED;
    case OPT_PIN:
        return verify_take_pin(o, value) ? -1 : CLI_USAGE;
    case OPT_MIN_RSA:
        return cli_number("--min-rsa", value, 2048, 8192, &o->min_rsa)
                   ? -1
                   : CLI_USAGE;
    case OPT_MIN_EC:
        return cli_number("--min-ec", value, 256, 521, &o->min_ec) ? -1
                                                                   : CLI_USAGE;
    case OPT_MIN_HASH:
        return cli_number("--min-hash", value, 256, 512, &o->min_hash)
                   ? -1
                   : CLI_USAGE;
    case OPT_JSON:
        o->json = true;
        return -1;
    case 'h':
        fputs(help_text, stdout);
        return cli_close_stdout(CLI_OK);
    case OPT_VERSION:
        printf("flow-verify %s\n", flow_version());
        return cli_close_stdout(CLI_OK);
    default:
        fprintf(stderr, "Try 'flow-verify --help'.\n");
        return CLI_USAGE;
    }
}

static enum flow_status
verify_add_trust_file(void *verifier, const char *path, struct flow_error *err)
{
    return flow_tls_verifier_add_trust_file(verifier, path, err);
}

/* Without --ca: what the environment says, or the system's store. */
static int
verify_default_trust(struct options *o)
{
    const struct cli_trust trust = { verify_add_trust_file, o->verifier };
    struct flow_error err;
    bool any;

    if (!cli_trust_environment(&trust, &any))
        return CLI_FAILED;
    if (any || flow_tls_verifier_add_system_trust(o->verifier, &err) == FLOW_OK)
        return -1;
    cli_flow_error("cannot load the system's trust store", &err);
    return CLI_FAILED;
}

static int
verify_finish_options(struct options *o)
{
    if (flow_tls_verifier_set_minimum(o->verifier, (unsigned)o->min_rsa,
                                      (unsigned)o->min_ec,
                                      (unsigned)o->min_hash) != FLOW_OK)
        return cli_usage("--min-ec is 256, 384 or 521, and --min-hash is 256, "
                         "384 or 512");
#ifndef CLI_JSON
    if (o->json)
        return cli_usage("--json: this build has no JSON library; build "
                         "libflow with jansson");
#endif
    return o->trusts ? -1 : verify_default_trust(o);
}

/* --- the chain --- */

/* A whole file; the caller releases it with free(). */
static char *
verify_read_file(const char *path, size_t *ret_len)
{
    char *data = malloc(FILE_BYTES_MAX);
    FILE *f = data != NULL ? fopen(path, "rb") : NULL;
    bool failed;

    if (f == NULL) {
        cli_complain("cannot read %s: %s", path, strerror(errno));
        free(data);
        return NULL;
    }
    *ret_len = fread(data, 1, FILE_BYTES_MAX, f);
    failed = ferror(f) != 0;
    if (failed)
        cli_complain("cannot read %s: %s", path, strerror(errno));
    else if (*ret_len == FILE_BYTES_MAX)
        cli_complain("%s is too large", path);
    fclose(f);
    if (!failed && *ret_len < FILE_BYTES_MAX)
        return data;
    free(data);
    return NULL;
}

/* The chain in a file; the caller releases it with flow_env_free(). */
static bool
verify_read_chain(const char *path, struct options *o, uint8_t **ret_chain)
{
    enum flow_status st;
    size_t len;
    char *data = verify_read_file(path, &len);

    if (data == NULL)
        return false;
    st = flow_tls_decode_chain(NULL, data, len, ret_chain, &o->input.chain_len);
    free(data);
    if (st == FLOW_OK) {
        o->input.chain = *ret_chain;
        return true;
    }
    cli_complain("%s: %s", path,
                 st == FLOW_E_NOMEM ? "no memory"
                                    : "no certificate is understood");
    return false;
}

/* --- the result --- */

static const char *
verify_subject(const struct flow_tls_der *cert, char *buf, size_t cap)
{
    return flow_tls_get_subject(cert, buf, cap) == FLOW_OK ? buf : "?";
}

static void
verify_print_text(const struct flow_tls_verdict *verdict)
{
    char subject[256];

    if (verdict->check == FLOW_TLS_CHECK_NONE)
        printf("verified: %s\n", verdict->subject);
    else
        printf("refused: %s (certificate %u: %s)\n", verdict->text,
               verdict->depth, verdict->subject);
    for (size_t i = 0; i < verdict->path_len; i++)
        printf("  %zu %s\n", i,
               verify_subject(&verdict->path[i], subject, sizeof(subject)));
}

#ifdef CLI_JSON
/* Names of the checks, for programs. */
static const char *const check_names[] = {
    [FLOW_TLS_CHECK_NONE] = "none",
    [FLOW_TLS_CHECK_MISSING] = "missing",
    [FLOW_TLS_CHECK_COUNT] = "count",
    [FLOW_TLS_CHECK_MALFORMED] = "malformed",
    [FLOW_TLS_CHECK_MODULUS] = "modulus",
    [FLOW_TLS_CHECK_EXPONENT] = "exponent",
    [FLOW_TLS_CHECK_WORK] = "work",
    [FLOW_TLS_CHECK_LENGTH] = "length",
    [FLOW_TLS_CHECK_REVOKED] = "revoked",
    [FLOW_TLS_CHECK_EXPIRED] = "expired",
    [FLOW_TLS_CHECK_FUTURE] = "future",
    [FLOW_TLS_CHECK_TRUST] = "trust",
    [FLOW_TLS_CHECK_AUTHORITY] = "authority",
    [FLOW_TLS_CHECK_SIGNATURE] = "signature",
    [FLOW_TLS_CHECK_NAME] = "name",
    [FLOW_TLS_CHECK_PURPOSE] = "purpose",
    [FLOW_TLS_CHECK_USAGE] = "usage",
    [FLOW_TLS_CHECK_PATH_LENGTH] = "path_length",
    [FLOW_TLS_CHECK_CONSTRAINT] = "constraint",
    [FLOW_TLS_CHECK_UNSUPPORTED] = "unsupported_constraint",
    [FLOW_TLS_CHECK_CRITICAL] = "critical",
    [FLOW_TLS_CHECK_KEY] = "key",
    [FLOW_TLS_CHECK_HASH] = "hash",
    [FLOW_TLS_CHECK_REVOCATION] = "revocation",
    [FLOW_TLS_CHECK_PIN] = "pin",
    [FLOW_TLS_CHECK_CALLBACK] = "callback",
};

static void
verify_print_json(const struct flow_tls_verdict *verdict)
{
    json_t *path = json_array(), *root;
    char subject[256];

    for (size_t i = 0; i < verdict->path_len; i++)
        json_array_append_new(
            path, json_string(verify_subject(&verdict->path[i], subject,
                                             sizeof(subject))));
    root = json_pack("{s:b, s:s, s:s, s:i, s:s, s:s, s:i, s:o}", "verified",
                     verdict->check == FLOW_TLS_CHECK_NONE, "check",
                     check_names[verdict->check], "text", verdict->text,
                     "depth", (int)verdict->depth, "subject", verdict->subject,
                     "matched_name", verdict->matched_name, "signatures",
                     (int)verdict->signatures, "path", path);
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}
#endif

static int
verify_chain(struct options *o)
{
    struct flow_tls_verdict verdict;
    enum flow_status st = flow_tls_verify(o->verifier, &o->input, &verdict);

    if (st == FLOW_E_INVAL)
        return cli_usage("--name: '%s' is not a host name or an address",
                         o->input.name);
    if (st != FLOW_OK && st != FLOW_E_AUTH) {
        cli_complain("cannot verify: %s", flow_status_text(st));
        return CLI_FAILED;
    }
#ifdef CLI_JSON
    if (o->json)
        verify_print_json(&verdict);
    else
#endif
        verify_print_text(&verdict);
    return st == FLOW_OK ? CLI_OK : CLI_FAILED;
}

static int
verify_run(int argc, char **argv, struct options *o)
{
    uint8_t *chain = NULL;
    int option, code = -1;

    while (code < 0 &&
           (option = getopt_long(argc, argv, "h", long_options, NULL)) != -1)
        code = verify_take_option(option, optarg, o);
    if (code < 0 && optind + 1 != argc)
        code = cli_usage(optind == argc ? "FILE is missing"
                                        : "more than one FILE");
    if (code < 0)
        code = verify_finish_options(o);
    if (code < 0 && !verify_read_chain(argv[optind], o, &chain))
        code = CLI_FAILED;
    if (code >= 0)
        return code;
    code = verify_chain(o);
    flow_env_free(flow_env_default(), chain, o->input.chain_len);
    return cli_close_stdout(code);
}

int
main(int argc, char **argv)
{
    struct options o = { .input.time = FLOW_TLS_TIME_NOW,
                         .min_rsa = 2048,
                         .min_ec = 256,
                         .min_hash = 256 };
    struct flow_error err;
    int code;

    cli_start("flow-verify");
    if (flow_tls_verifier_new(NULL, &o.verifier, &err) != FLOW_OK) {
        cli_flow_error("cannot start", &err);
        return CLI_FAILED;
    }
    code = verify_run(argc, argv, &o);
    flow_tls_verifier_unref(o.verifier);
    return code;
}
