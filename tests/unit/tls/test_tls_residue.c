/* SPDX-License-Identifier: ISC */
#include <pthread.h>
#include <sys/mman.h>

#include "tests/unit/tls/bytes.h"
#include "tests/unit/tls/psa.h"

#include <flow/env.h>

#include "tls/record.h"

/*
 * The traces of keys and plaintext in memory after a provider is done with
 * them.  Calls run on a stack of their own, which is searched afterwards;
 * memory of the environment is searched when it is freed.
 */

/* ThreadSanitizer needs a large one. */
#define STACK_SIZE ((size_t)2 * 1024 * 1024)
#define TEXT_MAX   4096
#define BLOCK      16
#define BLOCK_MIN  8 /* of the last one in a text */

/* Each block of these is unique. */
static uint8_t secret_key[32];
static uint8_t text[TEXT_MAX];

/* One call on a stack of its own. */
struct job {
    const struct flow__aead_provider *provider;
    void *ctx;
    enum flow__aead_alg alg;
    size_t key_len;
    bool spills; /* search for the plaintext only */
    size_t len;
    uint8_t *sealed;          /* len bytes and a tag */
    uint8_t stream[TEXT_MAX]; /* the key stream */
    size_t stream_len;
    uint8_t *plain; /* len bytes */
    enum flow_status status;
};

static const uint8_t nonce[FLOW__AEAD_NONCE] = { 1 };
static const uint8_t ad[5] = { 2 };

static void *
run_init(void *arg)
{
    struct job *j = arg;

    j->status = j->provider->init(j->ctx, j->alg, secret_key, j->key_len);
    return NULL;
}

static void *
run_seal(void *arg)
{
    struct job *j = arg;
    const struct flow_cvec vec = { text, j->len };
    const struct flow__aead_seal op = { .nonce = nonce,
                                        .ad = ad,
                                        .ad_len = sizeof(ad),
                                        .in = &vec,
                                        .in_len = j->len,
                                        .out = j->sealed };

    j->status = j->provider->seal(j->ctx, &op);
    return NULL;
}

static void *
run_open(void *arg)
{
    struct job *j = arg;
    const struct flow__aead_open op = { .nonce = nonce,
                                        .ad = ad,
                                        .ad_len = sizeof(ad),
                                        .in = j->sealed,
                                        .in_len =
                                            j->len + flow__aead_tag_len(j->alg),
                                        .out = j->plain };

    j->status = j->provider->open(j->ctx, &op);
    return NULL;
}

/* A copy that the search must find.  AddressSanitizer may move it off the
 * stack. */
__attribute__((no_sanitize("address"))) static void *
run_leak(void *arg)
{
    volatile uint8_t copy[4096];
    struct job *j = arg;

    for (size_t i = 0; i < sizeof(copy); i++)
        copy[i] = text[i];
    j->status = copy[0] == text[0] ? FLOW_OK : FLOW_E_SYS;
    return NULL;
}

static bool
holds(const uint8_t *secret, size_t len, const uint8_t *at)
{
    for (size_t i = 0; i + BLOCK_MIN <= len; i += BLOCK)
        if (at[0] == secret[i] &&
            memcmp(at, secret + i, len - i < BLOCK ? len - i : BLOCK) == 0)
            return true;
    return false;
}

/* Blocks that begin in these bytes, which must not be the last ones of the
 * stack. */
static size_t
blocks_in(const struct job *j, const uint8_t *bytes, size_t len)
{
    size_t found = 0;

    for (size_t i = 0; i < len; i++)
        if (bytes[i] != 0 &&
            (holds(text, j->len, bytes + i) ||
             (!j->spills && (holds(secret_key, j->key_len, bytes + i) ||
                             holds(j->stream, j->stream_len, bytes + i)))))
            found++;
    return found;
}

/* The number of blocks of the key, of the text or of the key stream that are on
 * the stack after a call. */
static size_t
blocks_left(void *(*run)(void *), struct job *j)
{
    static const uint8_t unused[4096];
    uint8_t *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t attr;
    pthread_t thread;
    size_t found = 0;

    assert_true(stack != MAP_FAILED);
    assert_int_equal(pthread_attr_init(&attr), 0);
    assert_int_equal(pthread_attr_setstack(&attr, stack, STACK_SIZE), 0);
    assert_int_equal(pthread_create(&thread, &attr, run, j), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attr);
    for (size_t at = 0; at < STACK_SIZE; at += sizeof(unused))
        if (memcmp(stack + at, unused, sizeof(unused)) != 0)
            found += blocks_in(j, stack + at,
                               at + sizeof(unused) < STACK_SIZE
                                   ? sizeof(unused)
                                   : sizeof(unused) - BLOCK);
    munmap(stack, STACK_SIZE);
    return found;
}

static void
the_search_finds_a_text_that_was_left(void **state)
{
    static struct job j;

    (void)state;
    j.len = TEXT_MAX;
    assert_true(blocks_left(run_leak, &j) > 0);
    assert_int_equal(j.status, FLOW_OK);
}

