/* SPDX-License-Identifier: ISC */
#ifndef FLOW_LIB_ASSERT_H
#define FLOW_LIB_ASSERT_H

/*
 * Checks that a layer does what the core relies on, in builds without NDEBUG.
 * The C library's assert() prints, which a machine without an operating system
 * cannot.
 */
#ifdef NDEBUG
#define flow__assert(condition) ((void)0)
#else
#define flow__assert(condition) ((condition) ? (void)0 : __builtin_trap())
#endif

#endif
