/* test_price.c - money. Expected values are hand sums from the article, from public price pages, or follow from the
 * rule that is tested; never from running the code. */
#include "base/buf.h"
#include "pricing/testing.h"

#define HOUR INT64_C(3600000)
#define NANO INT64_C(1000000000)

static int64_t cost_of(const struct book *b, const char *key, const char *when, const char *service_tier,
                       struct usage u)
{
    const struct book_model *m = book_find(b, span_str(key));
    struct cost c;

    if (!m)
        fail_msg("no model %s", key);
    assert_int_equal(price_attempt(m, at(when), span_str(service_tier), &u, &c), PRICE_OK);
    return c.cost_nano;
}

/* ---- decimals ---- */

static void a_rate_is_read_exactly(void **state)
{
    static const struct {
        const char *text;
        int64_t pusd;
    } rows[] = { { "0", 0 }, { "1", 1000000 }, { "0.14", 140000 }, { "0.003625", 3625 }, { "0.0028", 2800 },
                 { "0.00125", 1250 }, { "1.740000", 1740000 }, { "0.000001", 1 }, { "180", 180000000 },
                 { "1000000", PRICE_RATE_MAX } };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t got = -1;

        if (price_parse_rate(span_str(rows[i].text), &got) != PRICE_PARSE_OK || got != rows[i].pusd)
            fail_msg("%s: %lld", rows[i].text, (long long)got);
    }
}

static void what_is_no_plain_decimal_is_refused_with_its_reason(void **state)
{
    static const struct {
        const char *text;
        enum price_parse rc;
    } rows[] = {
        { "", PRICE_PARSE_SYNTAX }, { " 1", PRICE_PARSE_SYNTAX }, { "1 ", PRICE_PARSE_SYNTAX },
        { "-1", PRICE_PARSE_SYNTAX }, { "+1", PRICE_PARSE_SYNTAX }, { "1e-3", PRICE_PARSE_SYNTAX },
        { "1E3", PRICE_PARSE_SYNTAX }, { ".5", PRICE_PARSE_SYNTAX }, { "5.", PRICE_PARSE_SYNTAX },
        { ".", PRICE_PARSE_SYNTAX }, { "1.2.3", PRICE_PARSE_SYNTAX }, { "1..2", PRICE_PARSE_SYNTAX },
        { "007", PRICE_PARSE_SYNTAX }, { "00.5", PRICE_PARSE_SYNTAX }, { "1,5", PRICE_PARSE_SYNTAX },
        { "0x10", PRICE_PARSE_SYNTAX }, { "inf", PRICE_PARSE_SYNTAX }, { "1_000", PRICE_PARSE_SYNTAX },
        { "99999999999999999999x", PRICE_PARSE_SYNTAX }, { "0.1234567", PRICE_PARSE_PRECISE },
        { "0.0000001", PRICE_PARSE_PRECISE }, { "0.1000000", PRICE_PARSE_PRECISE },
        { "1000000.000001", PRICE_PARSE_RANGE }, { "99999999999999999999", PRICE_PARSE_RANGE },
        { "9223372036854775807", PRICE_PARSE_RANGE },
    };
    int64_t got = 77;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (price_parse_rate(span_str(rows[i].text), &got) != rows[i].rc)
            fail_msg("\"%s\"", rows[i].text);
    assert_int_equal(price_parse_rate((struct span){ "1\0", 2 }, &got), PRICE_PARSE_SYNTAX);
    assert_int_equal(got, 77);    /* untouched */
}

static void a_budget_is_read_and_written_to_the_nano_dollar(void **state)
{
    static const struct {
        const char *text, *back;
        int64_t nano;
    } rows[] = { { "12.50", "12.5", 12 * NANO + NANO / 2 }, { "0", "0", 0 }, { "0.000144", "0.000144", 144000 },
                 { "0.000000001", "0.000000001", 1 }, { "2.00", "2", 2 * NANO }, { "100", "100", 100 * NANO },
                 { "9223372036.854775807", "9223372036.854775807", INT64_MAX } };
    char text[PRICE_TEXT_ROOM];
    int64_t got = 0;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (price_parse_usd(span_str(rows[i].text), &got) != PRICE_PARSE_OK || got != rows[i].nano)
            fail_msg("%s: %lld", rows[i].text, (long long)got);
        price_format_usd(got, text);
        assert_string_equal(text, rows[i].back);
    }
    assert_int_equal(price_parse_usd(SPAN_LIT("9223372036.854775808"), &got), PRICE_PARSE_RANGE);
    assert_int_equal(price_parse_usd(SPAN_LIT("0.0000000001"), &got), PRICE_PARSE_PRECISE);
    price_format_usd(-1500000000, text);
    assert_string_equal(text, "-1.5");
    price_format_usd(INT64_MIN, text);
    assert_string_equal(text, "-9223372036.854775808");
    price_format_rate(3625, text);
    assert_string_equal(text, "0.003625");
}

static void amounts_survive_writing_and_reading(void **state)
{
    struct dice d = { 1 };

    (void)state;
    for (int n = 0; n < 20000; n++) {
        const int64_t v = (int64_t)(dice_u64(&d) >> dice_between(&d, 1, 63));
        char text[PRICE_TEXT_ROOM];
        int64_t back;

        price_format_usd(v, text);
        assert_int_equal(price_parse_usd(span_str(text), &back), PRICE_PARSE_OK);
        assert_int_equal(back, v);
        price_format_rate(v % PRICE_RATE_MAX, text);
        assert_int_equal(price_parse_rate(span_str(text), &back), PRICE_PARSE_OK);
        assert_int_equal(back, v % PRICE_RATE_MAX);
    }
}

static void a_multiplier_is_a_reduced_fraction(void **state)
{
    struct ratio r = { 7, 7 };

    (void)state;
    assert_int_equal(price_parse_ratio(SPAN_LIT("0.5"), &r), PRICE_PARSE_OK);
    assert_true(r.num == 1 && r.den == 2);
    assert_int_equal(price_parse_ratio(SPAN_LIT("1.35"), &r), PRICE_PARSE_OK);
    assert_true(r.num == 27 && r.den == 20);
    assert_int_equal(price_parse_ratio(SPAN_LIT("0"), &r), PRICE_PARSE_OK);
    assert_true(r.num == 0 && r.den == 1);
    assert_int_equal(price_parse_ratio(SPAN_LIT("1000.000001"), &r), PRICE_PARSE_RANGE);
}

/* ---- the article ---- */

