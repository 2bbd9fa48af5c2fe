/* price.c - what an attempt cost, and what the next one can cost at most.
 *
 * Owns the order of things: version by time, window by time, tier by prompt tokens, service tier by name; their rates
 * laid over each other, then the defaults, then one sum, one fraction, one rounding. Does not read books (book.c) nor
 * providers' counters (the dialects). */
#include "pricing/price.h"

#include "pricing/book.h"

typedef unsigned __int128 wide;

const char *const rate_names[RATE_KINDS] = {
    [RATE_INPUT] = "input",
    [RATE_CACHE_READ] = "cache_read",
    [RATE_CACHE_WRITE_5M] = "cache_write_5m",
    [RATE_CACHE_WRITE_1H] = "cache_write_1h",
    [RATE_OUTPUT] = "output",
    [RATE_REASONING] = "reasoning",
    [RATE_INPUT_AUDIO] = "input_audio",
    [RATE_INPUT_IMAGE] = "input_image",
    [RATE_OUTPUT_AUDIO] = "output_audio",
    [RATE_OUTPUT_IMAGE] = "output_image",
    [RATE_SEARCHES] = "searches",
};

/* ---- usage ---- */

bool usage_mend(struct usage *u)
{
    int64_t *const all[] = { &u->input, &u->cache_read, &u->cache_write_5m, &u->cache_write_1h, &u->output,
                             &u->reasoning, &u->input_audio, &u->input_image, &u->output_audio, &u->output_image,
                             &u->searches };
    bool changed = false;

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (*all[i] < 0) {
            *all[i] = 0;
            changed = true;
        }
    }
    if (u->reasoning > u->output) {
        u->output = u->reasoning;
        changed = true;
    }
    return changed;
}

int64_t usage_prompt(const struct usage *u)
{
    const int64_t parts[] = { u->cache_read, u->cache_write_5m, u->cache_write_1h, u->input_audio, u->input_image };
    int64_t sum = u->input;

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (__builtin_add_overflow(sum, parts[i], &sum))
            return INT64_MAX;
    return sum;
}

/* A count for each rate: here reasoning leaves output. False for what no attempt can have used. */
static bool count_usage(const struct usage *u, int64_t count[RATE_KINDS])
{
    count[RATE_INPUT] = u->input;
    count[RATE_CACHE_READ] = u->cache_read;
    count[RATE_CACHE_WRITE_5M] = u->cache_write_5m;
    count[RATE_CACHE_WRITE_1H] = u->cache_write_1h;
    count[RATE_OUTPUT] = u->output - (u->reasoning < 0 ? 0 : u->reasoning);
    count[RATE_REASONING] = u->reasoning;
    count[RATE_INPUT_AUDIO] = u->input_audio;
    count[RATE_INPUT_IMAGE] = u->input_image;
    count[RATE_OUTPUT_AUDIO] = u->output_audio;
    count[RATE_OUTPUT_IMAGE] = u->output_image;
    count[RATE_SEARCHES] = u->searches;
    for (int i = 0; i < RATE_KINDS; i++)
        if (count[i] < 0)
            return false;
    return u->output >= 0;
}

/* ---- rates ---- */

static void lay_over(struct rates *under, const struct rates *over)
{
    for (int i = 0; i < RATE_KINDS; i++)
        if (over->pusd[i] != PRICE_UNSTATED)
            under->pusd[i] = over->pusd[i];
}

static void default_to(struct rates *r, enum rate_kind kind, enum rate_kind other)
{
    if (r->pusd[kind] == PRICE_UNSTATED)
        r->pusd[kind] = r->pusd[other];
}

/* The rates in window `w` and tier `t` (-1: none), all stated. Defaults come last, so that a cache rate nobody states
 * follows the window's or the tier's input rate. */
static struct rates rates_in(const struct book_version *v, int w, int t)
{
    struct rates r = v->rates;

