/* test_docs.c - is docs/dialects.md true? What stands between its marks is rendered here from the code: what becomes of each
 * field, one request in every pair of dialects, one answer for every pair. Without an argument it compares; with --write it
 * rewrites the page (make docs-dialects). */
#include <stdio.h>
#include <stdlib.h>

#include "base/jscan.h"
#include "base/jwrite.h"
#include "gateway/dialects/testing_examples.h"
#include "gateway/dialects/testing_targets.h"

#define WIDTH 118              /* of a line of pretty JSON */
#define BYTES_MAX (1u << 22)

static void die(const char *what, const char *which)
{
    fprintf(stderr, "test_docs: %s: %s\n", what, which);
    exit(1);
}

static struct arena texts;     /* freed at the end of main */

/* ' becomes ". */
static struct span json_of(const char *text)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 7);
    const size_t n = strlen(text);
    char *copy = arena_alloc(&texts, n + 1, 1);

    if (!s || !copy)
        die("no memory", "");
    memcpy(copy, text, n + 1);
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    if (jscan_feed(s, span_str(copy)) == JSCAN_BAD || jscan_end(s) != JSCAN_DONE)
        die(jscan_error(s), copy);
    jscan_free(s);
    return span_str(copy);
}

/* ---- JSON for people ---- */

/* On one line, with a blank behind each colon and comma. */
static void add_flat(struct buf *b, struct span v)
{
    const bool object = jval_type(v) == JTYPE_OBJECT;
    bool first = true;

    if (!object && jval_type(v) != JTYPE_ARRAY) {
        buf_add_span(b, v);
        return;
    }
    buf_add_char(b, object ? '{' : '[');
    for (struct jiter it = jiter_begin(v); jiter_next(&it); first = false) {
        buf_add_str(b, first ? "" : ", ");
        if (object)
            buf_printf(b, "\"%.*s\": ", SPAN_FMT(it.key));
        add_flat(b, it.value);
    }
    buf_add_char(b, object ? '}' : ']');
}

static bool is_plain(struct span v)
{
    return jval_type(v) != JTYPE_OBJECT && jval_type(v) != JTYPE_ARRAY;
}

/* What fits stays on a line, and members without brackets share one. `used` columns are taken. */
static void add_pretty(struct buf *b, struct span v, size_t indent, size_t used)
{
    const bool object = jval_type(v) == JTYPE_OBJECT;
    bool first = true, shares = false;
    size_t column = 0;
    struct buf flat;

    buf_init(&flat, BYTES_MAX);
    add_flat(&flat, v);
    if (used + flat.n <= WIDTH || is_plain(v)) {
        buf_add_span(b, buf_span(&flat));
        buf_free(&flat);
        return;
    }
    buf_free(&flat);
    buf_add_char(b, object ? '{' : '[');
    for (struct jiter it = jiter_begin(v); jiter_next(&it); first = false) {
        const size_t key = object ? it.key.n + 4 : 0;

        if (shares && is_plain(it.value) && column + key + it.value.n + 2 <= WIDTH) {
            buf_add_str(b, ", ");
            column += key + it.value.n + 2;
        } else {
            buf_printf(b, "%s\n%*s", first ? "" : ",", (int)indent + 2, "");
            column = indent + 2 + key + it.value.n;
        }
        shares = object && is_plain(it.value);
        if (object)
            buf_printf(b, "\"%.*s\": ", SPAN_FMT(it.key));
        add_pretty(b, it.value, indent + 2, indent + 2 + key);
    }
    buf_printf(b, "\n%*s%c", (int)indent, "", object ? '}' : ']');
}

/* ---- a request on its way ---- */

struct way {
    struct arena arena;
    struct chat chat;
    struct fault fault;
    struct buf body;
    struct request_out out;
    bool taken;
};

static void read_caller(struct way *w, enum dialect_id from, struct span body, bool stream)
{
    *w = (struct way){ .taken = false };
    arena_init(&w->arena, BYTES_MAX);
    buf_init(&w->body, BYTES_MAX);
    w->out = (struct request_out){ .arena = &w->arena, .body = &w->body, .fault = &w->fault };
    chat_init(&w->chat, from, body);
    if (from == DIALECT_GEMINI) {    /* these are in the path */
        w->chat.model = SPAN_LIT("auto");
        w->chat.stream = stream;
    }
    if (!dialect_get(from)->parse(&w->chat, &(struct parse_spec){ .arena = &w->arena, .fault = &w->fault }))
        die(w->fault.message, body.p);
}

