/* SPDX-License-Identifier: ISC */
#include "tls/sni.h"

#include <string.h>

#include "lib/atomic.h"
#include "lib/checked.h"

/*
 * A selector: its lifetime, its policy and its entries.
 *
 * Invariants: a setter answers FLOW_E_BUSY once frozen is set; after that only
 * refs changes, so any thread may use it without a lock.  frozen is set with
 * release order after all that it stands for, and read with acquire order.  A
 * function that fails leaves the selector as it was.
 *
 * Locks: lock guards the freezing alone (sni_check.c).
 */

#define SNI_ALPN_MAX 16
#define SNI_ACME     "acme-tls/1"

/* See <flow/tls_sni.h>. */
enum flow_status
flow_tls_sni_new(const struct flow_env *env, struct flow_tls_sni **ret_sni,
                 struct flow_error *ret_err)
{
    struct flow_tls_sni *s;

    if (env == NULL)
        env = flow_env_default();
    s = flow_env_alloc(env, sizeof(*s));
    if (s == NULL)
        return flow__sni_no_memory(ret_err);
    s->env = env;
    s->refs = 1;
    s->default_entry = FLOW__SNI_ALL;
    flow_lock_init(&s->lock);
    *ret_sni = s;
    return FLOW_OK;
}

/* See <flow/tls_sni.h>. */
struct flow_tls_sni *
flow_tls_sni_ref(struct flow_tls_sni *s)
{
    (void)flow__add(&s->refs, 1);
    return s;
}

static void
sni_free_alpn(const struct flow_env *env, struct flow__sni_entry *e)
{
    if (e->alpn == NULL)
        return;
    for (size_t i = 0; i < e->alpn_count; i++)
        if (e->alpn[i] != NULL)
            flow_env_free(env, e->alpn[i], strlen(e->alpn[i]) + 1);
    flow_env_free(env, e->alpn, (e->alpn_count + 1) * sizeof(*e->alpn));
    e->alpn = NULL;
    e->alpn_count = 0;
}

static void
sni_free_entry(const struct flow_env *env, struct flow__sni_entry *e)
{
    for (size_t i = 0; i < e->identity_count; i++)
        flow__sni_identity_fini(env, &e->identity[i]);
    flow_env_free(env, e->identity, e->identity_cap * sizeof(*e->identity));
    flow_tls_verifier_unref(e->client_verifier);
    sni_free_alpn(env, e);
}

/* See <flow/tls_sni.h>. */
void
flow_tls_sni_unref(struct flow_tls_sni *s)
{
    if (s == NULL || flow__sub(&s->refs, 1) != 1)
        return;
    for (size_t i = 0; i < s->entry_count; i++)
        sni_free_entry(s->env, &s->entry[i]);
    flow_env_free(s->env, s->entry, s->entry_cap * sizeof(*s->entry));
    flow__sni_cut_patterns(s, 0);
    flow_env_free(s->env, s->pattern, s->pattern_cap * sizeof(*s->pattern));
    flow_lock_fini(&s->lock);
    flow_env_free(s->env, s, sizeof(*s));
}

/* See <flow/tls_sni.h>. */
enum flow_status
flow_tls_sni_set_report(struct flow_tls_sni *s, flow_tls_sni_report_fn *report,
                        void *user)
{
    if (flow__sni_is_frozen(s))
        return FLOW_E_BUSY;
    s->report = report;
    s->report_user = user;
    return FLOW_OK;
}

/* See <flow/tls_sni.h>. */
enum flow_status
flow_tls_sni_set_lookup(struct flow_tls_sni *s, flow_tls_sni_lookup_fn *lookup,
                        void *user, struct flow_event *answered)
{
    if (flow__sni_is_frozen(s))
        return FLOW_E_BUSY;
    s->lookup = lookup;
    s->lookup_user = user;
    s->answered = answered;
    return FLOW_OK;
}

static bool
sni_is_action(enum flow_tls_sni_action action, bool compat)
{
    return action >= FLOW_TLS_SNI_USE_DEFAULT &&
           action <=
               (compat ? FLOW_TLS_SNI_USE_DEFAULT_OR_FIRST : FLOW_TLS_SNI_DROP);
}

/* See <flow/tls_sni.h>. */
enum flow_status
flow_tls_sni_set_policy(struct flow_tls_sni *s,
                        const struct flow_tls_sni_policy *policy)
{
    if (flow__sni_is_frozen(s))
        return FLOW_E_BUSY;
    if (!sni_is_action(policy->on_no_name, policy->compat) ||
        !sni_is_action(policy->on_unknown, policy->compat))
        return FLOW_E_INVAL;
    s->policy = *policy;
    return FLOW_OK;
}

static const char *
sni_check_versions(const struct flow_tls_sni_entry *entry)
{
    unsigned min = (unsigned)entry->min_version;
    unsigned max = (unsigned)entry->max_version;

    if ((min != 0 && min != FLOW_TLS_1_2 && min != FLOW_TLS_1_3) ||
        (max != 0 && max != FLOW_TLS_1_2 && max != FLOW_TLS_1_3) ||
        (max != 0 && min > max))
        return "an entry has a range of versions that is not valid";
    return NULL;
}

