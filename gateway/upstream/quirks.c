/* quirks.c - the rows for known hosts, and how a JSON object goes on top of the careful row.
 *
 * The rows are written as the very objects that a config may hold, and read by the same code: what we can say of a
 * host, an operator can say of theirs. */
#include "gateway/upstream/quirks.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>

#include "base/json.h"

/* What every OpenAI-compatible host takes: known to none, right for vLLM, SGLang, llama.cpp and our engine. */
static const struct quirks careful = {
    .supports_json_schema = true,
    .supports_parallel = true,
    .stream_usage = STREAM_USAGE_ASK,
    .reasoning_field = REASONING_CONTENT,
    .reasoning_in_output_count = true,
    .tool_choice_required_word = "required",
    .context_error_regex = "context_length_exceeded|context length|context window|maximum context|too many tokens|too long",
};

struct row {
    const char *host;         /* that host and those under it */
    const char *dialect;      /* or any host, when the config names this dialect; NULL */
    const char *json;
};

static const struct row rows[] = {
    { "deepseek.com", "deepseek",
      "{\"supports_json_schema\": false, \"supports_parallel\": false, \"reasoning_must_return\": \"tool_turns\","
      " \"down_statuses\": [402], \"keepalive\": \"both\"}" },
    { "openai.com", NULL,
      "{\"max_tokens_field\": \"max_completion_tokens\", \"developer_role\": true, \"reasoning_field\": \"none\"}" },
    { "openai.azure.com", NULL,
      "{\"auth_style\": \"api_key\", \"max_tokens_field\": \"max_completion_tokens\", \"developer_role\": true,"
      " \"reasoning_field\": \"none\"}" },
    { "mistral.ai", NULL,
      "{\"stream_usage\": \"always\", \"reasoning_field\": \"blocks\", \"tool_id_rule\": \"nine_alnum\","
      " \"tool_choice_required_word\": \"any\", \"unknown_fields\": \"rejected\", \"error_shape\": \"detail\"}" },
    { "x.ai", NULL, "{\"reasoning_in_output_count\": false, \"error_shape\": \"code_error\"}" },
    { "groq.com", NULL, "{\"reasoning_field\": \"reasoning\"}" },
    { "openrouter.ai", NULL,
      "{\"reasoning_field\": \"reasoning\", \"reasoning_must_return\": \"tool_turns\", \"down_statuses\": [402],"
      " \"keepalive\": \"comment\"}" },
    { "cerebras.ai", NULL, "{\"reasoning_field\": \"reasoning\"}" },
    { "together.xyz", NULL, "{\"down_statuses\": [402]}" },
    { "fireworks.ai", NULL, "{\"down_statuses\": [402]}" },
    { "deepinfra.com", NULL, "{\"down_statuses\": [402]}" },
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static bool host_under(const char *host, const char *domain)
{
    const struct span h = span_str(host), d = span_str(domain);

    if (h.n == d.n)
        return span_eq_nocase(h, d);
    return h.n > d.n && h.p[h.n - d.n - 1] == '.' && span_eq_nocase(span_skip(h, h.n - d.n), d);
}

bool quirks_is_down(const struct quirks *q, int status)
{
    if (status == 401 || status == 403)
        return true;
    for (size_t i = 0; i < QUIRK_DOWN_STATUSES_MAX && q->down_statuses[i]; i++)
        if (q->down_statuses[i] == status)
            return true;
    return false;
}

/* ---- from the config ---- */

enum field_kind { FIELD_WORD, FIELD_BOOL, FIELD_TEXT, FIELD_STATUSES };

struct field {
    const char *name;
    enum field_kind kind;
    size_t at, room;
    const char *const *words;      /* by value of the enum, NULL-terminated */
};

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define AT(m) offsetof(struct quirks, m), sizeof(((struct quirks *)0)->m)

static const struct field fields[] = {
    { "base_path", FIELD_TEXT, AT(base_path), NULL },
    { "auth_style", FIELD_WORD, AT(auth_style), WORDS("bearer", "x_api_key", "api_key", "x_goog_api_key", "none") },
    { "max_tokens_field", FIELD_WORD, AT(max_tokens_field), WORDS("max_tokens", "max_completion_tokens") },
    { "developer_role", FIELD_BOOL, AT(developer_role), NULL },
    { "supports_json_schema", FIELD_BOOL, AT(supports_json_schema), NULL },
    { "supports_parallel", FIELD_BOOL, AT(supports_parallel), NULL },
    { "stream_usage", FIELD_WORD, AT(stream_usage), WORDS("ask", "always", "never") },
    { "reasoning_field", FIELD_WORD, AT(reasoning_field),
      WORDS("none", "reasoning_content", "reasoning", "think_tags", "blocks") },
    { "reasoning_must_return", FIELD_WORD, AT(reasoning_must_return), WORDS("no", "tool_turns", "always") },
    { "reasoning_in_output_count", FIELD_BOOL, AT(reasoning_in_output_count), NULL },
    { "tool_id_rule", FIELD_WORD, AT(tool_id_rule), WORDS("any", "nine_alnum") },
    { "tool_choice_required_word", FIELD_TEXT, AT(tool_choice_required_word), NULL },
    { "unknown_fields", FIELD_WORD, AT(unknown_fields), WORDS("ignored", "rejected") },
    { "error_shape", FIELD_WORD, AT(error_shape),
      WORDS("openai", "flat", "code_error", "detail", "anthropic", "google") },
    { "down_statuses", FIELD_STATUSES, AT(down_statuses), NULL },
    { "keepalive", FIELD_WORD, AT(keepalive), WORDS("none", "comment", "blank", "both") },
    { "context_error_regex", FIELD_TEXT, AT(context_error_regex), NULL },
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

/* A word's place in its list is its enum's value. */
static bool read_word(struct quirks *q, const struct field *f, const json_t *value, const char *at, struct problems *ps)
{
    const struct span got = json_value_span(value);

    for (unsigned i = 0; f->words[i]; i++) {
        if (!span_is(got, f->words[i]))
            continue;
        memcpy((char *)q + f->at, &i, sizeof(i));
        return true;
    }
    problem_add(ps, PROBLEM_ERROR, at, problem_nearest(got, f->words), "is none of the words for %s", f->name);
    return false;
}

static bool read_statuses(struct quirks *q, const json_t *value, const char *at, struct problems *ps)
{
    const size_t n = json_array_size(value);

    if (!json_is_array(value) || n > QUIRK_DOWN_STATUSES_MAX) {
        problem_error(ps, at, "must be a list of at most %d statuses, such as [402]", QUIRK_DOWN_STATUSES_MAX);
        return false;
    }
    memset(q->down_statuses, 0, sizeof(q->down_statuses));
    for (size_t i = 0; i < n; i++) {
        const json_int_t status = json_integer_value(json_array_get(value, i));

        if (status < 400 || status > 599) {
            problem_error(ps, at, "holds something else than statuses from 400 to 599");
            return false;
        }
        q->down_statuses[i] = (int)status;
    }
    return true;
}

static bool read_field(struct quirks *q, const struct field *f, const json_t *value, const char *at, struct problems *ps)
{
    const struct span text = json_value_span(value);

    switch (f->kind) {
    case FIELD_WORD:
        return read_word(q, f, value, at, ps);
    case FIELD_STATUSES:
        return read_statuses(q, value, at, ps);
    case FIELD_BOOL:
        if (json_is_boolean(value)) {
            const bool on = json_is_true(value);

            memcpy((char *)q + f->at, &on, sizeof(on));
            return true;
        }
        problem_error(ps, at, "must be true or false");
        return false;
    case FIELD_TEXT:
        if (text.p && text.n < f->room) {
            memset((char *)q + f->at, 0, f->room);
            memcpy((char *)q + f->at, text.p, text.n);
            return true;
        }
        problem_error(ps, at, "must be a string of at most %zu bytes", f->room - 1);
        return false;
    }
    return false;
}

bool quirks_read(struct quirks *q, const json_t *over, const char *pointer, struct problems *ps)
{
    const char *names[N_FIELDS + 1] = { NULL };
    const char *key;
    json_t *value;
    bool ok = true;

    for (size_t i = 0; i < N_FIELDS; i++)
        names[i] = fields[i].name;
    json_object_foreach((json_t *)(uintptr_t)over, key, value) {
        char at[JSON_POINTER_ROOM];
        size_t i = 0;

        snprintf(at, sizeof(at), "%s", pointer);
        json_at(at, sizeof(at), key);
        while (i < N_FIELDS && strcmp(fields[i].name, key) != 0)
            i++;
        if (i < N_FIELDS)
            ok = read_field(q, &fields[i], value, at, ps) && ok;
        else
            problem_add(ps, PROBLEM_ERROR, at, problem_nearest(span_str(key), names), "is no quirk that we know");
        ok = ok && i < N_FIELDS;
    }
    return ok;
}

static const struct row *row_of(const char *host, const char *dialect)
{
    for (size_t i = 0; host && i < N_ROWS; i++)
        if (host_under(host, rows[i].host))
            return &rows[i];
    for (size_t i = 0; dialect && i < N_ROWS; i++)
        if (rows[i].dialect && strcmp(dialect, rows[i].dialect) == 0)
            return &rows[i];
    return NULL;
}

bool quirks_known(struct quirks *q, const char *host, const char *dialect)
{
    const struct row *row = row_of(host, dialect);
    struct problems ps;
    json_t *json;
    bool ok;

    *q = careful;
    if (!row)
        return true;
    problems_init(&ps);
    json = json_parse(row->host, span_str(row->json), &ps);
    ok = json && quirks_read(q, json, "", &ps);
    assert(ok || !json);    /* a row that does not read is a bug; no tree is want of memory */
    json_decref(json);
    problems_free(&ps);
    return ok;
}
