/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/bytes.h"
#include "tests/unit/tls/order_names.h"
#include "tests/unit/tls/order_walk.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define K(name)      FLOW__KIND_##name

/*
 * The kind of a message is read from its bytes.
 */

#define RANDOM32                                                               \
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define RETRY32                                                                \
    "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c"

static const struct {
    enum flow__order_state state;
    const char *hex;
    enum flow__kind kind;
} kinds[] = {
    { FLOW__STATE_C12_CERT, "00000000", K(HELLO_REQUEST) },
    { FLOW__STATE_S_CH, "01000000", K(CLIENT_HELLO) },
    { FLOW__STATE_C13_OPEN, "04000000", K(NEW_SESSION_TICKET) },
    { FLOW__STATE_S13_FIN, "05000000", K(END_OF_EARLY_DATA) },
    { FLOW__STATE_C13_EE, "080000020000", K(ENCRYPTED_EXTENSIONS) },
    { FLOW__STATE_C12_SKE, "0c000000", K(SERVER_KEY_EXCHANGE) },
    { FLOW__STATE_C12_CR_SHD, "0d000000", K(CERTIFICATE_REQUEST) },
    { FLOW__STATE_C12_CR_SHD, "0e000000", K(SERVER_HELLO_DONE) },
    { FLOW__STATE_C13_CV, "0f000000", K(CERTIFICATE_VERIFY) },
    { FLOW__STATE_S12_CKE, "10000000", K(CLIENT_KEY_EXCHANGE) },
    { FLOW__STATE_C13_FIN, "14000000", K(FINISHED) },
    { FLOW__STATE_C12_SKE, "16000000", K(CERTIFICATE_STATUS) },
    { FLOW__STATE_C13_OPEN, "1800000100", K(KEY_UPDATE) },
    { FLOW__STATE_C_SH, "03000000", K(UNKNOWN) },
    { FLOW__STATE_C_SH, "15000000", K(UNKNOWN) },
    { FLOW__STATE_C_SH, "fe000000", K(UNKNOWN) },
    { FLOW__STATE_C_SH, "ff000000", K(UNKNOWN) },

    /* The list of TLS 1.2 comes first, that of TLS 1.3 after a context. */
    { FLOW__STATE_C12_CERT, "0b000003000000", K(CERTIFICATE_EMPTY) },
    { FLOW__STATE_C12_CERT, "0b00000400000100", K(CERTIFICATE) },
    { FLOW__STATE_C12_CERT, "0b00000400000000", K(CERTIFICATE) },
    { FLOW__STATE_C12_CERT, "0b0000020000", K(CERTIFICATE) },
    { FLOW__STATE_C12_CERT, "0b000000", K(CERTIFICATE) },
    { FLOW__STATE_S12_CERT_R, "0b000003000000", K(CERTIFICATE_EMPTY) },
    { FLOW__STATE_C13_CERT_CR, "0b00000400000000", K(CERTIFICATE_EMPTY) },
    { FLOW__STATE_C13_CERT_CR, "0b0000060200ff000000", K(CERTIFICATE_EMPTY) },
    { FLOW__STATE_C13_CERT_CR, "0b000003000000", K(CERTIFICATE) },
    { FLOW__STATE_C13_CERT_CR, "0b0000050000000100", K(CERTIFICATE) },
    { FLOW__STATE_C13_CERT_CR, "0b000000", K(CERTIFICATE) },
    { FLOW__STATE_C13_CERT_CR, "0b000001ff", K(CERTIFICATE) },
    { FLOW__STATE_S13_CERT, "0b00000400000000", K(CERTIFICATE_EMPTY) },

    /* ServerHello; the session id of the ClientHello was the 2 bytes aabb. */
    { FLOW__STATE_C_SH, "020000260303" RANDOM32 "00c02f00", K(SERVER_HELLO12) },
    { FLOW__STATE_C_SH, "020000260301" RANDOM32 "00c02f00", K(SERVER_HELLO12) },
    { FLOW__STATE_C_SH, "020000280303" RANDOM32 "02aabbc02f00",
      K(SERVER_HELLO12_RESUMED) },
    { FLOW__STATE_C_SH, "020000280303" RANDOM32 "02aabcc02f00",
      K(SERVER_HELLO12) },
    { FLOW__STATE_C_SH, "020000290303" RANDOM32 "03aabbccc02f00",
      K(SERVER_HELLO12) },
    { FLOW__STATE_C_SH, "0200002c0303" RANDOM32 "00c02f00000400230000",
      K(SERVER_HELLO12_TICKET) },
    { FLOW__STATE_C_SH, "0200002e0303" RANDOM32 "02aabbc02f00000400230000",
      K(SERVER_HELLO12_RESUMED_TICKET) },
    { FLOW__STATE_C_SH, "0200002e0303" RANDOM32 "001301000006002b00020304",
      K(SERVER_HELLO13) },
    { FLOW__STATE_C_SH, "020000300303" RANDOM32 "02aabb1301000006002b00020304",
      K(SERVER_HELLO13) },
    { FLOW__STATE_C_SH,
      "020000340303" RANDOM32 "00130100000c002b00020304002900020000",
      K(SERVER_HELLO13_PSK) },
    { FLOW__STATE_C_SH, "0200002e0303" RETRY32 "001301000006002b00020304",
      K(HELLO_RETRY_REQUEST) },
    { FLOW__STATE_C_SH, "020000260303" RETRY32 "00130100",
      K(HELLO_RETRY_REQUEST) },
    /* Malformed. */
    { FLOW__STATE_C_SH, "02000000", K(SERVER_HELLO13) },
    { FLOW__STATE_C_SH2, "020000270303" RANDOM32 "00c02f0000",
      K(SERVER_HELLO13) },
};