static void a_thousand_in_and_five_hundred_out_cost_what_the_article_says(void **state)
{
    /* 1,000 x input + 500 x output, in nano-dollars; `month` is the bill of a million such calls a day for 30 days,
     * as checked by hand for the article (30,000 Mtok x input + 15,000 Mtok x output), in USD. */
    static const struct {
        const char *key;
        int64_t nano, month_usd;
    } rows[] = {
        { "deepseek/deepseek-v4-pro", 3480000, 104400 },      { "deepseek/deepseek-v4-flash", 280000, 8400 },
        { "openai/gpt-5.5", 20000000, 600000 },               { "openai/gpt-5.5-pro", 120000000, 3600000 },
        { "anthropic/claude-opus-4.7", 17500000, 525000 },    { "google/gemini-3.1-pro", 8000000, 240000 },
        { "deepinfra/llama-4-maverick", 450000, 13500 },      { "xai/grok-4", 10500000, 315000 },
        { "xai/grok-4.1-fast", 450000, 13500 },               { "mistral/mistral-large-3", 5000000, 150000 },
        { "mistral/mistral-small-4", 450000, 13500 },         { "local/deepseek-v4-pro", 3480000, 104400 },
        { "local/deepseek-v4-flash", 280000, 8400 },          { "local/tiny-pro", 3480000, 104400 },
        { "local/tiny-flash", 280000, 8400 },
    };
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct usage u = { .input = 1000, .output = 500 };
        const struct usage month = { .input = INT64_C(30000000000), .output = INT64_C(15000000000) };

        if (cost_of(b, rows[i].key, "2026-04-24T12:00:00Z", "", u) != rows[i].nano ||
            cost_of(b, rows[i].key, "2026-04-24T12:00:00Z", "", month) != rows[i].month_usd * NANO)
            fail_msg("%s", rows[i].key);
    }
    book_free(b);
    problems_free(&ps);
}

static void the_articles_off_peak_hours_and_cached_rates_are_in_force(void **state)
{
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);
    const char *pro = "deepseek/deepseek-v4-pro", *flash = "deepseek/deepseek-v4-flash";
    const struct usage u = { .input = 1000, .cache_read = 10000, .output = 500 };

    (void)state;
    /* Pro: 1.74 + 0.17 x 10 + 1.74; off-peak 0.87 + 0.09 x 10 + 0.87, in thousandths of a dollar */
    assert_int_equal(cost_of(b, pro, "2026-04-24T16:29:59.999Z", "", u), 5180000);
    assert_int_equal(cost_of(b, pro, "2026-04-24T16:30:00Z", "", u), 2640000);
    assert_int_equal(cost_of(b, pro, "2026-04-25T00:29:59.999Z", "", u), 2640000);
    assert_int_equal(cost_of(b, pro, "2026-04-25T00:30:00Z", "", u), 5180000);
    /* Flash: 0.14 + 0.014 x 10 + 0.14; off-peak half */
    assert_int_equal(cost_of(b, flash, "2026-04-24T12:00:00Z", "", u), 420000);
    assert_int_equal(cost_of(b, flash, "2026-04-24T23:00:00Z", "", u), 210000);
    book_free(b);
    problems_free(&ps);
}

/* 2,000 tokens of system text, each call 300 new and 200 out, all before it cached, 50 calls: policy.md has $0.0151.
 * Fresh 2,300 + 49 x 300; cached 49 x 2,000 + 500 x 1,225; out 10,000. */
static void a_growing_conversation_of_fifty_calls_costs_a_cent_and_a_half_on_flash(void **state)
{
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);
    int64_t sum = 0;

    (void)state;
    for (int k = 0; k < 50; k++) {
        const struct usage u = { .input = k ? 300 : 2300, .cache_read = k ? 2000 + 500 * k : 0, .output = 200 };

        sum += cost_of(b, "deepseek/deepseek-v4-flash", "2026-04-24T12:00:00Z", "", u);
    }
    assert_int_equal(sum, 17000 * 140 + 710500 * 14 + 10000 * 280);
    book_free(b);
    problems_free(&ps);
}

/* ---- the public book ---- */

static void a_week_of_deepseek_today_has_35_peak_hours(void **state)
{
    /* Peak share 35 of 168 hours: 30 million calls a month are $59,812.50 on V4-Pro and $16,312.50 on V4.1-Flash. */
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);
    const struct usage u = { .input = 1000, .output = 500 };
    const struct book_model *pro = book_find(b, SPAN_LIT("deepseek/deepseek-v4-pro"));
    const struct book_model *flash = book_find(b, SPAN_LIT("deepseek/deepseek-v4-flash"));
    int64_t sum_pro = 0, sum_flash = 0;

    (void)state;
    for (int h = 0; h < 168; h++) {
        const int64_t t = at("2026-11-16T00:30:00Z") + h * HOUR;
        struct cost c;

        assert_int_equal(price_attempt(pro, t, SPAN_NONE, &u, &c), PRICE_OK);
        sum_pro += c.cost_nano;
        assert_int_equal(price_attempt(flash, t, SPAN_NONE, &u, &c), PRICE_OK);
        sum_flash += c.cost_nano;
    }
    assert_int_equal(sum_pro * 2, 35 * 2 * 3300000 + 133 * 2 * 1650000);
    assert_true(sum_pro * 30000000 / 168 == INT64_C(59812500000000));
    assert_true(sum_flash * 30000000 / 168 == INT64_C(16312500000000));
    book_free(b);
    problems_free(&ps);
}

/* Portkey-AI/models#900, pydantic/genai-prices#582: dates, hours and Beijing's weekdays and holidays together. */
static void deepseeks_price_follows_its_dated_windows(void **state)
{
    static const struct {
        const char *when;
        int64_t nano;
    } rows[] = {    /* V4-Pro, 1,000 in + 1,000 cached + 500 out */
        { "2026-04-26T12:14:59.999Z", 3650000 },    /* article: 1.74 + 0.17 + 1.74 */
        { "2026-04-26T12:15:00Z", 873625 },         /* 0.435 + 0.003625 + 0.435 */
        { "2026-08-16T15:59:59.999Z", 873625 },
        { "2026-08-16T16:00:00Z", 1672000 },        /* off-peak 0.66 + 0.022 + 0.99 */
        { "2026-08-17T01:00:00Z", 3344000 },        /* peak 1.32 + 0.044 + 1.98 */
        { "2026-08-17T04:00:00Z", 1672000 },
        { "2026-08-17T06:00:00Z", 3344000 },
        { "2026-08-17T10:00:00Z", 1672000 },
        { "2026-08-22T07:00:00Z", 3344000 },        /* Saturday, weekends not yet off-peak */
        { "2026-08-23T07:00:00Z", 1672000 },        /* Sunday, since then */
        { "2026-08-29T07:00:00Z", 1672000 },        /* Saturday */
        { "2026-09-25T07:00:00Z", 1672000 },        /* Friday, mid-autumn festival */
        { "2026-09-30T07:00:00Z", 3344000 },        /* Wednesday */
        { "2026-10-01T07:00:00Z", 1672000 },        /* Thursday, national day */
        { "2026-10-07T07:00:00Z", 1672000 },
        { "2026-10-08T07:00:00Z", 3344000 },
        { "2026-10-10T07:00:00Z", 1672000 },        /* Saturday, though a working day in China: weekends are off-peak */
    };
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);
    const struct usage u = { .input = 1000, .cache_read = 1000, .output = 500 };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int64_t got = cost_of(b, "deepseek/deepseek-v4-pro", rows[i].when, "", u);

        if (got != rows[i].nano)
            fail_msg("%s: %lld, not %lld", rows[i].when, (long long)got, (long long)rows[i].nano);
    }
    book_free(b);
    problems_free(&ps);
}

