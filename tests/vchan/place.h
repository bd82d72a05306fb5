/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VCHAN_PLACE_H
#define TESTS_VCHAN_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <flow/vchan.h>

#include "scratch.h"

/* A fake hypervisor's directory, below one of the test's own. */
struct place {
    char root[SCRATCH_MAX];
    char dir[SCRATCH_MAX + 8];
};

static inline void
place_make(struct place *p)
{
    scratch_dir(p->root);
    snprintf(p->dir, sizeof(p->dir), "%s/xen", p->root);
}

/* The last flow has removed what the listener made. */
static inline void
place_check_and_remove(struct place *p)
{
    assert_int_not_equal(access(p->dir, F_OK), 0);
    assert_int_equal(rmdir(p->root), 0);
}

static inline struct flow_listener *
listen_on(const struct place *p, const struct flow_vchan_options *opt)
{
    struct flow_listener *l;

    assert_int_equal(flow_vchan_fake_listen(NULL, p->dir, opt, &l, NULL),
                     FLOW_OK);
    return l;
}

static inline struct flow *
dial(const struct place *p, const struct flow_vchan_options *opt)
{
    struct flow *f;

    assert_int_equal(flow_vchan_fake_connect(NULL, p->dir, opt, &f, NULL),
                     FLOW_OK);
    return f;
}

static inline void
connect_pair(const struct place *p, struct flow_listener *l,
             const struct flow_vchan_options *opt, struct flow *ret[2])
{
    ret[1] = dial(p, opt);
    assert_int_equal(flow_open(ret[1]), FLOW_OK);
    assert_int_equal(flow_accept(l, &ret[0]), FLOW_OK);
    assert_int_equal(flow_open(ret[0]), FLOW_OK);
}

static inline void
close_pair(struct flow *f[2])
{
    flow_close(f[0]);
    flow_close(f[1]);
}

static inline void
pass(struct flow *from, struct flow *to, const char *text)
{
    char buf[64] = "";
    size_t n;

    assert_int_equal(flow_write(from, text, strlen(text), &n), FLOW_OK);
    assert_int_equal(n, strlen(text));
    assert_int_equal(flow_read(to, buf, sizeof(buf), &n), FLOW_OK);
    assert_int_equal(n, strlen(text));
    assert_string_equal(buf, text);
}

#endif
