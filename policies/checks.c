/* checks.c - the five checks on an answer. refusal.c knows what refusals look like.
 *
 * Each row of the table says whether a beginning can be judged. Nothing here changes an answer, and nothing here
 * knows of routes or retries. */
#include "policies/checks.h"

#include "base/jscan.h"
#include "policies/json_schema.h"

#define BRIEF_BYTES 262144u    /* of an answer's texts: some passes over them are what a brief look may cost */

/* What a check is asked with. */
struct asking {
    const struct asked *asked;
    int64_t sent_cap;
    bool brief;                    /* it shall give up rather than take long: then `unfinished`, whatever it says */
    unsigned steps;                /* brief: what may still be done (json_schema.h) */
    bool unfinished;
};

typedef struct verdict (*judge)(const struct answer *a, struct asking *q);

static struct verdict pass(void)
{
    return (struct verdict){ .ok = true };
}

static struct verdict fails(enum check c, const char *reason)
{
    return (struct verdict){ .ok = false, .check = c, .reason = reason };
}

static bool is_blank(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\n' && s.p[i] != '\r')
            return false;
    return true;
}

/* ---- not_refused ---- */

static struct verdict not_refused(const struct answer *a, struct asking *q)
{
    const char *reason = NULL;

    (void)q;
    if (a->finish == FINISH_FILTERED)
        return fails(CHECK_NOT_REFUSED, "the provider's filter ended the answer");
    if (a->refusal.n)
        return fails(CHECK_NOT_REFUSED, "the answer is a refusal by its own field");
    if (a->n_tools == 0 && check_text_refuses(a->text, &reason))
        return fails(CHECK_NOT_REFUSED, reason);
    return pass();
}

/* ---- not_empty ---- */

/* DeepSeek's documentation: JSON mode "may occasionally return empty content". A refusal field is an answer. */
static struct verdict not_empty(const struct answer *a, struct asking *q)
{
    (void)q;
    if (a->n_tools || a->refusal.n || !is_blank(a->text))
        return pass();
    return fails(CHECK_NOT_EMPTY, "no text and no tool call");
}

/* ---- complete ---- */

/* Was it the caller's own cap that cut the answer? A window that filled up, a provider's or our cap is not. */
static bool callers_cap(const struct answer *a, const struct asking *q)
{
    if (q->asked->max_tokens <= 0 || (q->sent_cap > 0 && q->sent_cap != q->asked->max_tokens))
        return false;
    return a->output_tokens <= 0 || a->output_tokens >= q->asked->max_tokens;
}

/* Length of a run of `c` that opens a fence at the start of `line` (at most three blanks before it), else 0. */
static size_t fence_run(struct span line, char *c)
{
    size_t blanks = 0, n = 0;

    while (blanks < line.n && blanks < 3 && line.p[blanks] == ' ')
        blanks++;
    line = span_skip(line, blanks);
    if (line.n == 0 || (line.p[0] != '`' && line.p[0] != '~'))
        return 0;
    *c = line.p[0];
    while (n < line.n && line.p[n] == *c)
        n++;
    return n >= 3 ? n : 0;
}

/* A code fence that is open at the end (CommonMark 0.31, 4.5): the code was cut off. */
static bool has_open_fence(struct span text)
{
    char open_char = 0, c = 0;
    size_t open = 0;

    while (text.n) {
        const size_t end = span_find(text, '\n');
        const struct span line = span_first(text, end);
        const size_t run = fence_run(line, &c);

        text = span_skip(text, end + 1);
        if (run && !open) {
            open = run;
            open_char = c;
        } else if (run >= open && run && c == open_char) {
            const struct span trimmed = span_trim(line);
            const size_t blanks = line.n && trimmed.n ? (size_t)(trimmed.p - line.p) : 0;

            if (is_blank(span_skip(line, blanks + run)))    /* a closing fence has nothing behind it */
                open = 0;
        }
    }
    return open > 0;
}

