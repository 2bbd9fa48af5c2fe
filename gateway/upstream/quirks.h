/* quirks.h - how an upstream differs from others of its dialect, and a model from others of its host. Data, not code: a new
 * host or model is one JSON object.
 *
 * Rows for known hosts are built in (quirks.c), and rows for known models (traits.c); `quirks` in a provider's config overrides
 * field by field, by the names used here. It may also name a known host or server to begin from ("server": "vllm"), and hold
 * "models": { "some-model*": { "thinking": "effort" } }, traits by name, with a * for any ending. docs/providers.md has the
 * tables. The facts are from the hosts' public documentation as of autumn 2026. */
#ifndef TOLLGATE_GATEWAY_UPSTREAM_QUIRKS_H
#define TOLLGATE_GATEWAY_UPSTREAM_QUIRKS_H

#include <jansson.h>

#include "base/problem.h"
#include "base/span.h"
#include "gateway/dialects/chat.h"

enum quirk_auth { AUTH_BEARER, AUTH_X_API_KEY, AUTH_API_KEY, AUTH_X_GOOG_API_KEY, AUTH_NONE };
enum quirk_max_tokens { MAX_TOKENS, MAX_COMPLETION_TOKENS };
enum quirk_stream_usage {
    STREAM_USAGE_ASK,         /* comes with stream_options.include_usage */
    STREAM_USAGE_ALWAYS,      /* comes unasked; stream_options must not be sent */
    STREAM_USAGE_NEVER,
};
enum quirk_reasoning_field {
    REASONING_NONE, REASONING_CONTENT /* "reasoning_content" */, REASONING_PLAIN /* "reasoning" */,
    REASONING_THINK_TAGS /* <think> in content */, REASONING_BLOCKS /* content as an array, Mistral's */
};
enum quirk_reasoning_return { REASONING_RETURN_NO, REASONING_RETURN_TOOL_TURNS, REASONING_RETURN_ALWAYS };
enum quirk_seed { SEED, RANDOM_SEED };
enum quirk_tool_ids { TOOL_IDS_ANY, TOOL_IDS_NINE_ALNUM };
enum quirk_unknown { UNKNOWN_IGNORED, UNKNOWN_REJECTED };
enum quirk_error_shape { ERROR_OPENAI, ERROR_FLAT, ERROR_CODE_ERROR, ERROR_DETAIL, ERROR_ANTHROPIC, ERROR_GOOGLE };
enum quirk_keepalive { KEEPALIVE_NONE, KEEPALIVE_COMMENT, KEEPALIVE_BLANK, KEEPALIVE_BOTH };

#define QUIRK_DOWN_STATUSES_MAX 8

/* How a model is told how hard to think (wire/translation section 3). */
enum thinking_style {
    THINKING_NONE,            /* it does not think, or cannot be told: effort is dropped with a note */
    THINKING_EFFORT,          /* C reasoning_effort, R reasoning.effort */
    THINKING_DEEPSEEK,        /* thinking.type and reasoning_effort low|high|max */
    THINKING_BUDGET,          /* A thinking.budget_tokens; G thinkingBudget (2.5) */
    THINKING_ADAPTIVE,        /* A thinking adaptive and output_config.effort (Opus 4.7 and later) */
    THINKING_LEVEL,           /* G thinkingLevel (3.x) */
};

/* What a model takes, beyond what its host does: rows by the beginning of its upstream name. The names are those of the config. */
struct traits {
    enum thinking_style thinking;
    bool thinking_off;        /* thinking can be switched off */
    char efforts[64];         /* words or levels that it knows, "low medium high"; "": those of the dialect */
    int64_t budget_least, budget_most;    /* THINKING_BUDGET, and ADAPTIVE where a budget is taken too (Claude 4.6);
                                           * 0: not said */
    bool sampling;            /* takes temperature, top_p, top_k */
    bool penalties;           /* takes presence and frequency penalties, logit_bias */
    bool stop;                /* takes stop sequences */
    bool prefill;             /* continues a last turn of the assistant */
    bool url_media;           /* takes pictures and files by URL; else bytes only */
    bool schema;              /* answers by a JSON Schema (structured output) */
    bool forced_tools;        /* takes a forced tool choice while thinking */
    bool responses_only;      /* OpenAI: exists on Responses alone */
};

