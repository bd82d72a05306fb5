/* SPDX-License-Identifier: ISC */
#ifndef BACKENDS_POSIX_SYS_ERROR_H
#define BACKENDS_POSIX_SYS_ERROR_H

#include <flow/backend.h>
#include <flow/status.h>

/*
 * Fill an error record from an errno: the status it stands for, what it means
 * in words, and what to do about it where that is known.  fallback is the
 * phrase for numbers without one of their own ("reading failed"); detail may
 * be NULL; err may be NULL.  Returns the status.
 */
enum flow_status flow__sys_error(struct flow_error *err, const char *layer,
                                 int code, const char *fallback,
                                 const char *detail);

/* The same, recorded for directions of a flow. */
enum flow_status flow__sys_fail(struct flow *f, uint32_t dirs, int code,
                                const char *fallback, const char *detail);

#endif
