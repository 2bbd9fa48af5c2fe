/* check.c - everything that can be known to be wrong before the start, all at once. Calls nobody, opens no ledger. */
#include <getopt.h>
#include <stdio.h>

#include "gateway/commands/commands.h"
#include "gateway/snapshot.h"

static int usage(FILE *out)
{
    fputs("usage: tollgate check [--config FILE]\n\n"
          "Validates the config and all that it names: policy, prices, certificates, keys in the environment.\n"
          "Prints every error and warning with file, line and JSON pointer. Exit 0: it will start; 1: it will not.\n\n"
          "  --config FILE   the config (default: " CONFIG_FILE_DEFAULT ")\n",
          out);
    return out == stderr ? 2 : 0;
}

static void say_ok(const char *path, const struct snapshot *s, const struct problems *ps)
{
    size_t on = 0;

    for (size_t i = 0; i < s->n_models; i++)
        on += s->view[i].on;
    printf("%s: ok. Policy \"%.*s\" with %zu routes; %zu models priced, %zu of them can be called", path,
           SPAN_FMT(s->policy->name), s->policy->n_routes, book_count(s->book), on);
    if (ps->warnings)
        printf("; %zu warning%s", ps->warnings, ps->warnings == 1 ? "" : "s");
    printf(".\n");
}

int command_check(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "help", no_argument, NULL, 'h' }, { 0 },
    };
    const char *path = CONFIG_FILE_DEFAULT;
    struct snapshot_parts parts = { .keyring = provider_keyring_new() };
    struct snapshot *s = NULL;
    struct problems ps;
    int option, status = -1;

    while (status < 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c')
            path = optarg;
        else
            status = usage(option == 'h' ? stdout : stderr);
    }
    if (status < 0 && optind < argc)
        status = usage(stderr);
    if (status < 0) {
        problems_init(&ps);
        s = snapshot_load(path, &parts, &ps);
        problems_print(&ps, stderr);
        if (s)
            say_ok(path, s, &ps);
        else
            fprintf(stderr, "%s: %zu error%s\n", path, ps.errors, ps.errors == 1 ? "" : "s");
        problems_free(&ps);
        status = s ? 0 : 1;
    }
    snapshot_unref(s);
    provider_keyring_free(parts.keyring);
    return status;
}
