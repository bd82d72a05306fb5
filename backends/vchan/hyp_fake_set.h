/* SPDX-License-Identifier: ISC */
#ifndef FLOW_VCHAN_HYP_FAKE_SET_H
#define FLOW_VCHAN_HYP_FAKE_SET_H

/*
 * A descriptor that is readable when the one in it is: it can be handed out
 * to event loops, which know descriptors by their files, while what is in it
 * changes.  -1 when there is none to be had.
 */
int flow__fake_set_new(void);

/* Puts a descriptor in, 0 on success; takes it out. */
int flow__fake_set_put(int set, int fd);
void flow__fake_set_take(int set, int fd);

#endif