static void write_provider(struct way *w, enum dialect_id to, const struct target *target)
{
    const struct dialect *d = dialect_get(to);

    w->taken = d->takes(&w->chat, target, &w->fault);
    if (w->taken && !d->write_request(&w->chat, target, &w->out))
        die(w->fault.message, w->chat.body.p);
}

static void way_free(struct way *w)
{
    arena_free(&w->arena);
    buf_free(&w->body);
}

/* ---- what becomes of each field ---- */

static const enum dialect_id columns[] = { DIALECT_CHAT, DIALECT_RESPONSES, DIALECT_ANTHROPIC, DIALECT_GEMINI };

static const char *fate(enum dialect_id from, const char *with, const char *without, enum dialect_id to)
{
    struct way a, b;
    const char *word;
    bool same;

    read_caller(&a, from, json_of(with), false);
    read_caller(&b, from, json_of(without), false);
    write_provider(&a, to, testing_target(to));
    write_provider(&b, to, testing_target(to));
    same = span_eq(buf_span(&a.body), buf_span(&b.body));
    if (!b.taken)
        die("the body without the field is refused", without);
    if (!a.taken)
        word = "**400**";
    else if (a.out.notes.n > b.out.notes.n)
        word = strstr(a.out.notes.text, "changed=") ? "changed, warned" : "dropped, warned";
    else
        word = same ? "left out" : "yes";
    way_free(&a);
    way_free(&b);
    return word;
}

static void render_fields(struct buf *b)
{
    buf_add_str(b, "| asked | to Chat | to Responses | to Anthropic | to Gemini |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < FIELD_EXAMPLES; i++) {
        const struct field_example *f = &field_examples[i];

        buf_printf(b, "| %s |", f->name);
        for (size_t c = 0; c < 4; c++) {
            const size_t k = f->said[0].dialect != columns[c] ? 0 : 1;

            buf_printf(b, " %s |", f->said[k].with ? fate(f->said[k].dialect, f->said[k].with, f->said[k].without, columns[c])
                                                   : "its own");
        }
        buf_add_str(b, "\n");
    }
}

/* ---- one request in every pair ---- */

static void target_of(size_t i, struct quirks *q, struct target *t)
{
    if (!quirks_known(q, NULL, i == 2 ? "anthropic" : i == 3 ? "gemini" : "openai", providers_of_examples[i].provider))
        die("no such host", providers_of_examples[i].provider);
    *t = (struct target){ .model = span_str(providers_of_examples[i].model), .quirks = q,
                          .traits = traits_of(span_str(providers_of_examples[i].model)), .family = q->family, .max_output = 32000 };
}

static void open_details(struct buf *b, const char *from, const char *to)
{
    buf_printf(b, "<details><summary>%s → %s</summary>\n\n", from, to);
}

static void add_json_block(struct buf *b, struct span json)
{
    buf_add_str(b, "```json\n");
    add_pretty(b, json, 0, 0);
    buf_add_str(b, "\n```\n");
}

static void render_pair(struct buf *b, size_t from, size_t to)
{
    struct quirks quirks;
    struct target target;
    struct way w;

    target_of(to, &quirks, &target);
    read_caller(&w, request_examples[from].dialect, json_of(request_examples[from].body), true);
    if (from == to) {
        struct buf whole;

        buf_init(&whole, BYTES_MAX);
        if (!dialect_get(request_examples[to].dialect)->pass_request(&w.chat, &target, &w.out))
            die(w.fault.message, request_examples[from].body);
        for (size_t i = 0; i < w.out.n_pieces; i++)
            buf_add_span(&whole, w.out.pieces[i]);
        add_json_block(b, buf_span(&whole));
        buf_free(&whole);
    } else {
        write_provider(&w, request_examples[to].dialect, &target);
        if (!w.taken)
            die(w.fault.message, request_examples[from].body);
        add_json_block(b, buf_span(&w.body));
    }
    if (w.out.notes.n)
        buf_printf(b, "\n`x-tollgate-warning: %s`\n", w.out.notes.text);
    way_free(&w);
}

