#include "gateway/request/endpoint.h"

static const struct { const char *path; enum endpoint endpoint; enum dialect_id dialect; } exact[] = {
    { "/", ENDPOINT_ROOT, DIALECT_CHAT },
    { "/healthz", ENDPOINT_HEALTHZ, DIALECT_CHAT },
    { "/readyz", ENDPOINT_READYZ, DIALECT_CHAT },
    { "/metrics", ENDPOINT_METRICS, DIALECT_CHAT },
    { "/models", ENDPOINT_MODELS, DIALECT_CHAT },
    { "/chat/completions", ENDPOINT_ANSWER, DIALECT_CHAT },
    { "/responses", ENDPOINT_ANSWER, DIALECT_RESPONSES },
    { "/responses/input_tokens", ENDPOINT_COUNT, DIALECT_RESPONSES },
    { "/completions", ENDPOINT_ANSWER, DIALECT_COMPLETIONS },
    { "/embeddings", ENDPOINT_ANSWER, DIALECT_EMBEDDINGS },
    { "/messages", ENDPOINT_ANSWER, DIALECT_ANTHROPIC },
    { "/messages/count_tokens", ENDPOINT_COUNT, DIALECT_ANTHROPIC },
    { "/files", ENDPOINT_LATER, DIALECT_CHAT },
    { "/batches", ENDPOINT_LATER, DIALECT_CHAT },
};

static const struct { const char *method; enum endpoint endpoint; bool stream; } gemini_methods[] = {
    { "generateContent", ENDPOINT_ANSWER, false },
    { "streamGenerateContent", ENDPOINT_ANSWER, true },
    { "countTokens", ENDPOINT_COUNT, false },
};

/* What may stand before a path: versions, the names of the dialects as some hosts have them, and whole endpoints that were
 * pasted as base URL. */
static const char *const prefixes[] = { "/v1", "/v1beta", "/v1alpha", "/openai", "/anthropic", "/chat/completions",
                                        "/responses", "/completions", "/embeddings", "/messages" };

static bool find_exact(struct span path, struct endpoint_match *m)
{
    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++)
        if (span_is(path, exact[i].path)) {
            m->endpoint = exact[i].endpoint;
            if (exact[i].endpoint == ENDPOINT_ANSWER || exact[i].endpoint == ENDPOINT_COUNT)
                m->dialect = exact[i].dialect;
            return true;
        }
    return false;
}

/* *versioned is what stands behind the last version. */
static bool drop_prefix(struct span *path, struct span *versioned, struct endpoint_match *m)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        const struct span p = span_str(prefixes[i]);

        if (!span_starts(*path, p) || (path->n > p.n && path->p[p.n] != '/'))
            continue;
        if (span_is(p, "/v1beta") || span_is(p, "/v1alpha"))
            m->dialect = DIALECT_GEMINI;
        *path = path->n > p.n ? span_skip(*path, p.n) : SPAN_LIT("/");
        if (span_starts(p, SPAN_LIT("/v1")))
            *versioned = *path;
        return true;
    }
    return false;
}

/* "gemini-3.1-pro:generateContent": a method behind the last colon. Ids with a colon of their own stay models. */
static bool find_gemini(struct span argument, struct endpoint_match *m)
{
    size_t colon = argument.n;

    while (colon > 0 && argument.p[colon - 1] != ':')
        colon--;
    if (colon < 2)
        return false;
    for (size_t i = 0; i < sizeof gemini_methods / sizeof gemini_methods[0]; i++)
        if (span_is(span_skip(argument, colon), gemini_methods[i].method)) {
            *m = (struct endpoint_match){ gemini_methods[i].endpoint, DIALECT_GEMINI, span_first(argument, colon - 1),
                                          gemini_methods[i].stream };
            return true;
        }
    return false;
}

struct endpoint_match endpoint_find(struct span path)
{
    const struct span models = SPAN_LIT("/models/"), tuned = SPAN_LIT("/tunedModels/"), trace = SPAN_LIT("/tollgate/requests/");
    struct endpoint_match m = { ENDPOINT_UNKNOWN, DIALECT_CHAT, path, false };
    struct span versioned;

    if (path.n > 1 && path.p[path.n - 1] == '/')
        path.n--;
    if (path.n == 0)
        path = SPAN_LIT("/");
    versioned = path;
    do {
        if (find_exact(path, &m))
            return m;
        if (span_starts(path, models) || span_starts(path, tuned)) {
            m.argument = span_skip(path, path.p[1] == 'm' ? models.n : 1);    /* a tuned model keeps its folder */
            if (!find_gemini(m.argument, &m))
                m.endpoint = ENDPOINT_MODEL;
            return m;
        }
        if (span_starts(path, trace)) {
            m.argument = span_skip(path, trace.n);
            m.endpoint = ENDPOINT_TRACE;
            return m;
        }
    } while (drop_prefix(&path, &versioned, &m));
    find_gemini(span_skip(versioned, 1), &m);    /* the AI SDK puts no "models/" before a name with a slash: provider/model */
    return m;
}

bool endpoint_needs_key(enum endpoint e)
{
    return e != ENDPOINT_ROOT && e != ENDPOINT_HEALTHZ && e != ENDPOINT_READYZ;
}

const char *endpoint_method(enum endpoint e)
{
    return e == ENDPOINT_ANSWER || e == ENDPOINT_COUNT || e == ENDPOINT_LATER ? "POST" : "GET";
}
