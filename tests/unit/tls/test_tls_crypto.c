/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/vectors.h"

#include <mbedtls/ecdh.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/md.h>
#include <mbedtls/rsa.h>
#include <psa/crypto.h>

#include <flow/env.h>

#include "tls/engine.h"

#ifdef TEST_LIBCRYPTO
#include <openssl/crypto.h>
#include <openssl/err.h>
#endif

/*
 * What a handshake has mbedTLS compute, through the functions that it calls:
 * key agreement, signatures that are verified, hashes.  In the bundled build
 * libcrypto computes most of it (subprojects/packagefiles/mbedtls), so this
 * runs with every build of mbedTLS: vectors of RFCs and NIST, wrong input, and
 * random input against mbedTLS's own arithmetic.  Then all of it once more with
 * a libcrypto that gets no memory, and with one that has shut down, where
 * mbedTLS computes instead.
 */

#define CRYPTO_MAX     1024
#define CRYPTO_POINT   133
#define CRYPTO_ROUNDS  8
#define CRYPTO_MILLION 1000000u

struct curve {
    const char *name;
    mbedtls_ecp_group_id id;
    psa_ecc_family_t family;
    size_t bits;
    size_t len;
    size_t point;
};

static const struct curve curves[] = {
    { "p256", MBEDTLS_ECP_DP_SECP256R1, PSA_ECC_FAMILY_SECP_R1, 256, 32, 65 },
    { "p384", MBEDTLS_ECP_DP_SECP384R1, PSA_ECC_FAMILY_SECP_R1, 384, 48, 97 },
    { "p521", MBEDTLS_ECP_DP_SECP521R1, PSA_ECC_FAMILY_SECP_R1, 521, 66, 133 },
    { "x25519", MBEDTLS_ECP_DP_CURVE25519, PSA_ECC_FAMILY_MONTGOMERY, 255, 32,
      32 },
};
#define CURVES      (sizeof(curves) / sizeof(curves[0]))
#define SIGN_CURVES (CURVES - 1)

static uint64_t seed = 1;

static int
random_bytes(void *ctx, unsigned char *out, size_t len)
{
    (void)ctx;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)next_random(&seed);
    return 0;
}

static const struct curve *
curve_named(const char *name)
{
    for (size_t i = 0; i < CURVES; i++)
        if (strcmp(curves[i].name, name) == 0)
            return &curves[i];
    fail_msg("unknown curve %s", name);
    return NULL;
}

static bool
is_montgomery(const struct curve *c)
{
    return c->family == PSA_ECC_FAMILY_MONTGOMERY;
}

static void
read_number(const struct curve *c, mbedtls_mpi *number, const uint8_t *bytes)
{
    assert_int_equal(is_montgomery(c)
                         ? mbedtls_mpi_read_binary_le(number, bytes, c->len)
                         : mbedtls_mpi_read_binary(number, bytes, c->len),
                     0);
}

/* A private key of TLS 1.3, as PSA keeps it. */
static psa_key_id_t
import(const struct curve *c, const uint8_t *scalar)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t id = PSA_KEY_ID_NULL;

    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(c->family));
    psa_set_key_bits(&attributes, c->bits);
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_DERIVE);
    psa_set_key_algorithm(&attributes, PSA_ALG_ECDH);
    assert_int_equal(psa_import_key(&attributes, scalar, c->len, &id),
                     PSA_SUCCESS);
    return id;
}

static psa_status_t
agree(psa_key_id_t id, const uint8_t *peer, size_t peer_len, uint8_t *secret,
      size_t *len)
{
    return psa_raw_key_agreement(PSA_ALG_ECDH, id, peer, peer_len, secret,
                                 CRYPTO_MAX, len);
}