static void render_requests(struct buf *b)
{
    for (size_t from = 0; from < EXAMPLES; from++) {
        buf_printf(b, "\n#### A caller of %s\n\n<details><summary>What it says</summary>\n\n", request_examples[from].name);
        add_json_block(b, json_of(request_examples[from].body));
        buf_add_str(b, "\n</details>\n");
        for (size_t to = 0; to < EXAMPLES; to++) {
            char name[96];

            snprintf(name, sizeof name, "%s (%s)", request_examples[to].name, providers_of_examples[to].model);
            buf_add_str(b, "\n");
            open_details(b, request_examples[from].name, name);
            if (from == to)
                buf_add_str(b, "The same dialect: it passes, with the provider's name of the model.\n\n");
            render_pair(b, from, to);
            buf_add_str(b, "\n</details>\n");
        }
    }
}

/* ---- one answer for every pair ---- */

static struct writer *begin_answer(struct way *caller, size_t to, size_t from, bool stream, struct buf *out)
{
    const struct reply_info info = { .id = SPAN_LIT("req_1"), .created_s = 1795521600,
                                     .model = span_str(providers_of_examples[from].model), .chat = &caller->chat, .prompt_estimate = 150 };
    struct writer *w;

    read_caller(caller, request_examples[to].dialect, json_of(request_examples[to].body), true);
    caller->chat.stream = stream;
    w = dialect_get(request_examples[to].dialect)->writer_new(&info, out);
    if (!w)
        die("no memory", "");
    return w;
}

static void render_answer(struct buf *out, size_t from, size_t to)
{
    const struct dialect *callers = dialect_get(request_examples[to].dialect);
    struct buf terminal;
    struct quirks quirks;
    struct target target;
    struct way caller;
    struct draft d;

    target_of(from, &quirks, &target);
    buf_init(&terminal, BYTES_MAX);
    draft_init(&d);
    d.writer = begin_answer(&caller, to, from, false, out);
    if (!dialect_get(request_examples[from].dialect)->read_whole(&d, json_of(answer_examples[from]), &target) ||
        !callers->writer_end(d.writer, &d, &terminal))
        die("an answer cannot be said", callers->name);
    callers->writer_free(d.writer);
    draft_free(&d);
    buf_free(&terminal);
    way_free(&caller);
}

/* The same answer in pieces, as a provider of another dialect streams it. */
static void render_stream(struct buf *out, size_t to)
{
    static const struct usage used = { .input = 120, .cache_read = 40, .output = 30, .reasoning = 12 };
    const struct dialect *callers = dialect_get(request_examples[to].dialect);
    const size_t from = to == 2 ? 3 : 2;
    struct buf terminal;
    struct way caller;
    struct draft d;
    bool ok;

    buf_init(&terminal, BYTES_MAX);
    draft_init(&d);
    d.writer = begin_answer(&caller, to, from, true, out);
    ok = draft_text(&d, 0, PIECE_REASONING, SPAN_LIT("Water and hills.")) && draft_text(&d, 0, PIECE_TEXT, SPAN_LIT("By a")) &&
         draft_text(&d, 0, PIECE_TEXT, SPAN_LIT(" lake.")) &&
         draft_call(&d, 0, 0, SPAN_LIT("call_2"), SPAN_LIT("get_weather"), false) &&
         draft_arguments(&d, 0, 0, SPAN_LIT("{\\\"city\\\":")) && draft_arguments(&d, 0, 0, SPAN_LIT("\\\"Luzern\\\"}"));
    draft_finish(&d, 0, FINISH_TOOL_CALLS, SPAN_NONE);
    draft_usage(&d, &used, false);
    if (!ok || !callers->writer_end(d.writer, &d, &terminal))
        die("a stream cannot be said", callers->name);
    buf_add_str(out, ": x-tollgate-cost-usd=0.00123\n\n");
    buf_add_span(out, buf_span(&terminal));
    callers->writer_free(d.writer);
    draft_free(&d);
    buf_free(&terminal);
    way_free(&caller);
}

static void add_stream_block(struct buf *b, struct span text)
{
    buf_add_str(b, "```text\n");
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != '\r')
            buf_add_char(b, text.p[i]);
    while (b->p[b->n - 1] == '\n')
        b->p[--b->n] = '\0';
    buf_add_str(b, "\n```\n");
}