    if (w >= 0)
        lay_over(&r, &v->windows[w].rates);
    if (t >= 0)
        lay_over(&r, &v->tiers[t].rates);
    default_to(&r, RATE_CACHE_READ, RATE_INPUT);
    default_to(&r, RATE_CACHE_WRITE_5M, RATE_INPUT);
    default_to(&r, RATE_CACHE_WRITE_1H, RATE_INPUT);
    default_to(&r, RATE_REASONING, RATE_OUTPUT);
    default_to(&r, RATE_INPUT_AUDIO, RATE_INPUT);
    default_to(&r, RATE_INPUT_IMAGE, RATE_INPUT);
    default_to(&r, RATE_OUTPUT_AUDIO, RATE_OUTPUT);
    default_to(&r, RATE_OUTPUT_IMAGE, RATE_OUTPUT);
    if (r.pusd[RATE_SEARCHES] == PRICE_UNSTATED)
        r.pusd[RATE_SEARCHES] = 0;
    return r;
}

static int tier_for(const struct book_version *v, int64_t prompt)
{
    int t = -1;

    while (t + 1 < (int)v->n_tiers && prompt >= v->tiers[t + 1].prompt_min)
        t++;
    return t;
}

/* Sets *unknown when `name` is neither the version's nor a word for the standard one. */
static const struct book_service_tier *service_tier_for(const struct book_version *v, struct span name, bool *unknown)
{
    static const char *const standard[] = { "", "default", "standard", "auto", "on_demand" };

    *unknown = false;
    for (size_t i = 0; i < v->n_service_tiers; i++)
        if (span_eq_nocase(v->service_tiers[i].name, name))
            return &v->service_tiers[i];
    for (size_t i = 0; i < sizeof standard / sizeof *standard; i++)
        if (span_eq_nocase(name, span_str(standard[i])))
            return NULL;
    *unknown = true;
    return NULL;
}

/* ---- the sum ---- */

struct product {
    wide num, den;
};

/* At most (10^9)^3 over (10^6)^3 from a loaded book: far below 128 bits. */
static struct product multiply(const struct book_version *v, int w, int t, struct ratio service)
{
    const struct ratio one = { 1, 1 };
    const struct ratio window = w >= 0 ? v->windows[w].multiplier : one;
    const struct ratio tier = t >= 0 ? v->tiers[t].multiplier : one;

    return (struct product){ (wide)window.num * (wide)tier.num * (wide)service.num,
                             (wide)window.den * (wide)tier.den * (wide)service.den };
}

/* n / d, half up. */
static wide divide(wide n, wide d)
{
    const wide rest = n % d;

    return n / d + (rest >= d - rest);
}

static enum price_rc add_up(const struct rates *r, const int64_t count[RATE_KINDS], struct product by, int64_t *nano)
{
    wide tokens = 0, searches, sum;

    for (int i = 0; i < RATE_KINDS; i++)
        if (i != RATE_SEARCHES && __builtin_add_overflow(tokens, (wide)count[i] * (wide)r->pusd[i], &tokens))
            return PRICE_RANGE;
    searches = (wide)count[RATE_SEARCHES] * (wide)r->pusd[RATE_SEARCHES];
    if (__builtin_mul_overflow(tokens, by.num, &tokens) || __builtin_mul_overflow(searches, by.den, &searches) ||
        __builtin_add_overflow(tokens, searches, &sum))
        return PRICE_RANGE;
    sum = divide(sum, by.den * 1000);    /* pico to nano */
    if (sum > INT64_MAX)
        return PRICE_RANGE;
    *nano = (int64_t)sum;
    return PRICE_OK;
}

/* ---- an attempt that was made ---- */

enum price_rc price_attempt_at(const struct book_version *v, int64_t start_ms, struct span service_tier,
                               const struct usage *u, struct cost *out)
{
    int64_t count[RATE_KINDS], nano;
    const struct book_service_tier *st;
    struct rates r;
    enum price_rc rc;
    bool unknown;
    int w, t;

    if (!count_usage(u, count))
        return PRICE_RANGE;
    w = window_pick(v->windows, v->n_windows, start_ms);
    t = tier_for(v, usage_prompt(u));
    st = service_tier_for(v, service_tier, &unknown);
    r = rates_in(v, w, t);
    rc = add_up(&r, count, multiply(v, w, t, st ? st->multiplier : (struct ratio){ 1, 1 }), &nano);
    if (rc != PRICE_OK)
        return rc;
    *out = (struct cost){
        .cost_nano = nano,
        .version = v->from,
        .window = w >= 0 ? v->windows[w].name : SPAN_NONE,
        .tier = t,
        .service_tier = st ? st->name : SPAN_NONE,
        .service_tier_unknown = unknown,
        .searches_unpriced = u->searches > 0 && v->rates.pusd[RATE_SEARCHES] == PRICE_UNSTATED,
    };
    return PRICE_OK;
}

