/* gemini_answer.c - a provider's GenerateContentResponse, whole, as an array, or one event of a stream, into the draft.
 *
 * Every part of it may be missing: content, parts, usage (wire/gemini-generate section 6). Maps the counters once, here:
 * cached within the prompt, thoughts beside the candidates. */
#include "base/jscan.h"
#include "base/jwrite.h"
#include "gateway/dialects/gemini_table.h"

/* ---- usage (wire/gemini-generate section 7) ---- */

#define COUNT_MAX (INT64_MAX / 8)    /* no sum of a few leaves 64 bits; nobody believes it either */

/* A counter, also as a string. Absent: 0, and false. */
static bool count_of(struct span value, int64_t *out)
{
    const struct span digits = jval_type(value) == JTYPE_STRING ? jval_raw(value) : value;

    *out = 0;
    if (jval_type(digits) != JTYPE_NUMBER || !jval_int(digits, out)) {
        *out = 0;
        return false;
    }
    if (*out > COUNT_MAX)
        *out = COUNT_MAX;
    return true;
}

/* Tokens of one modality in a list of {modality, tokenCount}. */
static int64_t of_modality(struct span details, const char *modality)
{
    int64_t sum = 0, n;

    for (struct jiter it = jiter_begin(details); jiter_next(&it);)
        if (jraw_is(jval_raw(jval_get(it.value, "modality")), modality) && count_of(jval_get(it.value, "tokenCount"), &n) &&
            n > 0 && sum < COUNT_MAX)
            sum += n;
    return sum;
}

static int64_t within(int64_t n, int64_t most)
{
    return n < 0 ? 0 : n > most ? most : n;
}

enum {
    U_PROMPT, U_CACHED, U_CANDIDATES, U_THOUGHTS, U_TOOL_PROMPT, U_TOTAL, U_COUNTS,
    U_PROMPT_DETAILS = U_COUNTS, U_CACHE_DETAILS, U_CANDIDATES_DETAILS, U_TIER, U_MEMBERS
};

/* Cached tokens are within the prompt (BerriAI/litellm#14849: charged twice; #16341: taken for zero; langwatch#7018), thoughts
 * beside the candidates and part of the output (agentgateway#3228), tool prompts beside the prompt. The parts are trusted, a
 * total that disagrees flags the row. */
static bool usage_of(const struct span m[U_MEMBERS], struct usage *use, bool *mended)
{
    int64_t n[U_COUNTS], fresh;
    bool has[U_COUNTS];

    for (int i = 0; i < U_COUNTS; i++) {
        has[i] = count_of(m[i], &n[i]);
        if (n[i] < 0)
            return false;    /* no usage at all, so that the answer is charged at its bound: not for free */
    }
    if (!has[U_PROMPT] && !has[U_CANDIDATES] && !has[U_THOUGHTS] && !has[U_TOTAL])
        return false;        /* Vertex' first chunks name the traffic type alone */
    *mended = has[U_TOTAL] && n[U_TOTAL] != n[U_PROMPT] + n[U_CANDIDATES] + n[U_TOOL_PROMPT] + n[U_THOUGHTS];
    if (n[U_CACHED] > n[U_PROMPT]) {
        n[U_CACHED] = n[U_PROMPT];
        *mended = true;
    }
    fresh = n[U_PROMPT] - n[U_CACHED];
    use->cache_read = n[U_CACHED];
    use->input_audio = within(of_modality(m[U_PROMPT_DETAILS], "AUDIO") - of_modality(m[U_CACHE_DETAILS], "AUDIO"), fresh);
    fresh -= use->input_audio;
    use->input_image = within(of_modality(m[U_PROMPT_DETAILS], "IMAGE") - of_modality(m[U_CACHE_DETAILS], "IMAGE"), fresh);
    use->input = fresh - use->input_image + n[U_TOOL_PROMPT];
    use->output_audio = within(of_modality(m[U_CANDIDATES_DETAILS], "AUDIO"), n[U_CANDIDATES]);
    use->output_image = within(of_modality(m[U_CANDIDATES_DETAILS], "IMAGE"), n[U_CANDIDATES] - use->output_audio);
    use->output = n[U_CANDIDATES] - use->output_audio - use->output_image + n[U_THOUGHTS];
    use->reasoning = n[U_THOUGHTS];
    return true;
}

