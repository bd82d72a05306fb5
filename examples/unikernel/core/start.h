/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_CORE_START_H
#define UNIKERNEL_CORE_START_H

/* Ends the machine after the app has ended with this code. */
_Noreturn void start_end(int code);

#endif
