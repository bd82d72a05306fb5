/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "lib/plat.h"
#include "tls/config.h"

/* Files that a configuration names: certificates and keys. */

/* A system's trust store is about 220 KB today. */
#define CONFIG_FILE_BYTES_MAX (4u << 20)

/* See tls/config.h. */
enum flow_status
flow__config_read_file(const struct flow_env *env, const char *path,
                       uint8_t **ret_data, size_t *ret_len,
                       struct flow_error *err)
{
    const char *text = "the file cannot be read";
    int32_t code = 0;
    enum flow_status st = flow__plat_read_file(env, path, CONFIG_FILE_BYTES_MAX,
                                               ret_data, ret_len, &code, &text);

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
flow__config_free_file(const struct flow_env *env, uint8_t *data, size_t len)
{
    flow_wipe(data, len);
    flow_env_free(env, data, len + 1);
}

/* See tls/config.h. */
enum flow_status
flow__config_read_pair(const struct flow_env *env, const char *chain_path,
                       const char *key_path, flow_tls_passphrase_fn *passphrase,
                       void *user, struct flow__config_pair_files *ret_files,
                       struct flow_error *err)
{
    struct flow__keypair_input *in = &ret_files->input;
    enum flow_status st;

    memset(ret_files, 0, sizeof(*ret_files));
    in->chain_name = chain_path;
    in->key_name = key_path;
    in->passphrase = passphrase;
    in->user = user;
    st = flow__config_read_file(env, chain_path, &ret_files->chain,
                                &in->chain_len, err);
    if (st != FLOW_OK)
        return st;
    st = flow__config_read_file(env, key_path, &ret_files->key, &in->key_len,
                                err);
    if (st != FLOW_OK)
        flow__config_free_file(env, ret_files->chain, in->chain_len);
    in->chain = ret_files->chain;
    in->key = ret_files->key;
    return st;
}

/* See tls/config.h. */
void
flow__config_free_pair(const struct flow_env *env,
                       struct flow__config_pair_files *files)
{
    flow__config_free_file(env, files->chain, files->input.chain_len);
    flow__config_free_file(env, files->key, files->input.key_len);
}
