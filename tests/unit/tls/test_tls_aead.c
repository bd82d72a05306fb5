/* SPDX-License-Identifier: ISC */
#include <sys/mman.h>

#include "tests/unit/tls/bytes.h"
#include "tests/unit/tls/psa.h"

#include "tls/aead.h"

#define TEXT_MAX 256

struct vector {
    enum flow__aead_alg alg;
    const char *key;
    const char *nonce;
    const char *ad;
    const char *plain;
    const char *sealed; /* ciphertext and tag */
};

static const struct vector vectors[] = {
    /* RFC 8439 2.8.2 */
    { FLOW__AEAD_CHACHA20_POLY1305,
      "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
      "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
      "4c616469657320616e642047656e746c656d656e206f662074686520636c6173"
      "73206f66202739393a204966204920636f756c64206f6666657220796f75206f"
      "6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73"
      "637265656e20776f756c642062652069742e",
      "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
      "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
      "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
      "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd060"
      "0691" },
    /* The submission of GCM to NIST, test cases 1, 2, 4 and 16 */
    { FLOW__AEAD_AES_GCM, "00000000000000000000000000000000",
      "000000000000000000000000", "", "", "58e2fccefa7e3061367f1d57a4e7455a" },
    { FLOW__AEAD_AES_GCM, "00000000000000000000000000000000",
      "000000000000000000000000", "", "00000000000000000000000000000000",
      "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf" },
    { FLOW__AEAD_AES_GCM, "feffe9928665731c6d6a8f9467308308",
      "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
      "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
      "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc"
      "3221a5db94fae95ae7121a47" },
    { FLOW__AEAD_AES_GCM,
      "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
      "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
      "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece"
      "0f4e1768cddf8853bb2d551b" },
    /* NIST SP 800-38C, example 3 */
    { FLOW__AEAD_AES_CCM_8, "404142434445464748494a4b4c4d4e4f",
      "101112131415161718191a1b", "000102030405060708090a0b0c0d0e0f10111213",
      "202122232425262728292a2b2c2d2e2f3031323334353637",
      "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5484392fbc1b09951" },
    /* Computed with another implementation */
    { FLOW__AEAD_AES_CCM, "404142434445464748494a4b4c4d4e4f",
      "101112131415161718191a1b", "000102030405060708090a0b0c",
      "00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9"
      "e0e7eef5fc030a11181f262d34",
      "c3942d9fcdb1166c8b0a868ab5e1ab4d2130e66f1ce42633c48d5d52ee0ce005"
      "4c910396d62434f81405442473b4120cbd0b619893cca987a5e6a142d0" },
    { FLOW__AEAD_AES_CCM,
      "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f",
      "101112131415161718191a1b", "000102030405060708090a0b0c",
      "00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9"
      "e0e7eef5fc030a11181f262d34",
      "24deaf988bbb0b26fae367d0a639ee676072a852a3a8d973e76033a2da361a34"
      "c603f1ba6519300a5dd3d0dab54986624fc3b05931ca2883e5c8c82a09" },
    { FLOW__AEAD_AES_CCM_8,
      "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f",
      "101112131415161718191a1b", "000102030405060708090a0b0c",
      "00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9"
      "e0e7eef5fc030a11181f262d34",
      "24deaf988bbb0b26fae367d0a639ee676072a852a3a8d973e76033a2da361a34"
      "c603f1ba6519300a5dd3d0dab51770d01968400d68" },
    { FLOW__AEAD_AES_CCM, "404142434445464748494a4b4c4d4e4f",
      "101112131415161718191a1b", "000102030405060708090a0b0c", "",
      "6cdc69ebbb1452d152daf7924cd811a9" },
    { FLOW__AEAD_CHACHA20_POLY1305,
      "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f",
      "101112131415161718191a1b", "000102030405060708090a0b0c", "",
      "4e5a2c474afb9a24b1a601a93c8b4a35" },
};

/* A vector as bytes, with a context of one provider. */
struct setup {
    const struct flow__aead_provider *provider;
    void *ctx;
    uint8_t key[FLOW__AEAD_KEY_MAX];
    size_t key_len;
    uint8_t nonce[FLOW__AEAD_NONCE];
    uint8_t ad[64];
    size_t ad_len;
    uint8_t plain[TEXT_MAX];
    size_t plain_len;
    uint8_t sealed[TEXT_MAX];
    size_t sealed_len;
};

