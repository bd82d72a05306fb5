/* SPDX-License-Identifier: ISC */
#ifndef TEST_SUPPORT_PKI_H
#define TEST_SUPPORT_PKI_H

/* Path of a file of the test keys; valid until the next but three call. */
const char *pki(const char *file);

#endif
