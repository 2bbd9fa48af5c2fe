/* jschema.c - the subset of JSON Schema that schemas/ uses, with messages for people.
 *
 * First the schema itself is read through, so that a keyword that we do not know is an error whatever the document
 * holds; then the document is walked along it. Of several branches (anyOf, oneOf) only the faults of the one that was
 * most likely meant are reported. Not a general validator: no formats, no remote references, no dynamic scopes. */
#include "base/jschema.h"

#include <math.h>
#include <regex.h>
#include <stdlib.h>

#include "base/buf.h"
#include "schemas/bundled.h"

#define DEPTH_MAX 200            /* of schemas within each other, so that a $ref to itself ends */
#define PATTERNS_MAX 64          /* compiled and kept */
#define NAMES_MAX 256            /* looked at for "did you mean" */
#define SHOWN_VALUES_MAX 24      /* of an enum, in a message */

struct pattern {
    const char *text;            /* borrowed from the schema; compared by address */
    regex_t regex;
};

struct check {
    const json_t *root;          /* the schema that "#" means */
    struct problems *ps;         /* where faults go now: the caller's, or a branch's own */
    char at[JSON_POINTER_ROOM];  /* of the value being checked */
    size_t branch_at;            /* strlen(at) where the innermost branch began, */
    bool mismatch;               /* and whether that branch was clearly not meant: wrong type or wrong constant */
    const char *hint;            /* of the innermost schema that has one, for the value being checked */
    int depth;
    struct pattern patterns[PATTERNS_MAX];
    size_t n_patterns;
};

static bool check_value(struct check *c, const json_t *schema, const json_t *v);

/* The same for a value within the one that is being checked, which the outer hint does not speak of. */
static bool check_inner(struct check *c, const json_t *schema, const json_t *v)
{
    const char *outer = c->hint;
    bool ok;

    c->hint = NULL;
    ok = check_value(c, schema, v);
    c->hint = outer;
    return ok;
}

/* ---- saying what is wrong ---- */

static const char *type_word(const json_t *v)    /* "a string", for "..., not a string" */
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "a list";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "a number";
    case JSON_REAL: return "a number with a fraction or exponent";
    case JSON_NULL: return "null";
    default: return json_is_true(v) ? "true" : "false";
    }
}

static const char *type_wanted(const char *name)
{
    static const char *const words[][2] = {
        { "object", "an object" }, { "array", "a list" }, { "string", "a string" }, { "integer", "a whole number" },
        { "number", "a number" }, { "boolean", "true or false" },
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(name, words[i][0]) == 0)
            return words[i][1];
    return name;    /* null */
}

__attribute__((format(printf, 3, 4)))
static bool fault(struct check *c, const char *hint, const char *fmt, ...)    /* returns false, for the callers */
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    problem_add(c->ps, PROBLEM_ERROR, c->at, hint ? hint : c->hint, "%s", text);
    return false;
}

/* A value as JSON, cut to what fits a message. */
static void show(const json_t *v, char *out, size_t room)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    const size_t n = text ? strlen(text) : 0;

    if (n < room)
        snprintf(out, room, "%s", text ? text : "?");
    else
        snprintf(out, room, "%.*s...", (int)room - 4, text);
    free(text);
}

/* "\"a\", \"b\" or 3" */
static void show_list(struct buf *b, const json_t *list)
{
    const size_t n = json_array_size(list);

    for (size_t i = 0; i < n && i < SHOWN_VALUES_MAX; i++) {
        char one[64];

        show(json_array_get(list, i), one, sizeof one);
        buf_add_str(b, i == 0 ? "" : i + 1 == n ? " or " : ", ");
        buf_add_str(b, one);
    }
    if (n > SHOWN_VALUES_MAX)
        buf_printf(b, " or another of %zu", n);
}

/* ---- patterns ---- */

static regex_t *pattern_get(struct check *c, const char *text)
{
    struct pattern *p;

    for (size_t i = 0; i < c->n_patterns; i++)
        if (c->patterns[i].text == text)
            return &c->patterns[i].regex;
    if (c->n_patterns == PATTERNS_MAX) {    /* a schema with more is served, if slowly */
        regfree(&c->patterns[--c->n_patterns].regex);
    }
    p = &c->patterns[c->n_patterns];
    if (regcomp(&p->regex, text, REG_EXTENDED | REG_NOSUB) != 0)
        return NULL;
    p->text = text;
    c->n_patterns++;
    return &p->regex;
}

static void patterns_free(struct check *c)
{
    while (c->n_patterns)
        regfree(&c->patterns[--c->n_patterns].regex);
}

