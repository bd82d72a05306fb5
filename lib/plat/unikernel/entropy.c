/* SPDX-License-Identifier: ISC */
#include <flow/entropy.h>

#include <string.h>

#include <flow/env.h>

#include "lib/plat/unikernel/health.h"

/*
 * Random bytes out of all sources at once.
 *
 *     key, output = mix(key, new bytes of each healthy source)
 *
 * The first key is made of the seed.  A key is replaced in the call that uses
 * it, so what is in memory does not tell earlier output.
 *
 * Invariants:
 *   - A byte of a source is mixed in only if it and all before it have passed
 *     the health tests.  A source counts after FLOW__HEALTH_STARTUP such bytes
 *     in a row, and a fault takes it back to the beginning.
 *   - Output depends on ENTROPY_DRAW bytes that a healthy source made in the
 *     same call, so two machines that were one in a snapshot differ.  On a
 *     machine without snapshots the key suffices, after a source that is slow
 *     was healthy once.
 *   - A call that fails leaves no byte of the caller's that could be used.
 *
 * ENTROPY_DRAW: the tests remember two words of a source, which a reader of
 * our memory may see.  The other 48 bytes have 48 * 6 = 288 bits by the claim
 * of health.c, which is more than the 256 of a key.
 */
#define ENTROPY_KEY  32u
#define ENTROPY_DRAW 64u
#define ENTROPY_PART 256u /* output of one mixing; ENTROPY_KEY more fit */

/* Ordered: the hint is for the highest. */
enum entropy_cause {
    ENTROPY_SOUND,
    ENTROPY_SILENT,
    ENTROPY_COPIED,
    ENTROPY_SKEWED,
    ENTROPY_REPEATS,
    ENTROPY_CAUSES
};

struct entropy_slot {
    const struct flow_entropy_source *source;
    struct flow__health health;
    uint32_t passed; /* of FLOW__HEALTH_STARTUP */
    enum entropy_cause cause;
};

static struct {
    flow_entropy_mix_fn *mix; /* NULL: not started */
    bool never_copied;
    bool mix_failed; /* in the last call */
    size_t count;
    struct entropy_slot slots[FLOW_ENTROPY_SOURCES];
    uint8_t key[ENTROPY_KEY];
} entropy;

static bool
entropy_mix(const uint8_t *input, size_t input_len, uint8_t *out, size_t len)
{
    if (entropy.mix(entropy.key, sizeof(entropy.key), input, input_len, out,
                    len))
        return true;
    entropy.mix_failed = true;
    return false;
}

static bool
entropy_absorb(const uint8_t *input, size_t len)
{
    uint8_t key[ENTROPY_KEY];

    if (len == 0)
        return true;
    if (!entropy_mix(input, len, key, sizeof(key)))
        return false;
    memcpy(entropy.key, key, sizeof(key));
    flow_wipe(key, sizeof(key));
    return true;
}

static void
entropy_slot_fail(struct entropy_slot *slot, enum flow__health_fault fault)
{
    flow_wipe(&slot->health, sizeof(slot->health));
    slot->passed = 0;
    slot->cause =
        fault == FLOW__HEALTH_REPEATS ? ENTROPY_REPEATS : ENTROPY_SKEWED;
}

/* Up to ENTROPY_DRAW tested bytes; 0: none, and why is in the slot. */
static size_t
entropy_slot_read(struct entropy_slot *slot, uint8_t *buf)
{
    const struct flow_entropy_source *source = slot->source;
    enum flow__health_fault fault;
    size_t n, done = 0;

    do {
        n = source->read(source->ctx, buf + done, ENTROPY_DRAW - done);
        fault = flow__health_check(&slot->health, buf + done, n);
        done += n;
    } while (fault == FLOW__HEALTH_GOOD && n > 0 && done < ENTROPY_DRAW);
    slot->cause = done == ENTROPY_DRAW ? ENTROPY_SOUND : ENTROPY_SILENT;
    if (fault == FLOW__HEALTH_GOOD)
        return done;
    entropy_slot_fail(slot, fault);
    flow_wipe(buf, ENTROPY_DRAW);
    return 0;
}

/* The startup tests, which continue where a source that was silent left them.
 * Whether it is healthy.  The bytes are used too. */
static bool
entropy_slot_start(struct entropy_slot *slot)
{
    uint8_t buf[ENTROPY_DRAW];
    size_t n = 1;

    while (n > 0 && slot->passed < FLOW__HEALTH_STARTUP) {
        n = entropy_slot_read(slot, buf);
        if (n > 0 && !entropy_absorb(buf, n))
            n = 0;
        slot->passed += (uint32_t)n;
    }
    flow_wipe(buf, sizeof(buf));
    return slot->passed >= FLOW__HEALTH_STARTUP;
}

/* Adds what a source gives now.  Whether it is enough for a call. */
static bool
entropy_slot_draw(struct entropy_slot *slot, uint8_t *buf, size_t *len)
{
    size_t n;

    if (!entropy_slot_start(slot))
        return false;
    n = entropy_slot_read(slot, buf + *len);
    *len += n;
    if (slot->passed == 0)
        return false;
    if (slot->source->fresh)
        return n == ENTROPY_DRAW;
    slot->cause = entropy.never_copied ? ENTROPY_SOUND : ENTROPY_COPIED;
    return entropy.never_copied;
}

