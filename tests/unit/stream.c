/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/util.h>

#include "stream.h"
#include "unit.h"

#define STREAM_LEN 3000000u

void
stream_text(struct flow *from, struct flow *to, const char *text)
{
    char buf[64];
    size_t n;

    assert_true(strlen(text) <= sizeof(buf));
    assert_int_equal(flow_write_all(from, text, strlen(text), NULL), FLOW_OK);
    assert_int_equal(flow_read_exact(to, buf, strlen(text), &n), FLOW_OK);
    assert_memory_equal(buf, text, strlen(text));
}

static uint8_t
stream_byte(size_t at)
{
    return (uint8_t)(at * 31u + at / 251u);
}

/* The next piece of the stream from position done on; its length, 0 after a
 * failure.  If the flow has leases, every second piece goes through one. */
static size_t
stream_piece(struct flow *f, size_t done)
{
    struct flow_vec span[2];
    uint8_t buf[9000];
    size_t i, n = 1 + done % sizeof(buf);

    if (n > STREAM_LEN - done)
        n = STREAM_LEN - done;
    for (i = 0; i < n; i++)
        buf[i] = stream_byte(done + i);
    if (done % 2 == 0 && flow_lease(f, FLOW_WRITE, 1, span) == FLOW_OK) {
        n = n < span[0].len ? n : span[0].len;
        memcpy(span[0].base, buf, n);
        return flow_commit(f, FLOW_WRITE, n, 0) == FLOW_OK ? n : 0;
    }
    return flow_write_all(f, buf, n, NULL) == FLOW_OK ? n : 0;
}

void *
stream_out(void *flow)
{
    size_t n, done = 0;

    while (done < STREAM_LEN) {
        n = stream_piece(flow, done);
        if (n == 0)
            return NULL;
        done += n;
    }
    return flow_shutdown(flow, FLOW_WRITE) == FLOW_OK ? flow : NULL;
}

void *
stream_in(void *flow)
{
    uint8_t buf[30000];
    enum flow_status st;
    size_t i, n, done = 0;

    while ((st = flow_read_wait(flow, buf, sizeof(buf), &n)) == FLOW_OK) {
        for (i = 0; i < n; i++)
            if (buf[i] != stream_byte(done + i))
                return NULL;
        done += n;
    }
    return st == FLOW_EOF && done == STREAM_LEN ? flow : NULL;
}

void
stream_both_ways(struct flow *a, struct flow *b)
{
    pthread_t thread[4];
    void *result;
    int i;

    assert_int_equal(pthread_create(&thread[0], NULL, stream_out, a), 0);
    assert_int_equal(pthread_create(&thread[1], NULL, stream_in, b), 0);
    assert_int_equal(pthread_create(&thread[2], NULL, stream_out, b), 0);
    assert_int_equal(pthread_create(&thread[3], NULL, stream_in, a), 0);
    for (i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(thread[i], &result), 0);
        assert_non_null(result);
    }
}

static void *
stream_read_byte(void *arg)
{
    struct stream_reader *r = arg;
    size_t n;
    char c;

    r->status = flow_read_wait(r->flow, &c, 1, &n);
    return NULL;
}

void
stream_reader_start(struct stream_reader *r, struct flow *flow)
{
    r->flow = flow;
    r->status = FLOW_OK;
    assert_int_equal(pthread_create(&r->thread, NULL, stream_read_byte, r), 0);
}

enum flow_status
stream_reader_join(struct stream_reader *r)
{
    assert_int_equal(pthread_join(r->thread, NULL), 0);
    return r->status;
}
