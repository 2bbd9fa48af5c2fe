/* quirks.c - the rows for known hosts, and how a JSON object goes on top of the careful row.
 *
 * The rows are written as the very objects that a config may hold, and read by the same code: what we can say of a
 * host, an operator can say of theirs. Each row's source is its part of the host's documentation as of autumn 2026. */
#include "gateway/upstream/quirks.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>

#include "base/json.h"
#include "gateway/upstream/fields.h"

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
    const char *name;         /* by which a config may ask for it */
    const char *dialect;      /* of any host, when the config says this dialect; NULL */
    const char *host;         /* that host and those under it; NULL: only by name or dialect */
    const char *json;
};

/* Those of whole dialects first: what a host says goes on top. */
static const struct row rows[] = {
    { "anthropic", "anthropic", NULL,
      "{\"base_path\": \"/v1\", \"auth_style\": \"x_api_key\", \"family\": \"anthropic\", \"reasoning_field\": \"blocks\","
      " \"reasoning_must_return\": \"tool_turns\", \"error_shape\": \"anthropic\", \"down_statuses\": [402]}" },
    { "gemini", "gemini", NULL,
      "{\"base_path\": \"/v1beta\", \"auth_style\": \"x_goog_api_key\", \"family\": \"gemini\", \"reasoning_field\": \"blocks\","
      " \"reasoning_must_return\": \"tool_turns\", \"error_shape\": \"google\"}" },
    { "deepseek", "deepseek", "deepseek.com",
      "{\"family\": \"deepseek\", \"supports_json_schema\": false, \"supports_parallel\": false,"
      " \"reasoning_must_return\": \"tool_turns\", \"down_statuses\": [402], \"keepalive\": \"both\","
      " \"lacks\": \"n seed logit_bias service_tier store metadata prediction moderation modalities audio web_search_options"
      " verbosity custom functions function_call\"}" },
    { "openai", NULL, "openai.com",
      "{\"base_path\": \"/v1\", \"family\": \"openai\", \"responses\": true, \"max_tokens_field\": \"max_completion_tokens\","
      " \"developer_role\": true, \"reasoning_field\": \"none\"}" },
    { "azure", NULL, "openai.azure.com",
      "{\"base_path\": \"/openai/v1\", \"auth_style\": \"api_key\", \"family\": \"openai\","
      " \"max_tokens_field\": \"max_completion_tokens\", \"developer_role\": true, \"reasoning_field\": \"none\"}" },
    { "mistral", NULL, "mistral.ai",
      "{\"base_path\": \"/v1\", \"seed_field\": \"random_seed\", \"stream_usage\": \"always\", \"reasoning_field\": \"blocks\","
      " \"tool_id_rule\": \"nine_alnum\", \"tool_choice_required_word\": \"any\", \"unknown_fields\": \"rejected\","
      " \"knows\": \"random_seed safe_prompt prompt_mode prediction parallel_tool_calls reasoning_effort guardrails metadata"
      " prompt_cache_key\","
      " \"lacks\": \"custom web_search_options modalities audio functions function_call logit_bias logprobs\","
      " \"error_shape\": \"detail\"}" },
    { "xai", NULL, "x.ai",
      "{\"base_path\": \"/v1\", \"responses\": true, \"reasoning_in_output_count\": false, \"error_shape\": \"code_error\"}" },
    { "groq", NULL, "groq.com", "{\"base_path\": \"/openai/v1\", \"reasoning_field\": \"reasoning\"}" },
    { "openrouter", NULL, "openrouter.ai",
      "{\"base_path\": \"/api/v1\", \"reasoning_field\": \"reasoning\", \"reasoning_must_return\": \"tool_turns\","
      " \"down_statuses\": [402], \"keepalive\": \"comment\"}" },
    { "cerebras", NULL, "cerebras.ai", "{\"base_path\": \"/v1\", \"reasoning_field\": \"reasoning\"}" },
    { "together", NULL, "together.xyz", "{\"base_path\": \"/v1\", \"down_statuses\": [402]}" },
    { "fireworks", NULL, "fireworks.ai",
      "{\"base_path\": \"/inference/v1\", \"stream_usage\": \"always\", \"down_statuses\": [402]}" },
    { "deepinfra", NULL, "deepinfra.com", "{\"base_path\": \"/v1/openai\", \"down_statuses\": [402]}" },
    /* Servers at addresses of their own. */
    { "vllm", NULL, NULL, "{\"base_path\": \"/v1\", \"reasoning_field\": \"reasoning\"}" },
    { "sglang", NULL, NULL, "{\"base_path\": \"/v1\"}" },
    { "llama.cpp", NULL, NULL, "{\"base_path\": \"/v1\"}" },
    { "tollgate-engine", NULL, NULL, "{\"family\": \"deepseek\"}" },
    { "ollama", NULL, NULL, "{\"base_path\": \"/v1\", \"reasoning_field\": \"reasoning\"}" },
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

#define AT(m) FIELD_AT(struct quirks, m)

static const struct field fields[] = {
    { "base_path", FIELD_TEXT, AT(base_path), NULL },
    { "auth_style", FIELD_WORD, AT(auth_style), FIELD_WORDS("bearer", "x_api_key", "api_key", "x_goog_api_key", "none") },
    { "family", FIELD_WORD, AT(family), FIELD_WORDS("none", "openai", "anthropic", "gemini", "deepseek") },
    { "responses", FIELD_BOOL, AT(responses), NULL },
    { "max_tokens_field", FIELD_WORD, AT(max_tokens_field), FIELD_WORDS("max_tokens", "max_completion_tokens") },
    { "seed_field", FIELD_WORD, AT(seed_field), FIELD_WORDS("seed", "random_seed") },
    { "developer_role", FIELD_BOOL, AT(developer_role), NULL },
    { "supports_json_schema", FIELD_BOOL, AT(supports_json_schema), NULL },
    { "supports_parallel", FIELD_BOOL, AT(supports_parallel), NULL },
    { "stream_usage", FIELD_WORD, AT(stream_usage), FIELD_WORDS("ask", "always", "never") },
    { "reasoning_field", FIELD_WORD, AT(reasoning_field),
      FIELD_WORDS("none", "reasoning_content", "reasoning", "think_tags", "blocks") },
    { "reasoning_must_return", FIELD_WORD, AT(reasoning_must_return), FIELD_WORDS("no", "tool_turns", "always") },
    { "reasoning_in_output_count", FIELD_BOOL, AT(reasoning_in_output_count), NULL },
    { "tool_id_rule", FIELD_WORD, AT(tool_id_rule), FIELD_WORDS("any", "nine_alnum") },
    { "tool_choice_required_word", FIELD_TEXT, AT(tool_choice_required_word), NULL },
    { "unknown_fields", FIELD_WORD, AT(unknown_fields), FIELD_WORDS("ignored", "rejected") },
    { "lacks", FIELD_TEXT, AT(lacks), NULL },
    { "knows", FIELD_TEXT, AT(knows), NULL },
    { "error_shape", FIELD_WORD, AT(error_shape),
      FIELD_WORDS("openai", "flat", "code_error", "detail", "anthropic", "google") },
    { "down_statuses", FIELD_STATUSES, AT(down_statuses), NULL },
    { "keepalive", FIELD_WORD, AT(keepalive), FIELD_WORDS("none", "comment", "blank", "both") },
    { "context_error_regex", FIELD_TEXT, AT(context_error_regex), NULL },
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static const struct row *row_named(const char *name)
{
    for (size_t i = 0; name && i < N_ROWS; i++)
        if (strcmp(name, rows[i].name) == 0)
            return &rows[i];
    return NULL;
}

/* "server" is quirks_known's, but only here is there a place to say that it is none. */
static bool check_server(const json_t *over, const char *pointer, struct problems *ps)
{
    const json_t *server = json_object_get(over, "server");
    const char *names[N_ROWS + 1] = { NULL };
    char at[JSON_POINTER_ROOM];

    if (!server || row_named(json_string_value(server)))
        return true;
    for (size_t i = 0; i < N_ROWS; i++)
        names[i] = rows[i].name;
    snprintf(at, sizeof(at), "%s", pointer);
    json_at(at, sizeof(at), "server");
    problem_add(ps, PROBLEM_ERROR, at, problem_nearest(json_value_span(server), names), "is no server or host that we know");
    return false;
}

bool quirks_read(struct quirks *q, const json_t *over, const char *pointer, struct problems *ps)
{
    static const char *const others[] = { "server", "models", NULL };
    const bool named = check_server(over, pointer, ps);

    return fields_read(q, fields, N_FIELDS, over, others, "quirk", NULL, pointer, ps) && named;
}

static bool holds(const struct row *row, const char *host, const char *dialect, const struct row *server)
{
    return row == server || (row->dialect && dialect && strcmp(dialect, row->dialect) == 0) ||
           (row->host && host && host_under(host, row->host));
}

bool quirks_known(struct quirks *q, const char *host, const char *dialect, const char *server)
{
    const struct row *named = row_named(server);
    struct problems ps;
    bool ok = named || !server;

    *q = careful;
    problems_init(&ps);
    for (size_t i = 0; ok && i < N_ROWS; i++) {
        json_t *json;

        if (!holds(&rows[i], host, dialect, named))
            continue;
        json = json_parse(rows[i].name, span_str(rows[i].json), &ps);
        ok = json && quirks_read(q, json, "", &ps);
        assert(ok || !json);    /* a row that does not read is a bug; no tree is want of memory */
        json_decref(json);
    }
    problems_free(&ps);
    return ok;
}
