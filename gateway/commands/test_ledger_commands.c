/* test_ledger_commands.c - keys, budgets, costs and audit as a shell calls them: exit status, output, words of errors. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "gateway/commands/commands.h"
#include "gateway/commands/table.h"
#include "gateway/ledger/keys.h"

static char dir[256], config[300], out_path[300], err_path[300];
static char out[65536], err[65536];

static void read_back(const char *path, char *text, size_t room)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(text, 1, room - 1, f) : 0;

    text[n] = '\0';
    if (f)
        fclose(f);
}

/* Runs a command with its output in `out` and `err`; the words end with NULL. Returns its exit status. */
static int run(int (*command)(int argc, char **argv), ...)
{
    char *argv[32];
    int argc = 0, saved[2] = { dup(1), dup(2) }, to[2], rc;
    va_list words;

    va_start(words, command);
    while ((argv[argc] = va_arg(words, char *)) != NULL)
        argc++;
    va_end(words);
    fflush(stdout);
    to[0] = open(out_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    to[1] = open(err_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (int i = 0; i < 2; i++)
        dup2(to[i], i + 1);
    optind = 1;
    rc = command(argc, argv);
    fflush(stdout);
    for (int i = 0; i < 2; i++) {
        dup2(saved[i], i + 1);
        close(saved[i]);
        close(to[i]);
    }
    read_back(out_path, out, sizeof out);
    read_back(err_path, err, sizeof err);
    return rc;
}

static int setup(void **state)
{
    const char *tmp = getenv("TMPDIR"), *top = getenv("top_srcdir");
    FILE *f;

    (void)state;
    snprintf(dir, sizeof dir, "%s/commands-XXXXXX", tmp ? tmp : P_tmpdir);
    if (!mkdtemp(dir))
        return -1;
    snprintf(out_path, sizeof out_path, "%s/out", dir);
    snprintf(err_path, sizeof err_path, "%s/err", dir);
    snprintf(config, sizeof config, "%s/tollgate.json", dir);
    f = fopen(config, "w");
    if (!f || !top)
        return -1;
    fprintf(f, "{\"listen\": [{\"address\": \"127.0.0.1:0\"}], \"ledger\": {\"sqlite\": \"tollgate.db\"},"
            " \"prices\": \"%s/pricing/prices.json\", \"policy\": \"%s/policies/flash-first-local.json\","
            " \"providers\": {\"p\": {\"dialect\": \"openai\", \"base_url\": \"http://127.0.0.1:9/v1\"}}}", top, top);
    fclose(f);
    return run(command_keys, "keys", "list", "--config", config, NULL);    /* makes the ledger */
}

static int teardown(void **state)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    (void)state;
    while (d && (e = readdir(d)) != NULL)
        unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(dir);
    return 0;
}

static void create_prints_the_key_once_with_its_id(void **state)
{
    const char *key, *id;
    json_t *j;

    (void)state;
    assert_int_equal(run(command_keys, "keys", "create", "--config", config, "--team", "search", "--name", "ci", NULL), 0);
    key = strstr(out, "key: ");
    id = strstr(out, "id: key_");
    assert_true(key == out && id && out[5 + KEY_TEXT_BYTES] == '\n');
    assert_true(key_well_formed((struct span){ key + 5, KEY_TEXT_BYTES }));
    assert_int_equal(run(command_keys, "keys", "create", "--config", config, "--team", "search", "--name", "ci", NULL), 1);
    assert_non_null(strstr(err, "has a key named ci already"));
    assert_int_equal(run(command_keys, "keys", "create", "--config", config, "--team", "legal", "--name", "x", "--format", "json",
                         NULL), 0);
    j = json_loads(out, 0, NULL);
    assert_true(key_well_formed(span_str(json_string_value(json_object_get(j, "key")))));
    assert_string_equal(json_string_value(json_object_get(j, "team")), "legal");
    assert_string_equal(json_string_value(json_object_get(j, "name")), "x");
    assert_int_equal(strncmp(json_string_value(json_object_get(j, "id")), "key_", 4), 0);
    json_decref(j);
    assert_int_equal(run(command_keys, "keys", "list", "--config", config, NULL), 0);
    assert_non_null(strstr(out, "search  ci "));
    assert_null(strstr(out, "tg_"));
}

static void keys_are_revoked_and_rotated_by_id_or_by_name(void **state)
{
    char id[KEY_ID_BYTES + 1];

    (void)state;
    assert_int_equal(run(command_keys, "keys", "create", "--config", config, "--team", "search", "--name", "ci", NULL), 0);
    snprintf(id, sizeof id, "%.*s", KEY_ID_BYTES, strstr(out, "id: ") + 4);
    assert_int_equal(run(command_keys, "keys", "rotate", "--config", config, "--id", id, NULL), 0);
    assert_non_null(strstr(out, id));
    assert_int_equal(run(command_keys, "keys", "revoke", "--config", config, "--team", "search", "--name", "ci", NULL), 0);
    assert_int_equal(run(command_keys, "keys", "revoke", "--config", config, "--id", id, NULL), 1);
    assert_non_null(strstr(err, "has been revoked"));
    assert_int_equal(run(command_keys, "keys", "revoke", "--config", config, "--id", "key_none", NULL), 1);
    assert_int_equal(run(command_keys, "keys", "revoke", "--config", config, "--team", "search", NULL), 2);
    assert_int_equal(run(command_keys, "keys", "revoke", "--config", config, NULL), 2);
}

static void budgets_are_set_listed_and_removed(void **state)
{
    json_t *j;

    (void)state;
    assert_int_equal(run(command_budgets, "budgets", "list", "--config", config, NULL), 0);
    assert_string_equal(out, "no budgets are set\n");
    assert_int_equal(run(command_budgets, "budgets", "set", "--config", config, "--team", "search", "--usd", "12.50", "--period",
                         "day", NULL), 0);
    assert_int_equal(run(command_budgets, "budgets", "list", "--config", config, "--format", "json", NULL), 0);
    j = json_loads(out, 0, NULL);
    assert_int_equal(json_array_size(j), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(j, 0), "limit_usd")), "12.5");
    assert_string_equal(json_string_value(json_object_get(json_array_get(j, 0), "name")), "search");
    json_decref(j);
    assert_int_equal(run(command_budgets, "budgets", "set", "--config", config, "--team", "search", "--usd", "-1", "--period", "day",
                         NULL), 2);
    assert_int_equal(run(command_budgets, "budgets", "set", "--config", config, "--team", "search", "--usd", "1", "--period", "year",
                         NULL), 2);
    assert_int_equal(run(command_budgets, "budgets", "set", "--config", config, "--usd", "1", "--period", "day", NULL), 2);
    assert_int_equal(run(command_budgets, "budgets", "set", "--config", config, "--key", "key_none", "--usd", "1", "--period", "day",
                         NULL), 1);
    assert_int_equal(run(command_budgets, "budgets", "remove", "--config", config, "--team", "search", NULL), 0);
    assert_int_equal(run(command_budgets, "budgets", "remove", "--config", config, "--team", "search", NULL), 1);
}

