/* init_policy.c - see init_policy.h. Knows the bundled files' shape; touches no file itself. */
#include "gateway/commands/init_policy.h"

#include <stdlib.h>

#include "base/json.h"
#include "pricing/book.h"

struct cut {
    struct book *book;
    bool (*has_provider)(struct span name);
    json_t *own;               /* the local twin's "sovereign" */
};

static const struct book_model *next_reached(const struct cut *c, struct span name)
{
    const struct book_model *m = book_next_named(c->book, name, NULL);

    while (m && !c->has_provider(m->provider))
        m = book_next_named(c->book, name, m);
    return m;
}

/* The step with a model that can be reached, or NULL. */
static json_t *cut_step(const struct cut *c, json_t *step)
{
    const struct span name = json_span(step, "model"), local = SPAN_LIT("local/");
    const bool own = span_starts(name, local);    /* a large engine of the operator's; its model's maker serves it too */
    const struct book_model *m = own ? NULL : book_find(c->book, name);
    json_t *copy;

    if (!m)
        m = next_reached(c, own ? span_skip(name, local.n) : name);
    if (!m || !c->has_provider(m->provider))
        return NULL;
    copy = json_deep_copy(step);
    if (copy && own)
        json_object_set_new(copy, "model", json_stringn(m->key.p, m->key.n));
    return copy;
}

static json_t *cut_steps(const struct cut *c, json_t *steps)
{
    json_t *left = json_array(), *step;
    size_t i;

    json_array_foreach(steps, i, step) {
        json_t *kept = cut_step(c, step);

        if (kept)
            json_array_append_new(left, kept);
    }
    if (json_array_size(left))
        json_object_del(json_array_get(left, json_array_size(left) - 1), "checks");
    return left;
}

/* ---- text: a line a member, a line a step ---- */

static void add_value(struct buf *out, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));

    buf_add_str(out, text ? text : "null");
    free(text);
}

static void add_route(struct buf *out, json_t *route, json_t *steps)
{
    json_t *value;
    const char *name;
    size_t i;

    buf_add_str(out, "    { ");
    json_object_foreach(route, name, value) {
        if (strcmp(name, "steps") == 0)
            continue;
        buf_printf(out, "\"%s\": ", name);
        add_value(out, value);
        buf_add_str(out, ", ");
    }
    buf_add_str(out, "\"steps\": [");
    json_array_foreach(steps, i, value) {
        buf_add_str(out, i ? ",\n        " : "\n        ");
        add_value(out, value);
    }
    buf_add_str(out, "\n      ] }");
}

static void add_routes(const struct cut *c, struct buf *out, json_t *routes)
{
    bool first = true;
    json_t *route;
    size_t i;

    buf_add_str(out, "[");
    json_array_foreach(routes, i, route) {
        const bool own = json_span(route, "placement").p != NULL;
        json_t *steps = own ? json_incref(json_object_get(c->own, "steps")) : cut_steps(c, json_object_get(route, "steps"));

        if (json_array_size(steps)) {
            buf_add_str(out, first ? "\n" : ",\n");
            add_route(out, own ? c->own : route, steps);
            first = false;
        }
        json_decref(steps);
    }
    buf_add_str(out, "\n  ]");
}

static void add_policy(const struct cut *c, struct buf *out, json_t *policy)
{
    json_t *value;
    const char *name;

    buf_add_str(out, "{\n  \"$comment\": [\n"
                     "    \"Flash first, with what the keys at hand reach: another provider is a line in tollgate.json and steps here.\",\n"
                     "    \"What bears the label \\\"sensitive\\\" stays on this machine: the small bundled models answer it until you put\",\n"
                     "    \"a larger local one in their place. The last steps have no checks: the caller gets that answer as it is.\"\n  ]");
    json_object_foreach(policy, name, value) {
        if (name[0] == '$')
            continue;
        buf_printf(out, ",\n  \"%s\": ", name);
        if (strcmp(name, "routes") == 0)
            add_routes(c, out, value);
        else
            add_value(out, value);
    }
    buf_add_str(out, "\n}\n");
}

static json_t *route_named(const json_t *policy, const char *name)
{
    json_t *route;
    size_t i;

    json_array_foreach(json_object_get(policy, "routes"), i, route)
        if (span_is(json_span(route, "name"), name))
            return route;
    return NULL;
}

bool init_policy_write(struct span first, struct span local, struct span prices, bool (*has_provider)(struct span name),
                       struct buf *out)
{
    struct cut c = { .has_provider = has_provider };
    struct problems ps;
    json_t *policy, *twin, *tree;

    problems_init(&ps);
    policy = json_parse("flash-first.json", first, &ps);
    twin = json_parse("flash-first-local.json", local, &ps);
    tree = json_parse("prices.json", prices, &ps);
    c.book = tree ? book_load(tree, &ps) : NULL;
    c.own = route_named(twin, "sovereign");
    if (policy && c.book && c.own)
        add_policy(&c, out, policy);
    book_free(c.book);
    json_decref(tree);
    json_decref(twin);
    json_decref(policy);
    problems_free(&ps);
    return buf_ok(out) && out->n > 0;
}
