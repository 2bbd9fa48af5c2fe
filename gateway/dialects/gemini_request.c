/* gemini_request.c - a caller's generateContent body into the neutral form: the outermost members and generationConfig.
 *
 * gemini_contents.c reads the conversation, gemini_tools.c the tools. The model and whether to stream are in the path and are
 * not looked for here. */

#include "gateway/dialects/gemini_read.h"
#include "gateway/dialects/gemini_table.h"

/* ---- generationConfig ---- */

enum {
    G_TEMPERATURE, G_TOP_P, G_TOP_K, G_CANDIDATES, G_MAX_TOKENS, G_STOPS, G_SEED, G_PRESENCE, G_FREQUENCY, G_LOGPROBS_ON,
    G_LOGPROBS, G_MIME, G_SCHEMA, G_JSON_SCHEMA, G_MODALITIES, G_THINKING, G_FORMAT, G_MEMBERS
};

static bool read_stops(struct reading *r, struct span list)
{
    struct chat *chat = r->chat;

    if (!list.p)
        return true;
    if (jval_type(list) != JTYPE_ARRAY)
        return reading_want(r, "stopSequences", "must be a list of strings");
    for (struct jiter it = jiter_begin(list); jiter_next(&it);) {
        if (jval_type(it.value) != JTYPE_STRING || chat->n_stops == 5)
            return reading_want(r, "stopSequences", "must be a list of at most 5 strings");
        chat->stops_raw[chat->n_stops++] = jval_raw(it.value);
    }
    return true;
}

static bool read_sampling(struct reading *r, const struct span m[G_MEMBERS])
{
    struct chat *chat = r->chat;
    enum tri logprobs = TRI_UNSET;
    int64_t top_k = 0, seed = 0;
    struct arena *arena = r->spec->arena;

    if (!reading_number(r, "temperature", m[G_TEMPERATURE], 0, 2, &chat->temperature_json) ||
        !reading_number(r, "topP", m[G_TOP_P], 0, 1, &chat->top_p_json) ||
        !reading_number(r, "presencePenalty", m[G_PRESENCE], -2, 2, &chat->presence_json) ||
        !reading_number(r, "frequencyPenalty", m[G_FREQUENCY], -2, 2, &chat->frequency_json) ||
        !gemini_int(r, "topK", m[G_TOP_K], 1, INT32_MAX, &top_k) ||
        !gemini_int(r, "seed", m[G_SEED], INT32_MIN, INT32_MAX, &seed) ||
        !gemini_int(r, "candidateCount", m[G_CANDIDATES], 1, 8, &chat->n) ||
        !gemini_int(r, "maxOutputTokens", m[G_MAX_TOKENS], 1, 1000000000, &chat->max_tokens) ||
        !reading_bool(r, "responseLogprobs", m[G_LOGPROBS_ON], &logprobs) ||
        !gemini_int(r, "logprobs", m[G_LOGPROBS], 0, 20, &chat->top_logprobs))
        return false;
    if (m[G_LOGPROBS].p && logprobs != TRI_YES)
        return reading_want(r, "logprobs", "is only allowed together with \"responseLogprobs\": true");
    chat->logprobs = logprobs == TRI_YES;
    if (m[G_TOP_K].p)
        chat->top_k_json = arena_printf(arena, "%lld", (long long)top_k);
    if (m[G_SEED].p)
        chat->seed_json = arena_printf(arena, "%lld", (long long)seed);
    if ((m[G_TOP_K].p && !chat->top_k_json.p) || (m[G_SEED].p && !chat->seed_json.p))
        return reading_no_memory(r);
    return read_stops(r, m[G_STOPS]);
}

/* What the answer is to look like. An enum as plain text and the newest responseFormat have no twin elsewhere. */
static bool read_format(struct reading *r, const struct span m[G_MEMBERS])
{
    struct chat *chat = r->chat;
    struct span mime = SPAN_NONE;

    if (!reading_raw(r, "responseMimeType", m[G_MIME], &mime) ||
        !reading_type(r, "responseSchema", m[G_SCHEMA], JTYPE_OBJECT, "must be a schema object"))
        return false;
    if (m[G_SCHEMA].p && m[G_JSON_SCHEMA].p)
        return reading_want(r, "responseJsonSchema", "must not be there beside \"responseSchema\"");
    if (m[G_FORMAT].p && !gemini_foreign(r, "responseFormat", FOREIGN_MEANS))
        return false;
    if (mime.n && jraw_is(mime, "application/json"))
        chat->format = FORMAT_JSON;
    else if (mime.n && !jraw_is(mime, "text/plain"))
        return gemini_foreign(r, "responseMimeType", FOREIGN_MEANS);
    if (m[G_SCHEMA].p || m[G_JSON_SCHEMA].p) {
        chat->format = FORMAT_SCHEMA;
        chat->text_bytes += m[G_SCHEMA].n + m[G_JSON_SCHEMA].n;
        chat->schema_json = m[G_JSON_SCHEMA].p ? m[G_JSON_SCHEMA] : gemini_json_schema(r->spec->arena, m[G_SCHEMA]);
        return chat->schema_json.p || reading_no_memory(r);
    }
    return true;
}

