/* SPDX-License-Identifier: ISC */
#include "tls/dn.h"

#include <string.h>

/* An attribute: its type, an object identifier, and its value. */
struct dn_pair {
    struct flow__span type;
    uint8_t tag;
    struct flow__span value;
};

static bool
dn_take_pair(struct flow__span *set, struct dn_pair *ret)
{
    struct flow__span pair;

    return flow__der_take(set, FLOW__DER_SEQUENCE, &pair) &&
           flow__der_take(&pair, FLOW__DER_OID, &ret->type) &&
           flow__der_take_any(&pair, &ret->tag, &ret->value) && pair.len == 0;
}

/* See tls/dn.h. */
bool
flow__dn_is_valid(struct flow__span name)
{
    struct flow__span set;
    struct dn_pair pair;

    while (name.len > 0) {
        if (!flow__der_take(&name, FLOW__DER_SET, &set) || set.len == 0)
            return false;
        while (set.len > 0)
            if (!dn_take_pair(&set, &pair))
                return false;
    }
    return true;
}

static bool
dn_is_text(uint8_t tag)
{
    return tag == FLOW__DER_UTF8 || tag == FLOW__DER_PRINTABLE ||
           tag == FLOW__DER_IA5;
}

static void
dn_trim(struct flow__span *text)
{
    while (text->len > 0 && text->base[0] == ' ') {
        text->base++;
        text->len--;
    }
    while (text->len > 0 && text->base[text->len - 1] == ' ')
        text->len--;
}

/* The next character of a text that was trimmed, in lower case, and one for
 * several spaces; -1: there is none. */
