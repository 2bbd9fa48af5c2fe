/* fetch_target.c - addresses and header lists, checked once at load so that a call has nothing left to refuse.
 *
 * Decides which addresses may be called at all: https anywhere, plain http only on loopback, unix sockets, or where
 * the operator said so. Of a request nothing comes here but the model's name, as one segment of a path. */
#include "gateway/upstream/fetch_target.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

#define UNIX_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

static void *refuse(struct fetch_target *t, char *why, size_t room, const char *text)
{
    if (text)
        snprintf(why, room, "%s", text);
    fetch_target_free(t);
    return NULL;
}

/* A host in brackets or as it stands in a URL. 1: a number, 2: a loopback number or localhost, 0: a name. */
static int host_kind(const char *host)
{
    unsigned char a[16];
    char bare[64];
    const size_t n = strlen(host);

    if (span_eq_nocase(span_str(host), SPAN_LIT("localhost")))
        return 2;    /* curl answers it itself (RFC 6761 6.3) */
    if (inet_pton(AF_INET, host, a) == 1)
        return a[0] == 127 ? 2 : 1;
    if (host[0] != '[' || n < 4 || n >= sizeof(bare))
        return 0;
    memcpy(bare, host + 1, n - 2);
    bare[n - 2] = '\0';
    if (inet_pton(AF_INET6, bare, a) != 1)
        return 1;    /* with a zone, or odd: no loopback for us, and nothing to look up */
    static const unsigned char loopback[16] = { [15] = 1 };
    return memcmp(a, loopback, 16) == 0 ? 2 : 1;
}

static bool url_has(CURLU *u, CURLUPart part)
{
    char *s = NULL;
    const bool has = curl_url_get(u, part, &s, 0) == CURLUE_OK && s && *s;

    curl_free(s);
    return has;
}

/* base path + path, with one slash between; kept in t->path. */
static bool target_set_path(struct fetch_target *t, const char *path)
{
    char *base = NULL;
    size_t n, size;
    bool ok = false;

    if (curl_url_get(t->url, CURLUPART_PATH, &base, 0) != CURLUE_OK)
        return false;
    n = strlen(base);
    while (n && base[n - 1] == '/')
        n--;
    size = n + strlen(path) + 2;
    t->path = malloc(size);
    if (t->path) {
        snprintf(t->path, size, "%.*s%s%s", (int)n, base, *path && *path != '/' ? "/" : "", path);
        if (!*t->path)
            snprintf(t->path, size, "/");
        ok = curl_url_set(t->url, CURLUPART_PATH, t->path, 0) == CURLUE_OK;
    }
    curl_free(base);
    return ok;
}

static bool target_set_origin(struct fetch_target *t, const char *scheme, const char *host)
{
    char *port = NULL;
    size_t size;

    if (curl_url_get(t->url, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT) != CURLUE_OK)
        port = NULL;
    size = strlen(scheme) + strlen(host) + (port ? strlen(port) : 0) + (t->unix_path ? strlen(t->unix_path) : 0) + 16;
    t->origin = malloc(size);
    if (t->origin && t->unix_path)
        snprintf(t->origin, size, "unix:%s", t->unix_path);
    else if (t->origin)
        snprintf(t->origin, size, "%s://%s%s%s", scheme, host, port ? ":" : "", port ? port : "");
    curl_free(port);
    return t->origin != NULL;
}

/* ---- for fetch_plain.c ---- */

static bool address_set(struct fetch_address *a, int family, const char *host, uint16_t port)
{
    char bare[64];
    const size_t n = strlen(host);

    memset(a, 0, sizeof(*a));
    if (family == AF_INET) {
        a->n = sizeof(a->sa.in);
        a->sa.in.sin_family = AF_INET;
        a->sa.in.sin_port = htons(port);
        return inet_pton(AF_INET, host, &a->sa.in.sin_addr) == 1;
    }
    if (n < 4 || n >= sizeof(bare) || host[0] != '[')
        return false;
    memcpy(bare, host + 1, n - 2);
    bare[n - 2] = '\0';
    a->n = sizeof(a->sa.in6);
    a->sa.in6.sin6_family = AF_INET6;
    a->sa.in6.sin6_port = htons(port);
    return inet_pton(AF_INET6, bare, &a->sa.in6.sin6_addr) == 1;
}