/* As TLS 1.2 does: numbers and points of mbedTLS. */
static int
agree_on_numbers(const struct curve *c, const uint8_t *scalar,
                 const uint8_t *peer, size_t peer_len, uint8_t *secret)
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    mbedtls_mpi d, z;
    int rc;

    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    mbedtls_mpi_init(&d);
    mbedtls_mpi_init(&z);
    assert_int_equal(mbedtls_ecp_group_load(&group, c->id), 0);
    read_number(c, &d, scalar);
    /* RFC 7748 5; mbedTLS clamps when it reads a key. */
    if (is_montgomery(c))
        for (size_t bit = 0; bit < 3; bit++)
            assert_int_equal(mbedtls_mpi_set_bit(&d, bit, 0), 0);
    if (is_montgomery(c)) {
        assert_int_equal(mbedtls_mpi_set_bit(&d, 255, 0), 0);
        assert_int_equal(mbedtls_mpi_set_bit(&d, 254, 1), 0);
    }
    rc = mbedtls_ecp_point_read_binary(&group, &point, peer, peer_len);
    if (rc == 0)
        rc = mbedtls_ecdh_compute_shared(&group, &z, &point, &d, random_bytes,
                                         NULL);
    if (rc == 0)
        rc = is_montgomery(c) ? mbedtls_mpi_write_binary_le(&z, secret, c->len)
                              : mbedtls_mpi_write_binary(&z, secret, c->len);
    mbedtls_mpi_free(&z);
    mbedtls_mpi_free(&d);
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
    return rc;
}

static void
check_agreement(const struct vector_file *v)
{
    const struct curve *c = curve_named(v->word[1]);
    uint8_t scalar[CRYPTO_POINT], own[CRYPTO_POINT], peer[CRYPTO_POINT];
    uint8_t expected[CRYPTO_POINT], got[CRYPTO_MAX];
    psa_key_id_t id;
    size_t len;

    assert_int_equal(vector_bytes(v, 2, scalar, sizeof(scalar)), c->len);
    assert_int_equal(vector_bytes(v, 4, peer, sizeof(peer)), c->point);
    assert_int_equal(vector_bytes(v, 5, expected, sizeof(expected)), c->len);
    id = import(c, scalar);
    if (strcmp(v->word[3], "-") != 0) {
        assert_int_equal(vector_bytes(v, 3, own, sizeof(own)), c->point);
        assert_int_equal(psa_export_public_key(id, got, sizeof(got), &len),
                         PSA_SUCCESS);
        assert_int_equal(len, c->point);
        assert_memory_equal(got, own, len);
    }
    assert_int_equal(agree(id, peer, c->point, got, &len), PSA_SUCCESS);
    assert_int_equal(len, c->len);
    assert_memory_equal(got, expected, len);
    memset(got, 0, sizeof(got));
    assert_int_equal(agree_on_numbers(c, scalar, peer, c->point, got), 0);
    assert_memory_equal(got, expected, len);
    assert_int_equal(psa_destroy_key(id), PSA_SUCCESS);
}

/* A signature to be verified; r and s have the length of the curve's field. */
struct signature {
    const struct curve *curve;
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    mbedtls_mpi r, s;
    uint8_t hash[64];
    size_t hash_len;
};

static void
signature_init(struct signature *sig, const struct curve *c)
{
    sig->curve = c;
    mbedtls_ecp_group_init(&sig->group);
    mbedtls_ecp_point_init(&sig->point);
    mbedtls_mpi_init(&sig->r);
    mbedtls_mpi_init(&sig->s);
    assert_int_equal(mbedtls_ecp_group_load(&sig->group, c->id), 0);
}

static void
signature_free(struct signature *sig)
{
    mbedtls_ecp_group_free(&sig->group);
    mbedtls_ecp_point_free(&sig->point);
    mbedtls_mpi_free(&sig->r);
    mbedtls_mpi_free(&sig->s);
}

static int
signature_verify(struct signature *sig)
{
    return mbedtls_ecdsa_verify(&sig->group, sig->hash, sig->hash_len,
                                &sig->point, &sig->r, &sig->s);
}

