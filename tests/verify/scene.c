/* SPDX-License-Identifier: ISC */
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/conf.h>
#include <openssl/rsa.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "test.h"

#define HOUR 3600

int64_t scene_now = SCENE_NOW;

static EVP_PKEY *
make_key(enum scene_key which)
{
    EVP_PKEY *key;

    if (which == SCENE_KEY_RSA || which == SCENE_KEY_RSA_SHORT)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA",
                                (size_t)(which == SCENE_KEY_RSA ? 2048 : 1024));
    else if (which == SCENE_KEY_ED25519)
        key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    else
        key = EVP_PKEY_Q_keygen(NULL, NULL, "EC",
                                which == SCENE_KEY_P384   ? "P-384"
                                : which == SCENE_KEY_P521 ? "P-521"
                                : which == SCENE_KEY_K256 ? "secp256k1"
                                                          : "P-256");
    assert_non_null(key);
    return key;
}

EVP_PKEY *
scene_key(enum scene_key which)
{
    static EVP_PKEY *keys[SCENE_KEYS];

    if (keys[which] == NULL)
        keys[which] = make_key(which);
    return keys[which];
}

static void
set_name(X509_NAME *name, int number)
{
    char text[32];

    snprintf(text, sizeof(text), "Name %d", number);
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
                                                (const unsigned char *)"Scene",
                                                -1, -1, 0),
                     1);
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                                (const unsigned char *)text, -1,
                                                -1, 0),
                     1);
}

static void
add_mailboxes(X509_NAME *name, const char *const mailbox[2])
{
    for (int i = 0; i < 2 && mailbox[i] != NULL; i++)
        assert_int_equal(X509_NAME_add_entry_by_NID(
                             name, NID_pkcs9_emailAddress, MBSTRING_ASC,
                             (const unsigned char *)mailbox[i], -1, -1,
                             i == 0 ? 0 : -1),
                         1);
}

/* "dirName:NAME" is the section NAME of this. */
static const char sections[] = "[scene]\n1.O=Scene\n"
                               "[other]\n1.O=Other\n"
                               "[name9]\n1.O=Scene\n2.CN=Name 9\n";

static void
extend(X509 *cert, int nid, const char *value)
{
    BIO *text;
    CONF *conf;
    X509_EXTENSION *ext;
    X509V3_CTX ctx;

    if (value == NULL)
        return;
    text = BIO_new_mem_buf(sections, -1);
    conf = NCONF_new(NULL);
    assert_true(NCONF_load_bio(conf, text, NULL) > 0);
    X509V3_set_ctx(&ctx, NULL, cert, NULL, NULL, 0);
    X509V3_set_nconf(&ctx, conf);
    ext = X509V3_EXT_nconf_nid(conf, &ctx, nid, value);
    if (ext == NULL)
        fail_msg("OpenSSL does not make the extension %s", value);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
    NCONF_free(conf);
    BIO_free(text);
}

static void
extend_all(X509 *cert, const struct scene_cert *what)
{
    char constraints[64];

    if (what->ca != SCENE_CA_ABSENT) {
        if (what->path_len > 0)
            snprintf(constraints, sizeof(constraints),
                     "critical,CA:%s,pathlen:%d",
                     what->ca == SCENE_CA_TRUE ? "TRUE" : "FALSE",
                     what->path_len - 1);
        else
            snprintf(constraints, sizeof(constraints), "critical,CA:%s",
                     what->ca == SCENE_CA_TRUE ? "TRUE" : "FALSE");
        extend(cert, NID_basic_constraints, constraints);
    }
    extend(cert, NID_key_usage, what->usage);
    extend(cert, NID_ext_key_usage, what->purposes);
    extend(cert, NID_subject_alt_name, what->san);
    extend(cert, NID_name_constraints, what->constraints);
    if (what->critical) {
        /* OpenSSL does not know this one, nor do we. */
        ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.55555.1", 1);
        ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
        X509_EXTENSION *ext;

        ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x05\x00", 2);
        ext = X509_EXTENSION_create_by_OBJ(NULL, oid, 1, value);
        assert_int_equal(X509_add_ext(cert, ext, -1), 1);
        X509_EXTENSION_free(ext);
        ASN1_OCTET_STRING_free(value);
        ASN1_OBJECT_free(oid);
    }
}

static const EVP_MD *
hash_for(enum scene_hash hash)
{
    return hash == SCENE_SHA384 ? EVP_sha384()
           : hash == SCENE_SHA1 ? EVP_sha1()
                                : EVP_sha256();
}

