#include "gateway/server/devca.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *e;
    bool ok;

    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    ok = e && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

static X509 *new_certificate(const char *name, int days, EVP_PKEY *key, X509 *issuer)
{
    X509 *x = X509_new();
    X509_NAME *subject = x ? X509_get_subject_name(x) : NULL;
    uint64_t serial = 0;
    bool ok = x && RAND_bytes((unsigned char *)&serial, sizeof serial) == 1;

    ok = ok && X509_set_version(x, 2) && ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1);
    ok = ok && X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    ok = ok && X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : subject);
    ok = ok && X509_gmtime_adj(X509_getm_notBefore(x), -3600) &&    /* clocks differ a little */
         X509_gmtime_adj(X509_getm_notAfter(x), (long)days * 86400) && X509_set_pubkey(x, key);
    if (ok)
        return x;
    X509_free(x);
    return NULL;
}

static FILE *open_file(const char *dir, const char *name, int mode)
{
    char path[4200];
    int fd;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);    /* a mode is only given to a new file */
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    return fd >= 0 ? fdopen(fd, "w") : NULL;
}

static bool write_files(const char *dir, X509 *ca, X509 *leaf, EVP_PKEY *key)
{
    FILE *f = open_file(dir, "ca.pem", 0644);
    bool ok = f && PEM_write_X509(f, ca);

    ok = f && fclose(f) == 0 && ok;
    f = ok ? open_file(dir, "cert.pem", 0644) : NULL;
    ok = f && PEM_write_X509(f, leaf) && PEM_write_X509(f, ca);
    ok = f && fclose(f) == 0 && ok;
    f = ok ? open_file(dir, "key.pem", 0600) : NULL;
    ok = f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    return f && fclose(f) == 0 && ok;
}

bool devca_write(const char *dir, int days, const char **why)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = ca_key ? new_certificate("tollgate development CA", days, ca_key, NULL) : NULL;
    X509 *leaf = ca && key ? new_certificate("localhost", days, key, ca) : NULL;
    bool ok = leaf != NULL;

    ok = ok && add_extension(ca, ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
         add_extension(ca, ca, NID_key_usage, "critical,keyCertSign") &&
         add_extension(ca, ca, NID_subject_key_identifier, "hash") && X509_sign(ca, ca_key, EVP_sha256());
    ok = ok && add_extension(leaf, ca, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(leaf, ca, NID_key_usage, "critical,digitalSignature") &&
         add_extension(leaf, ca, NID_ext_key_usage, "serverAuth") &&
         add_extension(leaf, ca, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") &&
         add_extension(leaf, ca, NID_authority_key_identifier, "keyid") && X509_sign(leaf, ca_key, EVP_sha256());
    *why = ok ? NULL : ERR_reason_error_string(ERR_peek_last_error());
    if (ok && !write_files(dir, ca, leaf, key)) {
        ok = false;
        *why = strerror(errno);
    }
    X509_free(ca);
    X509_free(leaf);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
    return ok;
}
