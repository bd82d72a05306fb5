/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <string.h>

#include "junk.h"
#include "test.h"

/*
 * Malformed records and records out of order: before, during and after the
 * handshake, sent to our server and to our client.
 */

/* More records than we accept. */
#define FLOOD 200

static struct evil evil;

static const uint8_t zeros[CIPHER_MAX];

static void
check_received(const struct junk *j)
{
    struct flow_error err;

    flow_get_error(evil.ours, FLOW_READ, &err);
    if (err.alert_received != j->received) {
        print_error("%s: alert received is %d, not %d\n", j->name,
                    err.alert_received, j->received);
        evil_wrong++;
    }
}

/* --- before the handshake --- */

static void
first_record(const struct junk *j, bool we_serve)
{
    guard_case(j->name);
    evil_init(&evil, we_serve, 0x0304);
    evil_start(&evil);
    /* The client speaks first. */
    evil.status = flow_open(evil.ours);
    assert_status(evil.status, FLOW_AGAIN);
    evil_plain(&evil, j->type, j->content, j->len);
    evil.status = flow_open(evil.ours);
    evil_refused(&evil, FLOW_E_PROTO, j->alert, PLAIN);
    check_received(j);
    assert_true(evil.loop.out_len < 1024);
    evil_free(&evil);
}

static void
records_before_the_handshake_get_their_alert(void **state)
{
    static const struct junk junk[] = {
        { "type 0", 0, "x", 1, 10, -1 },
        { "type 19", 19, "x", 1, 10, -1 },
        { "change_cipher_spec", CCS, "\1", 1, 10, -1 },
        { "fatal alert", ALERT, "\2\50", 2, -1, 40 },
        { "close_notify", ALERT, "\1\0", 2, -1, 0 },
        { "empty alert", ALERT, "", 0, 50, -1 },
        { "half an alert", ALERT, "\2", 1, 50, -1 },
        { "two alerts", ALERT, "\2\50\2\50", 4, 50, -1 },
        { "empty handshake", MESSAGE, "", 0, 10, -1 },
        { "Finished", MESSAGE, "\24\0\0\1x", 5, 10, -1 },
        { "KeyUpdate", MESSAGE, "\30\0\0\1\0", 5, 10, -1 },
        { "message of 16 MB", MESSAGE, "\1\377\377\377x", 5, 50, -1 },
        { "application data", BYTES, "hello", 5, 10, -1 },
        { "empty application data", BYTES, "", 0, 10, -1 },
        { "heartbeat", HEARTBEAT, "\1\0\1x", 4, 10, -1 },
        { "type 128", 128, "x", 1, 10, -1 },
        { "type 255", 255, "x", 1, 10, -1 },
    };
    size_t i;

    (void)state;
    evil_wrong = 0;
    for (i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
        first_record(&junk[i], true);
        first_record(&junk[i], false);
    }
    assert_int_equal(evil_wrong, 0);
}

static void
other_protocols_are_reported_as_not_tls(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
        int alert;
    } first[] = {
        { "HTTP", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, 10 },
        { "SMTP", "220 mail.example ESMTP\r\n", 24, 10 },
        { "SSH", "SSH-2.0-OpenSSH_9.2\r\n", 21, 10 },
        { "SSL 2.0", "\200\56\1\0\2\0\25\0\0\0\20", 11, 10 },
        { "major version 4", "\26\4\0\0\1x", 6, 70 },
        { "record of 16,385 bytes", "\26\3\1\100\1", 5, 22 },
        { "record of 65,535 bytes", "\26\3\1\377\377", 5, 22 },
    };
    size_t i;

    (void)state;
    evil_wrong = 0;
    for (i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
        guard_case(first[i].name);
        evil_init(&evil, true, 0x0304);
        evil_start(&evil);
        evil_raw(&evil, first[i].bytes, first[i].len);
        /* Refused when the header is complete, whatever it announces. */
        evil.status = flow_open(evil.ours);
        evil_refused(&evil, FLOW_E_PROTO, first[i].alert, PLAIN);
        if (strstr(evil_text(&evil), "does not speak TLS") == NULL) {
            print_error("%s: %s\n", first[i].name, evil_text(&evil));
            evil_wrong++;
        }
        evil_free(&evil);
    }
    assert_int_equal(evil_wrong, 0);
}

