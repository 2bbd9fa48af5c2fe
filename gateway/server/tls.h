/* tls.h - a certificate and a key as what OpenSSL wants for a listener. TLS 1.2 and 1.3, AEAD only, no
 * renegotiation, no compression, ALPN http/1.1. */
#ifndef TOLLGATE_GATEWAY_TLS_H
#define TOLLGATE_GATEWAY_TLS_H

#include "base/problem.h"

struct ssl_ctx_st;

/* NULL with a problem when a file cannot be read or the two do not belong together; `pointer` is where the config names
 * them ("/listen/0/tls"). Reference counted by OpenSSL. */
struct ssl_ctx_st *tls_context_new(const char *certificate, const char *key, const char *pointer, struct problems *ps);
void tls_context_free(struct ssl_ctx_st *ctx);
/* Days until the certificate expires, negative when it has; for `check` and the start's warning. */
long tls_days_left(struct ssl_ctx_st *ctx);

#endif