/* BerriAI/litellm#11017: long prompts at the short rate. OpenAI: "272K and above"; Google: "above 200 000". */
static void a_long_prompt_moves_the_whole_request_to_its_tier(void **state)
{
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);
    const char *when = "2026-11-20T12:00:00Z";

    (void)state;
    /* 271,999 x 5,000 nano + 1,000 x 30,000; then 272,000 x 10,000 + 1,000 x 45,000 */
    assert_int_equal(cost_of(b, "openai/gpt-5.5", when, "", (struct usage){ .input = 271999, .output = 1000 }),
                     1359995000 + 30000000);
    assert_int_equal(cost_of(b, "openai/gpt-5.5", when, "", (struct usage){ .input = 272000, .output = 1000 }),
                     INT64_C(2720000000) + 45000000);
    assert_int_equal(cost_of(b, "google/gemini-3.1-pro", when, "", (struct usage){ .input = 200000, .output = 10 }),
                     400000000 + 120000);
    assert_int_equal(cost_of(b, "google/gemini-3.1-pro", when, "", (struct usage){ .input = 200001, .output = 10 }),
                     800004000 + 180000);
    /* cached and written tokens count for the threshold too, and have the tier's rates */
    assert_int_equal(cost_of(b, "google/gemini-3.1-pro", when, "", (struct usage){ .input = 1, .cache_read = 200000 }),
                     4000 + 200000 * 400);
    /* xAI bills the dearer rate at exactly 200,000 (BerriAI/litellm#40174); twice 1.25 */
    assert_int_equal(cost_of(b, "xai/grok-4.3", when, "", (struct usage){ .input = 200000 }), 500000000);
    assert_int_equal(cost_of(b, "xai/grok-4.3", when, "", (struct usage){ .input = 199999 }), 249998750);
    book_free(b);
    problems_free(&ps);
}

static void opus_writes_reads_and_searches_have_their_own_rates(void **state)
{
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);
    /* 100 x 5 + 1,000 x 0.5 + 200 x 6.25 + 300 x 10 + 50 x 25 micro-dollars = 6,500; two searches at a cent each */
    struct usage u = { .input = 100, .cache_read = 1000, .cache_write_5m = 200, .cache_write_1h = 300, .output = 50,
                       .searches = 2 };

    (void)state;
    assert_int_equal(cost_of(b, "anthropic/claude-opus-4.7", "2026-11-20T12:00:00Z", "standard", u), 6500000 + 20000000);
    /* batch halves tokens, not searches */
    assert_int_equal(cost_of(b, "anthropic/claude-opus-4.7", "2026-11-20T12:00:00Z", "batch", u), 3250000 + 20000000);
    assert_int_equal(cost_of(b, "anthropic/claude-opus-4.7", "2026-11-20T12:00:00Z", "fast", u), 39000000 + 20000000);
    book_free(b);
    problems_free(&ps);
}

/* ---- rules, on books of their own ---- */

#define BOOK(version) "{'models':{'p/m':{'context':1000000,'versions':[" version "]}}}"
#define FROM "'from':'2026-01-01T00:00:00Z','source':'test'"

static const struct book_model *only_model(const struct book *b)
{
    return book_get(b, 0);
}

