/* json_schema.c - walks schema and value by their spans; builds nothing. One function for each group of keywords. */
#include "policies/json_schema.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/jscan.h"
#include "policies/decimal.h"

#define STEPS_MAX 2000000u         /* looks at one place: an answer of 100,000 values against a schema of some size */
#define DEPTH_MAX 200u             /* of schemas within schemas, references followed included */
#define PATTERNS_MAX 64u
#define MATCH_LIMIT 100000u        /* of PCRE2: a hostile pattern ends here, not in an hour */
#define ARENA_BYTES (4u << 20)

/* The brief check: a step may pass over the whole value or look into the whole schema, so both are short. */
#define BRIEF_MATCH_LIMIT 1000u
#define BRIEF_MATCH_STEPS 64u      /* what a pattern counts */
#define BRIEF_SCHEMA_BYTES 65536u
#define BRIEF_VALUE_BYTES 8192u

struct pattern {
    struct span source;
    pcre2_code *code;              /* NULL: it does not compile */
};

struct walk {
    struct span root;
    struct arena arena;
    uint32_t steps, steps_most, match_limit, match_steps;
    bool overworked;               /* gave up for that */
    unsigned depth;
    bool marks;                    /* the schema says "unevaluated..." somewhere: members that were judged are remembered */
    unsigned guesses;              /* within anyOf, not, if...: a misfit there is no misfit yet */
    bool gave_up;
    char why[160];
    struct span at[64];            /* keys on the way to the value; an index has p NULL and n its number */
    unsigned n_at;
    struct pattern patterns[PATTERNS_MAX];
    size_t n_patterns;
};

/* Which children of one object or array have been judged by some subschema. NULL marks: nobody asks. */
struct seen {
    unsigned char *marks;
    size_t n;
};

static bool fits(struct walk *w, struct span schema, struct span value, struct seen *seen);

/* ---- giving up, and saying why ---- */

static bool give_up(struct walk *w, const char *what)
{
    if (!w->gave_up)
        snprintf(w->why, sizeof w->why, "%s", what);
    w->gave_up = true;
    return true;
}

static bool misfit(struct walk *w, const char *what)
{
    size_t n = 0;

    if (w->guesses || w->gave_up)
        return false;
    w->why[0] = '\0';
    for (unsigned i = 0; i < w->n_at && n < 100; i++) {
        const struct span key = span_first(w->at[i], w->at[i].p ? 24 : w->at[i].n);

        n += (size_t)(w->at[i].p ? snprintf(w->why + n, sizeof w->why - n, "/%.*s", SPAN_FMT(key))
                                 : snprintf(w->why + n, sizeof w->why - n, "/%zu", w->at[i].n));
    }
    snprintf(w->why + n, sizeof w->why - n, "%s%s", n ? ": " : "", what);
    return false;
}

static bool step(struct walk *w)
{
    if (++w->steps <= w->steps_most)
        return true;
    w->overworked |= !w->gave_up;
    return !give_up(w, "the schema asks for too much work");
}

static void enter(struct walk *w, struct span key)
{
    if (w->n_at < sizeof w->at / sizeof w->at[0])
        w->at[w->n_at] = key;
    w->n_at++;
}

static void leave(struct walk *w)
{
    w->n_at--;
}

/* ---- equality ---- */

static bool raw_equal(struct walk *w, struct span a, struct span b)
{
    char *x, *y;
    size_t n, m;

    if (span_find(a, '\\') == a.n && span_find(b, '\\') == b.n)
        return span_eq(a, b);
    x = arena_alloc(&w->arena, a.n + b.n + 2, 1);
    if (!x)
        return give_up(w, "the value is too large to compare");
    y = x + a.n + 1;
    n = jraw_unescape(a, x);
    m = jraw_unescape(b, y);
    return n == m && memcmp(x, y, n) == 0;
}

static struct span member(struct walk *w, struct span object, struct span key)
{
    for (struct jiter it = jiter_begin(object); jiter_next(&it);) {
        if (!step(w))
            return SPAN_NONE;
        if (raw_equal(w, it.key, key))
            return it.value;
    }
    return SPAN_NONE;
}

static size_t count(struct span container)
{
    size_t n = 0;

    for (struct jiter it = jiter_begin(container); jiter_next(&it);)
        n++;
    return n;
}

static bool equal(struct walk *w, struct span a, struct span b);