/* A string with a NUL in it matches nothing. */
static bool pattern_matches(struct check *c, const char *pattern, const char *text, size_t n)
{
    regex_t *r = pattern_get(c, pattern);

    if (!r)
        return fault(c, NULL, "the schema holds a pattern that cannot be compiled: %s", pattern);
    return strlen(text) == n && regexec(r, text, 0, NULL, 0) == 0;
}

/* ---- keywords on any value ---- */

static bool type_is(const char *name, const json_t *v)
{
    switch (name[0]) {
    case 'o': return json_is_object(v);
    case 'a': return json_is_array(v);
    case 's': return json_is_string(v);
    case 'i': return json_is_integer(v);
    case 'b': return json_is_boolean(v);
    default: return strcmp(name, "null") == 0 ? json_is_null(v) : json_is_number(v);
    }
}

/* A value that is not what makes a branch out: the branch was not meant. */
static void note_mismatch(struct check *c, bool also_members)
{
    const char *rest = c->at + c->branch_at;

    if (*rest == '\0' || (also_members && !strchr(rest + 1, '/')))
        c->mismatch = true;
}

static bool check_type(struct check *c, const json_t *type, const json_t *v)
{
    struct buf b;
    size_t n = json_is_array(type) ? json_array_size(type) : 1;

    for (size_t i = 0; i < n; i++)
        if (type_is(json_string_value(json_is_array(type) ? json_array_get(type, i) : type), v))
            return true;
    note_mismatch(c, false);
    buf_init(&b, 512);
    for (size_t i = 0; i < n; i++) {
        buf_add_str(&b, i == 0 ? "" : i + 1 == n ? " or " : ", ");
        buf_add_str(&b, type_wanted(json_string_value(json_is_array(type) ? json_array_get(type, i) : type)));
    }
    fault(c, NULL, "must be %s, not %s", buf_span(&b).p, type_word(v));
    buf_free(&b);
    return false;
}

static const char *did_you_mean(char *out, size_t room, const char *nearest)
{
    if (!nearest)
        return NULL;
    snprintf(out, room, "did you mean \"%s\"?", nearest);
    return out;
}

static bool check_enum(struct check *c, const json_t *list, const json_t *v)
{
    const char *names[NAMES_MAX + 1];
    size_t n = 0, i;
    const json_t *one;
    struct buf b;
    char hint[160];
    const char *meant = NULL;

    json_array_foreach(list, i, one) {
        if (json_equal(one, v))
            return true;
        if (json_is_string(one) && n < NAMES_MAX)
            names[n++] = json_string_value(one);
    }
    names[n] = NULL;
    note_mismatch(c, true);
    if (json_is_string(v))
        meant = did_you_mean(hint, sizeof hint, problem_nearest(json_value_span(v), names));
    buf_init(&b, 900);
    show_list(&b, list);
    fault(c, meant, "must be %s%s", json_array_size(list) > 1 ? "one of " : "", buf_span(&b).p);
    buf_free(&b);
    return false;
}

static bool check_const(struct check *c, const json_t *want, const json_t *v)
{
    char text[128];

    if (json_equal(want, v))
        return true;
    note_mismatch(c, true);
    show(want, text, sizeof text);
    return fault(c, NULL, "must be %s", text);
}

/* ---- numbers and strings ---- */

static bool check_bound(struct check *c, const json_t *bound, const json_t *v, bool upper)
{
    char text[64];
    bool ok;

    if (!bound)
        return true;
    if (json_is_integer(bound) && json_is_integer(v))
        ok = upper ? json_integer_value(v) <= json_integer_value(bound)
                   : json_integer_value(v) >= json_integer_value(bound);
    else
        ok = upper ? json_number_value(v) <= json_number_value(bound)
                   : json_number_value(v) >= json_number_value(bound);
    if (ok)
        return true;
    show(bound, text, sizeof text);
    return fault(c, NULL, "must be at %s %s", upper ? "most" : "least", text);
}

static bool check_number(struct check *c, const json_t *schema, const json_t *v)
{
    const bool low = check_bound(c, json_object_get(schema, "minimum"), v, false);

    return check_bound(c, json_object_get(schema, "maximum"), v, true) && low;
}

