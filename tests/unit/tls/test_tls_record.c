/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/vectors.h"

#include <flow/env.h>

#include <stdlib.h>

#include "tests/support/padded.h"
#include "tls/mbedtls/psa.h"
#include "tls/record.h"

#define DATA  FLOW__CONTENT_APPLICATION_DATA
#define PLAIN FLOW__RECORD_PLAIN_MAX
#define GCM13 0x1301
#define CCM12 0xc0ac

static uint8_t content[PLAIN + 1];
static uint8_t record[FLOW__RECORD_MAX + 64];
static uint8_t opened[FLOW__RECORD_MAX + 64];

/* Both ends of one direction. */
struct ends {
    struct flow__record_keys write;
    struct flow__record_keys read;
};

static void
start_ends(struct ends *e, uint16_t id, uint64_t seq)
{
    const struct flow__suite *suite = flow__suite_find(id);
    struct flow__key_material keys;

    for (size_t i = 0; i < sizeof(keys.key); i++)
        keys.key[i] = (uint8_t)(i * 7 + 1);
    for (size_t i = 0; i < sizeof(keys.iv); i++)
        keys.iv[i] = (uint8_t)(i * 5 + 3);
    assert_int_equal(
        flow__record_init(&e->write, flow_env_default(), suite, &keys, seq),
        FLOW_OK);
    assert_int_equal(
        flow__record_init(&e->read, flow_env_default(), suite, &keys, seq),
        FLOW_OK);
}

static void
end_ends(struct ends *e)
{
    static const struct flow__record_keys none;

    flow__record_fini(&e->write);
    flow__record_fini(&e->read);
    assert_memory_equal(&e->write, &none, sizeof(none));
    flow__record_fini(&e->write);
}

static enum flow_status
seal(struct ends *e, uint8_t type, size_t len, size_t *ret_len)
{
    const struct flow_cvec vec = { content, len };
    const struct flow__record_content c = { type, &vec, 0, len, 0 };

    return flow__record_seal(&e->write, &c, record, ret_len);
}

/* Open a record in memory that ends spare bytes after its content.  If it is
 * refused, the output is unchanged or wiped. */
static enum flow_status
open_with_spare(struct flow__record_keys *k, const uint8_t *rec, size_t len,
                size_t spare, struct flow__record_opened *ret_opened,
                struct flow__fault *fault)
{
    uint8_t *copy = exact_copy(rec, len);
    const size_t room = flow__record_room(k, len);
    const size_t cap = room + spare;
    uint8_t *out = malloc(cap + (cap == 0));
    enum flow_status st;

    assert_non_null(out);
    memset(out, 0xee, cap);
    st = flow__record_open_wide(k, copy, len, out, cap, ret_opened, fault);
    if (st == FLOW_OK)
        memcpy(opened, out, ret_opened->len);
    else
        for (size_t i = 0; i < room; i++)
            assert_true(out[i] == out[0] && (out[0] == 0 || out[0] == 0xee));
    if (spare > 0) {
        assert_true(st == FLOW_OK || out[room] == 0 || out[room] == 0xee);
        assert_int_equal(out[cap - 1], 0xee);
    }
    free(out);
    free(copy);
    return st;
}

/* Open a record in memory that ends with it, and before that with a byte to
 * spare for its type, under a copy of the keys, and another after that. */
static enum flow_status
open_exact(struct flow__record_keys *k, const uint8_t *rec, size_t len,
           struct flow__record_opened *ret_opened, struct flow__fault *fault)
{
    struct flow__record_keys same = *k;
    struct flow__record_opened wide;
    enum flow_status st = FLOW_OK, exact;

    if (k->ctx != NULL)
        st = open_with_spare(&same, rec, len, 2, &wide, fault);
    exact = open_with_spare(k, rec, len, 0, ret_opened, fault);
    if (same.ctx != NULL) {
        assert_int_equal(st, exact);
        assert_int_equal(same.seq, k->seq);
        if (st == FLOW_OK)
            assert_int_equal(wide.len, ret_opened->len);
    }
    return exact;
}

static void
assert_opens(struct ends *e, uint8_t type, size_t rec_len, size_t len)
{
    struct flow__record_opened o;
    struct flow__fault fault;

    assert_int_equal(open_exact(&e->read, record, rec_len, &o, &fault),
                     FLOW_OK);
    assert_int_equal(o.type, type);
    assert_int_equal(o.len, len);
    assert_memory_equal(opened, content, len);
}

