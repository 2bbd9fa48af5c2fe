/* test_book.c - prices.json: what the bundled book says, what the loader refuses and where, how models are found. */
#include "pricing/testing.h"

static const struct book_model *model_of(const struct book *b, const char *key)
{
    const struct book_model *m = book_find(b, span_str(key));

    if (!m)
        fail_msg("no model %s", key);
    return m;
}

/* ---- the bundled book ---- */

static void the_bundled_book_loads_without_a_warning(void **state)
{
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);

    (void)state;
    problems_print(&ps, stderr);
    assert_int_equal(ps.warnings, 0);
    assert_true(span_is(book_name(b), "public"));
    book_free(b);
    problems_free(&ps);
}

static void every_figure_of_the_article_is_the_version_of_its_day(void **state)
{
    /* USD per million tokens as the article's table prints them; NULL: it prints none, so as input. */
    static const struct {
        const char *key, *input, *output, *cached;
    } rows[] = {
        { "deepseek/deepseek-v4-pro", "1.74", "3.48", "0.17" }, { "deepseek/deepseek-v4-flash", "0.14", "0.28", "0.014" },
        { "openai/gpt-5.5", "5", "30", NULL },                  { "openai/gpt-5.5-pro", "30", "180", NULL },
        { "anthropic/claude-opus-4.7", "5", "25", "0.50" },     { "google/gemini-3.1-pro", "2", "12", "0.20" },
        { "deepinfra/llama-4-maverick", "0.15", "0.60", NULL }, { "xai/grok-4", "3", "15", NULL },
        { "xai/grok-4.1-fast", "0.20", "0.50", NULL },          { "mistral/mistral-large-3", "2", "6", NULL },
        { "mistral/mistral-small-4", "0.15", "0.60", NULL },    { "local/tiny-pro", "1.74", "3.48", "0.17" },
        { "local/tiny-flash", "0.14", "0.28", "0.014" },
    };
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct book_version *v = book_version_at(model_of(b, rows[i].key), at("2026-04-24T00:00:00Z"));
        int64_t input, output, cached = PRICE_UNSTATED;

        assert_non_null(v);
        assert_true(span_is(v->from, "2026-04-24T00:00:00Z"));
        assert_int_equal(price_parse_rate(span_str(rows[i].input), &input), PRICE_PARSE_OK);
        assert_int_equal(price_parse_rate(span_str(rows[i].output), &output), PRICE_PARSE_OK);
        if (rows[i].cached)
            assert_int_equal(price_parse_rate(span_str(rows[i].cached), &cached), PRICE_PARSE_OK);
        if (v->rates.pusd[RATE_INPUT] != input || v->rates.pusd[RATE_OUTPUT] != output ||
            v->rates.pusd[RATE_CACHE_READ] != cached)
            fail_msg("%s", rows[i].key);
    }
    book_free(b);
    problems_free(&ps);
}

static void every_version_has_a_source_and_every_model_an_end_or_a_present(void **state)
{
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);
    const int64_t today = at("2026-11-24T00:00:00Z");

    (void)state;
    assert_true(book_count(b) >= 20);
    for (size_t i = 0; i < book_count(b); i++) {
        const struct book_model *m = book_get(b, i);

        assert_non_null(book_version_at(m, today));    /* retired ones too: they still go out */
        for (size_t v = 0; v < m->n_versions; v++)
            assert_true(m->versions[v].source.n > 20);
    }
    assert_null(book_get(b, book_count(b)));
    book_free(b);
    problems_free(&ps);
}

static void retired_models_name_what_follows_them(void **state)
{
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);
    const struct book_model *m = model_of(b, "xai/grok-4");

    (void)state;
    assert_false(book_is_retired(m, at("2026-05-14T23:59:59.999Z")));
    assert_true(book_is_retired(m, at("2026-05-15T00:00:00Z")));
    assert_true(span_is(m->successor, "xai/grok-4.3"));
    assert_true(span_is(model_of(b, "xai/grok-4.1-fast")->successor, "xai/grok-4.3"));
    assert_false(book_is_retired(model_of(b, "xai/grok-4.3"), at("2026-11-24T00:00:00Z")));
    book_free(b);
    problems_free(&ps);
}

