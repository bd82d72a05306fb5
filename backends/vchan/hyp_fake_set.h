/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_FAKE_SET_H
#define FLOW_VCHAN_HYP_FAKE_SET_H

/*
 * A set is a descriptor that is readable when the descriptor in it is.  Event
 * loops know descriptors by their files; so they get the set, whose contents
 * can change.  -1: no descriptor is left.
 */
int flow__fake_set_new(void);

/* Puts a descriptor in, 0 on success; takes it out. */
int flow__fake_set_put(int set, int fd);
void flow__fake_set_take(int set, int fd);

#endif
