/* cli.h - options of a command from one table: parsing, --help and messages agree because they read the same lines. */
#ifndef TOLLGATE_ENGINE_CLI_H
#define TOLLGATE_ENGINE_CLI_H

#include <stdbool.h>
#include <stddef.h>

enum cli_type {
    CLI_SWITCH,          /* no argument; *(bool *)to = true */
    CLI_TEXT,            /* *(const char **)to = the argument, which lives in argv */
    CLI_INT,             /* *(int *)to, min..max */
    CLI_LIST,            /* *(struct cli_list *)to; may be given more than once */
};

#define CLI_LIST_MAX 16
struct cli_list {
    const char *values[CLI_LIST_MAX];   /* live in argv */
    size_t n;
};

struct cli_option {
    const char *name;        /* without "--" */
    enum cli_type type;
    void *to;
    const char *arg;         /* "DIR", for help; NULL for a switch */
    const char *help;        /* a phrase; the default is part of it */
    int min, max;            /* CLI_INT */
    bool required;
};

struct cli {
    const char *program;               /* "tollgate-engine logits" */
    const char *summary;               /* a sentence or two */
    const struct cli_option *options;  /* ends with a NULL name */
};

enum cli_rc { CLI_OK, CLI_DONE, CLI_USAGE };

/* "--name VALUE", "--name=VALUE"; nothing else is taken. CLI_DONE: --help was printed (exit 0); CLI_USAGE: stderr has
 * what is wrong and what would be right (exit 2). */
enum cli_rc cli_parse(const struct cli *c, int argc, char **argv);
void cli_help(const struct cli *c);

#endif