static void render_answers(struct buf *b)
{
    for (size_t from = 0; from < EXAMPLES; from++) {
        buf_printf(b, "\n<details><summary>What %s (%s) answers</summary>\n\n", request_examples[from].name, providers_of_examples[from].model);
        add_json_block(b, json_of(answer_examples[from]));
        buf_add_str(b, "\n</details>\n");
    }
    for (size_t to = 0; to < EXAMPLES; to++) {
        struct buf out;

        buf_printf(b, "\n#### To a caller of %s\n", request_examples[to].name);
        buf_init(&out, BYTES_MAX);
        for (size_t from = 0; from < EXAMPLES; from++) {
            if (from == to)
                continue;
            buf_clear(&out);
            render_answer(&out, from, to);
            buf_add_str(b, "\n");
            open_details(b, request_examples[from].name, request_examples[to].name);
            add_json_block(b, buf_span(&out));
            buf_add_str(b, "\n</details>\n");
        }
        buf_clear(&out);
        render_stream(&out, to);
        buf_printf(b, "\n<details><summary>Streamed to %s, from any other</summary>\n\n", request_examples[to].name);
        add_stream_block(b, buf_span(&out));
        buf_add_str(b, "\n</details>\n");
        buf_free(&out);
    }
}

/* ---- the page ---- */

static char *read_page(const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = calloc(1, BYTES_MAX);

    if (!f || !text)
        die("cannot be read", path);
    text[fread(text, 1, BYTES_MAX - 1, f)] = '\0';
    fclose(f);
    return text;
}

/* The page with what stands between `<!-- NAME: begin ... -->` and `<!-- NAME: end -->` rendered anew. */
static void replace(struct buf *page, const char *name, void (*render)(struct buf *))
{
    char begin[64], end[64];
    const char *from, *to;
    struct buf anew;

    snprintf(begin, sizeof begin, "<!-- %s: begin", name);
    snprintf(end, sizeof end, "<!-- %s: end", name);
    from = strstr(page->p, begin);
    from = from ? strstr(from, "-->\n") : NULL;
    to = from ? strstr(from, end) : NULL;
    if (!to)
        die("docs/dialects.md lacks the marks of", name);
    buf_init(&anew, BYTES_MAX);
    buf_add(&anew, page->p, (size_t)(from + 4 - page->p));
    render(&anew);
    buf_add_str(&anew, to);
    buf_clear(page);
    buf_add_span(page, buf_span(&anew));
    if (!buf_ok(&anew) || !buf_ok(page))
        die("no memory", name);
    buf_free(&anew);
}

static void show_first_difference(const char *is, const char *should)
{
    unsigned line = 1;
    size_t i = 0, from = 0;

    for (; is[i] && is[i] == should[i]; i++)
        if (is[i] == '\n') {
            line++;
            from = i + 1;
        }
    fprintf(stderr, "docs/dialects.md is not what the code does, from line %u on:\n- %.*s\n+ %.*s\nmake docs-dialects writes it anew.\n", line,
            (int)strcspn(is + from, "\n"), is + from, (int)strcspn(should + from, "\n"), should + from);
}

int main(int argc, char **argv)
{
    const char *top = getenv("top_srcdir");
    const bool write = argc > 1 && strcmp(argv[1], "--write") == 0;
    char path[4096], *text;
    struct buf page;
    int rc = 0;

    snprintf(path, sizeof path, "%s/docs/dialects.md", top ? top : ".");
    text = read_page(path);
    arena_init(&texts, BYTES_MAX);
    buf_init(&page, BYTES_MAX);
    buf_add_str(&page, text);
    replace(&page, "fields", render_fields);
    replace(&page, "requests", render_requests);
    replace(&page, "answers", render_answers);
    if (write) {
        FILE *f = fopen(path, "wb");

        if (!f || fwrite(page.p, 1, page.n, f) != page.n || fclose(f) != 0)
            die("cannot be written", path);
    } else if (strcmp(text, page.p) != 0) {
        show_first_difference(text, page.p);
        rc = 1;
    }
    free(text);
    buf_free(&page);
    arena_free(&texts);
    return rc;
}