static bool
set_up(struct setup *s, const struct flow__aead_provider *provider,
       const struct vector *v)
{
    memset(s, 0, sizeof(*s));
    s->provider = provider;
    s->key_len = from_hex(v->key, s->key, sizeof(s->key));
    assert_int_equal(from_hex(v->nonce, s->nonce, sizeof(s->nonce)),
                     sizeof(s->nonce));
    s->ad_len = from_hex(v->ad, s->ad, sizeof(s->ad));
    s->plain_len = from_hex(v->plain, s->plain, sizeof(s->plain));
    s->sealed_len = from_hex(v->sealed, s->sealed, sizeof(s->sealed));
    assert_int_equal(s->sealed_len, s->plain_len + flow__aead_tag_len(v->alg));
    if (!provider->supports(v->alg, s->key_len))
        return false;
    s->ctx = calloc(1, provider->ctx_size);
    assert_non_null(s->ctx);
    assert_int_equal(provider->init(s->ctx, v->alg, s->key, s->key_len),
                     FLOW_OK);
    return true;
}

static void
tear_down(struct setup *s)
{
    s->provider->fini(s->ctx);
    for (size_t i = 0; i < s->provider->ctx_size; i++)
        assert_int_equal(((uint8_t *)s->ctx)[i], 0);
    free(s->ctx);
}

static struct flow__aead_seal
seal_op(const struct setup *s, const struct flow_cvec *vec, size_t off,
        size_t in_len, uint8_t *out)
{
    return (struct flow__aead_seal){
        .nonce = s->nonce,
        .ad = s->ad,
        .ad_len = s->ad_len,
        .in = vec,
        .in_off = off,
        .in_len = in_len,
        .tail = s->plain + in_len,
        .tail_len = s->plain_len - in_len,
        .out = out,
    };
}

static struct flow__aead_open
open_op(const struct setup *s, const uint8_t *in, uint8_t *out, uint8_t *tail,
        size_t tail_len)
{
    return (struct flow__aead_open){
        .nonce = s->nonce,
        .ad = s->ad,
        .ad_len = s->ad_len,
        .in = in,
        .in_len = s->sealed_len,
        .out = out,
        .tail = tail,
        .tail_len = tail_len,
    };
}

/* Run a check on every vector with every provider of the build. */
static void
for_each(void (*check)(struct setup *s))
{
    const struct flow__aead_provider *p;
    struct setup s;
    unsigned run = 0;

    for (size_t i = 0; (p = flow__aead_at(i)) != NULL; i++)
        for (size_t v = 0; v < sizeof(vectors) / sizeof(vectors[0]); v++) {
            if (!set_up(&s, p, &vectors[v]))
                continue;
            check(&s);
            tear_down(&s);
            run++;
        }
    assert_true(run >= sizeof(vectors) / sizeof(vectors[0]));
}

/* The input as two segments, cut at every place, after some bytes to skip and
 * an empty segment, with every length of the tail. */
static void
check_seal(struct setup *s)
{
    uint8_t out[TEXT_MAX];
    uint8_t first[TEXT_MAX + 3];

    for (size_t tail = 0; tail <= s->plain_len && tail < 20; tail++)
        for (size_t cut = 0; cut <= s->plain_len - tail; cut++) {
            const struct flow_cvec vec[] = {
                { "x", 1 },
                { first, cut + 3 },
                { NULL, 0 },
                { s->plain + cut, s->plain_len - cut },
            };
            struct flow__aead_seal op =
                seal_op(s, vec, 4, s->plain_len - tail, out);

            memcpy(first + 3, s->plain, cut);
            memset(out, 0xee, sizeof(out));
            assert_int_equal(s->provider->seal(s->ctx, &op), FLOW_OK);
            assert_memory_equal(out, s->sealed, s->sealed_len);
            assert_int_equal(out[s->sealed_len], 0xee);
        }
}