/* number becomes value, which makes the signature wrong, and is put back. */
static void
refuses_with(struct signature *sig, mbedtls_mpi *number,
             const mbedtls_mpi *value)
{
    mbedtls_mpi kept;

    mbedtls_mpi_init(&kept);
    assert_int_equal(mbedtls_mpi_copy(&kept, number), 0);
    assert_int_equal(mbedtls_mpi_copy(number, value), 0);
    assert_int_equal(signature_verify(sig), MBEDTLS_ERR_ECP_VERIFY_FAILED);
    assert_int_equal(mbedtls_mpi_copy(number, &kept), 0);
    mbedtls_mpi_free(&kept);
}

/* 0, -x, n, x + n, x + 1, 2^4000. */
static void
refuses_out_of_range(struct signature *sig, mbedtls_mpi *number)
{
    const mbedtls_mpi *order = &sig->group.N;
    mbedtls_mpi value;

    mbedtls_mpi_init(&value);
    assert_int_equal(mbedtls_mpi_lset(&value, 0), 0);
    refuses_with(sig, number, &value);
    assert_int_equal(mbedtls_mpi_sub_mpi(&value, &value, number), 0);
    refuses_with(sig, number, &value);
    assert_int_equal(mbedtls_mpi_copy(&value, order), 0);
    refuses_with(sig, number, &value);
    assert_int_equal(mbedtls_mpi_add_mpi(&value, number, order), 0);
    refuses_with(sig, number, &value);
    assert_int_equal(mbedtls_mpi_add_int(&value, number, 1), 0);
    refuses_with(sig, number, &value);
    assert_int_equal(mbedtls_mpi_lset(&value, 1), 0);
    assert_int_equal(mbedtls_mpi_shift_l(&value, 4000), 0);
    refuses_with(sig, number, &value);
    mbedtls_mpi_free(&value);
}

static void
check_wrong_signatures(struct signature *sig)
{
    refuses_out_of_range(sig, &sig->r);
    refuses_out_of_range(sig, &sig->s);
    sig->hash[0] ^= 1;
    assert_int_equal(signature_verify(sig), MBEDTLS_ERR_ECP_VERIFY_FAILED);
    sig->hash[0] ^= 1;
    assert_int_equal(signature_verify(sig), 0);
}

static void
check_signature(const struct vector_file *v)
{
    const struct curve *c = curve_named(v->word[1]);
    uint8_t bytes[CRYPTO_POINT];
    struct signature sig;

    signature_init(&sig, c);
    assert_int_equal(vector_bytes(v, 2, bytes, sizeof(bytes)), c->point);
    assert_int_equal(
        mbedtls_ecp_point_read_binary(&sig.group, &sig.point, bytes, c->point),
        0);
    sig.hash_len = vector_bytes(v, 3, sig.hash, sizeof(sig.hash));
    assert_int_equal(vector_bytes(v, 4, bytes, sizeof(bytes)), c->len);
    read_number(c, &sig.r, bytes);
    assert_int_equal(vector_bytes(v, 5, bytes, sizeof(bytes)), c->len);
    read_number(c, &sig.s, bytes);
    assert_int_equal(signature_verify(&sig), 0);
    check_wrong_signatures(&sig);
    signature_free(&sig);
}

static mbedtls_md_type_t
md_named(const char *name)
{
    static const struct {
        const char *name;
        mbedtls_md_type_t type;
    } all[] = {
        { "sha1", MBEDTLS_MD_SHA1 },     { "sha224", MBEDTLS_MD_SHA224 },
        { "sha256", MBEDTLS_MD_SHA256 }, { "sha384", MBEDTLS_MD_SHA384 },
        { "sha512", MBEDTLS_MD_SHA512 },
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i].type;
    fail_msg("unknown hash %s", name);
    return MBEDTLS_MD_NONE;
}

/* In pieces of a length that does not divide a block, the state copied to
 * another context half-way. */
