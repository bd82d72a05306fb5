/* SPDX-License-Identifier: ISC */
#include "lib/plat.h"
#include "tls/config.h"

/* Files that a configuration names: certificates and keys. */

/* A system's trust store is about 220 KB today. */
#define CONFIG_FILE_BYTES_MAX (4u << 20)

/* See tls/config.h. */
enum flow_status
flow__config_read_file(const struct flow_tls_config *c, const char *path,
                       uint8_t **ret_data, size_t *ret_len,
                       struct flow_error *err)
{
    const char *text = "the file cannot be read";
    int32_t code = 0;
    enum flow_status st = flow__plat_read_file(
        c->env, path, CONFIG_FILE_BYTES_MAX, ret_data, ret_len, &code, &text);

    if (st != FLOW_OK) {
        flow_error_set(err, st, "tls config",
                       code != 0 ? FLOW_DOMAIN_ERRNO : FLOW_DOMAIN_NONE, code,
                       st == FLOW_E_INVAL ? "the file is too large" : text);
        flow_error_set_detail(err, path);
    }
    return st;
}

/* See tls/config.h. */
void
flow__config_free_file(const struct flow_tls_config *c, uint8_t *data,
                       size_t len)
{
    flow_wipe(data, len);
    flow_env_free(c->env, data, len + 1);
}