static void
check_seal_in_place(struct setup *s)
{
    uint8_t out[TEXT_MAX];
    const struct flow_cvec vec = { out, s->plain_len };
    const size_t tail = s->plain_len > 0 ? 1 : 0;
    struct flow__aead_seal op = seal_op(s, &vec, 0, s->plain_len - tail, out);

    memcpy(out, s->plain, s->plain_len);
    op.tail = out + s->plain_len - tail;
    assert_int_equal(s->provider->seal(s->ctx, &op), FLOW_OK);
    assert_memory_equal(out, s->sealed, s->sealed_len);
}

static void
check_open(struct setup *s)
{
    uint8_t out[TEXT_MAX];
    uint8_t last[TEXT_MAX];

    for (size_t tail = 0; tail <= s->plain_len; tail++) {
        const size_t head = s->plain_len - tail;
        struct flow__aead_open op = open_op(s, s->sealed, out, last, tail);

        memset(out, 0xee, sizeof(out));
        memset(last, 0xee, sizeof(last));
        assert_int_equal(s->provider->open(s->ctx, &op), FLOW_OK);
        assert_memory_equal(out, s->plain, head);
        assert_int_equal(out[head], 0xee);
        assert_memory_equal(last, s->plain + head, tail);
        assert_int_equal(last[tail], 0xee);
    }
    memcpy(out, s->sealed, s->sealed_len);
    struct flow__aead_open op = open_op(s, out, out, last, 0);
    assert_int_equal(s->provider->open(s->ctx, &op), FLOW_OK);
    assert_memory_equal(out, s->plain, s->plain_len);
}

static void
assert_wiped(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        assert_int_equal(data[i], 0);
}

/* The memory was filled with 0xee: it is unchanged, or wiped. */
static void
assert_nothing_came(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        assert_true(data[i] == data[0] && (data[i] == 0 || data[i] == 0xee));
}

/* Flipping any bit of the input, of the nonce and of the additional data is
 * noticed, and no plaintext of a refused record stays. */
