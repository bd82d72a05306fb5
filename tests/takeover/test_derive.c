/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "backends.h"
#include "stacks.h"
#include "step.h"
#include "test.h"
#include "tls/kdf.h"

/*
 * How often a handshake derives its keys and asks the system for random bytes.
 * The linker gives every such call to this file.  It notes the input of the
 * derivations: both ends of a connection derive each key, and no end does so
 * twice.
 */

#define DERIVATIONS_MAX 32

struct derivation {
    uint8_t input[512];
    size_t len;
    unsigned times;
};

static struct derivation noted[DERIVATIONS_MAX];
static size_t noted_count;
static size_t random_calls;

/* The linker's names. */
enum flow_status
__real_flow__kdf_hkdf_expand(enum flow__hash hash, const uint8_t *prk,
                             size_t prk_len, const uint8_t *info,
                             size_t info_len, uint8_t *out, size_t len);
enum flow_status
__wrap_flow__kdf_hkdf_expand(enum flow__hash hash, const uint8_t *prk,
                             size_t prk_len, const uint8_t *info,
                             size_t info_len, uint8_t *out, size_t len);
enum flow_status __real_flow__kdf_tls12_prf(const struct flow__kdf_prf *prf,
                                            uint8_t *out, size_t len);
enum flow_status __wrap_flow__kdf_tls12_prf(const struct flow__kdf_prf *prf,
                                            uint8_t *out, size_t len);
bool __real_flow__plat_random(void *buf, size_t len);
bool __wrap_flow__plat_random(void *buf, size_t len);

static void
note(const uint8_t *secret, size_t secret_len, const uint8_t *more,
     size_t more_len)
{
    struct derivation new = { .len = secret_len + more_len, .times = 1 };
    size_t i;

    assert_true(new.len <= sizeof(new.input));
    memcpy(new.input, secret, secret_len);
    memcpy(new.input + secret_len, more, more_len);
    for (i = 0; i < noted_count; i++) {
        if (noted[i].len == new.len &&
            memcmp(noted[i].input, new.input, new.len) == 0) {
            noted[i].times++;
            return;
        }
    }
    assert_true(noted_count < DERIVATIONS_MAX);
    noted[noted_count++] = new;
}

enum flow_status
__wrap_flow__kdf_hkdf_expand(enum flow__hash hash, const uint8_t *prk,
                             size_t prk_len, const uint8_t *info,
                             size_t info_len, uint8_t *out, size_t len)
{
    note(prk, prk_len, info, info_len);
    return __real_flow__kdf_hkdf_expand(hash, prk, prk_len, info, info_len, out,
                                        len);
}

enum flow_status
__wrap_flow__kdf_tls12_prf(const struct flow__kdf_prf *prf, uint8_t *out,
                           size_t len)
{
    note(prf->secret, prf->secret_len, prf->seed, prf->seed_len);
    return __real_flow__kdf_tls12_prf(prf, out, len);
}

bool
__wrap_flow__plat_random(void *buf, size_t len)
{
    random_calls++;
    return __real_flow__plat_random(buf, len);
}

static void
shake_hands(layer_fn *tls, size_t derivations)
{
    struct ends e;
    size_t count, i;

    ends_make_bare(&e, backends(&count));
    tls(&e);
    noted_count = 0;
    random_calls = 0;
    step_open(&e);
    ends_close(&e);
    assert_int_equal(noted_count, derivations);
    for (i = 0; i < noted_count; i++)
        assert_int_equal(noted[i].times, 2);
}

/* A key and an IV, for both directions of the handshake and of the data. */
static void
tls13_derives_each_key_once(void **state)
{
    (void)state;
    shake_hands(layer_tls13, 8);
}

/* One block has both directions. */
static void
tls12_derives_each_key_once(void **state)
{
    (void)state;
    shake_hands(layer_tls12, 1);
}

/* At most once for each message that the engine answers or whose key it agrees
 * on, however often the engine takes some. */
static void
a_flight_asks_for_random_bytes_once(void **state)
{
    (void)state;
    shake_hands(layer_tls13, 8);
    assert_in_range(random_calls, 1, 3);
    shake_hands(layer_tls12, 1);
    assert_in_range(random_calls, 1, 4);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tls13_derives_each_key_once),
        TEST(tls12_derives_each_key_once),
        TEST(a_flight_asks_for_random_bytes_once),
    };

    return TEST_RUN(tests);
}