static bool
entropy_draw(uint8_t *buf, size_t *ret_len)
{
    bool enough = false;
    size_t i;

    *ret_len = 0;
    for (i = 0; i < entropy.count; i++)
        enough |= entropy_slot_draw(&entropy.slots[i], buf, ret_len);
    return enough;
}

/* len <= ENTROPY_PART bytes. */
static bool
entropy_part(uint8_t *buf, size_t len)
{
    uint8_t input[FLOW_ENTROPY_SOURCES * ENTROPY_DRAW];
    uint8_t out[ENTROPY_KEY + ENTROPY_PART];
    size_t input_len;
    bool done = false;

    if (!entropy_draw(input, &input_len))
        (void)entropy_absorb(input, input_len);
    else if (entropy_mix(input, input_len, out, ENTROPY_KEY + len)) {
        memcpy(entropy.key, out, ENTROPY_KEY);
        memcpy(buf, out + ENTROPY_KEY, len);
        done = true;
    }
    flow_wipe(input, sizeof(input));
    flow_wipe(out, sizeof(out));
    return done;
}

/* See <flow/entropy.h>. */
enum flow_status
flow_entropy_start(const struct flow_entropy_options *options,
                   struct flow_error *ret_err)
{
    size_t i;

    flow_wipe(&entropy, sizeof(entropy));
    if (options->mix == NULL || options->source_count > FLOW_ENTROPY_SOURCES)
        return flow_error_set(ret_err, FLOW_E_INVAL, "entropy",
                              FLOW_DOMAIN_NONE, 0,
                              "too many sources, or nothing to mix them");
    entropy.mix = options->mix;
    entropy.never_copied = options->never_copied;
    for (i = 0; i < options->source_count; i++)
        if (options->sources[i] != NULL)
            entropy.slots[entropy.count++].source = options->sources[i];
    if (entropy_absorb(options->seed, options->seed_len))
        return FLOW_OK;
    flow_wipe(&entropy, sizeof(entropy));
    return flow_error_set(ret_err, FLOW_E_NOMEM, "entropy", FLOW_DOMAIN_NONE, 0,
                          "no memory to mix the seed");
}

/* See <flow/entropy.h>. */
bool
flow_entropy_random(void *ctx, void *buf, size_t len)
{
    uint8_t *at = buf;
    size_t done = 0, n;

    (void)ctx;
    if (entropy.mix == NULL) {
        flow_wipe(buf, len);
        return false;
    }
    entropy.mix_failed = false;
    for (; done < len; done += n) {
        n = len - done < ENTROPY_PART ? len - done : ENTROPY_PART;
        if (!entropy_part(at + done, n)) {
            flow_wipe(buf, len);
            return false;
        }
    }
    return true;
}

static const char *const entropy_cause_texts[ENTROPY_CAUSES] = {
    [ENTROPY_SOUND] = " is healthy",
    [ENTROPY_SILENT] = " gives no bytes",
    [ENTROPY_COPIED] = " repeats after a snapshot",
    [ENTROPY_SKEWED] = " failed the adaptive proportion test",
    [ENTROPY_REPEATS] = " failed the repetition count test",
};

static const char *const entropy_cause_hints[ENTROPY_CAUSES] = {
    [ENTROPY_SILENT] = "try again later; a seed is not a source",
    [ENTROPY_COPIED] = "use a processor with RDRAND, or set never_copied if "
                       "the machine has no snapshots",
    [ENTROPY_SKEWED] = "run the machine on another host; the source is tested "
                       "again at each call",
    [ENTROPY_REPEATS] = "run the machine on another host; the source is tested "
                        "again at each call",
};

static void
entropy_say(char *text, size_t *len, const char *word)
{
    for (; *word != '\0' && *len + 1 < FLOW_ERROR_DETAIL; word++)
        text[(*len)++] = *word;
    text[*len] = '\0';
}

static void
entropy_say_sources(struct flow_error *err)
{
    enum entropy_cause worst = ENTROPY_SOUND;
    char text[FLOW_ERROR_DETAIL];
    size_t i, len = 0;

    for (i = 0; i < entropy.count; i++) {
        const struct entropy_slot *slot = &entropy.slots[i];

        entropy_say(text, &len, i > 0 ? ", " : "");
        entropy_say(text, &len, slot->source->name);
        entropy_say(text, &len, entropy_cause_texts[slot->cause]);
        worst = slot->cause > worst ? slot->cause : worst;
    }
    flow_error_set_detail(err, text);
    err->hint = entropy_cause_hints[worst];
}

/* See <flow/entropy.h>. */
void
flow_entropy_error(void *ctx, struct flow_error *err)
{
    (void)ctx;
    err->text = "no source of entropy is healthy";
    if (entropy.mix == NULL) {
        err->text = "the sources of entropy were not started";
        err->hint = "call flow_entropy_start() first";
    } else if (entropy.mix_failed) {
        err->text = "no memory to mix entropy";
    } else if (entropy.count == 0) {
        err->text = "the machine has no source of entropy";
        err->hint = "use a processor with RDRAND (qemu -cpu max); a seed is "
                    "not a source";
    } else {
        entropy_say_sources(err);
    }
}