/* The article's table, by the names that policies use: who serves it, under which name, how much fits, what it takes. */
static void every_model_of_the_article_is_in_the_catalogue(void **state)
{
    static const struct { const char *key, *upstream_id; int64_t context, max_output; unsigned modalities; } rows[] = {
        { "deepseek/deepseek-v4-pro", "deepseek-v4-pro", 1048576, 393216, BOOK_TEXT },
        { "deepseek/deepseek-v4-flash", "deepseek-v4-flash", 1048576, 393216, BOOK_TEXT | BOOK_IMAGE },
        { "openai/gpt-5.5", "gpt-5.5", 1050000, 128000, BOOK_TEXT | BOOK_IMAGE | BOOK_FILE },
        { "openai/gpt-5.5-pro", "gpt-5.5-pro", 1050000, 128000, BOOK_TEXT | BOOK_IMAGE | BOOK_FILE },
        { "anthropic/claude-opus-4.7", "claude-opus-4-7", 1000000, 128000, BOOK_TEXT | BOOK_IMAGE | BOOK_FILE },
        { "google/gemini-3.1-pro", "gemini-3.1-pro-preview", 1048576, 65536,
          BOOK_TEXT | BOOK_IMAGE | BOOK_AUDIO | BOOK_VIDEO | BOOK_FILE },
        { "deepinfra/llama-4-maverick", "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8", 1048576, 1048576,
          BOOK_TEXT | BOOK_IMAGE },
        { "xai/grok-4", "grok-4-0709", 256000, 256000, BOOK_TEXT | BOOK_IMAGE },
        { "xai/grok-4.1-fast", "grok-4-1-fast-reasoning", 2000000, 30000, BOOK_TEXT | BOOK_IMAGE },
        { "mistral/mistral-large-3", "mistral-large-2512", 256000, 256000, BOOK_TEXT | BOOK_IMAGE },
        { "mistral/mistral-small-4", "mistral-small-2603", 256000, 256000, BOOK_TEXT | BOOK_IMAGE },
    };
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct book_model *m = model_of(b, rows[i].key);

        assert_true(span_is(m->upstream_id, rows[i].upstream_id));
        assert_int_equal(m->context, rows[i].context);
        assert_int_equal(m->max_output, rows[i].max_output);
        assert_int_equal(m->modalities, rows[i].modalities);
    }
    book_free(b);
    problems_free(&ps);
}

/* Nothing is left to a default in the bundled book: a reader sees how much a model says at most, and what it takes in. */
static void the_bundled_book_says_of_each_model_what_it_takes_and_gives(void **state)
{
    const char *name, *top = getenv("top_srcdir");
    struct problems ps;
    json_t *tree, *m;
    char path[512];

    (void)state;
    problems_init(&ps);
    snprintf(path, sizeof path, "%s/pricing/prices.json", top ? top : ".");
    tree = json_read(path, 1 << 20, &ps, NULL, NULL);
    assert_non_null(tree);
    json_object_foreach(json_object_get(tree, "models"), name, m)
        if (!json_object_get(m, "max_output") || !json_object_get(m, "modalities"))
            fail_msg("%s leaves max_output or modalities out", name);
    json_decref(tree);
    problems_free(&ps);
}

static void attributes_are_read_and_their_defaults_hold(void **state)
{
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);
    const struct book_model *opus = model_of(b, "anthropic/claude-opus-4.7");
    const struct book_model *gemini = model_of(b, "google/gemini-3.1-pro");
    struct book *plain = book_of("{'models':{'p/a/b':{'context':1000,'versions':[{'from':'2026-01-01T00:00:00Z',"
                                 "'source':'test','input':'1','output':'1'}]}}}");
    const struct book_model *m = book_get(plain, 0);

    (void)state;
    assert_true(span_is(opus->provider, "anthropic") && span_is(opus->name, "claude-opus-4.7"));
    assert_true(span_is(opus->upstream_id, "claude-opus-4-7"));
    assert_true(opus->tokenizer_factor.num == 27 && opus->tokenizer_factor.den == 20);
    assert_int_equal(gemini->max_output, 65536);
    assert_int_equal(gemini->modalities, BOOK_TEXT | BOOK_IMAGE | BOOK_AUDIO | BOOK_VIDEO | BOOK_FILE);
    assert_int_equal(book_modality(SPAN_LIT("audio")), BOOK_AUDIO);
    assert_int_equal(book_modality(SPAN_LIT("smell")), 0);
    assert_true(span_is(m->provider, "p") && span_is(m->name, "a/b") && span_is(m->upstream_id, "a/b"));
    assert_true(m->max_output == 1000 && m->modalities == BOOK_TEXT && m->n_aliases == 0 && !m->retired.p);
    assert_true(m->tokenizer_factor.num == 1 && m->tokenizer_factor.den == 1);
    assert_null(book_name(plain).p);
    assert_int_equal(book_age_days(plain, at("2026-11-24T00:00:00Z")), -1);
    book_free(plain);
    book_free(b);
    problems_free(&ps);
}

static void a_book_knows_its_age(void **state)
{
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);

    (void)state;
    assert_int_equal(book_age_days(b, at("2026-11-20T00:00:00Z")), 0);
    assert_int_equal(book_age_days(b, at("2026-12-20T23:59:59Z")), 30);
    assert_int_equal(book_age_days(b, at("2026-12-21T00:00:00Z")), 31);
    assert_int_equal(book_age_days(b, at("2026-11-19T23:59:59Z")), -1);
    book_free(b);
    problems_free(&ps);
}

/* ---- names ---- */

#define V "'context':1000,'versions':[{'from':'2026-01-01T00:00:00Z','source':'test','input':'1','output':'1'}]"

