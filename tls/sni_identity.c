/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/config.h"
#include "tls/engine.h"
#include "tls/sni.h"

/*
 * The certificates of a selector's entries, and their names.
 *
 * Invariant: the names of a certificate that its entry uses (@cert) are
 * patterns of that certificate alone, made when it is added.
 */

/* Make room for count names. */
static enum flow_status
identity_set_names(const struct flow_env *env,
                   struct flow__sni_identity *identity, size_t count)
{
    if (count == 0)
        return FLOW_OK;
    identity->name = flow_env_alloc(env, count * sizeof(*identity->name));
    if (identity->name == NULL)
        return FLOW_E_NOMEM;
    identity->name_cap = count;
    return FLOW_OK;
}

static enum flow_status
identity_add_name(const struct flow_env *env,
                  struct flow__sni_identity *identity, const char *text,
                  size_t len)
{
    char *copy = flow__sni_copy(env, text, len);

    if (copy == NULL)
        return FLOW_E_NOMEM;
    identity->name[identity->name_count++] = copy;
    return FLOW_OK;
}

/* Names with a NUL in them are left out, since a host name has none. */
static size_t
identity_count_names(const struct flow__keypair *pair)
{
    const uint8_t *name;
    size_t len, count = 0;

    for (size_t i = 0; flow__keypair_name(pair, i, &name, &len); i++)
        count += memchr(name, 0, len) == NULL ? 1 : 0;
    return count;
}

static enum flow_status
identity_read_pair(const struct flow_env *env, struct flow__keypair *pair,
                   struct flow__sni_identity *ret)
{
    const uint8_t *name;
    size_t len;
    enum flow_status st;

    memset(ret, 0, sizeof(*ret));
    ret->key = flow__keypair_type(pair);
    flow__keypair_validity(pair, &ret->not_before, &ret->not_after);
    ret->scheme_count =
        flow__keypair_schemes(pair, ret->scheme, FLOW__SNI_SCHEMES_MAX);
    st = identity_set_names(env, ret, identity_count_names(pair));
    for (size_t i = 0;
         st == FLOW_OK && flow__keypair_name(pair, i, &name, &len); i++)
        if (memchr(name, 0, len) == NULL)
            st = identity_add_name(env, ret, (const char *)name, len);
    return st;
}

static enum flow_status
identity_read_facts(const struct flow_env *env,
                    const struct flow_tls_sni_identity *facts,
                    struct flow__sni_identity *ret)
{
    enum flow_status st;

    memset(ret, 0, sizeof(*ret));
    ret->key = (enum flow__key_type)facts->key;
    ret->not_before = facts->not_before;
    ret->not_after = facts->not_after;
    ret->scheme_count = facts->scheme_count;
    if (facts->scheme_count > 0)
        memcpy(ret->scheme, facts->schemes,
               facts->scheme_count * sizeof(*facts->schemes));
    st = identity_set_names(env, ret, facts->name_count);
    for (size_t i = 0; st == FLOW_OK && i < facts->name_count; i++)
        st = identity_add_name(env, ret, facts->names[i],
                               strlen(facts->names[i]));
    return st;
}

/* Make patterns of the names; those that cannot be asked for are left out. */
static enum flow_status
identity_add_patterns(struct flow_tls_sni *s, size_t entry,
                      const struct flow__sni_identity *identity)
{
    for (size_t i = 0; i < identity->name_count; i++) {
        const char *text = identity->name[i];
        struct flow__sni_pattern pattern;
        const char *why;
        enum flow_status st = flow__sni_pattern_parse(
            s->env, text, strlen(text), 0, &pattern, &why);

        if (st == FLOW_E_INVAL)
            continue;
        if (st != FLOW_OK)
            return st;
        pattern.entry = entry;
        pattern.identity = s->entry[entry].identity_count;
        if (pattern.class > FLOW__SNI_CLASS_LABEL) {
            flow_env_free(s->env, pattern.shown, pattern.shown_len + 1);
            continue;
        }
        st = flow__sni_add_pattern(s, &pattern);
        if (st != FLOW_OK)
            return st;
    }
    return FLOW_OK;
}

/* Give an entry a certificate; on an error nothing has changed. */
static enum flow_status
identity_append(struct flow_tls_sni *s, size_t entry,
                const struct flow__sni_identity *identity)
{
    struct flow__sni_entry *e = &s->entry[entry];
    const size_t patterns = s->pattern_count;
    void *array = e->identity;
    bool ok = flow__sni_grow(s->env, &array, &e->identity_cap,
                             e->identity_count, sizeof(*e->identity));
    enum flow_status st = ok ? FLOW_OK : FLOW_E_NOMEM;

    e->identity = array;
    if (ok && e->uses_cert_names)
        st = identity_add_patterns(s, entry, identity);
    if (st == FLOW_OK)
        e->identity[e->identity_count++] = *identity;
    else
        flow__sni_cut_patterns(s, patterns);
    return st;
}