static void
set_time(ASN1_TIME *time, long seconds, long otherwise)
{
    assert_non_null(ASN1_TIME_set(
        time, (time_t)(scene_now + (seconds != 0 ? seconds : otherwise))));
}

static struct scene_der
take_der(unsigned char *der, int len)
{
    struct scene_der ret;

    assert_true(len > 0);
    ret.len = (size_t)len;
    ret.base = malloc(ret.len);
    assert_non_null(ret.base);
    memcpy(ret.base, der, ret.len);
    OPENSSL_free(der);
    return ret;
}

static void
sign(X509 *cert, const struct scene_cert *what)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    /* Ed25519 has a hash of its own. */
    const EVP_MD *hash =
        what->signer == SCENE_KEY_ED25519 ? NULL : hash_for(what->hash);
    EVP_PKEY_CTX *key;

    assert_int_equal(
        EVP_DigestSignInit(ctx, &key, hash, NULL, scene_key(what->signer)), 1);
    if (what->hash == SCENE_PSS) {
        assert_int_equal(
            EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(key, 32), 1);
    }
    assert_true(X509_sign_ctx(cert, ctx) > 0);
    EVP_MD_CTX_free(ctx);
}

struct scene_der
scene_make(const struct scene_cert *what)
{
    static long serial = 1000;
    const bool hours = what->from == 0 && what->until == 0;
    X509 *cert = X509_new();
    unsigned char *der = NULL;
    struct scene_der ret;
    int len;

    assert_non_null(cert);
    X509_set_version(cert, what->version1 ? 0 : 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert),
                     what->serial != 0 ? what->serial : ++serial);
    set_time(X509_getm_notBefore(cert), what->from, hours ? -HOUR : 0);
    set_time(X509_getm_notAfter(cert), what->until, hours ? HOUR : 0);
    set_name(X509_get_subject_name(cert), what->subject);
    add_mailboxes(X509_get_subject_name(cert), what->mailbox);
    set_name(X509_get_issuer_name(cert), what->issuer);
    X509_set_pubkey(cert, scene_key(what->key));
    if (!what->version1)
        extend_all(cert, what);
    sign(cert, what);
    len = i2d_X509(cert, &der);
    ret = take_der(der, len);
    /* The last byte of an ECDSA or RSA signature. */
    if (what->forged)
        ret.base[ret.len - 1] ^= 1;
    X509_free(cert);
    return ret;
}

struct scene_der
scene_make_crl(const struct scene_crl *what)
{
    const bool hours = what->from == 0 && what->until == 0;
    ASN1_TIME *time = ASN1_TIME_new();
    X509_CRL *crl = X509_CRL_new();
    X509_NAME *issuer = X509_NAME_new();
    unsigned char *der = NULL;
    struct scene_der ret;
    int len;

    X509_CRL_set_version(crl, 1);
    set_name(issuer, what->issuer);
    X509_CRL_set_issuer_name(crl, issuer);
    X509_NAME_free(issuer);
    set_time(time, what->from, hours ? -HOUR : 0);
    X509_CRL_set1_lastUpdate(crl, time);
    for (size_t i = 0; what->serials != NULL && what->serials[i] != 0; i++) {
        X509_REVOKED *revoked = X509_REVOKED_new();
        ASN1_INTEGER *serial = ASN1_INTEGER_new();

        ASN1_INTEGER_set(serial, what->serials[i]);
        X509_REVOKED_set_serialNumber(revoked, serial);
        X509_REVOKED_set_revocationDate(revoked, time);
        X509_CRL_add0_revoked(crl, revoked);
        ASN1_INTEGER_free(serial);
    }
    set_time(time, what->until, hours ? HOUR : 0);
    X509_CRL_set1_nextUpdate(crl, time);
    ASN1_TIME_free(time);
    if (what->critical) {
        ASN1_INTEGER *base = ASN1_INTEGER_new();

        ASN1_INTEGER_set(base, 1);
        X509_CRL_add1_ext_i2d(crl, NID_delta_crl, base, 1, 0);
        ASN1_INTEGER_free(base);
    }
    assert_true(X509_CRL_sign(crl, scene_key(what->signer), EVP_sha256()) > 0);
    len = i2d_X509_CRL(crl, &der);
    ret = take_der(der, len);
    X509_CRL_free(crl);
    return ret;
}

void
scene_trust(struct scene *s, const struct scene_cert *what)
{
    assert_true(s->trust_count < SCENE_MAX);
    s->trust[s->trust_count++] = scene_make(what);
}