/* Instrumented code keeps copies of its own on the stack. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_IS_INSTRUMENTED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_IS_INSTRUMENTED 1
#endif

/* A record of one length: sealed, opened, and refused. */
static void
check_length(struct job *j, size_t len)
{
    j->len = len;
    j->sealed = malloc(len + FLOW__AEAD_TAG_MAX);
    j->plain = malloc(len);
    assert_true(j->sealed != NULL && j->plain != NULL);
    j->stream_len = 0;
    assert_int_equal(blocks_left(run_seal, j), 0);
    assert_int_equal(j->status, FLOW_OK);
    for (size_t i = 0; i < len; i++)
        j->stream[i] = j->sealed[i] ^ text[i];
    j->stream_len = len;
    assert_int_equal(blocks_left(run_seal, j), 0);
    assert_int_equal(blocks_left(run_open, j), 0);
    assert_int_equal(j->status, FLOW_OK);
    assert_memory_equal(j->plain, text, len);
    memset(j->plain, 0, len);
    j->sealed[len] ^= 1;
    assert_int_equal(blocks_left(run_open, j), 0);
    assert_int_equal(j->status, FLOW_E_PROTO);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(j->plain[i], 0);
    free(j->sealed);
    free(j->plain);
}

static void
no_key_and_no_text_stays_on_the_stack(void **state)
{
    static const size_t lens[] = { 16, 64, 2047, 2048, 2063, TEXT_MAX };
    static const struct {
        enum flow__aead_alg alg;
        size_t key_len;
    } algs[] = {
        { FLOW__AEAD_AES_GCM, 16 },
        { FLOW__AEAD_AES_GCM, 32 },
        { FLOW__AEAD_CHACHA20_POLY1305, 32 },
        { FLOW__AEAD_AES_CCM, 16 },
    };
    const struct flow__aead_provider *p;

    (void)state;
#ifdef STACK_IS_INSTRUMENTED
    skip();
#endif
    for (size_t i = 0; (p = flow__aead_at(i)) != NULL; i++)
        for (size_t a = 0; a < sizeof(algs) / sizeof(algs[0]); a++) {
            static struct job j;

            j = (struct job){ .provider = p,
                              .alg = algs[a].alg,
                              .key_len = algs[a].key_len };
            /* libcrypto's ChaCha20 leaves key and key stream (decision
             * 0078). */
            j.spills = strcmp(p->name, "libcrypto") == 0 ||
                       strcmp(p->name, "by_length") == 0;

            if (!p->supports(j.alg, j.key_len))
                continue;
            j.ctx = calloc(1, p->ctx_size);
            assert_non_null(j.ctx);
            assert_int_equal(blocks_left(run_init, &j), 0);
            assert_int_equal(j.status, FLOW_OK);
            for (size_t l = 0; l < sizeof(lens) / sizeof(lens[0]); l++)
                check_length(&j, lens[l]);
            p->fini(j.ctx);
            free(j.ctx);
        }
}

/* --- memory that is given back --- */

static size_t given_back;
static size_t not_wiped;

static void
look_and_free(void *ctx, void *ptr, size_t size, size_t align)
{
    const uint8_t *bytes = ptr;
    size_t i = 0;

    (void)ctx;
    while (i < size && bytes[i] == 0)
        i++;
    given_back++;
    if (i < size)
        not_wiped++;
    flow_env_default()->free(flow_env_default()->ctx, ptr, size, align);
}

static void
a_context_is_wiped_before_it_is_given_back(void **state)
{
    static const uint16_t suites[] = { 0x1301, 0x1302, 0x1303, 0x1304 };
    struct flow_env env = *flow_env_default();
    struct flow__key_material keys = { .iv = { 1 } };

    (void)state;
    env.free = look_and_free;
    memcpy(keys.key, secret_key, sizeof(keys.key));
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        struct flow__record_keys k;
        const struct flow__record_keys zero = { 0 };

        given_back = 0;
        not_wiped = 0;
        assert_int_equal(
            flow__record_init(&k, &env, flow__suite_find(suites[i]), &keys, 0),
            FLOW_OK);
        flow__record_rest(&k);
        assert_int_equal(given_back, 1);
        assert_int_equal(not_wiped, 0);
        flow__record_fini(&k);
        assert_memory_equal(&k, &zero, sizeof(k));
    }
}

static void
fill_secrets(void)
{
    uint32_t seed = 7;

    for (size_t i = 0; i < sizeof(secret_key); i++) {
        seed = seed * 1664525u + 1013904223u;
        secret_key[i] = (uint8_t)(seed >> 24 | 1);
    }
    for (size_t i = 0; i < sizeof(text); i++) {
        seed = seed * 1664525u + 1013904223u;
        text[i] = (uint8_t)(seed >> 24 | 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_search_finds_a_text_that_was_left),
        cmocka_unit_test(no_key_and_no_text_stays_on_the_stack),
        cmocka_unit_test(a_context_is_wiped_before_it_is_given_back),
    };

    fill_secrets();
    return cmocka_run_group_tests(tests, start_psa, NULL);
}