/* Counters run: the last ones hold. The first chunks of some models name the prompt alone; as long as nothing says that the
 * answer is over, its output is not known then, and a cut stream must not be billed as if there were none
 * (BerriAI/litellm#14457). */
static void read_usage(struct draft *d, struct span metadata, int64_t searches)
{
    static const char *const names[U_MEMBERS] = {
        "promptTokenCount", "cachedContentTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount",
        "totalTokenCount", "promptTokensDetails", "cacheTokensDetails", "candidatesTokensDetails", "serviceTier",
    };
    struct span m[U_MEMBERS];
    struct usage use = { .searches = searches };
    bool mended = false;

    jval_members(metadata, names, U_MEMBERS, m);
    if (m[U_TIER].p) {
        draft_copy(d->service_tier, sizeof d->service_tier, m[U_TIER]);
        for (char *p = d->service_tier; *p; p++)
            *p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
    }
    if (!usage_of(m, &use, &mended))
        return;
    if (d->ended || m[U_CANDIDATES].p || m[U_THOUGHTS].p) {
        draft_usage(d, &use, mended);
    } else if (!d->has_usage) {
        d->usage = use;
        d->usage_begun = true;
    }
}

/* ---- parts ---- */

enum { P_TEXT, P_CALL, P_THOUGHT, P_SIGNATURE, P_MEMBERS };

/* A call comes whole. Vertex may send arguments in pieces on request, which carry no name: they are for its own callers. */
static bool read_call(struct draft *d, unsigned choice, struct span call, struct span signature)
{
    static const char *const names[] = { "name", "args", "id" };
    const unsigned n = choice == 0 ? d->reader.n_calls : 0;
    struct span m[3], name;

    jval_members(call, names, 3, m);
    name = jval_raw(m[0]);
    if (name.n == 0)
        return true;
    d->reader.n_calls += choice == 0;
    return draft_call(d, choice, n, jval_raw(m[2]), name, false) &&
           draft_arguments_json(d, choice, n, jval_type(m[1]) == JTYPE_OBJECT ? m[1] : SPAN_LIT("{}")) &&
           (d->one_call && n > 0 ? true : draft_signature(d, choice, (int)n, signature, FAMILY_GEMINI, false));
}

static bool read_part(struct draft *d, unsigned choice, struct span part)
{
    static const char *const names[P_MEMBERS] = { "text", "functionCall", "thought", "thoughtSignature" };
    struct span m[P_MEMBERS], text, signature;

    jval_members(part, names, P_MEMBERS, m);
    text = jval_raw(m[P_TEXT]);
    signature = jval_raw(m[P_SIGNATURE]);
    if (jval_type(m[P_CALL]) == JTYPE_OBJECT)
        return read_call(d, choice, m[P_CALL], signature);
    if (!m[P_TEXT].p && jval_type(part) == JTYPE_OBJECT) {    /* a picture, code, a server tool's work: no other dialect has it */
        d->has_piece |= part.n > 2;
        d->generated_bytes += (int64_t)part.n;
    }
    return draft_text(d, choice, jval_type(m[P_THOUGHT]) == JTYPE_TRUE ? PIECE_REASONING : PIECE_TEXT, text) &&
           draft_signature(d, choice, -1, signature, FAMILY_GEMINI, false);
}

/* ---- what stands beside the parts ---- */

static void write_token(struct buf *b, struct span token, bool open)
{
    const struct span text = jval_raw(jval_get(token, "token")), probability = jval_get(token, "logProbability");

    jw_object(b, NULL);
    jw_raw(b, "token", text.p ? text : SPAN_LIT(""));
    jw_json(b, "logprob", jval_type(probability) == JTYPE_NUMBER ? probability : SPAN_LIT("0"));
    jw_null(b, "bytes");
    if (!open)
        jw_close(b, '}');
}

