/* SPDX-License-Identifier: ISC */
#include <stdlib.h>
#include <string.h>

#include <flow/tls_session.h>

#include "tests/fuzz/fuzz.h"
#include "tls/config.h"

/*
 * Input: exported sessions, as they are and as the text that was sealed with
 * the right key.  What is imported is exported again and must not differ, and
 * the state of each session is offered to an engine.
 */

static const uint8_t key[FLOW_TLS_SESSIONS_KEY_LEN] = { 7 };
static const uint8_t magic[4] = { 'F', 'T', 'S', '1' };

static struct flow_tls_config *
get_config(void)
{
    static struct flow_tls_config *c;
    static struct flow_tls_sessions *s;

    if (c != NULL)
        return c;
    FUZZ_CHECK(flow_tls_config_new_client(NULL, &c, NULL) == FLOW_OK);
    FUZZ_CHECK(flow_tls_sessions_new(NULL, &s, NULL) == FLOW_OK);
    FUZZ_CHECK(flow_tls_config_set_sessions(c, s, 1, NULL) == FLOW_OK);
    FUZZ_CHECK(flow_tls_config_insecure_skip_verify(c, true) == FLOW_OK);
    FUZZ_CHECK(flow_tls_config_freeze(c, NULL) == FLOW_OK);
    return c;
}

/* The bytes of sessions that were sealed; *ret_len of them, to be freed. */
static uint8_t *
seal(const uint8_t *data, size_t len, size_t *ret_len)
{
    const struct flow__seal_key k = { key, { magic, sizeof(magic) } };
    const struct flow__span text = { data, len };
    uint8_t *out = malloc(sizeof(magic) + FLOW__SEAL_OVERHEAD + len);

    FUZZ_CHECK(out != NULL);
    memcpy(out, magic, sizeof(magic));
    FUZZ_CHECK(flow__engine_seal(&k, text, out + sizeof(magic)) == FLOW_OK);
    *ret_len = sizeof(magic) + FLOW__SEAL_OVERHEAD + len;
    return out;
}

/* Export what was imported from data: the same text. */
static void
compare(struct flow_tls_sessions *s, const uint8_t *data, size_t len)
{
    const struct flow__seal_key k = { key, { magic, sizeof(magic) } };
    size_t cap = sizeof(magic) + FLOW__SEAL_OVERHEAD + len, got;
    uint8_t *out = malloc(cap), *text = malloc(len);
    struct flow__span sealed = { out + sizeof(magic), cap - sizeof(magic) };

    FUZZ_CHECK(out != NULL && text != NULL);
    FUZZ_CHECK(flow_tls_sessions_export(s, key, out, cap, &got) == FLOW_OK);
    FUZZ_CHECK(got == cap);
    FUZZ_CHECK(flow__engine_open(&k, sealed, text) == FLOW_OK);
    FUZZ_CHECK(memcmp(text, data, len) == 0);
    free(text);
    free(out);
}

static void
offer_all(const uint8_t *data, size_t len)
{
    struct flow__span from = { data, len };
    struct flow__span head;
    struct flow__session *s;
    struct flow__engine *e;
    uint16_t suite;

    if (!flow__span_take(&from, 4, &head))
        return;
    while (flow__session_read(flow_env_default(), &from, &s) == FLOW_OK) {
        FUZZ_CHECK(flow__engine_new(get_config()->engine, NULL, 0,
                                    "server.example", NULL, &e) == FLOW_OK);
        (void)!flow__engine_offer(e, s->state, &suite);
        flow__engine_free(e);
        flow__session_free(s);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct flow_tls_sessions *s;
    uint8_t *sealed;
    size_t sealed_len;

    FUZZ_CHECK(flow_tls_sessions_new(NULL, &s, NULL) == FLOW_OK);
    FUZZ_CHECK(flow_tls_sessions_set_limits(s, 4096, SIZE_MAX) == FLOW_OK);
    FUZZ_CHECK(flow_tls_sessions_import(s, key, data, len, NULL) != FLOW_OK);
    sealed = seal(data, len, &sealed_len);
    if (flow_tls_sessions_import(s, key, sealed, sealed_len, NULL) == FLOW_OK)
        compare(s, data, len);
    free(sealed);
    flow_tls_sessions_unref(s);
    offer_all(data, len);
    return 0;
}
