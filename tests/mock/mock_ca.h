/* mock_ca.h - a certificate authority for a test, and a server's certificate by it. */
#ifndef TOLLGATE_TESTS_MOCK_CA_H
#define TOLLGATE_TESTS_MOCK_CA_H

#include <stdbool.h>

/* Writes DIR/ca.pem, DIR/cert.pem (for localhost, 127.0.0.1 and ::1) and DIR/key.pem. */
bool mock_ca_make(const char *dir);

#endif
