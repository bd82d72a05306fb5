/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mbedtls/ecp.h>
#include <mbedtls/md.h>
#include <mbedtls/pk.h>
#include <mbedtls/rsa.h>
#include <mbedtls/x509_crt.h>

#ifdef FLOW_MBEDTLS_LIBCRYPTO
#include <openssl/crypto.h>
#endif

#include "lib/plat.h"
#include "pki.h"
#include "test.h"
#include "tls/engine.h"
#include "tls/mbedtls/compat.h"
#include "tls/mbedtls/mbed.h"

/*
 * Private keys once they are ready to sign (flow__mbed_settle_key()): in the
 * bundled build libcrypto signs.  What mbedTLS verifies is what a peer would
 * verify; with another build of mbedTLS nothing changes, and all of this holds
 * as well.  So it does where libcrypto has no algorithms (OPENSSL_CONF and
 * FLOW_TEST_NO_ALGORITHMS): then mbedTLS signs.
 */

#define THREADS 4
#define ROUNDS  25

/* A settled key, and the public one of its certificate. */
struct signer {
    mbedtls_pk_context key;
    mbedtls_x509_crt cert;
    mbedtls_pk_type_t type; /* how it signs */
};

static int
random_bytes(void *ctx, unsigned char *out, size_t len)
{
    (void)ctx;
    return flow__plat_random(out, len) ? 0 : -1;
}

static size_t
read_pem(const char *pair, const char *ending, char *pem, size_t size)
{
    char name[40];
    size_t len;
    FILE *f;

    (void)snprintf(name, sizeof(name), "%s.%s", pair, ending);
    f = fopen(pki(name), "r");
    assert_non_null(f);
    len = fread(pem, 1, size - 1, f);
    (void)fclose(f);
    pem[len] = '\0';
    return len + 1;
}

static void
load(struct signer *s, const char *pair, mbedtls_pk_type_t type)
{
    char pem[8192];
    size_t len;

    s->type = type;
    mbedtls_pk_init(&s->key);
    mbedtls_x509_crt_init(&s->cert);
    assert_status(flow__engine_init(NULL), FLOW_OK);
    len = read_pem(pair, "key", pem, sizeof(pem));
    assert_int_equal(mbedtls_pk_parse_key(&s->key, (uint8_t *)pem, len, NULL, 0,
                                          random_bytes, NULL),
                     0);
    len = read_pem(pair, "pem", pem, sizeof(pem));
    assert_int_equal(mbedtls_x509_crt_parse(&s->cert, (uint8_t *)pem, len), 0);
}

static void
settle(struct signer *s)
{
    assert_int_equal(flow__mbed_settle_key(&s->key), 0);
}

static void
unload(struct signer *s)
{
    mbedtls_pk_free(&s->key);
    mbedtls_x509_crt_free(&s->cert);
}

static int
sign(struct signer *s, mbedtls_md_type_t md, const uint8_t *hash, uint8_t *sig,
     size_t size, size_t *len)
{
    return mbedtls_pk_sign_ext(
        s->type, &s->key, md, hash,
        mbedtls_md_get_size(mbedtls_md_info_from_type(md)), sig, size, len,
        random_bytes, NULL);
}

/* RFC 8446 4.2.3: the salt is as long as the hash. */
static int
verify(struct signer *s, mbedtls_md_type_t md, const uint8_t *hash,
       const uint8_t *sig, size_t len)
{
    const size_t hash_len = mbedtls_md_get_size(mbedtls_md_info_from_type(md));
    const mbedtls_pk_rsassa_pss_options pss = { .mgf1_hash_id = md,
                                                .expected_salt_len =
                                                    (int)hash_len };

    return mbedtls_pk_verify_ext(s->type,
                                 s->type == MBEDTLS_PK_RSASSA_PSS ? &pss : NULL,
                                 &s->cert.pk, md, hash, hash_len, sig, len);
}