static void
assert_refused(struct ends *e, size_t rec_len, enum flow__alert alert)
{
    const uint64_t seq = e->read.seq;
    struct flow__record_opened o;
    struct flow__fault fault;

    assert_int_equal(open_exact(&e->read, record, rec_len, &o, &fault),
                     FLOW_E_PROTO);
    assert_int_equal(fault.alert, alert);
    assert_non_null(fault.text);
    assert_int_equal(e->read.seq, seq);
}

/* Open and seal one record of a vector file, with the keys in e. */
static void
check_vector_record(struct ends *e, const struct vector_file *v, size_t word)
{
    const uint8_t type = (uint8_t)strtoul(v->word[1], NULL, 10);
    static uint8_t want[FLOW__RECORD_MAX];
    size_t len = vector_bytes(v, word, content, sizeof(content));
    size_t want_len = vector_bytes(v, word + 1, want, sizeof(want));
    const size_t prefix = flow__record_prefix(&e->write);
    uint8_t number[8];
    size_t rec_len;

    memcpy(record, want, want_len);
    assert_opens(e, type, want_len, len);
    for (int i = 0; i < 8; i++)
        number[i] = (uint8_t)(e->write.seq >> (56 - 8 * i));
    assert_int_equal(seal(e, type, len, &rec_len), FLOW_OK);
    assert_int_equal(rec_len, want_len);
    /* If the explicit nonce is sent, the peer chose it freely; ours is the
     * sequence number (RFC 5288 3). */
    if (prefix > FLOW__RECORD_HEADER) {
        assert_memory_equal(record + FLOW__RECORD_HEADER, number, 8);
        if (memcmp(want + FLOW__RECORD_HEADER, number, 8) != 0)
            return;
    }
    assert_memory_equal(record, want, want_len);
    e->write.seq--;
    memcpy(record + prefix, content, len);
    assert_int_equal(
        flow__record_seal_in_place(&e->write, type, record, len, 0, &rec_len),
        FLOW_OK);
    assert_int_equal(rec_len, want_len);
    assert_memory_equal(record, want, want_len);
}

static void
rfc8448_records_open_and_seal(void **state)
{
    struct ends e = { 0 };
    struct vector_file v;
    unsigned count = 0;

    (void)state;
    vector_open(&v, "rfc8448.txt");
    while (vector_next(&v)) {
        if (vector_is(&v, "epoch")) {
            struct flow__secret secret = { .hash = FLOW__SHA256 };
            struct flow__key_material keys;
            const struct flow__suite *suite = flow__suite_find(GCM13);

            vector_bytes(&v, 2, secret.bytes, sizeof(secret.bytes));
            assert_int_equal(flow__keys_traffic(suite, &secret, &keys),
                             FLOW_OK);
            end_ends(&e);
            assert_int_equal(flow__record_init(&e.write, flow_env_default(),
                                               suite, &keys, 0),
                             FLOW_OK);
            assert_int_equal(
                flow__record_init(&e.read, flow_env_default(), suite, &keys, 0),
                FLOW_OK);
        } else if (vector_is(&v, "record")) {
            check_vector_record(&e, &v, 2);
            count++;
        }
    }
    end_ends(&e);
    assert_int_equal(count, 27);
}

static void
tls12_records_of_real_sessions_open_and_seal(void **state)
{
    const struct flow__suite *suite = NULL;
    struct ends e = { 0 };
    struct vector_file v;
    unsigned count = 0;

    (void)state;
    vector_open(&v, "tls12.txt");
    while (vector_next(&v)) {
        if (vector_is(&v, "suite")) {
            suite = flow__suite_find((uint16_t)strtoul(v.word[1], NULL, 16));
        } else if (vector_is(&v, "keys")) {
            struct flow__key_material keys = { 0 };

            vector_bytes(&v, 2, keys.key, sizeof(keys.key));
            vector_bytes(&v, 3, keys.iv, sizeof(keys.iv));
            end_ends(&e);
            assert_int_equal(flow__record_init(&e.write, flow_env_default(),
                                               suite, &keys, 0),
                             FLOW_OK);
            assert_int_equal(
                flow__record_init(&e.read, flow_env_default(), suite, &keys, 0),
                FLOW_OK);
        } else if (vector_is(&v, "record")) {
            check_vector_record(&e, &v, 2);
            count++;
        }
    }
    end_ends(&e);
    assert_int_equal(count, 41);
}