static void costs_and_audit_of_a_new_ledger_are_empty_and_green(void **state)
{
    (void)state;
    assert_int_equal(run(command_costs, "costs", "--config", config, NULL), 0);
    assert_string_equal(out, "no requests in this time\n");
    assert_int_equal(run(command_costs, "costs", "--config", config, "--by", "team,day,tag:project", "--format", "json", NULL), 0);
    assert_string_equal(out, "[]\n");
    assert_int_equal(run(command_costs, "costs", "--config", config, "--by", "team", "--format", "csv", NULL), 0);
    assert_string_equal(out, "team,requests,attempts,input,cache_read,cache_write,output,cost_nano,cost_usd\r\n");
    assert_int_equal(run(command_audit, "audit", "--config", config, NULL), 0);
    assert_non_null(strstr(out, "every row agrees"));
    assert_int_equal(run(command_costs, "costs", "--config", config, "--by", "colour", NULL), 2);
    assert_non_null(strstr(err, "\"colour\""));
    assert_int_equal(run(command_costs, "costs", "--config", config, "--from", "2026-02-30", NULL), 2);
    assert_int_equal(run(command_costs, "costs", "--config", config, "--format", "focus", NULL), 2);
    assert_int_equal(run(command_audit, "audit", "--config", config, "more", NULL), 2);
}