/* --- in the handshake --- */

enum where { IN_CLEAR, SEALED };

static const struct junk *inserted;
static enum where inserted_how;
static unsigned inserted_times;

/* Before the peer's Finished. */
static void
insert(struct evil *e, struct evil_record *r)
{
    unsigned i;

    if (r->type != MESSAGE || r->content[0] != 20)
        return;
    for (i = 0; i < inserted_times; i++)
        evil_sealed(e, inserted_how == SEALED ? r->epoch : EVIL_PLAIN,
                    inserted->type, inserted->content, inserted->len);
}

static void
before_finished(const struct junk *j, enum where how, unsigned times,
                bool we_serve, int version)
{
    guard_case(j->name);
    inserted = j;
    inserted_how = how;
    inserted_times = times;
    evil_init(&evil, we_serve, version);
    evil.edit = insert;
    evil_start(&evil);
    evil_run(&evil);
}

static void
refused_before_finished(const struct junk *j, enum where how, bool we_serve,
                        int version)
{
    enum evil_epoch epoch = DATA;

    unsigned before = evil_wrong;

    before_finished(j, how, 1, we_serve, version);
    if (version == 0x0304 && !we_serve)
        epoch = HANDSHAKE;
    if (version == 0x0303 && we_serve)
        epoch = PLAIN;
    evil_refused(&evil, FLOW_E_PROTO, j->alert, epoch);
    check_received(j);
    if (evil_wrong != before)
        print_error("  that was: %s, %s, 0x%04x\n", j->name,
                    we_serve ? "server" : "client", version);
    evil_free(&evil);
}

static void
records_during_the_handshake_get_their_alert(void **state)
{
    static const struct junk clear13[] = {
        { "clear type 0", 0, "x", 1, 10, -1 },
        { "clear change_cipher_spec of 2", CCS, "\2", 1, 10, -1 },
        { "clear change_cipher_spec of 2 bytes", CCS, "\1\1", 2, 10, -1 },
        { "clear change_cipher_spec, empty", CCS, "", 0, 10, -1 },
        { "clear message", MESSAGE, "\24\0\0\1x", 5, 10, -1 },
        { "clear heartbeat", HEARTBEAT, "\1\0\1x", 4, 10, -1 },
        { "too short for a tag", BYTES, "0123456789", 10, 20, -1 },
        { "no tag at all", BYTES, "", 0, 20, -1 },
        { "forged", BYTES, "0123456789abcdefghij", 20, 20, -1 },
    };
    static const struct junk sealed13[] = {
        { "type 0", 0, "", 0, 10, -1 },
        { "change_cipher_spec", CCS, "\1", 1, 10, -1 },
        { "fatal alert", ALERT, "\2\50", 2, -1, 40 },
        { "close_notify", ALERT, "\1\0", 2, -1, 0 },
        { "empty alert", ALERT, "", 0, 10, -1 },
        { "half an alert", ALERT, "\2", 1, 50, -1 },
        { "three bytes of alert", ALERT, "\2\50\0", 3, 50, -1 },
        { "empty handshake", MESSAGE, "", 0, 10, -1 },
        { "message of 16 MB", MESSAGE, "\24\377\377\377x", 5, 50, -1 },
        { "application data", BYTES, "hello", 5, 10, -1 },
        { "heartbeat", HEARTBEAT, "\1\0\1x", 4, 10, -1 },
        { "type 255", 255, "x", 1, 10, -1 },
        { "16,385 bytes inside", MESSAGE, (const char *)zeros, 16385, 22, -1 },
        { "16,700 bytes inside", MESSAGE, (const char *)zeros, 16700, 22, -1 },
    };
    static const struct junk sealed12[] = {
        { "change_cipher_spec", CCS, "\1", 1, 10, -1 },
        { "fatal alert", ALERT, "\2\50", 2, -1, 40 },
        { "application data", BYTES, "hello", 5, 10, -1 },
        { "half an alert", ALERT, "\2", 1, 50, -1 },
        { "16,385 bytes inside", MESSAGE, (const char *)zeros, 16385, 22, -1 },
    };
    static const struct junk clear12[] = {
        { "too short for a tag", MESSAGE, "0123456789", 10, 20, -1 },
        { "forged", MESSAGE, "0123456789abcdefghijklmnopqrstuvwxyz", 36, 20,
          -1 },
        { "type 99", 99, "x", 1, 10, -1 },
    };
    size_t i;
    int role;

    (void)state;
    evil_wrong = 0;
    for (role = 0; role < 2; role++) {
        for (i = 0; i < sizeof(clear13) / sizeof(clear13[0]); i++)
            refused_before_finished(&clear13[i], IN_CLEAR, role != 0, 0x0304);
        for (i = 0; i < sizeof(sealed13) / sizeof(sealed13[0]); i++)
            refused_before_finished(&sealed13[i], SEALED, role != 0, 0x0304);
        for (i = 0; i < sizeof(sealed12) / sizeof(sealed12[0]); i++)
            refused_before_finished(&sealed12[i], SEALED, role != 0, 0x0303);
        for (i = 0; i < sizeof(clear12) / sizeof(clear12[0]); i++)
            refused_before_finished(&clear12[i], IN_CLEAR, role != 0, 0x0303);
    }
    assert_int_equal(evil_wrong, 0);
}

