/* scenario.c - scenario files: load policy and prices, run each case, compare, report.
 *
 * Owns the expectations and the output. scenario_read.c reads a case, scenario_run.c plays it. */
#include "policies/scenario.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/jschema.h"
#include "policies/scenario_read.h"

#define FILE_BYTES_MAX (16u << 20)
#define CASE_ARENA_BYTES (64u << 20)

/* ---- output ---- */

void scenario_begin(struct scenario_report *r)
{
    if (r->format == SCENARIO_TAP)
        fputs("TAP version 13\n", r->out);
    else if (r->format == SCENARIO_JSON)
        fputs("[", r->out);
    else
        fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"tollgate policy test\">\n",
              r->out);
}

void scenario_end(struct scenario_report *r)
{
    if (r->format == SCENARIO_TAP)
        fprintf(r->out, "1..%zu\n# %zu passed, %zu failed\n", r->cases, r->cases - r->failed, r->failed);
    else if (r->format == SCENARIO_JSON)
        fputs("\n]\n", r->out);
    else
        fputs("</testsuite>\n</testsuites>\n", r->out);
}

/* XML 1.0 text: control characters cannot be written in it at all. */
static void put_xml(FILE *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i];

        if (c == '<' || c == '>' || c == '&' || c == '"')
            fprintf(out, "&#%d;", c);
        else if ((unsigned char)c >= 0x20 || c == '\n' || c == '\t')
            fputc(c, out);
    }
}

static void put_json(FILE *out, struct span s)
{
    struct buf b;

    buf_init(&b, s.n * 6 + 64);
    buf_add_json(&b, s);
    fwrite(buf_span(&b).p, 1, buf_span(&b).n, out);
    buf_free(&b);
}

/* Indented, each line behind `lead`. */
static void put_lines(FILE *out, const char *lead, struct span s)
{
    while (s.n) {
        const size_t n = span_find(s, '\n');

        fprintf(out, "%s%.*s\n", lead, SPAN_FMT(span_first(s, n)));
        s = span_skip(s, n + 1);
    }
}

static void report_case(struct scenario_report *r, const char *file, struct span name, struct span wrong,
                        struct span trace)
{
    const bool ok = wrong.n == 0;

    r->cases++;
    r->failed += !ok;
    switch (r->format) {
    case SCENARIO_TAP:
        if (!ok || !r->failures_only)
            fprintf(r->out, "%s %zu - %s: %.*s\n", ok ? "ok" : "not ok", r->cases, file, SPAN_FMT(name));
        if (!ok) {
            put_lines(r->out, "  # ", wrong);
            fputs("  # what happened:\n", r->out);
            put_lines(r->out, "  # ", trace);
        }
        break;
    case SCENARIO_JSON:
        fprintf(r->out, "%s\n{\"file\":", r->cases > 1 ? "," : "");
        put_json(r->out, span_str(file));
        fputs(",\"name\":", r->out);
        put_json(r->out, name);
        fprintf(r->out, ",\"ok\":%s", ok ? "true" : "false");
        if (!ok) {
            fputs(",\"wrong\":", r->out);
            put_json(r->out, wrong);
            fputs(",\"trace\":", r->out);
            put_json(r->out, trace);
        }
        fputs("}", r->out);
        break;
    case SCENARIO_JUNIT:
        fputs("<testcase classname=\"", r->out);
        put_xml(r->out, span_str(file));
        fputs("\" name=\"", r->out);
        put_xml(r->out, name);
        if (ok) {
            fputs("\"/>\n", r->out);
            break;
        }
        fputs("\"><failure message=\"", r->out);
        put_xml(r->out, span_first(wrong, span_find(wrong, '\n')));
        fputs("\">", r->out);
        put_xml(r->out, wrong);
        put_xml(r->out, trace);
        fputs("</failure></testcase>\n", r->out);
        break;
    }
}

/* ---- expectations ---- */

static void wrong_text(struct buf *b, const char *what, struct span expected, struct span actual)
{
    buf_printf(b, "%s: expected \"%.*s\", got \"%.*s\"\n", what, SPAN_FMT(expected), SPAN_FMT(actual));
}

static void expect_text(struct buf *b, const json_t *expect, const char *field, struct span actual)
{
    const json_t *v = json_object_get(expect, field);

    if (v && !span_eq(json_value_span(v), actual))
        wrong_text(b, field, json_is_null(v) ? SPAN_LIT("null") : json_value_span(v), actual);
}

static void expect_number(struct buf *b, const json_t *expect, const char *field, int64_t actual)
{
    const json_t *v = json_object_get(expect, field);

    if (v && json_integer_value(v) != actual)
        buf_printf(b, "%s: expected %" JSON_INTEGER_FORMAT ", got %" PRId64 "\n", field, json_integer_value(v), actual);
}