static void
hash_pieces(const mbedtls_md_info_t *info, const uint8_t *msg, size_t len,
            size_t piece, uint8_t *out)
{
    mbedtls_md_context_t a, b;
    size_t at = 0;

    mbedtls_md_init(&a);
    mbedtls_md_init(&b);
    assert_int_equal(mbedtls_md_setup(&a, info, 0), 0);
    assert_int_equal(mbedtls_md_setup(&b, info, 0), 0);
    assert_int_equal(mbedtls_md_starts(&a), 0);
    for (; at + piece <= len / 2; at += piece)
        assert_int_equal(mbedtls_md_update(&a, msg + at, piece), 0);
    assert_int_equal(mbedtls_md_clone(&b, &a), 0);
    assert_int_equal(mbedtls_md_update(&a, (const uint8_t *)"other", 5), 0);
    for (; len - at > piece; at += piece)
        assert_int_equal(mbedtls_md_update(&b, msg + at, piece), 0);
    assert_int_equal(mbedtls_md_update(&b, msg + at, len - at), 0);
    assert_int_equal(mbedtls_md_finish(&b, out), 0);
    mbedtls_md_free(&a);
    mbedtls_md_free(&b);
}

static void
check_hash(const struct vector_file *v, const uint8_t *msg, size_t len,
           size_t digest_word)
{
    const mbedtls_md_info_t *info =
        mbedtls_md_info_from_type(md_named(v->word[1]));
    uint8_t expected[64], got[64];
    const size_t digest_len =
        vector_bytes(v, digest_word, expected, sizeof(expected));

    assert_non_null(info);
    assert_int_equal(mbedtls_md_get_size(info), digest_len);
    assert_int_equal(mbedtls_md(info, msg, len, got), 0);
    assert_memory_equal(got, expected, digest_len);
    hash_pieces(info, msg, len, 7, got);
    assert_memory_equal(got, expected, digest_len);
}

static void
check_short_hash(const struct vector_file *v)
{
    uint8_t msg[CRYPTO_MAX];
    size_t len = 0;

    if (strcmp(v->word[2], "-") != 0)
        len = vector_bytes(v, 2, msg, sizeof(msg));
    check_hash(v, msg, len, 3);
}

static void
check_long_hash(const struct vector_file *v)
{
    uint8_t *msg = malloc(CRYPTO_MILLION);

    assert_non_null(msg);
    memset(msg, 'a', CRYPTO_MILLION);
    check_hash(v, msg, CRYPTO_MILLION, 2);
    free(msg);
}

static void
check_rsa(const struct vector_file *v)
{
    const mbedtls_md_type_t md = md_named(v->word[2]);
    uint8_t n[CRYPTO_MAX], e[CRYPTO_MAX], hash[64], sig[CRYPTO_MAX];
    const size_t n_len = vector_bytes(v, 3, n, sizeof(n));
    const size_t e_len = vector_bytes(v, 4, e, sizeof(e));
    const size_t hash_len = vector_bytes(v, 5, hash, sizeof(hash));
    const bool right = strcmp(v->word[7], "right") == 0;
    mbedtls_rsa_context rsa;

    mbedtls_rsa_init(&rsa);
    assert_int_equal(mbedtls_rsa_set_padding(&rsa,
                                             strcmp(v->word[1], "pss") == 0
                                                 ? MBEDTLS_RSA_PKCS_V21
                                                 : MBEDTLS_RSA_PKCS_V15,
                                             md),
                     0);
    assert_int_equal(mbedtls_rsa_import_raw(&rsa, n, n_len, NULL, 0, NULL, 0,
                                            NULL, 0, e, e_len),
                     0);
    assert_int_equal(vector_bytes(v, 6, sig, sizeof(sig)), n_len);
    assert_int_equal(mbedtls_rsa_pkcs1_verify(&rsa, md, (unsigned int)hash_len,
                                              hash, sig) == 0,
                     right);
    sig[n_len / 2] ^= 1;
    assert_int_not_equal(
        mbedtls_rsa_pkcs1_verify(&rsa, md, (unsigned int)hash_len, hash, sig),
        0);
    /* Not below the modulus. */
    memset(sig, 0xff, n_len);
    assert_int_not_equal(
        mbedtls_rsa_pkcs1_verify(&rsa, md, (unsigned int)hash_len, hash, sig),
        0);
    mbedtls_rsa_free(&rsa);
}