static bool
sni_is_protocol(const char *name)
{
    size_t len = strlen(name);

    return len >= 1 && len <= 255;
}

/* RFC 8737 3: acme-tls/1 shows that a challenge is answered, so it is not
 * offered beside protocols that serve content. */
static const char *
sni_check_alpn(const struct flow_tls_sni_entry *entry)
{
    if (entry->alpn_count > SNI_ALPN_MAX)
        return "an entry has more than 16 application protocols";
    if (entry->require_alpn != NULL && entry->alpn_count > 0)
        return "an entry requires a protocol, which is then the only one: "
               "remove the list";
    if (entry->require_alpn != NULL && !sni_is_protocol(entry->require_alpn))
        return "an entry requires a protocol whose name is not 1 to 255 bytes "
               "long";
    for (size_t i = 0; i < entry->alpn_count; i++) {
        if (!sni_is_protocol(entry->alpn[i]))
            return "an entry has a protocol whose name is not 1 to 255 bytes "
                   "long";
        if (strcmp(entry->alpn[i], SNI_ACME) == 0)
            return "an entry has " SNI_ACME ", which it can only require";
    }
    return NULL;
}

static const char *
sni_check_client_auth(const struct flow_tls_sni_entry *entry)
{
    if ((unsigned)entry->client_auth > FLOW_TLS_CLIENT_AUTH_REQUIRED)
        return "an entry has a client_auth that is not valid";
    if (entry->client_auth == FLOW_TLS_CLIENT_AUTH_NONE &&
        entry->client_verifier != NULL)
        return "an entry has a verifier of client certificates, and asks for "
               "none";
    return NULL;
}

static const char *
sni_check_id(const struct flow_tls_sni *s,
             const struct flow_tls_sni_entry *entry)
{
    if (entry->id == NULL || entry->id[0] == '\0' ||
        strlen(entry->id) > FLOW__SNI_ID_MAX)
        return "an entry has an id that is not 1 to 63 bytes long";
    for (size_t i = 0; i < s->entry_count; i++)
        if (strcmp(s->entry[i].id, entry->id) == 0)
            return "an entry has the id of another entry";
    return NULL;
}

static const char *
sni_check_default(const struct flow_tls_sni *s,
                  const struct flow_tls_sni_entry *entry)
{
    return (entry->flags & FLOW_TLS_SNI_IS_DEFAULT) != 0 &&
                   s->default_entry != FLOW__SNI_ALL
               ? "there is a default entry already"
               : NULL;
}

static const char *
sni_check_flags(const struct flow_tls_sni_entry *entry)
{
    const uint32_t known = FLOW_TLS_SNI_ALLOW_TRAILING |
                           FLOW_TLS_SNI_ALLOW_TLD |
                           FLOW_TLS_SNI_ALLOW_NAME_MISMATCH |
                           FLOW_TLS_SNI_ALLOW_EXPIRED | FLOW_TLS_SNI_IS_DEFAULT;

    return (entry->flags & ~known) != 0 ? "an entry has unknown flags" : NULL;
}

/* Report every problem of an entry but those of its patterns. */
static enum flow_status
sni_check_entry(const struct flow_tls_sni *s,
                const struct flow_tls_sni_entry *entry, struct flow_error *err)
{
    const char *const why[] = {
        sni_check_id(s, entry),       sni_check_default(s, entry),
        sni_check_flags(entry),       sni_check_versions(entry),
        sni_check_client_auth(entry), sni_check_alpn(entry)
    };
    enum flow_status st = FLOW_OK;

    for (size_t i = 0; i < sizeof(why) / sizeof(why[0]); i++)
        if (why[i] != NULL)
            st = flow__sni_problem(s, err, FLOW_E_INVAL, why[i], entry->id,
                                   NULL);
    return st;
}

static enum flow_status
sni_copy_alpn(const struct flow_env *env, struct flow__sni_entry *e,
              const char *const *list, size_t count)
{
    if (count == 0)
        return FLOW_OK;
    e->alpn = flow_env_alloc(env, (count + 1) * sizeof(*e->alpn));
    if (e->alpn == NULL)
        return FLOW_E_NOMEM;
    e->alpn_count = count;
    for (size_t i = 0; i < count; i++) {
        e->alpn[i] = flow__sni_copy(env, list[i], strlen(list[i]));
        if (e->alpn[i] == NULL)
            return FLOW_E_NOMEM;
    }
    return FLOW_OK;
}

/* Add one pattern of the entry that will be the next. */
static enum flow_status
sni_add_pattern(struct flow_tls_sni *s, struct flow__sni_entry *e,
                const char *text, struct flow_error *err)
{
    struct flow__sni_pattern pattern;
    const char *why;
    enum flow_status st = flow__sni_pattern_parse(s->env, text, strlen(text),
                                                  e->flags, &pattern, &why);

    if (st == FLOW_E_INVAL)
        return flow__sni_problem(s, err, st, why, e->id, text);
    if (st != FLOW_OK)
        return st;
    if (pattern.class != FLOW__SNI_CLASS_CERT) {
        pattern.entry = s->entry_count;
        return flow__sni_add_pattern(s, &pattern);
    }
    flow_env_free(s->env, pattern.shown, pattern.shown_len + 1);
    e->uses_cert_names = true;
    return FLOW_OK;
}

