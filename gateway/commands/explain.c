/* explain.c - what would happen to a request, and why: features, routes, plan, prices. Calls nobody. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/jscan.h"
#include "gateway/commands/commands.h"
#include "gateway/ledger/utc.h"
#include "gateway/request/facts.h"
#include "gateway/snapshot.h"

#define HEADERS_MAX 32
#define BODY_BYTES_MAX (32u << 20)

struct explain {
    const char *config_path, *request_path;
    struct span team, key;
    struct http1_header headers[HEADERS_MAX];
    size_t n_headers;
    struct feature_tag tags[HEADERS_MAX];
    size_t n_tags;
    int64_t at_ms;
    enum explain_format format;
};

static int usage(FILE *out)
{
    fputs("usage: tollgate explain [--config FILE] [OPTIONS] REQUEST.json\n\n"
          "REQUEST.json is the body of a chat completion. Shows its features, why each route did or did not match,\n"
          "the plan and the price of each step. Calls nothing.\n\n"
          "  --config FILE            the config (default: " CONFIG_FILE_DEFAULT ")\n"
          "  --team T  --key NAME     whose call it is\n"
          "  --header 'NAME: VALUE'   a header of the call, such as 'x-tollgate-sensitivity: high'; repeatable\n"
          "  --at TIME                as if it were then (2026-04-24T18:00:00Z): prices depend on it\n"
          "  --format text|json\n",
          out);
    return out == stderr ? 2 : 0;
}

static bool add_header(struct explain *e, const char *line)
{
    const struct span s = span_str(line);
    const size_t colon = span_find(s, ':');
    struct http1_header h = { span_trim(span_first(s, colon)), span_trim(span_skip(s, colon + 1)) };
    const size_t eq = span_find(h.value, '=');

    if (colon == s.n || h.name.n == 0 || e->n_headers == HEADERS_MAX)
        return false;
    if (span_eq_nocase(h.name, SPAN_LIT("x-tollgate-tag")) && eq < h.value.n)
        e->tags[e->n_tags++] = (struct feature_tag){ span_trim(span_first(h.value, eq)),
                                                     span_trim(span_skip(h.value, eq + 1)) };
    e->headers[e->n_headers++] = h;
    return true;
}

static struct span header(const struct explain *e, const char *name)
{
    for (size_t i = 0; i < e->n_headers; i++)
        if (span_eq_nocase(e->headers[i].name, span_str(name)))
            return e->headers[i].value;
    return SPAN_NONE;
}

/* -1: go on. */
static int read_options(struct explain *e, int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "team", required_argument, NULL, 't' },
        { "key", required_argument, NULL, 'k' },    { "header", required_argument, NULL, 'H' },
        { "at", required_argument, NULL, 'a' },     { "format", required_argument, NULL, 'f' },
        { "help", no_argument, NULL, 'h' },         { 0 },
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c': e->config_path = optarg; break;
        case 't': e->team = span_str(optarg); break;
        case 'k': e->key = span_str(optarg); break;
        case 'f': e->format = strcmp(optarg, "json") == 0 ? EXPLAIN_JSON : EXPLAIN_TEXT; break;
        case 'H':
            if (!add_header(e, optarg)) {
                fprintf(stderr, "explain: --header takes 'NAME: VALUE', not \"%s\"\n", optarg);
                return 2;
            }
            break;
        case 'a':
            if (!utc_parse(span_str(optarg), &e->at_ms)) {
                fprintf(stderr, "explain: --at takes a time such as 2026-04-24T18:00:00Z, not \"%s\"\n", optarg);
                return 2;
            }
            break;
        default: return usage(option == 'h' ? stdout : stderr);
        }
    }
    if (optind + 1 != argc)
        return usage(stderr);
    e->request_path = argv[optind];
    return -1;
}

static char *read_all(const char *path, size_t *n)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    char *p = f ? malloc(BODY_BYTES_MAX + 1) : NULL;

    if (p) {
        *n = fread(p, 1, BODY_BYTES_MAX + 1, f);
        if (*n > BODY_BYTES_MAX) {
            free(p);
            p = NULL;
        }
    }
    if (f && f != stdin)
        fclose(f);
    return p;
}

static bool scan(struct span body, struct fault *fault)
{
    struct jscan *s = jscan_new(&jscan_default_limits, 1);
    const bool ok = s && jscan_feed(s, body) != JSCAN_BAD && jscan_end(s) == JSCAN_DONE;

    if (!ok)
        fault_bad(fault, NULL, NULL, "no valid JSON: %s at byte %zu", s ? jscan_error(s) : "no memory", s ? jscan_at(s) : 0);
    jscan_free(s);
    return ok;
}

static int explain(struct explain *e, const struct snapshot *s, struct span body)
{
    struct fault fault = { 0 };
    struct features f;
    struct chat chat;
    struct arena arena;
    struct buf out;
    int64_t cost = -1;
    uint64_t deadline = 0;
    int status = 1;

    arena_init(&arena, 64u << 20);
    buf_init(&out, 16u << 20);
    features_init(&f);
    if (!scan(body, &fault) || !facts_parse(body, &arena, &chat, &f, &fault)) {
        fprintf(stderr, "explain: %s: %s\n", e->request_path, fault.message);
    } else {
        if (header(e, "x-tollgate-max-cost-usd").p &&
            price_parse_usd(header(e, "x-tollgate-max-cost-usd"), &cost) != PRICE_PARSE_OK)
            fprintf(stderr, "explain: x-tollgate-max-cost-usd is no amount; ignored\n");
        span_to_u64(header(e, "x-tollgate-deadline-ms"), 86400000, &deadline);
        f.route_asked = header(e, "x-tollgate-route");
        f.team = e->team;
        f.key = e->key;
        f.headers = e->headers;
        f.n_headers = e->n_headers;
        f.tags = e->tags;
        f.n_tags = e->n_tags;
        facts_fill(&f, &chat, cost, deadline ? (int64_t)deadline : -1);
        plan_explain(s->policy, &f, &(struct view){ s->view, s->n_models }, e->at_ms, e->format, &out);
        fwrite(out.p, 1, out.n, stdout);
        status = 0;
    }
    buf_free(&out);
    arena_free(&arena);
    return status;
}

int command_explain(int argc, char **argv)
{
    struct explain e = { .config_path = CONFIG_FILE_DEFAULT, .at_ms = clock_wall_ms() };
    struct snapshot_parts parts = { 0 };
    struct snapshot *s;
    struct problems ps;
    char *body;
    size_t n = 0;
    int status = read_options(&e, argc, argv);

    if (status >= 0)
        return status;
    body = read_all(e.request_path, &n);
    if (!body) {
        fprintf(stderr, "explain: %s cannot be read, or is larger than 32 MiB\n", e.request_path);
        return 1;
    }
    problems_init(&ps);
    parts.keyring = provider_keyring_new();
    s = snapshot_load(e.config_path, &parts, &ps);
    if (!s)
        problems_print(&ps, stderr);
    status = s ? explain(&e, s, (struct span){ body, n }) : 1;
    problems_free(&ps);
    snapshot_unref(s);
    provider_keyring_free(parts.keyring);
    free(body);
    return status;
}
