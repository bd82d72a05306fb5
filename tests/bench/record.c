/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include <flow/env.h>

#include "tls/mbedtls/psa.h"
#include "tls/record.h"

/*
 * Speed of sealing and opening records, compared with the same work by
 * OpenSSL's EVP with the key set once, for every provider of the build.  Both
 * run alternately in short rounds, and only ratios of neighbouring rounds are
 * reported, which other load disturbs little.
 */

#define ROUNDS     11
#define ROUND_NSEC UINT64_C(4000000)
#define CONTENT    16384

static uint8_t content[CONTENT];
static uint8_t record[FLOW__RECORD_MAX];
static uint8_t work[FLOW__RECORD_MAX];

struct side {
    struct flow__record_keys keys;
    EVP_CIPHER_CTX *seal;
    EVP_CIPHER_CTX *open;
    uint8_t nonce[FLOW__AEAD_NONCE];
    size_t len;
    size_t rec_len;
};

static void
check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench: %s failed\n", what);
    exit(1);
}

static void
ours_seal(struct side *s)
{
    const struct flow_cvec vec = { content, s->len };
    const struct flow__record_content c = { FLOW__CONTENT_APPLICATION_DATA,
                                            &vec, 0, s->len, 0 };

    s->keys.seq = 1;
    check(flow__record_seal(&s->keys, &c, record, &s->rec_len) == FLOW_OK,
          "seal");
}

static void
ours_open(struct side *s)
{
    struct flow__record_opened opened;
    struct flow__fault fault;

    s->keys.seq = 1;
    check(flow__record_open(&s->keys, record, s->rec_len, work, &opened,
                            &fault) == FLOW_OK,
          "open");
}

static void
evp_seal(struct side *s)
{
    static const uint8_t type = FLOW__CONTENT_APPLICATION_DATA;
    uint8_t *out = record + FLOW__RECORD_HEADER;
    int n;

    flow__record_write_header(record, type, s->len + 1 + 16);
    EVP_EncryptInit_ex(s->seal, NULL, NULL, NULL, s->nonce);
    EVP_EncryptUpdate(s->seal, NULL, &n, record, FLOW__RECORD_HEADER);
    EVP_EncryptUpdate(s->seal, out, &n, content, (int)s->len);
    EVP_EncryptUpdate(s->seal, out + s->len, &n, &type, 1);
    EVP_EncryptFinal_ex(s->seal, out + s->len + 1, &n);
    EVP_CIPHER_CTX_ctrl(s->seal, EVP_CTRL_AEAD_GET_TAG, 16, out + s->len + 1);
    s->rec_len = FLOW__RECORD_HEADER + s->len + 1 + 16;
}

static void
evp_open(struct side *s)
{
    const uint8_t *in = record + FLOW__RECORD_HEADER;
    uint8_t type;
    int n;

    EVP_DecryptInit_ex(s->open, NULL, NULL, NULL, s->nonce);
    EVP_DecryptUpdate(s->open, NULL, &n, record, FLOW__RECORD_HEADER);
    EVP_DecryptUpdate(s->open, work, &n, in, (int)s->len);
    EVP_DecryptUpdate(s->open, &type, &n, in + s->len, 1);
    EVP_CIPHER_CTX_ctrl(s->open, EVP_CTRL_AEAD_SET_TAG, 16,
                        record + s->rec_len - 16);
    check(EVP_DecryptFinal_ex(s->open, work, &n) == 1, "EVP open");
}

static EVP_CIPHER_CTX *
evp_ctx(const EVP_CIPHER *cipher, const uint8_t *key, int encrypt)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

    check(c != NULL, "EVP_CIPHER_CTX_new");
    check(EVP_CipherInit_ex(c, cipher, NULL, key, NULL, encrypt) == 1,
          "EVP_CipherInit_ex");
    return c;
}

