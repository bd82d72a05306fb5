/* SPDX-License-Identifier: ISC */
/*
 * Random bytes of a machine without an operating system, from sources of this
 * test: stuck, biased, silent, repeating, and sound ones, of which a copy of
 * the machine takes the same or other bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <flow/entropy.h>

#include "lib/plat/unikernel/entropy_cpu.h"
#include "lib/plat/unikernel/health.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LEN      32u

/* What a source gives, byte by byte. */
typedef uint8_t pattern_fn(uint64_t nth);

struct fake {
    pattern_fn *pattern;
    uint64_t nth;
    size_t left; /* until it is silent */
    size_t most; /* in one read */
};

static bool mix_has_memory;

static uint64_t
scramble(uint64_t z)
{
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Any function of all its inputs will do here; the engine's has tests of its
 * own. */
static bool
mix(const uint8_t *salt, size_t salt_len, const uint8_t *input,
    size_t input_len, uint8_t *out, size_t len)
{
    uint64_t state = 0;
    size_t i;

    for (i = 0; i < salt_len; i++)
        state = scramble(state ^ salt[i]);
    for (i = 0; i < input_len; i++)
        state = scramble(state ^ input[i]);
    for (i = 0; mix_has_memory && i < len; i++)
        out[i] = (uint8_t)scramble(state + i);
    return mix_has_memory;
}

/* The same in every process, but with the statistics of a sound source. */
static uint8_t
sound(uint64_t nth)
{
    return (uint8_t)scramble(nth);
}

static uint8_t
stuck(uint64_t nth)
{
    (void)nth;
    return 0xa5;
}

/* What some processors give after a resume. */
static uint8_t
ones(uint64_t nth)
{
    (void)nth;
    return 0xff;
}

/* Each bit is set in one of four. */
static uint8_t
biased(uint64_t nth)
{
    return sound(nth) & (uint8_t)(scramble(nth) >> 8);
}

/* One of 32, so that most bytes are 0. */
static uint8_t
very_biased(uint64_t nth)
{
    return biased(nth) & biased(nth + 1) & sound(nth + 2);
}

static uint8_t
three_bits(uint64_t nth)
{
    return sound(nth) & 0x07;
}

static uint8_t
alternating(uint64_t nth)
{
    return nth % 2 == 0 ? 0x00 : 0xff;
}

static uint8_t
same_word(uint64_t nth)
{
    return sound(nth % 8);
}

static uint8_t
two_words(uint64_t nth)
{
    return sound(nth % 16);
}

/* A cycle that is too long for the tests of bytes. */
static uint8_t
hundred_words(uint64_t nth)
{
    return sound(nth % 800);
}

static size_t
fake_read(void *ctx, uint8_t *buf, size_t len)
{
    struct fake *fake = ctx;
    size_t i, n = len < fake->left ? len : fake->left;

    n = n < fake->most ? n : fake->most;
    for (i = 0; i < n; i++)
        buf[i] = fake->pattern(fake->nth++);
    fake->left -= n;
    return n;
}

/* The system's random bytes stand for those of a processor. */
static size_t
hardware_read(void *ctx, uint8_t *buf, size_t len)
{
    (void)ctx;
    return getentropy(buf, len) == 0 ? len : 0;
}

static struct fake fake, other;
static const struct flow_entropy_source fresh = {
    .name = "fake", .ctx = &fake, .read = fake_read, .fresh = true
};
static const struct flow_entropy_source slow = { .name = "slow",
                                                 .ctx = &fake,
                                                 .read = fake_read };
static const struct flow_entropy_source second = {
    .name = "second", .ctx = &other, .read = fake_read, .fresh = true
};
static const struct flow_entropy_source hardware = { .name = "hardware",
                                                     .read = hardware_read,
                                                     .fresh = true };

static int
setup(void **state)
{
    (void)state;
    mix_has_memory = true;
    fake =
        (struct fake){ .pattern = sound, .left = SIZE_MAX, .most = SIZE_MAX };
    other = fake;
    return 0;
}

static void
start(const struct flow_entropy_source *a, const struct flow_entropy_source *b,
      const char *seed, bool never_copied)
{
    const struct flow_entropy_source *sources[] = { a, b };
    const struct flow_entropy_options options = {
        .sources = sources,
        .source_count = COUNT(sources),
        .mix = mix,
        .seed = seed,
        .seed_len = strlen(seed),
        .never_copied = never_copied,
    };

    assert_int_equal(flow_entropy_start(&options, NULL), FLOW_OK);
}

static void
assert_bytes(void)
{
    uint8_t one[LEN], next[LEN];

    assert_true(flow_entropy_random(NULL, one, sizeof(one)));
    assert_true(flow_entropy_random(NULL, next, sizeof(next)));
    assert_memory_not_equal(one, next, sizeof(one));
}

static void
assert_none(const char *text, const char *detail)
{
    static const uint8_t zero[LEN];
    struct flow_error err;
    uint8_t buf[LEN];

    memset(buf, 0x77, sizeof(buf));
    assert_false(flow_entropy_random(NULL, buf, sizeof(buf)));
    assert_memory_equal(buf, zero, sizeof(buf));
    flow_error_clear(&err);
    flow_entropy_error(NULL, &err);
    assert_string_equal(err.text, text);
    assert_string_equal(err.detail, detail);
}

static void
assert_unhealthy(const char *detail)
{
    assert_none("no source of entropy is healthy", detail);
}

static void
a_sound_source_gives_bytes(void **state)
{
    uint8_t buf[1000] = { 0 };

    (void)state;
    start(&fresh, NULL, "", false);
    assert_bytes();
    assert_true(flow_entropy_random(NULL, buf, sizeof(buf)));
    assert_memory_not_equal(buf, buf + 256, 256);
}

static void
nothing_is_given_before_the_start(void **state)
{
    const struct flow_entropy_source *many[FLOW_ENTROPY_SOURCES + 1] = {
        &fresh
    };
    struct flow_entropy_options options = { .sources = many,
                                            .source_count = COUNT(many),
                                            .mix = mix };
    struct flow_error err;

    (void)state;
    assert_int_equal(flow_entropy_start(&options, &err), FLOW_E_INVAL);
    assert_none("the sources of entropy were not started", "");
    options.source_count = 1;
    options.mix = NULL;
    assert_int_equal(flow_entropy_start(&options, &err), FLOW_E_INVAL);
    assert_none("the sources of entropy were not started", "");
}

/* A copy of the machine would have the same. */
static void
a_seed_is_not_a_source(void **state)
{
    (void)state;
    start(NULL, NULL, "a long and secret seed", true);
    assert_none("the machine has no source of entropy", "");
}

static void
a_bad_source_gives_nothing_and_may_recover(void **state)
{
    static const struct {
        pattern_fn *pattern;
        const char *detail;
    } rows[] = {
        { stuck, "fake failed the repetition count test" },
        { ones, "fake failed the repetition count test" },
        { same_word, "fake failed the repetition count test" },
        { very_biased, "fake failed the repetition count test" },
        { three_bits, "fake failed the adaptive proportion test" },
        { alternating, "fake failed the repetition count test" },
        { two_words, "fake failed the adaptive proportion test" },
        { hundred_words, "fake failed the adaptive proportion test" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        start(&fresh, NULL, "seed", false);
        fake.pattern = rows[i].pattern;
        assert_unhealthy(rows[i].detail);
        fake.nth = 0;
        assert_unhealthy(rows[i].detail);
        fake.pattern = sound;
        assert_bytes();
    }
}

/* The same sources after they have been healthy: a resumed machine. */
static void
a_source_that_breaks_is_noticed_in_the_same_call(void **state)
{
    static pattern_fn *const patterns[] = { stuck, ones, same_word };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(patterns); i++) {
        fake.pattern = sound;
        start(&fresh, NULL, "seed", false);
        assert_bytes();
        fake.pattern = patterns[i];
        assert_unhealthy("fake failed the repetition count test");
        fake.pattern = sound;
        fake.left = FLOW__HEALTH_STARTUP - 1;
        assert_unhealthy("fake gives no bytes");
        fake.left = SIZE_MAX;
        assert_bytes();
    }
}

/* Slower than one call: the proportion test finds a bias in a window that
 * begins with a frequent byte, here 0, which is one of ten. */
static void
a_source_that_turns_biased_is_noticed(void **state)
{
    uint8_t buf[LEN];
    unsigned calls = 0;

    (void)state;
    start(&fresh, NULL, "seed", false);
    assert_bytes();
    fake.pattern = biased;
    while (calls < 1000 && flow_entropy_random(NULL, buf, sizeof(buf)))
        calls++;
    assert_in_range(calls, 1, 10 * 512 / 64);
    assert_unhealthy("fake failed the adaptive proportion test");
}

static void
a_silent_source_gives_nothing(void **state)
{
    (void)state;
    fake.left = 0;
    start(&fresh, NULL, "seed", false);
    assert_unhealthy("fake gives no bytes");
    fake.left = SIZE_MAX;
    assert_bytes();
    fake.left = 63;
    assert_unhealthy("fake gives no bytes");
    fake.left = SIZE_MAX;
    assert_bytes();
}

/* Few bytes at once are as good as many. */
static void
a_source_may_give_single_bytes(void **state)
{
    (void)state;
    fake.most = 1;
    start(&fresh, NULL, "seed", false);
    assert_bytes();
    fake.pattern = stuck;
    assert_unhealthy("fake failed the repetition count test");
    fake.pattern = sound;
    fake.left = FLOW__HEALTH_STARTUP + 63;
    assert_unhealthy("fake gives no bytes");
    fake.left = 64;
    assert_true(flow_entropy_random(NULL, &(uint8_t){ 0 }, 1));
}

static void
one_healthy_source_is_enough(void **state)
{
    (void)state;
    other.pattern = ones;
    start(&fresh, &second, "", false);
    assert_bytes();
    fake.left = 0;
    assert_unhealthy("fake gives no bytes, second failed the repetition count "
                     "test");
    other.pattern = sound;
    assert_bytes();
}

static void
a_source_that_a_snapshot_repeats_does_not_count(void **state)
{
    (void)state;
    start(&slow, NULL, "seed", false);
    assert_unhealthy("slow repeats after a snapshot");
    other.left = 0;
    start(&slow, &second, "seed", false);
    assert_unhealthy("slow repeats after a snapshot, second gives no bytes");
    other.left = SIZE_MAX;
    assert_bytes();
}

static void
without_snapshots_a_slow_source_counts(void **state)
{
    (void)state;
    fake.left = 1000;
    start(&slow, NULL, "seed", true);
    assert_unhealthy("slow gives no bytes");
    fake.left = 23;
    assert_unhealthy("slow gives no bytes");
    fake.left = 1;
    assert_bytes();
    fake.pattern = ones;
    fake.left = 64;
    assert_unhealthy("slow failed the repetition count test");
    assert_unhealthy("slow gives no bytes");
    fake.pattern = sound;
    fake.left = FLOW__HEALTH_STARTUP;
    assert_bytes();
}

static void
every_input_changes_the_output(void **state)
{
    static const struct {
        const char *seed;
        uint64_t nth;
        bool two;
    } rows[] = {
        { "", 0, false },     { "seed", 0, false }, { "seee", 0, false },
        { "seed", 1, false }, { "seed", 0, true },
    };
    uint8_t out[COUNT(rows)][LEN], again[LEN];
    size_t i, k;

    (void)state;
    for (i = 0; i < COUNT(rows); i++)
        for (k = 0; k < 2; k++) {
            fake.nth = rows[i].nth;
            other.nth = 77;
            start(&fresh, rows[i].two ? &second : NULL, rows[i].seed, false);
            assert_true(flow_entropy_random(NULL, again, LEN));
            if (k > 0)
                assert_memory_equal(out[i], again, LEN);
            memcpy(out[i], again, LEN);
        }
    for (i = 0; i < COUNT(rows); i++)
        for (k = 0; k < i; k++)
            assert_memory_not_equal(out[i], out[k], LEN);
}

static void
nothing_is_given_without_memory_to_mix(void **state)
{
    const struct flow_entropy_options options = { .mix = mix,
                                                  .seed = "seed",
                                                  .seed_len = 4 };
    struct flow_error err;

    (void)state;
    start(&fresh, NULL, "", false);
    mix_has_memory = false;
    assert_none("no memory to mix entropy", "");
    mix_has_memory = true;
    assert_bytes();
    mix_has_memory = false;
    assert_none("no memory to mix entropy", "");
    assert_int_equal(flow_entropy_start(&options, &err), FLOW_E_NOMEM);
    assert_none("the sources of entropy were not started", "");
}

/* What the parent and its copy draw next. */
static void
draw_in_both(uint8_t ours[LEN], uint8_t theirs[LEN])
{
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bool done = flow_entropy_random(NULL, theirs, LEN) &&
                    write(ends[1], theirs, LEN) == (ssize_t)LEN;

        _exit(done ? 0 : 1);
    }
    assert_true(flow_entropy_random(NULL, ours, LEN));
    assert_int_equal(read(ends[0], theirs, LEN), LEN);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ends[0]);
    close(ends[1]);
}