static bool read_modalities(struct reading *r, struct span list)
{
    bool more = false;

    if (!reading_type(r, "responseModalities", list, JTYPE_ARRAY, "must be a list such as [\"TEXT\"]"))
        return false;
    for (struct jiter it = jiter_begin(list); jiter_next(&it);) {
        if (jval_type(it.value) != JTYPE_STRING)
            return reading_want(r, "responseModalities", "must be a list such as [\"TEXT\"]");
        more |= !jraw_is(jval_raw(it.value), "TEXT");
    }
    return !more || gemini_foreign(r, "responseModalities", FOREIGN_MEANS);
}

static bool read_level(struct reading *r, struct span value)
{
    static const char *const words[] = { "THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", NULL };
    static const char *const small[] = { "thinking_level_unspecified", "minimal", "low", "medium", "high", NULL };
    static const enum effort efforts[] = { EFFORT_UNSET, EFFORT_MINIMAL, EFFORT_LOW, EFFORT_MEDIUM, EFFORT_HIGH };
    const int capital = reading_word(value, words), word = capital >= 0 ? capital : reading_word(value, small);

    if (word < 0)
        return reading_want(r, "thinkingLevel", "must be MINIMAL, LOW, MEDIUM or HIGH");
    r->chat->effort = efforts[word];
    return true;
}

/* Level and budget together are Google's own 400 (wire/gemini-generate section 3). */
static bool read_thinking(struct reading *r, struct span config)
{
    static const char *const names[] = { "includeThoughts", "thinkingBudget", "thinkingLevel" };
    struct chat *chat = r->chat;
    struct span m[3];
    int64_t budget = 0;

    if (!config.p)
        return true;
    if (jval_type(config) != JTYPE_OBJECT)
        return reading_want(r, "thinkingConfig", "must be an object");
    reading_enter(r, ".thinkingConfig");    /* the caller leaves */
    if (!gemini_members(r, config, names, 3, m, FOREIGN_TUNES) ||
        !reading_bool(r, "includeThoughts", m[0], &chat->show_reasoning) ||
        !gemini_int(r, "thinkingBudget", m[1], -1, 1000000, &budget))
        return false;
    if (m[1].p && m[2].p)
        return reading_want(r, "thinkingLevel", "must not be there beside \"thinkingBudget\"");
    if (m[2].p)
        return read_level(r, m[2]);
    if (!m[1].p)
        return true;
    chat->effort = budget < 0 ? EFFORT_DYNAMIC : budget == 0 ? EFFORT_OFF : EFFORT_BUDGET;
    chat->budget = budget > 0 ? budget : 0;
    return true;
}

static bool read_config(struct reading *r, struct span config)
{
    static const char *const names[G_MEMBERS] = {
        "temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "seed", "presencePenalty",
        "frequencyPenalty", "responseLogprobs", "logprobs", "responseMimeType", "responseSchema", "responseJsonSchema",
        "responseModalities", "thinkingConfig", "responseFormat",
    };
    struct gemini_places *places = r->chat->places;
    const size_t back = reading_enter(r, "generationConfig");
    struct span m[G_MEMBERS];

    if (jval_type(config) != JTYPE_OBJECT)
        return reading_want(r, "", "must be an object");
    if (!gemini_members(r, config, names, G_MEMBERS, m, FOREIGN_TUNES) || !read_sampling(r, m) || !read_format(r, m) ||
        !read_modalities(r, m[G_MODALITIES]) || !read_thinking(r, m[G_THINKING]))
        return false;
    places->config = config;
    places->max_tokens = m[G_MAX_TOKENS];
    reading_leave(r, back);
    return true;
}

/* ---- the outermost members ---- */

enum {
    T_CONTENTS, T_SYSTEM, T_TOOLS, T_TOOL_CONFIG, T_CONFIG, T_SAFETY, T_CACHED, T_TIER, T_LABELS, T_MODEL, T_STORE,
    T_CONTINUATION, T_MEMBERS
};