/* Every length where that is quick, otherwise every step-th and the limits. */
static void
check_lengths(uint16_t id, size_t step)
{
    struct ends e;
    size_t rec_len;

    start_ends(&e, id, 0);
    for (size_t len = 0; len <= PLAIN; len += len < 70 ? 1 : step) {
        assert_int_equal(seal(&e, DATA, len, &rec_len), FLOW_OK);
        assert_int_equal(rec_len, flow__record_prefix(&e.write) + len +
                                      flow__record_suffix(&e.write));
        assert_opens(&e, DATA, rec_len, len);
    }
    for (size_t len = PLAIN - 17; len <= PLAIN; len++) {
        assert_int_equal(seal(&e, DATA, len, &rec_len), FLOW_OK);
        assert_opens(&e, DATA, rec_len, len);
    }
    assert_int_equal(seal(&e, DATA, PLAIN + 1, &rec_len), FLOW_E_INVAL);
    assert_int_equal(rec_len, 0);
    assert_int_equal(e.write.seq, e.read.seq);
    end_ends(&e);
}

static void
every_length_in_tls13(void **state)
{
    /* Set for valgrind, which is a hundred times as slow. */
    const char *step = getenv("FLOW_TEST_LENGTH_STEP");

    (void)state;
    check_lengths(GCM13, step != NULL ? strtoul(step, NULL, 10) : 1);
}

static void
lengths_of_every_suite(void **state)
{
    const struct flow__suite *s;

    (void)state;
    for (size_t i = 0; (s = flow__suite_at(i)) != NULL; i++)
        check_lengths(s->id, 1021);
}

static void
content_is_gathered_from_any_place_of_a_vector(void **state)
{
    const struct flow_cvec vec[] = {
        { content, 3 }, { NULL, 0 }, { content + 3, 10 }, { content + 13, 300 }
    };
    struct ends e;
    size_t rec_len;

    (void)state;
    start_ends(&e, GCM13, 0);
    for (size_t off = 0; off <= 313; off++)
        for (size_t len = 0; off + len <= 313; len += 1 + len / 3) {
            const struct flow__record_content c = { DATA, vec, off, len, 0 };
            struct flow__record_opened o;
            struct flow__fault fault;

            assert_int_equal(flow__record_seal(&e.write, &c, record, &rec_len),
                             FLOW_OK);
            assert_int_equal(open_exact(&e.read, record, rec_len, &o, &fault),
                             FLOW_OK);
            assert_int_equal(o.len, len);
            assert_memory_equal(opened, content + off, len);
        }
    end_ends(&e);
}

static void
a_record_opens_in_place(void **state)
{
    static const uint16_t ids[] = { GCM13, 0x1303, 0xc02b, 0xcca9, CCM12 };
    struct flow__record_opened o;
    struct flow__fault fault;
    struct ends e;
    size_t rec_len;

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        start_ends(&e, ids[i], 1);
        uint8_t *at = record + flow__record_prefix(&e.read);
        for (size_t len = 0; len < 600; len += 1 + len / 7) {
            assert_int_equal(seal(&e, DATA, len, &rec_len), FLOW_OK);
            assert_int_equal(
                flow__record_open(&e.read, record, rec_len, at, &o, &fault),
                FLOW_OK);
            assert_int_equal(o.len, len);
            assert_memory_equal(at, content, len);
        }
        end_ends(&e);
    }
}