/* RFC 8446 D.4: one is usual, and a HelloRetryRequest may bring a second. */
static void
flood_of_change_cipher_spec_is_ended(void **state)
{
    static const struct junk ccs = {
        "change_cipher_spec", CCS, "\1", 1, 10, -1
    };
    int role;

    (void)state;
    evil_wrong = 0;
    for (role = 0; role < 2; role++) {
        before_finished(&ccs, IN_CLEAR, 1, role != 0, 0x0304);
        assert_status(evil.status, FLOW_OK);
        evil_free(&evil);
        before_finished(&ccs, IN_CLEAR, FLOOD, role != 0, 0x0304);
        evil_refused(&evil, FLOW_E_PROTO, 10, role != 0 ? DATA : HANDSHAKE);
        evil_free(&evil);
    }
    assert_int_equal(evil_wrong, 0);
}

/* --- after the handshake --- */

static void
after(const struct junk *j, enum where how, bool we_serve, int version)
{
    guard_case(j->name);
    evil_open(&evil, we_serve, version);
    evil_sealed(&evil, how == SEALED ? DATA : PLAIN, j->type, j->content,
                j->len);
    evil_read_refused(&evil, FLOW_E_PROTO, j->alert, DATA);
    check_received(j);
    evil_free(&evil);
}

