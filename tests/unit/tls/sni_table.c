/* SPDX-License-Identifier: ISC */
#include "tests/unit/tls/sni_table.h"

#include "tests/unit/tls/bytes.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define NOW      INT64_C(1800000000)

static const char *const key_names[] = { "p256", "p384", "p521", "rsa" };
static const char *const kind_names[] = { "exact",    "wildcard", "suffix",
                                          "trailing", "callback", "catch-all",
                                          "default",  "first",    "no-name" };

static const struct {
    const char *name;
    enum flow_tls_sni_preset preset;
} presets[] = {
    { "standard", FLOW_TLS_SNI_STANDARD },
    { "strict", FLOW_TLS_SNI_STRICT },
    { "nginx", FLOW_TLS_SNI_NGINX },
    { "libtls", FLOW_TLS_SNI_LIBTLS },
    { "haproxy", FLOW_TLS_SNI_HAPROXY_STRICT },
    { "ocaml-single", FLOW_TLS_SNI_OCAML_SINGLE },
    { "ocaml-multiple", FLOW_TLS_SNI_COMPAT_OCAML_MULTIPLE },
    { "ocaml-default", FLOW_TLS_SNI_COMPAT_OCAML_MULTIPLE_DEFAULT },
};

static void
add_word(struct model_words *w, const char *text, size_t len)
{
    assert_true(w->count < COUNT(w->word) && len < sizeof(w->word[0]));
    memcpy(w->word[w->count], text, len);
    w->word[w->count++][len] = '\0';
}

/* Words between separators. */
static void
split(struct model_words *w, const char *text, char separator)
{
    w->count = 0;
    while (*text != '\0') {
        const char *end = strchr(text, separator);
        size_t len = end != NULL ? (size_t)(end - text) : strlen(text);

        if (len > 0)
            add_word(w, text, len);
        text += len + (end != NULL ? 1 : 0);
    }
}

static void
read_policy(struct model *m, const char *name)
{
    struct flow_tls_sni_policy p;
    size_t i = 0;

    while (strcmp(presets[i].name, name) != 0)
        assert_true(++i < COUNT(presets));
    memset(m, 0, sizeof(*m));
    flow_tls_sni_preset(presets[i].preset, &p);
    m->on_no_name = (int)p.on_no_name;
    m->on_unknown = (int)p.on_unknown;
    m->invalid_is_unknown = p.invalid_is_unknown;
    m->reject_ip_literal = p.reject_ip_literal;
    m->list_order = p.list_order;
    m->key_before_exact = p.key_before_exact;
    m->compat = p.compat;
    m->answer = -1;
}

static void
read_policy_word(struct model *m, const char *word)
{
    if (strcmp(word, "drop-unknown") == 0)
        m->on_unknown = FLOW_TLS_SNI_DROP;
    else if (strcmp(word, "invalid-unknown") == 0)
        m->invalid_is_unknown = true;
    else if (strncmp(word, "answer=", 7) == 0)
        m->answer = atoi(word + 7);
    else
        fail_msg("policy: %s", word);
    m->has_callback = m->has_callback || word[0] == 'a';
}

static void
read_entry_word(struct model_entry *e, const char *word)
{
    if (strcmp(word, "default") == 0)
        e->is_default = true;
    else if (strcmp(word, "loose") == 0)
        e->is_loose = true;
    else if (strcmp(word, "tls12") == 0)
        e->max = 12;
    else if (strcmp(word, "tls13") == 0)
        e->min = 13;
    else if (strncmp(word, "alpn=", 5) == 0)
        split(&e->alpn, word + 5, ',');
    else if (strncmp(word, "require=", 8) == 0)
        split(&e->alpn, word + 8, ',');
    else
        fail_msg("entry: %s", word);
    e->is_required = e->is_required || strncmp(word, "require=", 8) == 0;
}