static bool is_model(struct span named, const struct book_model *m)
{
    return span_eq(named, m->key) || span_eq(named, m->name);
}

static void expect_attempts(struct buf *b, const json_t *list, const struct scenario_result *r)
{
    const size_t n = json_array_size(list);

    if (!list)
        return;
    for (size_t i = 0; i < n || i < r->n_attempts; i++) {
        const json_t *pair = json_array_get(list, i);
        struct span model = json_value_span(json_array_get(pair, 0)),
                    verdict = json_value_span(json_array_get(pair, 1));

        if (i < n && i < r->n_attempts && is_model(model, r->attempts[i].model) &&
            span_is(verdict, r->attempts[i].verdict))
            continue;
        buf_printf(b, "attempt %zu: expected ", i + 1);
        if (i < n)
            buf_printf(b, "%.*s %.*s, got ", SPAN_FMT(model), SPAN_FMT(verdict));
        else
            buf_add_str(b, "none, got ");
        if (i < r->n_attempts)
            buf_printf(b, "%.*s %s\n", SPAN_FMT(r->attempts[i].model->key), r->attempts[i].verdict);
        else
            buf_add_str(b, "none\n");
        return;    /* the first difference; what follows differs because of it */
    }
}

/* What the gateway would send. SPAN_NONE: not there. */
static struct span header(const struct scenario_result *r, struct span name, struct arena *a)
{
    const struct scenario_attempt *last = r->n_attempts ? &r->attempts[r->n_attempts - 1] : NULL;
    char usd[PRICE_TEXT_ROOM];

    if (span_is(name, "x-should-retry"))
        return !r->accepted && r->fail.should_not_retry ? SPAN_LIT("false") : SPAN_NONE;
    if (span_is(name, "retry-after"))
        return !r->accepted && r->fail.retry_after_ms >= 0
                   ? arena_printf(a, "%" PRId64, r->fail.retry_after_ms / 1000 + (r->fail.retry_after_ms % 1000 > 0))
                   : SPAN_NONE;
    if (!r->planned)
        return SPAN_NONE;
    if (span_is(name, "x-tollgate-route"))
        return r->plan.route_name;
    if (span_is(name, "x-tollgate-attempts"))
        return arena_printf(a, "%zu", r->n_attempts);
    if (span_is(name, "x-tollgate-warning"))
        return r->plan.warning;
    if (span_is(name, "x-tollgate-cost-usd")) {
        price_format_usd(r->cost_nano, usd);
        return arena_copy(a, span_str(usd));
    }
    if (span_is(name, "x-tollgate-model"))
        return last ? last->model->name : SPAN_NONE;
    if (span_is(name, "x-tollgate-provider"))
        return last ? last->model->provider : SPAN_NONE;
    return SPAN_LIT("(a header that scenarios do not know)");
}

static void expect_headers(struct buf *b, const json_t *headers, const struct scenario_result *r, struct arena *a)
{
    const char *name;
    json_t *v;

    json_object_foreach((json_t *)(uintptr_t)headers, name, v) {
        struct span got = header(r, span_str(name), a);

        if (json_is_null(v) ? got.p != NULL : !got.p || !span_eq(json_value_span(v), got))
            wrong_text(b, name, json_is_null(v) ? SPAN_LIT("(absent)") : json_value_span(v),
                       got.p ? got : SPAN_LIT("(absent)"));
    }
}

static void compare(struct buf *b, const json_t *expect, const struct scenario_result *r, struct arena *a)
{
    struct span part = json_span(expect, "message"), cost = json_span(expect, "cost_usd");
    char usd[PRICE_TEXT_ROOM];
    int64_t nano = -1;

    if (r->broken.p)
        buf_printf(b, "a promise is broken: %.*s\n", SPAN_FMT(r->broken));
    expect_text(b, expect, "route", r->planned ? r->plan.route_name : SPAN_NONE);
    expect_attempts(b, json_object_get(expect, "attempts"), r);
    expect_number(b, expect, "status", r->status);
    expect_text(b, expect, "code", r->accepted ? SPAN_NONE : r->fail.code);
    if (part.p && (r->accepted || span_find_span(r->fail.message, part) == r->fail.message.n))
        wrong_text(b, "message", part, r->accepted ? SPAN_LIT("(an answer)") : r->fail.message);
    expect_text(b, expect, "text", r->text);
    price_format_usd(r->cost_nano, usd);
    if (cost.p && (price_parse_usd(cost, &nano) != PRICE_PARSE_OK || nano != r->cost_nano))
        wrong_text(b, "cost_usd", cost, span_str(usd));
    expect_number(b, expect, "duration_ms", r->duration_ms);
    expect_number(b, expect, "first_byte_ms", r->first_byte_ms);
    expect_number(b, expect, "output_tokens", r->output_cap);
    expect_headers(b, json_object_get(expect, "headers"), r, a);
}