static void
records_after_the_handshake_get_their_alert(void **state)
{
    static const struct junk clear13[] = {
        { "clear type 0", 0, "x", 1, 10, -1 },
        { "clear change_cipher_spec", CCS, "\1", 1, 10, -1 },
        { "clear alert", ALERT, "\2\50", 2, 10, -1 },
        { "clear message", MESSAGE, "\1\0\0\1x", 5, 10, -1 },
        { "clear heartbeat", HEARTBEAT, "\1\0\1x", 4, 10, -1 },
        { "too short for a tag", BYTES, "0123456789", 10, 20, -1 },
        { "no tag at all", BYTES, "", 0, 20, -1 },
        { "forged", BYTES, "0123456789abcdefghij", 20, 20, -1 },
        { "16,641 bytes", BYTES, (const char *)zeros, 16641, 22, -1 },
    };
    static const struct junk sealed13[] = {
        { "type 0", 0, "", 0, 10, -1 },
        { "type 0 with zeros", 0, "\0\0\0", 3, 10, -1 },
        { "change_cipher_spec", CCS, "\1", 1, 10, -1 },
        { "fatal alert", ALERT, "\2\50", 2, -1, 40 },
        { "alert called a warning", ALERT, "\1\50", 2, -1, 40 },
        { "empty alert", ALERT, "", 0, 10, -1 },
        { "half an alert", ALERT, "\2", 1, 50, -1 },
        { "three bytes of alert", ALERT, "\2\50\0", 3, 50, -1 },
        { "empty handshake", MESSAGE, "", 0, 10, -1 },
        { "HelloRequest", MESSAGE, "\0\0\0\0", 4, 10, -1 },
        { "ClientHello", MESSAGE, "\1\0\0\1x", 5, 10, -1 },
        { "Finished", MESSAGE, "\24\0\0\1x", 5, 10, -1 },
        { "CertificateRequest", MESSAGE, "\15\0\0\3\0\0\0", 7, 10, -1 },
        { "empty KeyUpdate", MESSAGE, "\30\0\0\0", 4, 50, -1 },
        { "long KeyUpdate", MESSAGE, "\30\0\0\2\0\0", 6, 50, -1 },
        { "KeyUpdate 2", MESSAGE, "\30\0\0\1\2", 5, 47, -1 },
        { "message after KeyUpdate", MESSAGE, "\30\0\0\1\0\30\0\0\1\0", 10, 10,
          -1 },
        { "half a message after KeyUpdate", MESSAGE, "\30\0\0\1\0\30", 6, 10,
          -1 },
        { "message of 16 MB", MESSAGE, "\4\377\377\377x", 5, 50, -1 },
        { "heartbeat", HEARTBEAT, "\1\0\1x", 4, 10, -1 },
        { "type 255", 255, "x", 1, 10, -1 },
        { "16,385 bytes inside", BYTES, (const char *)zeros, 16385, 22, -1 },
        { "16,700 bytes inside", BYTES, (const char *)zeros, 16700, 22, -1 },
    };
    static const struct junk both12[] = {
        { "change_cipher_spec", CCS, "\1", 1, 10, -1 },
        { "fatal alert", ALERT, "\2\50", 2, -1, 40 },
        { "empty alert", ALERT, "", 0, 10, -1 },
        { "half an alert", ALERT, "\2", 1, 50, -1 },
        { "empty handshake", MESSAGE, "", 0, 10, -1 },
        { "KeyUpdate", MESSAGE, "\30\0\0\1\0", 5, 10, -1 },
        { "Finished", MESSAGE, "\24\0\0\1x", 5, 10, -1 },
        { "message of 16 MB", MESSAGE, "\1\377\377\377x", 5, 50, -1 },
        { "16,385 bytes inside", BYTES, (const char *)zeros, 16385, 22, -1 },
        { "16,700 bytes inside", BYTES, (const char *)zeros, 16700, 22, -1 },
    };
    static const struct junk clear12[] = {
        { "type 99", 99, "x", 1, 10, -1 },
        { "heartbeat", HEARTBEAT, "\1\0\1x", 4, 10, -1 },
        { "too short for a tag", BYTES, "0123456789", 10, 20, -1 },
        { "clear alert", ALERT, "\2\50", 2, 20, -1 },
        { "forged", BYTES, "0123456789abcdefghijklmnopqrstuvwxyz", 36, 20, -1 },
    };
    static const struct junk ticket = {
        "ticket to a server", MESSAGE, "\4\0\0\1x", 5, 10, -1
    };
    size_t i;
    int role;

    (void)state;
    evil_wrong = 0;
    for (role = 0; role < 2; role++) {
        for (i = 0; i < sizeof(clear13) / sizeof(clear13[0]); i++)
            after(&clear13[i], IN_CLEAR, role != 0, 0x0304);
        for (i = 0; i < sizeof(sealed13) / sizeof(sealed13[0]); i++)
            after(&sealed13[i], SEALED, role != 0, 0x0304);
        for (i = 0; i < sizeof(both12) / sizeof(both12[0]); i++)
            after(&both12[i], SEALED, role != 0, 0x0303);
        for (i = 0; i < sizeof(clear12) / sizeof(clear12[0]); i++)
            after(&clear12[i], IN_CLEAR, role != 0, 0x0303);
    }
    after(&ticket, SEALED, true, 0x0304);
    assert_int_equal(evil_wrong, 0);
}

/* Messages that are ignored must still be well-formed: RFC 8446 4.6.1, RFC 5246
 * 7.4.1.1. */