static void
open_side(struct side *s, uint16_t suite, const EVP_CIPHER *cipher, size_t len)
{
    struct flow__key_material keys;

    memset(&keys, 0x42, sizeof(keys));
    memset(s, 0, sizeof(*s));
    s->len = len;
    check(flow__record_init(&s->keys, flow_env_default(),
                            flow__suite_find(suite), &keys, 1) == FLOW_OK,
          "flow__record_init");
    memcpy(s->nonce, keys.iv, sizeof(s->nonce));
    s->nonce[11] ^= 1;
    s->seal = evp_ctx(cipher, keys.key, 1);
    s->open = evp_ctx(cipher, keys.key, 0);
    /* If the two make different records, the comparison is void. */
    ours_seal(s);
    memcpy(work, record, s->rec_len);
    memset(record, 0, sizeof(record));
    evp_seal(s);
    check(memcmp(work, record, s->rec_len) == 0, "comparison of records");
    ours_open(s);
    check(memcmp(work, content, len) == 0, "comparison of content");
}

static void
close_side(struct side *s)
{
    flow__record_fini(&s->keys);
    EVP_CIPHER_CTX_free(s->seal);
    EVP_CIPHER_CTX_free(s->open);
}

/* Processor time in nanoseconds, so that other processes do not count. */
static uint64_t
cpu_now(void)
{
    struct timespec t;

    check(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0, "clock_gettime");
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* Records per nanosecond in one round. */
static double
round_rate(void (*step)(struct side *s), struct side *s)
{
    const uint64_t start = cpu_now();
    uint64_t count = 0;
    uint64_t now;

    do {
        for (int i = 0; i < 64; i++)
            step(s);
        count += 64;
        now = cpu_now();
    } while (now - start < ROUND_NSEC);
    return (double)count / (double)(now - start);
}

static int
by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Ratios of alternate rounds: the median and the quartiles. */
static void
print_ratio(struct side *s, void (*ours)(struct side *s),
            void (*theirs)(struct side *s))
{
    double ratio[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        const double rate = round_rate(ours, s);

        ratio[i] = rate / round_rate(theirs, s);
    }
    qsort(ratio, ROUNDS, sizeof(ratio[0]), by_size);
    printf("  %5.2f (%.2f-%.2f)", ratio[ROUNDS / 2], ratio[ROUNDS / 4],
           ratio[ROUNDS - 1 - ROUNDS / 4]);
}

/* One provider, with every suite that it supports. */
static void
print_provider(const char *name)
{
    static const size_t lens[] = { 64, 1024, 4096, 16384 };
    const struct {
        uint16_t suite;
        const EVP_CIPHER *cipher;
    } suites[] = {
        { 0x1301, EVP_aes_128_gcm() },
        { 0x1302, EVP_aes_256_gcm() },
        { 0x1303, EVP_chacha20_poly1305() },
    };
    struct side s;

    check(setenv("FLOW_TEST_AEAD", name, 1) == 0, "setenv");
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++)
        for (size_t l = 0; l < sizeof(lens) / sizeof(lens[0]); l++) {
            open_side(&s, suites[i].suite, suites[i].cipher, lens[l]);
            if (strcmp(s.keys.provider->name, name) == 0) {
                printf("%-14s %-28s %6zu", name, s.keys.suite->name, lens[l]);
                print_ratio(&s, ours_seal, evp_seal);
                ours_seal(&s);
                print_ratio(&s, ours_open, evp_open);
                printf("\n");
            }
            close_side(&s);
        }
}

int
main(void)
{
    check(flow__psa_init() == FLOW_OK, "flow__psa_init");
    for (size_t i = 0; i < sizeof(content); i++)
        content[i] = (uint8_t)i;
    printf("records of TLS 1.3 by processor time, ratio to EVP of %s:\n"
           "median (quartiles) of %d rounds\n\n%-14s %-28s %6s  %-17s  %s\n",
           OpenSSL_version(OPENSSL_VERSION), ROUNDS, "by", "suite", "bytes",
           "seal", "open");
    for (size_t i = 0; flow__aead_list[i] != NULL; i++)
        print_provider(flow__aead_list[i]->name);
    return 0;
}
