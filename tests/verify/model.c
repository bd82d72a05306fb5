/* SPDX-License-Identifier: ISC */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The next of "a,b,c"; false after the last. */
static bool
next_item(const char **list, char *item, size_t cap)
{
    size_t len = 0;

    if (*list == NULL || **list == '\0')
        return false;
    while (**list != '\0' && **list != ',') {
        if (len + 1 < cap)
            item[len++] = **list;
        ++*list;
    }
    item[len] = '\0';
    if (**list == ',')
        ++*list;
    return true;
}

static bool
lists(const char *list, const char *wanted)
{
    char item[128];

    while (next_item(&list, item, sizeof(item)))
        if (strcmp(item, wanted) == 0)
            return true;
    return false;
}

static bool
starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool
ends(const char *text, const char *with)
{
    size_t a = strlen(text), b = strlen(with);

    return a >= b && strcmp(text + a - b, with) == 0;
}

static bool
host_inside(const char *base, const char *host)
{
    char below[128];

    if (base[0] == '.')
        return ends(host, base) && strlen(host) > strlen(base);
    snprintf(below, sizeof(below), ".%s", base);
    return strcmp(host, base) == 0 || ends(host, below);
}

/* The host with the base's first label for its star. */
static bool
star_can_be(const char *base, const char *host)
{
    char name[256];
    const char *dot = strchr(base, '.');

    if (!starts(host, "*.") || dot == NULL)
        return false;
    snprintf(name, sizeof(name), "%.*s%s", (int)(dot - base), base, host + 1);
    return strcmp(name, base) == 0;
}

static bool
address_inside(const char *base, const char *address)
{
    unsigned a[4], b[4], m[4];

    sscanf(base, "%u.%u.%u.%u/%u.%u.%u.%u", &b[0], &b[1], &b[2], &b[3], &m[0],
           &m[1], &m[2], &m[3]);
    if (sscanf(address, "%u.%u.%u.%u", &a[0], &a[1], &a[2], &a[3]) != 4)
        return false; /* IPv6 */
    for (int i = 0; i < 4; i++)
        if ((a[i] & m[i]) != (b[i] & m[i]))
            return false;
    return true;
}

static bool
mailbox_inside(const char *base, const char *mailbox)
{
    const char *host = strchr(mailbox, '@') + 1;

    if (strchr(base, '@') != NULL)
        return strcmp(base, mailbox) == 0;
    return base[0] == '.' ? ends(host, base) && strlen(host) > strlen(base)
                          : strcmp(host, base) == 0;
}

/* The names of a certificate as "TYPE:value"; those of the subject too. */
static bool
inside(const char *base, const char *name, bool excluded)
{
    const char *b = strchr(base, ':') + 1, *n = strchr(name, ':') + 1;

    if (starts(base, "DNS:"))
        return host_inside(b, n) || (excluded && star_can_be(b, n));
    if (starts(base, "IP:"))
        return address_inside(b, n);
    if (starts(base, "email:"))
        return mailbox_inside(b, n);
    /* Subjects are "dirName:N" for the name N of the scene. */
    return strcmp(b, "scene") == 0 ||
           (strcmp(b, "name9") == 0 && strcmp(n, "9") == 0);
}

static bool
name_is_allowed(const char *constraints, const char *name)
{
    bool constrained = false, permitted = false;
    char item[128];

    while (next_item(&constraints, item, sizeof(item))) {
        const char *base = strchr(item, ';') + 1;
        size_t type = strcspn(base, ":") + 1;
        bool is_excluded = starts(item, "excluded");

        if (strncmp(base, name, type) != 0)
            continue;
        if (is_excluded && inside(base, name, true))
            return false;
        if (!is_excluded) {
            constrained = true;
            permitted = permitted || inside(base, name, false);
        }
    }
    return !constrained || permitted;
}

static bool
names_are_allowed(const struct scene_cert *authority,
                  const struct scene_cert *cert)
{
    const char *san = cert->san;
    char name[128];

    snprintf(name, sizeof(name), "dirName:%d", cert->subject);
    if (!name_is_allowed(authority->constraints, name))
        return false;
    while (next_item(&san, name, sizeof(name)))
        if (!name_is_allowed(authority->constraints, name))
            return false;
    return true;
}

/* RFC 9525 6.3, for a host name. */
static bool
is_named(const struct scene_cert *cert, const char *host)
{
    const char *san = cert->san, *dot = strchr(host, '.');
    char item[128], exact[128], star[128];

    snprintf(exact, sizeof(exact), "DNS:%s", host);
    snprintf(star, sizeof(star), "DNS:*%s", dot);
    while (next_item(&san, item, sizeof(item)))
        if (strcmp(item, exact) == 0 ||
            (strcmp(item, star) == 0 && strchr(dot + 1, '.') != NULL))
            return true;
    return false;
}

static bool
cert_is_good(const struct model *m, const struct scene_cert *c, bool leaf,
             bool trusted)
{
    bool hours = c->from == 0 && c->until == 0;

    if (!hours && (c->from > 0 || c->until < 0))
        return false;
    if (c->key == SCENE_KEY_RSA_SHORT || c->critical)
        return false;
    if (c->hash == SCENE_SHA1 && !trusted)
        return false;
    if (c->purposes != NULL && !lists(c->purposes, "anyExtendedKeyUsage") &&
        !lists(c->purposes, m->purpose == FLOW_TLS_PURPOSE_SERVER
                                ? "serverAuth"
                                : "clientAuth"))
        return false;
    if (leaf)
        return c->usage == NULL || lists(c->usage, "digitalSignature");
    return c->ca == SCENE_CA_TRUE &&
           (c->usage == NULL || lists(c->usage, "keyCertSign"));
}

static bool
path_is_good(const struct model *m, const struct scene_cert *const *path,
             size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool last = i + 1 == len;
        int between = 0;

        if (!cert_is_good(m, path[i], i == 0, last))
            return false;
        if (!last && (path[i]->forged || path[i]->signer != path[i + 1]->key))
            return false;
        for (size_t j = 0; j < i; j++) {
            bool own = path[j]->subject == path[j]->issuer;

            between += j > 0 && !own;
            if ((j == 0 || !own) && !names_are_allowed(path[i], path[j]))
                return false;
        }
        if (path[i]->path_len > 0 && between > path[i]->path_len - 1)
            return false;
    }
    return is_named(path[0], m->name);
}

static bool
walk(const struct model *m, const struct scene_cert **path, size_t len,
     unsigned used)
{
    int issuer = path[len - 1]->issuer;

    for (size_t i = 0; i < m->trust_count; i++) {
        path[len] = &m->trust[i];
        if (m->trust[i].subject == issuer && path_is_good(m, path, len + 1))
            return true;
    }
    for (size_t i = 1; i < m->chain_count; i++) {
        path[len] = &m->chain[i];
        if (m->chain[i].subject == issuer && (used & 1u << i) == 0 &&
            walk(m, path, len + 1, used | 1u << i))
            return true;
    }
    return false;
}

bool
model_accepts(const struct model *m)
{
    const struct scene_cert *path[MODEL_MAX + 2] = { &m->chain[0] };

    return walk(m, path, 1, 1);
}