/* Whether two certificates have the same names, in any order. */
static bool
identity_has_name(const struct flow__sni_identity *identity, const char *name)
{
    for (size_t i = 0; i < identity->name_count; i++)
        if (strcmp(identity->name[i], name) == 0)
            return true;
    return false;
}

static bool
identity_has_names_of(const struct flow__sni_identity *a,
                      const struct flow__sni_identity *b)
{
    for (size_t i = 0; i < b->name_count; i++)
        if (!identity_has_name(a, b->name[i]))
            return false;
    return true;
}

static size_t
identity_find_entry(const struct flow_tls_sni *s,
                    const struct flow__sni_identity *identity)
{
    for (size_t i = 0; i < s->entry_count; i++)
        if (identity_has_names_of(&s->entry[i].identity[0], identity) &&
            identity_has_names_of(identity, &s->entry[i].identity[0]))
            return i;
    return FLOW__SNI_ALL;
}

/* "pair 1" and so on. */
static enum flow_status
identity_new_entry(struct flow_tls_sni *s, uint32_t flags, size_t *ret_index,
                   struct flow_error *err)
{
    static const char *const patterns[] = { "@cert" };
    char id[] = "pair 00000000000000000000";
    size_t at = sizeof(id) - 1;
    struct flow_tls_sni_entry entry = {
        .id = id,
        .patterns = patterns,
        .pattern_count = 1,
        .flags = flags | (s->entry_count == 0 ? FLOW_TLS_SNI_IS_DEFAULT : 0),
    };
    size_t digits;

    for (size_t n = s->entry_count + 1; n > 0; n /= 10)
        id[--at] = (char)('0' + n % 10);
    digits = sizeof(id) - 1 - at;
    memmove(id + 5, id + at, digits + 1);
    return flow_tls_sni_add_entry(s, &entry, ret_index, err);
}

/* See tls/sni.h. */
enum flow_status
flow__sni_add_pair(struct flow_tls_sni *s, struct flow__keypair *pair,
                   uint32_t flags, struct flow_error *err)
{
    struct flow__sni_identity identity;
    enum flow_status st = identity_read_pair(s->env, pair, &identity);
    const size_t entries = s->entry_count;
    size_t entry;

    if (st == FLOW_OK) {
        entry = identity_find_entry(s, &identity);
        if (entry == FLOW__SNI_ALL)
            st = identity_new_entry(s, flags, &entry, err);
    }
    if (st == FLOW_OK)
        st = identity_append(s, entry, &identity);
    if (st == FLOW_OK) {
        s->entry[entry].identity[s->entry[entry].identity_count - 1].pair =
            pair;
        return FLOW_OK;
    }
    if (s->entry_count > entries)
        flow__sni_drop_last(s);
    flow__sni_identity_fini(s->env, &identity);
    return flow__sni_no_memory(err);
}

static enum flow_status
identity_check_place(const struct flow_tls_sni *s, size_t entry,
                     struct flow_error *err)
{
    if (flow__sni_is_frozen(s))
        return flow__sni_busy(err);
    if (entry >= s->entry_count)
        return flow_error_set(err, FLOW_E_INVAL, "tls config", FLOW_DOMAIN_NONE,
                              0, "no entry has this index");
    return FLOW_OK;
}

/* Add a pair whose input is complete but for what the entry says. */
static enum flow_status
identity_add_input(struct flow_tls_sni *s, size_t entry,
                   struct flow__keypair_input *in, struct flow_error *err)
{
    struct flow__sni_identity identity;
    struct flow__keypair *pair;
    enum flow_status st;

    in->allow_expired =
        (s->entry[entry].flags & FLOW_TLS_SNI_ALLOW_EXPIRED) != 0;
    in->report = s->report;
    in->report_user = s->report_user;
    st = flow__engine_init(err);
    if (st == FLOW_OK)
        st = flow__keypair_new(s->env, in, &pair, err);
    if (st == FLOW_E_INVAL || st == FLOW_E_AUTH)
        s->entry[entry].has_refused = true;
    if (st != FLOW_OK)
        return st;
    st = identity_read_pair(s->env, pair, &identity);
    identity.pair = pair;
    if (st == FLOW_OK)
        st = identity_append(s, entry, &identity);
    if (st == FLOW_OK)
        return st;
    flow__sni_identity_fini(s->env, &identity);
    return flow__sni_no_memory(err);
}

/* See <flow/tls_sni.h>. */
enum flow_status
flow_tls_sni_add_keypair(struct flow_tls_sni *s, size_t entry,
                         const void *chain, size_t chain_len, const void *key,
                         size_t key_len, flow_tls_passphrase_fn *passphrase,
                         void *user, struct flow_error *ret_err)
{
    struct flow__keypair_input in = {
        .chain = chain,
        .chain_len = chain_len,
        .key = key,
        .key_len = key_len,
        .passphrase = passphrase,
        .user = user,
    };
    enum flow_status st = identity_check_place(s, entry, ret_err);

    return st == FLOW_OK ? identity_add_input(s, entry, &in, ret_err) : st;
}

