/* match.c - evaluates conditions. No allocation; recursion is bounded by WHEN_DEPTH_MAX and the number of labels. */
#include "policies/match.h"

#include "policies/when.h"

static bool holds(const struct policy *p, const struct policy_node *node, const struct features *f,
                  struct match_memo *memo);

static bool label_holds(const struct policy *p, uint32_t label, const struct features *f, struct match_memo *memo)
{
    const uint64_t bit = UINT64_C(1) << label;

    if (!(memo->known & bit)) {
        bool value = match_when(p, &p->labels[label].when, f, memo);

        memo->known |= bit;
        memo->value |= value ? bit : 0;
    }
    return memo->value & bit;
}

/* The compare of DESIGN section 6: without case and outer blanks. Of a header that is sent twice, either will do: a
 * caller must not get out of a condition by saying something else as well. */
static bool header_holds(const struct policy_node *node, const struct features *f)
{
    for (size_t i = 0; i < f->n_headers; i++) {
        const struct http1_header *h = &f->headers[i];

        if (h->name.n != node->name.n || !span_eq_nocase(h->name, node->name))
            continue;
        if (node->n_values == 0)
            return true;
        for (size_t k = 0; k < node->n_values; k++)
            if (span_eq_nocase(span_trim(h->value), span_trim(node->values[k])))
                return true;
    }
    return false;
}

/* "name" or "name=value". */
static bool tag_holds(const struct policy_node *node, const struct features *f)
{
    for (size_t k = 0; k < node->n_values; k++) {
        const struct span want = node->values[k];
        const size_t cut = span_find(want, '=');

        for (size_t i = 0; i < f->n_tags; i++) {
            if (!span_eq(f->tags[i].name, span_first(want, cut)))
                continue;
            if (cut == want.n || span_eq(f->tags[i].value, span_skip(want, cut + 1)))
                return true;
        }
    }
    return false;
}

static bool one_of(const struct policy_node *node, struct span s)
{
    for (size_t i = 0; i < node->n_values; i++)
        if (span_eq(node->values[i], s))
            return true;
    return false;
}

static struct span model_asked(const struct features *f)
{
    return f->model.n ? f->model : SPAN_LIT("auto");
}

static bool feature_holds(const struct policy_node *node, const struct features *f)
{
    const double v = f->value[node->feature];

    switch (node->compare) {
    case COMPARE_AT_LEAST: return v >= node->number;
    case COMPARE_AT_MOST: return v <= node->number;
    case COMPARE_IS: return v >= node->number && v <= node->number;
    }
    return false;
}

static bool all_hold(const struct policy *p, const struct policy_node *node, const struct features *f,
                     struct match_memo *memo)
{
    for (uint32_t i = 1; i < node->size; i += node[i].size)
        if (!holds(p, node + i, f, memo))
            return false;
    return true;
}

static bool any_holds(const struct policy *p, const struct policy_node *node, const struct features *f,
                      struct match_memo *memo)
{
    for (uint32_t i = 1; i < node->size; i += node[i].size)
        if (holds(p, node + i, f, memo))
            return true;
    return false;
}

static bool holds(const struct policy *p, const struct policy_node *node, const struct features *f,
                  struct match_memo *memo)
{
    switch (node->atom) {
    case ATOM_ALL: return all_hold(p, node, f, memo);
    case ATOM_ANY: return any_holds(p, node, f, memo);
    case ATOM_NOT: return !holds(p, node + 1, f, memo);
    case ATOM_LABEL: return label_holds(p, node->label, f, memo);
    case ATOM_HEADER: return header_holds(node, f);
    case ATOM_TEAM: return one_of(node, f->team);
    case ATOM_KEY: return one_of(node, f->key);
    case ATOM_TAG: return tag_holds(node, f);
    case ATOM_MODEL: return one_of(node, model_asked(f));
    case ATOM_DIALECT: return one_of(node, f->dialect);
    case ATOM_MODALITY: return f->modalities & node->modalities;
    case ATOM_FEATURE: return feature_holds(node, f);
    }
    return false;
}

bool match_when(const struct policy *p, const struct policy_when *when, const struct features *f,
                struct match_memo *memo)
{
    return when->n_nodes == 0 || holds(p, when->nodes, f, memo);
}

const struct policy_route *match_route(const struct policy *p, const struct features *f, struct match_memo *memo)
{
    for (size_t i = 0; i + 1 < p->n_routes; i++)
        if (match_when(p, &p->routes[i].when, f, memo))
            return &p->routes[i];
    return &p->routes[p->n_routes - 1];
}

const struct policy_route *match_claim(const struct policy *p, const struct features *f, struct match_memo *memo)
{
    const struct policy_route *winner;

    for (size_t i = 0; i < p->n_routes; i++) {
        const struct policy_route *r = &p->routes[i];

        if (r->local && r->when.n_nodes && match_when(p, &r->when, f, memo))
            return r;
    }
    winner = match_route(p, f, memo);
    return winner->local ? winner : NULL;
}

/* ---- explain ---- */

static const char *const verbs[] = {
    [ATOM_ALL] = "all", [ATOM_ANY] = "any", [ATOM_NOT] = "not", [ATOM_LABEL] = "label", [ATOM_HEADER] = "header",
    [ATOM_TEAM] = "team", [ATOM_KEY] = "key", [ATOM_TAG] = "tag", [ATOM_MODEL] = "model",
    [ATOM_DIALECT] = "dialect", [ATOM_MODALITY] = "modality", [ATOM_FEATURE] = "feature",
};
static const char *const compares[] = { "at_least", "at_most", "is" };

