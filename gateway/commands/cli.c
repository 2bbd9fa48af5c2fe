/* cli.c - errors of usage, and the ledger's path out of the config. */
#include "gateway/commands/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>

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