static void
padding_is_stripped_and_bounded(void **state)
{
    static const size_t lens[] = { 0, 1, 2, 15, 16, 17, 1000, PLAIN - 1 };
    struct ends e;
    size_t rec_len;

    (void)state;
    start_ends(&e, GCM13, 0);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct flow_cvec vec[2] = { { content, lens[i] } };

        for (size_t pad = 1; pad <= PLAIN - lens[i];
             pad += pad < 20 || pad > PLAIN - lens[i] - 2 ? 1 : pad / 2) {
            assert_int_equal(
                padded_seal(&e.write, vec, 1, DATA, pad, record, &rec_len),
                FLOW_OK);
            assert_int_equal(rec_len, 5 + lens[i] + 1 + pad + 16);
            assert_opens(&e, DATA, rec_len, lens[i]);
        }
        assert_int_equal(padded_seal(&e.write, vec, 1, DATA, PLAIN - lens[i],
                                     record, &rec_len),
                         FLOW_OK);
        assert_opens(&e, DATA, rec_len, lens[i]);
        assert_int_equal(padded_seal(&e.write, vec, 1, DATA,
                                     PLAIN - lens[i] + 1, record, &rec_len),
                         FLOW_E_INVAL);
    }
    end_ends(&e);
}

/*
 * A record that a peer may send and we never do: any inner bytes under any
 * outer type, with the next sequence number.  inner holds content, type and
 * padding in TLS 1.3, content in TLS 1.2.
 */
static size_t
forge(struct ends *e, uint8_t outer, const uint8_t *inner, size_t len)
{
    struct flow__record_keys *k = &e->write;
    const size_t prefix = flow__record_prefix(k);
    const size_t total = prefix + len + k->suite->tag_len;
    const struct flow_cvec vec = { inner, len };
    uint8_t nonce[12];
    uint8_t ad[13] = { 0 };
    struct flow__aead_seal op = {
        .nonce = nonce,
        .ad = ad,
        .in = &vec,
        .in_len = len,
        .out = record + prefix,
    };

    flow__record_write_header(record, outer, total - FLOW__RECORD_HEADER);
    memcpy(nonce, k->keys.iv, 12);
    if (k->suite->version == 0x0304) {
        memcpy(ad, record, 5);
        op.ad_len = 5;
        nonce[11] ^= (uint8_t)k->seq;
    } else {
        ad[7] = (uint8_t)k->seq;
        flow__record_write_header(ad + 8, outer, len);
        op.ad_len = 13;
        memset(record + 5, 0, 8);
        record[12] = (uint8_t)k->seq;
        memcpy(nonce + 4, record + 5, 8);
    }
    assert_int_equal(k->provider->seal(k->ctx, &op), FLOW_OK);
    return total;
}

static void
what_no_honest_peer_sends_in_tls13(void **state)
{
    static uint8_t inner[PLAIN + 300];
    struct ends e;

    (void)state;
    start_ends(&e, GCM13, 0);
    /* No content type. */
    assert_refused(&e, forge(&e, DATA, NULL, 0),
                   FLOW__ALERT_UNEXPECTED_MESSAGE);
    for (size_t len = 1; len < 40; len++)
        assert_refused(&e, forge(&e, DATA, inner, len),
                       FLOW__ALERT_UNEXPECTED_MESSAGE);
    assert_refused(&e, forge(&e, DATA, inner, PLAIN + 1),
                   FLOW__ALERT_UNEXPECTED_MESSAGE);
    /* Content above the limit, and padding above it. */
    memset(inner, DATA, sizeof(inner));
    assert_refused(&e, forge(&e, DATA, inner, PLAIN + 2),
                   FLOW__ALERT_RECORD_OVERFLOW);
    assert_refused(&e, forge(&e, DATA, inner, PLAIN + 240),
                   FLOW__ALERT_RECORD_OVERFLOW);
    memset(inner + 1, 0, sizeof(inner) - 1);
    assert_refused(&e, forge(&e, DATA, inner, PLAIN + 2),
                   FLOW__ALERT_RECORD_OVERFLOW);
    /* Longer than any record may be. */
    assert_refused(&e, forge(&e, DATA, inner, PLAIN + 241),
                   FLOW__ALERT_RECORD_OVERFLOW);
    /* Every inner type, with and without content. */
    for (unsigned type = 1; type < 256; type++) {
        const bool ok = type >= FLOW__CONTENT_ALERT && type <= DATA;

        content[0] = 1;
        inner[0] = content[0];
        inner[1] = (uint8_t)type;
        size_t len = forge(&e, DATA, inner, 2);
        if (ok) {
            assert_opens(&e, (uint8_t)type, len, 1);
            e.write.seq++;
        } else {
            assert_refused(&e, len, FLOW__ALERT_UNEXPECTED_MESSAGE);
        }
        len = forge(&e, DATA, inner + 1, 1);
        if (type == DATA) {
            assert_opens(&e, DATA, len, 0);
            e.write.seq++;
        } else {
            assert_refused(&e, len, FLOW__ALERT_UNEXPECTED_MESSAGE);
        }
    }
    /* Every other outer type. */
    inner[1] = DATA;
    for (unsigned type = 0; type < 256; type++)
        if (type != DATA)
            assert_refused(&e, forge(&e, (uint8_t)type, inner, 2),
                           FLOW__ALERT_UNEXPECTED_MESSAGE);
    end_ends(&e);
}