/* Report a file that cannot be read. */
static enum flow_status
identity_note_unread(const struct flow_tls_sni *s,
                     const struct flow_error *problem, struct flow_error *err)
{
    if (s->report != NULL)
        s->report(s->report_user, problem);
    if (err != NULL)
        *err = *problem;
    return problem->status;
}

/* See <flow/tls_sni.h>. */
enum flow_status
flow_tls_sni_add_keypair_file(struct flow_tls_sni *s, size_t entry,
                              const char *chain_path, const char *key_path,
                              flow_tls_passphrase_fn *passphrase, void *user,
                              struct flow_error *ret_err)
{
    struct flow__config_pair_files files;
    struct flow_error problem;
    enum flow_status st = identity_check_place(s, entry, ret_err);

    if (st != FLOW_OK)
        return st;
    st = flow__config_read_pair(s->env, chain_path, key_path, passphrase, user,
                                &files, &problem);
    if (st != FLOW_OK) {
        s->entry[entry].has_refused = true;
        return identity_note_unread(s, &problem, ret_err);
    }
    st = identity_add_input(s, entry, &files.input, ret_err);
    flow__config_free_pair(s->env, &files);
    return st;
}

/* See <flow/tls_sni.h>. */
enum flow_status
flow_tls_sni_add_identity(struct flow_tls_sni *s, size_t entry,
                          const struct flow_tls_sni_identity *identity,
                          struct flow_error *ret_err)
{
    struct flow__sni_identity copy;
    enum flow_status st = identity_check_place(s, entry, ret_err);

    if (st != FLOW_OK)
        return st;
    if ((unsigned)identity->key > FLOW_TLS_KEY_RSA ||
        identity->scheme_count > FLOW__SNI_SCHEMES_MAX)
        return flow_error_set(ret_err, FLOW_E_INVAL, "tls config",
                              FLOW_DOMAIN_NONE, 0,
                              "the facts of a certificate are not valid");
    st = identity_read_facts(s->env, identity, &copy);
    if (st == FLOW_OK)
        st = identity_append(s, entry, &copy);
    if (st == FLOW_OK)
        return st;
    flow__sni_identity_fini(s->env, &copy);
    return flow__sni_no_memory(ret_err);
}

/* See tls/sni.h. */
struct flow__keypair *
flow__sni_pair(const struct flow_tls_sni *s, size_t entry, size_t identity)
{
    return s->entry[entry].identity[identity].pair;
}

/* Whether a dNSName is for a name, which may have "x." for a star in front. */
static bool
identity_has_text(const struct flow__sni_identity *identity, const char *front,
                  const struct flow__sni_pattern *pattern,
                  enum flow__name_match at_most)
{
    char text[FLOW__NAME_MAX + 3];
    size_t len = strlen(front);
    struct flow__name name;

    memcpy(text, front, len);
    memcpy(text + len, pattern->text, pattern->len);
    if (flow__name_parse(text, len + pattern->len, &name) != FLOW__NAME_DNS)
        return false;
    for (size_t i = 0; i < identity->name_count; i++) {
        enum flow__name_match m = flow__name_compare(
            identity->name[i], strlen(identity->name[i]), &name);

        if (m == FLOW__MATCH_WILDCARD ||
            (m == FLOW__MATCH_EXACT && at_most == FLOW__MATCH_EXACT))
            return true;
    }
    return false;
}

/* See tls/sni.h.  No certificate covers more than one label with a star, so a
 * pattern for any number of labels is covered by a star for one. */
bool
flow__sni_identity_covers(const struct flow__sni_identity *identity,
                          const struct flow__sni_pattern *pattern)
{
    switch (pattern->class) {
    case FLOW__SNI_CLASS_EXACT:
        return identity_has_text(identity, "", pattern, FLOW__MATCH_EXACT);
    case FLOW__SNI_CLASS_LABEL:
    case FLOW__SNI_CLASS_LABELS:
        return identity_has_text(identity, "x.", pattern, FLOW__MATCH_WILDCARD);
    case FLOW__SNI_CLASS_SELF:
        return identity_has_text(identity, "", pattern, FLOW__MATCH_EXACT) &&
               identity_has_text(identity, "x.", pattern, FLOW__MATCH_WILDCARD);
    case FLOW__SNI_CLASS_TRAILING:
        return false;
    case FLOW__SNI_CLASS_ANY:
    case FLOW__SNI_CLASS_NOT:
    case FLOW__SNI_CLASS_CERT:
    default:
        return true;
    }
}