enum price_rc price_attempt(const struct book_model *m, int64_t start_ms, struct span service_tier,
                            const struct usage *u, struct cost *out)
{
    const struct book_version *v = book_version_at(m, start_ms);

    return v ? price_attempt_at(v, start_ms, service_tier, u, out) : PRICE_NO_VERSION;
}

/* ---- an attempt that may be made ---- */

static bool ratio_less(struct ratio a, struct ratio b)
{
    return (wide)a.num * (wide)b.den < (wide)b.num * (wide)a.den;
}

/* The dearest service tier that a reply may bring when `asked` was asked for; NULL: the standard one, to which a
 * provider may always fall back. */
static const struct book_service_tier *dearest_service(const struct book_version *v, struct span asked)
{
    const struct book_service_tier *most = NULL;
    bool unknown;
    const struct book_service_tier *named = service_tier_for(v, asked, &unknown);
    const bool any = unknown || span_eq_nocase(asked, SPAN_LIT("auto"));

    for (size_t i = 0; i < v->n_service_tiers; i++) {
        const struct book_service_tier *st = &v->service_tiers[i];

        if ((st == named || (!named && any)) &&
            ratio_less(most ? most->multiplier : (struct ratio){ 1, 1 }, st->multiplier))
            most = st;
    }
    return most;
}

/* Where a usage holds the tokens of a kind. Reasoning tokens are output tokens too. */
static void use(struct usage *u, enum rate_kind kind, int64_t n)
{
    switch (kind) {
    case RATE_INPUT: u->input = n; break;
    case RATE_CACHE_READ: u->cache_read = n; break;
    case RATE_CACHE_WRITE_5M: u->cache_write_5m = n; break;
    case RATE_CACHE_WRITE_1H: u->cache_write_1h = n; break;
    case RATE_OUTPUT: u->output = n; break;
    case RATE_REASONING: u->output = u->reasoning = n; break;
    case RATE_INPUT_AUDIO: u->input_audio = n; break;
    case RATE_INPUT_IMAGE: u->input_image = n; break;
    case RATE_OUTPUT_AUDIO: u->output_audio = n; break;
    case RATE_OUTPUT_IMAGE: u->output_image = n; break;
    case RATE_SEARCHES: u->searches = n; break;
    case RATE_KINDS: break;
    }
}

static enum rate_kind dearer(const struct rates *r, enum rate_kind a, enum rate_kind b, bool possible)
{
    return possible && r->pusd[b] > r->pusd[a] ? b : a;
}

/* The dearest usage within the bounds, of `prompt` prompt tokens: all of the prompt of the dearest kind that it may
 * have, all of the answer likewise. */
static struct usage dearest_usage(const struct rates *r, const struct price_bounds *b, int64_t prompt, int64_t output)
{
    enum rate_kind in = dearer(r, RATE_INPUT, RATE_CACHE_READ, true);
    enum rate_kind out = dearer(r, RATE_OUTPUT, RATE_REASONING, true);
    struct usage u = { .searches = b->searches };

    in = dearer(r, in, RATE_CACHE_WRITE_5M, b->cache_5m);
    in = dearer(r, in, RATE_CACHE_WRITE_1H, b->cache_1h);
    in = dearer(r, in, RATE_INPUT_AUDIO, b->audio);
    in = dearer(r, in, RATE_INPUT_IMAGE, b->image);
    out = dearer(r, out, RATE_OUTPUT_AUDIO, b->audio);
    out = dearer(r, out, RATE_OUTPUT_IMAGE, b->image);
    use(&u, in, prompt);
    use(&u, out, output);
    return u;
}

/* Raises *worst to the worst of an attempt that starts at `at_ms`. Each tier that the prompt may reach is tried at its
 * own longest prompt: a tier may be cheaper than the one below it. */