static void
what_no_honest_peer_sends_in_tls12(void **state)
{
    static uint8_t inner[PLAIN + 1];
    struct ends e;

    (void)state;
    start_ends(&e, CCM12, 1);
    memcpy(inner, content, sizeof(inner));
    assert_refused(&e, forge(&e, DATA, inner, PLAIN + 1),
                   FLOW__ALERT_RECORD_OVERFLOW);
    for (unsigned type = 0; type < 256; type++) {
        const bool ok =
            type >= FLOW__CONTENT_CHANGE_CIPHER_SPEC && type <= DATA;
        size_t len = forge(&e, (uint8_t)type, inner, 2);

        if (ok) {
            assert_opens(&e, (uint8_t)type, len, 2);
            e.write.seq++;
        } else {
            assert_refused(&e, len, FLOW__ALERT_UNEXPECTED_MESSAGE);
        }
        len = forge(&e, (uint8_t)type, inner, 0);
        if (type == DATA) {
            assert_opens(&e, DATA, len, 0);
            e.write.seq++;
        } else {
            assert_refused(&e, len, FLOW__ALERT_UNEXPECTED_MESSAGE);
        }
    }
    /* Another minor version. */
    forge(&e, DATA, inner, 2);
    record[2] = 1;
    assert_refused(&e, 5 + 8 + 2 + 16, FLOW__ALERT_PROTOCOL_VERSION);
    end_ends(&e);
}

static void
headers_are_checked(void **state)
{
    struct flow__record_header h;
    struct flow__fault fault;

    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        const uint8_t b[5] = { (uint8_t)type, 3, 1, 0x12, 0x34 };
        const bool ok = type >= 20 && type <= 23;

        assert_int_equal(flow__record_parse(b, false, &h, &fault),
                         ok ? FLOW_OK : FLOW_E_PROTO);
        if (!ok)
            assert_int_equal(fault.alert, FLOW__ALERT_UNEXPECTED_MESSAGE);
        assert_int_equal(h.type, type);
        assert_int_equal(h.version, 0x0301);
        assert_int_equal(h.len, 0x1234);
    }
    for (unsigned major = 0; major < 256; major++) {
        const uint8_t b[5] = { 22, (uint8_t)major, 3, 0, 1 };

        assert_int_equal(flow__record_parse(b, true, &h, &fault),
                         major == 3 ? FLOW_OK : FLOW_E_PROTO);
        if (major != 3)
            assert_int_equal(fault.alert, FLOW__ALERT_PROTOCOL_VERSION);
    }
    for (uint32_t len = 0; len < 65536; len++) {
        const uint8_t b[5] = { 23, 3, 3, (uint8_t)(len >> 8), (uint8_t)len };

        for (int protected = 0; protected < 2; protected ++) {
            const bool ok = len <= 16384u + (protected ? 256 : 0);

            assert_int_equal(flow__record_parse(b, protected, &h, &fault),
                             ok ? FLOW_OK : FLOW_E_PROTO);
            if (!ok)
                assert_int_equal(fault.alert, FLOW__ALERT_RECORD_OVERFLOW);
        }
    }
}

