/* main.c - tollgate-engine: the table of commands. */
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "engine/commands.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    { "serve", command_serve, "serve models over HTTP, OpenAI-compatible, on a unix socket or loopback" },
    { "run", command_run, "answer one prompt" },
    { "logits", command_logits, "raw logits of a list of token ids, for comparison with another implementation" },
    { "bench", command_bench, "prompt and answer tokens a second" },
    { "inspect", command_inspect, "configuration, tensors, bytes read a token, memory needed" },
};

static void help(FILE *out)
{
    fprintf(out, "usage: tollgate-engine COMMAND [OPTIONS]\n\n"
                 "Runs models of the V4 architecture. COMMAND --help lists its options.\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("tollgate-engine " PACKAGE_VERSION);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "tollgate-engine: there is no command \"%s\"; see tollgate-engine --help\n", argv[1]);
    return 2;
}