void
scene_send(struct scene *s, const struct scene_cert *what)
{
    assert_true(s->chain_count < SCENE_MAX);
    s->chain[s->chain_count++] = scene_make(what);
}

void
scene_list(struct scene *s, const struct scene_crl *what)
{
    assert_true(s->crl_count < SCENE_MAX);
    s->crl[s->crl_count++] = scene_make_crl(what);
}

void
scene_free(struct scene *s)
{
    for (size_t i = 0; i < s->trust_count; i++)
        free(s->trust[i].base);
    for (size_t i = 0; i < s->chain_count; i++)
        free(s->chain[i].base);
    for (size_t i = 0; i < s->crl_count; i++)
        free(s->crl[i].base);
    memset(s, 0, sizeof(*s));
}

struct flow_tls_verifier *
scene_verifier(const struct scene *s)
{
    struct flow_tls_verifier *v;

    assert_status(flow_tls_verifier_new(TEST_ENV, &v, NULL), FLOW_OK);
    for (size_t i = 0; i < s->trust_count; i++)
        assert_status(flow_tls_verifier_add_trust(v, s->trust[i].base,
                                                  s->trust[i].len, NULL),
                      FLOW_OK);
    for (size_t i = 0; i < s->crl_count; i++)
        assert_status(
            flow_tls_verifier_add_crl(v, s->crl[i].base, s->crl[i].len, NULL),
            FLOW_OK);
    return v;
}

enum flow_status
scene_verify(const struct scene *s, struct flow_tls_verifier *v,
             struct flow_tls_verdict *ret)
{
    struct flow_tls_verify_input input = { .name = s->name,
                                           .purpose = s->purpose,
                                           .time = scene_now };
    enum flow_status st;
    uint8_t *chain;

    for (size_t i = 0; i < s->chain_count; i++)
        input.chain_len += s->chain[i].len;
    chain = malloc(input.chain_len + 1);
    assert_non_null(chain);
    input.chain = chain;
    input.chain_len = 0;
    for (size_t i = 0; i < s->chain_count; i++) {
        memcpy(chain + input.chain_len, s->chain[i].base, s->chain[i].len);
        input.chain_len += s->chain[i].len;
    }
    st = flow_tls_verify(v, &input, ret);
    free(chain);
    return st;
}

static X509 *
parse(const struct scene_der *der)
{
    const unsigned char *p = der->base;
    X509 *cert = d2i_X509(NULL, &p, (long)der->len);

    assert_non_null(cert);
    return cert;
}

static void
set_parameters(X509_VERIFY_PARAM *param, const struct scene *s)
{
    X509_VERIFY_PARAM_set_time(param, (time_t)scene_now);
    /* 112 bits: RSA with 2048, no SHA-1. */
    X509_VERIFY_PARAM_set_auth_level(param, 2);
    X509_VERIFY_PARAM_set_purpose(param, s->purpose == FLOW_TLS_PURPOSE_SERVER
                                             ? X509_PURPOSE_SSL_SERVER
                                             : X509_PURPOSE_SSL_CLIENT);
    /* Every trusted certificate ends a path. */
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    if (s->crl_count > 0)
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK);
    X509_VERIFY_PARAM_set_hostflags(param,
                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                        X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (s->name != NULL && X509_VERIFY_PARAM_set1_ip_asc(param, s->name) != 1)
        X509_VERIFY_PARAM_set1_host(param, s->name, 0);
}

int
scene_openssl(const struct scene *s)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *between = sk_X509_new_null();
    X509 *leaf = NULL;
    int error;

    for (size_t i = 0; i < s->trust_count; i++) {
        X509 *cert = parse(&s->trust[i]);

        X509_STORE_add_cert(store, cert);
        X509_free(cert);
    }
    for (size_t i = 0; i < s->crl_count; i++) {
        const unsigned char *p = s->crl[i].base;
        X509_CRL *crl = d2i_X509_CRL(NULL, &p, (long)s->crl[i].len);

        assert_non_null(crl);
        X509_STORE_add_crl(store, crl);
        X509_CRL_free(crl);
    }
    for (size_t i = 0; i < s->chain_count; i++)
        sk_X509_push(between, parse(&s->chain[i]));
    leaf = sk_X509_value(between, 0);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, leaf, between), 1);
    set_parameters(X509_STORE_CTX_get0_param(ctx), s);
    error =
        X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    sk_X509_pop_free(between, X509_free);
    X509_STORE_free(store);
    return error;
}
