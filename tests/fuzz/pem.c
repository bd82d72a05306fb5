/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/tls_config.h>
#include <flow/tls_verify.h>

#include "tests/fuzz/fuzz.h"
#include "tls/pem.h"

/*
 * Input: two bytes with the length of a certificate chain, the chain, and a
 * private key.  Without a key the chain's text has both.
 *
 * Invariants: each block that is decoded has the bytes that a second decoder
 * finds, whatever text is around it; a pair that is accepted has a certificate
 * and a key that are accepted again as decoded DER; each failure has a text;
 * memory that is released has no part of the key's text.
 */

#define MARK_LEN 24

/* The first characters of the key, as in the text. */
struct mark {
    const uint8_t *bytes; /* NULL: there is none */
};

static void *
mark_alloc(void *ctx, size_t size, size_t align)
{
    (void)ctx;
    FUZZ_CHECK(align <= sizeof(max_align_t));
    return calloc(1, size);
}

static bool
holds(const uint8_t *bytes, size_t len, const uint8_t *mark)
{
    for (size_t i = 0; i + MARK_LEN <= len; i++)
        if (bytes[i] == mark[0] && memcmp(bytes + i, mark, MARK_LEN) == 0)
            return true;
    return false;
}

static void
mark_free(void *ctx, void *ptr, size_t size, size_t align)
{
    const struct mark *m = ctx;

    (void)align;
    if (ptr != NULL && m->bytes != NULL)
        FUZZ_CHECK(!holds(ptr, size, m->bytes));
    free(ptr);
}

static const uint8_t *
find(const uint8_t *text, size_t len, const char *phrase)
{
    const size_t n = strlen(phrase);

    for (size_t i = 0; i + n <= len; i++)
        if (memcmp(text + i, phrase, n) == 0)
            return text + i;
    return NULL;
}

static int
digit_of(uint8_t c)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *p = c != 0 ? strchr(digits, c) : NULL;

    return p != NULL ? (int)(p - digits) : -1;
}

/* Only base64: other bytes might be those of a structure. */
static void
set_mark(struct mark *m, struct flow__span key)
{
    static const char end_of_line[] = "PRIVATE KEY-----\n";
    const uint8_t *line = find(key.base, key.len, end_of_line);

    m->bytes = NULL;
    if (line == NULL)
        return;
    line += sizeof(end_of_line) - 1;
    if ((size_t)(key.base + key.len - line) < MARK_LEN)
        return;
    for (size_t i = 0; i < MARK_LEN; i++)
        if (digit_of(line[i]) < 0)
            return;
    m->bytes = line;
}

static bool
is_space(uint8_t c)
{
    return c == '\n' || c == '\r' || c == ' ';
}

/* Decode one body of base64; the number of bytes at out. */
static size_t
decode_slowly(const uint8_t *body, const uint8_t *end, uint8_t *out)
{
    size_t n = 0, padding = 0, bits = 0;
    uint32_t word = 0;

    for (; body < end; body++) {
        if (is_space(*body))
            continue;
        if (*body == '=') {
            padding++;
            continue;
        }
        FUZZ_CHECK(padding == 0 && digit_of(*body) >= 0);
        word = word << 6 | (uint32_t)digit_of(*body);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[n++] = (uint8_t)(word >> bits);
        }
    }
    /* Each padding character stands for two bits that are left over. */
    FUZZ_CHECK(padding <= 2 && bits == 2 * padding);
    return n;
}

/* Decode all certificates of a text that is well formed. */
static size_t
decode_all(const uint8_t *text, const uint8_t *end, uint8_t *out)
{
    static const char first[] = "-----BEGIN CERTIFICATE-----";
    static const char last[] = "-----END CERTIFICATE-----";
    size_t n = 0;

    while ((text = find(text, (size_t)(end - text), first)) != NULL) {
        const uint8_t *body = text + sizeof(first) - 1;
        const uint8_t *after = find(body, (size_t)(end - body), last);

        FUZZ_CHECK(after != NULL);
        n += decode_slowly(body, after, out + n);
        text = after + sizeof(last) - 1;
    }
    return n;
}

/* The same text after and before other text. */
static void
check_with_text(struct flow__span text, struct flow__span der)
{
    static const char before[] = "subject=CN = a.example\n\n";
    static const char after[] = "\n-----BEGIN OTHER-----\n";
    const size_t len = sizeof(before) - 1 + text.len + sizeof(after) - 1;
    uint8_t *all = malloc(len), *again;
    size_t again_len;

    FUZZ_CHECK(all != NULL);
    memcpy(all, before, sizeof(before) - 1);
    memcpy(all + sizeof(before) - 1, text.base, text.len);
    memcpy(all + sizeof(before) - 1 + text.len, after, sizeof(after) - 1);
    FUZZ_CHECK(flow_tls_decode_chain(NULL, all, len, &again, &again_len) ==
               FLOW_OK);
    FUZZ_CHECK(again_len == der.len && memcmp(again, der.base, der.len) == 0);
    flow_env_free(flow_env_default(), again, again_len);
    free(all);
}