static void
answers_are_those_of_the_standards(void **state)
{
    static const struct {
        const char *word;
        void (*check)(const struct vector_file *v);
    } kinds[] = {
        { "ecdh", check_agreement },  { "ecdsa", check_signature },
        { "hash", check_short_hash }, { "million", check_long_hash },
        { "rsa", check_rsa },
    };
    unsigned count[sizeof(kinds) / sizeof(kinds[0])] = { 0 };
    struct vector_file v;

    (void)state;
    vector_open(&v, "crypto.txt");
    while (vector_next(&v))
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
            if (vector_is(&v, kinds[i].word)) {
                kinds[i].check(&v);
                count[i]++;
            }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        assert_true(count[i] >= 4);
}

/* By mbedTLS's multiplication, which no build replaces: the octets of scalar
 * times point, NULL: times the base. */
static void
multiply(const struct curve *c, const mbedtls_mpi *scalar, const uint8_t *point,
         uint8_t *out)
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point q, product;
    size_t len;

    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&q);
    mbedtls_ecp_point_init(&product);
    assert_int_equal(mbedtls_ecp_group_load(&group, c->id), 0);
    if (point != NULL)
        assert_int_equal(
            mbedtls_ecp_point_read_binary(&group, &q, point, c->point), 0);
    assert_int_equal(mbedtls_ecp_mul(&group, &product, scalar,
                                     point != NULL ? &q : &group.G,
                                     random_bytes, NULL),
                     0);
    assert_int_equal(mbedtls_ecp_point_write_binary(&group, &product,
                                                    MBEDTLS_ECP_PF_UNCOMPRESSED,
                                                    &len, out, CRYPTO_POINT),
                     0);
    assert_int_equal(len, c->point);
    mbedtls_ecp_point_free(&product);
    mbedtls_ecp_point_free(&q);
    mbedtls_ecp_group_free(&group);
}

/* A pair of TLS 1.2. */
static void
make_pair(const struct curve *c, mbedtls_mpi *d, uint8_t *point)
{
    mbedtls_ecp_group group;
    mbedtls_ecp_point q;
    size_t len;

    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&q);
    assert_int_equal(mbedtls_ecp_group_load(&group, c->id), 0);
    assert_int_equal(mbedtls_ecdh_gen_public(&group, d, &q, random_bytes, NULL),
                     0);
    assert_int_equal(mbedtls_ecp_point_write_binary(&group, &q,
                                                    MBEDTLS_ECP_PF_UNCOMPRESSED,
                                                    &len, point, CRYPTO_POINT),
                     0);
    assert_int_equal(len, c->point);
    mbedtls_ecp_point_free(&q);
    mbedtls_ecp_group_free(&group);
}

static void
agree_at_random(const struct curve *c)
{
    uint8_t ours[CRYPTO_POINT], theirs[CRYPTO_POINT], expected[CRYPTO_POINT];
    uint8_t scalar[CRYPTO_POINT], got[CRYPTO_MAX];
    const size_t skip = is_montgomery(c) ? 0 : 1;
    mbedtls_mpi d, other;
    psa_key_id_t id;
    size_t len;

    mbedtls_mpi_init(&d);
    mbedtls_mpi_init(&other);
    make_pair(c, &d, ours);
    make_pair(c, &other, theirs);
    multiply(c, &d, NULL, expected);
    assert_memory_equal(ours, expected, c->point);
    multiply(c, &d, theirs, expected);
    assert_int_equal(is_montgomery(c)
                         ? mbedtls_mpi_write_binary_le(&d, scalar, c->len)
                         : mbedtls_mpi_write_binary(&d, scalar, c->len),
                     0);
    assert_int_equal(agree_on_numbers(c, scalar, theirs, c->point, got), 0);
    assert_memory_equal(got, expected + skip, c->len);
    id = import(c, scalar);
    assert_int_equal(psa_export_public_key(id, got, sizeof(got), &len),
                     PSA_SUCCESS);
    assert_memory_equal(got, ours, c->point);
    assert_int_equal(agree(id, theirs, c->point, got, &len), PSA_SUCCESS);
    assert_memory_equal(got, expected + skip, c->len);
    assert_int_equal(psa_destroy_key(id), PSA_SUCCESS);
    mbedtls_mpi_free(&other);
    mbedtls_mpi_free(&d);
}