static void
read_cert(struct model_entry *e, const struct model_words *w)
{
    struct model_identity *id = &e->identity[e->identity_count++];
    char what[64];
    char *mark;

    assert_true(e->identity_count <= MODEL_IDENTITIES);
    memset(id, 0, sizeof(*id));
    strcpy(what, w->word[1]);
    mark = strchr(what, ',');
    if (mark != NULL) {
        id->is_expired = strcmp(mark, ",expired") == 0;
        id->scheme = id->is_expired ? 0 : 0x0603;
        *mark = '\0';
    }
    while (strcmp(key_names[id->key], what) != 0)
        assert_true(++id->key < 4);
    for (size_t i = 2; i < w->count; i++)
        add_word(&id->names, w->word[i], strlen(w->word[i]));
}

void
table_read(struct model *m, char *line)
{
    struct model_entry *e = &m->entry[m->entry_count];
    char *patterns = strchr(line, ':');
    struct model_words w = { .count = 0 };

    if (strncmp(line, "entry ", 6) == 0) {
        assert_non_null(patterns);
        *patterns++ = '\0';
        assert_true(m->entry_count < MODEL_ENTRIES);
        memset(e, 0, sizeof(*e));
        split(&w, line, ' ');
        snprintf(e->id, sizeof(e->id), "%.31s", w.word[1]);
        for (size_t i = 2; i < w.count; i++)
            read_entry_word(e, w.word[i]);
        split(&e->patterns, patterns, ' ');
        m->entry_count++;
        return;
    }
    split(&w, line, ' ');
    if (strcmp(w.word[0], "cert") == 0) {
        read_cert(&m->entry[m->entry_count - 1], &w);
        return;
    }
    assert_string_equal(w.word[0], "policy");
    read_policy(m, w.word[1]);
    for (size_t i = 2; i < w.count; i++)
        read_policy_word(m, w.word[i]);
}

static void
set_list(struct model_list *l, const int *value, size_t count)
{
    *l = (struct model_list){ .count = count };
    memcpy(l->value, value, count * sizeof(*value));
}

void
table_modern(struct model_client *c, const char *name)
{
    static const int sigalgs[] = { 0x0403, 0x0503, 0x0603, 0x0804,
                                   0x0805, 0x0806, 0x0401 };
    static const int groups[] = { 0x1d, 0x17, 0x18, 0x19 };
    static const int suites[] = { 0x1301, 0xc02b, 0xc02f };
    static const int versions[] = { 13, 12 };
    struct flow_tls_sni_client known;

    memset(c, 0, sizeof(*c));
    set_list(&c->versions, versions, COUNT(versions));
    set_list(&c->suites, suites, COUNT(suites));
    set_list(&c->sigalgs, sigalgs, COUNT(sigalgs));
    set_list(&c->groups, groups, COUNT(groups));
    c->sigalgs_cert.is_absent = true;
    flow_tls_sni_client_set_name(&known, name);
    c->state = "-nix"[known.state];
    strcpy(c->name, known.name);
}

static bool
narrow_client(struct model_client *c, const char *word)
{
    static const struct {
        const char *word;
        int value[4];
        size_t count;
        int which; /* of struct table_client::numbers */
    } words[] = {
        { "rsa", { 0x0804, 0x0401 }, 2, 2 },
        { "pkcs1", { 0x0401, 0x0501 }, 2, 2 },
        { "p256", { 0x0403 }, 1, 2 },
        { "p384", { 0x0503 }, 1, 2 },
        { "p521", { 0x0603 }, 1, 2 },
        { "no-sigalgs", { 0 }, 0, 2 },
        { "sha256-chains", { 0x0403, 0x0401 }, 2, 3 },
        { "x25519", { 0x1d }, 1, 4 },
        { "rsa-suites", { 0x1301, 0xc02f }, 2, 1 },
        { "ecdsa-suites", { 0x1301, 0xc02b }, 2, 1 },
        { "only12", { 12 }, 1, 0 },
        { "only13", { 13 }, 1, 0 },
        { "only11", { 11 }, 1, 0 },
    };
    struct model_list *const list[] = { &c->versions, &c->suites, &c->sigalgs,
                                        &c->sigalgs_cert, &c->groups };

    for (size_t i = 0; i < COUNT(words); i++)
        if (strcmp(words[i].word, word) == 0) {
            set_list(list[words[i].which], words[i].value, words[i].count);
            list[words[i].which]->is_absent = words[i].count == 0;
            return true;
        }
    return false;
}

