/* cli.h - what commands that work on the ledger have in common. */
#ifndef TOLLGATE_GATEWAY_COMMANDS_CLI_H
#define TOLLGATE_GATEWAY_COMMANDS_CLI_H

#include <stdbool.h>

#include "gateway/commands/table.h"
#include "gateway/ledger/accounts.h"
#include "gateway/config.h"

/* Prints `help` to stdout when --help or -h is among the arguments, wherever it stands. */
bool cli_help(int argc, char **argv, const char *help);
/* How this program was called ("build/tollgate"), for lines that a person will copy. */
const char *cli_program(void);
/* "tollgate keys: TEXT" and where to read more, on stderr; returns 2, the exit status. */
int cli_wrong(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* For getopt's '?' and ':' (opterr = 0): says which option of argv is meant. Returns 2. */
int cli_wrong_option(const char *command, int argc, char **argv, int c);
/* Prints the problems to stderr; returns 1, the exit status. Frees nothing. */
int cli_failed(const struct problems *ps);

/* The ledger's path of a config file, for free(); NULL when it has none to tell (printed). What else may be wrong with the
 * config or the files that it names is `check`'s and `serve`'s to say: certificates and keys are not looked at. */
char *cli_ledger_path(const char *config);

/* A verb of `keys` or `budgets`; a table of them ends with {0}. */
struct cli_verb {
    const char *name;
    int (*run)(struct accounts *a, const void *options);    /* the exit status */
    bool creates;              /* the ledger, where there is none */
};
/* The verb that argv[1] names. NULL: there is none, and that was said. */
const struct cli_verb *cli_verb(const char *command, const struct cli_verb *verbs, int argc, char **argv);
/* Runs it on the ledger of that config; the exit status. */
int cli_verb_run(const struct cli_verb *verb, const char *config, const void *options);

#endif