static void
agreements_are_those_of_mbedtls(void **state)
{
    (void)state;
    for (size_t i = 0; i < CURVES; i++)
        for (unsigned round = 0; round < CRYPTO_ROUNDS; round++)
            agree_at_random(&curves[i]);
}

static void
sign_at_random(const struct curve *c, size_t hash_len)
{
    struct signature sig;
    mbedtls_mpi d;

    signature_init(&sig, c);
    mbedtls_mpi_init(&d);
    assert_int_equal(
        mbedtls_ecp_gen_keypair(&sig.group, &d, &sig.point, random_bytes, NULL),
        0);
    sig.hash_len = hash_len;
    assert_int_equal(random_bytes(NULL, sig.hash, hash_len), 0);
    assert_int_equal(mbedtls_ecdsa_sign(&sig.group, &sig.r, &sig.s, &d,
                                        sig.hash, hash_len, random_bytes, NULL),
                     0);
    assert_int_equal(signature_verify(&sig), 0);
    check_wrong_signatures(&sig);
    /* Another key. */
    assert_int_equal(
        mbedtls_ecp_gen_keypair(&sig.group, &d, &sig.point, random_bytes, NULL),
        0);
    assert_int_equal(signature_verify(&sig), MBEDTLS_ERR_ECP_VERIFY_FAILED);
    mbedtls_mpi_free(&d);
    signature_free(&sig);
}

static void
signatures_of_mbedtls_are_verified(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIGN_CURVES; i++)
        for (size_t hash_len = 20; hash_len <= 64; hash_len += 11)
            sign_at_random(&curves[i], hash_len);
}

/* Refused by both ways to agree.  PSA then writes random bytes, the other way
 * nothing. */
static void
refuses_peer(const struct curve *c, const uint8_t *peer, size_t len)
{
    static const uint8_t zero[CRYPTO_POINT];
    uint8_t scalar[CRYPTO_POINT], secret[CRYPTO_MAX];
    psa_key_id_t id;
    size_t got = 0;

    memset(scalar, 0x40, sizeof(scalar));
    scalar[0] = is_montgomery(c) ? 0x40 : 0;
    memset(secret, 0, sizeof(secret));
    id = import(c, scalar);
    assert_int_equal(agree(id, peer, len, secret, &got),
                     PSA_ERROR_INVALID_ARGUMENT);
    memset(secret, 0, sizeof(secret));
    assert_int_not_equal(agree_on_numbers(c, scalar, peer, len, secret), 0);
    assert_memory_equal(secret, zero, c->len);
    assert_int_equal(psa_destroy_key(id), PSA_SUCCESS);
}

/* Off the curve, as zero, with a coordinate that is not below p, in another
 * encoding, too short. */
static void
refuses_bad_points(const struct curve *c)
{
    static const uint8_t infinity[1];
    uint8_t point[CRYPTO_POINT];
    mbedtls_mpi d;

    mbedtls_mpi_init(&d);
    make_pair(c, &d, point);
    mbedtls_mpi_free(&d);
    refuses_peer(c, infinity, 1);
    refuses_peer(c, point, c->point - 1);
    refuses_peer(c, point, c->len + 1);
    /* 0: not an encoding; 6 and 7: the hybrid ones. */
    for (uint8_t form = 0; form < 8; form++) {
        point[0] = form;
        if (form != 4)
            refuses_peer(c, point, c->point);
    }
    point[0] = 4;
    point[c->point - 1] ^= 1;
    refuses_peer(c, point, c->point);
    point[c->point - 1] ^= 1;
    memset(point + 1, 0xff, c->len);
    refuses_peer(c, point, c->point);
    memset(point + 1, 0, 2 * c->len);
    refuses_peer(c, point, c->point);
}

