/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "lie.h"
#include "test.h"

/* Which version a server selects, and from which fields of the ClientHello. */

/* The version of our answer; 0 if there is no ServerHello. */
static uint16_t
version_answered(const struct evil *e)
{
    struct evil_record r = { .type = e->loop.out[0] };
    size_t at;

    r.len = (size_t)(e->loop.out[3] << 8 | e->loop.out[4]);
    memcpy(r.content, e->loop.out + 5, r.len);
    if (!is_message(&r, SERVER_HELLO))
        return 0;
    at = extension(&r, 43);
    if (at == 0)
        return 0x0303;
    return (uint16_t)(r.content[at + 4] << 8 | r.content[at + 5]);
}

static void
older_version_first(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CLIENT_HELLO))
        into_list(r, 43, 1, "\3\3", 2);
}

static void
unknown_versions_around(struct evil *e, struct evil_record *r)
{
    older_version_first(e, r);
    if (is_message(r, CLIENT_HELLO))
        into_list(r, 43, 1, "\x7a\x7a\3\2", 4);
}

/* Only the extension counts (RFC 8446 4.2.1). */
static void
only_the_older_version(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CLIENT_HELLO))
        put_extension(r, 43, "\2\3\3", 3);
}

/* We select the highest version, whatever the client's order: a client of TLS
 * 1.3 would take TLS 1.2 for a downgrade attack (RFC 8446 4.1.3). */
static void
highest_version_is_selected_in_any_order(void **state)
{
    static const struct {
        int offers;
        void (*edit)(struct evil *e, struct evil_record *r);
        uint16_t answer;
    } table[] = {
        { 0x0304, older_version_first, 0x0304 },
        { 0x0304, unknown_versions_around, 0x0304 },
        { 0x0303, only_the_older_version, 0x0303 },
        { 0x0303, NULL, 0x0303 },
    };
    static struct evil evil;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        evil_init(&evil, true, table[i].offers);
        with_both_versions(&evil);
        evil.edit = table[i].edit;
        evil_start(&evil);
        evil_run(&evil);
        assert_int_equal(version_answered(&evil), table[i].answer);
        evil_free(&evil);
    }
}

/* RFC 8446 4.1.3: a server of both versions marks TLS 1.2. */
static void
tls12_is_marked_as_a_downgrade(void **state)
{
    static struct evil evil;

    (void)state;
    evil_init(&evil, true, 0x0303);
    with_both_versions(&evil);
    evil_start(&evil);
    evil_run(&evil);
    assert_memory_equal(evil.loop.out + 5 + 4 + 2 + 24, "DOWNGRD\1", 8);
    evil_free(&evil);
}

static void
legacy_version_above(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CLIENT_HELLO))
        r->content[5] = 4;
}

static void
legacy_version_below(struct evil *e, struct evil_record *r)
{
    (void)e;
    if (is_message(r, CLIENT_HELLO))
        r->content[5] = 1;
}

/*
 * Limits of the engine that no layer above can lift, since the hellos are
 * hashed as they are (docs/tls.md): legacy_version is ignored beside
 * supported_versions (RFC 8446 4.2.1), and one above TLS 1.2 means TLS 1.2
 * without the extension (RFC 5246 E.1).  This test fails once the engine can do
 * it.
 */
static void
engine_ignores_legacy_versions(void **state)
{
    static const struct lie lies[] = {
        { "0x0304 beside supported_versions", true, 0x0304,
          legacy_version_above, 70, PLAIN, with_both_versions },
        { "0x0301 beside supported_versions", true, 0x0304,
          legacy_version_below, 70, PLAIN, with_both_versions },
        { "0x0304 without supported_versions", true, 0x0303,
          legacy_version_above, 70, PLAIN, with_both_versions },
        { "0x0304 to a server of TLS 1.2", true, 0x0303, legacy_version_above,
          70, PLAIN, NULL },
    };

    (void)state;
    LIES(lies);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(highest_version_is_selected_in_any_order),
        TEST(tls12_is_marked_as_a_downgrade),
        TEST(engine_ignores_legacy_versions),
    };

    return TEST_RUN(tests);
}
