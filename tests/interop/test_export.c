/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <flow/pair.h>
#include <flow/tls.h>
#include <flow/tls_export.h>
#include <flow/trace.h>

#include "link.h"
#include "step.h"

/*
 * Secrets that leave a connection, compared with OpenSSL's at its other end:
 * exporters, the channel binding, the key log; and which of them there are
 * without the extended master secret.
 */

#define LABEL "EXPERIMENTAL libflow"

/* What is declared; NULL is not the same as an empty context in TLS 1.2. */
static const struct {
    const char *label;
    const char *context;
    size_t context_len;
    size_t len;
} declared[] = {
    { LABEL, NULL, 0, 20 },
    { LABEL, "", 0, 20 },
    { LABEL, "a\0b", 3, 128 },
    { "EXPORTER_EAP_TLS_Key_Material", "\x0d", 1, 128 },
    { "x", NULL, 0, 1 },
};

#define DECLARED (sizeof(declared) / sizeof(declared[0]))

static void
declare(struct flow_tls_config *c)
{
    for (size_t i = 0; i < DECLARED; i++)
        assert_status(flow_tls_config_add_exporter(
                          c, declared[i].label, declared[i].context,
                          declared[i].context_len, declared[i].len),
                      FLOW_OK);
}

/* Ours is OpenSSL's, and not all zero. */
static void
same_as_peer(struct link *l, struct flow *ours, const char *label,
             const char *context, size_t context_len, size_t len)
{
    static const uint8_t zero[16];
    uint8_t a[8160], b[8160];

    memset(a, 0, sizeof(a));
    assert_status(flow_tls_export(ours, label, context, context_len, a, len),
                  FLOW_OK);
    assert_int_equal(SSL_export_keying_material(l->peer.ssl, b, len, label,
                                                strlen(label),
                                                (const unsigned char *)context,
                                                context_len, context != NULL),
                     1);
    assert_memory_equal(a, b, len);
    if (len >= sizeof(zero))
        assert_memory_not_equal(a, zero, sizeof(zero));
}

static void
declared_values_are_those_of_the_peer(void **state)
{
    struct link l;

    (void)state;
    for (int role = 0; role < 2; role++)
        for (uint32_t v = 0x0303; v <= 0x0304; v++) {
            link_init(&l, role != 0, v);
            link_key(&l, "p256.pem", "p256.key");
            declare(l.config);
            link_open(&l);
            for (size_t i = 0; i < DECLARED; i++)
                same_as_peer(&l, l.ours, declared[i].label, declared[i].context,
                             declared[i].context_len, declared[i].len);
            link_talk(&l);
            same_as_peer(&l, l.ours, LABEL, NULL, 0, 20);
            link_close(&l);
        }
}