void
table_read_client(struct model_client *c, char *text)
{
    struct model_words w = { .count = 0 };

    split(&w, text, ' ');
    assert_string_equal(w.word[0], "ask");
    table_modern(c, strcmp(w.word[1], "-") == 0 ? NULL : w.word[1]);
    for (size_t i = 2; i < w.count; i++) {
        if (strcmp(w.word[i], "old") == 0)
            c->is_old = true;
        else if (strcmp(w.word[i], "no-groups") == 0)
            c->groups.is_absent = true;
        else if (strncmp(w.word[i], "alpn=", 5) == 0)
            split(&c->alpn, w.word[i] + 5, ',');
        else
            assert_true(narrow_client(c, w.word[i]));
    }
}

static struct flow_tls_sni_list
numbers(uint8_t *out, const struct model_list *l, bool versions)
{
    struct flow_tls_sni_list ret = { out, 2 * l->count };

    for (size_t i = 0; i < l->count; i++) {
        int value = versions ? 0x0301 + l->value[i] - 10 : l->value[i];

        out[2 * i] = (uint8_t)(value >> 8);
        out[2 * i + 1] = (uint8_t)value;
    }
    if (l->is_absent)
        ret.base = NULL;
    return ret;
}

void
table_make_client(const struct model_client *c, struct table_client *ret)
{
    struct flow_tls_sni_client *k = &ret->client;
    uint8_t *p = ret->alpn;

    memset(ret, 0, sizeof(*ret));
    k->state = c->state == 'n'   ? FLOW_TLS_SNI_NAME
               : c->state == 'i' ? FLOW_TLS_SNI_IP_LITERAL
               : c->state == 'x' ? FLOW_TLS_SNI_INVALID
                                 : FLOW_TLS_SNI_ABSENT;
    strcpy(k->name, c->state == 'n' ? c->name : "");
    k->legacy_version = 0x0303;
    if (!c->is_old)
        k->versions = numbers(ret->numbers[0], &c->versions, true);
    k->suites = numbers(ret->numbers[1], &c->suites, false);
    k->sigalgs = numbers(ret->numbers[2], &c->sigalgs, false);
    k->sigalgs_cert = numbers(ret->numbers[3], &c->sigalgs_cert, false);
    k->groups = numbers(ret->numbers[4], &c->groups, false);
    for (size_t i = 0; i < c->alpn.count; i++) {
        *p = (uint8_t)strlen(c->alpn.word[i]);
        memcpy(p + 1, c->alpn.word[i], *p);
        p += 1 + *p;
    }
    if (c->alpn.count > 0) {
        k->alpn.base = ret->alpn;
        k->alpn.len = (size_t)(p - ret->alpn);
    }
}

void
table_terms(struct flow_tls_sni_terms *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->min_version = FLOW_TLS_1_2;
    ret->max_version = FLOW_TLS_1_3;
    ret->now = NOW;
    ret->answer = FLOW_TLS_SNI_NOT_ASKED;
}

static int
never_asked(void *user, const struct flow_tls_sni_client *client)
{
    (void)user;
    (void)client;
    return FLOW_TLS_SNI_NO_ENTRY;
}

static void
pointers(const struct model_words *w, const char *ret[MODEL_PATTERNS])
{
    for (size_t i = 0; i < w->count; i++)
        ret[i] = w->word[i];
}

static enum flow_status
add_identity(struct flow_tls_sni *s, size_t entry,
             const struct model_identity *id, struct flow_error *err)
{
    const uint16_t scheme = (uint16_t)id->scheme;
    const char *names[MODEL_PATTERNS];
    const struct flow_tls_sni_identity facts = {
        .key = (enum flow_tls_key)id->key,
        .names = names,
        .name_count = id->names.count,
        .not_before = 1,
        .not_after = id->is_expired ? NOW - 1 : NOW + 1,
        .schemes = &scheme,
        .scheme_count = id->scheme != 0 ? 1 : 0,
    };

    pointers(&id->names, names);
    return flow_tls_sni_add_identity(s, entry, &facts, err);
}