static bool objects_equal(struct walk *w, struct span a, struct span b)
{
    if (count(a) != count(b))
        return false;
    for (struct jiter it = jiter_begin(a); jiter_next(&it);) {
        const struct span other = member(w, b, it.key);

        if (!other.p || !equal(w, it.value, other))
            return false;
    }
    return true;
}

static bool arrays_equal(struct walk *w, struct span a, struct span b)
{
    struct jiter x = jiter_begin(a), y = jiter_begin(b);

    for (;;) {
        const bool more = jiter_next(&x);

        if (more != jiter_next(&y))
            return false;
        if (!more)
            return true;
        if (!equal(w, x.value, y.value))
            return false;
    }
}

/* 1 and 1.0 are equal, "1" and 1 are not. Depth is the pre-scan's. */
static bool equal(struct walk *w, struct span a, struct span b)
{
    const enum jtype type = jval_type(a);

    if (!step(w) || type != jval_type(b))
        return false;
    switch (type) {
    case JTYPE_NUMBER: return decimal_compare(a, b) == 0;
    case JTYPE_STRING: return raw_equal(w, jval_raw(a), jval_raw(b));
    case JTYPE_OBJECT: return objects_equal(w, a, b);
    case JTYPE_ARRAY: return arrays_equal(w, a, b);
    default: return true;
    }
}

/* ---- strings ---- */

/* Code points of a raw string: an escape is one, a pair of surrogates too. */
static int64_t code_points(struct span raw)
{
    int64_t n = 0;

    for (size_t i = 0; i < raw.n;) {
        const bool unicode = raw.p[i] == '\\' && raw.p[i + 1] == 'u';
        const bool high = unicode && (raw.p[i + 2] == 'd' || raw.p[i + 2] == 'D') && strchr("89abAB", raw.p[i + 3]);

        if (raw.p[i] == '\\')
            i += high ? 12 : unicode ? 6 : 2;
        else
            for (i++; i < raw.n && ((unsigned char)raw.p[i] & 0xC0) == 0x80;)
                i++;
        n++;
    }
    return n;
}

/* ECMA-262 as near as PCRE2 comes: \uXXXX, \d of ASCII, $ only at the very end. */
static pcre2_code *compile(struct walk *w, struct span source)
{
    char *text = arena_alloc(&w->arena, source.n + 1, 1);
    PCRE2_SIZE where;
    int error;

    if (!text)
        return NULL;
    return pcre2_compile((PCRE2_SPTR)text, jraw_unescape(source, text),
                         PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX | PCRE2_MATCH_UNSET_BACKREF, &error, &where, NULL);
}

static struct pattern *pattern_of(struct walk *w, struct span source)
{
    struct pattern *p;

    for (size_t i = 0; i < w->n_patterns; i++)
        if (w->patterns[i].source.p == source.p)
            return &w->patterns[i];
    if (w->n_patterns == PATTERNS_MAX)
        return NULL;
    p = &w->patterns[w->n_patterns++];
    *p = (struct pattern){ source, compile(w, source) };
    return p;
}

