/* SPDX-License-Identifier: ISC */
#include "tls/pem.h"

#include <string.h>

#include "tls/engine.h"

/* The longest first or last line of a block. */
#define PEM_LINE_MAX 64

/* The position of a phrase; text.len if it is not there. */
static size_t
pem_find(struct flow__span text, const char *phrase)
{
    const size_t len = strlen(phrase);
    size_t at = 0;

    while (at + len <= text.len) {
        const uint8_t *dash =
            memchr(text.base + at, phrase[0], text.len - len + 1 - at);

        if (dash == NULL)
            break;
        at = (size_t)(dash - text.base);
        if (memcmp(dash, phrase, len) == 0)
            return at;
        at++;
    }
    return text.len;
}

/* See tls/pem.h. */
bool
flow__pem_is_text(struct flow__span data)
{
    return pem_find(data, "-----BEGIN ") < data.len;
}

static void
pem_make_line(char line[PEM_LINE_MAX], const char *what, const char *label)
{
    size_t n = 0;

    memcpy(line, "-----", 5);
    n = 5;
    memcpy(line + n, what, strlen(what));
    n += strlen(what);
    memcpy(line + n, label, strlen(label));
    n += strlen(label);
    memcpy(line + n, "-----", 6);
}

static void
pem_advance(struct flow__span *text, size_t n)
{
    text->base += n;
    text->len -= n;
}

/* See tls/pem.h. */
enum flow_status
flow__pem_next(const struct flow_env *env, struct flow__span *text,
               const char *label, struct flow__span *ret_der, size_t *ret_size)
{
    char begin[PEM_LINE_MAX], end[PEM_LINE_MAX];
    struct flow__span body;
    uint8_t *der;
    size_t at, len;

    pem_make_line(begin, "BEGIN ", label);
    pem_make_line(end, "END ", label);
    at = pem_find(*text, begin);
    if (at == text->len)
        return FLOW_EOF;
    pem_advance(text, at + strlen(begin));
    body.base = text->base;
    body.len = pem_find(*text, end);
    if (body.len == text->len || body.len == 0)
        return FLOW_E_INVAL;
    /* Three bytes of four characters. */
    *ret_size = body.len;
    der = flow_env_alloc(env, *ret_size);
    if (der == NULL)
        return FLOW_E_NOMEM;
    if (!flow__engine_decode_base64(body, der, *ret_size, &len)) {
        flow_env_free(env, der, *ret_size);
        return FLOW_E_INVAL;
    }
    pem_advance(text, body.len + strlen(end));
    ret_der->base = der;
    ret_der->len = len;
    return FLOW_OK;
}
