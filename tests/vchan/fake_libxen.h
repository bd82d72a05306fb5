/* SPDX-License-Identifier: ISC */
#ifndef TESTS_VCHAN_FAKE_LIBXEN_H
#define TESTS_VCHAN_FAKE_LIBXEN_H

#include "backends/vchan/hyp.h"

/*
 * The functions of libxengnttab, libxenevtchn and libxenstore that
 * libxenvchan calls, over our interface to a hypervisor (hyp.h): the real
 * libxenvchan.a then runs in domains of hyp_fake.
 *
 * A handle belongs to the domain that its thread was in when it was opened.
 */
void fake_libxen_enter(struct vchan_hyp *hyp);

/* Events that libxenvchan has sent so far. */
unsigned long fake_libxen_events(void);

#endif
