/* cli.c - errors of usage, the ledger's path out of the config, and what commands with verbs have in common. */
#include "gateway/commands/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/buf.h"

bool cli_help(int argc, char **argv, const char *help)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return true;
        }
    return false;
}

const char *cli_program(void)
{
    return program_invocation_name;
}

int cli_wrong(const char *command, const char *fmt, ...)
{
    va_list args;

    fprintf(stderr, "tollgate %s: ", command);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n`tollgate %s --help` says more.\n", command);
    return 2;
}

int cli_wrong_option(const char *command, int argc, char **argv, int c)
{
    const char *at = optind > 0 && optind <= argc ? argv[optind - 1] : "";

    return cli_wrong(command, c == ':' ? "%s needs a value" : "there is no option %s here", at);
}

int cli_failed(const struct problems *ps)
{
    problems_print(ps, stderr);
    return 1;
}

char *cli_ledger_path(const char *config)
{
    struct problems ps;
    char *path;

    problems_init(&ps);
    path = config_ledger_path(config, &ps);
    if (!path)
        problems_print(&ps, stderr);
    problems_free(&ps);
    return path;
}

/* "create, list, revoke, rotate" */
static void add_names(const struct cli_verb *verbs, struct buf *out)
{
    buf_init(out, 256);
    for (const struct cli_verb *v = verbs; v->name; v++)
        buf_printf(out, "%s%s", v == verbs ? "" : ", ", v->name);
}

const struct cli_verb *cli_verb(const char *command, const struct cli_verb *verbs, int argc, char **argv)
{
    const struct cli_verb *v = verbs;
    struct buf names;

    while (argc > 1 && v->name && strcmp(argv[1], v->name) != 0)
        v++;
    if (argc > 1 && v->name)
        return v;
    add_names(verbs, &names);
    if (argc < 2)
        cli_wrong(command, "say which of %.*s", SPAN_FMT(buf_span(&names)));
    else
        cli_wrong(command, "\"%s\" is none of %.*s", argv[1], SPAN_FMT(buf_span(&names)));
    buf_free(&names);
    return NULL;
}

int cli_verb_run(const struct cli_verb *verb, const char *config, const void *options)
{
    char *path = cli_ledger_path(config);
    struct accounts *a;
    struct problems ps;
    int rc;

    if (!path)
        return 1;
    problems_init(&ps);
    a = accounts_open(path, verb->creates, &ps);
    rc = a ? verb->run(a, options) : cli_failed(&ps);
    accounts_close(a);
    problems_free(&ps);
    free(path);
    return rc;
}