static void add_words(const struct policy_node *node, struct buf *out)
{
    for (size_t i = 0; i < node->n_values; i++)
        buf_printf(out, "%s\"%.*s\"", i ? " or " : "", SPAN_FMT(node->values[i]));
}

static void add_modalities(unsigned bits, struct buf *out)
{
    const char *sep = "";

    for (unsigned b = BOOK_TEXT; b <= BOOK_FILE; b <<= 1) {
        if (bits & b) {
            buf_printf(out, "%s%s", sep, feature_modality_name(b));
            sep = " + ";
        }
    }
}

/* What the atom looked at: a header's value is the caller's text, so it goes out as a JSON string. */
static void add_seen(const struct policy_node *node, const struct features *f, struct buf *out)
{
    bool any = false;

    switch (node->atom) {
    case ATOM_HEADER:
        for (size_t i = 0; i < f->n_headers; i++) {
            if (!span_eq_nocase(f->headers[i].name, node->name))
                continue;
            buf_add_str(out, any ? ", " : "");
            buf_add_json(out, f->headers[i].value);
            any = true;
        }
        if (!any)
            buf_add_str(out, "no such header");
        return;
    case ATOM_TAG:
        for (size_t i = 0; i < f->n_tags; i++) {
            buf_printf(out, "%s", any ? ", " : "");
            buf_add_json(out, f->tags[i].name);
            buf_add_char(out, '=');
            buf_add_json(out, f->tags[i].value);
            any = true;
        }
        if (!any)
            buf_add_str(out, "no tags");
        return;
    case ATOM_TEAM: buf_add_json(out, f->team); return;
    case ATOM_KEY: buf_add_json(out, f->key); return;
    case ATOM_MODEL: buf_add_json(out, model_asked(f)); return;
    case ATOM_DIALECT: buf_add_json(out, f->dialect); return;
    case ATOM_MODALITY: add_modalities(f->modalities, out); return;
    case ATOM_FEATURE: buf_printf(out, "%.4g", f->value[node->feature]); return;
    default: return;
    }
}

static void add_asked(const struct policy *p, const struct policy_node *node, struct buf *out)
{
    buf_add_str(out, verbs[node->atom]);
    switch (node->atom) {
    case ATOM_LABEL:
        buf_printf(out, " \"%.*s\"", SPAN_FMT(p->labels[node->label].name));
        return;
    case ATOM_HEADER:
        buf_printf(out, " %.*s %s ", SPAN_FMT(node->name), node->n_values ? "is" : "is there");
        add_words(node, out);
        return;
    case ATOM_FEATURE:
        buf_printf(out, " %s %s %.4g", feature_name(node->feature), compares[node->compare], node->number);
        return;
    case ATOM_ALL:
    case ATOM_ANY:
    case ATOM_NOT:
        return;
    default:
        buf_add_str(out, " is ");
        add_words(node, out);
        return;
    }
}

static void explain_text(const struct policy *p, const struct policy_node *node, const struct features *f, int indent,
                         struct match_memo *memo, struct buf *out)
{
    const bool value = holds(p, node, f, memo);

    buf_printf(out, "%*s%s  ", indent, "", value ? "yes" : "no ");
    add_asked(p, node, out);
    if (node->atom > ATOM_LABEL) {
        buf_add_str(out, "   (seen: ");
        add_seen(node, f, out);
        buf_add_char(out, ')');
    }
    buf_add_char(out, '\n');
    if (node->atom == ATOM_LABEL)
        explain_text(p, p->labels[node->label].when.nodes, f, indent + 4, memo, out);
    if (node->atom <= ATOM_NOT)
        for (uint32_t i = 1; i < node->size; i += node[i].size)
            explain_text(p, node + i, f, indent + 4, memo, out);
}

static void explain_json(const struct policy *p, const struct policy_node *node, const struct features *f,
                         struct match_memo *memo, struct buf *out)
{
    struct buf part;

    buf_init(&part, 65536);
    buf_printf(out, "{\"holds\":%s,\"atom\":", holds(p, node, f, memo) ? "true" : "false");
    add_asked(p, node, &part);
    buf_add_json(out, buf_span(&part));
    if (node->atom > ATOM_LABEL) {
        buf_clear(&part);
        add_seen(node, f, &part);
        buf_add_str(out, ",\"seen\":");
        buf_add_json(out, buf_span(&part));
    }
    if (node->atom <= ATOM_LABEL) {
        buf_add_str(out, ",\"of\":[");
        if (node->atom == ATOM_LABEL)
            explain_json(p, p->labels[node->label].when.nodes, f, memo, out);
        for (uint32_t i = 1; i < node->size; i += node[i].size) {
            buf_add_str(out, i > 1 ? "," : "");
            explain_json(p, node + i, f, memo, out);
        }
        buf_add_char(out, ']');
    }
    buf_add_char(out, '}');
    buf_free(&part);
}

void match_explain_text(const struct policy *p, const struct policy_when *when, const struct features *f, int indent,
                        struct buf *out)
{
    struct match_memo memo = { 0 };

    if (when->n_nodes)
        explain_text(p, when->nodes, f, indent, &memo, out);
    else
        buf_printf(out, "%*syes  always\n", indent, "");
}

void match_explain_json(const struct policy *p, const struct policy_when *when, const struct features *f,
                        struct buf *out)
{
    struct match_memo memo = { 0 };

    if (when->n_nodes)
        explain_json(p, when->nodes, f, &memo, out);
    else
        buf_add_str(out, "{\"holds\":true,\"atom\":\"always\"}");
}
