// SPDX-License-Identifier: Apache-2.0
/* ca_make.h: certificates as purse makes them; private to ca.c and ca_make.c. */
#ifndef PURSE_WIRE_CA_MAKE_H
#define PURSE_WIRE_CA_MAKE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/err.h"

/* A fresh P-256 key. NULL on failure. */
EVP_PKEY *ca_make_key(void);
/* Self-signed, pathlen 1. */
X509 *ca_make_root(EVP_PKEY *key, const char *label, long days);
/* Signed by the root, pathlen 0, critical nameConstraints over names, all IPs excluded, serverAuth. */
X509 *ca_make_issuer(EVP_PKEY *key, X509 *root, EVP_PKEY *root_key, const char *const *names, size_t nnames, long days);
/* Signed by the issuer: host as CN and only SAN, backdated an hour, seconds of life. */
X509 *ca_make_leaf(EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key, const char *host, long seconds);

#endif