static const struct {
    const char *pair;
    mbedtls_pk_type_t type;
} kinds[] = {
    { "p256", MBEDTLS_PK_ECDSA },
    { "p384", MBEDTLS_PK_ECDSA },
    { "rsa", MBEDTLS_PK_RSA },
    { "rsa", MBEDTLS_PK_RSASSA_PSS },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void
check_signatures(struct signer *s)
{
    static const mbedtls_md_type_t mds[] = { MBEDTLS_MD_SHA256,
                                             MBEDTLS_MD_SHA384,
                                             MBEDTLS_MD_SHA512 };
    uint8_t hash[64], sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t len;

    test_fill(hash, sizeof(hash), 1);
    for (size_t i = 0; i < sizeof(mds) / sizeof(mds[0]); i++) {
        assert_int_equal(sign(s, mds[i], hash, sig, sizeof(sig), &len), 0);
        assert_int_equal(verify(s, mds[i], hash, sig, len), 0);
        hash[0] ^= 1;
        assert_int_not_equal(verify(s, mds[i], hash, sig, len), 0);
        hash[0] ^= 1;
        sig[len - 1] ^= 1;
        assert_int_not_equal(verify(s, mds[i], hash, sig, len), 0);
    }
}

static void
settled_keys_sign(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct signer s;

        load(&s, kinds[i].pair, kinds[i].type);
        settle(&s);
        check_signatures(&s);
        /* A second time changes nothing. */
        settle(&s);
        check_signatures(&s);
        unload(&s);
    }
}

static void
a_settled_key_keeps_its_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        enum flow__key_type kind;
        mbedtls_pk_type_t type;
        struct signer s;
        size_t bits;

        load(&s, kinds[i].pair, kinds[i].type);
        kind = flow__mbed_key_type(&s.key);
        type = mbedtls_pk_get_type(&s.key);
        bits = mbedtls_pk_get_bitlen(&s.key);
        settle(&s);
        assert_int_equal(flow__mbed_key_type(&s.key), kind);
        assert_int_equal(mbedtls_pk_get_type(&s.key), type);
        assert_int_equal(mbedtls_pk_get_bitlen(&s.key), bits);
        assert_int_equal(mbedtls_pk_can_do(&s.key, kinds[i].type), 1);
        assert_int_equal(mbedtls_pk_can_do(&s.key, MBEDTLS_PK_ECDSA),
                         kinds[i].type == MBEDTLS_PK_ECDSA);
        unload(&s);
    }
}

/* A short buffer is refused, and what follows it stays as it was. */
static void
a_signature_needs_room(void **state)
{
    uint8_t hash[32] = { 1 }, sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    uint8_t before[sizeof(sig)];
    size_t len;

    (void)state;
    memset(before, 0x5a, sizeof(before));
    for (size_t i = 0; i < KINDS; i++) {
        struct signer s;

        load(&s, kinds[i].pair, kinds[i].type);
        settle(&s);
        memset(sig, 0x5a, sizeof(sig));
        assert_int_not_equal(sign(&s, MBEDTLS_MD_SHA256, hash, sig, 40, &len),
                             0);
        assert_memory_equal(sig + 40, before, sizeof(sig) - 40);
        unload(&s);
    }
}

#ifdef FLOW_MBEDTLS_LIBCRYPTO
static void
skip_without_algorithms(void)
{
    if (getenv("FLOW_TEST_NO_ALGORITHMS") != NULL)
        skip();
}

static void
assert_no_private_rsa(const mbedtls_pk_context *key)
{
    mbedtls_mpi d;

    mbedtls_mpi_init(&d);
    assert_int_not_equal(
        mbedtls_rsa_export(mbedtls_pk_rsa(*key), NULL, NULL, NULL, &d, NULL),
        0);
    mbedtls_mpi_free(&d);
}

static void
assert_no_private_scalar(const mbedtls_pk_context *key)
{
    uint8_t scalar[66];
    size_t len = 0;

    assert_int_not_equal(mbedtls_ecp_write_key_ext(mbedtls_pk_ec(*key), &len,
                                                   scalar, sizeof(scalar)),
                         0);
}

/* The private part is in libcrypto's object only. */
static void
mbedtls_forgets_the_private_part(void **state)
{
    (void)state;
    skip_without_algorithms();
    for (size_t i = 0; i < KINDS; i++) {
        struct signer s;

        load(&s, kinds[i].pair, kinds[i].type);
        settle(&s);
        if (kinds[i].type == MBEDTLS_PK_ECDSA)
            assert_no_private_scalar(&s.key);
        else
            assert_no_private_rsa(&s.key);
        unload(&s);
    }
}
#endif

static atomic_uint wrong;

