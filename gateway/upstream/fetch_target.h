/* fetch_target.h - inside of fetch.h's targets and header lists; only gateway/upstream includes it. */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_FETCH_TARGET_H
#define TOLLGATE_GATEWAY_UPSTREAM_FETCH_TARGET_H

#include <curl/curl.h>

#include "gateway/upstream/fetch.h"

struct fetch_target {
    CURLU *url;              /* curl copies it for each transfer, so threads may share it */
    char *origin;            /* for people, and the name of the connect queue */
    char *path;
    char *unix_path;         /* NULL: dial the host */
    char *ca_file;           /* NULL: the worker's */
    bool http2;
    bool named;              /* the host is a name that must be looked up */
};

struct fetch_headers {
    struct curl_slist *list; /* curl reads it and no more, so threads may share it */
};

#endif