static void
points_off_the_curve_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIGN_CURVES; i++)
        refuses_bad_points(&curves[i]);
}

/* RFC 7748 6.1: the points of small order, of which two are not below p. */
static void
a_zero_secret_is_refused(void **state)
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    const struct curve *c = curve_named("x25519");
    uint8_t point[32];

    (void)state;
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        assert_int_equal(from_hex(points[i], point, sizeof(point)), 32);
        refuses_peer(c, point, sizeof(point));
        /* The highest bit is ignored. */
        point[31] |= 0x80;
        refuses_peer(c, point, sizeof(point));
    }
    refuses_peer(c, point, 31);
}

#ifdef TEST_LIBCRYPTO
static bool is_starved;

static void *
libcrypto_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return is_starved ? NULL : malloc(size);
}

static void *
libcrypto_realloc(void *ptr, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return is_starved ? NULL : realloc(ptr, size);
}

static void
libcrypto_free(void *ptr, const char *file, int line)
{
    (void)file;
    (void)line;
    free(ptr);
}

static int
starve(void **state)
{
    (void)state;
    is_starved = true;
    return 0;
}

static int
feed(void **state)
{
    (void)state;
    is_starved = false;
    return 0;
}

/* For the rest of the process, as exit(3) does before the handlers that the
 * program has set earlier. */
static int
shut_down(void **state)
{
    (void)state;
    OPENSSL_cleanup();
    return 0;
}

/* Wrong input is refused in the same way whatever errors the program left in
 * the thread's queue, and they stay. */
static void
errors_of_the_program_change_nothing(void **state)
{
    static const int reasons[] = { ERR_R_MALLOC_FAILURE, ERR_R_INTERNAL_ERROR,
                                   ERR_R_EC_LIB };

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        ERR_raise(ERR_LIB_USER, reasons[i]);
        points_off_the_curve_are_refused(state);
        a_zero_secret_is_refused(state);
        assert_int_equal(ERR_GET_REASON(ERR_get_error()), reasons[i]);
        assert_int_equal(ERR_peek_error(), 0);
    }
}
#endif

static int
start(void **state)
{
    (void)state;
    return flow__engine_init(NULL) == FLOW_OK ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_the_standards),
        cmocka_unit_test(agreements_are_those_of_mbedtls),
        cmocka_unit_test(signatures_of_mbedtls_are_verified),
        cmocka_unit_test(points_off_the_curve_are_refused),
        cmocka_unit_test(a_zero_secret_is_refused),
#ifdef TEST_LIBCRYPTO
        cmocka_unit_test(errors_of_the_program_change_nothing),
        cmocka_unit_test_setup_teardown(answers_are_those_of_the_standards,
                                        starve, feed),
        cmocka_unit_test_setup_teardown(agreements_are_those_of_mbedtls, starve,
                                        feed),
        cmocka_unit_test_setup_teardown(signatures_of_mbedtls_are_verified,
                                        starve, feed),
        cmocka_unit_test_setup_teardown(points_off_the_curve_are_refused,
                                        starve, feed),
        cmocka_unit_test_setup_teardown(a_zero_secret_is_refused, starve, feed),
        cmocka_unit_test_setup(answers_are_those_of_the_standards, shut_down),
#endif
    };

#ifdef TEST_LIBCRYPTO
    /* Before its first allocation. */
    if (CRYPTO_set_mem_functions(libcrypto_malloc, libcrypto_realloc,
                                 libcrypto_free) != 1)
        return 1;
#endif
    return cmocka_run_group_tests(tests, start, NULL);
}
