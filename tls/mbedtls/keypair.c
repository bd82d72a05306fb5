/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <mbedtls/asn1.h>
#include <mbedtls/pem.h>
#include <mbedtls/platform.h>
#include <psa/crypto.h>

#include "lib/plat.h"
#include "tls/mbedtls/compat.h"
#include "tls/mbedtls/mbed.h"

/*
 * A certificate chain with its key, from PEM or DER.
 *
 * Invariants: a pair is given out only if the key belongs to the leaf, the leaf
 * may be used by a TLS server, or by a client if it is for one, today unless
 * the caller allows expired ones, and the engine can sign with the key.  It is
 * not changed after that, and any thread may use it.  Copies of keys, of
 * passphrases and of files that may hold a key are wiped before they are
 * released, on every path.
 */

#define KEYPAIR_PASSPHRASE_MAX 256

static bool
keypair_is_pem(const void *data, size_t len)
{
    static const char mark[] = "-----BEGIN ";
    const char *p = data;

    for (size_t i = 0; i + sizeof(mark) - 1 <= len; i++)
        if (p[i] == '-' && memcmp(p + i, mark, sizeof(mark) - 1) == 0)
            return true;
    return false;
}

/* mbedTLS requires a NUL after PEM; the caller's bytes may have none. */
static uint8_t *
keypair_copy_pem(const struct flow_env *env, const void *data, size_t len)
{
    uint8_t *copy = flow_env_alloc(env, len + 1);

    if (copy != NULL)
        memcpy(copy, data, len);
    return copy;
}

static void
keypair_free_pem(const struct flow_env *env, uint8_t *copy, size_t len)
{
    if (copy != NULL)
        flow_wipe(copy, len);
    flow_env_free(env, copy, len + 1);
}

/* The next certificate after p, or end; anything else in the file (a key,
 * text) is skipped. */
static const uint8_t *
keypair_next_certificate(const uint8_t *p, const uint8_t *end)
{
    static const char mark[] = "-----BEGIN CERTIFICATE-----";

    for (; (size_t)(end - p) >= sizeof(mark) - 1; p++)
        if (*p == '-' && memcmp(p, mark, sizeof(mark) - 1) == 0)
            return p;
    return end;
}

static int
keypair_parse_block(const struct flow_env *env, mbedtls_x509_crt *chain,
                    const uint8_t *block, size_t len)
{
    uint8_t *text = keypair_copy_pem(env, block, len);
    mbedtls_pem_context pem;
    struct flow__span der;
    size_t used;
    int rc;

    if (text == NULL)
        return MBEDTLS_ERR_X509_ALLOC_FAILED;
    mbedtls_pem_init(&pem);
    rc = flow__mbed_result(mbedtls_pem_read_buffer(
        &pem, "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", text,
        NULL, 0, &used));
    if (rc == 0) {
        der.base = mbedtls_pem_get_buffer(&pem, &der.len);
        rc = flow__mbed_parse_certificate(chain, der);
    }
    mbedtls_pem_free(&pem);
    keypair_free_pem(env, text, len);
    return rc;
}

/* Parse one DER or any number of PEM certificates, appending to chain. */
static int
keypair_parse_certs(const struct flow_env *env, mbedtls_x509_crt *chain,
                    const void *data, size_t len)
{
    const uint8_t *end = (const uint8_t *)data + len;
    const struct flow__span whole = { data, len };
    const uint8_t *block, *next;

    if (!keypair_is_pem(data, len))
        return flow__mbed_parse_certificate(chain, whole);
    for (block = keypair_next_certificate(data, end); block < end;
         block = next) {
        int rc;

        next = keypair_next_certificate(block + 1, end);
        rc = keypair_parse_block(env, chain, block, (size_t)(next - block));
        if (rc != 0)
            return rc < 0 ? rc : MBEDTLS_ERR_X509_INVALID_FORMAT;
    }
    return 0;
}

static enum flow_status
keypair_fail(struct flow_error *err, enum flow_status st, int code,
             const char *name, const char *text)
{
    (void)flow_error_set(err, st, "tls config",
                         code != 0 ? FLOW_DOMAIN_ENGINE : FLOW_DOMAIN_NONE,
                         code, text);
    if (name != NULL)
        flow_error_set_detail(err, name);
    return st;
}