/* BerriAI/litellm#6215, maximhq/bifrost#904, agentgateway#3228: cached at the full rate, counted twice, output lost. */
static void each_counter_has_its_own_rate_and_only_that(void **state)
{
    struct book *b = book_of(BOOK("{" FROM ",'input':'1','cache_read':'2','cache_write_5m':'4','cache_write_1h':'8',"
                                  "'output':'16','reasoning':'32','input_audio':'64','input_image':'128',"
                                  "'output_audio':'256','output_image':'512','searches':'1024'}"));
    static const struct {
        struct usage u;
        int64_t nano;
    } rows[] = {
        { { .input = 1 }, 1000 }, { { .cache_read = 1 }, 2000 }, { { .cache_write_5m = 1 }, 4000 },
        { { .cache_write_1h = 1 }, 8000 }, { { .output = 1 }, 16000 }, { { .output = 1, .reasoning = 1 }, 32000 },
        { { .output = 3, .reasoning = 1 }, 64000 }, { { .input_audio = 1 }, 64000 }, { { .input_image = 1 }, 128000 },
        { { .output_audio = 1 }, 256000 }, { { .output_image = 1 }, 512000 }, { { .searches = 1 }, 1024000000 },
        { { 0 }, 0 },
        { { 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1 }, 1023000 + 1024000000 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cost c;

        assert_int_equal(price_attempt(only_model(b), at("2026-06-01T00:00:00Z"), SPAN_NONE, &rows[i].u, &c), PRICE_OK);
        if (c.cost_nano != rows[i].nano)
            fail_msg("row %zu: %lld", i, (long long)c.cost_nano);
    }
    book_free(b);
}

static void rates_that_are_not_stated_follow_input_and_output(void **state)
{
    struct book *b = book_of(BOOK("{" FROM ",'input':'1','output':'10','windows':[{'from':'12:00','to':'13:00',"
                                  "'tz':'UTC','input':'3','output':'30'}]}"));
    const struct usage u = { .input = 1, .cache_read = 1, .cache_write_5m = 1, .cache_write_1h = 1, .output = 2,
                             .reasoning = 1, .input_audio = 1, .input_image = 1, .output_audio = 1,
                             .output_image = 1, .searches = 1 };
    struct cost c;

    (void)state;
    assert_int_equal(price_attempt(only_model(b), at("2026-06-01T00:00:00Z"), SPAN_NONE, &u, &c), PRICE_OK);
    assert_int_equal(c.cost_nano, 6 * 1000 + 4 * 10000);
    assert_true(c.searches_unpriced);
    assert_int_equal(price_attempt(only_model(b), at("2026-06-01T00:00:00Z"), SPAN_NONE, &(struct usage){ .input = 1 }, &c),
                     PRICE_OK);
    assert_false(c.searches_unpriced);
    /* the window's input rate, not the version's, is what its cache rates follow */
    assert_int_equal(price_attempt(only_model(b), at("2026-06-01T12:00:00Z"), SPAN_NONE, &u, &c), PRICE_OK);
    assert_int_equal(c.cost_nano, 6 * 3000 + 4 * 30000);
    book_free(b);
}

static void half_a_nano_dollar_is_rounded_up_and_less_is_not(void **state)
{
    struct book *b = book_of(BOOK("{" FROM ",'input':'0.0005','cache_read':'0.000499','output':'0.0004'}"));

    (void)state;
    assert_int_equal(cost_of(b, "p/m", "2026-06-01T00:00:00Z", "", (struct usage){ .input = 1 }), 1);      /* 0.5 */
    assert_int_equal(cost_of(b, "p/m", "2026-06-01T00:00:00Z", "", (struct usage){ .cache_read = 1 }), 0); /* 0.499 */
    assert_int_equal(cost_of(b, "p/m", "2026-06-01T00:00:00Z", "", (struct usage){ .input = 3 }), 2);      /* 1.5 */
    /* once: 0.5 + 0.4 is 0.9, not 1 + 0; 0.4 + 0.4 + 0.4 is 1.2 */
    assert_int_equal(cost_of(b, "p/m", "2026-06-01T00:00:00Z", "", (struct usage){ .input = 1, .output = 1 }), 1);
    assert_int_equal(cost_of(b, "p/m", "2026-06-01T00:00:00Z", "", (struct usage){ .output = 3 }), 1);
    book_free(b);
}

static void multipliers_work_before_the_rounding_and_all_together(void **state)
{
    struct book *b = book_of(BOOK("{" FROM ",'input':'0.001','output':'0.001',"
                                  "'windows':[{'from':'12:00','to':'13:00','tz':'UTC','multiplier':'0.333333'}],"
                                  "'tiers':[{'prompt_from':1000,'multiplier':'3'}],"
                                  "'service_tiers':{'batch':'0.5','priority':'1.5'}}"));
    const char *noon = "2026-06-01T12:00:00Z", *one = "2026-06-01T13:00:00Z";

    (void)state;
    assert_int_equal(cost_of(b, "p/m", one, "", (struct usage){ .input = 999 }), 999);
    assert_int_equal(cost_of(b, "p/m", one, "batch", (struct usage){ .input = 999 }), 500);      /* 499.5 */
    assert_int_equal(cost_of(b, "p/m", noon, "", (struct usage){ .input = 999 }), 333);          /* 332.999667 */
    assert_int_equal(cost_of(b, "p/m", noon, "priority", (struct usage){ .input = 999 }), 499);  /* 499.4995005 */
    assert_int_equal(cost_of(b, "p/m", one, "", (struct usage){ .input = 1000 }), 3000);
    assert_int_equal(cost_of(b, "p/m", noon, "", (struct usage){ .input = 1000 }), 1000);        /* 999.999 */
    assert_int_equal(cost_of(b, "p/m", noon, "PRIORITY", (struct usage){ .input = 2000 }), 3000); /* 2999.997 */
    book_free(b);
}

static void a_tier_with_rates_of_its_own_is_multiplied_by_the_window(void **state)
{
    struct book *b = book_of(BOOK("{" FROM ",'input':'2','cache_read':'1','output':'4',"
                                  "'windows':[{'from':'12:00','to':'13:00','tz':'UTC','multiplier':'0.5'}],"
                                  "'tiers':[{'prompt_over':10,'input':'6','output':'8'},"
                                  "{'prompt_over':20,'input':'10','cache_read':'3','output':'12'}]}"));
    const char *noon = "2026-06-01T12:00:00Z", *one = "2026-06-01T13:00:00Z";

    (void)state;
    assert_int_equal(cost_of(b, "p/m", one, "", (struct usage){ .input = 10, .output = 1 }), 24000);
    assert_int_equal(cost_of(b, "p/m", one, "", (struct usage){ .input = 11, .output = 1 }), 74000);
    assert_int_equal(cost_of(b, "p/m", one, "", (struct usage){ .input = 10, .cache_read = 1 }), 61000);    /* kept 1 */
    assert_int_equal(cost_of(b, "p/m", one, "", (struct usage){ .input = 20, .cache_read = 1 }), 203000);
    assert_int_equal(cost_of(b, "p/m", noon, "", (struct usage){ .input = 20, .cache_read = 1 }), 101500);
    book_free(b);
}

static void the_reply_names_the_service_tier(void **state)
{
    struct book *b = book_of(BOOK("{" FROM ",'input':'1','output':'1','service_tiers':{'flex':'0.5'}}"));
    static const char *const standard[] = { "", "default", "Standard", "auto", "on_demand", "ON_DEMAND" };
    const struct usage u = { .input = 10 };
    struct cost c;

    (void)state;
    for (size_t i = 0; i < sizeof standard / sizeof *standard; i++) {
        assert_int_equal(price_attempt(only_model(b), at("2026-06-01T00:00:00Z"), span_str(standard[i]), &u, &c),
                         PRICE_OK);
        assert_int_equal(c.cost_nano, 10000);
        assert_false(c.service_tier_unknown);
        assert_null(c.service_tier.p);
    }
    assert_int_equal(price_attempt(only_model(b), at("2026-06-01T00:00:00Z"), SPAN_LIT("Flex"), &u, &c), PRICE_OK);
    assert_int_equal(c.cost_nano, 5000);
    assert_true(span_is(c.service_tier, "flex"));
    assert_int_equal(price_attempt(only_model(b), at("2026-06-01T00:00:00Z"), SPAN_LIT("scale"), &u, &c), PRICE_OK);
    assert_int_equal(c.cost_nano, 10000);
    assert_true(c.service_tier_unknown);
    book_free(b);
}

static void a_cost_names_version_window_and_tier(void **state)
{
    struct book *b = book_of(BOOK("{" FROM ",'input':'1','output':'1'},{'from':'2026-06-01T00:00:00Z','source':'test',"
                                  "'input':'2','output':'2','windows':[{'name':'night','from':'22:00','to':'06:00',"
                                  "'tz':'Europe/Berlin','multiplier':'0.5'}],'tiers':[{'prompt_from':5,"
                                  "'multiplier':'2'}]}"));
    const struct usage small = { .input = 4 }, large = { .input = 5 };
    struct cost c;

    (void)state;
    assert_int_equal(price_attempt(only_model(b), at("2026-05-31T23:59:59.999Z"), SPAN_NONE, &small, &c), PRICE_OK);
    assert_true(span_is(c.version, "2026-01-01T00:00:00Z") && !c.window.p && c.tier == -1 && c.cost_nano == 4000);
    assert_int_equal(price_attempt(only_model(b), at("2026-06-01T00:00:00Z"), SPAN_NONE, &large, &c), PRICE_OK);
    assert_true(span_is(c.version, "2026-06-01T00:00:00Z") && span_is(c.window, "night") && c.tier == 0);
    assert_int_equal(c.cost_nano, 10000);
    /* audit: the old version, whatever the time */
    assert_int_equal(price_attempt_at(book_version_named(only_model(b), SPAN_LIT("2026-01-01T00:00:00Z")),
                                      at("2026-07-01T00:00:00Z"), SPAN_NONE, &large, &c), PRICE_OK);
    assert_true(c.cost_nano == 5000 && span_is(c.version, "2026-01-01T00:00:00Z"));
    book_free(b);
}

static void what_cannot_be_priced_leaves_the_result_alone(void **state)
{
    struct book *b = book_of(BOOK("{" FROM ",'until':'2027-01-01T00:00:00Z','input':'1000000','output':'1000000',"
                                  "'service_tiers':{'dear':'1000'}}"));
    static const struct {
        struct usage u;
        const char *when;
        enum price_rc rc;
    } rows[] = {
        { { .input = -1 }, "2026-06-01T00:00:00Z", PRICE_RANGE },
        { { .output = -1 }, "2026-06-01T00:00:00Z", PRICE_RANGE },
        { { .output = -5, .reasoning = -5 }, "2026-06-01T00:00:00Z", PRICE_RANGE },
        { { .output = 5, .reasoning = -5 }, "2026-06-01T00:00:00Z", PRICE_RANGE },
        { { .output = 1, .reasoning = 2 }, "2026-06-01T00:00:00Z", PRICE_RANGE },
        { { .searches = -1 }, "2026-06-01T00:00:00Z", PRICE_RANGE },
        { { .input = INT64_MAX }, "2026-06-01T00:00:00Z", PRICE_RANGE },
        { { INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, 0, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX,
            INT64_MAX }, "2026-06-01T00:00:00Z", PRICE_RANGE },
        { { .input = INT64_C(9223372036) + 1 }, "2026-06-01T00:00:00Z", PRICE_RANGE },    /* one nano-dollar too many */
        { { .input = 1 }, "2025-12-31T23:59:59.999Z", PRICE_NO_VERSION },
        { { .input = 1 }, "2027-01-01T00:00:00Z", PRICE_NO_VERSION },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cost c = { .cost_nano = 4711, .tier = 42 };

        if (price_attempt(only_model(b), at(rows[i].when), SPAN_NONE, &rows[i].u, &c) != rows[i].rc)
            fail_msg("row %zu", i);
        assert_true(c.cost_nano == 4711 && c.tier == 42 && !c.version.p);
    }
    assert_int_equal(cost_of(b, "p/m", "2026-06-01T00:00:00Z", "", (struct usage){ .input = INT64_C(9223372036) }),
                     INT64_C(9223372036) * NANO);
    book_free(b);
}

static void impossible_usage_is_mended_upwards(void **state)
{
    struct usage u = { .input = -3, .output = 5, .reasoning = 9 }, good = { .input = 1, .output = 2, .reasoning = 2 };

    (void)state;
    assert_true(usage_mend(&u));
    assert_true(u.input == 0 && u.output == 9 && u.reasoning == 9);
    assert_false(usage_mend(&u));
    assert_false(usage_mend(&good));
    u = (struct usage){ .searches = -1 };
    assert_true(usage_mend(&u));
    assert_int_equal(u.searches, 0);
    u = (struct usage){ .output = 1, .reasoning = 2 };
    assert_true(usage_mend(&u));
    assert_int_equal(u.output, 2);
    assert_int_equal(usage_prompt(&(struct usage){ 1, 2, 4, 8, 99, 9, 16, 32, 99, 99, 99 }), 63);
    assert_int_equal(usage_prompt(&(struct usage){ .input = INT64_MAX, .cache_read = 1 }), INT64_MAX);
}

/* ---- properties, over random books ---- */

static void add_rate(struct buf *out, struct dice *d, const char *name, int64_t max)
{
    char text[PRICE_TEXT_ROOM];

    price_format_rate(dice_between(d, 0, max), text);
    buf_printf(out, "\"%s\":\"%s\",", name, text);
}

/* A version with everything: windows by multiplier or with rates of their own, tiers, service tiers. Where `rising`,
 * a higher tier is never cheaper than a lower one, as all public ones. */
static struct book *random_book(struct dice *d, bool rising)
{
    const int64_t most = dice_between(d, 1, 3) == 1 ? 3000 : 60000000;
    const bool own = dice_between(d, 0, 1);
    struct buf out;
    json_t *tree;
    struct problems ps;
    struct book *b;

    buf_init(&out, 65536);
    buf_printf(&out, "{\"models\":{\"p/m\":{\"context\":1000000,\"versions\":[");
    for (int v = 0; v < 2; v++) {
        buf_printf(&out, "%s{\"from\":\"%s\",\"source\":\"dice\",", v ? "," : "",
                   v ? "2026-06-10T11:30:00Z" : "2026-01-01T00:00:00Z");
        for (int i = 0; i < RATE_KINDS; i++)
            if (i == RATE_INPUT || i == RATE_OUTPUT || dice_between(d, 0, 1))
                add_rate(&out, d, rate_names[i], most);
        buf_printf(&out, "\"windows\":[{\"from\":\"22:15\",\"to\":\"03:00\",\"tz\":\"America/New_York\",");
        if (own)
            add_rate(&out, d, "input", most);
        else
            buf_printf(&out, "\"multiplier\":\"%d.%03d\",", (int)dice_between(d, 0, 3), (int)dice_between(d, 1, 999));
        buf_printf(&out, "\"days\":[\"mon\",\"wed\",\"sat\"],\"days_tz\":\"Asia/Shanghai\"}],\"tiers\":[");
        if (own || rising)
            buf_printf(&out, "{\"prompt_from\":%d,\"multiplier\":\"1.%02d\"},{\"prompt_over\":%d,\"multiplier\":\"%d.7\"}",
                       (int)dice_between(d, 1, 500), (int)dice_between(d, 0, 60), (int)dice_between(d, 500, 2000),
                       rising ? (int)dice_between(d, 1, 3) : (int)dice_between(d, 0, 3));
        else
            for (int t = 0; t < 2; t++) {
                buf_printf(&out, "%s{", t ? "," : "");
                add_rate(&out, d, "input", most);
                add_rate(&out, d, "cache_read", most);
                buf_printf(&out, "\"prompt_over\":%d}", t ? (int)dice_between(d, 600, 2000) : (int)dice_between(d, 0, 599));
            }
        buf_printf(&out, "],\"service_tiers\":{\"batch\":\"0.5\",\"priority\":\"2.%d\"}}", (int)dice_between(d, 0, 9));
    }
    buf_printf(&out, "]}}}");
    assert_true(buf_ok(&out));
    problems_init(&ps);
    tree = json_parse("dice", buf_span(&out), &ps);
    b = tree ? book_load(tree, &ps) : NULL;
    if (!b) {
        problems_print(&ps, stderr);
        fail_msg("%s", out.p);
    }
    json_decref(tree);
    problems_free(&ps);
    buf_free(&out);
    return b;
}

static int64_t random_count(struct dice *d)
{
    return dice_between(d, 0, 2) ? dice_between(d, 0, 400) : 0;
}

static struct usage random_usage(struct dice *d)
{
    struct usage u = { .input = random_count(d), .cache_read = random_count(d), .cache_write_5m = random_count(d),
                       .cache_write_1h = random_count(d), .output = random_count(d), .input_audio = random_count(d),
                       .input_image = random_count(d), .output_audio = random_count(d),
                       .output_image = random_count(d), .searches = random_count(d) };

    u.reasoning = dice_between(d, 0, u.output);
    return u;
}

static int64_t random_time(struct dice *d)
{
    return dice_between(d, at("2026-05-20T00:00:00Z"), at("2026-07-01T00:00:00Z"));
}

static struct span random_tier(struct dice *d)
{
    static const char *const names[] = { "", "batch", "priority" };

    return span_str(names[dice_between(d, 0, 2)]);
}

#define SEED_PRICES UINT64_C(20261124)

/* Visible and reasoning output are the two counters here; `output` is their sum. */
static void a_cost_never_falls_when_a_counter_rises(void **state)
{
    struct dice d = { SEED_PRICES };

    (void)state;
    for (int n = 0; n < 300; n++) {
        struct book *b = random_book(&d, true);

        for (int k = 0; k < 60; k++) {
            const int64_t t = random_time(&d), more = dice_between(&d, 1, 300);
            const struct span tier = random_tier(&d);
            struct usage u = random_usage(&d);
            int64_t *const counters[] = { &u.input, &u.cache_read, &u.cache_write_5m, &u.cache_write_1h, &u.output,
                                          &u.input_audio, &u.input_image, &u.output_audio, &u.output_image,
                                          &u.searches, &u.reasoning };
            const int which = k % 11;
            struct cost before, after;

            assert_int_equal(price_attempt(only_model(b), t, tier, &u, &before), PRICE_OK);
            *counters[which] += more;
            if (counters[which] == &u.reasoning)
                u.output += more;
            assert_int_equal(price_attempt(only_model(b), t, tier, &u, &after), PRICE_OK);
            if (after.cost_nano < before.cost_nano)
                fail_msg("seed %llu, book %d, case %d", (unsigned long long)SEED_PRICES, n, k);
        }
        book_free(b);
    }
}

/* At one moment and within one tier, k parts together differ from the whole by at most (k + 1) / 2 nano-dollars: each
 * of the k + 1 roundings moves by at most a half. */
static void the_cost_of_parts_is_the_cost_of_the_whole_but_for_the_roundings(void **state)
{
    struct dice d = { SEED_PRICES + 1 };
    int tried = 0;

    (void)state;
    for (int n = 0; n < 300; n++) {
        struct book *b = random_book(&d, false);

        for (int k = 0; k < 60; k++) {
            const int64_t t = random_time(&d), parts = dice_between(&d, 2, 5);
            const struct span tier = random_tier(&d);
            struct usage whole = { 0 };
            int64_t sum = 0;
            int in_tier = -2;
            bool same = true;
            struct cost c;

            for (int i = 0; i < parts; i++) {
                const struct usage u = random_usage(&d);
                const int64_t *from = (const int64_t *)&u;

                for (size_t j = 0; j < sizeof u / sizeof *from; j++)
                    ((int64_t *)&whole)[j] += from[j];
                assert_int_equal(price_attempt(only_model(b), t, tier, &u, &c), PRICE_OK);
                sum += c.cost_nano;
                same &= in_tier == -2 || c.tier == in_tier;
                in_tier = c.tier;
            }
            assert_int_equal(price_attempt(only_model(b), t, tier, &whole, &c), PRICE_OK);
            if (!same || c.tier != in_tier)
                continue;
            tried++;
            if (llabs(sum - c.cost_nano) > (parts + 1) / 2)
                fail_msg("seed %llu, book %d, case %d: %lld and %lld", (unsigned long long)SEED_PRICES + 1, n, k,
                         (long long)sum, (long long)c.cost_nano);
        }
        book_free(b);
    }
    assert_true(tried > 1000);
}

/* A second computation in another number system: whole dollars as long double, from the texts of the rates. */
static void a_cost_is_within_half_a_nano_dollar_of_real_arithmetic(void **state)
{
    struct dice d = { SEED_PRICES + 2 };

    (void)state;
    for (int n = 0; n < 1000; n++) {
        char in[PRICE_TEXT_ROOM], out[PRICE_TEXT_ROOM], text[512];
        const int64_t window = dice_between(&d, 1, 999999), service = dice_between(&d, 1, 999999);
        const struct usage u = { .input = dice_between(&d, 0, 1000000), .output = dice_between(&d, 0, 100000) };
        long double expected;
        struct book *b;
        struct cost c;

        price_format_rate(dice_between(&d, 0, 200000000), in);
        price_format_rate(dice_between(&d, 0, 200000000), out);
        snprintf(text, sizeof text, BOOK("{" FROM ",'input':'%s','output':'%s','windows':[{'from':'00:00','to':'24:00',"
                                         "'tz':'UTC','multiplier':'0.%06d'}],'service_tiers':{'batch':'1.%06d'}}"),
                 in, out, (int)window, (int)service);
        b = book_of(text);
        assert_int_equal(price_attempt(only_model(b), 1780000000000, SPAN_LIT("batch"), &u, &c), PRICE_OK);
        expected = ((long double)u.input * strtold(in, NULL) + (long double)u.output * strtold(out, NULL)) * 1000.0L *
                   (long double)window / 1000000.0L * (1.0L + (long double)service / 1000000.0L);
        if ((long double)c.cost_nano - expected > 0.5001L || expected - (long double)c.cost_nano > 0.5001L)
            fail_msg("case %d: %lld, not %Lf", n, (long long)c.cost_nano, expected);
        book_free(b);
    }
}

/* ---- the worst case ---- */

static struct price_bounds random_bounds(struct dice *d)
{
    static const char *const tiers[] = { "", "default", "batch", "priority", "auto", "no such tier" };
    struct price_bounds b = {
        .prompt = dice_between(d, 0, 2500), .output = dice_between(d, 0, 1000), .choices = dice_between(d, 0, 4),
        .searches = dice_between(d, 0, 3), .from_ms = random_time(d), .service_tier = span_str(tiers[dice_between(d, 0, 5)]),
        .cache_5m = dice_between(d, 0, 1), .cache_1h = dice_between(d, 0, 1), .audio = dice_between(d, 0, 1),
        .image = dice_between(d, 0, 1),
    };

    b.until_ms = b.from_ms + (dice_between(d, 0, 2) ? dice_between(d, 0, 600000) : dice_between(d, 0, 30 * 24 * HOUR));
    return b;
}

/* A usage that respects the bounds, often right at them. */
static struct usage usage_within(struct dice *d, const struct price_bounds *b)
{
    const int64_t out_max = b->output * (b->choices ? b->choices : 1);
    int64_t prompt = dice_between(d, 0, 1) ? b->prompt : dice_between(d, 0, b->prompt);
    int64_t out = dice_between(d, 0, 1) ? out_max : dice_between(d, 0, out_max);
    struct usage u = { .searches = dice_between(d, 0, b->searches) };
    struct {
        int64_t *where;
        bool may;
    } in[] = { { &u.cache_read, true }, { &u.cache_write_5m, b->cache_5m }, { &u.cache_write_1h, b->cache_1h },
               { &u.input_audio, b->audio }, { &u.input_image, b->image } },
      made[] = { { &u.output_audio, b->audio }, { &u.output_image, b->image } };

    for (size_t i = 0; i < sizeof in / sizeof *in; i++)
        if (in[i].may && !dice_between(d, 0, 2)) {
            *in[i].where = dice_between(d, 0, prompt);
            prompt -= *in[i].where;
        }
    u.input = prompt;
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        if (made[i].may && !dice_between(d, 0, 2)) {
            *made[i].where = dice_between(d, 0, out);
            out -= *made[i].where;
        }
    u.output = out;
    u.reasoning = dice_between(d, 0, out);
    return u;
}

static struct span reply_tier(struct dice *d, struct span asked)
{
    if (span_is(asked, "auto") || span_is(asked, "no such tier"))
        return random_tier(d);
    return dice_between(d, 0, 1) ? asked : SPAN_NONE;
}

static void no_usage_within_the_bounds_costs_more_than_the_worst_case(void **state)
{
    struct dice d = { SEED_PRICES + 3 };

    (void)state;
    for (int n = 0; n < 200; n++) {
        struct book *b = random_book(&d, false);

        for (int k = 0; k < 50; k++) {
            const struct price_bounds bounds = random_bounds(&d);
            int64_t worst = -1;

            assert_int_equal(price_worst(only_model(b), &bounds, &worst), PRICE_OK);
            for (int i = 0; i < 20; i++) {
                const struct usage u = usage_within(&d, &bounds);
                const int64_t t = dice_between(&d, bounds.from_ms, bounds.until_ms);
                struct cost c;

                assert_int_equal(price_attempt(only_model(b), t, reply_tier(&d, bounds.service_tier), &u, &c), PRICE_OK);
                if (c.cost_nano > worst)
                    fail_msg("seed %llu, book %d, bounds %d: %lld above %lld", (unsigned long long)SEED_PRICES + 3, n, k,
                             (long long)c.cost_nano, (long long)worst);
            }
        }
        book_free(b);
    }
}

static void the_worst_case_is_a_usage_that_can_happen_and_is_priced_the_same(void **state)
{
    struct dice d = { SEED_PRICES + 4 };

    (void)state;
    for (int n = 0; n < 200; n++) {
        struct book *b = random_book(&d, false);

        for (int k = 0; k < 50; k++) {
            const struct price_bounds bounds = random_bounds(&d);
            struct price_worst_case worst;
            struct cost c;
            int64_t nano;

            assert_int_equal(price_worst_of(only_model(b), &bounds, &worst), PRICE_OK);
            assert_int_equal(price_worst(only_model(b), &bounds, &nano), PRICE_OK);
            assert_int_equal(nano, worst.cost_nano);
            assert_int_equal(price_attempt(only_model(b), worst.at_ms, worst.service_tier, &worst.usage, &c), PRICE_OK);
            assert_int_equal(c.cost_nano, worst.cost_nano);
            assert_true(span_eq(c.version, worst.version) && !c.service_tier_unknown);
            assert_true(worst.at_ms >= bounds.from_ms && worst.at_ms <= bounds.until_ms);
            assert_true(usage_prompt(&worst.usage) <= bounds.prompt && worst.usage.searches == bounds.searches);
            assert_true(bounds.cache_5m || !worst.usage.cache_write_5m);
            assert_true(bounds.cache_1h || !worst.usage.cache_write_1h);
            assert_true(bounds.audio || !(worst.usage.input_audio || worst.usage.output_audio));
            assert_true(bounds.image || !(worst.usage.input_image || worst.usage.output_image));
        }
        book_free(b);
    }
}

static int64_t worst_of(const struct book *b, const char *key, const char *from, const char *until,
                        struct price_bounds bounds)
{
    int64_t nano = -1;

    bounds.from_ms = at(from);
    bounds.until_ms = at(until);
    assert_int_equal(price_worst(book_find(b, span_str(key)), &bounds, &nano), PRICE_OK);
    return nano;
}

static void a_reservation_takes_the_dearest_window_and_version_it_may_touch(void **state)
{
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);
    const char *pro = "deepseek/deepseek-v4-pro";
    const struct price_bounds bounds = { .prompt = 1000, .output = 500 };

    (void)state;
    /* article: 3.48 by day, 1.74 off-peak, in thousandths of a dollar; the window ends at 00:30 */
    assert_int_equal(worst_of(b, pro, "2026-04-24T17:00:00Z", "2026-04-24T17:10:00Z", bounds), 1740000);
    assert_int_equal(worst_of(b, pro, "2026-04-25T00:20:00Z", "2026-04-25T00:29:59.999Z", bounds), 1740000);
    assert_int_equal(worst_of(b, pro, "2026-04-25T00:20:00Z", "2026-04-25T00:30:00Z", bounds), 3480000);
    /* over the change of version: the dearer one */
    assert_int_equal(worst_of(b, pro, "2026-04-26T12:14:59.999Z", "2026-04-26T12:20:00Z", bounds), 3480000);
    assert_int_equal(worst_of(b, pro, "2026-04-26T12:15:00Z", "2026-04-26T12:20:00Z", bounds), 870000);
    /* the second window of the day counts like the first */
    assert_int_equal(worst_of(b, pro, "2026-11-20T05:00:00Z", "2026-11-20T05:59:59.999Z", bounds), 1650000);
    assert_int_equal(worst_of(b, pro, "2026-11-20T05:00:00Z", "2026-11-20T06:00:00Z", bounds), 3300000);
    /* Beijing's Saturday: no peak all day long */
    assert_int_equal(worst_of(b, pro, "2026-11-20T16:00:00Z", "2026-11-22T15:59:00Z", bounds), 1650000);
    assert_int_equal(worst_of(b, pro, "2026-11-20T16:00:00Z", "2026-11-23T01:00:00Z", bounds), 3300000);
    book_free(b);
    problems_free(&ps);
}