static void
malformed_messages_after_the_handshake_get_their_alert(void **state)
{
    static const struct junk tickets[] = {
        { "empty ticket message", MESSAGE, "\4\0\0\0", 4, 50, -1 },
        { "ticket without a ticket", MESSAGE,
          "\4\0\0\15\0\0\1\0\0\0\0\0\0\0\0\0\0", 17, 50, -1 },
        { "ticket without extensions", MESSAGE,
          "\4\0\0\14\0\0\1\0\0\0\0\0\0\0\1x", 16, 50, -1 },
        { "ticket with a byte more", MESSAGE,
          "\4\0\0\17\0\0\1\0\0\0\0\0\0\0\1x\0\0\0", 19, 50, -1 },
        { "ticket with a short early_data", MESSAGE,
          "\4\0\0\22\0\0\1\0\0\0\0\0\0\0\1x\0\4\0\52\0\0", 22, 50, -1 },
    };
    static const struct junk request = {
        "HelloRequest with a body", MESSAGE, "\0\0\0\1x", 5, 50, -1
    };

    (void)state;
    evil_wrong = 0;
    for (size_t i = 0; i < sizeof(tickets) / sizeof(tickets[0]); i++)
        after(&tickets[i], SEALED, false, 0x0304);
    after(&request, SEALED, false, 0x0303);
    assert_int_equal(evil_wrong, 0);
}

/* Whichever part of a record is changed, the result is bad_record_mac. */
static void
flipped_bits_get_bad_record_mac(void **state)
{
    uint8_t record[200];
    size_t len, i;
    int role, version;

    (void)state;
    evil_wrong = 0;
    for (role = 0; role < 2; role++)
        for (version = 0x0303; version <= 0x0304; version++)
            for (i = 5; i < 13 + 5 + 16; i++) {
                evil_open(&evil, role != 0, version);
                len =
                    cipher_seal(&evil.seal[DATA], BYTES, "hello", 5, 0, record);
                record[i < len ? i : len - 1] ^= 0x40;
                evil_raw(&evil, record, len);
                evil_read_refused(&evil, FLOW_E_PROTO, 20, DATA);
                evil_free(&evil);
            }
    assert_int_equal(evil_wrong, 0);
}

/* One record twice, and two in the wrong order. */
static void
replayed_and_reordered_records_get_bad_record_mac(void **state)
{
    uint8_t record[2][200], buf[10];
    size_t len, n;
    int version;

    (void)state;
    evil_wrong = 0;
    for (version = 0x0303; version <= 0x0304; version++) {
        evil_open(&evil, true, version);
        len = cipher_seal(&evil.seal[DATA], BYTES, "one", 3, 0, record[0]);
        evil_raw(&evil, record[0], len);
        evil_raw(&evil, record[0], len);
        assert_status(evil_read(&evil, buf, sizeof(buf), &n), FLOW_OK);
        assert_int_equal(n, 3);
        evil_read_refused(&evil, FLOW_E_PROTO, 20, DATA);
        evil_free(&evil);

        evil_open(&evil, true, version);
        len = cipher_seal(&evil.seal[DATA], BYTES, "one", 3, 0, record[0]);
        (void)cipher_seal(&evil.seal[DATA], BYTES, "two", 3, 0, record[1]);
        evil_raw(&evil, record[1], len);
        evil_raw(&evil, record[0], len);
        evil_read_refused(&evil, FLOW_E_PROTO, 20, DATA);
        evil_free(&evil);
    }
    assert_int_equal(evil_wrong, 0);
}

/* --- padding (RFC 8446 5.4) --- */

static void
padding_is_removed_and_limited(void **state)
{
    static const size_t pads[] = { 1, 100, 16383, 16379 };
    static uint8_t record[CIPHER_MAX], buf[64];
    size_t i, n, len;

    (void)state;
    for (i = 0; i < sizeof(pads) / sizeof(pads[0]); i++) {
        size_t content = 16384 - pads[i] < 5 ? 16384 - pads[i] : 5;

        evil_open(&evil, true, 0x0304);
        len = cipher_seal(&evil.seal[DATA], BYTES, "hello", content, pads[i],
                          record);
        evil_raw(&evil, record, len);
        assert_status(evil_read(&evil, buf, sizeof(buf), &n), FLOW_OK);
        assert_int_equal(n, content);
        assert_memory_equal(buf, "hello", content);
        evil_free(&evil);
    }
    /* One byte more than the inner plaintext may have, nearly all of it
     * padding. */
    evil_wrong = 0;
    evil_open(&evil, true, 0x0304);
    len = cipher_seal(&evil.seal[DATA], BYTES, "hello", 5, 16380, record);
    evil_raw(&evil, record, len);
    evil_read_refused(&evil, FLOW_E_PROTO, 22, DATA);
    evil_free(&evil);
    assert_int_equal(evil_wrong, 0);
}