static void
every_truncation_and_every_flipped_bit_is_refused(void **state)
{
    static const uint16_t ids[] = { GCM13,  0x1303, 0x1304, 0x1305,
                                    0xc02b, 0xcca9, CCM12,  0xc0ae };
    static uint8_t good[FLOW__RECORD_MAX];
    struct flow__record_opened o;
    struct flow__fault fault;
    struct ends e;
    size_t rec_len;

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        start_ends(&e, ids[i], 3);
        assert_int_equal(seal(&e, DATA, 45, &rec_len), FLOW_OK);
        memcpy(good, record, rec_len);
        for (size_t len = 0; len < rec_len; len++) {
            /* First as it is, then with the length in the header corrected. */
            assert_int_equal(open_exact(&e.read, record, len, &o, &fault),
                             FLOW_E_INVAL);
            if (len < FLOW__RECORD_HEADER)
                continue;
            flow__record_write_header(record, DATA, len - 5);
            assert_refused(&e, len, FLOW__ALERT_BAD_RECORD_MAC);
            memcpy(record, good, rec_len);
        }
        for (size_t bit = 0; bit < rec_len * 8; bit++) {
            record[bit / 8] ^= (uint8_t)(1 << bit % 8);
            enum flow_status st =
                open_exact(&e.read, record, rec_len, &o, &fault);
            record[bit / 8] ^= (uint8_t)(1 << bit % 8);
            /* A length that does not match is a caller's error or an overflow;
             * an invalid type or version may have a status of its own. */
            if (bit / 8 == 3 || bit / 8 == 4)
                assert_true(st == FLOW_E_INVAL || st == FLOW_E_PROTO);
            else
                assert_int_equal(st, FLOW_E_PROTO);
            if (bit / 8 >= 5)
                assert_int_equal(fault.alert, FLOW__ALERT_BAD_RECORD_MAC);
        }
        assert_int_equal(e.read.seq, 3);
        assert_opens(&e, DATA, rec_len, 45);
        end_ends(&e);
    }
}

static void
order_is_part_of_the_protection(void **state)
{
    const struct flow__suite *s;
    static uint8_t first[FLOW__RECORD_MAX];
    size_t first_len;
    size_t rec_len;
    struct ends e;

    (void)state;
    for (size_t i = 0; (s = flow__suite_at(i)) != NULL; i++) {
        start_ends(&e, s->id, 0);
        assert_int_equal(seal(&e, DATA, 20, &first_len), FLOW_OK);
        memcpy(first, record, first_len);
        assert_int_equal(seal(&e, DATA, 20, &rec_len), FLOW_OK);
        assert_refused(&e, rec_len, FLOW__ALERT_BAD_RECORD_MAC);
        memcpy(record, first, first_len);
        assert_opens(&e, DATA, first_len, 20);
        assert_refused(&e, first_len, FLOW__ALERT_BAD_RECORD_MAC);
        end_ends(&e);
    }
}

static void
the_sequence_numbers_do_not_wrap(void **state)
{
    struct ends e;
    size_t rec_len;

    (void)state;
    start_ends(&e, 0xcca9, UINT64_MAX - 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(seal(&e, DATA, 5, &rec_len), FLOW_OK);
        assert_opens(&e, DATA, rec_len, 5);
    }
    memset(record, 0xee, 64);
    assert_int_equal(seal(&e, DATA, 5, &rec_len), FLOW_E_PROTO);
    assert_int_equal(rec_len, 0);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(record[i], 0xee);
    assert_true(e.write.seq == UINT64_MAX);
    e.write.seq = 7;
    assert_int_equal(seal(&e, DATA, 5, &rec_len), FLOW_OK);
    assert_refused(&e, rec_len, FLOW__ALERT_INTERNAL_ERROR);
    end_ends(&e);
}

static void
key_updates_go_hand_in_hand(void **state)
{
    const struct flow__suite *s;
    size_t rec_len;
    struct ends e;

    (void)state;
    for (size_t i = 0; (s = flow__suite_at(i))->version == 0x0304; i++) {
        struct flow__secret write = { .hash = s->hash, .bytes = { 1, 2, 3 } };
        struct flow__secret read = write;
        struct flow__key_material keys;

        assert_int_equal(flow__keys_traffic(s, &write, &keys), FLOW_OK);
        assert_int_equal(
            flow__record_init(&e.write, flow_env_default(), s, &keys, 0),
            FLOW_OK);
        assert_int_equal(
            flow__record_init(&e.read, flow_env_default(), s, &keys, 0),
            FLOW_OK);
        for (int generation = 0; generation < 20; generation++) {
            struct flow__secret want;

            for (int n = 0; n < 3; n++) {
                assert_int_equal(seal(&e, DATA, 33, &rec_len), FLOW_OK);
                assert_opens(&e, DATA, rec_len, 33);
            }
            assert_int_equal(flow__keys_next(&write, &want), FLOW_OK);
            assert_int_equal(flow__record_update(&e.write, &write), FLOW_OK);
            assert_memory_equal(&want, &write, sizeof(want));
            assert_int_equal(e.write.seq, 0);
            assert_int_equal(flow__keys_traffic(s, &want, &keys), FLOW_OK);
            assert_memory_equal(e.write.keys.iv, keys.iv,
                                sizeof(e.write.keys.iv));
            /* The reader's keys are still one generation older. */
            assert_int_equal(seal(&e, DATA, 33, &rec_len), FLOW_OK);
            e.read.seq = 0;
            assert_refused(&e, rec_len, FLOW__ALERT_BAD_RECORD_MAC);
            assert_int_equal(flow__record_update(&e.read, &read), FLOW_OK);
            assert_opens(&e, DATA, rec_len, 33);
        }
        end_ends(&e);
    }
}