static void a_reservation_knows_choices_writes_tiers_and_service_tiers(void **state)
{
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);
    const char *gpt = "openai/gpt-5.5", *opus = "anthropic/claude-opus-4.7", *t = "2026-11-20T12:00:00Z";
    struct price_bounds bounds = { .prompt = 1000, .output = 500, .choices = 3 };

    (void)state;
    assert_int_equal(worst_of(b, gpt, t, t, bounds), 5000000 + 3 * 15000000);
    bounds.service_tier = SPAN_LIT("priority");
    assert_int_equal(worst_of(b, gpt, t, t, bounds), 50000000 * 5 / 2);
    bounds.service_tier = SPAN_LIT("flex");    /* may fall back to standard */
    assert_int_equal(worst_of(b, gpt, t, t, bounds), 50000000);
    bounds.service_tier = SPAN_LIT("auto");
    assert_int_equal(worst_of(b, gpt, t, t, bounds), 125000000);
    bounds = (struct price_bounds){ .prompt = 272000, .output = 1 };
    assert_int_equal(worst_of(b, gpt, t, t, bounds), INT64_C(2720000000) + 45000);
    bounds.prompt--;
    assert_int_equal(worst_of(b, gpt, t, t, bounds), 1359995000 + 30000);
    bounds = (struct price_bounds){ .prompt = 1000, .output = 0, .searches = 2 };
    assert_int_equal(worst_of(b, opus, t, t, bounds), 5000000 + 20000000);
    bounds = (struct price_bounds){ .prompt = 1000, .cache_5m = true };
    assert_int_equal(worst_of(b, opus, t, t, bounds), 6250000);
    bounds.cache_1h = true;
    assert_int_equal(worst_of(b, opus, t, t, bounds), 10000000);
    book_free(b);
    problems_free(&ps);
}