/* ---- one file ---- */

struct runner {
    struct scenario_file file;
    struct scenario_report *report;
    const char *path;
    struct book *book;
    struct policy *policy;
};

/* Plays a case; a second time, with a trace, only when it fails: thousands of passing cases need no text. */
static bool run_case(struct runner *x, const json_t *v, char *at)
{
    struct arena arena;
    struct buf wrong, trace;
    bool read = false;

    arena_init(&arena, CASE_ARENA_BYTES);
    buf_init(&wrong, 1u << 20);
    buf_init(&trace, 1u << 20);
    for (int pass = 0; pass < 2; pass++) {
        struct features f;
        struct scenario_case c;
        struct scenario_result *r = ARENA_NEW(&arena, struct scenario_result);

        read = r && scenario_read_case(&x->file, v, at, &arena, &f, &c);
        if (!read)
            break;
        c.coverage = x->report->coverage;
        scenario_play(&c, &arena, pass ? &trace : NULL, r);
        buf_clear(&wrong);
        compare(&wrong, json_object_get(v, "expect"), r, &arena);
        if (buf_span(&wrong).n == 0)
            break;
    }
    if (read)
        report_case(x->report, x->path, json_span(v, "name"), buf_span(&wrong), buf_span(&trace));
    buf_free(&trace);
    buf_free(&wrong);
    arena_free(&arena);
    return read;
}

/* A path from the scenario file, or an object in it. The tree is the caller's. */
static json_t *load_part(struct runner *x, const json_t *v, struct arena *a, char **text, const char **name)
{
    struct span path;

    *text = NULL;
    *name = x->path;
    if (json_is_object(v))
        return json_incref((json_t *)(uintptr_t)v);
    path = arena_printf(a, "%s%s", json_string_value(v)[0] == '/' ? "" : x->file.dir, json_string_value(v));
    *name = path.p;
    return path.p ? json_read(path.p, FILE_BYTES_MAX, x->file.ps, text, NULL) : NULL;
}

static void locate(struct problems *ps, const char *name, char *text)
{
    if (text)
        problems_locate(ps, name, span_str(text));
    free(text);
}

static bool load_parts(struct runner *x, const json_t *doc, struct arena *a)
{
    struct problems *ps = x->file.ps;
    const char *name;
    char *text;
    json_t *tree = load_part(x, json_object_get(doc, "prices"), a, &text, &name);

    ps->file = name;
    x->book = tree ? book_load(tree, ps) : NULL;
    json_decref(tree);
    locate(ps, name, text);
    if (!x->book)
        return false;
    tree = load_part(x, json_object_get(doc, "policy"), a, &text, &name);
    ps->file = name;
    x->policy = tree ? policy_load(tree, x->book, ps) : NULL;
    json_decref(tree);
    locate(ps, name, text);
    ps->file = x->path;
    x->file.book = x->book;
    x->file.policy = x->policy;
    return x->policy != NULL;
}

static struct span folder(const char *path, struct arena *a)
{
    const char *slash = strrchr(path, '/');

    return arena_copy(a, slash ? (struct span){ path, (size_t)(slash - path) + 1 } : SPAN_LIT(""));
}

bool scenario_run_file(const char *path, struct scenario_report *r, struct problems *ps)
{
    const size_t errors = ps->errors;
    struct runner x = { .file = { .ps = ps }, .report = r, .path = path };
    struct arena arena;
    char *text = NULL;
    size_t text_bytes = 0, i;
    json_t *doc = json_read(path, FILE_BYTES_MAX, ps, &text, &text_bytes), *one;

    arena_init(&arena, 1u << 20);
    x.file.doc = doc;
    x.file.dir = folder(path, &arena).p;
    if (doc && x.file.dir && jschema_check_bundled("scenario.schema.json", doc, ps) && load_parts(&x, doc, &arena)) {
        json_array_foreach(json_object_get(doc, "cases"), i, one) {
            char at[JSON_POINTER_ROOM] = "/cases";

            json_at_index(at, sizeof at, i);
            run_case(&x, one, at);
        }
    }
    if (text)
        problems_locate(ps, path, (struct span){ text, text_bytes });
    policy_free(x.policy);
    book_free(x.book);
    json_decref(doc);
    free(text);
    arena_free(&arena);
    return ps->errors == errors;
}