static enum flow_status
keypair_parse_chain(struct flow__keypair *pair,
                    const struct flow__keypair_input *in,
                    struct flow_error *err)
{
    const char *why;
    int rc =
        keypair_parse_certs(pair->env, &pair->chain, in->chain, in->chain_len);

    if (flow__mbed_no_memory(rc))
        return keypair_fail(err, FLOW_E_NOMEM, rc, in->chain_name, "no memory");
    if (rc == 0 && pair->chain.version != 0)
        return FLOW_OK;
    why = flow__mbed_refused_kind(pair->env, in->chain, in->chain_len);
    return keypair_fail(err, FLOW_E_INVAL, rc, in->chain_name,
                        why != NULL ? why
                                    : "certificate chain is not understood");
}

static int
keypair_parse_key_with(struct flow__keypair *pair, const uint8_t *key,
                       size_t len, const uint8_t *pass, size_t pass_len)
{
    /* A failed attempt leaves the context unusable. */
    mbedtls_pk_free(&pair->key);
    mbedtls_pk_init(&pair->key);
    return flow__mbed_parse_key(&pair->key, key, len, pass, pass_len);
}

/* RFC 5958: an encrypted key begins with an AlgorithmIdentifier, any other key
 * with a version number. */
static bool
keypair_is_encrypted_der(const uint8_t *key, size_t key_len)
{
    unsigned char *p = (unsigned char *)(uintptr_t)key;
    const unsigned char *end = key + key_len;
    const int sequence = MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE;
    size_t len;

    return mbedtls_asn1_get_tag(&p, end, &len, sequence) == 0 &&
           mbedtls_asn1_get_tag(&p, end, &len, sequence) == 0;
}

static int
keypair_parse_key_bytes(struct flow__keypair *pair,
                        const struct flow__keypair_input *in,
                        const uint8_t *key, size_t len)
{
    char pass[KEYPAIR_PASSPHRASE_MAX];
    size_t n;
    int rc = keypair_parse_key_with(pair, key, len, NULL, 0);

    /* mbedTLS does not distinguish encrypted DER from garbage. */
    if (rc != 0 && keypair_is_encrypted_der(key, len))
        rc = MBEDTLS_ERR_PK_PASSWORD_REQUIRED;
    if ((rc != MBEDTLS_ERR_PK_PASSWORD_REQUIRED &&
         rc != MBEDTLS_ERR_PEM_PASSWORD_REQUIRED) ||
        in->passphrase == NULL)
        return rc;
    /* The callback may use TLS itself, so it runs without the lock. */
    flow__mbed_leave();
    n = in->passphrase(in->user, pass, sizeof(pass));
    flow__mbed_enter();
    if (n > 0 && n <= sizeof(pass))
        rc = keypair_parse_key_with(pair, key, len, (const uint8_t *)pass, n);
    /* A wrong passphrase decrypts to noise.  One in 256 ends in what passes for
     * padding, and then it is the key that is not understood. */
    if (flow__mbed_is_key_error(rc))
        rc = MBEDTLS_ERR_PK_PASSWORD_MISMATCH;
    flow_wipe(pass, sizeof(pass));
    return rc;
}

static enum flow_status
keypair_key_error(const struct flow__keypair *pair,
                  const struct flow__keypair_input *in, int rc,
                  struct flow_error *err)
{
    const char *name = in->key_name;
    const char *why;
    enum flow_status st;

    if (flow__mbed_no_memory(rc))
        return keypair_fail(err, FLOW_E_NOMEM, rc, name, "no memory");
    switch (rc) {
    case MBEDTLS_ERR_PK_PASSWORD_REQUIRED:
    case MBEDTLS_ERR_PEM_PASSWORD_REQUIRED:
        st = keypair_fail(
            err, FLOW_E_AUTH, rc, name,
            "private key is encrypted and no passphrase was given");
        if (err != NULL)
            err->hint = "store it decrypted, or give a passphrase callback";
        return st;
    case MBEDTLS_ERR_PK_PASSWORD_MISMATCH:
    case MBEDTLS_ERR_PEM_PASSWORD_MISMATCH:
        return keypair_fail(err, FLOW_E_AUTH, rc, name,
                            "passphrase of the private key is wrong");
    default:
        why = flow__mbed_refused_kind(pair->env, in->key, in->key_len);
        return keypair_fail(err, FLOW_E_INVAL, rc, name,
                            why != NULL ? why
                                        : "private key is not understood");
    }
}