static void
a_copy_of_the_machine_does_not_repeat_output(void **state)
{
    uint8_t ours[LEN], theirs[LEN];

    (void)state;
    start(&fresh, NULL, "seed", false);
    assert_bytes();
    /* The copy has the same state: with the same bytes it gives the same. */
    draw_in_both(ours, theirs);
    assert_memory_equal(ours, theirs, LEN);
    start(&fresh, &hardware, "seed", false);
    assert_bytes();
    draw_in_both(ours, theirs);
    assert_memory_not_equal(ours, theirs, LEN);
    /* Before the first call too. */
    start(&hardware, NULL, "seed", false);
    draw_in_both(ours, theirs);
    assert_memory_not_equal(ours, theirs, LEN);
}

static enum flow__health_fault
check_run(struct flow__health *h, pattern_fn *pattern, uint64_t from, size_t n)
{
    enum flow__health_fault fault = FLOW__HEALTH_GOOD;
    uint8_t byte;

    for (; n > 0 && fault == FLOW__HEALTH_GOOD; n--) {
        byte = pattern(from++);
        fault = flow__health_check(h, &byte, 1);
    }
    return fault;
}

static void
the_cutoffs_are_those_of_the_derivation(void **state)
{
    struct flow__health h = { .word_len = 0 };

    (void)state;
    /* Five equal bytes in a row pass, six do not. */
    assert_int_equal(check_run(&h, sound, 0, 8), FLOW__HEALTH_GOOD);
    assert_int_equal(check_run(&h, stuck, 0, 5), FLOW__HEALTH_GOOD);
    assert_int_equal(check_run(&h, stuck, 0, 1), FLOW__HEALTH_REPEATS);
    /* A word may not come twice in a row, but its bytes may. */
    memset(&h, 0, sizeof(h));
    assert_int_equal(check_run(&h, sound, 3, 3), FLOW__HEALTH_GOOD);
    assert_int_equal(check_run(&h, same_word, 0, 8), FLOW__HEALTH_GOOD);
    assert_int_equal(check_run(&h, same_word, 0, 4), FLOW__HEALTH_GOOD);
    assert_int_equal(check_run(&h, same_word, 4, 8), FLOW__HEALTH_GOOD);
    assert_int_equal(check_run(&h, same_word, 4, 1), FLOW__HEALTH_REPEATS);
}

