#include "gateway/request/endpoint.h"

static const struct { const char *path; enum endpoint endpoint; } exact[] = {
    { "/", ENDPOINT_ROOT },
    { "/healthz", ENDPOINT_HEALTHZ },
    { "/readyz", ENDPOINT_READYZ },
    { "/metrics", ENDPOINT_METRICS },
    { "/models", ENDPOINT_MODELS },
    { "/chat/completions", ENDPOINT_CHAT },
    { "/responses", ENDPOINT_LATER },
    { "/completions", ENDPOINT_LATER },
    { "/embeddings", ENDPOINT_LATER },
    { "/messages", ENDPOINT_LATER },
    { "/messages/count_tokens", ENDPOINT_LATER },
    { "/files", ENDPOINT_LATER },
    { "/batches", ENDPOINT_LATER },
};

/* A base URL may end in /v1 or in the whole endpoint, and the client then adds its own path behind it. */
static struct span without_prefixes(struct span path)
{
    const struct span v1 = SPAN_LIT("/v1"), chat = SPAN_LIT("/chat/completions");
    bool again = true;

    if (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    while (again) {
        again = false;
        if (span_starts(path, v1) && (path.n == v1.n || path.p[v1.n] == '/')) {
            path = span_skip(path, v1.n);
            again = true;
        } else if (path.n > chat.n && span_starts(path, chat) && path.p[chat.n] == '/') {
            path = span_skip(path, chat.n);
            again = true;
        }
    }
    return path.n ? path : SPAN_LIT("/");
}

enum endpoint endpoint_find(struct span path, struct span *argument)
{
    const struct span models = SPAN_LIT("/models/"), trace = SPAN_LIT("/tollgate/requests/");
    const struct span rest = without_prefixes(path);

    *argument = path;
    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++)
        if (span_is(rest, exact[i].path))
            return exact[i].endpoint;
    if (span_starts(rest, models)) {
        *argument = span_skip(rest, models.n);
        return span_find_span(*argument, SPAN_LIT(":")) < argument->n ? ENDPOINT_LATER : ENDPOINT_MODEL;
    }
    if (span_starts(rest, trace)) {
        *argument = span_skip(rest, trace.n);
        return ENDPOINT_TRACE;
    }
    return ENDPOINT_UNKNOWN;
}

bool endpoint_needs_key(enum endpoint e)
{
    return e != ENDPOINT_ROOT && e != ENDPOINT_HEALTHZ && e != ENDPOINT_READYZ;
}

const char *endpoint_method(enum endpoint e)
{
    return e == ENDPOINT_CHAT || e == ENDPOINT_LATER ? "POST" : "GET";
}
