/* SPDX-License-Identifier: ISC */
/*
 * The clock of the example unikernel on a machine made of this test, whose host
 * takes the processor away at any moment and for any time.  However often that
 * happens, the rates that the clock measures are right, or the machine ends in
 * a panic.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "examples/unikernel/core/report.h"
#include "examples/unikernel/plat/pc/pc.h"
#include "examples/unikernel/plat/x86/cpu.h"

#define STAMP_HZ UINT64_C(2500000000)
#define TIMER_HZ UINT64_C(1000000000)
#define PIT_HZ   UINT64_C(1193182)
#define NSEC     UINT64_C(1000000000)
#define STEP     1500 /* ns that an access takes */

static uint64_t now;
static uint64_t rate;       /* of interrupt_set_rate() */
static uint64_t other_work; /* between the two halves of the start, ns */
static unsigned delay_odds; /* one access of so many is delayed; 0: none */
static uint64_t delay_max;
static bool pit_is_missing;
static jmp_buf panicked;
static const char *panic_text;

static struct {
    uint64_t set_at;
    uint8_t latched[3];
    unsigned next, written;
} pit;

_Noreturn void
report_panic(const char *format, ...)
{
    panic_text = format;
    longjmp(panicked, 1);
}

/* value * mul / div */
static uint64_t
scaled(uint64_t value, uint64_t mul, uint64_t div)
{
    return value / div * mul + value % div * mul / div;
}

static void
pass(void)
{
    now += STEP;
    if (delay_odds != 0 && (unsigned)rand() % delay_odds == 0)
        now += (uint64_t)rand() % delay_max;
}

static void
pit_latch(void)
{
    uint64_t ticks = scaled(now - pit.set_at, PIT_HZ, NSEC);
    uint16_t count = (uint16_t)(0xffff - ticks);

    pit.latched[0] = (uint8_t)(0x30 | (ticks >= 0xffff ? 0x80 : 0));
    pit.latched[1] = (uint8_t)count;
    pit.latched[2] = (uint8_t)(count >> 8);
    pit.next = 0;
}

void
cpu_out8(uint16_t port, uint8_t value)
{
    pass();
    if (port == 0x43 && value == 0xc2)
        pit_latch();
    else if (port == 0x43)
        assert_int_equal(value, 0x30);
    else if (port == 0x40 && ++pit.written % 2 == 0)
        pit.set_at = now;
}

/* The date is 2026-11-28 12:34:56, in binary. */
static uint8_t
rtc(void)
{
    static const uint8_t date[] = { 0x04, 56, 34, 12, 28, 11, 26 };
    static unsigned next;

    return date[next++ % sizeof(date)];
}

uint8_t
cpu_in8(uint16_t port)
{
    pass();
    if (port == 0x40)
        return pit_is_missing ? 0xff : pit.latched[pit.next++ % 3];
    assert_int_equal(port, 0x71);
    return rtc();
}

uint64_t
cpu_time_stamp(void)
{
    pass();
    return scaled(now, STAMP_HZ, NSEC);
}

uint64_t
cpu_scale(uint64_t value, uint64_t scale)
{
    return (uint64_t)((__extension__(unsigned __int128) value * scale) >> 32);
}

uint32_t
interrupt_timer_count(void)
{
    pass();
    return (uint32_t)(UINT32_MAX - scaled(now, TIMER_HZ, NSEC));
}

void
interrupt_set_rate(uint64_t hz)
{
    rate = hz;
}

/* Starts the clock; false after a panic. */
static bool
start(void)
{
    panic_text = NULL;
    if (setjmp(panicked) != 0)
        return false;
    clock_begin();
    now += other_work;
    clock_start();
    return true;
}

static void
assert_near(uint64_t value, uint64_t expected)
{
    assert_in_range(value, expected - expected / 25, expected + expected / 25);
}

static void
assert_clock_is_right(void)
{
    uint64_t before;

    delay_odds = 0;
    before = clock_now();
    now += 10 * NSEC;
    assert_near(clock_now() - before, 10 * NSEC);
    assert_near(rate, TIMER_HZ);
}

static void
test_idle_host(void **state)
{
    uint64_t before = now;

    (void)state;
    delay_odds = 0;
    assert_true(start());
    assert_in_range(now - before, 4000000, 6000000);
    assert_clock_is_right();
    assert_true(clock_wall() >= 1795869296 && clock_wall() < 1795869308);
}

/* A measurement is over when its time is, whatever was done in between. */
static void
test_other_work(void **state)
{
    static const uint64_t works[] = { 1000000, 3500000, 20000000 };
    uint64_t before, end;

    (void)state;
    delay_odds = 0;
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        other_work = works[i];
        before = now;
        assert_true(start());
        end = works[i] < 4000000 ? 4000000 : works[i];
        assert_in_range(now - before, end, end + 1000000);
        assert_clock_is_right();
    }
    other_work = 0;
}

static void
test_busy_hosts(void **state)
{
    static const uint64_t delays[] = { 100000, 5000000, 60000000, 500000000 };
    unsigned i;

    (void)state;
    srand(1);
    for (i = 0; i < 4000; i++) {
        delay_odds = 300 + (unsigned)rand() % 20000;
        delay_max = delays[i % 4];
        other_work = (uint64_t)rand() % 100000000;
        if (start())
            assert_clock_is_right();
        else
            assert_true(delay_odds < 2000);
    }
    other_work = 0;
}

static void
test_missing_timer(void **state)
{
    (void)state;
    delay_odds = 0;
    pit_is_missing = true;
    assert_false(start());
    pit_is_missing = false;
    assert_non_null(strstr(panic_text, "cannot be read"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_host),
        cmocka_unit_test(test_other_work),
        cmocka_unit_test(test_busy_hosts),
        cmocka_unit_test(test_missing_timer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
