/* SPDX-License-Identifier: ISC */
#include "lib/plat.h"

enum flow_status
flow__plat_read_file(const struct flow_env *env, const char *path, size_t max,
                     uint8_t **ret_data, size_t *ret_len, int32_t *ret_code,
                     const char **ret_text)
{
    (void)env;
    (void)path;
    (void)max;
    (void)ret_data;
    (void)ret_len;
    (void)ret_code;
    (void)ret_text;
    return FLOW_E_NOTSUP;
}

const char *const *
flow__plat_trust_files(void)
{
    static const char *const none[] = { NULL };

    return none;
}
