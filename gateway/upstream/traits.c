/* traits.c - what models take, by the beginning of their upstream names, whoever serves them, and how a config says it of
 * others. The facts are from the makers' public documentation as of autumn 2026 (wire/openai-chat and -responses,
 * wire/anthropic-messages 2, 3 and 6, wire/gemini-generate 3, wire/deepseek-and-compatible A2, C and D). */
#include "gateway/upstream/quirks.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "gateway/upstream/fields.h"

/* What a model takes of which nothing is known. Dropping what it would have taken costs less than a refusal, but nobody would
 * find out: so it gets all, and the provider says no. */
#define CAREFUL .sampling = true, .penalties = true, .stop = true, .prefill = true, .schema = true, .forced_tools = true, \
                .url_media = true

/* OpenAI's reasoning models: only the default of temperature and top_p, neither penalties nor stop; no prefill anywhere. */
#define GPT_THINKS .thinking = THINKING_EFFORT, .schema = true, .forced_tools = true, .url_media = true
#define GPT_TALKS  .thinking = THINKING_NONE, .sampling = true, .penalties = true, .stop = true, .forced_tools = true, \
                   .url_media = true

/* Claude: no penalties at all. While it thinks a tool choice is auto or none. 4.6 takes efforts and budgets alike. */
#define CLAUDE         .stop = true, .url_media = true
#define CLAUDE_NEWEST  CLAUDE, .thinking = THINKING_ADAPTIVE, .thinking_off = true, .efforts = "low medium high xhigh max", \
                       .schema = true
#define CLAUDE_4_6     CLAUDE, .thinking = THINKING_ADAPTIVE, .thinking_off = true, .efforts = "low medium high max", \
                       .budget_least = 1024, .schema = true, .sampling = true
#define CLAUDE_BUDGET  CLAUDE, .thinking = THINKING_BUDGET, .thinking_off = true, .budget_least = 1024, .sampling = true, \
                       .prefill = true

#define GEMINI         .sampling = true, .penalties = true, .stop = true, .prefill = true, .schema = true, .forced_tools = true

/* Grok reasons; penalties and stop are refused by models that do. */
#define GROK           .sampling = true, .prefill = true, .schema = true, .forced_tools = true, .url_media = true

/* A last turn of the assistant needs `prefix` there. */
#define MISTRAL        .sampling = true, .penalties = true, .stop = true, .schema = true, .forced_tools = true, .url_media = true