static struct verdict complete(const struct answer *a, struct asking *q)
{
    switch (a->finish) {
    case FINISH_NONE:
        return fails(CHECK_COMPLETE, "it ended without a finish reason");
    case FINISH_LENGTH:
        return callers_cap(a, q) ? pass()
                                 : fails(CHECK_COMPLETE, "cut off by a cap that the caller did not set");
    case FINISH_INTERRUPTED:
        return fails(CHECK_COMPLETE, "the provider interrupted it");
    case FINISH_FILTERED:
        return fails(CHECK_COMPLETE, "the provider's filter ended it");
    case FINISH_STOP: case FINISH_TOOL_CALLS: case FINISH_OTHER:
        break;
    }
    if (!q->asked->stops && a->n_tools == 0 && has_open_fence(a->text))
        return fails(CHECK_COMPLETE, "a code block is not closed");
    return pass();
}

/* ---- valid_json ---- */

/* Wider than what we take from callers: an answer is bounded by its tokens. */
static const struct jscan_limits answer_limits = {
    .depth = 256, .values = 1000000, .key_bytes = 65536, .number_bytes = 1024
};

enum parse { PARSE_BAD, PARSE_OBJECT, PARSE_ARRAY, PARSE_SCALAR };

static enum parse parse_json(struct span text)
{
    struct jscan *s = jscan_new(&answer_limits, 0x9e3779b97f4a7c15u);    /* a model does not craft collisions */
    enum jscan_rc rc = JSCAN_MEMORY;

    if (s) {
        rc = jscan_feed(s, text);
        if (rc == JSCAN_MORE || rc == JSCAN_DONE)
            rc = jscan_end(s);
    }
    jscan_free(s);
    if (rc != JSCAN_DONE)
        return PARSE_BAD;
    switch (jval_type(text)) {
    case JTYPE_OBJECT: return PARSE_OBJECT;
    case JTYPE_ARRAY: return PARSE_ARRAY;
    default: return PARSE_SCALAR;
    }
}

/* What a schema asks that nobody here can judge is no fault of the answer: the caller has been warned of it. */
static bool misfits(struct asking *q, struct span schema, struct span value)
{
    enum schema_verdict v = SCHEMA_UNJUDGED;

    if (!schema.p)
        return false;
    if (!q->brief)
        v = json_schema_check(schema, value, NULL, 0);
    else if (!json_schema_check_briefly(schema, value, &q->steps, &v))
        q->unfinished = true;
    return v == SCHEMA_MISFIT;
}

/* Nothing is stripped: JSON in a code block, or with a sentence before it, breaks the caller's parser. */
static struct verdict valid_json(const struct answer *a, struct asking *q)
{
    if (!q->asked->json || (a->n_tools && is_blank(a->text)))
        return pass();
    if (a->finish == FINISH_LENGTH && callers_cap(a, q))
        return pass();    /* the caller cut it */
    switch (parse_json(a->text)) {
    case PARSE_OBJECT: case PARSE_ARRAY:
        return misfits(q, q->asked->schema, a->text) ? fails(CHECK_VALID_JSON, "JSON that does not fit the schema asked for") : pass();
    case PARSE_SCALAR: return fails(CHECK_VALID_JSON, "JSON, but neither object nor array");
    case PARSE_BAD: break;
    }
    return fails(CHECK_VALID_JSON, "JSON was asked for, and this is none");
}

/* ---- valid_tool_calls ---- */

/* Index of an offered tool; asked->n_tools when it is none. */
static size_t offered(const struct asked *asked, struct span name)
{
    size_t i = 0;

    while (i < asked->n_tools && !span_eq(asked->tools[i], name))
        i++;
    return i;
}

static struct verdict valid_call(const struct answer_tool *call, struct asking *q)
{
    const struct asked *asked = q->asked;
    const size_t tool = offered(asked, call->name);
    const struct span arguments = is_blank(call->arguments) ? SPAN_LIT("{}") : call->arguments;