static void of_several_service_tiers_the_dearest_is_taken_whatever_their_order(void **state)
{
    static const char *const orders[] = { "'x':'2.5','y':'3','z':'0.5'", "'y':'3','z':'0.5','x':'2.5'",
                                          "'z':'0.5','x':'2.5','y':'3'" };

    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        const struct price_bounds bounds = { .prompt = 10, .service_tier = SPAN_LIT("auto") };
        char text[512];
        struct book *b;

        snprintf(text, sizeof text, BOOK("{" FROM ",'input':'1','output':'1','service_tiers':{%s}}"), orders[i]);
        b = book_of(text);
        assert_int_equal(worst_of(b, "p/m", "2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z", bounds), 30000);
        book_free(b);
    }
}

static void impossible_bounds_are_refused(void **state)
{
    struct book *b = book_of(BOOK("{" FROM ",'until':'2027-01-01T00:00:00Z','input':'1','output':'1'}"));
    const int64_t june = at("2026-06-01T00:00:00Z"), before = at("2025-12-31T00:00:00Z"), late = at("2027-01-02T00:00:00Z");
    const struct {
        struct price_bounds b;
        enum price_rc rc;
    } rows[] = {
        { { .prompt = -1, .from_ms = june, .until_ms = june }, PRICE_RANGE },
        { { .output = -1, .from_ms = june, .until_ms = june }, PRICE_RANGE },
        { { .choices = -1, .from_ms = june, .until_ms = june }, PRICE_RANGE },
        { { .searches = -1, .from_ms = june, .until_ms = june }, PRICE_RANGE },
        { { .from_ms = june, .until_ms = june - 1 }, PRICE_RANGE },
        { { .from_ms = INT64_MIN, .until_ms = INT64_MAX }, PRICE_RANGE },
        { { .from_ms = june, .until_ms = june + PRICE_SPAN_MAX_MS + 1 }, PRICE_RANGE },
        { { .output = INT64_MAX, .choices = 2, .from_ms = june, .until_ms = june }, PRICE_RANGE },
        { { .output = INT64_MAX, .prompt = 1, .from_ms = june, .until_ms = june }, PRICE_RANGE },
        { { .from_ms = before, .until_ms = june }, PRICE_NO_VERSION },
        { { .from_ms = june, .until_ms = late }, PRICE_NO_VERSION },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t nano = 4711;

        if (price_worst(only_model(b), &rows[i].b, &nano) != rows[i].rc)
            fail_msg("row %zu", i);
        assert_int_equal(nano, 4711);
    }
    book_free(b);
}

