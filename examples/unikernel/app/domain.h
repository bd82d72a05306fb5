/* SPDX-License-Identifier: ISC */
#ifndef UNIKERNEL_APP_DOMAIN_H
#define UNIKERNEL_APP_DOMAIN_H

/* Serves vchans in a domain of Xen: "0/site" is
 * /local/domain/US/data/vchan/0/site, for domain 0.  Ends after Ctrl-C and "xl
 * shutdown".  An exit code. */
int domain_serve(const char *place);

#endif