static void *
sign_and_verify(void *arg)
{
    struct signer *s = arg;
    uint8_t hash[32] = { 7 }, sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    size_t len;

    for (unsigned i = 0; i < ROUNDS; i++) {
        flow__mbed_enter();
        if (sign(s, MBEDTLS_MD_SHA256, hash, sig, sizeof(sig), &len) != 0 ||
            verify(s, MBEDTLS_MD_SHA256, hash, sig, len) != 0)
            atomic_fetch_add(&wrong, 1);
        flow__mbed_leave();
    }
    return NULL;
}

static void
threads_share_a_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        pthread_t thread[THREADS];
        struct signer s;

        load(&s, kinds[i].pair, kinds[i].type);
        settle(&s);
        for (unsigned t = 0; t < THREADS; t++)
            assert_int_equal(
                pthread_create(&thread[t], NULL, sign_and_verify, &s), 0);
        for (unsigned t = 0; t < THREADS; t++)
            assert_int_equal(pthread_join(thread[t], NULL), 0);
        unload(&s);
    }
    assert_int_equal(atomic_load(&wrong), 0);
}

#ifdef FLOW_MBEDTLS_LIBCRYPTO
/* Its first signature of that hash, into sig. */
static void
sign_in_child(struct signer *s, const uint8_t *hash, uint8_t *sig, size_t size)
{
    int fd[2], status;
    size_t len;
    pid_t pid;

    assert_int_equal(pipe(fd), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        bool ok = sign(s, MBEDTLS_MD_SHA256, hash, sig, size, &len) == 0 &&
                  verify(s, MBEDTLS_MD_SHA256, hash, sig, len) == 0 &&
                  write(fd[1], sig, size) == (ssize_t)size;

        _exit(ok ? 0 : 1);
    }
    assert_int_equal(close(fd[1]), 0);
    assert_int_equal(read(fd[0], sig, size), size);
    assert_int_equal(close(fd[0]), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Two signatures with one nonce would give the private key away.  mbedTLS's own
 * signatures are deterministic. */
static void
a_forked_child_signs_with_other_nonces(void **state)
{
    uint8_t hash[32] = { 9 };
    uint8_t sig[3][MBEDTLS_PK_SIGNATURE_MAX_SIZE] = { { 0 } };
    struct signer s;
    size_t len;

    (void)state;
    skip_without_algorithms();
    load(&s, "p256", MBEDTLS_PK_ECDSA);
    settle(&s);
    assert_int_equal(
        sign(&s, MBEDTLS_MD_SHA256, hash, sig[0], sizeof(sig[0]), &len), 0);
    sign_in_child(&s, hash, sig[1], sizeof(sig[1]));
    sign_in_child(&s, hash, sig[2], sizeof(sig[2]));
    assert_int_equal(
        sign(&s, MBEDTLS_MD_SHA256, hash, sig[0], sizeof(sig[0]), &len), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_memory_not_equal(sig[i] + 5, sig[(i + 1) % 3] + 5, 24);
    unload(&s);
}
#endif

#ifdef FLOW_MBEDTLS_LIBCRYPTO
/* exit(3) shuts libcrypto down, before the handlers that the program has set
 * earlier.  A settled key then fails, and a new one is mbedTLS's. */
static void
libcrypto_shuts_down_before_its_users(void **state)
{
    uint8_t hash[32] = { 3 }, sig[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    struct signer settled[KINDS];
    size_t len;

    (void)state;
    skip_without_algorithms();
    for (size_t i = 0; i < KINDS; i++) {
        load(&settled[i], kinds[i].pair, kinds[i].type);
        settle(&settled[i]);
    }
    OPENSSL_cleanup();
    for (size_t i = 0; i < KINDS; i++) {
        struct signer s;

        assert_int_equal(
            sign(&settled[i], MBEDTLS_MD_SHA256, hash, sig, sizeof(sig), &len),
            MBEDTLS_ERR_PK_ALLOC_FAILED);
        unload(&settled[i]);
        load(&s, kinds[i].pair, kinds[i].type);
        settle(&s);
        check_signatures(&s);
        unload(&s);
    }
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(settled_keys_sign),
        TEST(a_settled_key_keeps_its_kind),
        TEST(a_signature_needs_room),
#ifdef FLOW_MBEDTLS_LIBCRYPTO
        TEST(mbedtls_forgets_the_private_part),
        TEST(a_forked_child_signs_with_other_nonces),
#endif
        TEST(threads_share_a_key),
#ifdef FLOW_MBEDTLS_LIBCRYPTO
        TEST(libcrypto_shuts_down_before_its_users), /* the last */
#endif
    };

    return TEST_RUN(tests);
}