/* *ret: the certificates as DER, released with flow_env_free(); empty when the
 * text is not well formed. */
static void
check_chain(struct flow__span text, struct flow__span *ret)
{
    uint8_t *der, *slowly;
    size_t len;

    ret->base = NULL;
    ret->len = 0;
    if (flow_tls_decode_chain(NULL, text.base, text.len, &der, &len) != FLOW_OK)
        return;
    ret->base = der;
    ret->len = len;
    FUZZ_CHECK(len > 0 && len <= text.len);
    if (!flow__pem_is_text(text)) {
        FUZZ_CHECK(len == text.len && memcmp(der, text.base, len) == 0);
        return;
    }
    slowly = malloc(text.len);
    FUZZ_CHECK(slowly != NULL);
    FUZZ_CHECK(decode_all(text.base, text.base + text.len, slowly) == len);
    FUZZ_CHECK(memcmp(slowly, der, len) == 0);
    free(slowly);
    check_with_text(text, *ret);
}

/* What is trusted as text is trusted as DER, and a text that is refused leaves
 * nothing. */
static void
check_trust(struct flow__span text, struct flow__span der)
{
    struct flow_tls_verifier *v;
    struct flow_error err;

    FUZZ_CHECK(flow_tls_verifier_new(NULL, &v, NULL) == FLOW_OK);
    if (flow_tls_verifier_add_trust(v, text.base, text.len, &err) == FLOW_OK)
        FUZZ_CHECK(der.len > 0);
    else
        FUZZ_CHECK(err.text != NULL && err.text[0] != '\0');
    if (flow_tls_verifier_add_crl(v, text.base, text.len, &err) != FLOW_OK)
        FUZZ_CHECK(err.text != NULL && err.text[0] != '\0');
    flow_tls_verifier_unref(v);
}

/* How long PBKDF2 takes is decided by the file, so its keys stay encrypted. */
static size_t
passphrase(void *user, char *buf, size_t cap)
{
    static const char phrase[] = "opensesame";
    const struct flow__span *key = user;

    FUZZ_CHECK(cap >= sizeof(phrase));
    if (find(key->base, key->len, "Proc-Type: 4,ENCRYPTED") == NULL ||
        find(key->base, key->len, "BEGIN ENCRYPTED PRIVATE KEY") != NULL)
        return 0;
    memcpy(buf, phrase, sizeof(phrase) - 1);
    return sizeof(phrase) - 1;
}

static enum flow_status
add_pair(const struct flow_env *env, struct flow__span chain,
         struct flow__span key, struct flow_error *err)
{
    struct flow_tls_config *c;
    enum flow_status st;

    FUZZ_CHECK(flow_tls_config_new_server(env, &c, NULL) == FLOW_OK);
    FUZZ_CHECK(flow_tls_config_allow_expired(c, true) == FLOW_OK);
    st = flow_tls_config_add_keypair(c, chain.base, chain.len, key.base,
                                     key.len, passphrase, &key, err);
    flow_tls_config_unref(c);
    return st;
}

static void
check_pair(struct flow__span chain, struct flow__span key,
           struct flow__span der)
{
    struct mark mark;
    struct flow_env env = *flow_env_default();
    struct flow_error err;

    env.ctx = &mark;
    env.alloc = mark_alloc;
    env.free = mark_free;
    set_mark(&mark, key);
    if (add_pair(&env, chain, key, &err) == FLOW_OK) {
        FUZZ_CHECK(der.len > 0);
        FUZZ_CHECK(add_pair(&env, der, key, &err) == FLOW_OK);
        return;
    }
    FUZZ_CHECK(err.status == FLOW_E_INVAL || err.status == FLOW_E_AUTH);
    FUZZ_CHECK(err.text != NULL && err.text[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct flow__span key = { data, len }, chain, der;

    if (!flow__span_take_vec16(&key, &chain))
        return 0;
    check_chain(chain, &der);
    check_trust(chain, der);
    check_pair(chain, key.len > 0 ? key : chain, der);
    if (der.base != NULL)
        flow_env_free(flow_env_default(), (void *)(uintptr_t)der.base, der.len);
    return 0;
}