/* 0xa5 is every 16th byte and no other. */
static uint8_t
spread(uint64_t nth)
{
    uint8_t byte = sound(nth);

    if (nth % 16 == 0)
        return 0xa5;
    return byte == 0xa5 ? 0x5a : byte;
}

static void
a_window_has_512_bytes(void **state)
{
    struct flow__health h = { .word_len = 0 };

    (void)state;
    /* 30 of a window pass, of which the first is one, and 31 do not. */
    assert_int_equal(check_run(&h, spread, 0, 480), FLOW__HEALTH_GOOD);
    assert_int_equal(check_run(&h, spread, 480, 1), FLOW__HEALTH_SKEWED);
    /* The next window begins to count anew. */
    memset(&h, 0, sizeof(h));
    assert_int_equal(check_run(&h, spread, 0, 480), FLOW__HEALTH_GOOD);
    assert_int_equal(check_run(&h, sound, 481, 32), FLOW__HEALTH_GOOD);
    assert_int_equal(check_run(&h, spread, 16, 480), FLOW__HEALTH_GOOD);
    assert_int_equal(check_run(&h, spread, 496, 1), FLOW__HEALTH_SKEWED);
}

/* The first word of a window may not come again in it. */
static void
a_word_comes_once_in_512(void **state)
{
    struct flow__health h = { .word_len = 0 };

    (void)state;
    assert_int_equal(check_run(&h, sound, 0, 511 * 8), FLOW__HEALTH_GOOD);
    assert_int_equal(check_run(&h, sound, 0, 8), FLOW__HEALTH_SKEWED);
    memset(&h, 0, sizeof(h));
    assert_int_equal(check_run(&h, sound, 0, 512 * 8), FLOW__HEALTH_GOOD);
    assert_int_equal(check_run(&h, sound, 0, 8), FLOW__HEALTH_GOOD);
}