static void
check_forgery(struct setup *s)
{
    uint8_t *const parts[] = { s->sealed, s->nonce, s->ad };
    const size_t lens[] = { s->sealed_len, sizeof(s->nonce), s->ad_len };
    const size_t tail = s->plain_len > 0 ? 1 : 0;

    for (size_t p = 0; p < 3; p++)
        for (size_t bit = 0; bit < lens[p] * 8; bit++) {
            uint8_t out[TEXT_MAX];
            uint8_t last[1] = { 0xee };
            struct flow__aead_open op = open_op(s, s->sealed, out, last, tail);

            memset(out, 0xee, sizeof(out));
            parts[p][bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_equal(s->provider->open(s->ctx, &op), FLOW_E_PROTO);
            parts[p][bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_nothing_came(out, s->plain_len - tail);
            assert_nothing_came(last, tail);
        }
    check_open(s);
}

static void
vectors_are_sealed_from_any_segments(void **state)
{
    (void)state;
    for_each(check_seal);
}

static void
vectors_are_sealed_in_place(void **state)
{
    (void)state;
    for_each(check_seal_in_place);
}

static void
vectors_are_opened(void **state)
{
    (void)state;
    for_each(check_open);
}

static void
forgeries_are_refused_and_wiped(void **state)
{
    (void)state;
    for_each(check_forgery);
}

static void
a_key_of_another_length_is_not_supported(void **state)
{
    const struct flow__aead_provider *p = &flow__aead_psa;
    uint8_t key[FLOW__AEAD_KEY_MAX] = { 0 };
    void *ctx = calloc(1, p->ctx_size);

    (void)state;
    assert_int_equal(p->init(ctx, FLOW__AEAD_AES_GCM, key, 24), FLOW_E_NOTSUP);
    assert_int_equal(p->init(ctx, FLOW__AEAD_CHACHA20_POLY1305, key, 16),
                     FLOW_E_NOTSUP);
    assert_null(flow__aead_find(FLOW__AEAD_AES_CCM, 20));
    assert_non_null(flow__aead_find(FLOW__AEAD_AES_CCM, 32));
    p->fini(ctx);
    free(ctx);
}

/* The provider's place in the build's default order; the number of providers if
 * it is missing. */
static size_t
place_of(const char *name)
{
    size_t i = 0;

    while (flow__aead_list[i] != NULL &&
           strcmp(flow__aead_list[i]->name, name) != 0)
        i++;
    return i;
}

static bool
has_avx512(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512cd") &&
           __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

/* On such machines ipsec-mb is faster than libcrypto for small records, slower
 * for large ones, and always faster than mbedTLS. */
static void
chacha20_without_avx512_depends_on_the_length(void **state)
{
    const size_t narrow = place_of("ipsecmb_narrow");
    const size_t both = place_of("by_length");
    const size_t libcrypto = place_of("libcrypto");

    (void)state;
    if (flow__aead_list[narrow] == NULL || has_avx512())
        skip();
    assert_true(narrow < place_of("mbedtls"));
    if (flow__aead_list[libcrypto] != NULL)
        assert_true(both < libcrypto && libcrypto < narrow);
    for (size_t i = 0; i < narrow; i++)
        assert_int_equal(
            flow__aead_list[i]->supports(FLOW__AEAD_CHACHA20_POLY1305, 32),
            i == both || i == libcrypto);
}

/* By default mbedTLS has 32 key slots for the whole process. */
static void
many_keys_live_at_once(void **state)
{
    enum { KEYS = 200 };
    const struct flow__aead_provider *p = &flow__aead_psa;
    static struct setup s[KEYS];

    (void)state;
    for (size_t i = 0; i < KEYS; i++)
        assert_true(set_up(&s[i], p, &vectors[i % 4]));
    for (size_t i = 0; i < KEYS; i++)
        check_open(&s[i]);
    for (size_t i = 0; i < KEYS; i++)
        tear_down(&s[i]);
}

/* A cipher that copies, and fails at a given piece. */
struct copier {
    unsigned pieces;
    unsigned fail_at; /* piece that fails, from 1; 0: none */
    enum flow_status failure;
};

static enum flow_status
copy_piece(void *state, const uint8_t *in, size_t len, uint8_t *out)
{
    struct copier *c = state;

    assert_true(len > 0);
    if (++c->pieces == c->fail_at)
        return c->failure;
    memmove(out, in, len);
    return FLOW_OK;
}

static void
failed_operations_leave_no_plaintext(void **state)
{
    static const size_t reached[] = { 8, 0, 2, 6 };

    for (unsigned fail_at = 0; fail_at <= 3; fail_at++) {
        uint8_t in[8] = "abcdefgh";
        uint8_t out[9] = { [8] = 0xee };
        const struct flow_cvec vec[] = { { in, 2 }, { in + 2, 4 } };
        const struct flow__aead_seal op = {
            .in = vec, .in_len = 6, .tail = in + 6, .tail_len = 2, .out = out
        };
        struct copier c = { 0, fail_at, FLOW_E_NOMEM };
        size_t written;
        enum flow_status st =
            flow__aead_feed_seal(&op, copy_piece, &c, &written);

        (void)state;
        assert_int_equal(st, fail_at == 0 ? FLOW_OK : FLOW_E_NOMEM);
        assert_int_equal(written, reached[fail_at]);
        assert_int_equal(flow__aead_end_seal(&op, written, st), st);
        if (fail_at == 0)
            assert_memory_equal(out, in, 8);
        else
            assert_wiped(out, 8);
        assert_int_equal(out[8], 0xee);
    }
}

/* An output that overwrote its input cannot be retried. */
static void
lack_of_memory_in_place_is_final_once_bytes_were_written(void **state)
{
    static const struct {
        unsigned fail_at;
        enum flow_status failure;
        enum flow_status seal;
    } table[] = {
        { 1, FLOW_E_NOMEM, FLOW_E_NOMEM },
        { 2, FLOW_E_NOMEM, FLOW_E_SYS },
        { 2, FLOW_E_PROTO, FLOW_E_PROTO },
        { 1, FLOW_E_SYS, FLOW_E_SYS },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint8_t text[8] = "abcdefgh";
        uint8_t tail[2] = { 1, 2 };
        const struct flow_cvec vec = { text, 4 };
        const struct flow__aead_seal seal = { .in = &vec,
                                              .in_len = 4,
                                              .tail = text + 4,
                                              .tail_len = 1,
                                              .out = text };
        const struct flow__aead_open open = {
            .in = text, .in_len = 8, .out = text, .tail = tail, .tail_len = 2
        };
        struct copier c = { 0, table[i].fail_at, table[i].failure };
        size_t written;
        enum flow_status st =
            flow__aead_feed_seal(&seal, copy_piece, &c, &written);

        assert_int_equal(flow__aead_end_seal(&seal, written, st),
                         table[i].seal);
        assert_int_equal(memcmp(text, "abcd", 4) == 0, table[i].fail_at == 1);
        memcpy(text, "abcdefgh", 8);
        c.pieces = 0;
        st = flow__aead_feed_open(&open, 2, copy_piece, &c, &written);
        assert_int_equal(flow__aead_end_open(&open, written, st),
                         table[i].seal);
        assert_int_equal(memcmp(text, "abcd", 4) == 0, table[i].fail_at == 1);
        assert_wiped(tail, 2);
    }
}

/* --- the providers against each other --- */

#define CROSS_MAX   20000
#define CROSS_PAGES (2 * 16384)

/* Memory that ends at an inaccessible page. */
struct edge {
    uint8_t *base;
    uint8_t *end;
};

static struct edge
edge_new(void)
{
    uint8_t *base = mmap(NULL, CROSS_PAGES + 65536, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(base != MAP_FAILED);
    assert_int_equal(mprotect(base + CROSS_PAGES, 65536, PROT_NONE), 0);
    return (struct edge){ base, base + CROSS_PAGES };
}

static uint32_t
next_number(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* A random message with its key, nonce and additional data. */
struct cross {
    uint8_t key[32];
    uint8_t nonce[12];
    uint8_t ad[13];
    size_t ad_len;
    uint8_t plain[CROSS_MAX];
    size_t len;
    size_t tail_len;
    uint8_t sealed[CROSS_MAX + 16]; /* sealed by the first provider */
};

static void
cross_fill(struct cross *c, unsigned round, uint32_t *seed)
{
    for (size_t i = 0; i < sizeof(c->key); i++)
        c->key[i] = (uint8_t)next_number(seed);
    for (size_t i = 0; i < sizeof(c->nonce); i++)
        c->nonce[i] = (uint8_t)next_number(seed);
    for (size_t i = 0; i < sizeof(c->ad); i++)
        c->ad[i] = (uint8_t)next_number(seed);
    /* Every short length first, then random ones. */
    c->len = round < 300 ? round : next_number(seed) % CROSS_MAX;
    c->ad_len = round % 2 == 0 ? 5 : 13;
    c->tail_len = c->len == 0 ? 0 : next_number(seed) % 2;
    for (size_t i = 0; i < c->len; i++)
        c->plain[i] = (uint8_t)next_number(seed);
}

/* Seal from segments that end at inaccessible pages, into memory that does. */
static void
cross_seal(const struct flow__aead_provider *p, void *ctx,
           const struct cross *c, const struct edge *edge, size_t tag_len,
           uint32_t *seed, uint8_t *ret_sealed)
{
    const size_t in_len = c->len - c->tail_len;
    const size_t cut = in_len == 0 ? 0 : next_number(seed) % in_len;
    uint8_t *first = edge[0].end - cut;
    uint8_t *second = edge[1].end - (in_len - cut);
    uint8_t *out = edge[2].end - c->len - tag_len;
    const struct flow_cvec vec[] = { { first, cut }, { second, in_len - cut } };
    const struct flow__aead_seal op = { .nonce = c->nonce,
                                        .ad = c->ad,
                                        .ad_len = c->ad_len,
                                        .in = vec,
                                        .in_len = in_len,
                                        .tail = c->plain + in_len,
                                        .tail_len = c->tail_len,
                                        .out = out };

    memcpy(first, c->plain, cut);
    memcpy(second, c->plain + cut, in_len - cut);
    assert_int_equal(p->seal(ctx, &op), FLOW_OK);
    memcpy(ret_sealed, out, c->len + tag_len);
}

static void
cross_open(const struct flow__aead_provider *p, void *ctx,
           const struct cross *c, const struct edge *edge, size_t tag_len,
           bool in_place)
{
    const size_t head = c->len - c->tail_len;
    uint8_t *in = edge[0].end - c->len - tag_len;
    uint8_t *out = in_place ? in : edge[1].end - head;
    uint8_t tail = 0xee;
    const struct flow__aead_open op = { .nonce = c->nonce,
                                        .ad = c->ad,
                                        .ad_len = c->ad_len,
                                        .in = in,
                                        .in_len = c->len + tag_len,
                                        .out = out,
                                        .tail = &tail,
                                        .tail_len = c->tail_len };

    memcpy(in, c->sealed, c->len + tag_len);
    assert_int_equal(p->open(ctx, &op), FLOW_OK);
    assert_memory_equal(out, c->plain, head);
    assert_int_equal(tail, c->tail_len > 0 ? c->plain[head] : 0xee);
    in[c->len] ^= 1;
    memcpy(in, c->sealed, c->len);
    assert_int_equal(p->open(ctx, &op), FLOW_E_PROTO);
}

/* Every provider of the algorithm seals as the first one does, and opens what
 * it sealed. */
static void
cross_check(struct cross *c, enum flow__aead_alg alg, size_t key_len,
            const struct edge *edge, uint32_t *seed)
{
    const size_t tag_len = flow__aead_tag_len(alg);
    static uint8_t again[CROSS_MAX + 16];
    const struct flow__aead_provider *p;
    bool is_first = true;

    for (size_t i = 0; (p = flow__aead_at(i)) != NULL; i++) {
        void *ctx;

        if (!p->supports(alg, key_len))
            continue;
        ctx = calloc(1, p->ctx_size);
        assert_non_null(ctx);
        assert_int_equal(p->init(ctx, alg, c->key, key_len), FLOW_OK);
        cross_seal(p, ctx, c, edge, tag_len, seed,
                   is_first ? c->sealed : again);
        if (!is_first)
            assert_memory_equal(again, c->sealed, c->len + tag_len);
        cross_open(p, ctx, c, edge, tag_len, false);
        cross_open(p, ctx, c, edge, tag_len, true);
        p->fini(ctx);
        free(ctx);
        is_first = false;
    }
    assert_false(is_first);
}

static void
providers_agree_at_the_edges_of_memory(void **state)
{
    static const struct {
        enum flow__aead_alg alg;
        size_t key_len;
    } algs[] = {
        { FLOW__AEAD_AES_GCM, 16 },           { FLOW__AEAD_AES_GCM, 32 },
        { FLOW__AEAD_CHACHA20_POLY1305, 32 }, { FLOW__AEAD_AES_CCM, 16 },
        { FLOW__AEAD_AES_CCM, 32 },           { FLOW__AEAD_AES_CCM_8, 16 },
    };
    static struct cross c;
    struct edge edge[3] = { edge_new(), edge_new(), edge_new() };
    uint32_t seed = 20;

    (void)state;
    for (unsigned round = 0; round < 400; round++)
        for (size_t a = 0; a < sizeof(algs) / sizeof(algs[0]); a++) {
            cross_fill(&c, round, &seed);
            cross_check(&c, algs[a].alg, algs[a].key_len, edge, &seed);
        }
    for (size_t i = 0; i < 3; i++)
        munmap(edge[i].base, CROSS_PAGES + 65536);
}

/* Seal a random message with a context that has been used before, and open it
 * with the same or with another one. */
static void
chain_check(const struct cross *c, const struct flow__aead_provider *p,
            void *sealing, void *opening, size_t tag_len)
{
    static uint8_t out[CROSS_MAX + 16], back[CROSS_MAX];
    const struct flow_cvec vec = { c->plain, c->len };
    const struct flow__aead_seal seal = { .nonce = c->nonce,
                                          .ad = c->ad,
                                          .ad_len = c->ad_len,
                                          .in = &vec,
                                          .in_len = c->len,
                                          .out = out };
    const struct flow__aead_open open = { .nonce = c->nonce,
                                          .ad = c->ad,
                                          .ad_len = c->ad_len,
                                          .in = out,
                                          .in_len = c->len + tag_len,
                                          .out = back };

    assert_int_equal(p->seal(sealing, &seal), FLOW_OK);
    assert_memory_equal(out, c->sealed, c->len + tag_len);
    out[c->len] ^= 0x80;
    assert_int_equal(p->open(opening, &open), FLOW_E_PROTO);
    out[c->len] ^= 0x80;
    assert_int_equal(p->open(opening, &open), FLOW_OK);
    assert_memory_equal(back, c->plain, c->len);
}

/* Seal with PSA, in a context of this record's alone. */
static void
chain_expect(struct cross *c, enum flow__aead_alg alg, size_t key_len)
{
    const struct flow__aead_provider *p = &flow__aead_psa;
    const struct flow_cvec vec = { c->plain, c->len };
    const struct flow__aead_seal op = { .nonce = c->nonce,
                                        .ad = c->ad,
                                        .ad_len = c->ad_len,
                                        .in = &vec,
                                        .in_len = c->len,
                                        .out = c->sealed };
    void *ctx = calloc(1, p->ctx_size);

    assert_non_null(ctx);
    assert_int_equal(p->init(ctx, alg, c->key, key_len), FLOW_OK);
    assert_int_equal(p->seal(ctx, &op), FLOW_OK);
    p->fini(ctx);
    free(ctx);
}

/* A context of one direction and one of both take the nonce of each record, and
 * keep nothing of the record before, be it a forgery. */
static void
a_context_takes_the_nonce_of_each_record(void **state)
{
    static const struct {
        enum flow__aead_alg alg;
        size_t key_len;
    } algs[] = { { FLOW__AEAD_AES_GCM, 16 },
                 { FLOW__AEAD_AES_GCM, 32 },
                 { FLOW__AEAD_CHACHA20_POLY1305, 32 } };
    /* Around where the providers begin to do it in another way. */
    static const size_t lens[] = { 0,    1,    17,   767,  768,  769,  1023,
                                   1151, 1152, 1153, 2047, 2048, 2049, 16385 };
    enum { LENS = sizeof(lens) / sizeof(lens[0]) };
    static struct cross c;
    const struct flow__aead_provider *p;
    uint8_t key[sizeof(c.key)];
    uint32_t seed = 7;

    (void)state;
    for (size_t a = 0; a < sizeof(algs) / sizeof(algs[0]); a++)
        for (size_t i = 0; (p = flow__aead_at(i)) != NULL; i++) {
            const size_t tag_len = flow__aead_tag_len(algs[a].alg);
            void *ctx[3];

            if (!p->supports(algs[a].alg, algs[a].key_len))
                continue;
            cross_fill(&c, 0, &seed);
            memcpy(key, c.key, sizeof(key));
            for (size_t n = 0; n < 3; n++) {
                ctx[n] = calloc(1, p->ctx_size);
                assert_non_null(ctx[n]);
                assert_int_equal(
                    p->init(ctx[n], algs[a].alg, key, algs[a].key_len),
                    FLOW_OK);
            }
            for (unsigned round = 0; round < 3 * LENS; round++) {
                cross_fill(&c, round, &seed);
                c.len = lens[round * 5 % LENS];
                for (size_t n = 0; n < c.len; n++)
                    c.plain[n] = (uint8_t)next_number(&seed);
                memcpy(c.key, key, sizeof(key));
                chain_expect(&c, algs[a].alg, algs[a].key_len);
                chain_check(&c, p, ctx[0], ctx[1], tag_len);
                chain_check(&c, p, ctx[2], ctx[2], tag_len);
            }
            for (size_t n = 0; n < 3; n++) {
                p->fini(ctx[n]);
                free(ctx[n]);
            }
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_are_sealed_from_any_segments),
        cmocka_unit_test(vectors_are_sealed_in_place),
        cmocka_unit_test(vectors_are_opened),
        cmocka_unit_test(forgeries_are_refused_and_wiped),
        cmocka_unit_test(providers_agree_at_the_edges_of_memory),
        cmocka_unit_test(a_context_takes_the_nonce_of_each_record),
        cmocka_unit_test(a_key_of_another_length_is_not_supported),
        cmocka_unit_test(chacha20_without_avx512_depends_on_the_length),
        cmocka_unit_test(many_keys_live_at_once),
        cmocka_unit_test(failed_operations_leave_no_plaintext),
        cmocka_unit_test(
            lack_of_memory_in_place_is_final_once_bytes_were_written),
    };

    return cmocka_run_group_tests(tests, start_psa, NULL);
}
