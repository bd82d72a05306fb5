/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/sni_model.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Numbers of a row, the most significant first. */
#define ROW 10

enum {
    EXACT,
    WILDCARD,
    SUFFIX,
    TRAILING,
    CALLBACK,
    ANY,
    DEFAULT,
    FIRST,
    NO_NAME
};

struct best {
    bool is_set;
    int row[ROW];
    size_t entry;
    size_t identity;
    int kind;
    char pattern[80];
    int version;
};

struct work {
    const struct model *m;
    const struct model_client *c;
    struct best best;
    int reach; /* 0 nothing, 1 matched, 2 protocol, 3 version */
};

static bool
lists(const struct model_list *l, int value)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->value[i] == value)
            return true;
    return false;
}

static bool
offers(const struct model_client *c, const char *word)
{
    for (size_t i = 0; i < c->alpn.count; i++)
        if (strcmp(c->alpn.word[i], word) == 0)
            return true;
    return false;
}

static bool
speaks(const struct model_client *c, int version)
{
    return c->is_old ? version == 12 : lists(&c->versions, version);
}

static int
version_of(const struct model_client *c, int min, int max)
{
    if (speaks(c, 13) && (max == 0 || max >= 13))
        return 13;
    if (speaks(c, 12) && min <= 12)
        return 12;
    return 0;
}

/* TLS 1.2 suites by what signs. */
static bool
has_suite(const struct model_client *c, bool rsa)
{
    static const int ecdsa_suites[] = { 0xc02b, 0xc02c, 0xcca9, 0xc0ac,
                                        0xc0ad, 0xc0ae, 0xc0af };
    static const int rsa_suites[] = { 0xc02f, 0xc030, 0xcca8 };
    const int *s = rsa ? rsa_suites : ecdsa_suites;
    size_t n = rsa ? 3 : 7;

    for (size_t i = 0; i < n; i++)
        if (lists(&c->suites, s[i]))
            return true;
    return false;
}

static bool
can_use(const struct model_client *c, int key, int version)
{
    bool rsa = key == 3;
    bool signs = false;

    if (version == 13) {
        if (!rsa)
            return lists(&c->sigalgs, 0x0403 + 0x100 * key);
        return lists(&c->sigalgs, 0x0804) || lists(&c->sigalgs, 0x0805) ||
               lists(&c->sigalgs, 0x0806);
    }
    for (int hash = 4; hash <= 6; hash++)
        signs = signs || lists(&c->sigalgs, 0x100 * hash + (rsa ? 1 : 3));
    return signs && has_suite(c, rsa) &&
           (rsa || c->groups.is_absent || lists(&c->groups, 0x17 + key));
}

static void
fold(char *text)
{
    for (; *text != '\0'; text++)
        *text = (char)tolower((unsigned char)*text);
}

static bool
ends_with(const char *name, const char *end)
{
    size_t a = strlen(name), b = strlen(end);

    return a > b && strcmp(name + a - b, end) == 0;
}

/* The kind of match, or -1; *rest as the row has it. */
static int
match(const char *written, const char *name, int *rest)
{
    char p[80];
    size_t len;

    snprintf(p, sizeof(p), "%s", written);
    fold(p);
    len = strlen(p);
    *rest = 0;
    if (strcmp(p, "*") == 0)
        return ANY;
    if (p[0] == '!' || p[0] == '@')
        return -1;
    if (strncmp(p, "**.", 3) == 0) {
        *rest = (int)(strlen(name) - strlen(p + 3));
        return ends_with(name, p + 2) ? SUFFIX : -1;
    }
    if (strncmp(p, "*.", 2) == 0) {
        const char *dot = strchr(name, '.');

        return dot != NULL && strcmp(dot, p + 1) == 0 ? WILDCARD : -1;
    }
    if (p[0] == '.') {
        *rest = (int)strlen(name) - (int)strlen(p + 1);
        return strcmp(name, p + 1) == 0 || ends_with(name, p) ? SUFFIX : -1;
    }
    if (len > 2 && strcmp(p + len - 2, ".*") == 0) {
        p[len - 1] = '\0';
        *rest = (int)strlen(name) - (int)(len - 2);
        return strncmp(name, p, len - 1) == 0 && name[len - 1] != '\0'
                   ? TRAILING
                   : -1;
    }
    return strcmp(p, name) == 0 ? EXACT : -1;
}

