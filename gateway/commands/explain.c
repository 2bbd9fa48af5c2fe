/* explain.c - what would happen to a request, and why: features, routes, plan, prices. Calls nobody. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/jscan.h"
#include "gateway/commands/cli.h"
#include "gateway/commands/commands.h"
#include "gateway/ledger/utc.h"
#include "gateway/request/facts.h"
#include "gateway/snapshot.h"

#define HEADERS_MAX 32
#define BODY_BYTES_MAX (32u << 20)

struct explain {
    const char *config_path, *request_path;
    struct span team, key;
    struct http1_head head;        /* its headers alone */
    const struct dialect *dialect;
    struct span model;             /* of a Gemini body, which names none */
    int64_t at_ms;
    enum explain_format format;
};

static const char help[] =
    "usage: tollgate explain [--config FILE] [OPTIONS] REQUEST.json\n\n"
    "REQUEST.json is the body of a call, - is standard input. Shows its features, why each route did or did not match,\n"
    "the plan and the price of each step. Calls nothing.\n\n"
    "  --config FILE            the gateway's config (default: " CONFIG_FILE_DEFAULT ")\n"
    "  --dialect D              openai (the default), responses, completions, embeddings, anthropic or gemini\n"
    "  --model MODEL            what a Gemini call asks for in its path (default: auto)\n"
    "  --team TEAM              whose call it is (default: no team)\n"
    "  --key NAME               with which key (default: none)\n"
    "  --header 'NAME: VALUE'   a header of the call, such as 'x-tollgate-sensitivity: high'; repeatable\n"
    "  --at TIME                as if it were then (2026-04-24T18:00:00Z): prices depend on it (default: now)\n"
    "  --format F               text (the default) or json\n\n"
    "Exit status: 0 explained (also when the gateway would refuse the request), 1 it is no valid request or the config\n"
    "has an error, 2 called wrongly.\n";

static bool add_header(struct explain *e, const char *line)
{
    const struct span s = span_str(line);
    const size_t colon = span_find(s, ':');
    struct http1_header h = { span_trim(span_first(s, colon)), span_trim(span_skip(s, colon + 1)) };

    if (colon == s.n || h.name.n == 0 || e->head.n_headers == HEADERS_MAX)
        return false;
    e->head.headers[e->head.n_headers++] = h;
    return true;
}

static const struct dialect *find_dialect(const char *name)
{
    for (int i = 0; i < DIALECTS; i++)
        if (dialect_get((enum dialect_id)i) && strcmp(dialect_get((enum dialect_id)i)->name, name) == 0)
            return dialect_get((enum dialect_id)i);
    return NULL;
}

/* -1: go on. */
static int read_options(struct explain *e, int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "team", required_argument, NULL, 't' },
        { "key", required_argument, NULL, 'k' },    { "header", required_argument, NULL, 'H' },
        { "at", required_argument, NULL, 'a' },     { "format", required_argument, NULL, 'f' },
        { "dialect", required_argument, NULL, 'd' }, { "model", required_argument, NULL, 'm' },
        { 0 },
    };
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        switch (option) {
        case 'c': e->config_path = optarg; break;
        case 't': e->team = span_str(optarg); break;
        case 'k': e->key = span_str(optarg); break;
        case 'f':
            if (strcmp(optarg, "json") != 0 && strcmp(optarg, "text") != 0)
                return cli_wrong("explain", "--format is text or json, not \"%s\"", optarg);
            e->format = optarg[0] == 'j' ? EXPLAIN_JSON : EXPLAIN_TEXT;
            break;
        case 'H':
            if (!add_header(e, optarg))
                return cli_wrong("explain", "--header takes 'NAME: VALUE', at most %d of them, not \"%s\"", HEADERS_MAX, optarg);
            break;
        case 'm': e->model = span_str(optarg); break;
        case 'd':
            e->dialect = find_dialect(optarg);
            if (!e->dialect)
                return cli_wrong("explain", "there is no dialect \"%s\"", optarg);
            break;
        case 'a':
            if (!utc_parse(span_str(optarg), &e->at_ms))
                return cli_wrong("explain", "--at takes a time such as 2026-04-24T18:00:00Z, not \"%s\"", optarg);
            break;
        default: return cli_wrong_option("explain", argc, argv, option);
        }
    }
    if (optind == argc)
        return cli_wrong("explain", "which request? Name the file with its body, or - for standard input");
    if (optind + 1 < argc)
        return cli_wrong("explain", "\"%s\" is one word too many", argv[optind + 1]);
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

/* By the gateway's own readers, so that what it would refuse is refused here in the same words. */
static int explain(struct explain *e, const struct snapshot *s, struct span body)
{
    struct request *r = calloc(1, sizeof *r);
    struct features *f;
    struct buf out;
    int status = 1;

    if (!r)
        return 1;
    f = &r->features;
    r->head = &e->head;
    arena_init(&r->arena, 64u << 20);
    chat_init(&r->chat, e->dialect->id, body);
    r->chat.model = e->dialect->id == DIALECT_GEMINI ? e->model : SPAN_NONE;
    buf_init(&out, 16u << 20);
    if (!facts_read_headers(r)) {
        fprintf(stderr, "tollgate explain: %s\n", r->fault.message);
        goto out;
    }
    f->team = e->team;
    f->key = e->key;
    f->headers = e->head.headers;
    f->n_headers = e->head.n_headers;
    f->tags = r->tags;
    f->n_tags = r->n_tags;
    if (!scan(body, &r->fault) || !facts_parse(e->dialect, &r->arena, NULL, &r->chat, f, &r->fault)) {
        fprintf(stderr, "tollgate explain: %s: %s\n", e->request_path, r->fault.message);
    } else {
        plan_explain(s->policy, f, &(struct view){ s->view, s->n_models }, e->at_ms, e->format, &out);
        fwrite(out.p, 1, out.n, stdout);
        status = 0;
    }
out:
    buf_free(&out);
    arena_free(&r->arena);
    free(r);
    return status;
}

int command_explain(int argc, char **argv)
{
    struct explain e = { .config_path = CONFIG_FILE_DEFAULT, .at_ms = clock_wall_ms(), .dialect = dialect_get(DIALECT_CHAT),
                         .model = SPAN_LIT("auto") };
    struct snapshot_parts parts = { 0 };
    struct snapshot *s;
    struct problems ps;
    char *body;
    size_t n = 0;
    int status;

    if (cli_help(argc, argv, help))
        return 0;
    status = read_options(&e, argc, argv);
    if (status >= 0)
        return status;
    body = read_all(e.request_path, &n);
    if (!body) {
        fprintf(stderr, "tollgate explain: %s cannot be read, or is larger than 32 MiB\n", e.request_path);
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
