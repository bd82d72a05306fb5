/* SPDX-License-Identifier: ISC */
#include "backends/vchan/hyp_fake_domain.h"

#include <string.h>

#include "backends/vchan/hyp_fake_dir.h"

static enum flow_status
fake_store_publish(struct vchan_hyp *hyp, const char *base, uint16_t peer,
                   uint32_t ref, uint32_t port, struct flow_error *err)
{
    struct fake_dir *dir = &flow__fake_of(hyp)->dir;
    struct fake_key *key;

    (void)peer;
    if (strlen(base) >= FAKE_BASE)
        return flow__fake_fail(err, FLOW_E_INVAL, 0,
                               "the store path is too long");
    flow__fake_lock(dir);
    key = flow__fake_key_find(dir->world, base);
    if (key == NULL)
        key = flow__fake_key_new(dir);
    if (key != NULL) {
        memcpy(key->base, base, strlen(base) + 1);
        key->ref = ref;
        key->port = port;
    }
    flow__fake_unlock(dir);
    return key != NULL
               ? FLOW_OK
               : flow__fake_fail(err, FLOW_E_NOMEM, 0, "the store is full");
}

static void
fake_store_withdraw(struct vchan_hyp *hyp, const char *base, uint32_t port)
{
    struct fake_dir *dir = &flow__fake_of(hyp)->dir;
    struct fake_key *key;

    flow__fake_lock(dir);
    key = flow__fake_key_find(dir->world, base);
    if (key != NULL && key->port == port)
        memset(key, 0, sizeof(*key));
    flow__fake_unlock(dir);
}

static enum flow_status
fake_store_lookup(struct vchan_hyp *hyp, uint16_t server, const char *base,
                  uint32_t *ret_ref, uint32_t *ret_port, struct flow_error *err)
{
    struct fake_hyp *h = flow__fake_of(hyp);
    enum flow_status st = flow__fake_dir_attach(&h->dir, err);
    struct fake_key *key;

    (void)server;
    if (st != FLOW_OK)
        return st;
    flow__fake_lock(&h->dir);
    key = flow__fake_key_find(h->dir.world, base);
    if (key != NULL) {
        *ret_ref = key->ref;
        *ret_port = key->port;
    }
    flow__fake_unlock(&h->dir);
    return key != NULL ? FLOW_OK : FLOW_AGAIN;
}

const struct vchan_store_ops flow__fake_store = {
    .publish = fake_store_publish,
    .withdraw = fake_store_withdraw,
    .lookup = fake_store_lookup,
};