/* An environment that runs out of memory when told to. */
struct poor_env {
    struct flow_env env;
    bool empty;
};

static void *
poor_alloc(void *ctx, size_t size, size_t align)
{
    const struct flow_env *rich = flow_env_default();

    if (((struct poor_env *)ctx)->empty)
        return NULL;
    return rich->alloc(rich->ctx, size, align);
}

static void
poor_free(void *ctx, void *ptr, size_t size, size_t align)
{
    const struct flow_env *rich = flow_env_default();

    (void)ctx;
    rich->free(rich->ctx, ptr, size, align);
}

static void
lack_of_memory_changes_nothing(void **state)
{
    static const struct flow__record_keys none;
    struct poor_env poor = { .env = *flow_env_default() };
    const struct flow__suite *s = flow__suite_find(GCM13);
    struct flow__secret secret = { .hash = s->hash, .bytes = { 9 } };
    struct flow__key_material keys;
    struct flow__record_keys k;

    (void)state;
    poor.env.ctx = &poor;
    poor.env.alloc = poor_alloc;
    poor.env.free = poor_free;
    assert_int_equal(flow__keys_traffic(s, &secret, &keys), FLOW_OK);
    poor.empty = true;
    memset(&k, 0xee, sizeof(k));
    assert_int_equal(flow__record_init(&k, &poor.env, s, &keys, 0),
                     FLOW_E_NOMEM);
    assert_memory_equal(&k, &none, sizeof(k));
    poor.empty = false;
    assert_int_equal(flow__record_init(&k, &poor.env, s, &keys, 5), FLOW_OK);
    assert_int_equal(flow__record_update(&k, &secret), FLOW_OK);
    assert_int_equal(k.seq, 0);
    flow__record_fini(&k);
}

/* The cipher context is freed and made again, and the state that records depend
 * on is unchanged. */
static void
keys_may_rest_between_any_two_records(void **state)
{
    static const struct flow__record_keys none;
    struct flow__record_keys unused = none;
    struct ends e;
    size_t rec_len;

    (void)state;
    for (size_t i = 0; flow__suite_at(i) != NULL; i++) {
        start_ends(&e, flow__suite_at(i)->id, 7);
        for (int n = 0; n < 5; n++) {
            flow__record_rest(&e.write);
            flow__record_rest(&e.read);
            assert_null(e.write.ctx);
            flow__record_rest(&e.write);
            assert_int_equal(seal(&e, DATA, 33, &rec_len), FLOW_OK);
            assert_opens(&e, DATA, rec_len, 33);
            assert_int_equal(e.write.seq, 8 + n);
        }
        end_ends(&e);
    }
    flow__record_rest(&unused);
    assert_memory_equal(&unused, &none, sizeof(none));
}

/* If a released key finds no memory for a context, the record is unchanged, in
 * place too, and the next try works. */