static bool
excludes(const struct model_entry *e, const char *name)
{
    for (size_t i = 0; i < e->patterns.count; i++)
        if (e->patterns.word[i][0] == '!' &&
            strcasecmp(e->patterns.word[i] + 1, name) == 0)
            return true;
    return false;
}

static bool
accepts_chain(const struct model_client *c, int scheme)
{
    return scheme == 0 ||
           lists(c->sigalgs_cert.is_absent ? &c->sigalgs : &c->sigalgs_cert,
                 scheme);
}

static void
fill_row(const struct model *m, int kind, int rest, int general, int outside,
         int foreign, int key, size_t entry, size_t identity, int *row)
{
    int e = (int)entry, i = (int)identity;
    int plain = kind <= WILDCARD;
    int normal[ROW] = {
        kind, rest, general, outside, foreign, key, e, i, 0, 0
    };
    int by_list[ROW] = {
        e, kind, rest, general, outside, foreign, key, i, 0, 0
    };
    int by_key[ROW] = { plain ? 1 : kind,
                        plain ? 0 : rest,
                        general,
                        outside,
                        foreign,
                        key,
                        kind,
                        rest,
                        e,
                        i };

    memcpy(row,
           m->list_order         ? by_list
           : m->key_before_exact ? by_key
                                 : normal,
           sizeof(normal));
}

static bool
less(const int *a, const int *b)
{
    for (int i = 0; i < ROW; i++)
        if (a[i] != b[i])
            return a[i] < b[i];
    return false;
}

static bool
has_required(const struct model_entry *e, const struct model_client *c)
{
    if (!e->is_required)
        return true;
    if (!offers(c, e->alpn.word[0]))
        return false;
    for (size_t i = 0; i < c->alpn.count; i++)
        if (strcmp(e->alpn.word[0], "acme-tls/1") == 0 &&
            strcmp(c->alpn.word[i], "acme-tls/1") != 0)
            return false;
    return true;
}

/* One certificate that a pattern matches. */
static void
offer(struct work *w, size_t entry, size_t identity, int kind, int rest,
      const char *pattern)
{
    const struct model_entry *e = &w->m->entry[entry];
    const struct model_identity *id = &e->identity[identity];
    int version = version_of(w->c, e->min, e->max);
    int row[ROW];

    if (w->reach < 1)
        w->reach = 1;
    if (!has_required(e, w->c))
        return;
    if (w->reach < 2)
        w->reach = 2;
    if (version == 0)
        return;
    w->reach = 3;
    if (!can_use(w->c, id->key, version))
        return;
    fill_row(w->m, kind, rest, !e->is_required, id->is_expired,
             !accepts_chain(w->c, id->scheme), id->key, entry, identity, row);
    /* Of ".b.c" and "**.b.c" in one entry the former is named. */
    if (w->best.is_set && !less(row, w->best.row) &&
        (less(w->best.row, row) || pattern[0] != '.'))
        return;
    memcpy(w->best.row, row, sizeof(row));
    w->best.is_set = true;
    w->best.entry = entry;
    w->best.identity = identity;
    w->best.kind = kind;
    w->best.version = version;
    snprintf(w->best.pattern, sizeof(w->best.pattern), "%s", pattern);
    fold(w->best.pattern);
}

static void
try_pattern(struct work *w, size_t entry, size_t identity, const char *pattern,
            bool any)
{
    int rest;
    int kind = match(pattern, w->c->name, &rest);

    if (kind < 0 || (kind == ANY) != any)
        return;
    if (kind != EXACT && excludes(&w->m->entry[entry], w->c->name))
        return;
    offer(w, entry, identity, kind, rest, pattern);
}

/* Names of a certificate that can be asked for. */
static bool
is_usable_name(const char *name)
{
    if (strncmp(name, "*.", 2) == 0)
        return strchr(name + 2, '.') != NULL;
    return strchr(name, '*') == NULL && name[0] != '.';
}