/* A cached prefix stands in front of the contents: it holds system, tools and toolConfig, and nobody here knows how long it
 * is. */
static bool read_cached(struct reading *r, const struct span m[T_MEMBERS])
{
    struct span name = SPAN_NONE;

    if (!reading_raw(r, "cachedContent", m[T_CACHED], &name))
        return false;
    if (name.n == 0)
        return true;
    if (m[T_SYSTEM].p || m[T_TOOLS].p || m[T_TOOL_CONFIG].p)
        return reading_want(r, "cachedContent", "excludes systemInstruction, tools and toolConfig: they are in the cache");
    r->chat->unbounded = true;
    return gemini_foreign(r, "cachedContent", FOREIGN_MEANS);
}

static bool read_safety(struct reading *r, struct span list)
{
    size_t i = 0;

    if (!list.p)
        return true;
    if (jval_type(list) != JTYPE_ARRAY)
        return reading_want(r, "safetySettings", "must be a list");
    for (struct jiter it = jiter_begin(list); jiter_next(&it); i++) {
        const size_t back = reading_enter(r, "safetySettings[%zu]", i);

        if (jval_type(gemini_get(it.value, "category")) != JTYPE_STRING ||
            jval_type(gemini_get(it.value, "threshold")) != JTYPE_STRING)
            return reading_want(r, "", "must be an object with \"category\" and \"threshold\"");
        reading_leave(r, back);
    }
    return i == 0 || gemini_foreign(r, "safetySettings", FOREIGN_TUNES);
}

static bool read_others(struct reading *r, const struct span m[T_MEMBERS])
{
    struct chat *chat = r->chat;

    if (!reading_name(r, "serviceTier", m[T_TIER], 64, &chat->service_tier) ||
        !reading_type(r, "labels", m[T_LABELS], JTYPE_OBJECT, "must be an object of strings") ||
        !reading_type(r, "model", m[T_MODEL], JTYPE_STRING, "must be a string; the model in the path is the one that counts"))
        return false;
    if (span_eq_nocase(chat->service_tier, SPAN_LIT("unspecified")) || span_eq_nocase(chat->service_tier, SPAN_LIT("standard")))
        chat->service_tier = SPAN_NONE;
    if (m[T_LABELS].p && !reading_is_labels(m[T_LABELS])) {
        if (!gemini_foreign(r, "labels", FOREIGN_TUNES))
            return false;
    } else {
        chat->metadata_json = m[T_LABELS];
    }
    if (m[T_STORE].p && !gemini_foreign(r, "store", FOREIGN_SILENT))
        return false;
    return !m[T_CONTINUATION].p || gemini_foreign(r, "continuationToken", FOREIGN_MEANS);
}

/* countTokens has a body of its own: {"contents"}, or {"generateContentRequest":{...}} around what generateContent takes. */
static struct span request_to_count(struct span body)
{
    const struct span request = gemini_get(body, "generateContentRequest");

    return jval_type(request) == JTYPE_OBJECT ? request : body;
}

bool gemini_parse(struct chat *chat, const struct parse_spec *spec)
{
    static const char *const names[T_MEMBERS] = {
        "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent",
        "serviceTier", "labels", "model", "store", "continuationToken",
    };
    const struct span body = chat->counting ? request_to_count(chat->body) : chat->body;
    struct reading r = { .chat = chat, .spec = spec };
    struct span m[T_MEMBERS];

    if (jval_type(chat->body) != JTYPE_OBJECT)
        return fault_bad(spec->fault, "invalid_json", NULL, "The request body must be a JSON object.");
    chat->places = ARENA_NEW(spec->arena, struct gemini_places);
    if (!chat->places)
        return reading_no_memory(&r);
    return gemini_members(&r, body, names, T_MEMBERS, m, FOREIGN_TUNES) &&
           (!m[T_SYSTEM].p || gemini_read_system(&r, m[T_SYSTEM])) && gemini_read_contents(&r, m[T_CONTENTS]) &&
           (!m[T_TOOLS].p || gemini_read_tools(&r, m[T_TOOLS])) &&
           (!m[T_TOOL_CONFIG].p || gemini_read_tool_config(&r, m[T_TOOL_CONFIG])) &&
           (!m[T_CONFIG].p || read_config(&r, m[T_CONFIG])) && read_cached(&r, m) && read_safety(&r, m[T_SAFETY]) &&
           read_others(&r, m);
}