static const struct row {
    const char *begins;
    struct traits traits;
} rows[] = {
    { "", { CAREFUL, .thinking = THINKING_EFFORT, .thinking_off = true } },

    /* Efforts of OpenAI's families: none came with 5.1, minimal was 5.0's, xhigh came after 5.1-codex-max. */
    { "gpt-", { GPT_THINKS, .thinking_off = true, .efforts = "none low medium high xhigh" } },
    { "gpt-5", { GPT_THINKS, .efforts = "minimal low medium high" } },
    { "gpt-5.1", { GPT_THINKS, .thinking_off = true, .efforts = "none low medium high" } },
    { "gpt-5.2", { GPT_THINKS, .thinking_off = true, .efforts = "none low medium high xhigh" } },
    { "gpt-5.3", { GPT_THINKS, .thinking_off = true, .efforts = "none low medium high xhigh" } },
    { "gpt-5.4", { GPT_THINKS, .thinking_off = true, .efforts = "none low medium high xhigh" } },
    { "gpt-5.5", { GPT_THINKS, .thinking_off = true, .efforts = "none low medium high xhigh" } },
    { "gpt-5.6", { GPT_THINKS, .thinking_off = true, .efforts = "none low medium high xhigh max" } },
    { "gpt-5-pro", { GPT_THINKS, .efforts = "high", .responses_only = true } },
    { "gpt-5.2-pro", { GPT_THINKS, .efforts = "medium high xhigh", .responses_only = true } },
    { "gpt-5.4-pro", { GPT_THINKS, .efforts = "medium high xhigh", .responses_only = true } },
    { "gpt-5.5-pro", { GPT_THINKS, .efforts = "medium high xhigh", .responses_only = true } },
    { "gpt-4o", { GPT_TALKS, .schema = true } },
    { "gpt-4.1", { GPT_TALKS, .schema = true } },
    { "gpt-4", { GPT_TALKS } },
    { "gpt-3.5", { GPT_TALKS } },
    { "gpt-oss", { CAREFUL, .thinking = THINKING_EFFORT, .efforts = "low medium high" } },
    { "chatgpt-4o", { GPT_TALKS, .schema = true } },
    { "o1", { GPT_THINKS, .efforts = "low medium high" } },
    { "o1-pro", { GPT_THINKS, .efforts = "low medium high", .responses_only = true } },
    { "o3", { GPT_THINKS, .efforts = "low medium high" } },
    { "o3-pro", { GPT_THINKS, .efforts = "low medium high", .responses_only = true } },
    { "o4", { GPT_THINKS, .efforts = "low medium high" } },

    /* An unknown Claude is a new one. Opus 4.7 and later refuse sampling, budgets and a prefill; 4.6 a prefill alone. */
    { "claude-", { CLAUDE_NEWEST } },
    { "claude-opus-4-6", { CLAUDE_4_6 } },
    { "claude-sonnet-4-6", { CLAUDE_4_6 } },
    { "claude-opus-4", { CLAUDE_BUDGET } },
    { "claude-opus-4-1", { CLAUDE_BUDGET, .schema = true } },
    { "claude-opus-4-5", { CLAUDE_BUDGET, .schema = true } },
    { "claude-opus-4-7", { CLAUDE_NEWEST } },
    { "claude-opus-4-8", { CLAUDE_NEWEST } },
    { "claude-opus-4-9", { CLAUDE_NEWEST } },
    { "claude-sonnet-4", { CLAUDE_BUDGET } },
    { "claude-sonnet-4-5", { CLAUDE_BUDGET, .schema = true } },
    { "claude-sonnet-4-7", { CLAUDE_NEWEST } },
    { "claude-haiku-4", { CLAUDE_BUDGET, .schema = true } },
    { "claude-3-7", { CLAUDE_BUDGET } },
    { "claude-3", { CLAUDE, .thinking = THINKING_NONE, .sampling = true, .prefill = true, .forced_tools = true } },

    /* Levels from 3 on, token budgets before. Public URLs are taken by 2.5 and later. */
    { "gemini-", { GEMINI, .thinking = THINKING_LEVEL, .efforts = "low medium high", .url_media = true } },
    { "gemini-3", { GEMINI, .thinking = THINKING_LEVEL, .efforts = "minimal low medium high", .url_media = true } },
    { "gemini-3-pro", { GEMINI, .thinking = THINKING_LEVEL, .efforts = "low high", .url_media = true } },
    { "gemini-3.1-pro", { GEMINI, .thinking = THINKING_LEVEL, .efforts = "low medium high", .url_media = true } },
    { "gemini-2.5", { GEMINI, .thinking = THINKING_BUDGET, .thinking_off = true, .budget_most = 24576, .url_media = true } },
    { "gemini-2.5-pro", { GEMINI, .thinking = THINKING_BUDGET, .budget_least = 128, .budget_most = 32768, .url_media = true } },
    { "gemini-2.5-flash-lite", { GEMINI, .thinking = THINKING_BUDGET, .thinking_off = true, .budget_least = 512,
                                 .budget_most = 24576, .url_media = true } },
    { "gemini-2.0", { GEMINI, .thinking = THINKING_NONE } },
    { "gemini-1", { .sampling = true, .penalties = true, .stop = true, .prefill = true, .forced_tools = true } },

    /* Thinking is on unless it is switched off, and then a forced tool choice is refused. No schema at DeepSeek itself is its
     * host's quirk: engines that serve the weights have one. A prefill needs its beta address. */
    { "deepseek-", { .thinking = THINKING_DEEPSEEK, .thinking_off = true, .efforts = "low high max", .sampling = true,
                     .penalties = true, .stop = true, .schema = true, .url_media = true } },

    { "grok-", { GROK, .thinking = THINKING_EFFORT, .thinking_off = true, .efforts = "none low medium high xhigh" } },
    { "grok-2", { CAREFUL, .thinking = THINKING_NONE } },
    { "grok-3", { CAREFUL, .thinking = THINKING_NONE } },
    { "grok-3-mini", { GROK, .thinking = THINKING_EFFORT, .efforts = "low high" } },
    { "grok-4", { GROK, .thinking = THINKING_NONE } },           /* always thinks, and refuses to be told how hard */
    { "grok-4-fast", { GROK, .thinking = THINKING_NONE } },
    { "grok-4.1-fast", { GROK, .thinking = THINKING_NONE } },
    { "grok-4.1-fast-non-reasoning", { GROK, .thinking = THINKING_NONE, .penalties = true, .stop = true } },
    { "grok-4-fast-non-reasoning", { GROK, .thinking = THINKING_NONE, .penalties = true, .stop = true } },
    { "grok-4.3", { GROK, .thinking = THINKING_EFFORT, .thinking_off = true, .efforts = "none low medium high xhigh" } },
    { "grok-4.5", { GROK, .thinking = THINKING_EFFORT, .efforts = "low medium high" } },

    { "mistral-", { MISTRAL, .thinking = THINKING_NONE } },
    { "mistral-small-2603", { MISTRAL, .thinking = THINKING_EFFORT, .thinking_off = true, .efforts = "none high" } },
    { "magistral-", { MISTRAL, .thinking = THINKING_NONE } },

    { "llama-", { CAREFUL, .thinking = THINKING_NONE } },
    { "llama4-", { CAREFUL, .thinking = THINKING_NONE } },       /* as Fireworks spells it */

    /* Our own engine's bundled pair. */
    { "tiny-", { .thinking = THINKING_NONE, .sampling = true, .stop = true, .schema = true, .forced_tools = true } },
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static char fold(char c)
{
    return c == '.' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* A number at the end of `with` must be the whole number: "gpt-4.1" is no beginning of "gpt-4-1106-preview". */
static bool begins(struct span model, struct span with)
{
    if (with.n > model.n || (model.n > with.n && is_digit(with.p[with.n - 1]) && is_digit(model.p[with.n])))
        return false;
    for (size_t i = 0; i < with.n; i++)
        if (fold(model.p[i]) != fold(with.p[i]))
            return false;
    return true;
}

/* "accounts/fireworks/models/deepseek-v4-pro": hosts put their own in front. */
static struct span bare_name(struct span model)
{
    for (size_t at; (at = span_find(model, '/')) + 1 < model.n;)
        model = span_skip(model, at + 1);
    return model;
}

/* The longest beginning that fits; the first row fits all. */
const struct traits *traits_of(struct span model)
{
    const struct span name = bare_name(model);
    const struct row *best = &rows[0];
    size_t most = 0;

    for (size_t i = 1; i < N_ROWS; i++) {
        const struct span with = span_str(rows[i].begins);

        if (with.n > most && begins(name, with)) {
            best = &rows[i];
            most = with.n;
        }
    }
    return &best->traits;
}

/* ---- from the config ---- */

#define AT(m) FIELD_AT(struct traits, m)

static const struct field fields[] = {
    { "thinking", FIELD_WORD, AT(thinking), FIELD_WORDS("none", "effort", "deepseek", "budget", "adaptive", "level") },
    { "thinking_off", FIELD_BOOL, AT(thinking_off), NULL },
    { "efforts", FIELD_TEXT, AT(efforts), NULL },
    { "budget_least", FIELD_TOKENS, AT(budget_least), NULL },
    { "budget_most", FIELD_TOKENS, AT(budget_most), NULL },
    { "sampling", FIELD_BOOL, AT(sampling), NULL },
    { "penalties", FIELD_BOOL, AT(penalties), NULL },
    { "stop", FIELD_BOOL, AT(stop), NULL },
    { "prefill", FIELD_BOOL, AT(prefill), NULL },
    { "url_media", FIELD_BOOL, AT(url_media), NULL },
    { "schema", FIELD_BOOL, AT(schema), NULL },
    { "forced_tools", FIELD_BOOL, AT(forced_tools), NULL },
    { "responses_only", FIELD_BOOL, AT(responses_only), NULL },
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

struct said {
    char *pattern;             /* without its * */
    bool open;                 /* it had one */
    uint32_t fields;
    struct traits traits;
};

struct traits_list {
    size_t n;
    struct said list[];
};

/* As the operator writes them: byte for byte, with or without what a host puts in front. */
static bool said_fits(const struct said *s, struct span model)
{
    const struct span pattern = span_str(s->pattern), name = bare_name(model);

    return s->open ? span_starts(model, pattern) || span_starts(name, pattern) : span_eq(model, pattern) || span_eq(name, pattern);
}

static int by_length(const void *a, const void *b)
{
    const size_t na = strlen(((const struct said *)a)->pattern), nb = strlen(((const struct said *)b)->pattern);

    if (na != nb)
        return na < nb ? -1 : 1;
    return ((const struct said *)b)->open - ((const struct said *)a)->open;    /* a whole name after the open one */
}

static bool said_read(struct said *s, const char *pattern, const json_t *value, const char *pointer, struct problems *ps)
{
    const size_t n = strlen(pattern);
    char at[JSON_POINTER_ROOM];

    snprintf(at, sizeof(at), "%s", pointer);
    json_at(at, sizeof(at), pattern);
    s->open = n > 0 && pattern[n - 1] == '*';
    s->pattern = strndup(pattern, n - s->open);
    if (!s->pattern)
        return false;
    if (strchr(s->pattern, '*')) {
        problem_error(ps, at, "a * stands at the end of a model's name and nowhere else");
        return false;
    }
    if (!json_is_object(value)) {
        problem_add(ps, PROBLEM_ERROR, at, "such as {\"thinking\": \"effort\", \"sampling\": false}", "must be an object");
        return false;
    }
    return fields_read(&s->traits, fields, N_FIELDS, value, NULL, "trait of a model", &s->fields, at, ps);
}

struct traits_list *traits_list_new(const json_t *models, const char *pointer, struct problems *ps)
{
    const size_t room = json_object_size(models);
    struct traits_list *l = calloc(1, sizeof(*l) + room * sizeof(l->list[0]));
    const char *pattern;
    json_t *value;
    bool ok = l != NULL;

    if (models && !json_is_object(models)) {
        problem_error(ps, pointer, "must be an object with an object for each model");
        ok = false;
    }
    json_object_foreach((json_t *)(uintptr_t)models, pattern, value)
        if (l)
            ok = said_read(&l->list[l->n++], pattern, value, pointer, ps) && ok;
    if (!ok) {
        traits_list_free(l);
        return NULL;
    }
    qsort(l->list, l->n, sizeof(l->list[0]), by_length);
    return l;
}

void traits_list_free(struct traits_list *l)
{
    for (size_t i = 0; l && i < l->n; i++)
        free(l->list[i].pattern);
    free(l);
}

void traits_list_apply(const struct traits_list *l, struct span model, struct traits *t)
{
    for (size_t i = 0; i < l->n; i++)
        if (said_fits(&l->list[i], model))
            fields_copy(t, &l->list[i].traits, fields, N_FIELDS, l->list[i].fields);
}