static void names_are_resolved_in_the_agreed_order(void **state)
{
    struct book *b = book_of("{'models':{'one/m':{'upstream_id':'m-0709','aliases':['fast','quick']," V "},"
                             "'two/m':{'aliases':['fast']," V "},'two/x':{" V "},"
                             "'one/y':{'upstream_id':'x','aliases':['two/x']," V "}}}");
    const struct span two_one[] = { SPAN_LIT("two"), SPAN_LIT("one") }, only_one[] = { SPAN_LIT("one") };
    static const struct {
        const char *asked, *two_one, *only_one;
    } rows[] = {
        { "one/m", "one/m", "one/m" },
        { "two/x", "two/x", "one/y" },     /* exact, but its provider is off: then an alias may be meant */
        { "fast", "two/m", "one/m" },      /* the first provider that is on */
        { "quick", "one/m", "one/m" },
        { "m-0709", "one/m", "one/m" },
        { "m", "two/m", "one/m" },
        { "x", "one/y", "one/y" },         /* an upstream_id goes before a bare name */
        { "y", "one/y", "one/y" },
        { "two/m", "two/m", NULL },
        { "M", NULL, NULL },
        { "", NULL, NULL },
        { "three/m", NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct book_model *a = book_resolve(b, span_str(rows[i].asked), two_one, 2);
        const struct book_model *o = book_resolve(b, span_str(rows[i].asked), only_one, 1);

        if (!span_eq(a ? a->key : SPAN_NONE, span_str(rows[i].two_one)) ||
            !span_eq(o ? o->key : SPAN_NONE, span_str(rows[i].only_one)))
            fail_msg("%s", rows[i].asked);
    }
    assert_null(book_resolve(b, SPAN_LIT("m"), NULL, 0));
    book_free(b);
}

static void lookups_within_a_provider_and_over_providers(void **state)
{
    struct book *b = book_of("{'models':{'one/m':{'upstream_id':'m-0709','aliases':['fast']," V "},'two/m':{" V "},"
                             "'three/n':{'aliases':['m']," V "}}}");
    const struct book_model *m;

    (void)state;
    assert_ptr_equal(book_find_in(b, SPAN_LIT("one"), SPAN_LIT("m")), model_of(b, "one/m"));
    assert_ptr_equal(book_find_in(b, SPAN_LIT("one"), SPAN_LIT("m-0709")), model_of(b, "one/m"));
    assert_ptr_equal(book_find_in(b, SPAN_LIT("one"), SPAN_LIT("fast")), model_of(b, "one/m"));
    assert_ptr_equal(book_find_in(b, SPAN_LIT("three"), SPAN_LIT("m")), model_of(b, "three/n"));
    assert_null(book_find_in(b, SPAN_LIT("two"), SPAN_LIT("fast")));
    assert_null(book_find_in(b, SPAN_LIT("four"), SPAN_LIT("m")));
    m = book_next_named(b, SPAN_LIT("m"), NULL);
    assert_ptr_equal(m, model_of(b, "one/m"));
    m = book_next_named(b, SPAN_LIT("m"), m);
    assert_ptr_equal(m, model_of(b, "two/m"));
    assert_null(book_next_named(b, SPAN_LIT("m"), m));    /* an alias is no bare name */
    assert_null(book_next_named(b, SPAN_LIT("fast"), NULL));
    book_free(b);
}

static void versions_are_found_by_time_and_by_name(void **state)
{
    struct book *b = book_of("{'models':{'p/m':{'context':1000,'versions':["
                             "{'from':'2026-01-01T00:00:00Z','source':'test','input':'1','output':'1'},"
                             "{'from':'2026-02-01T00:00:00Z','until':'2026-03-01T00:00:00Z','source':'test','input':'2',"
                             "'output':'1'},"
                             "{'from':'2026-03-01T00:00:00Z','until':'2026-04-01T00:00:00Z','source':'test','input':'3',"
                             "'output':'1'}]}}}");
    const struct book_model *m = book_get(b, 0);

    (void)state;
    assert_null(book_version_at(m, at("2025-12-31T23:59:59.999Z")));
    assert_ptr_equal(book_version_at(m, at("2026-01-01T00:00:00Z")), &m->versions[0]);
    assert_ptr_equal(book_version_at(m, at("2026-01-31T23:59:59.999Z")), &m->versions[0]);
    assert_ptr_equal(book_version_at(m, at("2026-02-01T00:00:00Z")), &m->versions[1]);
    assert_ptr_equal(book_version_at(m, at("2026-03-31T23:59:59.999Z")), &m->versions[2]);
    assert_null(book_version_at(m, at("2026-04-01T00:00:00Z")));
    assert_ptr_equal(book_version_named(m, SPAN_LIT("2026-02-01T00:00:00Z")), &m->versions[1]);
    assert_null(book_version_named(m, SPAN_LIT("2026-02-01")));
    book_free(b);
}

static void dates_of_a_calendar_may_stand_in_any_order(void **state)
{
    struct book *b = book_of("{'calendars':{'c':{'zone':'UTC','dates':['2026-10-07','2026-01-01','2026-10-01','2026-05-01']}},"
                             "'models':{'p/m':{'context':1000,'versions':[{'from':'2026-01-01T00:00:00Z','source':'test',"
                             "'input':'1','output':'1','windows':[{'from':'00:00','to':'24:00','tz':'UTC','except':'c',"
                             "'multiplier':'2'}]}]}}}");
    const struct window *w = book_get(b, 0)->versions[0].windows;

    (void)state;
    assert_false(window_holds(w, at("2026-01-01T12:00:00Z")));
    assert_false(window_holds(w, at("2026-05-01T12:00:00Z")));
    assert_false(window_holds(w, at("2026-10-01T12:00:00Z")));
    assert_false(window_holds(w, at("2026-10-07T12:00:00Z")));
    assert_true(window_holds(w, at("2026-10-06T12:00:00Z")));
    book_free(b);
}

/* ---- what is refused, and where ---- */

struct fault {
    const char *name;
    const char *json;       /* with ' for " */
    const char *pointer;    /* of a problem that must be there */
    const char *text;       /* a part of what it says, or of its hint */
};

#define MODEL(rest) "{'models':{'p/m':{" rest "}}}"
#define VERSIONS(list) MODEL("'context':1000,'versions':[" list "]")
#define OK_V "'from':'2026-01-01T00:00:00Z','source':'test','input':'1','output':'1'"
#define VERSION(rest) VERSIONS("{" OK_V rest "}")
#define RATES(rates) VERSIONS("{'from':'2026-01-01T00:00:00Z','source':'test'," rates "}")
#define WINDOW(rest) VERSION(",'windows':[{" rest "}]")
#define WINDOWS(list) "{'calendars':{'c':{'zone':'Asia/Shanghai','dates':['2026-10-01']}},'models':{'p/m':{" \
                      "'context':1000,'versions':[{" OK_V ",'windows':[" list "]}]}}}"
#define MODELS(list) "{'models':{" list "}}"
#define AT_V "/models/p~1m/versions/0"

static const struct fault faults[] = {
    /* structure: the schema's */
    { "not an object", "[1]", "", "" },
    { "no models", "{}", "", "models" },
    { "unknown member", "{'calendar':{},'models':{'p/m':{" V "}}}", "/calendar", "calendars" },
    { "unknown member of a version", VERSION(",'cache_reed':'1'"), AT_V "/cache_reed", "cache_read" },
    { "unknown member of a window", WINDOW("'from':'01:00','to':'02:00','tz':'UTC','multiplier':'2','day':['mon']"),
      AT_V "/windows/0/day", "days" },
    { "no context", MODEL("'versions':[{" OK_V "}]"), "/models/p~1m", "context" },
    { "no versions", MODEL("'context':5"), "/models/p~1m", "versions" },
    { "empty versions", MODEL("'context':5,'versions':[]"), "/models/p~1m/versions", "" },
    { "no source", VERSIONS("{'from':'2026-01-01T00:00:00Z','input':'1','output':'1'}"), AT_V, "source" },
    { "no output", RATES("'input':'1'"), AT_V, "output" },
    { "a rate that is a number", RATES("'input':0.14,'output':'1'"), AT_V "/input", "" },
    { "context is no integer", MODEL("'context':'1000','versions':[{" OK_V "}]"), "/models/p~1m/context", "" },
    { "context of zero", MODEL("'context':0,'versions':[{" OK_V "}]"), "/models/p~1m/context", "" },
    { "a judge nobody knows", VERSION(",'judged_at':'end'"), AT_V "/judged_at", "" },
    { "a window without a zone", WINDOW("'from':'01:00','to':'02:00','multiplier':'2'"), AT_V "/windows/0", "tz" },
    { "two windows without a zone", WINDOWS("{'from':'01:00','to':'02:00','multiplier':'2'},"
                                            "{'from':'03:00','to':'04:00','multiplier':'2'}"), AT_V "/windows/1", "tz" },
    { "a calendar without a zone that is used",
      "{'calendars':{'c':{'dates':['2026-10-01']}},'models':{'p/m':{'context':1000,'versions':[{" OK_V ",'windows':["
      "{'from':'01:00','to':'02:00','tz':'UTC','except':'c','multiplier':'2'},"
      "{'from':'03:00','to':'04:00','tz':'UTC','except':'c','multiplier':'2'}]}]}}}", "/calendars/c", "zone" },
    /* keys */
    { "a key without a provider", MODELS("'m':{" V "}"), "/models/m", "is no key" },
    { "a key of a slash and a name", MODELS("'/m':{" V "}"), "/models/~1m", "is no key" },
    { "a key without a name", MODELS("'p/':{" V "}"), "/models/p~1", "is no key" },
    { "a key with a blank", MODELS("'p/a b':{" V "}"), "/models/p~1a b", "" },
    /* rates */
    { "negative", RATES("'input':'-1','output':'1'"), AT_V "/input", "no plain decimal" },
    { "over-precise", RATES("'input':'1','output':'0.1234567'"), AT_V "/output", "more than six decimals" },
    { "exponent", RATES("'input':'1e-3','output':'1'"), AT_V "/input", "no plain decimal" },
    { "per token instead of per million", RATES("'input':'0.00000014','output':'1'"), AT_V "/input", "per million" },
    { "too large", RATES("'input':'1000001','output':'1'"), AT_V "/input", "too large" },
    { "a wrong rate of a tier", VERSION(",'tiers':[{'prompt_over':5,'input':'x'}]"), AT_V "/tiers/0/input", "decimal" },
    { "a wrong rate of a window", WINDOW("'from':'01:00','to':'02:00','tz':'UTC','output':''"),
      AT_V "/windows/0/output", "decimal" },
    /* versions */
    { "no time", VERSIONS("{'from':'2026-01-01','source':'t','input':'1','output':'1'}"), AT_V "/from", "no time in UTC" },
    { "a time with an offset", VERSIONS("{'from':'2026-01-01T00:00:00+08:00','source':'t','input':'1','output':'1'}"),
      AT_V "/from", "no time in UTC" },
    { "blank source", VERSIONS("{'from':'2026-01-01T00:00:00Z','source':'  ','input':'1','output':'1'}"),
      AT_V "/source", "empty" },
    { "versions in disorder", VERSIONS("{'from':'2026-02-01T00:00:00Z','source':'t','input':'1','output':'1'},{" OK_V "}"),
      "/models/p~1m/versions/1/from", "not after" },
    { "two versions of one time", VERSIONS("{" OK_V "},{" OK_V "}"), "/models/p~1m/versions/1/from", "not after" },
    { "a gap", VERSIONS("{" OK_V ",'until':'2026-02-01T00:00:00Z'},{'from':'2026-02-01T00:00:00.001Z','source':'t',"
                        "'input':'1','output':'1'}"), "/models/p~1m/versions/1/from", "gap" },
    { "an overlap", VERSIONS("{" OK_V ",'until':'2026-02-01T00:00:00Z'},{'from':'2026-01-31T00:00:00Z','source':'t',"
                             "'input':'1','output':'1'}"), "/models/p~1m/versions/1/from", "overlaps" },
    { "an end that is no time", VERSION(",'until':'soon'"), AT_V "/until", "no time in UTC" },
    { "an end before the begin", VERSION(",'until':'2025-01-01T00:00:00Z'"), AT_V "/until", "not after" },
    /* windows */
    { "no time of day", WINDOW("'from':'25:00','to':'02:00','tz':'UTC','multiplier':'2'"), AT_V "/windows/0/from",
      "time of day" },
    { "letters in a time of day", WINDOW("'from':'ab:cd','to':'02:00','tz':'UTC','multiplier':'2'"),
      AT_V "/windows/0/from", "time of day" },
    { "a letter in a time of day", WINDOW("'from':'01:00','to':'02:0x','tz':'UTC','multiplier':'2'"),
      AT_V "/windows/0/to", "time of day" },
    { "from at 24:00", WINDOW("'from':'24:00','to':'02:00','tz':'UTC','multiplier':'2'"), AT_V "/windows/0/from",
      "time of day" },
    { "minutes of 60", WINDOW("'from':'01:60','to':'02:00','tz':'UTC','multiplier':'2'"), AT_V "/windows/0/from",
      "time of day" },
    { "to after 24:00", WINDOW("'from':'01:00','to':'24:01','tz':'UTC','multiplier':'2'"), AT_V "/windows/0/to",
      "time of day" },
    { "an empty window", WINDOW("'from':'01:00','to':'01:00','tz':'UTC','multiplier':'2'"), AT_V "/windows/0/to",
      "same as" },
    { "midnight to midnight", WINDOW("'from':'00:00','to':'00:00','tz':'UTC','multiplier':'2'"), AT_V "/windows/0/to",
      "same as" },
    { "unknown zone", WINDOW("'from':'01:00','to':'02:00','tz':'Asia/Shangai','multiplier':'2'"), AT_V "/windows/0/tz",
      "no time zone" },
    { "a zone that is a path", WINDOW("'from':'01:00','to':'02:00','tz':'../../etc/passwd','multiplier':'2'"),
      AT_V "/windows/0/tz", "no time zone" },
    { "unknown zone of days", WINDOW("'from':'01:00','to':'02:00','tz':'UTC','days':['mon'],'days_tz':'Peking',"
                                     "'multiplier':'2'"), AT_V "/windows/0/days_tz", "no time zone" },
    { "unknown day", WINDOW("'from':'01:00','to':'02:00','tz':'UTC','days':['mon','tuesday'],'multiplier':'2'"),
      AT_V "/windows/0/days/1", "one of mon" },
    { "a day twice", WINDOW("'from':'01:00','to':'02:00','tz':'UTC','days':['mon','mon'],'multiplier':'2'"),
      AT_V "/windows/0/days/1", "twice" },
    { "no day", WINDOW("'from':'01:00','to':'02:00','tz':'UTC','days':[],'multiplier':'2'"), AT_V "/windows/0/days", "" },
    { "a clock of days without days", WINDOW("'from':'01:00','to':'02:00','tz':'UTC','days_tz':'UTC','multiplier':'2'"),
      AT_V "/windows/0/days_tz", "without" },
    { "unknown calendar", WINDOW("'from':'01:00','to':'02:00','tz':'UTC','except':'c','multiplier':'2'"),
      AT_V "/windows/0/except", "no calendar" },
    { "neither multiplier nor rates", WINDOW("'from':'01:00','to':'02:00','tz':'UTC'"), AT_V "/windows/0", "neither" },
    { "multiplier and rates", WINDOW("'from':'01:00','to':'02:00','tz':'UTC','multiplier':'2','input':'1'"),
      AT_V "/windows/0/multiplier", "one or the other" },
    { "a multiplier of zero", WINDOW("'from':'01:00','to':'02:00','tz':'UTC','multiplier':'0'"),
      AT_V "/windows/0/multiplier", "above 0" },
    { "a negative multiplier", WINDOW("'from':'01:00','to':'02:00','tz':'UTC','multiplier':'-0.5'"),
      AT_V "/windows/0/multiplier", "decimal" },
    { "searches in a window", WINDOW("'from':'01:00','to':'02:00','tz':'UTC','searches':'10'"),
      AT_V "/windows/0/searches", "" },
    { "windows that overlap", WINDOWS("{'from':'01:00','to':'04:00','tz':'UTC','multiplier':'2'},"
                                      "{'from':'03:59','to':'10:00','tz':'UTC','multiplier':'3'}"),
      AT_V "/windows/1", "2026-01-01T03:59:00Z" },
    { "windows that overlap across midnight", WINDOWS("{'from':'22:00','to':'02:00','tz':'UTC','multiplier':'2'},"
                                                      "{'from':'01:00','to':'03:00','tz':'UTC','multiplier':'3'}"),
      AT_V "/windows/1", "overlaps" },
    { "windows that overlap in summer only",
      WINDOWS("{'from':'08:00','to':'09:00','tz':'UTC','multiplier':'2'},"
              "{'from':'10:00','to':'11:00','tz':'Europe/Berlin','multiplier':'3'}"),
      AT_V "/windows/1", "2026-03-29T08:00:00Z" },
    { "windows that overlap on one weekday only",
      WINDOWS("{'from':'15:00','to':'17:00','tz':'UTC','days':['fri'],'multiplier':'2'},"
              "{'from':'16:00','to':'18:00','tz':'UTC','days':['sat'],'days_tz':'Asia/Shanghai','multiplier':'3'}"),
      AT_V "/windows/1", "2026-01-02T16:00:00Z" },
    { "a fault in the second window", WINDOWS("{'from':'01:00','to':'04:00','tz':'UTC','multiplier':'2'},"
                                              "{'from':'05:00','to':'06:00','tz':'UTC','multiplier':'x'}"),
      AT_V "/windows/1/multiplier", "decimal" },
    /* tiers */
    { "a tier at no number of tokens", VERSION(",'tiers':[{'prompt_over':2000000000000,'input':'2'}]"),
      AT_V "/tiers/0/prompt_over", "no sensible" },
    { "a tier from nothing", VERSION(",'tiers':[{'prompt_from':0,'input':'2'}]"), AT_V "/tiers/0/prompt_from", "" },
    { "searches in a tier", VERSION(",'tiers':[{'prompt_over':5,'searches':'2'}]"), AT_V "/tiers/0/searches", "" },
    { "a fault in the second tier", VERSION(",'tiers':[{'prompt_over':5,'input':'2'},{'prompt_over':6,'input':'x'}]"),
      AT_V "/tiers/1/input", "decimal" },
    { "a tier without a threshold", VERSION(",'tiers':[{'input':'2'}]"), AT_V "/tiers/0", "prompt_over" },
    { "a tier with two", VERSION(",'tiers':[{'prompt_over':5,'prompt_from':5,'input':'2'}]"),
      AT_V "/tiers/0/prompt_from", "one or the other" },
    { "tiers out of order", VERSION(",'tiers':[{'prompt_over':10,'input':'2'},{'prompt_over':5,'input':'3'}]"),
      AT_V "/tiers/1", "out of order" },
    { "the same tier twice", VERSION(",'tiers':[{'prompt_over':10,'input':'2'},{'prompt_from':11,'input':'3'}]"),
      AT_V "/tiers/1", "out of order" },
    { "a tier without effect", VERSION(",'tiers':[{'prompt_over':10}]"), AT_V "/tiers/0", "neither" },
    { "own rates of windows and tiers",
      VERSION(",'windows':[{'from':'01:00','to':'02:00','tz':'UTC','input':'2'}],'tiers':[{'prompt_over':5,'input':'3'}]"),
      AT_V "/tiers", "multiplier" },
    { "a service tier of nothing", VERSION(",'service_tiers':{'batch':'0'}"), AT_V "/service_tiers/batch", "above 0" },
    { "a service tier that is a number", VERSION(",'service_tiers':{'batch':0.5}"), AT_V "/service_tiers/batch", "" },
    { "a service tier twice", VERSION(",'service_tiers':{'batch':'0.5','Batch':'0.6'}"),
      AT_V "/service_tiers/Batch", "same name" },
    /* models */
    { "more output than context", MODEL("'context':5,'max_output':6,'versions':[{" OK_V "}]"), "/models/p~1m/max_output",
      "larger than the context" },
    { "unknown modality", MODEL("'modalities':['text','smell'],'context':5,'versions':[{" OK_V "}]"),
      "/models/p~1m/modalities/1", "one of text" },
    { "a factor of zero", MODEL("'tokenizer_factor':'0','context':5,'versions':[{" OK_V "}]"),
      "/models/p~1m/tokenizer_factor", "above 0" },
    { "retired some day", MODEL("'retired':'soon','successor':null,'context':5,'versions':[{" OK_V "}]"),
      "/models/p~1m/retired", "no date" },
    { "unknown successor", MODELS("'p/m':{'retired':'2026-01-01','successor':'p/new'," V "},'p/newer':{" V "}"),
      "/models/p~1m/successor", "p/newer" },
    { "its own successor", MODEL("'successor':'p/m'," V), "/models/p~1m/successor", "itself" },
    { "an alias that is another's name", MODELS("'p/m':{" V "},'p/n':{'aliases':['x','m']," V "}"),
      "/models/p~1n/aliases/1", "already a name of p/m" },
    { "an alias that is another's alias", MODELS("'p/m':{'aliases':['a']," V "},'p/n':{'aliases':['a']," V "}"),
      "/models/p~1n/aliases/0", "already a name of p/m" },
    { "an upstream_id that is another's", MODELS("'p/m':{'upstream_id':'u'," V "},'p/n':{'upstream_id':'u'," V "}"),
      "/models/p~1n/upstream_id", "already a name of p/m" },
    { "a name that is another's alias", MODELS("'p/m':{'aliases':['n']," V "},'p/n':{" V "}"), "/models/p~1n",
      "already a name of p/m" },
    /* calendars and the whole */
    { "a date that is none", "{'calendars':{'c':{'zone':'UTC','dates':['2026-02-29']}},'models':{'p/m':{" V "}}}",
      "/calendars/c/dates/0", "no date" },
    { "a date twice", "{'calendars':{'c':{'zone':'UTC','dates':['2026-01-01','2026-01-01']}},'models':{'p/m':{" V "}}}",
      "/calendars/c/dates/1", "already" },
    { "a calendar in no zone", "{'calendars':{'c':{'zone':'Mars','dates':[]}},'models':{'p/m':{" V "}}}",
      "/calendars/c/zone", "no time zone" },
    { "a calendar without a zone", "{'calendars':{'c':{'dates':[]}},'models':{'p/m':{" V "}}}", "/calendars/c", "zone" },
    { "read on no day", "{'read_on':'2026-13-01','models':{'p/m':{" V "}}}", "/read_on", "no date" },
    { "a near calendar is named", WINDOWS("{'from':'01:00','to':'04:00','tz':'UTC','except':'d','multiplier':'2'}"),
      AT_V "/windows/0/except", "c" },
};

static bool tells(const struct problems *ps, const struct fault *f)
{
    for (size_t i = 0; i < ps->n; i++) {
        const struct problem *p = &ps->list[i];

        if (p->weight == PROBLEM_ERROR && strcmp(p->pointer, f->pointer) == 0 &&
            (strstr(p->text, f->text) || (p->hint && strstr(p->hint, f->text))))
            return true;
    }
    return false;
}

static void each_fault_is_refused_and_told_at_its_place(void **state)
{
    int wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        json_t *tree = tree_of(faults[i].json);
        struct problems ps;
        struct book *b;

        problems_init(&ps);
        b = book_load(tree, &ps);
        if (b || !tells(&ps, &faults[i])) {
            fprintf(stderr, "\"%s\" is %s; expected \"%s\" at %s:\n", faults[i].name, b ? "loaded" : "told otherwise",
                    faults[i].text, faults[i].pointer);
            problems_print(&ps, stderr);
            wrong++;
        }
        book_free(b);
        problems_free(&ps);
        json_decref(tree);
    }
    assert_int_equal(wrong, 0);
}

