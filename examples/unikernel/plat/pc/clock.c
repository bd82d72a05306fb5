/* SPDX-License-Identifier: ISC */
#include "../../core/report.h"
#include "../x86/cpu.h"
#include "pc.h"

/*
 * The time.
 *
 * The time stamp counter runs at an unknown rate, and so does the timer of the
 * local APIC.  Both are measured against channel 0 of the interval timer, whose
 * rate is fixed.  Reading it takes long, and on a busy host very long, so it is
 * read several times at each end of the measurement, and the reading counts
 * that took the least time.
 *
 * The timer runs down once, in 55 ms, and then starts over.  A host that takes
 * the processor away for longer would hide such a round, and the clock would
 * run many times too slow: so each reading also asks whether the timer has run
 * down, and a measurement during which it did is repeated.
 *
 * Between the ends of the measurement the machine is started further, so that
 * it takes little time of its own.
 *
 * The clock of the machine (an MC146818) tells the date once, at the start.
 */

#define CLOCK_NSEC     UINT64_C(1000000000)
#define CLOCK_PIT_HZ   UINT64_C(1193182)
#define CLOCK_PIT_DATA 0x40
#define CLOCK_PIT_MODE 0x43
#define CLOCK_PIT_TIME 4772 /* ticks of a measurement: 4 ms */
#define CLOCK_PIT_READ 0xc2 /* latch count and status of channel 0 */
#define CLOCK_PIT_OVER 0x80 /* of the status: it has run down */
#define CLOCK_READINGS 8
#define CLOCK_TRIES    64
/* A reading may take so little of a measurement, if a try is left. */
#define CLOCK_PRECISION 64
/* Time stamps, a second or more, after which the timer has to have moved. */
#define CLOCK_PATIENCE UINT64_C(0x100000000)

#define CLOCK_RTC_INDEX 0x70
#define CLOCK_RTC_DATA  0x71

struct clock_reading {
    uint64_t stamp, took;
    uint32_t timer;
    uint16_t pit;
    bool is_over; /* the interval timer has run down since it was set */
};

static struct clock_reading clock_first;
static uint64_t clock_began;
static uint64_t clock_scale; /* ns in a tick, times 2^32 */
static int64_t clock_date;   /* at clock_began */

static struct clock_reading
clock_read_once(void)
{
    struct clock_reading r;
    uint64_t before = cpu_time_stamp();

    cpu_out8(CLOCK_PIT_MODE, CLOCK_PIT_READ);
    r.is_over = (cpu_in8(CLOCK_PIT_DATA) & CLOCK_PIT_OVER) != 0;
    r.pit = cpu_in8(CLOCK_PIT_DATA);
    r.pit = (uint16_t)(r.pit | cpu_in8(CLOCK_PIT_DATA) << 8);
    r.timer = interrupt_timer_count();
    r.stamp = cpu_time_stamp();
    r.took = r.stamp - before;
    return r;
}

static struct clock_reading
clock_read(void)
{
    struct clock_reading best = clock_read_once(), r;
    unsigned i;

    for (i = 1; i < CLOCK_READINGS; i++) {
        r = clock_read_once();
        if (r.took < best.took)
            best = r;
    }
    return best;
}

/* Reads at the beginning of a measurement. */
static struct clock_reading
clock_read_first(void)
{
    cpu_out8(CLOCK_PIT_MODE, 0x30); /* channel 0 runs down once */
    cpu_out8(CLOCK_PIT_DATA, 0xff);
    cpu_out8(CLOCK_PIT_DATA, 0xff);
    return clock_read();
}

/* Reads at its end.  False: the interval timer has run down, so that its ticks
 * cannot be told. */
static bool
clock_read_last(const struct clock_reading *first, struct clock_reading *last)
{
    do {
        *last = clock_read_once();
        if (last->stamp - first->stamp > CLOCK_PATIENCE)
            report_panic("the interval timer stands still");
    } while (!last->is_over &&
             (uint16_t)(first->pit - last->pit) < CLOCK_PIT_TIME);
    *last = clock_read();
    return !last->is_over;
}

static bool
clock_is_precise(const struct clock_reading *first,
                 const struct clock_reading *last)
{
    return (first->took + last->took) * CLOCK_PRECISION <=
           last->stamp - first->stamp;
}

static void
clock_measure(struct clock_reading first)
{
    struct clock_reading last;
    uint64_t ticks;
    unsigned i;
    bool ok;

    for (i = 0;; i++) {
        ok = clock_read_last(&first, &last);
        if ((ok && clock_is_precise(&first, &last)) || i + 1 == CLOCK_TRIES)
            break;
        first = clock_read_first();
    }
    if (!ok)
        report_panic("the interval timer cannot be read: it is missing, or "
                     "the host is too busy");
    ticks = (uint16_t)(first.pit - last.pit);
    clock_scale = (CLOCK_NSEC << 32) /
                  ((last.stamp - first.stamp) * CLOCK_PIT_HZ / ticks);
    interrupt_set_rate((first.timer - last.timer) * CLOCK_PIT_HZ / ticks);
    clock_began = last.stamp;
}

/* --- the date --- */

static uint8_t
clock_rtc(uint8_t index)
{
    cpu_out8(CLOCK_RTC_INDEX, index);
    return cpu_in8(CLOCK_RTC_DATA);
}

static unsigned
clock_rtc_number(uint8_t index, bool is_binary)
{
    unsigned value = clock_rtc(index);

    return is_binary ? value : (value >> 4) * 10 + (value & 15);
}

/* Days from 1970-01-01 to a date of the Gregorian calendar.  The year is
 * counted from March, so that the day that a leap year adds is its last. */
static int64_t
clock_days(int64_t year, unsigned month, unsigned day)
{
    unsigned since_march = (month + 9) % 12;
    int64_t leaps;

    if (month <= 2)
        year--;
    leaps = year / 4 - year / 100 + year / 400;
    return year * 365 + leaps + (since_march * 306 + 5) / 10 + day - 719469;
}

static int64_t
clock_rtc_read(void)
{
    bool is_binary = (clock_rtc(0x0b) & 0x04) != 0;
    unsigned second, minute, hour, day, month, year;

    second = clock_rtc_number(0x00, is_binary);
    minute = clock_rtc_number(0x02, is_binary);
    hour = clock_rtc_number(0x04, is_binary);
    day = clock_rtc_number(0x07, is_binary);
    month = clock_rtc_number(0x08, is_binary);
    year = 2000 + clock_rtc_number(0x09, is_binary);
    return ((clock_days(year, month, day) * 24 + hour) * 60 + minute) * 60 +
           second;
}

/* It may change while it is read, so it is read until twice the same. */
static int64_t
clock_rtc_date(void)
{
    int64_t date = clock_rtc_read(), again;

    while ((again = clock_rtc_read()) != date)
        date = again;
    return date;
}

void
clock_begin(void)
{
    clock_first = clock_read_first();
}

void
clock_start(void)
{
    clock_measure(clock_first);
    clock_date = clock_rtc_date();
}

uint64_t
clock_now(void)
{
    return cpu_scale(cpu_time_stamp() - clock_began, clock_scale);
}

int64_t
clock_wall(void)
{
    return clock_date + (int64_t)(clock_now() / CLOCK_NSEC);
}