    if (tool == asked->n_tools)
        return fails(CHECK_VALID_TOOL_CALLS, "it calls a tool that was not offered");
    if (call->custom)
        return pass();
    if (parse_json(arguments) != PARSE_OBJECT)
        return fails(CHECK_VALID_TOOL_CALLS, "a tool's arguments are no JSON object");
    if (asked->tool_schemas && misfits(q, asked->tool_schemas[tool], arguments))
        return fails(CHECK_VALID_TOOL_CALLS, "a tool's arguments do not fit its schema");
    return pass();
}

static struct verdict valid_tool_calls(const struct answer *a, struct asking *q)
{
    struct verdict v = pass();

    if (a->finish == FINISH_TOOL_CALLS && a->n_tools == 0)
        return fails(CHECK_VALID_TOOL_CALLS, "it says that it calls a tool and calls none");
    if (a->finish == FINISH_LENGTH && callers_cap(a, q))
        return pass();
    for (size_t i = 0; i < a->n_tools && v.ok && !q->unfinished; i++)
        v = valid_call(&a->tools[i], q);
    return v;
}

/* ---- the table ---- */

static const struct {
    const char *name;
    judge judge;
    bool beginning;
} checks[CHECK_COUNT] = {
    [CHECK_NOT_REFUSED]      = { "not_refused",      not_refused,      true },
    [CHECK_NOT_EMPTY]        = { "not_empty",        not_empty,        true },
    [CHECK_COMPLETE]         = { "complete",         complete,         false },
    [CHECK_VALID_JSON]       = { "valid_json",       valid_json,       false },
    [CHECK_VALID_TOOL_CALLS] = { "valid_tool_calls", valid_tool_calls, false },
};

const char *check_name(enum check c)
{
    return (unsigned)c < CHECK_COUNT ? checks[c].name : NULL;
}

enum check check_find(struct span name)
{
    int i = 0;

    while (i < CHECK_COUNT && !span_is(name, checks[i].name))
        i++;
    return (enum check)i;
}

struct verdict check_whole(enum check c, const struct answer *a, const struct asked *asked, int64_t sent_cap)
{
    struct asking q = { .asked = asked, .sent_cap = sent_cap };

    return checks[c].judge(a, &q);
}

static struct verdict ask(unsigned set, const struct answer *a, struct asking *q)
{
    struct verdict v = pass();

    for (int i = 0; i < CHECK_COUNT && v.ok && !q->unfinished; i++)
        if (set & CHECK_BIT(i))
            v = checks[i].judge(a, q);
    return v;
}

struct verdict checks_whole(unsigned set, const struct answer *a, const struct asked *asked, int64_t sent_cap)
{
    struct asking q = { .asked = asked, .sent_cap = sent_cap };

    return ask(set, a, &q);
}

static bool is_long(const struct answer *a)
{
    size_t n = a->text.n;

    for (size_t i = 0; i < a->n_tools; i++)
        n += a->tools[i].arguments.n;
    return n > BRIEF_BYTES;
}

bool checks_brief(unsigned set, const struct answer *a, const struct asked *asked, int64_t sent_cap, struct verdict *v)
{
    struct asking q = { .asked = asked, .sent_cap = sent_cap, .brief = true, .steps = JSON_SCHEMA_BRIEF };

    if (set && is_long(a))
        return false;
    *v = ask(set, a, &q);
    return !q.unfinished;
}

struct verdict checks_beginning(unsigned set, const struct answer *a)
{
    static const struct asked nothing;
    struct asking q = { .asked = &nothing };
    unsigned some = 0;

    for (int i = 0; i < CHECK_COUNT; i++)
        some |= checks[i].beginning ? CHECK_BIT(i) : 0;
    return ask(set & some, a, &q);
}