/* Into OpenAI's form, which is the draft's. */
static bool read_logprobs(struct draft *d, unsigned choice, struct span result)
{
    const struct span list = jval_get(result, "chosenCandidates");
    struct jiter chosen = jiter_begin(list);
    struct jiter top = jiter_begin(jval_get(result, "topCandidates"));
    struct buf b;
    bool ok;

    if (!d->writer || jval_type(list) != JTYPE_ARRAY)
        return true;
    buf_init(&b, DRAFT_BYTES_MAX);
    jw_array(&b, NULL);
    while (jiter_next(&chosen)) {
        write_token(&b, chosen.value, true);
        jw_array(&b, "top_logprobs");
        if (jiter_next(&top))
            for (struct jiter t = jiter_begin(jval_get(top.value, "candidates")); jiter_next(&t);)
                write_token(&b, t.value, false);
        jw_close(&b, ']');
        jw_close(&b, '}');
    }
    jw_close(&b, ']');
    ok = buf_ok(&b) && draft_logprobs(d, choice, buf_span(&b));
    if (!buf_ok(&b))
        d->failed = true;
    buf_free(&b);
    return ok;
}

static bool read_sources(struct draft *d, unsigned choice, struct span list, const char *within_member)
{
    for (struct jiter it = jiter_begin(list); jiter_next(&it);) {
        const struct span source = within_member ? jval_get(it.value, within_member) : it.value;
        const struct span url = jval_raw(jval_get(source, "uri"));

        if (url.n && !draft_citation(d, choice, url, jval_raw(jval_get(source, "title")), -1, -1))
            return false;
    }
    return true;
}

/* Web searches that were made: billed by the query from 3 on, by the answer before. */
static int64_t count_searches(struct span grounding, const struct target *target)
{
    int64_t n = 0;

    for (struct jiter it = jiter_begin(jval_get(grounding, "webSearchQueries")); jiter_next(&it);)
        n++;
    return n > 1 && target->traits->thinking != THINKING_LEVEL ? 1 : n;
}

/* ---- candidates ---- */

static enum finish finish_of(struct span raw, bool called)
{
    static const char *const filtered[] = {
        "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER", "NO_IMAGE",
    };

    if (!raw.n)
        return FINISH_NONE;
    if (jraw_is(raw, "STOP"))    /* there is no word for calls */
        return called ? FINISH_TOOL_CALLS : FINISH_STOP;
    if (jraw_is(raw, "MAX_TOKENS"))
        return FINISH_LENGTH;
    for (size_t i = 0; i < sizeof filtered / sizeof filtered[0]; i++)
        if (jraw_is(raw, filtered[i]))
            return FINISH_FILTERED;
    /* The model's fault. Servers have sent names beyond the typed list: MALFORMED_RESPONSE, MISSING_THOUGHT_SIGNATURE. */
    if (span_starts(raw, SPAN_LIT("MALFORMED_")) || span_starts(raw, SPAN_LIT("MISSING_")) ||
        span_ends(raw, SPAN_LIT("_TOOL_CALL")) || span_ends(raw, SPAN_LIT("_TOOL_CALLS")))
        return FINISH_INTERRUPTED;
    return FINISH_OTHER;
}

enum { C_CONTENT, C_FINISH, C_INDEX, C_GROUNDING, C_CITATIONS, C_LOGPROBS, C_MEMBERS };

