/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_LIST_H
#define FLOW_LIB_LIST_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Doubly linked ring of members inside larger structs.  A list is a link too; a
 * link that points at itself is an empty list, or in no list.
 */
struct flow__link {
    struct flow__link *prev;
    struct flow__link *next;
};

/* The struct around a link. */
#define flow__container(link, type, member)                                    \
    ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void
flow__list_init(struct flow__link *link)
{
    link->prev = link;
    link->next = link;
}

static inline bool
flow__list_is_empty(const struct flow__link *link)
{
    return link->next == link;
}

static inline void
flow__list_append(struct flow__link *list, struct flow__link *link)
{
    link->prev = list->prev;
    link->next = list;
    list->prev->next = link;
    list->prev = link;
}

/* Also for one that is in no list. */
static inline void
flow__list_remove(struct flow__link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    flow__list_init(link);
}

#endif
