/* SPDX-License-Identifier: ISC */
#include <string.h>

#include <flow/endpoint.h>

#include "backends/vchan/hyp_fake.h"
#include "backends/vchan/scheme.h"
#include "backends/vchan/vchan.h"

/* The two domains of a directory, and the name between them. */
#define FAKE_SERVER 1u
#define FAKE_CLIENT 2u
#define FAKE_NAME   "flow"

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
    st = flow__vchan_fake_open(env, dir, FAKE_SERVER, VCHAN_FAKE_MAKE, &hyp,
                               ret_err);
    if (st != FLOW_OK)
        return st;
    return flow__vchan_listen_on(hyp, FAKE_CLIENT, FAKE_NAME, opt, ret_listener,
                                 ret_err);
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
    st = flow__vchan_fake_open(env, dir, FAKE_CLIENT, 0, &hyp, ret_err);
    if (st != FLOW_OK)
        return st;
    return flow__vchan_connect_on(hyp, FAKE_SERVER, FAKE_NAME, opt, ret_flow,
                                  ret_err);
}

/* The directory in "//DIRECTORY", or NULL. */
static const char *
fake_directory(const char *rest, struct flow_error *err)
{
    if (strncmp(rest, "//", 2) == 0)
        return rest + 2;
    flow_error_set(err, FLOW_E_INVAL, "vchan+fake", FLOW_DOMAIN_NONE, 0,
                   "expected vchan+fake://DIRECTORY");
    flow_error_set_detail(err, rest);
    return NULL;
}

static enum flow_status
fake_dial(const struct flow_env *env, const char *rest,
          const struct flow_endpoint_options *opt, struct flow **ret_flow,
          struct flow_error *err)
{
    const struct flow_vchan_options own = {
        .timeout = opt != NULL ? opt->timeout : 0,
    };
    const char *dir = fake_directory(rest, err);

    if (dir == NULL)
        return FLOW_E_INVAL;
    return flow_vchan_fake_connect(env, dir, &own, ret_flow, err);
}

static enum flow_status
fake_listen(const struct flow_env *env, const char *rest,
            const struct flow_endpoint_options *opt,
            struct flow_listener **ret_listener, struct flow_error *err)
{
    const struct flow_vchan_options own = {
        .timeout = opt != NULL ? opt->timeout : 0,
    };
    const char *dir = fake_directory(rest, err);

    if (dir == NULL)
        return FLOW_E_INVAL;
    return flow_vchan_fake_listen(env, dir, &own, ret_listener, err);
}

const struct flow_scheme flow__scheme_vchan_fake = {
    .name = "vchan+fake",
    .syntax = "vchan+fake://DIRECTORY",
    .dial = fake_dial,
    .listen = fake_listen,
};