struct quirks {
    char base_path[64];                            /* put behind base_url when that has no path; "" */
    enum quirk_auth auth_style;                    /* bearer | x_api_key | api_key | x_goog_api_key | none */
    enum family family;                            /* none | openai | anthropic | gemini | deepseek: whose opaque texts its models
                                                    * can read, and whose they write */
    bool responses;                                /* has /responses beside /chat/completions */
    enum quirk_max_tokens max_tokens_field;        /* max_tokens | max_completion_tokens */
    enum quirk_seed seed_field;                    /* seed | random_seed (Mistral) */
    bool developer_role;                           /* false: turn `developer` into `system` */
    bool supports_json_schema;
    bool supports_parallel;                        /* parallel_tool_calls */
    enum quirk_stream_usage stream_usage;          /* ask | always | never */
    enum quirk_reasoning_field reasoning_field;    /* none | reasoning_content | reasoning | think_tags | blocks */
    enum quirk_reasoning_return reasoning_must_return;    /* no | tool_turns | always */
    bool reasoning_in_output_count;                /* false: Chat's completion_tokens excludes reasoning_tokens (xAI; its
                                                    * Responses' output_tokens includes them) */
    enum quirk_tool_ids tool_id_rule;              /* any | nine_alnum */
    char tool_choice_required_word[16];            /* "required", Mistral "any" */
    enum quirk_unknown unknown_fields;             /* ignored | rejected */
    char lacks[192];                               /* members of a Chat request that it does not take, and "custom" for custom
                                                    * tools, blanks between: what tunes is dropped with a warning, the rest
                                                    * refused ("n": above 1) */
    char knows[192];                               /* with unknown_fields rejected: members it takes beside those that all do */
    enum quirk_error_shape error_shape;            /* openai | flat | code_error | detail | anthropic | google */
    int down_statuses[QUIRK_DOWN_STATUSES_MAX];    /* beyond 401 and 403: our account's fault; 0 ends the list */
    enum quirk_keepalive keepalive;                /* none | comment | blank | both: what may come before the answer */
    char context_error_regex[160];                 /* PCRE2, caseless, over an error's code and message */
};

/* The careful row (max_tokens, no developer role, usage on request), then those that hold for the config's dialect, for the
 * host ("api.x.ai"; NULL for a unix socket or our engine), and for a server named by the config ("vllm"; NULL), in that
 * order. False: no memory, or no such server. */
bool quirks_known(struct quirks *q, const char *host, const char *dialect, const char *server);
/* The members of `over` (an object or NULL) on top of *q, but "models". Faults go to `ps`, their pointers behind `pointer`. */
bool quirks_read(struct quirks *q, const json_t *over, const char *pointer, struct problems *ps);
bool quirks_is_down(const struct quirks *q, int status);    /* 401, 403 and the list */

/* ---- models: traits.c ---- */

/* Of a model by its upstream name, whoever serves it: what stands behind the last "/" is compared, without case and with "."
 * for "-", since hosts spell names in their own way. The careful row when it is not known. Static; never NULL. */
const struct traits *traits_of(struct span model);

/* Traits of a config: "models" of its quirks. */
struct traits_list;
/* `models` is an object or NULL. NULL: faults in `ps`, or no memory. */
struct traits_list *traits_list_new(const json_t *models, const char *pointer, struct problems *ps);
void traits_list_free(struct traits_list *l);
/* What the list says of a model goes on top of *t; of several patterns that fit, the longest has the last word. */
void traits_list_apply(const struct traits_list *l, struct span model, struct traits *t);

#endif