/* Add all of them; every one that is not valid is reported. */
static enum flow_status
sni_add_patterns(struct flow_tls_sni *s, struct flow__sni_entry *e,
                 const struct flow_tls_sni_entry *entry, struct flow_error *err)
{
    enum flow_status st = FLOW_OK;

    for (size_t i = 0; i < entry->pattern_count && st != FLOW_E_NOMEM; i++) {
        enum flow_status one = sni_add_pattern(s, e, entry->patterns[i], err);

        if (one != FLOW_OK)
            st = one;
    }
    return st;
}

static enum flow_status
sni_fill_entry(struct flow_tls_sni *s, struct flow__sni_entry *e,
               const struct flow_tls_sni_entry *entry, struct flow_error *err)
{
    bool requires = entry->require_alpn != NULL;
    void *array = s->entry;
    bool ok = flow__sni_grow(s->env, &array, &s->entry_cap, s->entry_count,
                             sizeof(*s->entry));
    enum flow_status st;

    s->entry = array;
    memcpy(e->id, entry->id, strlen(entry->id) + 1);
    e->flags = entry->flags;
    e->min_version = (uint16_t)entry->min_version;
    e->max_version = (uint16_t)entry->max_version;
    e->client_auth = entry->client_auth;
    e->user = entry->user;
    e->requires_alpn = requires;
    if (!ok)
        return FLOW_E_NOMEM;
    st = sni_copy_alpn(s->env, e, requires ? &entry->require_alpn : entry->alpn,
                       requires ? 1 : entry->alpn_count);
    return st == FLOW_OK ? sni_add_patterns(s, e, entry, err) : st;
}

/* See <flow/tls_sni.h>. */
enum flow_status
flow_tls_sni_add_entry(struct flow_tls_sni *s,
                       const struct flow_tls_sni_entry *entry,
                       size_t *ret_index, struct flow_error *ret_err)
{
    const size_t patterns = s->pattern_count;
    struct flow__sni_entry e = { .flags = 0 };
    enum flow_status st;

    if (flow__sni_is_frozen(s))
        return flow__sni_busy(ret_err);
    if (ret_err != NULL)
        flow_error_clear(ret_err);
    if (s->entry_count == FLOW__SNI_ENTRIES_MAX)
        return flow__sni_problem(s, ret_err, FLOW_E_INVAL,
                                 "a selector has at most 65535 entries", NULL,
                                 NULL);
    st = sni_check_entry(s, entry, ret_err);
    if (st != FLOW_OK)
        return st;
    st = sni_fill_entry(s, &e, entry, ret_err);
    if (st != FLOW_OK) {
        flow__sni_cut_patterns(s, patterns);
        sni_free_alpn(s->env, &e);
        return st == FLOW_E_NOMEM ? flow__sni_no_memory(ret_err) : st;
    }
    if (entry->client_verifier != NULL)
        e.client_verifier = flow_tls_verifier_ref(entry->client_verifier);
    if ((e.flags & FLOW_TLS_SNI_IS_DEFAULT) != 0)
        s->default_entry = s->entry_count;
    *ret_index = s->entry_count;
    s->entry[s->entry_count++] = e;
    return FLOW_OK;
}

/* See tls/sni.h. */
void
flow__sni_drop_last(struct flow_tls_sni *s)
{
    s->entry_count--;
    sni_free_entry(s->env, &s->entry[s->entry_count]);
    if (s->default_entry == s->entry_count)
        s->default_entry = FLOW__SNI_ALL;
}

/* See <flow/tls_sni.h>. */
const char *
flow_tls_sni_entry_id(const struct flow_tls_sni *s, size_t entry)
{
    return entry < s->entry_count ? s->entry[entry].id : NULL;
}

/* See <flow/tls_sni.h>. */
void *
flow_tls_sni_entry_user(const struct flow_tls_sni *s, size_t entry)
{
    return entry < s->entry_count ? s->entry[entry].user : NULL;
}

/* See <flow/tls_sni.h>. */
bool
flow_tls_sni_entry_covers(const struct flow_tls_sni *s, size_t entry,
                          const char *host)
{
    struct flow__name name;
    bool is_covered = false;
    size_t rest;

    if (flow__name_parse(host, strlen(host), &name) != FLOW__NAME_DNS)
        return false;
    for (size_t i = 0; i < s->pattern_count; i++) {
        const struct flow__sni_pattern *p = &s->pattern[i];

        if (p->entry != entry || p->class == FLOW__SNI_CLASS_ANY ||
            !flow__sni_pattern_matches(p, name.dns, name.dns_len, &rest))
            continue;
        if (p->class == FLOW__SNI_CLASS_EXACT)
            return true;
        /* They come last in the index. */
        is_covered = p->class != FLOW__SNI_CLASS_NOT;
    }
    return is_covered;
}