static size_t count_characters(struct span s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

/* `one`, `many`: what is counted, for the message. */
static bool check_count(struct check *c, const json_t *schema, const char *least, const char *most, size_t n,
                        const char *one, const char *many)
{
    const json_int_t low = json_int(schema, least, 0), high = json_int(schema, most, INT64_MAX);
    const bool too_few = (json_int_t)n < low;
    const json_int_t limit = too_few ? low : high;

    if (!too_few && (json_int_t)n <= high)
        return true;
    if (n == 0)
        return fault(c, NULL, "must not be empty");
    return fault(c, NULL, "must have at %s %lld %s", too_few ? "least" : "most", (long long)limit,
                 limit == 1 ? one : many);
}

static bool check_string(struct check *c, const json_t *schema, const json_t *v)
{
    const char *pattern = json_cstr(schema, "pattern", NULL);
    const struct span s = json_value_span(v);
    const size_t errors = c->ps->errors;
    char text[128];
    bool ok = check_count(c, schema, "minLength", "maxLength", count_characters(s), "character", "characters");

    if (!pattern || pattern_matches(c, pattern, s.p, s.n))
        return ok;
    if (c->ps->errors > errors)    /* it was the length, or the pattern itself */
        return false;
    show(v, text, sizeof text);
    if (c->hint)
        return fault(c, NULL, "is not written as it must be: %s", text);
    return fault(c, NULL, "does not match %s: %s", pattern, text);
}

/* ---- lists and objects ---- */

static bool check_unique(struct check *c, const json_t *v)
{
    const size_t n = json_array_size(v);

    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (json_equal(json_array_get(v, i), json_array_get(v, j)))
                return fault(c, NULL, "holds the same value twice, as entries %zu and %zu", j + 1, i + 1);
    return true;
}

static bool check_array(struct check *c, const json_t *schema, const json_t *v)
{
    const json_t *items = json_object_get(schema, "items"), *one;
    bool ok = check_count(c, schema, "minItems", "maxItems", json_array_size(v), "entry", "entries");
    size_t i;

    if (json_is_true(json_object_get(schema, "uniqueItems")))
        ok &= check_unique(c, v);
    if (!items)
        return ok;
    json_array_foreach(v, i, one) {
        const size_t before = json_at_index(c->at, sizeof c->at, i);

        ok &= check_inner(c, items, one);
        c->at[before] = '\0';
    }
    return ok;
}

static bool check_required(struct check *c, const json_t *schema, const json_t *v)
{
    const json_t *name;
    bool ok = true;
    size_t i;

    json_array_foreach(json_object_get(schema, "required"), i, name) {
        const char *want = json_string_value(name);

        if (want && !json_object_get(v, want))
            ok = fault(c, NULL, "the field \"%s\" is missing", want);
    }
    return ok;
}

/* "known here: a, b, c": as many as the room takes. */
static const char *known_here(char *out, size_t room, const char *const *names)
{
    size_t n = (size_t)snprintf(out, room, "known here: ");

    for (size_t i = 0; names[i]; i++) {
        const bool fits = n + strlen(names[i]) + sizeof ", ..." < room;

        n += (size_t)snprintf(out + n, room - n, "%s%s", i ? ", " : "", fits ? names[i] : "...");
        if (!fits)
            break;
    }
    return names[0] ? out : NULL;
}

static bool unknown_member(struct check *c, const json_t *schema, const json_t *v, const char *name)
{
    const char *names[NAMES_MAX + 1];
    size_t n = 0;
    const char *known, *nearest;
    const json_t *unused;
    char hint[160];

    json_object_foreach(json_object_get(schema, "properties"), known, unused) {
        if (n < NAMES_MAX && !json_object_get(v, known))    /* one that is there already was not meant */
            names[n++] = known;
    }
    names[n] = NULL;
    nearest = problem_nearest(span_str(name), names);
    if (nearest)
        return fault(c, did_you_mean(hint, sizeof hint, nearest), "unknown field \"%s\"", name);
    return fault(c, c->hint ? NULL : known_here(hint, sizeof hint, names), "unknown field \"%s\"", name);
}

/* One member against all that speaks of it: its own schema, patterns, or else additionalProperties. */
static bool check_member(struct check *c, const json_t *schema, const json_t *obj, const char *name, const json_t *v)
{
    const json_t *own = json_object_get(json_object_get(schema, "properties"), name);
    const json_t *others = json_object_get(schema, "additionalProperties"), *one;
    const char *pattern;
    bool ok = !own || check_inner(c, own, v);
    bool known = own != NULL;

    json_object_foreach(json_object_get(schema, "patternProperties"), pattern, one) {
        if (!pattern_matches(c, pattern, name, strlen(name)))
            continue;
        known = true;
        ok &= check_inner(c, one, v);
    }
    if (known || !others)
        return ok;
    if (json_is_false(others))
        return unknown_member(c, schema, obj, name);
    return check_inner(c, others, v) && ok;
}

static bool check_member_name(struct check *c, const json_t *schema, const char *name)
{
    json_t *text = json_string(name);
    const bool ok = text && check_inner(c, schema, text);

    json_decref(text);
    return ok;
}

static bool check_object(struct check *c, const json_t *schema, const json_t *v)
{
    const json_t *names = json_object_get(schema, "propertyNames"), *member;
    const char *name;
    bool ok = check_count(c, schema, "minProperties", "", json_object_size(v), "field", "fields");

    ok &= check_required(c, schema, v);
    json_object_foreach((json_t *)v, name, member) {
        const size_t before = json_at(c->at, sizeof c->at, name);

        if (names)
            ok &= check_member_name(c, names, name);
        ok &= check_member(c, schema, v, name, member);
        c->at[before] = '\0';
    }
    return ok;
}

/* ---- branches ---- */

struct branch {
    struct problems faults;
    bool mismatch;
    size_t reach;            /* length of the longest pointer of a fault: how far the document went along */
};

static bool try_branch(struct check *c, const json_t *schema, const json_t *v, struct branch *b)
{
    struct problems *outer = c->ps;
    const size_t outer_at = c->branch_at;
    const bool outer_mismatch = c->mismatch;
    bool ok;

    problems_init(&b->faults);
    b->faults.file = outer->file;
    c->ps = &b->faults;
    c->branch_at = strlen(c->at);
    c->mismatch = false;
    ok = check_value(c, schema, v);
    b->mismatch = c->mismatch;
    b->reach = 0;
    for (size_t i = 0; i < b->faults.n; i++)
        if (strlen(b->faults.list[i].pointer) > b->reach)
            b->reach = strlen(b->faults.list[i].pointer);
    c->ps = outer;
    c->branch_at = outer_at;
    c->mismatch = outer_mismatch;
    return ok;
}

static bool branch_is_better(const struct branch *a, const struct branch *b)
{
    if (a->mismatch != b->mismatch)
        return b->mismatch;
    if (a->faults.errors != b->faults.errors)
        return a->faults.errors < b->faults.errors;
    return a->reach > b->reach;
}

static void report_branch(struct check *c, const struct branch *b)
{
    for (size_t i = 0; i < b->faults.n; i++) {
        const struct problem *p = &b->faults.list[i];

        problem_add(c->ps, p->weight, p->pointer, p->hint, "%s", p->text);
    }
}

/* What a branch asks for, when that is one thing in this very place: "must be a string"; else SPAN_NONE. */
static struct span branch_wish(const struct check *c, const struct branch *b)
{
    const struct problems *f = &b->faults;
    struct span text;

    if (f->n != 1 || strcmp(f->list[0].pointer, c->at) != 0)
        return SPAN_NONE;
    text = span_str(f->list[0].text);
    return span_first(text, span_find_span(text, SPAN_LIT(", not ")));
}

/* "must be a string or a list": when no branch was meant more than another, say what all of them ask for. */
static bool report_choice(struct check *c, const struct branch *list, size_t n)
{
    static const struct span must = SPAN_LIT("must be ");
    struct span wishes[SHOWN_VALUES_MAX];
    size_t n_wishes = 0, skip = must.n;
    struct buf b;

    for (size_t i = 0; i < n; i++) {
        const struct span wish = branch_wish(c, &list[i]);
        bool known = false;

        for (size_t k = 0; k < n_wishes; k++)
            known |= span_eq(wishes[k], wish);
        if (!wish.p || list[i].mismatch != list[0].mismatch || (!known && n_wishes == SHOWN_VALUES_MAX))
            return false;
        if (!known)
            wishes[n_wishes++] = wish;
        if (!span_starts(wish, must))
            skip = 0;
    }
    buf_init(&b, 900);
    buf_add_span(&b, wishes[0]);
    for (size_t i = 1; i < n_wishes; i++) {
        buf_add_str(&b, i + 1 == n_wishes ? " or " : ", ");
        buf_add_span(&b, span_skip(wishes[i], skip));
    }
    fault(c, NULL, "%s", buf_span(&b).p);
    buf_free(&b);
    return true;
}

static bool check_branches(struct check *c, const json_t *list, const json_t *v, bool only_one)
{
    const size_t n = json_array_size(list);
    struct branch *tried = calloc(n, sizeof *tried);
    size_t matches = 0, best = 0;
    bool ok;

    if (!tried)
        return fault(c, NULL, "no memory left to check this");
    for (size_t i = 0; i < n; i++) {
        matches += try_branch(c, json_array_get(list, i), v, &tried[i]);
        if (branch_is_better(&tried[i], &tried[best]))
            best = i;
    }
    ok = only_one ? matches == 1 : matches > 0;
    if (matches > 1 && only_one)
        fault(c, NULL, "fits %zu of the allowed forms, but must fit one", matches);
    else if (!ok && !report_choice(c, tried, n))
        report_branch(c, &tried[best]);
    for (size_t i = 0; i < n; i++)
        problems_free(&tried[i].faults);
    free(tried);
    return ok;
}

/* ---- references, and all keywords together ---- */

/* "#", or "#/a/b" with "~0" and "~1" as in RFC 6901. */
static const json_t *resolve(const json_t *root, const char *ref)
{
    const json_t *v = root;

    if (ref[0] != '#' || (ref[1] && ref[1] != '/'))
        return NULL;
    for (ref++; v && *ref == '/';) {
        char token[128];
        size_t n = 0;

        for (ref++; *ref && *ref != '/' && n + 1 < sizeof token; ref++) {
            token[n] = *ref;
            if (*ref == '~' && (ref[1] == '0' || ref[1] == '1'))
                token[n] = *++ref == '1' ? '/' : '~';
            n++;
        }
        token[n] = '\0';
        v = json_object_get(v, token);
    }
    return v;
}

static bool check_ref(struct check *c, const char *ref, const json_t *v)
{
    const json_t *target = resolve(c->root, ref);

    if (!target)
        return fault(c, NULL, "the schema refers to %s, which is not there", ref);
    return check_value(c, target, v);
}

static bool check_keywords(struct check *c, const json_t *schema, const json_t *v)
{
    const json_t *k;
    bool ok = true;

    if ((k = json_object_get(schema, "type")) != NULL && !check_type(c, k, v))
        return false;    /* what else is said is meant for the right type */
    if ((k = json_object_get(schema, "const")) != NULL)
        ok &= check_const(c, k, v);
    if ((k = json_object_get(schema, "enum")) != NULL)
        ok &= check_enum(c, k, v);
    if (json_is_number(v))
        ok &= check_number(c, schema, v);
    else if (json_is_string(v))
        ok &= check_string(c, schema, v);
    else if (json_is_array(v))
        ok &= check_array(c, schema, v);
    else if (json_is_object(v))
        ok &= check_object(c, schema, v);
    if ((k = json_object_get(schema, "$ref")) != NULL)
        ok &= check_ref(c, json_string_value(k), v);
    if ((k = json_object_get(schema, "anyOf")) != NULL)
        ok &= check_branches(c, k, v, false);
    if ((k = json_object_get(schema, "oneOf")) != NULL)
        ok &= check_branches(c, k, v, true);
    return ok;
}

static bool check_value(struct check *c, const json_t *schema, const json_t *v)
{
    const char *outer_hint = c->hint;
    bool ok;

    if (json_is_boolean(schema))
        return json_is_true(schema) || fault(c, NULL, "is not allowed here");
    if (++c->depth > DEPTH_MAX) {
        c->depth--;
        return fault(c, NULL, "is nested too deep, or the schema refers to itself");
    }
    c->hint = json_cstr(schema, "hint", outer_hint);
    ok = check_keywords(c, schema, v);
    c->hint = outer_hint;
    c->depth--;
    return ok;
}

bool jschema_check(const json_t *schema, const json_t *doc, struct problems *ps)
{
    struct check c = { .root = schema, .ps = ps };
    const char *bad;
    bool ok;

    if (!jschema_lint(schema, &bad)) {
        problem_error(ps, "", "the schema has an unknown or ill-formed keyword \"%s\"", bad);
        return false;
    }
    ok = check_value(&c, schema, doc);
    patterns_free(&c);
    return ok;
}

const char *jschema_bundled(const char *name)
{
    for (const struct bundled_file *f = bundled_schemas; f->name; f++)
        if (strcmp(f->name, name) == 0)
            return f->text;
    return NULL;
}

bool jschema_check_bundled(const char *name, const json_t *doc, struct problems *ps)
{
    const char *text = jschema_bundled(name);
    json_error_t e;
    json_t *schema = text ? json_loads(text, JSON_REJECT_DUPLICATES, &e) : NULL;
    bool ok;

    if (!schema) {
        problem_error(ps, "", "the bundled schema %s is %s", name, text ? "no valid JSON" : "missing");
        return false;
    }
    ok = jschema_check(schema, doc, ps);
    json_decref(schema);
    return ok;
}
