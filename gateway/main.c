/* main.c - finds the command. Each command reads its own options (gateway/commands/). */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <config.h>    /* the build's: PACKAGE_VERSION; gateway/config.h is another */
#include "gateway/commands/cli.h"
#include "gateway/commands/commands.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
} commands[] = {
    { "init", command_init, "make a working config, policy, prices, development CA and first key in a folder" },
    { "serve", command_serve, "run the gateway" },
    { "check", command_check, "validate config, policy, prices and certificates; say everything that is wrong" },
    { "explain", command_explain, "show the route, plan and prices of a request; call nothing" },
    { "policy", command_policy, "test: run scenarios against a policy" },
    { "costs", command_costs, "what was spent, by team, key, route, model, provider, tag, time" },
    { "audit", command_audit, "recompute every row's cost; report the first difference" },
    { "keys", command_keys, "create, list, revoke, rotate callers' keys" },
    { "budgets", command_budgets, "set, list, remove budgets of teams and keys" },
    { "connect", command_connect, "the exact lines that point a client at this gateway" },
};

static int usage(FILE *out)
{
    fprintf(out, "tollgate %s: a gateway between your programs and every language model they use\n\n"
                 "usage: tollgate COMMAND [OPTIONS]\n\n", PACKAGE_VERSION);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].what);
    fprintf(out, "\n`tollgate COMMAND --help` says more. To begin: %s init demo && %s serve --config "
                 "demo/tollgate.json\n", cli_program(), cli_program());
    return out == stderr ? 2 : 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);    /* a peer that leaves is an event, not the end */
    if (argc < 2)
        return usage(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return usage(stdout);
    if (strcmp(argv[1], "--version") == 0) {
        printf("tollgate %s\n", PACKAGE_VERSION);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "tollgate: there is no command \"%s\"\n\n", argv[1]);
    return usage(stderr);
}
