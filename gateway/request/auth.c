/* auth.c - finds the key in a head. What a key is worth is ledger/keys.c's business. A key is never logged or repeated. */
#include "gateway/request/auth.h"

#include "gateway/request/facts.h"
#include "gateway/server/worker.h"

static struct span bearer(struct span v)
{
    if (v.n >= 7 && span_eq_nocase(span_first(v, 7), SPAN_LIT("bearer ")))
        return span_trim(span_skip(v, 7));
    return SPAN_NONE;
}

/* The key that a header brings; SPAN_NONE: this header is no place for one. */
static struct span from_header(const struct http1_header *h)
{
    const struct span places[] = { SPAN_LIT("x-api-key"), SPAN_LIT("x-goog-api-key"), SPAN_LIT("api-key") };

    if (span_eq_nocase(h->name, SPAN_LIT("authorization")))
        return bearer(h->value);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (span_eq_nocase(h->name, places[i]))
            return h->value;
    return SPAN_NONE;
}

static bool no_key(struct request *r, const char *words)
{
    return fault_set(&r->fault, 401, "invalid_request_error", "invalid_api_key", NULL, "%s", words);
}

/* One key more, in *key unless it is the same again. */
static bool take(struct request *r, struct span one, struct span *key)
{
    if (one.n == 0)    /* Claude Code leaves x-api-key empty where it means a token */
        return true;
    if (key->p && !span_eq(*key, one))
        return no_key(r, "Two different API keys came with this request: send one, in one place.");
    *key = one;
    return true;
}

/* Google's clients may put it into the address, where anything may be percent-encoded. */
static bool take_from_query(struct request *r, struct span *key)
{
    struct span rest = r->head->query;

    while (rest.n) {
        const struct span one = span_first(rest, span_find(rest, '&'));

        if (span_starts(one, SPAN_LIT("key=")) && !take(r, facts_decode(&r->arena, span_skip(one, 4)), key))
            return false;
        rest = span_skip(rest, one.n + 1);
    }
    return true;
}

bool auth_check_key(struct request *r)
{
    static const char *const words[] = {
        [KEY_UNKNOWN] = "Incorrect API key provided. Ask whoever runs this gateway for one (tollgate keys create).",
        [KEY_MALFORMED] = "Incorrect API key provided: a key of this gateway is tg_ and 49 letters and digits. Was it cut off, "
                          "or is it a provider's own key?",
        [KEY_REVOKED] = "This API key has been revoked.",
    };
    struct span key = SPAN_NONE;
    enum key_rc rc;

    if (r->snapshot->config->auth_none)
        return true;
    for (size_t i = 0; i < r->head->n_headers; i++)
        if (!take(r, from_header(&r->head->headers[i]), &key))
            return false;
    if (!take_from_query(r, &key))
        return false;
    if (!key.p)
        return no_key(r, "You didn't provide an API key. Send it as a header: Authorization: Bearer tg_... (x-api-key and "
                         "x-goog-api-key will do too).");
    rc = keys_find(r->worker->gw->keys, key, &r->key);
    r->has_key = rc == KEY_OK;
    return rc == KEY_OK || no_key(r, words[rc]);
}