static bool read_candidate(struct draft *d, struct span candidate, const struct target *target, int64_t *searches)
{
    static const char *const names[C_MEMBERS] = { "content", "finishReason", "index", "groundingMetadata",
                                                  "citationMetadata", "logprobsResult" };
    struct span m[C_MEMBERS];
    int64_t index, found;
    unsigned choice;
    enum finish finish;

    jval_members(candidate, names, C_MEMBERS, m);
    count_of(m[C_INDEX], &index);    /* 0 is left out */
    if (jval_type(candidate) != JTYPE_OBJECT || index < 0 || index > 127)
        return false;
    choice = (unsigned)index;
    for (struct jiter it = jiter_begin(jval_get(m[C_CONTENT], "parts")); jiter_next(&it);)
        if (!read_part(d, choice, it.value))
            return false;
    if (!read_logprobs(d, choice, m[C_LOGPROBS]) ||
        !read_sources(d, choice, jval_get(m[C_GROUNDING], "groundingChunks"), "web") ||
        !read_sources(d, choice, jval_get(m[C_CITATIONS], "citationSources"), NULL) ||
        !read_sources(d, choice, jval_get(m[C_CITATIONS], "citations"), NULL))
        return false;
    found = count_searches(m[C_GROUNDING], target);
    if (found > *searches)
        *searches = found;
    finish = finish_of(jval_raw(m[C_FINISH]), d->n_calls > 0);
    draft_finish(d, choice, finish, SPAN_NONE);
    d->ended |= finish != FINISH_NONE;
    return true;
}

/* The prompt itself was refused: there is no candidate, and the HTTP status is 200. */
static bool read_feedback(struct draft *d, struct span feedback)
{
    const struct span reason = jval_raw(jval_get(feedback, "blockReason"));
    struct buf text;
    bool ok;

    if (reason.n == 0 || jraw_is(reason, "BLOCKED_REASON_UNSPECIFIED") || jraw_is(reason, "BLOCK_REASON_UNSPECIFIED"))
        return true;
    buf_init(&text, 4096);
    buf_add_str(&text, "The provider refused the prompt: ");
    buf_add_span(&text, span_first(reason, span_find(span_first(reason, 64), '\\')));    /* a word; never a cut escape */
    ok = draft_text(d, 0, PIECE_REFUSAL, buf_span(&text));
    buf_free(&text);
    draft_finish(d, 0, FINISH_FILTERED, SPAN_NONE);
    d->ended = true;
    return ok;
}

/* ---- the whole ---- */

enum { R_CANDIDATES, R_FEEDBACK, R_USAGE, R_MODEL, R_ID, R_ERROR, R_MEMBERS };

static bool read_response(struct draft *d, struct span json, const struct target *target)
{
    static const char *const names[R_MEMBERS] = { "candidates", "promptFeedback", "usageMetadata", "modelVersion", "responseId",
                                                  "error" };
    int64_t searches = d->usage.searches;
    struct span m[R_MEMBERS];

    if (jval_type(json) != JTYPE_OBJECT)
        return false;
    jval_members(json, names, R_MEMBERS, m);
    if (m[R_ERROR].p && jval_type(m[R_ERROR]) != JTYPE_NULL) {
        gemini_read_error(d, json, true);
        return true;
    }
    if (!m[R_CANDIDATES].p && !m[R_FEEDBACK].p && !m[R_USAGE].p && !m[R_MODEL].p)
        return false;
    if (!d->model[0])
        draft_copy(d->model, sizeof d->model, m[R_MODEL]);
    if (!d->id[0])    /* before the calls: an id that has to be invented is made of it */
        draft_copy(d->id, sizeof d->id, m[R_ID]);
    for (struct jiter it = jiter_begin(m[R_CANDIDATES]); jiter_next(&it);)
        if (!read_candidate(d, it.value, target, &searches))
            return false;
    if (!read_feedback(d, m[R_FEEDBACK]))
        return false;
    d->usage.searches = searches;
    read_usage(d, m[R_USAGE], searches);
    return true;
}

bool gemini_read_event(struct draft *d, struct span name, struct span json, const struct target *target)
{
    (void)name;    /* its events have none */
    return read_response(d, json, target);
}

/* What streamGenerateContent answers without alt=sse is an array of the same. */
bool gemini_read_whole(struct draft *d, struct span json, const struct target *target)
{
    size_t n = 0;

    if (jval_type(json) != JTYPE_ARRAY)
        return read_response(d, json, target);
    for (struct jiter it = jiter_begin(json); jiter_next(&it); n++)
        if (!read_response(d, it.value, target))
            return false;
    return n > 0;
}