static int
dn_next_char(struct flow__span *text)
{
    int c;

    if (text->len == 0)
        return -1;
    c = text->base[0];
    do {
        text->base++;
        text->len--;
    } while (c == ' ' && text->len > 0 && text->base[0] == ' ');
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool
dn_text_equal(struct flow__span a, struct flow__span b)
{
    int c;

    dn_trim(&a);
    dn_trim(&b);
    do {
        c = dn_next_char(&a);
        if (c != dn_next_char(&b))
            return false;
    } while (c >= 0);
    return true;
}

static bool
dn_pair_equal(const struct dn_pair *a, const struct dn_pair *b)
{
    if (!flow__span_equal(a->type, b->type))
        return false;
    if (dn_is_text(a->tag) && dn_is_text(b->tag))
        return dn_text_equal(a->value, b->value);
    return a->tag == b->tag && flow__span_equal(a->value, b->value);
}

/* X.690 11.6: DER has an order for the attributes of a set. */
static bool
dn_set_equal(struct flow__span a, struct flow__span b)
{
    struct dn_pair pair_a, pair_b;

    while (a.len > 0 && b.len > 0)
        if (!dn_take_pair(&a, &pair_a) || !dn_take_pair(&b, &pair_b) ||
            !dn_pair_equal(&pair_a, &pair_b))
            return false;
    return a.len == 0 && b.len == 0;
}

/* See tls/dn.h. */
bool
flow__dn_is_within(struct flow__span base, struct flow__span name)
{
    struct flow__span set_base, set_name;

    while (base.len > 0)
        if (!flow__der_take(&base, FLOW__DER_SET, &set_base) ||
            !flow__der_take(&name, FLOW__DER_SET, &set_name) ||
            !dn_set_equal(set_base, set_name))
            return false;
    return true;
}

/* See tls/dn.h. */
bool
flow__dn_equal(struct flow__span a, struct flow__span b)
{
    return flow__span_equal(a, b) ||
           (flow__dn_is_within(a, b) && flow__dn_is_within(b, a));
}

static uint32_t
dn_hash_byte(uint32_t hash, int byte)
{
    return (hash ^ (uint32_t)byte) * 16777619u; /* FNV-1a */
}

/* See tls/dn.h. */
uint32_t
flow__dn_hash(struct flow__span name)
{
    uint32_t hash = 2166136261u;
    struct flow__span set;
    struct dn_pair pair;
    int c;

    while (name.len > 0 && flow__der_take(&name, FLOW__DER_SET, &set)) {
        hash = dn_hash_byte(hash, -1);
        while (set.len > 0 && dn_take_pair(&set, &pair)) {
            if (!dn_is_text(pair.tag))
                continue;
            dn_trim(&pair.value);
            while ((c = dn_next_char(&pair.value)) >= 0)
                hash = dn_hash_byte(hash, c);
        }
    }
    return hash;
}

/* See tls/dn.h.  PKCS #9: 1.2.840.113549.1.9.1. */
bool
flow__dn_next_email(struct flow__dn_rest *rest, struct flow__span *ret)
{
    static const uint8_t email[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7,
                                     0x0d, 0x01, 0x09, 0x01 };
    struct dn_pair pair;

    for (;;) {
        while (rest->set.len > 0 && dn_take_pair(&rest->set, &pair)) {
            if (!flow__span_is(pair.type, email, sizeof(email)))
                continue;
            *ret = pair.value;
            return true;
        }
        if (rest->name.len == 0 ||
            !flow__der_take(&rest->name, FLOW__DER_SET, &rest->set))
            return false;
    }
}

struct dn_writer {
    char *buf;
    size_t cap;
    size_t len; /* of the whole text; what exceeds cap is not written */
};

static void
dn_put(struct dn_writer *w, char c)
{
    if (w->len + 1 < w->cap)
        w->buf[w->len] = c;
    w->len++;
}

static void
dn_put_text(struct dn_writer *w, const char *text)
{
    while (*text != '\0')
        dn_put(w, *text++);
}

static void
dn_put_hex(struct dn_writer *w, uint8_t byte)
{
    static const char digits[] = "0123456789ABCDEF";

    dn_put(w, digits[byte >> 4]);
    dn_put(w, digits[byte & 15]);
}

static void
dn_put_number(struct dn_writer *w, uint32_t value)
{
    if (value >= 10)
        dn_put_number(w, value / 10);
    dn_put(w, (char)('0' + value % 10));
}

/* Whether each number of an object identifier has its shortest form and 28 bits
 * at most, X.690 8.19. */
static bool
dn_has_small_numbers(struct flow__span oid)
{
    size_t before = 0; /* bytes of this number */

    for (size_t i = 0; i < oid.len; i++) {
        if (before == 0 ? oid.base[i] == 0x80 : before == 4)
            return false;
        before = (oid.base[i] & 0x80) != 0 ? before + 1 : 0;
    }
    return oid.len > 0 && before == 0;
}

/* As "1.2.840", or as its bytes after a '#'. */
static void
dn_put_oid(struct dn_writer *w, struct flow__span oid)
{
    const bool is_small = dn_has_small_numbers(oid);
    uint32_t value = 0, top;
    bool is_first = true;

    if (!is_small)
        dn_put(w, '#');
    for (size_t i = 0; i < oid.len; i++) {
        if (!is_small) {
            dn_put_hex(w, oid.base[i]);
            continue;
        }
        value = value << 7 | (oid.base[i] & 0x7fu);
        if ((oid.base[i] & 0x80) != 0)
            continue;
        /* The first one is two. */
        top = value < 80 ? value / 40 : 2;
        if (is_first)
            dn_put_number(w, top);
        dn_put(w, '.');
        dn_put_number(w, is_first ? value - top * 40 : value);
        is_first = false;
        value = 0;
    }
}

/* The name of an attribute type; those of 2.5.4, and three others.  NULL: it
 * has none. */
static const char *
dn_type_name(struct flow__span type)
{
    static const struct {
        uint8_t len;
        uint8_t oid[10];
        const char *name;
    } names[] = {
        { 3, { 0x55, 4, 3 }, "CN" },
        { 3, { 0x55, 4, 4 }, "SN" },
        { 3, { 0x55, 4, 5 }, "serialNumber" },
        { 3, { 0x55, 4, 6 }, "C" },
        { 3, { 0x55, 4, 7 }, "L" },
        { 3, { 0x55, 4, 8 }, "ST" },
        { 3, { 0x55, 4, 10 }, "O" },
        { 3, { 0x55, 4, 11 }, "OU" },
        { 9, { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1 }, "emailAddress" },
        { 10, { 0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1 }, "UID" },
        { 10, { 0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25 }, "DC" },
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (flow__span_is(type, names[i].oid, names[i].len))
            return names[i].name;
    return NULL;
}

static void
dn_put_value(struct dn_writer *w, struct flow__span value)
{
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.base[i];
        bool is_edge = (c == ' ' && (i == 0 || i + 1 == value.len)) ||
                       (c == '#' && i == 0);

        if (c < 0x20 || c > 0x7e) {
            dn_put(w, '\\');
            dn_put_hex(w, c);
            continue;
        }
        if (is_edge || strchr(",+\"\\<>;", c) != NULL)
            dn_put(w, '\\');
        dn_put(w, (char)c);
    }
}

/* See tls/dn.h. */
size_t
flow__dn_text(struct flow__span name, char *buf, size_t cap)
{
    struct dn_writer w = { buf, cap, 0 };
    struct flow__span set;
    struct dn_pair pair;

    while (name.len > 0 && flow__der_take(&name, FLOW__DER_SET, &set))
        for (bool is_first = true; set.len > 0 && dn_take_pair(&set, &pair);
             is_first = false) {
            const char *type = dn_type_name(pair.type);

            if (w.len > 0)
                dn_put_text(&w, is_first ? ", " : " + ");
            if (type != NULL)
                dn_put_text(&w, type);
            else
                dn_put_oid(&w, pair.type);
            dn_put(&w, '=');
            dn_put_value(&w, pair.value);
        }
    buf[w.len < cap ? w.len : cap - 1] = '\0';
    return w.len;
}