static void all_faults_are_told_at_once(void **state)
{
    json_t *tree = tree_of("{'read_on':'never','calendars':{'c':{'zone':'Mars','dates':['x']}},'models':{'p/m':{'context':1,"
                           "'max_output':2,'versions':[{'from':'now','source':'','input':'-1','output':'1e3','windows':["
                           "{'from':'1','to':'2','tz':'Moon','days':['day'],'except':'d'}],'tiers':[{}],"
                           "'service_tiers':{'a':'x'}}]}}}");
    static const char *const pointers[] = {
        "/read_on", "/calendars/c/zone", "/calendars/c/dates/0", "/models/p~1m/max_output", AT_V "/from", AT_V "/source",
        AT_V "/input", AT_V "/output", AT_V "/windows/0/from", AT_V "/windows/0/to", AT_V "/windows/0/tz",
        AT_V "/windows/0/days/0", AT_V "/windows/0/except", AT_V "/windows/0", AT_V "/tiers/0", AT_V "/service_tiers/a",
    };
    struct problems ps;

    (void)state;
    problems_init(&ps);
    assert_null(book_load(tree, &ps));
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++)
        if (!tells(&ps, &(struct fault){ .pointer = pointers[i], .text = "" }))
            fail_msg("nothing at %s", pointers[i]);
    problems_free(&ps);
    json_decref(tree);
}