/* Does the pattern match somewhere in the string? *judged: false when nobody can say. */
static bool matches(struct walk *w, struct span source, struct span raw)
{
    const struct pattern *p = pattern_of(w, source);
    char *text = arena_alloc(&w->arena, raw.n + 1, 1);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    pcre2_match_data *data = p && p->code ? pcre2_match_data_create_from_pattern(p->code, NULL) : NULL;
    int rc = PCRE2_ERROR_NOMEMORY;

    w->steps += w->match_steps;
    if (data && limits && text) {
        pcre2_set_match_limit(limits, w->match_limit);
        pcre2_set_depth_limit(limits, w->match_limit);
        rc = pcre2_match(p->code, (PCRE2_SPTR)text, jraw_unescape(raw, text), 0, 0, data, limits);
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(limits);
    w->overworked |= !w->gave_up && (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT);
    if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
        return give_up(w, p && p->code ? "pattern: too much work" : "pattern: not understood");
    return rc >= 0;
}

/* ---- type, enum, const, and the bounds of each type ---- */

static bool is_type(struct span word_raw, struct span value)
{
    static const struct { const char *name, *upper; enum jtype type; } types[] = {
        { "object", "OBJECT", JTYPE_OBJECT }, { "array", "ARRAY", JTYPE_ARRAY }, { "string", "STRING", JTYPE_STRING },
        { "number", "NUMBER", JTYPE_NUMBER }, { "null", "NULL", JTYPE_NULL },
    };
    const enum jtype type = jval_type(value);

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (jraw_is(word_raw, types[i].name) || jraw_is(word_raw, types[i].upper))
            return type == types[i].type;
    if (jraw_is(word_raw, "boolean") || jraw_is(word_raw, "BOOLEAN"))
        return type == JTYPE_TRUE || type == JTYPE_FALSE;
    if (jraw_is(word_raw, "integer") || jraw_is(word_raw, "INTEGER"))
        return type == JTYPE_NUMBER && decimal_is_integer(value);
    return false;
}

static bool fits_type(struct walk *w, struct span types, struct span nullable, struct span value)
{
    if (jval_type(nullable) == JTYPE_TRUE && jval_type(value) == JTYPE_NULL)
        return true;
    if (jval_type(types) == JTYPE_STRING)
        return is_type(jval_raw(types), value) || misfit(w, "another type was asked for");
    if (jval_type(types) != JTYPE_ARRAY)
        return true;
    for (struct jiter it = jiter_begin(types); jiter_next(&it);)
        if (jval_raw(it.value).p && is_type(jval_raw(it.value), value))
            return true;
    return misfit(w, "another type was asked for");
}

static bool fits_enum(struct walk *w, struct span values, struct span value)
{
    if (jval_type(values) != JTYPE_ARRAY)
        return true;
    for (struct jiter it = jiter_begin(values); jiter_next(&it);)
        if (equal(w, it.value, value))
            return true;
    return w->gave_up || misfit(w, "none of the values of enum");
}

/* A count against a bound, which may be written as 2.0. */
static bool count_within(int64_t n, struct span least, struct span most)
{
    char text[24];
    struct span number = { text, (size_t)snprintf(text, sizeof text, "%lld", (long long)n) };

    return (jval_type(least) != JTYPE_NUMBER || decimal_compare(number, least) >= 0) &&
           (jval_type(most) != JTYPE_NUMBER || decimal_compare(number, most) <= 0);
}

enum { N_MIN, N_MAX, N_XMIN, N_XMAX, N_MULTIPLE, N_KEYWORDS };

static bool fits_number(struct walk *w, struct span schema, struct span value)
{
    static const char *const names[N_KEYWORDS] = { "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf" };
    struct span m[N_KEYWORDS];

    jval_members(schema, names, N_KEYWORDS, m);
    if (jval_type(m[N_MIN]) == JTYPE_NUMBER && decimal_compare(value, m[N_MIN]) < 0)
        return misfit(w, "below minimum");
    if (jval_type(m[N_MAX]) == JTYPE_NUMBER && decimal_compare(value, m[N_MAX]) > 0)
        return misfit(w, "above maximum");
    if (jval_type(m[N_XMIN]) == JTYPE_NUMBER && decimal_compare(value, m[N_XMIN]) <= 0)
        return misfit(w, "not above exclusiveMinimum");
    if (jval_type(m[N_XMAX]) == JTYPE_NUMBER && decimal_compare(value, m[N_XMAX]) >= 0)
        return misfit(w, "not below exclusiveMaximum");
    if (jval_type(m[N_MULTIPLE]) != JTYPE_NUMBER)
        return true;
    switch (decimal_is_multiple(value, m[N_MULTIPLE])) {
    case DECIMAL_YES: return true;
    case DECIMAL_NO: return misfit(w, "no multiple of multipleOf");
    case DECIMAL_UNKNOWN: break;
    }
    return give_up(w, "multipleOf: too many digits");
}

enum { S_MIN, S_MAX, S_PATTERN, S_KEYWORDS };

static bool fits_string(struct walk *w, struct span schema, struct span value)
{
    static const char *const names[S_KEYWORDS] = { "minLength", "maxLength", "pattern" };
    const struct span raw = jval_raw(value);
    struct span m[S_KEYWORDS];

    jval_members(schema, names, S_KEYWORDS, m);
    if ((m[S_MIN].p || m[S_MAX].p) && !count_within(code_points(raw), m[S_MIN], m[S_MAX]))
        return misfit(w, "too short or too long");
    if (jval_type(m[S_PATTERN]) == JTYPE_STRING && !matches(w, jval_raw(m[S_PATTERN]), raw))
        return misfit(w, "does not match pattern");
    return true;
}

/* ---- children: who has been judged ---- */

static struct seen seen_of(struct walk *w, struct span value)
{
    struct seen s = { NULL, 0 };

    if (!w->marks || (jval_type(value) != JTYPE_OBJECT && jval_type(value) != JTYPE_ARRAY))
        return s;
    s.n = count(value);
    s.marks = arena_zalloc(&w->arena, s.n + 1, 1);
    if (!s.marks)
        give_up(w, "the value is too large");
    return s;
}

static void mark(struct seen *s, size_t i)
{
    if (s && s->marks && i < s->n)
        s->marks[i] = 1;
}

static void mark_all(struct seen *to, const struct seen *from)
{
    for (size_t i = 0; to && to->marks && from->marks && i < to->n; i++)
        to->marks[i] |= from->marks[i];
}

/* ---- objects ---- */

enum { O_PROPERTIES, O_PATTERNS, O_ADDITIONAL, O_NAMES, O_REQUIRED, O_MIN, O_MAX, O_DEPENDENT_REQUIRED, O_DEPENDENT, O_KEYWORDS };

static bool fits_child(struct walk *w, struct span schema, struct span key, struct span value)
{
    bool ok;

    enter(w, key);
    ok = fits(w, schema, value, NULL);
    leave(w);
    return ok;
}

static bool fits_member(struct walk *w, const struct span m[O_KEYWORDS], const struct jiter *it, size_t index, struct seen *seen)
{
    const struct span own = member(w, m[O_PROPERTIES], it->key);
    bool known = false;

    if (own.p) {
        known = true;
        if (!fits_child(w, own, it->key, it->value))
            return false;
    }
    for (struct jiter p = jiter_begin(m[O_PATTERNS]); jiter_next(&p);) {
        if (!step(w) || !matches(w, p.key, it->key))
            continue;
        known = true;
        if (!fits_child(w, p.value, it->key, it->value))
            return false;
    }
    if (!known && m[O_ADDITIONAL].p) {
        known = true;
        if (jval_type(m[O_ADDITIONAL]) == JTYPE_FALSE) {
            enter(w, it->key);
            misfit(w, "a member that is not allowed");
            leave(w);
            return false;
        }
        if (!fits_child(w, m[O_ADDITIONAL], it->key, it->value))
            return false;
    }
    if (known)
        mark(seen, index);
    return true;
}

static bool has_all(struct walk *w, struct span names, struct span value)
{
    if (jval_type(names) != JTYPE_ARRAY)
        return true;
    for (struct jiter it = jiter_begin(names); jiter_next(&it);)
        if (jval_raw(it.value).p && !member(w, value, jval_raw(it.value)).p) {
            char what[96];

            snprintf(what, sizeof what, "\"%.*s\" is missing", SPAN_FMT(span_first(jval_raw(it.value), 64)));
            return w->gave_up || misfit(w, what);
        }
    return true;
}

static bool fits_dependents(struct walk *w, const struct span m[O_KEYWORDS], struct span value, struct seen *seen)
{
    for (struct jiter it = jiter_begin(m[O_DEPENDENT_REQUIRED]); jiter_next(&it);)
        if (member(w, value, it.key).p && !has_all(w, it.value, value))
            return false;
    for (struct jiter it = jiter_begin(m[O_DEPENDENT]); jiter_next(&it);)
        if (member(w, value, it.key).p && !fits(w, it.value, value, seen))
            return false;
    return true;
}

static bool fits_object(struct walk *w, struct span schema, struct span value, struct seen *seen)
{
    static const char *const names[O_KEYWORDS] = { "properties", "patternProperties", "additionalProperties", "propertyNames",
                                                   "required", "minProperties", "maxProperties", "dependentRequired",
                                                   "dependentSchemas" };
    struct span m[O_KEYWORDS];
    size_t n = 0;

    jval_members(schema, names, O_KEYWORDS, m);
    for (struct jiter it = jiter_begin(value); jiter_next(&it); n++) {
        if (!fits_member(w, m, &it, n, seen))
            return false;
        if (m[O_NAMES].p && !fits(w, m[O_NAMES], (struct span){ it.key.p - 1, it.key.n + 2 }, NULL))
            return misfit(w, "a name that propertyNames does not allow");
    }
    if (!count_within((int64_t)n, m[O_MIN], m[O_MAX]))
        return misfit(w, "too few or too many members");
    return has_all(w, m[O_REQUIRED], value) && fits_dependents(w, m, value, seen);
}

/* ---- arrays ---- */

enum { A_PREFIX, A_ITEMS, A_CONTAINS, A_MIN_CONTAINS, A_MAX_CONTAINS, A_MIN, A_MAX, A_UNIQUE, A_KEYWORDS };

static bool all_differ(struct walk *w, struct span value)
{
    for (struct jiter a = jiter_begin(value); jiter_next(&a);) {
        struct jiter b = a;

        while (jiter_next(&b))
            if (equal(w, a.value, b.value))
                return w->gave_up;
    }
    return true;
}

static bool fits_contains(struct walk *w, const struct span m[A_KEYWORDS], struct span value, struct seen *seen)
{
    const struct span least = m[A_MIN_CONTAINS].p ? m[A_MIN_CONTAINS] : SPAN_LIT("1");
    int64_t found = 0;
    size_t i = 0;

    if (!m[A_CONTAINS].p)
        return true;
    w->guesses++;
    for (struct jiter it = jiter_begin(value); jiter_next(&it); i++)
        if (fits(w, m[A_CONTAINS], it.value, NULL)) {
            found++;
            mark(seen, i);
        }
    w->guesses--;
    return count_within(found, least, m[A_MAX_CONTAINS]) || misfit(w, "too few or too many items that contains asks for");
}

static bool fits_array(struct walk *w, struct span schema, struct span value, struct seen *seen)
{
    static const char *const names[A_KEYWORDS] = { "prefixItems", "items", "contains", "minContains", "maxContains", "minItems",
                                                   "maxItems", "uniqueItems" };
    struct span m[A_KEYWORDS];
    struct jiter prefix;
    size_t i = 0;

    jval_members(schema, names, A_KEYWORDS, m);
    prefix = jiter_begin(m[A_PREFIX]);
    for (struct jiter it = jiter_begin(value); jiter_next(&it); i++) {
        const bool in_prefix = m[A_PREFIX].p && jiter_next(&prefix);
        const struct span item = in_prefix ? prefix.value : m[A_ITEMS];

        if (!item.p)
            continue;
        if (!fits_child(w, item, (struct span){ NULL, i }, it.value))
            return false;
        mark(seen, i);
    }
    if (!count_within((int64_t)i, m[A_MIN], m[A_MAX]))
        return misfit(w, "too few or too many items");
    if (jval_type(m[A_UNIQUE]) == JTYPE_TRUE && !all_differ(w, value))
        return misfit(w, "two items are equal");
    return fits_contains(w, m, value, seen);
}

/* ---- schemas within schemas ---- */

enum { C_ALL, C_ANY, C_ONE, C_NOT, C_IF, C_THEN, C_ELSE, C_KEYWORDS };

/* One branch, whose marks count only if it fits. */
static bool branch(struct walk *w, struct span schema, struct span value, struct seen *seen)
{
    struct seen own = seen && seen->marks ? seen_of(w, value) : (struct seen){ NULL, 0 };
    const bool ok = fits(w, schema, value, &own);

    if (ok)
        mark_all(seen, &own);
    return ok;
}

static bool guess(struct walk *w, struct span schema, struct span value, struct seen *seen)
{
    bool ok;

    w->guesses++;
    ok = branch(w, schema, value, seen);
    w->guesses--;
    return ok;
}

static size_t count_fits(struct walk *w, struct span schemas, struct span value, struct seen *seen)
{
    size_t n = 0;

    for (struct jiter it = jiter_begin(schemas); jiter_next(&it);)
        n += guess(w, it.value, value, seen);
    return n;
}

static bool fits_combined(struct walk *w, struct span schema, struct span value, struct seen *seen)
{
    static const char *const names[C_KEYWORDS] = { "allOf", "anyOf", "oneOf", "not", "if", "then", "else" };
    struct span m[C_KEYWORDS], rest;

    jval_members(schema, names, C_KEYWORDS, m);
    for (struct jiter it = jiter_begin(m[C_ALL]); jiter_next(&it);)
        if (!branch(w, it.value, value, seen))
            return false;
    if (m[C_ANY].p && count_fits(w, m[C_ANY], value, seen) == 0)
        return misfit(w, "fits none of anyOf");
    if (m[C_ONE].p && count_fits(w, m[C_ONE], value, seen) != 1 && !w->gave_up)
        return misfit(w, "fits none or several of oneOf");
    if (m[C_NOT].p && guess(w, m[C_NOT], value, NULL) && !w->gave_up)
        return misfit(w, "fits what not forbids");
    if (!m[C_IF].p)
        return true;
    rest = guess(w, m[C_IF], value, seen) ? m[C_THEN] : m[C_ELSE];
    return !rest.p || branch(w, rest, value, seen);
}

/* Children that no subschema has judged. */
static bool fits_unevaluated(struct walk *w, struct span schema, struct span value, struct seen *seen)
{
    const bool object = jval_type(value) == JTYPE_OBJECT;
    const struct span rest = jval_get(schema, object ? "unevaluatedProperties" : "unevaluatedItems");
    size_t i = 0;

    if (!rest.p)
        return true;
    for (struct jiter it = jiter_begin(value); jiter_next(&it); i++) {
        if (i < seen->n && seen->marks[i])
            continue;
        if (!fits_child(w, rest, object ? it.key : (struct span){ NULL, i }, it.value))
            return false;
        mark(seen, i);
    }
    return true;
}

/* ---- references ---- */

static struct span find_anchor(struct walk *w, struct span schema, struct span name)
{
    const enum jtype type = jval_type(schema);

    if ((type != JTYPE_OBJECT && type != JTYPE_ARRAY) || !step(w))
        return SPAN_NONE;
    if (type == JTYPE_OBJECT) {
        const struct span anchor = jval_raw(jval_get(schema, "$anchor"));

        if (anchor.p && raw_equal(w, anchor, name))
            return schema;
    }
    for (struct jiter it = jiter_begin(schema); jiter_next(&it);) {
        const struct span found = find_anchor(w, it.value, name);

        if (found.p)
            return found;
    }
    return SPAN_NONE;
}

/* A fragment is a URI's: percent-encoded. */
static struct span find_pointer(struct walk *w, struct span raw)
{
    static const char hex[] = "0123456789abcdef0123456789ABCDEF";
    char *text = arena_alloc(&w->arena, raw.n + 1, 1);
    size_t n = 0, have;

    if (!text)
        return SPAN_NONE;
    have = jraw_unescape(raw, text);
    for (size_t i = 0; i < have; i++) {
        const char *high = text[i] == '%' && i + 2 < have ? memchr(hex, text[i + 1], 32) : NULL;
        const char *low = high ? memchr(hex, text[i + 2], 32) : NULL;

        text[n++] = (char)(low ? (high - hex) % 16 * 16 + (low - hex) % 16 : text[i]);
        i += low ? 2 : 0;
    }
    text[n] = '\0';
    return jval_pointer(w->root, text);
}

static struct span find_ref(struct walk *w, struct span ref_raw)
{
    if (ref_raw.n == 0 || ref_raw.p[0] != '#')
        return SPAN_NONE;
    if (ref_raw.n == 1)
        return w->root;
    if (ref_raw.p[1] == '/')
        return find_pointer(w, span_skip(ref_raw, 1));
    return find_anchor(w, w->root, span_skip(ref_raw, 1));
}

static bool fits_ref(struct walk *w, struct span ref, struct span value, struct seen *seen)
{
    struct span to;

    if (jval_type(ref) != JTYPE_STRING)
        return true;
    to = find_ref(w, jval_raw(ref));
    if (!to.p)
        return give_up(w, "$ref: to something outside the schema");
    return branch(w, to, value, seen);
}

/* ---- one schema ---- */

enum { K_REF, K_DYNAMIC, K_RECURSIVE, K_TYPE, K_NULLABLE, K_ENUM, K_CONST, K_KEYWORDS };

static bool fits_keywords(struct walk *w, struct span schema, struct span value, struct seen *seen)
{
    static const char *const names[K_KEYWORDS] = { "$ref", "$dynamicRef", "$recursiveRef", "type", "nullable", "enum", "const" };
    const enum jtype type = jval_type(value);
    struct span m[K_KEYWORDS];

    jval_members(schema, names, K_KEYWORDS, m);
    if (m[K_DYNAMIC].p || m[K_RECURSIVE].p)
        return give_up(w, m[K_DYNAMIC].p ? "$dynamicRef" : "$recursiveRef");
    if (!fits_ref(w, m[K_REF], value, seen) || !fits_type(w, m[K_TYPE], m[K_NULLABLE], value) ||
        !fits_enum(w, m[K_ENUM], value))
        return false;
    if (m[K_CONST].p && !equal(w, m[K_CONST], value))
        return w->gave_up || misfit(w, "not the value of const");
    if (type == JTYPE_NUMBER && !fits_number(w, schema, value))
        return false;
    if (type == JTYPE_STRING && !fits_string(w, schema, value))
        return false;
    if (type == JTYPE_OBJECT && !fits_object(w, schema, value, seen))
        return false;
    if (type == JTYPE_ARRAY && !fits_array(w, schema, value, seen))
        return false;
    return fits_combined(w, schema, value, seen);
}

static bool fits(struct walk *w, struct span schema, struct span value, struct seen *seen)
{
    const enum jtype type = jval_type(value);
    struct seen own = { NULL, 0 };
    bool ok;

    if (w->gave_up || !step(w))
        return true;
    if (jval_type(schema) == JTYPE_FALSE)
        return misfit(w, "nothing is allowed here");
    if (jval_type(schema) != JTYPE_OBJECT)
        return true;
    if (w->depth == DEPTH_MAX)
        return give_up(w, "the schema refers to itself without end");
    if (!seen || !seen->marks) {
        own = seen_of(w, value);
        seen = &own;
    }
    w->depth++;
    ok = fits_keywords(w, schema, value, seen);
    if (ok && w->marks && seen->marks && (type == JTYPE_OBJECT || type == JTYPE_ARRAY))
        ok = fits_unevaluated(w, schema, value, seen);
    w->depth--;
    return ok;
}

static enum schema_verdict walk(struct walk *w, struct span value)
{
    bool ok;

    w->marks = span_find_span(w->root, SPAN_LIT("\"unevaluated")) < w->root.n;
    arena_init(&w->arena, ARENA_BYTES);
    ok = fits(w, w->root, value, NULL);
    for (size_t i = 0; i < w->n_patterns; i++)
        pcre2_code_free(w->patterns[i].code);
    arena_free(&w->arena);
    return w->gave_up ? SCHEMA_UNJUDGED : ok ? SCHEMA_FITS : SCHEMA_MISFIT;
}

enum schema_verdict json_schema_check(struct span schema, struct span value, char *why, size_t room)
{
    struct walk w = { .root = schema, .steps_most = STEPS_MAX, .match_limit = MATCH_LIMIT };
    const enum schema_verdict v = walk(&w, value);

    if (why && room)
        snprintf(why, room, "%s", v == SCHEMA_FITS ? "" : w.why);
    return v;
}

bool json_schema_check_briefly(struct span schema, struct span value, unsigned *steps, enum schema_verdict *verdict)
{
    struct walk w = { .root = schema, .steps_most = *steps, .match_limit = BRIEF_MATCH_LIMIT,
                      .match_steps = BRIEF_MATCH_STEPS };

    if (schema.n > BRIEF_SCHEMA_BYTES || value.n > BRIEF_VALUE_BYTES)
        return false;
    *verdict = walk(&w, value);
    *steps -= w.steps < *steps ? w.steps : *steps;
    return !w.overworked;
}

/* ---- what is not judged ---- */

static const char *unsupported_member(struct span key, struct span value)
{
    if (jval_type(value) != JTYPE_STRING)
        return NULL;
    if (jraw_is(key, "$dynamicRef"))
        return "$dynamicRef";
    if (jraw_is(key, "$recursiveRef"))
        return "$recursiveRef";
    return jraw_is(key, "$ref") && (jval_raw(value).n == 0 || jval_raw(value).p[0] != '#') ? "$ref" : NULL;
}

static const char *find_unsupported(struct span value)
{
    const enum jtype type = jval_type(value);
    const char *found = NULL;

    if (type != JTYPE_OBJECT && type != JTYPE_ARRAY)
        return NULL;
    for (struct jiter it = jiter_begin(value); !found && jiter_next(&it);) {
        found = type == JTYPE_OBJECT ? unsupported_member(it.key, it.value) : NULL;
        if (!found)
            found = find_unsupported(it.value);
    }
    return found;
}

void json_schema_unsupported(struct span schema, char *keyword, size_t room)
{
    const char *found = NULL;

    if (span_find_span(schema, SPAN_LIT("Ref\"")) < schema.n || span_find_span(schema, SPAN_LIT("\"$ref\"")) < schema.n)
        found = find_unsupported(schema);    /* most schemas have no reference at all: a look is enough */

    snprintf(keyword, room, "%s", found ? found : "");
}