static void
keys_that_rest_wait_for_memory(void **state)
{
    struct poor_env poor = { .env = *flow_env_default() };
    struct flow__record_opened told;
    struct flow__key_material keys = { { 1 }, { 2 } };
    struct flow__record_keys k;
    struct flow__fault fault;
    uint8_t rec[200], out[200];
    size_t prefix, len;

    (void)state;
    poor.env.ctx = &poor;
    poor.env.alloc = poor_alloc;
    poor.env.free = poor_free;
    assert_int_equal(
        flow__record_init(&k, &poor.env, flow__suite_find(GCM13), &keys, 5),
        FLOW_OK);
    prefix = flow__record_prefix(&k);
    memcpy(rec + prefix, content, 100);
    flow__record_rest(&k);
    poor.empty = true;
    assert_int_equal(flow__record_seal_in_place(&k, DATA, rec, 100, 0, &len),
                     FLOW_E_NOMEM);
    assert_memory_equal(rec + prefix, content, 100);
    assert_int_equal(k.seq, 5);
    poor.empty = false;
    assert_int_equal(flow__record_seal_in_place(&k, DATA, rec, 100, 0, &len),
                     FLOW_OK);
    flow__record_rest(&k);
    k.seq = 5;
    poor.empty = true;
    assert_int_equal(flow__record_open(&k, rec, len, out, &told, &fault),
                     FLOW_E_NOMEM);
    assert_int_equal(fault.alert, FLOW__ALERT_NONE);
    assert_int_equal(k.seq, 5);
    poor.empty = false;
    assert_int_equal(flow__record_open(&k, rec, len, out, &told, &fault),
                     FLOW_OK);
    assert_memory_equal(out, content, 100);
    flow__record_fini(&k);
}

static void
limits_are_counted(void **state)
{
    struct ends e;
    size_t rec_len;

    (void)state;
    start_ends(&e, GCM13, 0);
    assert_int_equal(flow__record_left(&e.write), 1 << 24);
    e.write.limit = 2;
    assert_int_equal(flow__record_left(&e.write), 2);
    for (uint64_t left = 2; left > 0; left--) {
        assert_int_equal(flow__record_left(&e.write), left);
        assert_int_equal(seal(&e, DATA, 1, &rec_len), FLOW_OK);
    }
    assert_int_equal(flow__record_left(&e.write), 0);
    /* A KeyUpdate itself is still allowed. */
    assert_int_equal(seal(&e, FLOW__CONTENT_HANDSHAKE, 5, &rec_len), FLOW_OK);
    assert_int_equal(flow__record_left(&e.write), 0);
    end_ends(&e);
}

static void
a_lower_limit_of_content_holds(void **state)
{
    struct ends e;
    size_t rec_len;

    (void)state;
    for (int version = 0; version < 2; version++) {
        start_ends(&e, version == 0 ? GCM13 : CCM12, 0);
        e.read.plain_max = 512;
        assert_int_equal(seal(&e, DATA, 513, &rec_len), FLOW_OK);
        assert_int_equal(flow__record_room(&e.read, rec_len), 0);
        assert_refused(&e, rec_len, FLOW__ALERT_RECORD_OVERFLOW);
        e.write.seq = 0;
        assert_int_equal(seal(&e, DATA, 512, &rec_len), FLOW_OK);
        assert_int_equal(flow__record_room(&e.read, rec_len), 512);
        assert_opens(&e, DATA, rec_len, 512);
        end_ends(&e);
    }
}

static int
start(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(content); i++)
        content[i] = (uint8_t)(i * 131 + (i >> 8));
    return flow__psa_init() == FLOW_OK ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_in_tls13),
        cmocka_unit_test(lengths_of_every_suite),
        cmocka_unit_test(content_is_gathered_from_any_place_of_a_vector),
        cmocka_unit_test(a_record_opens_in_place),
        cmocka_unit_test(padding_is_stripped_and_bounded),
        cmocka_unit_test(what_no_honest_peer_sends_in_tls13),
        cmocka_unit_test(what_no_honest_peer_sends_in_tls12),
        cmocka_unit_test(headers_are_checked),
        cmocka_unit_test(every_truncation_and_every_flipped_bit_is_refused),
        cmocka_unit_test(order_is_part_of_the_protection),
        cmocka_unit_test(the_sequence_numbers_do_not_wrap),
        cmocka_unit_test(key_updates_go_hand_in_hand),
        cmocka_unit_test(lack_of_memory_changes_nothing),
        cmocka_unit_test(keys_may_rest_between_any_two_records),
        cmocka_unit_test(keys_that_rest_wait_for_memory),
        cmocka_unit_test(limits_are_counted),
        cmocka_unit_test(a_lower_limit_of_content_holds),
        cmocka_unit_test(rfc8448_records_open_and_seal),
        cmocka_unit_test(tls12_records_of_real_sessions_open_and_seal),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
