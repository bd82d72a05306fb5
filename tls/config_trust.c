/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "lib/plat.h"
#include "tls/config.h"

/*
 * The certificates that a configuration trusts.
 *
 * Invariants: certificates that were added are trusted alone; the system's are
 * trusted only if none was added, and are loaded by freezing.  If freezing
 * fails, the system's go again, so that those added afterwards are alone too.
 */

/* "NAME, certificate 3": which of many it was. */
static void
trust_set_detail(struct flow_error *err, const char *name, size_t number)
{
    static const char what[] = "certificate ";
    char text[FLOW_ERROR_DETAIL];
    char digits[24];
    size_t len = 0, n = sizeof(digits);

    digits[--n] = '\0';
    do {
        digits[--n] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    if (name != NULL) {
        len = strlen(name);
        if (len > sizeof(text) - sizeof(what) - sizeof(digits) - 2)
            len = sizeof(text) - sizeof(what) - sizeof(digits) - 2;
        memcpy(text, name, len);
        text[len++] = ',';
        text[len++] = ' ';
    }
    memcpy(text + len, what, sizeof(what) - 1);
    len += sizeof(what) - 1;
    memcpy(text + len, digits + n, sizeof(digits) - n);
    flow_error_set_detail(err, text);
}

static enum flow_status
trust_may_add(const struct flow_tls_config *c, struct flow_error *err)
{
    if (flow__config_is_frozen(c))
        return flow__config_refuse(err, FLOW_E_BUSY,
                                   "the configuration is in use");
    /* If the certificates were accepted and never used, a user would believe
     * that clients must present one. */
    if (c->server)
        return flow__config_refuse(
            err, FLOW_E_NOTSUP,
            "a server does not verify client certificates yet");
    return FLOW_OK;
}

static enum flow_status
trust_add(struct flow_tls_config *c, const char *name, const void *data,
          size_t len, struct flow_error *err)
{
    size_t number = 0;
    enum flow_status st = trust_may_add(c, err);

    if (st != FLOW_OK)
        return st;
    if (c->trust == NULL) {
        st = flow__trust_new(c->env, &c->trust);
        if (st != FLOW_OK)
            return flow__config_refuse(err, st, "no memory");
    }
    st = flow__trust_add(c->trust, data, len, true, &number, err);
    if (st != FLOW_OK && number > 0)
        trust_set_detail(err, name, number);
    else if (st != FLOW_OK && name != NULL)
        flow_error_set_detail(err, name);
    return st;
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_add_trust(struct flow_tls_config *c, const void *data,
                          size_t len, struct flow_error *ret_err)
{
    return trust_add(c, NULL, data, len, ret_err);
}

/* See <flow/tls_config.h>. */
enum flow_status
flow_tls_config_add_trust_file(struct flow_tls_config *c, const char *path,
                               struct flow_error *ret_err)
{
    uint8_t *data;
    size_t len;
    enum flow_status st = trust_may_add(c, ret_err);

    if (st == FLOW_OK)
        st = flow__config_read_file(c->env, path, &data, &len, ret_err);
    if (st != FLOW_OK)
        return st;
    st = trust_add(c, path, data, len, ret_err);
    flow__config_free_file(c->env, data, len);
    return st;
}

/* The first of the system's stores that can be read. */
static enum flow_status
trust_load_system(struct flow_tls_config *c, struct flow_error *err)
{
    const char *const *path;

    for (path = flow__plat_trust_files(); *path != NULL; path++) {
        struct flow_error ignored;
        uint8_t *data;
        size_t len, count = 0;
        enum flow_status st =
            flow__config_read_file(c->env, *path, &data, &len, &ignored);

        if (st == FLOW_E_NOMEM)
            return flow__config_refuse(err, st,
                                       "no memory for the trust store");
        if (st != FLOW_OK)
            continue;
        st = flow__trust_add(c->trust, data, len, false, &count, err);
        flow__config_free_file(c->env, data, len);
        if (st != FLOW_OK || count > 0)
            return st;
    }
    (void)flow__config_refuse(
        err, FLOW_E_SYS, "this system has no trust store that can be read");
    if (err != NULL)
        err->hint = "install ca-certificates, or name the certificates to "
                    "trust with flow_tls_config_add_trust_file()";
    return FLOW_E_SYS;
}

/* See tls/config.h. */
enum flow_status
flow__config_complete_trust(struct flow_tls_config *c, struct flow_error *err)
{
    enum flow_status st;

    if (c->server || c->skip_verify || c->trust != NULL)
        return FLOW_OK;
    st = flow__trust_new(c->env, &c->trust);
    if (st != FLOW_OK)
        return flow__config_refuse(err, st, "no memory");
    return trust_load_system(c, err);
}