static void windows_that_only_touch_do_not_overlap(void **state)
{
    /* the weekday is Beijing's: 16:00 UTC on Friday is Saturday there; London's clock against Berlin's never meets */
    book_free(book_of(WINDOWS("{'from':'01:00','to':'04:00','tz':'UTC','multiplier':'2'},"
                              "{'from':'04:00','to':'10:00','tz':'UTC','multiplier':'3'},"
                              "{'from':'10:00','to':'01:00','tz':'UTC','multiplier':'3'}")));
    book_free(book_of(WINDOWS("{'from':'15:00','to':'17:00','tz':'UTC','days':['fri'],'days_tz':'Asia/Shanghai',"
                              "'multiplier':'2'},"
                              "{'from':'16:00','to':'18:00','tz':'UTC','days':['sat'],'days_tz':'Asia/Shanghai',"
                              "'multiplier':'3'}")));
    book_free(book_of(WINDOWS("{'from':'08:00','to':'09:00','tz':'Europe/London','multiplier':'2'},"
                              "{'from':'10:00','to':'11:00','tz':'Europe/Berlin','multiplier':'3'}")));
    /* nor do those that would meet just when their version ends */
    book_free(book_of(VERSION(",'until':'2026-01-01T03:00:00Z','windows':["
                              "{'from':'01:00','to':'04:00','tz':'UTC','multiplier':'2'},"
                              "{'from':'03:00','to':'10:00','tz':'UTC','multiplier':'3'}]")));
    (void)state;
}

