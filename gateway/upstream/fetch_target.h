/* fetch_target.h - inside of fetch.h's targets and header lists; only gateway/upstream includes it. */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_FETCH_TARGET_H
#define TOLLGATE_GATEWAY_UPSTREAM_FETCH_TARGET_H

#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "gateway/upstream/fetch.h"

struct fetch_address {
    socklen_t n;
    union {
        sa_family_t family;
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } sa;
};

struct fetch_target {
    CURLU *url;              /* curl copies it for each transfer, so threads may share it */
    char *origin;            /* for people, and the name of the connect queue */
    char *path;
    char *unix_path;         /* NULL: dial the host */
    char *ca_file;           /* NULL: the worker's */
    bool http2;
    bool named;              /* the host is a name that must be looked up */
    /* For fetch_plain.c, which serves plain http where nothing is looked up. */
    size_t n_addresses;      /* tried in order; 0: curl's business */
    struct fetch_address addresses[2];
    char *head;              /* " /v1/chat/completions HTTP/1.1\r\nHost: ...\r\n": a request's first lines but the method */
    size_t head_n;
    size_t path_n, query_n;  /* where the path ends in `head`, and the query behind it: a call's own part goes there */
};

/* Is it a path that a call may have of its own: "/" first, nothing that ends a request line, no "." or ".." as a segment,
 * no fragment; perhaps a query? */
bool fetch_path_ok(const char *path);
/* The target's address with a path that is fetch_path_ok behind its own: handed, curl_url_cleanup. NULL: no memory. */
CURLU *fetch_target_url(const struct fetch_target *t, const char *path);

struct fetch_headers {
    struct curl_slist *list; /* curl reads it and no more, so threads may share it */
    char *text;              /* the same as they go over the wire, for fetch_plain.c */
    size_t text_n;
    bool odd;                /* holds a line that curl gives a meaning (fetch_line_is_odd): no text for them */
};

/* "name: value" in one line. */
bool fetch_line_ok(const char *line);
/* Does its name belong to whoever writes the request: framing, Host, or one that we write ourselves? */
bool fetch_line_is_odd(struct span line);

#endif
