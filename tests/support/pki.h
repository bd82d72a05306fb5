/* SPDX-License-Identifier: ISC */
#ifndef TEST_SUPPORT_PKI_H
#define TEST_SUPPORT_PKI_H

/* Path of a file of the test keys; valid for the next three calls. */
const char *pki(const char *file);

#endif
