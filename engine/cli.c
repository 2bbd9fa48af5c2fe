/* cli.c - one table of options a command: parses it, prints it. Knows no command. */
#include "engine/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_option *find(const struct cli *c, const char *name, size_t n)
{
    for (const struct cli_option *o = c->options; o->name; o++)
        if (strlen(o->name) == n && memcmp(o->name, name, n) == 0)
            return o;
    return NULL;
}

void cli_help(const struct cli *c)
{
    printf("usage: %s", c->program);
    for (const struct cli_option *o = c->options; o->name; o++)
        if (o->required)
            printf(" --%s %s", o->name, o->arg ? o->arg : "");
    printf(" [OPTIONS]\n\n%s\n\n", c->summary);
    for (const struct cli_option *o = c->options; o->name; o++) {
        char left[64];

        snprintf(left, sizeof left, "--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        printf("  %-24s %s%s\n", left, o->help, o->required ? " (required)" : "");
    }
    printf("  %-24s this text\n", "--help");
}

static enum cli_rc usage(const struct cli *c, const char *what, const char *name, const char *more)
{
    fprintf(stderr, "%s: %s%s%s; see --help\n", c->program, what, name, more);
    return CLI_USAGE;
}

static enum cli_rc take_int(const struct cli *c, const struct cli_option *o, const char *value)
{
    char *end = NULL;
    char more[96];
    long n;

    errno = 0;
    n = strtol(value, &end, 10);
    if (errno || end == value || *end || n < o->min || n > o->max) {
        snprintf(more, sizeof more, " must be a whole number from %d to %d", o->min, o->max);
        return usage(c, "--", o->name, more);
    }
    *(int *)o->to = (int)n;
    return CLI_OK;
}

static enum cli_rc take(const struct cli *c, const struct cli_option *o, const char *value)
{
    if (o->type == CLI_INT)
        return take_int(c, o, value);
    if (!*value)
        return usage(c, "--", o->name, " must not be empty");
    if (o->type == CLI_LIST) {
        struct cli_list *list = o->to;

        if (list->n == CLI_LIST_MAX)
            return usage(c, "--", o->name, " is given too often");
        list->values[list->n++] = value;
        return CLI_OK;
    }
    *(const char **)o->to = value;
    return CLI_OK;
}

static enum cli_rc check_required(const struct cli *c, const bool *given)
{
    for (size_t i = 0; c->options[i].name; i++)
        if (c->options[i].required && !given[i])
            return usage(c, "--", c->options[i].name, " is missing");
    return CLI_OK;
}

#define OPTIONS_MAX 32

enum cli_rc cli_parse(const struct cli *c, int argc, char **argv)
{
    bool given[OPTIONS_MAX] = { false };

    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *equals = strchr(a, '=');
        const size_t n = equals ? (size_t)(equals - a) : strlen(a);
        const struct cli_option *o;
        const char *value = equals ? equals + 1 : NULL;

        if (strcmp(a, "--help") == 0 || strcmp(a, "-h") == 0) {
            cli_help(c);
            return CLI_DONE;
        }
        o = n > 2 && a[0] == '-' && a[1] == '-' ? find(c, a + 2, n - 2) : NULL;
        if (!o)
            return usage(c, "does not know ", a, "");
        given[o - c->options] = true;
        if (o->type == CLI_SWITCH) {
            if (value)
                return usage(c, "--", o->name, " takes no value");
            *(bool *)o->to = true;
            continue;
        }
        if (!value && i + 1 == argc)
            return usage(c, "--", o->name, " wants a value");
        if (take(c, o, value ? value : argv[++i]) != CLI_OK)
            return CLI_USAGE;
    }
    return check_required(c, given);
}