static void
try_all(struct work *w, bool any)
{
    for (size_t e = 0; e < w->m->entry_count; e++) {
        const struct model_entry *entry = &w->m->entry[e];

        for (size_t i = 0; i < entry->identity_count; i++)
            for (size_t p = 0; p < entry->patterns.count; p++) {
                const struct model_words *names = &entry->identity[i].names;

                if (strcmp(entry->patterns.word[p], "@cert") != 0)
                    try_pattern(w, e, i, entry->patterns.word[p], any);
                else
                    for (size_t n = 0; n < names->count; n++)
                        if (is_usable_name(names->word[n]))
                            try_pattern(w, e, i, names->word[n], any);
            }
    }
}

static void
offer_entry(struct work *w, size_t entry, int kind)
{
    for (size_t i = 0; i < w->m->entry[entry].identity_count; i++)
        offer(w, entry, i, kind, 0, "");
}

static void
offer_first(struct work *w)
{
    for (size_t e = 0; e < w->m->entry_count && !w->best.is_set; e++)
        offer_entry(w, e, FIRST);
}

static void
refuse(struct model_answer *a, int alert)
{
    a->outcome = 1;
    a->alert = alert;
}

/* false: answered. */
static bool
fall_back(struct work *w, int action, int kind, struct model_answer *a)
{
    if (action == 1) {
        refuse(a, kind != NO_NAME                  ? 112
                  : version_of(w->c, 12, 13) == 13 ? 109
                                                   : 40);
        return false;
    }
    if (action == 2) {
        a->outcome = 2;
        return false;
    }
    if (action != 3)
        for (size_t e = 0; e < w->m->entry_count; e++)
            if (w->m->entry[e].is_default)
                offer_entry(w, e, kind);
    if (action >= 3 && !w->best.is_set)
        offer_first(w);
    return true;
}

static bool
goes_on(const struct work *w)
{
    return !w->best.is_set && (w->reach == 0 || w->m->compat);
}

static bool
search(struct work *w, struct model_answer *a)
{
    if (w->c->state == 'x')
        return fall_back(w, w->m->on_unknown, DEFAULT, a);
    if (w->c->state != 'n')
        return fall_back(w, w->m->on_no_name, NO_NAME, a);
    try_all(w, false);
    if (goes_on(w) && w->m->has_callback && w->m->answer >= 0)
        offer_entry(w, (size_t)w->m->answer, CALLBACK);
    if (goes_on(w))
        try_all(w, true);
    return !goes_on(w) || fall_back(w, w->m->on_unknown, DEFAULT, a);
}

static void
serve(const struct work *w, struct model_answer *a)
{
    const struct model_words *list = &w->m->entry[w->best.entry].alpn;

    a->entry = w->best.entry;
    a->identity = w->best.identity;
    a->kind = w->best.kind;
    a->version = w->best.version;
    snprintf(a->pattern, sizeof(a->pattern), "%s", w->best.pattern);
    if (list->count == 0 || w->c->alpn.count == 0)
        return;
    for (size_t i = list->count; i > 0; i--)
        if (offers(w->c, list->word[i - 1]))
            snprintf(a->alpn, sizeof(a->alpn), "%s", list->word[i - 1]);
    if (a->alpn[0] == '\0')
        refuse(a, 120);
}

void
model_select(const struct model *m, const struct model_client *c,
             struct model_answer *ret)
{
    static const int alerts[] = { 40, 120, 70, 40 };
    struct work w = { .m = m, .c = c };

    memset(ret, 0, sizeof(*ret));
    ret->alert = -1;
    if ((c->state == 'x' && !m->invalid_is_unknown) ||
        (c->state == 'i' && m->reject_ip_literal))
        refuse(ret, 112);
    else if (version_of(c, 12, 13) == 0)
        refuse(ret, 70);
    else if (!search(&w, ret))
        return;
    else if (w.best.is_set)
        serve(&w, ret);
    else
        refuse(ret, alerts[w.reach]);
}