static void
record_of_zeros_only_is_refused(void **state)
{
    static const size_t pads[] = { 0, 1, 100, 1024, 16384 };
    static uint8_t record[CIPHER_MAX];

    (void)state;
    evil_wrong = 0;
    for (size_t i = 0; i < sizeof(pads) / sizeof(pads[0]); i++) {
        size_t len;

        evil_open(&evil, true, 0x0304);
        len = cipher_seal(&evil.seal[DATA], 0, "", 0, pads[i], record);
        evil_raw(&evil, record, len);
        evil_read_refused(&evil, FLOW_E_PROTO, 10, DATA);
        evil_free(&evil);
    }
    assert_int_equal(evil_wrong, 0);
}

/* --- right after the Finished, in the same read --- */

static enum { NOTHING, AFTER_DATA, AFTER_CLOSE, AFTER_UPDATE } follows;

static void
add_after_finished(struct evil *e, struct evil_record *r)
{
    static const uint8_t update[5] = { 24, 0, 0, 1, 1 };

    if (r->type != MESSAGE || r->content[0] != 20)
        return;
    evil_pass(e, r);
    if (follows == AFTER_UPDATE) {
        evil_sealed(e, DATA, MESSAGE, update, sizeof(update));
        cipher_update(&e->seal[DATA], e->secret[1][e->we_serve ? 0 : 1]);
    }
    evil_sealed(e, DATA, BYTES, "follow", 6);
    if (follows == AFTER_CLOSE)
        evil_sealed(e, DATA, ALERT, "\1\0", 2);
}

static void
records_in_the_same_read_after_the_finished_are_read(void **state)
{
    struct evil_alert alerts;
    uint8_t buf[20];
    int role, version;
    size_t n;

    (void)state;
    for (follows = AFTER_DATA; follows <= AFTER_UPDATE; follows++)
        for (role = 0; role < 2; role++)
            for (version = 0x0303; version <= 0x0304; version++) {
                if (follows == AFTER_UPDATE && version == 0x0303)
                    continue;
                evil_init(&evil, role != 0, version);
                evil.edit = add_after_finished;
                evil_start(&evil);
                evil_run(&evil);
                assert_status(evil.status, FLOW_OK);
                assert_status(evil_read(&evil, buf, sizeof(buf), &n), FLOW_OK);
                assert_int_equal(n, 6);
                assert_memory_equal(buf, "follow", 6);
                assert_status(evil_read(&evil, buf, sizeof(buf), &n),
                              follows == AFTER_CLOSE ? FLOW_EOF : FLOW_AGAIN);
                assert_status(flow_write(evil.ours, "x", 1, &n), FLOW_OK);
                evil_alerts(&evil, &alerts);
                assert_int_equal(alerts.updates, follows == AFTER_UPDATE);
                assert_int_equal(alerts.unknown, 0);
                evil_free(&evil);
            }
}

/* --- an alert that finds no room --- */

static void
block(struct evil *e, struct evil_record *r)
{
    if (r->type == MESSAGE && r->content[0] == 20) {
        r->content[r->len - 1] ^= 1;
        e->loop.out_full = true;
    }
}

/* A handshake that failed while the lower flow accepts no bytes. */
static void
fail_without_room(bool we_serve, int version)
{
    evil_init(&evil, we_serve, version);
    evil.edit = block;
    evil_start(&evil);
    evil_run(&evil);
    assert_status(evil.status, FLOW_AGAIN);
}

/* The alert is a record like any other: it is sent when there is room, and
 * after that the call reports the failure. */
static void
alert_waits_for_room(void **state)
{
    struct evil_alert alerts;
    struct flow_error err;
    int role, version;

    (void)state;
    for (role = 0; role < 2; role++)
        for (version = 0x0303; version <= 0x0304; version++) {
            fail_without_room(role != 0, version);
            assert_status(flow_open(evil.ours), FLOW_AGAIN);
            evil.loop.out_full = false;
            assert_status(flow_open(evil.ours), FLOW_E_PROTO);
            flow_get_error(evil.ours, FLOW_READ, &err);
            assert_int_equal(err.alert_sent, 51);
            evil_alerts(&evil, &alerts);
            assert_int_equal(alerts.number, 51);
            assert_int_equal(alerts.fatal, 1);
            assert_int_equal(alerts.unknown, 0);
            evil_free(&evil);
        }
}