/* ---- for people ---- */

static void the_view_shows_what_the_price_uses(void **state)
{
    struct problems ps = { 0 };
    struct book *b = bundled_book(&ps);
    struct price_view v;

    (void)state;
    assert_int_equal(price_at(book_find(b, SPAN_LIT("openai/gpt-5.5")), at("2026-11-20T12:00:00Z"), 300000,
                              SPAN_LIT("flex"), &v), PRICE_OK);
    assert_true(v.tier == 0 && span_is(v.service_tier, "flex") && !v.window.p && v.source.n > 0);
    assert_true(v.multiplier.num == 1 && v.multiplier.den == 2);
    assert_int_equal(v.rates.pusd[RATE_INPUT], 10000000);
    assert_int_equal(v.effective.pusd[RATE_OUTPUT], 22500000);
    assert_int_equal(price_at(book_find(b, SPAN_LIT("deepseek/deepseek-v4-pro")), at("2026-11-20T02:00:00Z"), 0,
                              SPAN_NONE, &v), PRICE_OK);
    assert_true(span_is(v.window, "peak") && v.tier == -1 && v.rates.pusd[RATE_CACHE_READ] == 44000);
    assert_int_equal(v.rates.pusd[RATE_REASONING], 3960000);
    assert_int_equal(price_at(book_find(b, SPAN_LIT("deepseek/deepseek-v4-pro")), at("2026-01-01T00:00:00Z"), 0,
                              SPAN_NONE, &v), PRICE_NO_VERSION);
    book_free(b);
    problems_free(&ps);
}

