/* check.c - everything that can be known to be wrong before the start, all at once. Calls nobody, opens no ledger. */
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "gateway/commands/cli.h"
#include "gateway/commands/commands.h"
#include "gateway/snapshot.h"

static const char help[] =
    "usage: tollgate check [--config FILE]\n\n"
    "Validates the config and all that it names: policy, prices, certificates, keys in the environment, the ledger's\n"
    "place. Prints every error and warning with file, line and JSON pointer, errors and warnings on standard error.\n"
    "Calls nobody.\n\n"
    "  --config FILE   the gateway's config (default: " CONFIG_FILE_DEFAULT ")\n\n"
    "Exit status: 0 it would start (warnings too), 1 it would not, 2 called wrongly.\n";

/* sqlite.org/fileformat2.html, 1.3: what every database begins with; the NUL behind it belongs to it. An empty one is one. */
static bool is_database(FILE *f)
{
    static const char magic[] = "SQLite format 3";
    char head[sizeof magic];
    const size_t n = fread(head, 1, sizeof head, f);

    return n == 0 ? !ferror(f) : n == sizeof head && memcmp(head, magic, sizeof head) == 0;
}

static void check_ledger_file(const char *path, struct problems *ps)
{
    FILE *f = fopen(path, "r+");

    if (!f)
        problem_error(ps, "/ledger/sqlite", "%s cannot be written: %s", path, strerror(errno));
    else if (!is_database(f))
        problem_error(ps, "/ledger/sqlite", "%s is there and is no SQLite database", path);
    if (f)
        fclose(f);
}

/* The ledger is made where there is none; its folder is not. */
static void check_ledger(const struct snapshot *s, struct problems *ps)
{
    char *path = strdup(s->config->ledger_sqlite);
    const char *dir = path ? dirname(path) : "";

    ps->file = s->config->path;
    if (access(dir, W_OK | X_OK) != 0)
        problem_error(ps, "/ledger/sqlite", "no file can be made in %s: %s", dir, strerror(errno));
    else if (access(s->config->ledger_sqlite, F_OK) == 0)
        check_ledger_file(s->config->ledger_sqlite, ps);
    problems_locate(ps, s->config->path, (struct span){ s->config->text, s->config->bytes });
    free(path);
}

/* A model whose first price is still to come, or whose last has ended, is refused. */
static void check_prices(const struct snapshot *s, struct problems *ps)
{
    const int64_t now_ms = clock_wall_ms();

    ps->file = s->config->prices_path;
    for (size_t i = 0; i < s->n_models; i++) {
        char pointer[JSON_POINTER_ROOM] = "/models", name[256];

        if (!s->view[i].on || book_version_at(s->view[i].model, now_ms))
            continue;
        snprintf(name, sizeof name, "%.*s", SPAN_FMT(s->view[i].model->key));
        json_at(pointer, sizeof pointer, name);
        json_at(pointer, sizeof pointer, "versions");
        problem_warning(ps, pointer, "no price is in force now: \"%s\" cannot be called", name);
    }
    problems_locate(ps, s->config->prices_path, (struct span){ s->book_text, s->book_bytes });
}

static void say_ok(const char *path, const struct snapshot *s, const struct problems *ps)
{
    size_t on = 0;

    for (size_t i = 0; i < s->n_models; i++)
        on += s->view[i].on && book_version_at(s->view[i].model, clock_wall_ms());
    printf("%s: ok. Policy \"%.*s\" with %zu routes; %zu models priced, %zu of them can be called", path,
           SPAN_FMT(s->policy->name), s->policy->n_routes, book_count(s->book), on);
    if (ps->warnings)
        printf("; %zu warning%s", ps->warnings, ps->warnings == 1 ? "" : "s");
    printf(".\n");
}

int command_check(int argc, char **argv)
{
    static const struct option options[] = { { "config", required_argument, NULL, 'c' }, { 0 } };
    const char *path = CONFIG_FILE_DEFAULT;
    struct snapshot_parts parts = { 0 };
    struct snapshot *s;
    struct problems ps;
    int option, status;

    if (cli_help(argc, argv, help))
        return 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option != 'c')
            return cli_wrong_option("check", argc, argv, option);
        path = optarg;
    }
    if (optind < argc)
        return cli_wrong("check", "\"%s\" is one word too many; a config is named by --config", argv[optind]);
    problems_init(&ps);
    parts.keyring = provider_keyring_new();
    s = snapshot_load(path, &parts, &ps);
    if (s) {
        check_ledger(s, &ps);
        check_prices(s, &ps);
    }
    problems_print(&ps, stderr);
    status = ps.errors ? 1 : 0;
    if (status == 0)
        say_ok(path, s, &ps);
    else
        fprintf(stderr, "%s: %zu error%s\n", path, ps.errors, ps.errors == 1 ? "" : "s");
    problems_free(&ps);
    snapshot_unref(s);
    provider_keyring_free(parts.keyring);
    return status;
}