/* The alert waits for a second, and the error does not claim that it was
 * sent. */
static void
alert_without_room_is_given_up(void **state)
{
    struct flow_error err;
    int role, version;
    size_t out;

    (void)state;
    for (role = 0; role < 2; role++)
        for (version = 0x0303; version <= 0x0304; version++) {
            test_env_stop_clock();
            fail_without_room(role != 0, version);
            test_env.now += UINT64_C(999000000);
            assert_status(flow_open(evil.ours), FLOW_AGAIN);
            test_env.now += UINT64_C(1000000);
            assert_status(flow_open(evil.ours), FLOW_E_PROTO);
            flow_get_error(evil.ours, FLOW_READ, &err);
            assert_int_equal(err.alert_sent, -1);
            out = evil.loop.out_len;
            evil.loop.out_full = false;
            assert_status(flow_open(evil.ours), FLOW_E_PROTO);
            assert_int_equal(evil.loop.out_len, out);
            evil_free(&evil);
        }
}

/* If a program does not wait for that, it closes the flow: the alert is sent if
 * there is room then, and never if the flow was aborted. */
static void
close_offers_an_alert(bool has_room, bool aborted)
{
    struct evil_alert alerts;
    int role, version;
    size_t out;

    for (role = 0; role < 2; role++)
        for (version = 0x0303; version <= 0x0304; version++) {
            fail_without_room(role != 0, version);
            out = evil.loop.out_len;
            evil.loop.out_full = !has_room;
            if (aborted)
                flow_abort(evil.ours);
            flow_close(evil.ours);
            evil.ours = NULL;
            assert_int_equal(evil.loop.closes, 1);
            evil_alerts(&evil, &alerts);
            assert_int_equal(alerts.fatal, has_room && !aborted);
            assert_int_equal(alerts.number, has_room && !aborted ? 51 : -1);
            assert_int_equal(alerts.unknown, 0);
            assert_true((evil.loop.out_len > out) == (has_room && !aborted));
            evil_free(&evil);
        }
}

/* If a deadline passes meanwhile, the waiting ends and the alert is kept. */
static void
waiting_alert_outlives_a_deadline(void **state)
{
    struct evil_alert alerts;
    int role, version;

    (void)state;
    for (role = 0; role < 2; role++)
        for (version = 0x0303; version <= 0x0304; version++) {
            fail_without_room(role != 0, version);
            flow_set_deadline(evil.ours, FLOW_READ, FLOW_NOW);
            assert_true(flow_open(evil.ours) < 0);
            evil.loop.out_full = false;
            flow_close(evil.ours);
            evil.ours = NULL;
            evil_alerts(&evil, &alerts);
            assert_int_equal(alerts.number, 51);
            assert_int_equal(alerts.unknown, 0);
            evil_free(&evil);
        }
}

static void
close_sends_a_waiting_alert(void **state)
{
    (void)state;
    close_offers_an_alert(true, false);
    close_offers_an_alert(false, false);
    close_offers_an_alert(true, true);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_before_the_handshake_get_their_alert),
        TEST(other_protocols_are_reported_as_not_tls),
        TEST(records_during_the_handshake_get_their_alert),
        TEST(flood_of_change_cipher_spec_is_ended),
        TEST(records_after_the_handshake_get_their_alert),
        TEST(malformed_messages_after_the_handshake_get_their_alert),
        TEST(flipped_bits_get_bad_record_mac),
        TEST(replayed_and_reordered_records_get_bad_record_mac),
        TEST(padding_is_removed_and_limited),
        TEST(record_of_zeros_only_is_refused),
        TEST(records_in_the_same_read_after_the_finished_are_read),
        TEST(alert_waits_for_room),
        TEST(alert_without_room_is_given_up),
        TEST(close_sends_a_waiting_alert),
        TEST(waiting_alert_outlives_a_deadline),
    };

    return TEST_RUN(tests);
}