static enum price_rc worst_at(const struct book_version *v, int64_t at_ms, const struct price_bounds *b,
                              int64_t output, struct price_worst_case *worst)
{
    const struct book_service_tier *st = dearest_service(v, b->service_tier);
    const int w = window_pick(v->windows, v->n_windows, at_ms), reached = tier_for(v, b->prompt);

    for (int t = -1; t <= reached; t++) {
        const int64_t prompt = t < reached ? v->tiers[t + 1].prompt_min - 1 : b->prompt;
        const struct rates r = rates_in(v, w, t);
        const struct usage u = dearest_usage(&r, b, prompt, output);
        const struct span service_tier = st ? st->name : SPAN_NONE;
        struct cost here;
        const enum price_rc rc = price_attempt_at(v, at_ms, service_tier, &u, &here);

        if (rc != PRICE_OK)
            return rc;
        if (!worst->version.p || here.cost_nano > worst->cost_nano)
            *worst = (struct price_worst_case){ here.cost_nano, u, at_ms, service_tier, v->from };
    }
    return PRICE_OK;
}

enum price_rc price_worst_of(const struct book_model *m, const struct price_bounds *b, struct price_worst_case *out)
{
    struct price_worst_case worst = { 0 };
    int64_t output, span_ms, next;

    if (b->prompt < 0 || b->output < 0 || b->choices < 0 || b->searches < 0 || b->until_ms < b->from_ms)
        return PRICE_RANGE;
    if (__builtin_mul_overflow(b->output, b->choices ? b->choices : 1, &output) ||
        __builtin_sub_overflow(b->until_ms, b->from_ms, &span_ms) || span_ms > PRICE_SPAN_MAX_MS)
        return PRICE_RANGE;
    for (int64_t t = b->from_ms; t <= b->until_ms; t = next) {    /* from each instant at which something may change */
        const struct book_version *v = book_version_at(m, t);
        enum price_rc rc;

        if (!v)
            return PRICE_NO_VERSION;
        rc = worst_at(v, t, b, output, &worst);
        if (rc != PRICE_OK)
            return rc;
        next = v->until_ms;
        for (size_t i = 0; i < v->n_windows; i++) {
            const int64_t edge = window_next_edge(&v->windows[i], t);

            next = edge < next ? edge : next;
        }
        if (next == INT64_MAX)
            break;
    }
    *out = worst;
    return PRICE_OK;
}

enum price_rc price_worst(const struct book_model *m, const struct price_bounds *b, int64_t *nano)
{
    struct price_worst_case worst;
    const enum price_rc rc = price_worst_of(m, b, &worst);

    if (rc == PRICE_OK)
        *nano = worst.cost_nano;
    return rc;
}

/* ---- for people ---- */

static wide common_divisor(wide a, wide b)
{
    while (b) {
        const wide rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

enum price_rc price_at(const struct book_model *m, int64_t at_ms, int64_t prompt_tokens, struct span service_tier,
                       struct price_view *out)
{
    const struct book_version *v = book_version_at(m, at_ms);
    const struct book_service_tier *st;
    struct price_view view;
    struct product by;
    wide divisor;
    bool unknown;
    int w, t;

    if (!v)
        return PRICE_NO_VERSION;
    w = window_pick(v->windows, v->n_windows, at_ms);
    t = tier_for(v, prompt_tokens);
    st = service_tier_for(v, service_tier, &unknown);
    by = multiply(v, w, t, st ? st->multiplier : (struct ratio){ 1, 1 });
    divisor = common_divisor(by.num, by.den);
    by = (struct product){ by.num / divisor, by.den / divisor };
    if (by.num > INT64_MAX)
        return PRICE_RANGE;
    view = (struct price_view){
        .rates = rates_in(v, w, t),
        .multiplier = { (int64_t)by.num, (int64_t)by.den },
        .version = v->from,
        .source = v->source,
        .window = w >= 0 ? v->windows[w].name : SPAN_NONE,
        .tier = t,
        .service_tier = st ? st->name : SPAN_NONE,
    };
    view.effective = view.rates;
    for (int i = 0; i < RATE_KINDS; i++)
        if (i != RATE_SEARCHES) {
            const wide rate = divide((wide)view.rates.pusd[i] * by.num, by.den);

            if (rate > INT64_MAX)
                return PRICE_RANGE;
            view.effective.pusd[i] = (int64_t)rate;
        }
    *out = view;
    return PRICE_OK;
}