/* SHA-384 is the hash of the exporter too. */
static void
every_hash_exports(void **state)
{
    static const struct {
        uint32_t version;
        uint16_t suite;
        const char *name;
    } rows[] = { { 0x0304, 0x1302, "TLS_AES_256_GCM_SHA384" },
                 { 0x0304, 0x1303, "TLS_CHACHA20_POLY1305_SHA256" },
                 { 0x0303, 0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384" } };
    struct link l;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        link_init(&l, true, rows[i].version);
        link_key(&l, "p256.pem", "p256.key");
        assert_status(flow_tls_config_set_suites(l.config, &rows[i].suite, 1),
                      FLOW_OK);
        declare(l.config);
        link_open(&l);
        same_as_peer(&l, l.ours, LABEL, "a\0b", 3, 128);
        link_close(&l);
    }
}

static void
channel_binding_is_the_exporter_of_rfc_9266(void **state)
{
    uint8_t binding[FLOW_TLS_BINDING_LEN], other[FLOW_TLS_BINDING_LEN];
    struct link l;

    (void)state;
    for (uint32_t v = 0x0303; v <= 0x0304; v++) {
        link_init(&l, true, v);
        link_key(&l, "p256.pem", "p256.key");
        assert_status(flow_tls_config_add_channel_binding(l.config), FLOW_OK);
        assert_status(flow_tls_config_add_channel_binding(l.config), FLOW_OK);
        link_open(&l);
        assert_status(flow_tls_get_channel_binding(l.ours, binding), FLOW_OK);
        assert_int_equal(
            SSL_export_keying_material(l.peer.ssl, other, sizeof(other),
                                       "EXPORTER-Channel-Binding", 24,
                                       (const unsigned char *)"", 0, 1),
            1);
        assert_memory_equal(binding, other, sizeof(binding));
        link_close(&l);
    }
}

static void
what_was_not_declared_is_not_exported(void **state)
{
    uint8_t buf[64];
    struct link l;

    (void)state;
    link_init(&l, true, 0);
    link_key(&l, "p256.pem", "p256.key");
    declare(l.config);
    link_start(&l);
    assert_status(flow_tls_export(l.ours, LABEL, NULL, 0, buf, 20), FLOW_AGAIN);
    assert_status(link_handshake(&l), FLOW_OK);
    assert_status(flow_tls_export(l.ours, LABEL, NULL, 0, buf, 20), FLOW_OK);
    assert_status(flow_tls_export(l.ours, LABEL, NULL, 0, buf, 21),
                  FLOW_E_NOTSUP);
    assert_status(flow_tls_export(l.ours, LABEL, "c", 1, buf, 20),
                  FLOW_E_NOTSUP);
    assert_status(flow_tls_export(l.ours, "y", NULL, 0, buf, 1), FLOW_E_NOTSUP);
    assert_status(flow_tls_get_channel_binding(l.ours, buf), FLOW_E_NOTSUP);
    assert_status(flow_tls_export(l.other, LABEL, NULL, 0, buf, 20),
                  FLOW_E_NOTSUP);
    link_close(&l);
}

static void
kept_engine_exports_whatever_is_asked(void **state)
{
    uint8_t buf[8161];
    size_t with, without, len = sizeof(with);
    struct link l;

    (void)state;
    link_make(&l, true, 0);
    assert_status(flow_query(l.ours, FLOW_QUERY_FOOTPRINT, &without, &len),
                  FLOW_OK);
    link_close(&l);
    for (int role = 0; role < 2; role++)
        for (uint32_t v = 0x0303; v <= 0x0304; v++) {
            link_init(&l, role != 0, v);
            link_key(&l, "p256.pem", "p256.key");
            assert_status(flow_tls_config_keep_engine(l.config, true), FLOW_OK);
            declare(l.config);
            link_open(&l);
            link_talk(&l);
            same_as_peer(&l, l.ours, LABEL, "a\0b", 3, 128);
            same_as_peer(&l, l.ours, "EXPORTER-new", NULL, 0, 32);
            same_as_peer(&l, l.ours, "EXPORTER-new", "", 0, 32);
            same_as_peer(&l, l.ours, "EXPORTER-new", "context", 7, 8160);
            assert_status(
                flow_tls_export(l.ours, "EXPORTER-new", NULL, 0, buf, 8161),
                FLOW_E_INVAL);
            assert_status(flow_query(l.ours, FLOW_QUERY_FOOTPRINT, &with, &len),
                          FLOW_OK);
            assert_true(with > without + 30000);
            link_close(&l);
        }
}

static void
declarations_are_checked(void **state)
{
    static const char *const reserved[] = { "client finished",
                                            "server finished", "master secret",
                                            "key expansion",
                                            "extended master secret" };
    static char label[FLOW_TLS_LABEL_MAX + 2];
    static const uint8_t context[FLOW_TLS_CONTEXT_MAX + 1];
    struct flow_tls_config *c;
    uint8_t buf[20];
    struct link l;

    (void)state;
    assert_status(flow_tls_config_new_client(TEST_ENV, &c, NULL), FLOW_OK);
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        assert_status(flow_tls_config_add_exporter(c, reserved[i], NULL, 0, 20),
                      FLOW_E_INVAL);
    memset(label, 'a', sizeof(label) - 1);
    assert_status(flow_tls_config_add_exporter(c, label, NULL, 0, 20),
                  FLOW_E_INVAL);
    assert_status(flow_tls_config_add_exporter(c, label + 1, context,
                                               FLOW_TLS_CONTEXT_MAX, 20),
                  FLOW_OK);
    assert_status(
        flow_tls_config_add_exporter(c, "a", context, sizeof(context), 20),
        FLOW_E_INVAL);
    assert_status(flow_tls_config_add_exporter(c, "", NULL, 0, 20),
                  FLOW_E_INVAL);
    assert_status(flow_tls_config_add_exporter(c, "a\n", NULL, 0, 20),
                  FLOW_E_INVAL);
    assert_status(flow_tls_config_add_exporter(c, "a", NULL, 1, 20),
                  FLOW_E_INVAL);
    assert_status(flow_tls_config_add_exporter(c, "a", NULL, 0, 0),
                  FLOW_E_INVAL);
    assert_status(flow_tls_config_add_exporter(c, "a", NULL, 0, 129),
                  FLOW_E_INVAL);
    for (size_t i = 1; i < FLOW_TLS_EXPORTERS; i++)
        assert_status(flow_tls_config_add_exporter(c, "a", NULL, 0, i),
                      FLOW_OK);
    assert_status(flow_tls_config_add_exporter(c, "a", NULL, 0, 1), FLOW_OK);
    assert_status(flow_tls_config_add_exporter(c, "b", NULL, 0, 1),
                  FLOW_E_INVAL);
    flow_tls_config_unref(c);
    link_make(&l, true, 0);
    assert_status(flow_tls_config_add_exporter(l.config, "a", NULL, 0, 1),
                  FLOW_E_BUSY);
    assert_status(flow_tls_config_keep_engine(l.config, true), FLOW_E_BUSY);
    assert_status(flow_tls_config_insecure_set_key_log(l.config, NULL, NULL),
                  FLOW_E_BUSY);
    assert_status(flow_tls_export(l.ours, "master secret", NULL, 0, buf, 20),
                  FLOW_E_INVAL);
    assert_status(flow_tls_export(l.ours, LABEL, NULL, 0, buf, 0),
                  FLOW_E_INVAL);
    link_close(&l);
}

static void
filter_over_tls_exports_too(void **state)
{
    uint8_t a[20], b[20];
    struct flow *trace;
    struct link l;

    (void)state;
    link_init(&l, false, 0);
    declare(l.config);
    link_open(&l);
    assert_status(flow_tls_export(l.ours, LABEL, NULL, 0, a, 20), FLOW_OK);
    assert_status(flow_trace_wrap(l.ours, NULL, NULL, &trace), FLOW_OK);
    l.ours = trace;
    assert_status(flow_tls_export(l.ours, LABEL, NULL, 0, b, 20), FLOW_OK);
    assert_memory_equal(a, b, sizeof(a));
    link_close(&l);
}

/* --- memory --- */

static uint8_t sought[32];
static unsigned found, freed;

static void (*free_below)(void *ctx, void *ptr, size_t size, size_t align);

static void
search_and_free(void *ctx, void *ptr, size_t size, size_t align)
{
    const uint8_t *at = ptr;

    freed++;
    for (size_t i = 0; ptr != NULL && i + sizeof(sought) <= size; i++)
        found += memcmp(at + i, sought, sizeof(sought)) == 0;
    free_below(ctx, ptr, size, align);
}

static void
exported_values_are_wiped(void **state)
{
    struct link l;

    (void)state;
    link_init(&l, true, 0);
    link_key(&l, "p256.pem", "p256.key");
    assert_status(flow_tls_config_add_exporter(l.config, LABEL, NULL, 0, 32),
                  FLOW_OK);
    link_open(&l);
    assert_status(flow_tls_export(l.ours, LABEL, NULL, 0, sought, 32), FLOW_OK);
    found = freed = 0;
    free_below = test_env.env.free;
    test_env.env.free = search_and_free;
    link_close(&l);
    test_env.env.free = free_below;
    assert_true(freed > 0);
    assert_int_equal(found, 0);
}

/* --- the extended master secret --- */

static void
clients_without_extended_master_secret_need_an_insecure_setting(void **state)
{
    struct flow_tls_config *c;
    uint8_t buf[20];
    struct link l;

    (void)state;
    assert_status(flow_tls_config_new_client(TEST_ENV, &c, NULL), FLOW_OK);
    assert_status(flow_tls_config_insecure_skip_extended_master(c, true),
                  FLOW_E_NOTSUP);
    flow_tls_config_unref(c);
    for (int keep = 0; keep < 2; keep++) {
        link_init(&l, true, 0x0303);
        link_key(&l, "p256.pem", "p256.key");
        SSL_CTX_set_options(l.peer.ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
        assert_status(
            flow_tls_config_insecure_skip_extended_master(l.config, true),
            FLOW_OK);
        assert_status(flow_tls_config_keep_engine(l.config, keep != 0),
                      FLOW_OK);
        declare(l.config);
        link_open(&l);
        assert_status(
            flow_tls_config_insecure_skip_extended_master(l.config, false),
            FLOW_E_BUSY);
        assert_int_equal(SSL_get_extms_support(l.peer.ssl), 0);
        link_talk(&l);
        /* RFC 7627 5.4: another connection may have the same value. */
        assert_status(flow_tls_export(l.ours, LABEL, NULL, 0, buf, 20),
                      FLOW_E_NOTSUP);
        link_close(&l);
    }
}

/* A client that has it uses it, whatever is accepted of others. */
static void
insecure_setting_changes_nothing_for_other_clients(void **state)
{
    struct link l;

    (void)state;
    link_init(&l, true, 0x0303);
    link_key(&l, "p256.pem", "p256.key");
    assert_status(flow_tls_config_insecure_skip_extended_master(l.config, true),
                  FLOW_OK);
    declare(l.config);
    link_open(&l);
    assert_int_equal(SSL_get_extms_support(l.peer.ssl), 1);
    same_as_peer(&l, l.ours, LABEL, NULL, 0, 20);
    link_close(&l);
}

/* --- the key log --- */

struct lines {
    char line[16][256];
    size_t count;
};

static struct lines ours, theirs;

static void
keep_line(struct lines *l, const char *line)
{
    assert_true(l->count < 16);
    assert_true(strlen(line) < sizeof(l->line[0]));
    snprintf(l->line[l->count++], sizeof(l->line[0]), "%s", line);
}

static void
on_our_line(void *user, const char *line)
{
    keep_line(user, line);
}

/* mbedTLS does not tell the exporter secret. */
static void
on_their_line(const SSL *ssl, const char *line)
{
    (void)ssl;
    if (strncmp(line, "EXPORTER_SECRET ", 16) != 0)
        keep_line(&theirs, line);
}

static int
compare_lines(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void
sort_lines(struct lines *l)
{
    qsort(l->line, l->count, sizeof(l->line[0]), compare_lines);
}

static void
key_log_is_that_of_the_peer(void **state)
{
    struct link l;

    (void)state;
    for (int role = 0; role < 2; role++)
        for (uint32_t v = 0x0303; v <= 0x0304; v++) {
            ours.count = theirs.count = 0;
            link_init(&l, role != 0, v);
            link_key(&l, "p256.pem", "p256.key");
            assert_status(flow_tls_config_insecure_set_key_log(
                              l.config, on_our_line, &ours),
                          FLOW_OK);
            SSL_CTX_set_keylog_callback(l.peer.ctx, on_their_line);
            link_open(&l);
            link_talk(&l);
            assert_int_equal(ours.count, v == 0x0304 ? 4 : 1);
            assert_int_equal(theirs.count, ours.count);
            sort_lines(&ours);
            sort_lines(&theirs);
            for (size_t i = 0; i < ours.count; i++)
                assert_string_equal(ours.line[i], theirs.line[i]);
            link_close(&l);
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(declared_values_are_those_of_the_peer),
        TEST(every_hash_exports),
        TEST(channel_binding_is_the_exporter_of_rfc_9266),
        TEST(what_was_not_declared_is_not_exported),
        TEST(kept_engine_exports_whatever_is_asked),
        TEST(declarations_are_checked),
        TEST(filter_over_tls_exports_too),
        TEST(exported_values_are_wiped),
        TEST(clients_without_extended_master_secret_need_an_insecure_setting),
        TEST(insecure_setting_changes_nothing_for_other_clients),
        TEST(key_log_is_that_of_the_peer),
    };

    return TEST_RUN(tests);
}