static unsigned failures; /* before each word */
static unsigned failed;

static bool
word(uint64_t *ret)
{
    if (failed++ < failures)
        return false;
    failed = 0;
    *ret = UINT64_MAX;
    return true;
}

static void
an_instruction_is_tried_again(void **state)
{
    struct flow__entropy_instruction instruction = { word, 10 };
    uint8_t buf[20];

    (void)state;
    failures = 9;
    failed = 0;
    assert_int_equal(flow__entropy_words(&instruction, buf, sizeof(buf)), 16);
    failures = 10;
    failed = 0;
    assert_int_equal(flow__entropy_words(&instruction, buf, sizeof(buf)), 0);
    assert_int_equal(failed, 10);
}

static void
the_processor_is_a_source(void **state)
{
    const struct flow_entropy_source *processor[] = { flow_entropy_rdseed(),
                                                      flow_entropy_rdrand() };
    size_t i;

    (void)state;
    if (processor[0] == NULL && processor[1] == NULL)
        skip();
    for (i = 0; i < COUNT(processor); i++) {
        if (processor[i] == NULL)
            continue;
        assert_true(processor[i]->fresh);
        start(processor[i], NULL, "", false);
        assert_bytes();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_given_before_the_start, setup),
        cmocka_unit_test_setup(a_sound_source_gives_bytes, setup),
        cmocka_unit_test_setup(a_seed_is_not_a_source, setup),
        cmocka_unit_test_setup(a_bad_source_gives_nothing_and_may_recover,
                               setup),
        cmocka_unit_test_setup(a_source_that_breaks_is_noticed_in_the_same_call,
                               setup),
        cmocka_unit_test_setup(a_source_that_turns_biased_is_noticed, setup),
        cmocka_unit_test_setup(a_silent_source_gives_nothing, setup),
        cmocka_unit_test_setup(a_source_may_give_single_bytes, setup),
        cmocka_unit_test_setup(one_healthy_source_is_enough, setup),
        cmocka_unit_test_setup(a_source_that_a_snapshot_repeats_does_not_count,
                               setup),
        cmocka_unit_test_setup(without_snapshots_a_slow_source_counts, setup),
        cmocka_unit_test_setup(every_input_changes_the_output, setup),
        cmocka_unit_test_setup(nothing_is_given_without_memory_to_mix, setup),
        cmocka_unit_test_setup(a_copy_of_the_machine_does_not_repeat_output,
                               setup),
        cmocka_unit_test_setup(the_cutoffs_are_those_of_the_derivation, setup),
        cmocka_unit_test_setup(a_window_has_512_bytes, setup),
        cmocka_unit_test_setup(a_word_comes_once_in_512, setup),
        cmocka_unit_test_setup(an_instruction_is_tried_again, setup),
        cmocka_unit_test_setup(the_processor_is_a_source, setup),
    };

    return cmocka_run_group_tests_name("unikernel: entropy", tests, NULL, NULL);
}