static void target_set_addresses(struct fetch_target *t, const char *host, uint16_t port)
{
    if (t->unix_path) {
        t->addresses[0].sa.un.sun_family = AF_UNIX;
        memcpy(t->addresses[0].sa.un.sun_path, t->unix_path, strlen(t->unix_path) + 1);
        t->addresses[0].n = sizeof(struct sockaddr_un);
        t->n_addresses = 1;
    } else if (span_eq_nocase(span_str(host), SPAN_LIT("localhost"))) {
        address_set(&t->addresses[0], AF_INET, "127.0.0.1", port);
        address_set(&t->addresses[1], AF_INET6, "[::1]", port);
        t->n_addresses = 2;
    } else if (address_set(&t->addresses[0], AF_INET, host, port) ||
               address_set(&t->addresses[0], AF_INET6, host, port)) {
        t->n_addresses = 1;
    }
}

/* Its addresses and the first lines of a request. What it cannot say stays with curl. False: no memory. */
static bool target_set_plain(struct fetch_target *t, const char *host)
{
    char *port = NULL, *path = NULL, *query = NULL;
    struct buf b;
    bool clean = true;

    buf_init(&b, 65536);
    if (curl_url_get(t->url, CURLUPART_PATH, &path, 0) == CURLUE_OK) {
        if (curl_url_get(t->url, CURLUPART_PORT, &port, CURLU_NO_DEFAULT_PORT) != CURLUE_OK)
            port = NULL;
        if (curl_url_get(t->url, CURLUPART_QUERY, &query, 0) != CURLUE_OK)
            query = NULL;
        buf_printf(&b, "%s%s%s", path, query ? "?" : "", query ? query : "");
        for (size_t i = 0; i < b.n; i++)
            clean = clean && b.p[i] > ' ' && b.p[i] < 0x7f;
        t->query_n = b.n + 1;
        t->path_n = 1 + strlen(path);
        buf_clear(&b);
        buf_printf(&b, " %s%s%s HTTP/1.1\r\nHost: %s%s%s\r\nUser-Agent: tollgate\r\n", path, query ? "?" : "",
                   query ? query : "", host, port ? ":" : "", port ? port : "");
        if (clean && buf_ok(&b))
            target_set_addresses(t, host, port ? (uint16_t)strtoul(port, NULL, 10) : 80);
        t->head_n = b.n;
        t->head = buf_take(&b);
    }
    curl_free(port);
    curl_free(path);
    curl_free(query);
    buf_free(&b);
    return t->head != NULL;
}