static enum flow_status
keypair_parse_key(struct flow__keypair *pair,
                  const struct flow__keypair_input *in, struct flow_error *err)
{
    uint8_t *pem = NULL;
    int rc;

    if (!keypair_is_pem(in->key, in->key_len)) {
        rc = keypair_parse_key_bytes(pair, in, in->key, in->key_len);
    } else {
        pem = keypair_copy_pem(pair->env, in->key, in->key_len);
        if (pem == NULL)
            return keypair_fail(err, FLOW_E_NOMEM, 0, in->key_name,
                                "no memory");
        rc = keypair_parse_key_bytes(pair, in, pem, in->key_len + 1);
        keypair_free_pem(pair->env, pem, in->key_len);
    }
    return rc == 0 ? FLOW_OK : keypair_key_error(pair, in, rc, err);
}

/* Parse both parts, so that each that is not understood is reported. */
static enum flow_status
keypair_parse(struct flow__keypair *pair, const struct flow__keypair_input *in,
              struct flow_error *err)
{
    struct flow_error problem;
    enum flow_status chain, key;

    flow_error_clear(&problem);
    chain = keypair_parse_chain(pair, in, &problem);
    if (chain != FLOW_OK)
        (void)flow__mbed_note_problem(in, err, &problem);
    flow_error_clear(&problem);
    key = keypair_parse_key(pair, in, &problem);
    if (key != FLOW_OK)
        (void)flow__mbed_note_problem(in, err, &problem);
    return chain != FLOW_OK ? chain : key;
}

/* mbedTLS parses and checks keys with random bytes, and without them it may
 * refuse a good key by any number. */
static enum flow_status
keypair_blame(enum flow_status st, struct flow_error *err)
{
    uint8_t probe[1];

    return flow__plat_random(probe, sizeof(probe))
               ? st
               : flow__plat_random_error(err, "tls");
}

/* See tls/engine.h. */
enum flow_status
flow__keypair_new(const struct flow_env *env,
                  const struct flow__keypair_input *in,
                  struct flow__keypair **ret_pair, struct flow_error *err)
{
    struct flow__keypair *pair = flow_env_alloc(env, sizeof(*pair));
    enum flow_status st;
    int rc;

    if (pair == NULL)
        return keypair_fail(err, FLOW_E_NOMEM, 0, NULL, "no memory");
    if (err != NULL)
        flow_error_clear(err);
    pair->env = env;
    mbedtls_x509_crt_init(&pair->chain);
    mbedtls_pk_init(&pair->key);

    flow__mbed_enter();
    st = keypair_parse(pair, in, err);
    if (st == FLOW_OK)
        st = flow__mbed_check_keypair(pair, in, err);
    rc = flow__mbed_result(st == FLOW_OK ? flow__mbed_settle_key(&pair->key)
                                         : 0);
    flow__mbed_leave();
    if (rc != 0)
        st = keypair_fail(err, FLOW_E_NOMEM, rc, NULL, "no memory");
    if (st != FLOW_OK && st != FLOW_E_NOMEM)
        st = keypair_blame(st, err);
    if (st != FLOW_OK) {
        flow__keypair_free(pair);
        return st;
    }
    *ret_pair = pair;
    return FLOW_OK;
}

/* See tls/engine.h. */
void
flow__keypair_free(struct flow__keypair *pair)
{
    if (pair == NULL)
        return;
    flow__mbed_enter();
    mbedtls_x509_crt_free(&pair->chain);
    mbedtls_pk_free(&pair->key);
    flow__mbed_leave();
    flow_env_free(pair->env, pair, sizeof(*pair));
}