static void
kinds_are_read_off_messages(void **state)
{
    static const uint8_t id[] = { 0xaa, 0xbb };
    bool seen[FLOW__KIND_COUNT] = { false };

    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct flow__order at = { kinds[i].state, false };
        struct flow__span session_id = { id, sizeof(id) };
        uint8_t msg[256];
        size_t len = from_hex(kinds[i].hex, msg, sizeof(msg));
        uint8_t *copy = exact_copy(msg, len);
        enum flow__kind kind = flow__order_kind(&at, copy, len, session_id);

        free(copy);
        if (kind != kinds[i].kind)
            fail_msg("%s is %s, not %s", kinds[i].hex, order_kind_name(kind),
                     order_kind_name(kinds[i].kind));
        seen[kind] = true;
    }
    for (int k = 0; k < FLOW__KIND_COUNT; k++)
        assert_int_equal(seen[k], k != FLOW__KIND_CHANGE_CIPHER_SPEC);
}

/* A client that offers no session cannot be resumed. */
static void
an_empty_session_id_resumes_nothing(void **state)
{
    const struct flow__span none = { NULL, 0 };
    const struct flow__order at = { FLOW__STATE_C_SH, false };
    uint8_t msg[64];
    size_t len = from_hex("020000260303" RANDOM32 "00c02f00", msg, sizeof(msg));

    (void)state;
    assert_int_equal(flow__order_kind(&at, msg, len, none),
                     FLOW__KIND_SERVER_HELLO12);
}

/* Every prefix of each message has a kind too, and nothing beyond it is
 * read. */
static void
cut_messages_have_a_kind(void **state)
{
    const struct flow__span none = { NULL, 0 };

    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct flow__order at = { kinds[i].state, false };
        uint8_t msg[256];
        size_t len = from_hex(kinds[i].hex, msg, sizeof(msg));

        for (size_t cut = 4; cut <= len; cut++) {
            uint8_t *copy = exact_copy(msg, cut);

            assert_true(flow__order_kind(&at, copy, cut, none) <
                        FLOW__KIND_COUNT);
            free(copy);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_read_off_messages),
        cmocka_unit_test(an_empty_session_id_resumes_nothing),
        cmocka_unit_test(cut_messages_have_a_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
