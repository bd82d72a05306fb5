/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/support/padded.h"
#include "tls/mbedtls/psa.h"
#include "tls/record.h"

/*
 * Input: the suite, a content type, how to split the rest into segments, two
 * bytes of padding, and then bytes that are used three times: as a record of an
 * attacker, as the inside of a record with a valid tag, and as content.
 */

#define HEAD 5

static uint8_t record[FLOW__RECORD_MAX + 64];
static uint8_t out[FLOW__RECORD_MAX + 64];

static struct flow__record_keys
make_keys(const struct flow__suite *suite)
{
    struct flow__record_keys k;
    struct flow__key_material keys;

    memset(&keys, 0x5a, sizeof(keys));
    FUZZ_CHECK(flow__psa_init() == FLOW_OK);
    FUZZ_CHECK(flow__record_init(&k, flow_env_default(), suite, &keys, 1) ==
               FLOW_OK);
    return k;
}

static void
check_opened(const struct flow__record_keys *k, size_t rec_len,
             const struct flow__record_opened *opened)
{
    FUZZ_CHECK(opened->len <= flow__record_room(k, rec_len));
    FUZZ_CHECK(opened->len <= FLOW__RECORD_PLAIN_MAX);
    FUZZ_CHECK(opened->type >= (k->suite->version == 0x0304
                                    ? FLOW__CONTENT_ALERT
                                    : FLOW__CONTENT_CHANGE_CIPHER_SPEC));
    FUZZ_CHECK(opened->type <= FLOW__CONTENT_APPLICATION_DATA);
    FUZZ_CHECK(opened->len > 0 ||
               opened->type == FLOW__CONTENT_APPLICATION_DATA);
}

/* An attacker without keys cannot make a record that opens. */
static void
check_stranger(struct flow__record_keys *k, const uint8_t *data, size_t len)
{
    struct flow__record_opened opened;
    struct flow__fault fault;
    enum flow_status st;

    if (len > sizeof(record))
        return;
    st = flow__record_open(k, data, len, out, &opened, &fault);
    FUZZ_CHECK(st == FLOW_E_PROTO || st == FLOW_E_INVAL);
    FUZZ_CHECK(st != FLOW_E_PROTO || fault.text != NULL);
    FUZZ_CHECK(k->seq == 1);
}

/* A peer that has the keys may put anything inside. */
static void
check_peer(struct flow__record_keys *k, uint8_t type, const uint8_t *data,
           size_t len)
{
    const size_t prefix = flow__record_prefix(k);
    const size_t total = prefix + len + k->suite->tag_len;
    const struct flow_cvec vec = { data, len };
    struct flow__record_opened opened;
    struct flow__fault fault;
    uint8_t nonce[FLOW__AEAD_NONCE];
    uint8_t ad[13] = { [7] = 1 };
    struct flow__aead_seal op = { .nonce = nonce,
                                  .ad = ad,
                                  .ad_len = sizeof(ad),
                                  .in = &vec,
                                  .in_len = len,
                                  .out = record + prefix };

    if (total > sizeof(record))
        return;
    memcpy(nonce, k->keys.iv, sizeof(nonce));
    flow__record_write_header(record, type, total - FLOW__RECORD_HEADER);
    if (k->suite->version == 0x0304) {
        memcpy(ad, record, FLOW__RECORD_HEADER);
        op.ad_len = FLOW__RECORD_HEADER;
    } else {
        flow__record_write_header(ad + 8, type, len);
    }
    if (prefix > FLOW__RECORD_HEADER) {
        memset(record + FLOW__RECORD_HEADER, 0xa5, 8);
        memset(nonce + 4, 0xa5, 8);
    } else {
        nonce[11] ^= 1;
    }
    FUZZ_CHECK(k->provider->seal(k->ctx, &op) == FLOW_OK);
    enum flow_status st =
        flow__record_open(k, record, total, out, &opened, &fault);
    if (st == FLOW_OK) {
        check_opened(k, total, &opened);
        FUZZ_CHECK(memcmp(out, data, opened.len) == 0);
        k->seq--;
        return;
    }
    FUZZ_CHECK(st == FLOW_E_PROTO);
    FUZZ_CHECK(fault.alert != FLOW__ALERT_BAD_RECORD_MAC);
    FUZZ_CHECK(fault.alert != FLOW__ALERT_INTERNAL_ERROR);
}

/* The record that we seal opens again. */
static void
check_ours(struct flow__record_keys *k, const uint8_t *head,
           const uint8_t *data, size_t len)
{
    const size_t cut = len == 0 ? 0 : head[2] % (len + 1);
    const size_t pad =
        k->suite->version == 0x0304 ? (size_t)head[3] << 8 | head[4] : 0;
    struct flow_cvec vec[3] = { { data, cut }, { data + cut, len - cut } };
    const struct flow__record_content content = {
        FLOW__CONTENT_APPLICATION_DATA, vec, 0, len, 0
    };
    struct flow__record_opened opened;
    struct flow__fault fault;
    size_t rec_len;
    enum flow_status st =
        pad > 0 ? padded_seal(k, vec, 2, FLOW__CONTENT_APPLICATION_DATA, pad,
                              record, &rec_len)
                : flow__record_seal(k, &content, record, &rec_len);

    if (len + pad > FLOW__RECORD_PLAIN_MAX) {
        FUZZ_CHECK(st == FLOW_E_INVAL && rec_len == 0);
        return;
    }
    FUZZ_CHECK(st == FLOW_OK);
    k->seq--;
    FUZZ_CHECK(flow__record_open(k, record, rec_len, out, &opened, &fault) ==
               FLOW_OK);
    FUZZ_CHECK(opened.type == FLOW__CONTENT_APPLICATION_DATA);
    FUZZ_CHECK(opened.len == len && memcmp(out, data, len) == 0);
    k->seq--;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t suites = 0;

    if (len < HEAD)
        return 0;
    while (flow__suite_at(suites) != NULL)
        suites++;
    struct flow__record_keys k = make_keys(flow__suite_at(data[0] % suites));
    check_stranger(&k, data + HEAD, len - HEAD);
    check_peer(&k, data[1], data + HEAD, len - HEAD);
    check_ours(&k, data, data + HEAD, len - HEAD);
    flow__record_fini(&k);
    return 0;
}
