/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_fake.h"
#include "backends/vchan/vchan.h"

/* The two domains of a directory, and the name between them. */
#define SERVER 1u
#define CLIENT 2u
#define NAME   "flow"

/* See <flow/vchan.h>. */
enum flow_status
flow_vchan_fake_listen(const struct flow_env *env, const char *dir,
                       const struct flow_vchan_options *opt,
                       struct flow_listener **ret_listener,
                       struct flow_error *ret_err)
{
    struct vchan_hyp *hyp;
    enum flow_status st;

    if (env == NULL)
        env = flow_env_default();
    st =
        flow__vchan_fake_open(env, dir, SERVER, VCHAN_FAKE_MAKE, &hyp, ret_err);
    if (st != FLOW_OK)
        return st;
    return flow__vchan_listen_on(hyp, CLIENT, NAME, opt, ret_listener, ret_err);
}

/* See <flow/vchan.h>. */
enum flow_status
flow_vchan_fake_connect(const struct flow_env *env, const char *dir,
                        const struct flow_vchan_options *opt,
                        struct flow **ret_flow, struct flow_error *ret_err)
{
    struct vchan_hyp *hyp;
    enum flow_status st;

    if (env == NULL)
        env = flow_env_default();
    st = flow__vchan_fake_open(env, dir, CLIENT, 0, &hyp, ret_err);
    if (st != FLOW_OK)
        return st;
    return flow__vchan_connect_on(hyp, SERVER, NAME, opt, ret_flow, ret_err);
}
