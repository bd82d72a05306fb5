/* SPDX-License-Identifier: ISC */
#include <string.h>

#include "tls/sni.h"

/*
 * Patterns of a selector: their syntax, their order in the index, and what they
 * match.  The index groups patterns by class, then by the length and the bytes
 * of the text that is compared, so that one binary search finds all patterns of
 * a class with one text.
 */

/* What surrounds the compared text, by class. */
static const struct {
    const char *prefix;
    const char *suffix;
    enum flow__sni_class class;
} pattern_forms[] = {
    { "**.", "", FLOW__SNI_CLASS_LABELS },  { "*.", "", FLOW__SNI_CLASS_LABEL },
    { ".", "", FLOW__SNI_CLASS_SELF },      { "!", "", FLOW__SNI_CLASS_NOT },
    { "", ".*", FLOW__SNI_CLASS_TRAILING }, { "", "", FLOW__SNI_CLASS_EXACT },
};

static bool
pattern_has_form(const char *text, size_t len, size_t form)
{
    size_t front = strlen(pattern_forms[form].prefix);
    size_t back = strlen(pattern_forms[form].suffix);

    return len > front + back &&
           memcmp(text, pattern_forms[form].prefix, front) == 0 &&
           memcmp(text + len - back, pattern_forms[form].suffix, back) == 0;
}

/* Take what is compared out of a text; false if it is not a host name. */
static bool
pattern_take_text(const char *text, size_t len,
                  struct flow__sni_pattern *pattern, struct flow__name *name)
{
    for (size_t i = 0;; i++)
        if (pattern_has_form(text, len, i)) {
            size_t front = strlen(pattern_forms[i].prefix);
            size_t back = strlen(pattern_forms[i].suffix);

            pattern->class = pattern_forms[i].class;
            /* "www.1.*" has a numeric label last, yet is not an address. */
            return flow__name_parse(text + front, len - front - back, name) ==
                   FLOW__NAME_DNS;
        }
}

static const char *
pattern_refuse_reason(const struct flow__sni_pattern *pattern,
                      const struct flow__name *name, uint32_t flags)
{
    bool is_star = pattern->class == FLOW__SNI_CLASS_LABEL ||
                   pattern->class == FLOW__SNI_CLASS_LABELS ||
                   pattern->class == FLOW__SNI_CLASS_SELF;

    if (pattern->class == FLOW__SNI_CLASS_TRAILING &&
        (flags & FLOW_TLS_SNI_ALLOW_TRAILING) == 0)
        return "a pattern that ends in .* needs FLOW_TLS_SNI_ALLOW_TRAILING";
    if (is_star && (flags & FLOW_TLS_SNI_ALLOW_TLD) == 0 &&
        strchr(name->dns, '.') == NULL)
        return "a wildcard for a whole top-level domain needs "
               "FLOW_TLS_SNI_ALLOW_TLD";
    return NULL;
}

/* Store the pattern in normal form. */
static enum flow_status
pattern_store(const struct flow_env *env, const struct flow__name *name,
              struct flow__sni_pattern *pattern)
{
    const char *front = "", *back = "";
    size_t front_len;

    for (size_t i = 0; i < sizeof(pattern_forms) / sizeof(pattern_forms[0]);
         i++)
        if (pattern_forms[i].class == pattern->class) {
            front = pattern_forms[i].prefix;
            back = pattern_forms[i].suffix;
        }
    front_len = strlen(front);
    pattern->shown_len = front_len + name->dns_len + strlen(back);
    pattern->shown = flow_env_alloc(env, pattern->shown_len + 1);
    if (pattern->shown == NULL)
        return FLOW_E_NOMEM;
    memcpy(pattern->shown, front, front_len);
    memcpy(pattern->shown + front_len, name->dns, name->dns_len);
    memcpy(pattern->shown + front_len + name->dns_len, back, strlen(back) + 1);
    pattern->text = pattern->shown + front_len;
    pattern->len = name->dns_len;
    return FLOW_OK;
}

