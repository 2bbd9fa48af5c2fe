/* devca.h - a certificate authority and a server certificate for trying things out, made by `tollgate init`.
 *
 * ECDSA P-256. The authority signs the one certificate and its key is then forgotten, so that nobody can sign another
 * with it; the certificate is for localhost, 127.0.0.1 and ::1. In production use your own certificates. */
#ifndef TOLLGATE_GATEWAY_DEVCA_H
#define TOLLGATE_GATEWAY_DEVCA_H

#include <stdbool.h>

/* Writes ca.pem, cert.pem (leaf and authority) and key.pem (mode 0600) into `dir`. False with errno or an OpenSSL
 * reason in *why (static or thread-local). Files that are there are replaced. */
bool devca_write(const char *dir, int days, const char **why);

#endif