static enum flow_status
add_entry(struct flow_tls_sni *s, const struct model_entry *e,
          struct flow_error *err)
{
    static const enum flow_tls_version versions[] = { FLOW_TLS_1_2,
                                                      FLOW_TLS_1_3 };
    const char *patterns[MODEL_PATTERNS];
    const char *alpn[MODEL_PATTERNS];
    struct flow_tls_sni_entry entry = {
        .id = e->id,
        .patterns = patterns,
        .pattern_count = e->patterns.count,
        .flags = FLOW_TLS_SNI_ALLOW_TRAILING,
        .alpn = alpn,
        .alpn_count = e->is_required ? 0 : e->alpn.count,
        .require_alpn = e->is_required ? e->alpn.word[0] : NULL,
    };
    enum flow_status st;
    size_t index;

    pointers(&e->patterns, patterns);
    pointers(&e->alpn, alpn);
    if (e->min != 0)
        entry.min_version = versions[e->min - 12];
    if (e->max != 0)
        entry.max_version = versions[e->max - 12];
    if (e->is_default)
        entry.flags |= FLOW_TLS_SNI_IS_DEFAULT;
    if (e->is_loose)
        entry.flags |= FLOW_TLS_SNI_ALLOW_NAME_MISMATCH;
    st = flow_tls_sni_add_entry(s, &entry, &index, err);
    for (size_t i = 0; i < e->identity_count && st == FLOW_OK; i++)
        st = add_identity(s, index, &e->identity[i], err);
    return st;
}

enum flow_status
table_make(const struct flow_env *env, const struct model *m,
           struct flow_tls_sni **ret_sni, struct flow_error *err)
{
    const struct flow_tls_sni_policy policy = {
        .on_no_name = (enum flow_tls_sni_action)m->on_no_name,
        .on_unknown = (enum flow_tls_sni_action)m->on_unknown,
        .invalid_is_unknown = m->invalid_is_unknown,
        .reject_ip_literal = m->reject_ip_literal,
        .list_order = m->list_order,
        .key_before_exact = m->key_before_exact,
        .compat = m->compat,
    };
    struct flow_tls_sni *s;
    enum flow_status st = flow_tls_sni_new(env, &s, err);

    if (st != FLOW_OK)
        return st;
    st = flow_tls_sni_set_policy(s, &policy);
    if (st == FLOW_OK && m->has_callback)
        st = flow_tls_sni_set_lookup(s, never_asked, NULL, NULL);
    for (size_t i = 0; i < m->entry_count && st == FLOW_OK; i++)
        st = add_entry(s, &m->entry[i], err);
    if (st == FLOW_OK)
        *ret_sni = s;
    else
        flow_tls_sni_unref(s);
    return st;
}

void
table_write(const struct model *m, const struct model_answer *a, char *buf,
            size_t cap)
{
    if (a->outcome == FLOW_TLS_SNI_REJECTED)
        snprintf(buf, cap, "reject %d", a->alert);
    else if (a->outcome == FLOW_TLS_SNI_DROPPED)
        snprintf(buf, cap, "drop");
    else if (a->outcome == FLOW_TLS_SNI_ASK)
        snprintf(buf, cap, "ask");
    else
        snprintf(buf, cap, "%s/%zu %s%s%s%s%s 1.%d", m->entry[a->entry].id,
                 a->identity, kind_names[a->kind],
                 a->pattern[0] != '\0' ? " " : "", a->pattern,
                 a->alpn[0] != '\0' ? " " : "", a->alpn, a->version - 10);
}

void
table_write_decision(const struct model *m,
                     const struct flow_tls_sni_decision *d, char *buf,
                     size_t cap)
{
    struct model_answer a = {
        .outcome = (int)d->outcome,
        .alert = d->alert,
        .entry = d->entry,
        .identity = d->identity,
        .kind = (int)d->kind,
        .version = d->version == FLOW_TLS_1_3 ? 13 : 12,
    };

    strcpy(a.pattern, d->pattern);
    strcpy(a.alpn, d->alpn);
    table_write(m, &a, buf, cap);
}
