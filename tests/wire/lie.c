/* SPDX-License-Identifier: ISC */
#include "lie.h"

#include <string.h>

#include "test.h"

static struct evil evil;

bool
is_message(const struct evil_record *r, uint8_t type)
{
    return r->type == 22 && r->len > 4 && r->content[0] == type;
}

size_t
extension(const struct evil_record *r, uint16_t wanted)
{
    size_t at = 4 + 2 + 32, end;
    bool client = r->content[0] == CLIENT_HELLO;

    at += 1u + r->content[at];
    if (client) {
        at += 2u + (size_t)(r->content[at] << 8 | r->content[at + 1]);
        at += 1u + r->content[at];
    } else {
        at += 3;
    }
    end = at + 2 + (size_t)(r->content[at] << 8 | r->content[at + 1]);
    for (at += 2; at + 4 <= end;) {
        size_t len = (size_t)(r->content[at + 2] << 8 | r->content[at + 3]);

        if ((r->content[at] << 8 | r->content[at + 1]) == wanted)
            return at;
        at += 4 + len;
    }
    return 0;
}

void
add(uint8_t *p, int n)
{
    int v = (p[0] << 8 | p[1]) + n;

    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

void
resize(struct evil_record *r, size_t off, int n)
{
    if (n > 0) {
        memmove(r->content + off + n, r->content + off, r->len - off);
        memset(r->content + off, 0x5a, (size_t)n);
    } else {
        memmove(r->content + off, r->content + off - n,
                r->len - off - (size_t)-n);
    }
    r->len = (size_t)((long)r->len + n);
    add(r->content + 2, n);
}

uint8_t *
extensions_len(struct evil_record *r)
{
    size_t at = 4 + 2 + 32;

    at += 1u + r->content[at];
    if (r->content[0] == CLIENT_HELLO) {
        at += 2u + (size_t)(r->content[at] << 8 | r->content[at + 1]);
        at += 1u + r->content[at];
    } else {
        at += 3;
    }
    return r->content + at;
}

void
put_extension(struct evil_record *r, uint16_t type, const void *data,
              size_t len)
{
    uint8_t *total = extensions_len(r);
    size_t at = (size_t)(total - r->content) + 2;

    add(total, (int)len + 4);
    resize(r, at, (int)len + 4);
    r->content[at] = (uint8_t)(type >> 8);
    r->content[at + 1] = (uint8_t)type;
    r->content[at + 2] = (uint8_t)(len >> 8);
    r->content[at + 3] = (uint8_t)len;
    memcpy(r->content + at + 4, data, len);
}

void
remove_extension(struct evil_record *r, uint16_t type)
{
    size_t at = extension(r, type), len;

    assert_true(at != 0);
    len = 4 + (size_t)(r->content[at + 2] << 8 | r->content[at + 3]);
    add(extensions_len(r), -(int)len);
    resize(r, at, -(int)len);
}

void
into_list(struct evil_record *r, uint16_t type, size_t len_size,
          const void *data, size_t len)
{
    size_t at = extension(r, type);

    assert_true(at != 0);
    add(r->content + at + 2, (int)len);
    if (len_size == 1)
        r->content[at + 4] = (uint8_t)(r->content[at + 4] + len);
    else
        add(r->content + at + 4, (int)len);
    add(extensions_len(r), (int)len);
    resize(r, at + 4 + len_size, (int)len);
    memcpy(r->content + at + 4 + len_size, data, len);
}

void
sign_exchange(struct evil *e, struct evil_record *r)
{
    size_t params = 4u + r->content[7];
    uint8_t *sig = r->content + 4 + params + 4;
    uint8_t text[64 + 300];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t len = 80;

    SSL_get_client_random(e->peer.ssl, text, 32);
    SSL_get_server_random(e->peer.ssl, text + 32, 32);
    memcpy(text + 64, r->content + 4, params);
    sig[-4] = 4; /* ecdsa_secp256r1_sha256 */
    sig[-3] = 3;
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL,
                                        SSL_CTX_get0_privatekey(e->peer.ctx)),
                     1);
    assert_int_equal(EVP_DigestSign(ctx, sig, &len, text, 64 + params), 1);
    EVP_MD_CTX_free(ctx);
    sig[-2] = 0;
    sig[-1] = (uint8_t)len;
    r->len = (size_t)(sig - r->content) + len;
    r->content[2] = (uint8_t)((r->len - 4) >> 8);
    r->content[3] = (uint8_t)(r->len - 4);
}

void
with_p256(struct evil *e)
{
    const uint16_t group = FLOW_TLS_GROUP_P256;

    assert_status(flow_tls_config_set_groups(e->config, &group, 1), FLOW_OK);
    assert_int_equal(SSL_CTX_set1_groups_list(e->peer.ctx, "P-256"), 1);
}

void
with_hrr(struct evil *e)
{
    /* The client's first key share is for a group that the server does not
     * have. */
    const uint16_t ours[] = { FLOW_TLS_GROUP_X25519, FLOW_TLS_GROUP_P384 };

    assert_status(flow_tls_config_set_groups(e->config,
                                             e->we_serve ? ours + 1 : ours,
                                             e->we_serve ? 1 : 2),
                  FLOW_OK);
    assert_int_equal(SSL_CTX_set1_groups_list(
                         e->peer.ctx, e->we_serve ? "X25519:P-384" : "P-384"),
                     1);
}

void
with_both_versions(struct evil *e)
{
    assert_status(
        flow_tls_config_set_versions(e->config, FLOW_TLS_1_2, FLOW_TLS_1_3),
        FLOW_OK);
}

void
lie_tell(const struct lie *l, enum flow_status status)
{
    guard_case(l->name);
    evil_init(&evil, l->we_serve, l->version);
    if (l->set != NULL)
        l->set(&evil);
    evil.edit = l->edit;
    evil_start(&evil);
    evil_run(&evil);
    print_message("  %s (%s, 0x%04x): %s\n", l->name,
                  l->we_serve ? "server" : "client", l->version,
                  evil_text(&evil));
    evil_refused(&evil, status, l->alert, l->epoch);
    evil_free(&evil);
}