/* "*" and "@cert" have no name in them. */
static enum flow_status
pattern_parse_word(const struct flow_env *env, enum flow__sni_class class,
                   const char *word, struct flow__sni_pattern *pattern)
{
    pattern->class = class;
    pattern->shown_len = strlen(word);
    pattern->shown = flow__sni_copy(env, word, pattern->shown_len);
    if (pattern->shown == NULL)
        return FLOW_E_NOMEM;
    pattern->text = pattern->shown + pattern->shown_len;
    pattern->len = 0;
    return FLOW_OK;
}

/* See tls/sni.h. */
enum flow_status
flow__sni_pattern_parse(const struct flow_env *env, const char *text,
                        size_t len, uint32_t flags,
                        struct flow__sni_pattern *ret_pattern,
                        const char **ret_why)
{
    struct flow__name name;

    memset(ret_pattern, 0, sizeof(*ret_pattern));
    ret_pattern->identity = FLOW__SNI_ALL;
    if (len == 1 && text[0] == '*')
        return pattern_parse_word(env, FLOW__SNI_CLASS_ANY, "*", ret_pattern);
    if (len == 5 && memcmp(text, "@cert", 5) == 0)
        return pattern_parse_word(env, FLOW__SNI_CLASS_CERT, "@cert",
                                  ret_pattern);
    *ret_why = "not a valid pattern for host names";
    if (len == 0 || !pattern_take_text(text, len, ret_pattern, &name))
        return FLOW_E_INVAL;
    *ret_why = pattern_refuse_reason(ret_pattern, &name, flags);
    if (*ret_why != NULL)
        return FLOW_E_INVAL;
    return pattern_store(env, &name, ret_pattern);
}

/* See tls/sni.h. */
int
flow__sni_pattern_order(const struct flow__sni_pattern *pattern,
                        enum flow__sni_class class, const char *text,
                        size_t len)
{
    if (pattern->class != class)
        return pattern->class < class ? -1 : 1;
    if (pattern->len != len)
        return pattern->len < len ? -1 : 1;
    return memcmp(pattern->text, text, len);
}

/* See tls/sni.h. */
enum flow_tls_sni_kind flow__sni_pattern_kind(enum flow__sni_class class)
{
    switch (class) {
    case FLOW__SNI_CLASS_LABEL:
        return FLOW_TLS_SNI_WILDCARD;
    case FLOW__SNI_CLASS_SELF:
    case FLOW__SNI_CLASS_LABELS:
        return FLOW_TLS_SNI_SUFFIX;
    case FLOW__SNI_CLASS_TRAILING:
        return FLOW_TLS_SNI_TRAILING;
    case FLOW__SNI_CLASS_ANY:
        return FLOW_TLS_SNI_CATCH_ALL;
    case FLOW__SNI_CLASS_EXACT:
    case FLOW__SNI_CLASS_NOT:
    case FLOW__SNI_CLASS_CERT:
    default:
        return FLOW_TLS_SNI_EXACT;
    }
}

/* See tls/sni.h. */
bool
flow__sni_pattern_matches(const struct flow__sni_pattern *pattern,
                          const char *name, size_t len, size_t *ret_rest)
{
    bool is_same = len == pattern->len && memcmp(name, pattern->text, len) == 0;
    bool is_longer = len > pattern->len + 1;
    size_t more = is_longer ? len - pattern->len : 0;

    *ret_rest = more;
    switch (pattern->class) {
    case FLOW__SNI_CLASS_EXACT:
    case FLOW__SNI_CLASS_NOT:
        return is_same;
    case FLOW__SNI_CLASS_ANY:
        return true;
    case FLOW__SNI_CLASS_TRAILING:
        return is_longer && name[pattern->len] == '.' &&
               memcmp(name, pattern->text, pattern->len) == 0;
    case FLOW__SNI_CLASS_SELF:
        if (is_same)
            return true;
        break;
    case FLOW__SNI_CLASS_CERT:
        return false;
    case FLOW__SNI_CLASS_LABEL:
    case FLOW__SNI_CLASS_LABELS:
    default:
        break;
    }
    if (!is_longer || name[more - 1] != '.' ||
        memcmp(name + more, pattern->text, pattern->len) != 0)
        return false;
    return pattern->class != FLOW__SNI_CLASS_LABEL ||
           memchr(name, '.', more - 1) == NULL;
}
