/* SPDX-License-Identifier: ISC */
#include <flow/vchan.h>

/* Stands in for fake.c in a build without the fake hypervisor. */
static enum flow_status
fake_refuse(struct flow_error *err)
{
    flow_error_set(err, FLOW_E_NOTSUP, "vchan+fake", FLOW_DOMAIN_NONE, 0,
                   "libflow was built without the fake hypervisor");
    if (err != NULL)
        err->hint = "build with -Dvchan_fake=enabled";
    return FLOW_E_NOTSUP;
}

/* See <flow/vchan.h>. */
enum flow_status
flow_vchan_fake_listen(const struct flow_env *env, const char *dir,
                       const struct flow_vchan_options *opt,
                       struct flow_listener **ret_listener,
                       struct flow_error *ret_err)
{
    (void)env;
    (void)dir;
    (void)opt;
    (void)ret_listener;
    return fake_refuse(ret_err);
}

/* See <flow/vchan.h>. */
enum flow_status
flow_vchan_fake_connect(const struct flow_env *env, const char *dir,
                        const struct flow_vchan_options *opt,
                        struct flow **ret_flow, struct flow_error *ret_err)
{
    (void)env;
    (void)dir;
    (void)opt;
    (void)ret_flow;
    return fake_refuse(ret_err);
}
