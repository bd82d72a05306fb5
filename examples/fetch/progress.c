/* SPDX-License-Identifier: ISC */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Nothing is drawn for a transfer shorter than this, in ns. */
#define SHOW_AFTER UINT64_C(500000000)
#define DRAW_EVERY UINT64_C(100000000)

#define BAR_MAX 40

#define NUMBER 32

static void
progress_format_size(char text[NUMBER], uint64_t bytes)
{
    static const char unit[][3] = { "B", "kB", "MB", "GB", "TB" };
    unsigned tenths = 0;
    size_t i = 0;

    for (; bytes >= 1000 && i + 1 < sizeof(unit) / sizeof(unit[0]); i++) {
        tenths = (unsigned)(bytes % 1000 / 100);
        bytes /= 1000;
    }
    if (i == 0)
        snprintf(text, NUMBER, "%u B", (unsigned)bytes);
    else
        snprintf(text, NUMBER, "%u.%u %s", (unsigned)bytes, tenths, unit[i]);
}

static void
progress_format_seconds(char text[NUMBER], uint64_t nsec)
{
    unsigned s = (unsigned)((nsec + 500000000) / 1000000000);

    if (s >= 3600)
        snprintf(text, NUMBER, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, NUMBER, "%u:%02u", s / 60, s % 60);
}

static int
progress_columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

/* The numbers to the right of the bar. */
static void
progress_format_numbers(const struct progress *p, char *text, size_t cap,
                        uint64_t done, uint64_t now)
{
    uint64_t spent = now - p->began;
    double speed = spent > 0 ? (double)done / (double)spent : 0; /* per ns */
    bool left = done < p->total && speed > 0;
    char size[NUMBER], total[NUMBER], rate[NUMBER], time[NUMBER];

    progress_format_size(size, done);
    progress_format_size(total, p->total);
    progress_format_size(rate, (uint64_t)(speed * 1e9));
    progress_format_seconds(
        time, left ? (uint64_t)((double)(p->total - done) / speed) : spent);
    if (p->total == 0)
        snprintf(text, cap, "%8s  %8s/s  %s", size, rate, time);
    else
        snprintf(text, cap, "%3u %%  %8s of %s  %8s/s  %s%s",
                 (unsigned)(done * 100 / p->total), size, total, rate, time,
                 left ? " left" : "     ");
}

static void
progress_draw(struct progress *p, uint64_t done, uint64_t now)
{
    char numbers[192], bar[BAR_MAX + 1];
    int width = progress_columns();
    int room, filled;

    progress_format_numbers(p, numbers, sizeof(numbers), done, now);
    /* "[", "] " and one free column, so that no terminal wraps. */
    room = width - (int)strlen(numbers) - 4;
    if (room > BAR_MAX)
        room = BAR_MAX;
    if (p->total > 0 && room >= 8) {
        filled = (int)((double)done / (double)p->total * room);
        if (filled > room)
            filled = room;
        memset(bar, '#', (size_t)filled);
        memset(bar + filled, '.', (size_t)(room - filled));
        bar[room] = '\0';
        fprintf(stderr, "\r[%s] %s\033[K", bar, numbers);
    } else {
        fprintf(stderr, "\r%.*s\033[K", width > 1 ? width - 1 : 1, numbers);
    }
    fflush(stderr);
    p->shown = true;
    p->drawn = now;
}

/* See "progress.h". */
void
progress_start(struct progress *p, bool enabled, uint64_t total, uint64_t now)
{
    memset(p, 0, sizeof(*p));
    p->enabled = enabled && isatty(STDERR_FILENO);
    p->total = total;
    p->began = now;
}

/* See "progress.h". */
void
progress_update(struct progress *p, uint64_t done, uint64_t now)
{
    if (p->enabled && now - p->began >= SHOW_AFTER &&
        now - p->drawn >= DRAW_EVERY)
        progress_draw(p, done, now);
}

/* See "progress.h". */
void
progress_end(struct progress *p, uint64_t done, uint64_t now)
{
    if (!p->shown)
        return;
    progress_draw(p, done, now);
    fputc('\n', stderr);
    p->shown = false;
}
