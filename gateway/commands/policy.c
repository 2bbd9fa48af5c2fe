/* policy.c - `tollgate policy test`. The scenarios are policies/scenario.c's; this finds the files. */
#include <dirent.h>
#include <getopt.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "gateway/commands/cli.h"
#include "gateway/commands/commands.h"
#include "policies/scenario.h"

static const char help[] =
    "usage: tollgate policy test PATH... [--format tap|json|junit]\n"
    "\n"
    "Runs scenarios: a request, what each model would do, and what must come of it (schemas/scenario.schema.json).\n"
    "Nothing is called, and time is virtual; decisions, checks and prices are those of the gateway.\n"
    "\n"
    "  PATH           a file, or a folder whose *.test.json files are run in the order of their names\n"
    "  --format F     tap (the default), json or junit; a failing case says what differs first, and what happened\n"
    "\n"
    "Exit status: 0 all passed, 1 a case failed or a file cannot be read, 2 wrong usage.\n";

struct tester {
    struct scenario_report report;
    size_t files, unreadable;
};

static void run_file(struct tester *t, const char *path)
{
    struct problems ps;

    problems_init(&ps);
    t->files++;
    t->unreadable += !scenario_run_file(path, &t->report, &ps);
    problems_print(&ps, stderr);
    problems_free(&ps);
}

static int is_scenario(const struct dirent *e)
{
    return span_ends(span_str(e->d_name), SPAN_LIT(".test.json"));
}

static void run_folder(struct tester *t, const char *folder)
{
    struct dirent **list = NULL;
    const int n = scandir(folder, &list, is_scenario, alphasort);

    for (int i = 0; i < n; i++) {
        struct buf path;

        buf_init(&path, 65536);
        buf_printf(&path, "%s/%s", folder, list[i]->d_name);
        if (buf_ok(&path))
            run_file(t, path.p);
        buf_free(&path);
        free(list[i]);
    }
    free(list);
}

static void run_path(struct tester *t, const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        run_folder(t, path);
    else
        run_file(t, path);
}

static bool format_parse(const char *name, enum scenario_format *out)
{
    static const char *const names[] = { "tap", "json", "junit" };    /* as enum scenario_format */

    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum scenario_format)i;
            return true;
        }
    }
    return false;
}

static int policy_test(int argc, char **argv)
{
    static const struct option options[] = { { "format", required_argument, NULL, 'F' }, { NULL, 0, NULL, 0 } };
    struct tester t = { .report = { .format = SCENARIO_TAP, .out = stdout } };
    int o;

    optind = 1;
    opterr = 0;
    while ((o = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (o != 'F')
            return cli_wrong_option("policy", argc, argv, o);
        if (!format_parse(optarg, &t.report.format))
            return cli_wrong("policy", "--format is tap, json or junit, not \"%s\"", optarg);
    }
    if (optind == argc)
        return cli_wrong("policy", "test needs a file or folder of scenarios");
    scenario_begin(&t.report);
    for (int i = optind; i < argc; i++)
        run_path(&t, argv[i]);
    scenario_end(&t.report);
    if (t.unreadable && t.report.format == SCENARIO_TAP)    /* else "1..0" would read as nothing to do */
        printf("Bail out! %zu of %zu files could not be read\n", t.unreadable, t.files);
    if (t.files == 0)
        fprintf(stderr, "tollgate policy: there is no *.test.json file there\n");
    return t.files == 0 || t.unreadable || t.report.failed;
}

int command_policy(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (cli_help(argc, argv, help))
        return 0;
    if (strcmp(what, "test") == 0)
        return policy_test(argc - 1, argv + 1);
    if (strcmp(what, "prove") == 0 || strcmp(what, "diff") == 0)
        return cli_wrong("policy", "%s is not in this version", what);
    return cli_wrong("policy", argc > 1 ? "there is no \"policy %s\"" : "what about policies? Say `test`%s", what);
}
