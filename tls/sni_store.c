/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "lib/atomic.h"
#include "lib/checked.h"
#include "tls/engine.h"
#include "tls/sni.h"

/* What the files of the selector share: its memory and its errors. */

/* See tls/sni.h. */
bool
flow__sni_is_frozen(const struct flow_tls_sni *s)
{
    return flow__load_acquire(&s->frozen) != 0;
}

/* See tls/sni.h. */
void
flow__sni_join(char ret[FLOW_ERROR_DETAIL], const char *const *part,
               size_t count)
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(part[i]);

        if (len > FLOW_ERROR_DETAIL - 1 - at)
            len = FLOW_ERROR_DETAIL - 1 - at;
        memcpy(ret + at, part[i], len);
        at += len;
    }
    ret[at] = '\0';
}

/* "entry ID: WHAT", or what there is of it. */
static void
store_set_detail(struct flow_error *err, const char *id, const char *what)
{
    const char *const part[] = { id != NULL ? "entry " : "",
                                 id != NULL ? id : "",
                                 id != NULL && what != NULL ? ": " : "",
                                 what != NULL ? what : "" };
    char detail[FLOW_ERROR_DETAIL];

    flow__sni_join(detail, part, sizeof(part) / sizeof(part[0]));
    if (detail[0] != '\0')
        flow_error_set_detail(err, detail);
}

/* See tls/sni.h. */
enum flow_status
flow__sni_problem(const struct flow_tls_sni *s, struct flow_error *err,
                  enum flow_status status, const char *text, const char *id,
                  const char *what)
{
    struct flow_error problem;

    (void)flow_error_set(&problem, status, "tls config", FLOW_DOMAIN_NONE, 0,
                         text);
    store_set_detail(&problem, id, what);
    if (s->report != NULL)
        s->report(s->report_user, &problem);
    if (err != NULL && err->status == FLOW_OK)
        *err = problem;
    return status;
}

/* See tls/sni.h. */
enum flow_status
flow__sni_no_memory(struct flow_error *err)
{
    return flow_error_set(err, FLOW_E_NOMEM, "tls config", FLOW_DOMAIN_NONE, 0,
                          "no memory");
}

/* See tls/sni.h. */
enum flow_status
flow__sni_busy(struct flow_error *err)
{
    return flow_error_set(err, FLOW_E_BUSY, "tls config", FLOW_DOMAIN_NONE, 0,
                          "the selector is in use");
}

/* See tls/sni.h. */
bool
flow__sni_grow(const struct flow_env *env, void **array, size_t *cap,
               size_t count, size_t size)
{
    size_t more = *cap == 0 ? 4 : 2 * *cap;
    size_t bytes;
    void *grown;

    if (count < *cap)
        return true;
    if (!flow__checked_mul(more, size, &bytes))
        return false;
    grown = flow_env_alloc(env, bytes);
    if (grown == NULL)
        return false;
    if (count > 0)
        memcpy(grown, *array, count * size);
    flow_env_free(env, *array, *cap * size);
    *array = grown;
    *cap = more;
    return true;
}

/* See tls/sni.h. */
char *
flow__sni_copy(const struct flow_env *env, const char *text, size_t len)
{
    char *copy = flow_env_alloc(env, len + 1);

    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = '\0';
    }
    return copy;
}

/* See tls/sni.h. */
enum flow_status
flow__sni_add_pattern(struct flow_tls_sni *s,
                      const struct flow__sni_pattern *pattern)
{
    void *array = s->pattern;
    bool ok = flow__sni_grow(s->env, &array, &s->pattern_cap, s->pattern_count,
                             sizeof(*s->pattern));

    s->pattern = array;
    if (!ok) {
        flow_env_free(s->env, pattern->shown, pattern->shown_len + 1);
        return FLOW_E_NOMEM;
    }
    s->pattern[s->pattern_count++] = *pattern;
    return FLOW_OK;
}

/* See tls/sni.h. */
void
flow__sni_cut_patterns(struct flow_tls_sni *s, size_t count)
{
    while (s->pattern_count > count) {
        struct flow__sni_pattern *p = &s->pattern[--s->pattern_count];

        flow_env_free(s->env, p->shown, p->shown_len + 1);
    }
}

/* See tls/sni.h. */
void
flow__sni_identity_fini(const struct flow_env *env,
                        struct flow__sni_identity *identity)
{
    for (size_t i = 0; i < identity->name_count; i++)
        flow_env_free(env, identity->name[i], strlen(identity->name[i]) + 1);
    flow_env_free(env, identity->name,
                  identity->name_cap * sizeof(*identity->name));
    flow__keypair_free(identity->pair);
}