static void a_missing_config_or_ledger_says_what_is_missing(void **state)
{
    char other[300];

    (void)state;
    snprintf(other, sizeof other, "%s/none.json", dir);
    assert_int_equal(run(command_audit, "audit", "--config", other, NULL), 1);
    assert_non_null(strstr(err, "none.json"));
    snprintf(other, sizeof other, "%s/tollgate.db", dir);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(run(command_costs, "costs", "--config", config, NULL), 1);
    assert_non_null(strstr(err, "there is no ledger here"));
    assert_int_equal(run(command_keys, "keys", "create", "--config", config, "--team", "a", "--name", "b", NULL), 0);
    assert_int_equal(run(command_costs, "costs", "--config", config, NULL), 0);
}

static void each_command_has_help(void **state)
{
    (void)state;
    assert_int_equal(run(command_keys, "keys", "--help", NULL), 0);
    assert_non_null(strstr(out, "usage: tollgate keys"));
    assert_int_equal(run(command_budgets, "budgets", "set", "--help", NULL), 0);
    assert_int_equal(run(command_costs, "costs", "--help", NULL), 0);
    assert_int_equal(run(command_audit, "audit", "--help", NULL), 0);
    assert_int_equal(run(command_keys, "keys", NULL), 2);
    assert_int_equal(run(command_keys, "keys", "frobnicate", NULL), 2);
}

static void tables_align_quote_and_escape(void **state)
{
    struct table *t = table_new();
    char text[1024] = "";
    FILE *f;

    (void)state;
    table_column(t, SPAN_LIT("name"), TABLE_WORD, false);
    table_column(t, SPAN_LIT("nano"), TABLE_NUMBER, true);
    table_column(t, SPAN_LIT("usd"), TABLE_MONEY, false);
    table_column(t, SPAN_LIT("when"), TABLE_TIME, false);
    table_cell(t, SPAN_LIT("a\"b,\x1b[2J"));
    table_number(t, 1);
    table_money(t, 1);
    table_cell(t, SPAN_NONE);
    table_cell(t, SPAN_LIT("z\xc3\xbcrich"));
    table_number(t, -5);
    table_money(t, INT64_C(12500000000));
    table_cell(t, SPAN_LIT("now"));
    f = fmemopen(text, sizeof text, "w");
    table_print(t, TABLE_TEXT, f);
    table_print(t, TABLE_CSV, f);
    table_print(t, TABLE_JSON, f);
    fclose(f);
    assert_string_equal(text, "name              usd  when\n"
                              "a\"b,?[2J  0.000000001\n"
                              "z\xc3\xbcrich           12.5  now\n"
                              "name,nano,usd,when\r\n"
                              "\"a\"\"b,\x1b[2J\",1,0.000000001,\r\n"
                              "z\xc3\xbcrich,-5,12.5,now\r\n"
                              "[\n {\"name\":\"a\\\"b,\\u001b[2J\",\"nano\":1,\"usd\":\"0.000000001\",\"when\":null},\n"
                              " {\"name\":\"z\xc3\xbcrich\",\"nano\":-5,\"usd\":\"12.5\",\"when\":\"now\"}\n]\n");
    table_free(t);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(create_prints_the_key_once_with_its_id),
        T(keys_are_revoked_and_rotated_by_id_or_by_name),
        T(budgets_are_set_listed_and_removed),
        T(costs_and_audit_of_a_new_ledger_are_empty_and_green),
        T(a_missing_config_or_ledger_says_what_is_missing),
        T(each_command_has_help),
        cmocka_unit_test(tables_align_quote_and_escape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