static void what_is_suspicious_is_a_warning_and_loads(void **state)
{
    static const struct fault rows[] = {
        /* Portkey-AI/models has Gemini's storage price as cache_read: reads then cost 22 times too much */
        { "cache_read above input", RATES("'input':'1','cache_read':'4.5','output':'1'"), AT_V "/cache_read", "dearer" },
        { "retired, and nothing follows", MODEL("'retired':'2026-01-01'," V), "/models/p~1m", "successor" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *tree = tree_of(rows[i].json);
        struct problems ps;
        struct book *b;

        problems_init(&ps);
        b = book_load(tree, &ps);
        assert_non_null(b);
        assert_int_equal(ps.warnings, 1);
        assert_string_equal(ps.list[0].pointer, rows[i].pointer);
        assert_non_null(strstr(ps.list[0].text, rows[i].text));
        book_free(b);
        problems_free(&ps);
        json_decref(tree);
    }
}

/* Any value of the bundled book replaced by any other kind of value: refused with a word, or loaded. */
static void damage(struct dice *d, json_t *at, int64_t *countdown)
{
    static const char *const texts[] = { "", "-1", "0", "UTC", "Asia/Shanghai", "24:00", "00:00", "x/y",
                                         "2026-08-22T16:00:00Z", "china-holidays" };
    json_t *value, *instead;
    const char *key;
    size_t i;
    void *next;

    json_object_foreach_safe(at, next, key, value) {
        if (--*countdown == 0) {
            switch (dice_between(d, 0, 6)) {
            case 0: instead = json_null(); break;
            case 1: instead = json_integer(dice_between(d, -2, 3000000)); break;
            case 2: instead = json_array(); break;
            case 3: instead = json_object(); break;
            case 4: json_object_del(at, key); return;
            case 5: instead = json_true(); break;
            default: instead = json_string(texts[dice_between(d, 0, 9)]); break;
            }
            json_object_set_new(at, key, instead);
            return;
        }
        damage(d, value, countdown);
        if (*countdown <= 0)
            return;
    }
    json_array_foreach(at, i, value) {
        damage(d, value, countdown);
        if (*countdown <= 0)
            return;
    }
}

static void a_damaged_book_is_refused_with_a_word_or_loads(void **state)
{
    struct dice d = { 404 };
    struct problems ps = { 0 };
    char path[4096];
    json_t *whole;

    (void)state;
    snprintf(path, sizeof path, "%s/pricing/prices.json", getenv("top_srcdir") ? getenv("top_srcdir") : ".");
    whole = json_read(path, 1u << 24, &ps, NULL, NULL);
    assert_non_null(whole);
    for (int n = 0; n < 120; n++) {
        json_t *tree = json_deep_copy(whole);
        struct book *b;

        for (int64_t k = dice_between(&d, 1, 3); k > 0; k--) {
            int64_t countdown = dice_between(&d, 1, 700);

            damage(&d, tree, &countdown);
        }
        problems_free(&ps);
        b = book_load(tree, &ps);
        assert_true(b || ps.errors);
        book_free(b);
        json_decref(tree);
    }
    problems_free(&ps);
    json_decref(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bundled_book_loads_without_a_warning),
        cmocka_unit_test(every_figure_of_the_article_is_the_version_of_its_day),
        cmocka_unit_test(every_version_has_a_source_and_every_model_an_end_or_a_present),
        cmocka_unit_test(retired_models_name_what_follows_them),
        cmocka_unit_test(every_model_of_the_article_is_in_the_catalogue),
        cmocka_unit_test(the_bundled_book_says_of_each_model_what_it_takes_and_gives),
        cmocka_unit_test(attributes_are_read_and_their_defaults_hold),
        cmocka_unit_test(a_book_knows_its_age),
        cmocka_unit_test(names_are_resolved_in_the_agreed_order),
        cmocka_unit_test(lookups_within_a_provider_and_over_providers),
        cmocka_unit_test(versions_are_found_by_time_and_by_name),
        cmocka_unit_test(dates_of_a_calendar_may_stand_in_any_order),
        cmocka_unit_test(each_fault_is_refused_and_told_at_its_place),
        cmocka_unit_test(all_faults_are_told_at_once),
        cmocka_unit_test(windows_that_only_touch_do_not_overlap),
        cmocka_unit_test(a_damaged_book_is_refused_with_a_word_or_loads),
        cmocka_unit_test(what_is_suspicious_is_a_warning_and_loads),
    };

    return cmocka_run_group_tests_name("pricing/book", tests, NULL, NULL);
}