static void the_view_reduces_its_multiplier(void **state)
{
    struct book *b = book_of(BOOK("{" FROM ",'input':'1','output':'1','searches':'3','windows':[{'from':'00:00','to':'24:00',"
                                  "'tz':'UTC','multiplier':'0.6'}],'tiers':[{'prompt_from':1,'multiplier':'1.25'}],"
                                  "'service_tiers':{'priority':'2'}}"));
    struct price_view v;

    (void)state;
    assert_int_equal(price_at(only_model(b), at("2026-06-01T00:00:00Z"), 1, SPAN_LIT("priority"), &v), PRICE_OK);
    assert_true(v.multiplier.num == 3 && v.multiplier.den == 2);
    assert_int_equal(v.effective.pusd[RATE_INPUT], 1500000);
    assert_int_equal(v.effective.pusd[RATE_SEARCHES], 3000000000);    /* 3 USD per 1000, not multiplied */
    book_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_is_read_exactly),
        cmocka_unit_test(what_is_no_plain_decimal_is_refused_with_its_reason),
        cmocka_unit_test(a_budget_is_read_and_written_to_the_nano_dollar),
        cmocka_unit_test(amounts_survive_writing_and_reading),
        cmocka_unit_test(a_multiplier_is_a_reduced_fraction),
        cmocka_unit_test(a_thousand_in_and_five_hundred_out_cost_what_the_article_says),
        cmocka_unit_test(the_articles_off_peak_hours_and_cached_rates_are_in_force),
        cmocka_unit_test(a_growing_conversation_of_fifty_calls_costs_a_cent_and_a_half_on_flash),
        cmocka_unit_test(a_week_of_deepseek_today_has_35_peak_hours),
        cmocka_unit_test(deepseeks_price_follows_its_dated_windows),
        cmocka_unit_test(a_long_prompt_moves_the_whole_request_to_its_tier),
        cmocka_unit_test(opus_writes_reads_and_searches_have_their_own_rates),
        cmocka_unit_test(each_counter_has_its_own_rate_and_only_that),
        cmocka_unit_test(rates_that_are_not_stated_follow_input_and_output),
        cmocka_unit_test(half_a_nano_dollar_is_rounded_up_and_less_is_not),
        cmocka_unit_test(multipliers_work_before_the_rounding_and_all_together),
        cmocka_unit_test(a_tier_with_rates_of_its_own_is_multiplied_by_the_window),
        cmocka_unit_test(the_reply_names_the_service_tier),
        cmocka_unit_test(a_cost_names_version_window_and_tier),
        cmocka_unit_test(what_cannot_be_priced_leaves_the_result_alone),
        cmocka_unit_test(impossible_usage_is_mended_upwards),
        cmocka_unit_test(a_cost_never_falls_when_a_counter_rises),
        cmocka_unit_test(the_cost_of_parts_is_the_cost_of_the_whole_but_for_the_roundings),
        cmocka_unit_test(a_cost_is_within_half_a_nano_dollar_of_real_arithmetic),
        cmocka_unit_test(no_usage_within_the_bounds_costs_more_than_the_worst_case),
        cmocka_unit_test(the_worst_case_is_a_usage_that_can_happen_and_is_priced_the_same),
        cmocka_unit_test(a_reservation_takes_the_dearest_window_and_version_it_may_touch),
        cmocka_unit_test(a_reservation_knows_choices_writes_tiers_and_service_tiers),
        cmocka_unit_test(of_several_service_tiers_the_dearest_is_taken_whatever_their_order),
        cmocka_unit_test(impossible_bounds_are_refused),
        cmocka_unit_test(the_view_shows_what_the_price_uses),
        cmocka_unit_test(the_view_reduces_its_multiplier),
    };

    return cmocka_run_group_tests_name("pricing/price", tests, NULL, NULL);
}