struct fetch_target *fetch_target_new(const char *base, const char *path, const char *unix_path, const char *ca_file,
                                      unsigned flags, char *why, size_t why_room)
{
    struct fetch_target *t = calloc(1, sizeof(*t));
    char *scheme = NULL, *host = NULL;
    int kind;
    bool ok;

    if (!t)
        return refuse(t, why, why_room, "out of memory");
    if (span_starts(span_str(base), SPAN_LIT("unix:"))) {
        unix_path = base + 5;
        base = "http://localhost/v1";
    }
    if (unix_path && (*unix_path != '/' || strlen(unix_path) > UNIX_PATH_MAX))
        return refuse(t, why, why_room, "a unix socket needs an absolute path of at most 107 bytes");
    t->unix_path = unix_path ? strdup(unix_path) : NULL;
    t->ca_file = ca_file ? strdup(ca_file) : NULL;
    t->url = curl_url();
    if (!t->url || (unix_path && !t->unix_path) || (ca_file && !t->ca_file))
        return refuse(t, why, why_room, "out of memory");
    if (curl_url_set(t->url, CURLUPART_URL, base, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
        return refuse(t, why, why_room, "is no address such as \"https://api.example.com/v1\"");
    if (url_has(t->url, CURLUPART_USER) || url_has(t->url, CURLUPART_PASSWORD))
        return refuse(t, why, why_room, "must not hold a user or password: keys are named in \"keys\"");
    if (url_has(t->url, CURLUPART_FRAGMENT))
        return refuse(t, why, why_room, "must not hold a fragment (\"#...\")");
    if (curl_url_get(t->url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(t->url, CURLUPART_HOST, &host, 0) != CURLUE_OK) {
        curl_free(scheme);
        return refuse(t, why, why_room, "is no address such as \"https://api.example.com/v1\"");
    }
    kind = host_kind(host);
    t->named = kind == 0 && !t->unix_path;
    t->http2 = (flags & FETCH_HTTP2) && strcmp(scheme, "https") == 0;
    why[0] = '\0';
    if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
        snprintf(why, why_room, "must begin with https://, http:// or unix:/");
    else if (strcmp(scheme, "http") == 0 && kind != 2 && !t->unix_path && !(flags & FETCH_ALLOW_HTTP))
        snprintf(why, why_room, "plain http beyond this machine needs \"allow_http\": true");
    ok = !why[0] && target_set_origin(t, scheme, host) && target_set_path(t, path) &&
         (strcmp(scheme, "http") != 0 || target_set_plain(t, host));
    curl_free(scheme);
    curl_free(host);
    if (!ok)
        return refuse(t, why, why_room, why[0] ? NULL : "out of memory");
    return t;
}

void fetch_target_free(struct fetch_target *t)
{
    if (!t)
        return;
    curl_url_cleanup(t->url);
    free(t->origin);
    free(t->path);
    free(t->unix_path);
    free(t->ca_file);
    free(t->head);
    free(t);
}

const char *fetch_target_origin(const struct fetch_target *t) { return t->origin; }
const char *fetch_target_path(const struct fetch_target *t) { return t->path; }

/* ---- a call's own path ---- */

static bool is_plain_byte(char c)    /* RFC 3986 2.3 */
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

bool fetch_path_add(char path[FETCH_PATH_MAX], struct span segment)
{
    static const char hex[] = "0123456789abcdef";
    const size_t had = strlen(path);
    size_t n = had;

    if (segment.n == 0 || span_is(segment, ".") || span_is(segment, "..") || n + 1 >= FETCH_PATH_MAX)
        return false;
    path[n++] = '/';
    for (size_t i = 0; i < segment.n; i++) {
        const unsigned char c = (unsigned char)segment.p[i];

        if (n + 4 > FETCH_PATH_MAX) {
            path[had] = '\0';
            return false;
        }
        if (is_plain_byte(segment.p[i])) {
            path[n++] = segment.p[i];
            continue;
        }
        path[n++] = '%';
        path[n++] = hex[c >> 4];
        path[n++] = hex[c & 15];
    }
    path[n] = '\0';
    return true;
}

bool fetch_path_ok(const char *path)
{
    struct span rest = span_str(path);
    const size_t end = span_find(rest, '?');

    if (rest.n == 0 || rest.n >= FETCH_PATH_MAX || path[0] != '/')
        return false;
    for (size_t i = 0; i < rest.n; i++)
        if (path[i] <= ' ' || path[i] > '~' || strchr("#\"<>\\^`{|}", path[i]))
            return false;
    for (rest = span_first(rest, end); rest.n;) {
        struct span segment;

        rest = span_skip(rest, 1);
        segment = span_first(rest, span_find(rest, '/'));
        if (span_is(segment, ".") || span_is(segment, ".."))
            return false;
        rest = span_skip(rest, segment.n);
    }
    return true;
}

CURLU *fetch_target_url(const struct fetch_target *t, const char *path)
{
    const size_t size = strlen(t->path) + FETCH_PATH_MAX + 1, end = span_find(span_str(path), '?');
    CURLU *u = curl_url_dup(t->url);
    char *joined = malloc(size);
    bool ok = u && joined;

    if (ok) {
        snprintf(joined, size, "%s%.*s", strcmp(t->path, "/") == 0 ? "" : t->path, (int)end, path);
        ok = curl_url_set(u, CURLUPART_PATH, joined, 0) == CURLUE_OK;
    }
    if (ok && path[end])
        ok = curl_url_set(u, CURLUPART_QUERY, path + end + 1, CURLU_APPENDQUERY) == CURLUE_OK;
    free(joined);
    if (ok)
        return u;
    curl_url_cleanup(u);
    return NULL;
}

/* ---- header lists ---- */

struct fetch_headers *fetch_headers_new(void)
{
    struct fetch_headers *h = calloc(1, sizeof(*h));

    /* "Expect:" keeps curl from waiting for a 100 before a body above 1 MiB: most hosts never send one. */
    if (h && (!fetch_headers_add(h, "Accept-Encoding", SPAN_LIT("identity")) ||
              !fetch_headers_add(h, "Expect", SPAN_NONE))) {
        fetch_headers_free(h);
        return NULL;
    }
    return h;
}

bool fetch_line_ok(const char *line)
{
    for (const char *p = line; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return false;
    return strchr(line, ':') != NULL;
}

bool fetch_line_is_odd(struct span line)
{
    static const struct span names[] = {
        SPAN_LIT("host"), SPAN_LIT("user-agent"), SPAN_LIT("content-length"), SPAN_LIT("transfer-encoding"),
        SPAN_LIT("connection"), SPAN_LIT("expect"), SPAN_LIT("te"), SPAN_LIT("upgrade"), SPAN_LIT("trailer"),
    };
    const size_t colon = span_find(line, ':');
    const struct span name = span_first(line, colon), value = span_trim(span_skip(line, colon + 1));

    if (!value.n)    /* to curl "Name:" means that this line shall not be sent */
        return !span_eq_nocase(name, SPAN_LIT("expect"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (span_eq_nocase(name, names[i]))
            return true;
    return false;
}

/* Grown by hand: realloc would leave keys behind in freed memory. */
static bool headers_add_text(struct fetch_headers *h, struct span line)
{
    char *more;

    if (fetch_line_is_odd(line))
        h->odd = true;
    if (h->odd || line.p[line.n - 1] == ':')
        return true;
    more = malloc(h->text_n + line.n + 2);
    if (!more)
        return false;
    if (h->text_n)
        memcpy(more, h->text, h->text_n);
    memcpy(more + h->text_n, line.p, line.n);
    memcpy(more + h->text_n + line.n, "\r\n", 2);
    if (h->text)
        explicit_bzero(h->text, h->text_n);
    free(h->text);
    h->text = more;
    h->text_n += line.n + 2;
    return true;
}

bool fetch_headers_add(struct fetch_headers *h, const char *name, struct span value)
{
    const size_t room = strlen(name) + value.n + 3;
    struct curl_slist *more;
    char *line;

    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] < 0x20 || (unsigned char)value.p[i] > 0x7e)
            return false;
    line = malloc(room);
    if (!line)
        return false;
    snprintf(line, room, "%s:%s%.*s", name, value.n ? " " : "", SPAN_FMT(value));
    more = headers_add_text(h, span_str(line)) ? curl_slist_append(h->list, line) : NULL;
    explicit_bzero(line, room);
    free(line);
    if (!more)
        return false;
    h->list = more;
    return true;
}

void fetch_headers_free(struct fetch_headers *h)
{
    if (!h)
        return;
    for (struct curl_slist *s = h->list; s; s = s->next)
        explicit_bzero(s->data, strlen(s->data));
    curl_slist_free_all(h->list);
    if (h->text)
        explicit_bzero(h->text, h->text_n);
    free(h->text);
    free(h);
}
