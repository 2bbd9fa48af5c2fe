/* connect.c - the exact lines that point a client at this gateway. Prints no key: it names where the key goes. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/commands/cli.h"
#include "gateway/commands/commands.h"
#include "gateway/config.h"

struct place {
    char url[256];       /* https://127.0.0.1:8443 */
    char ca[PATH_MAX];   /* the development CA beside the config; "" when there is none */
    char key[PATH_MAX];  /* `init`'s first key beside it, likewise */
};

static void print_key_line(const struct place *p)
{
    if (p->key[0])
        printf("export TOLLGATE_KEY=$(cat %s)\n", p->key);
    else
        printf("# TOLLGATE_KEY: the key that `%s keys create` printed\n", cli_program());
}

static void print_curl(const struct place *p)
{
    print_key_line(p);
    printf("curl%s%s %s/v1/chat/completions \\\n"
           "  -H \"authorization: Bearer $TOLLGATE_KEY\" -H 'content-type: application/json' \\\n"
           "  -d '{\"model\": \"auto\", \"messages\": [{\"role\": \"user\", \"content\": \"What is 17 + 25?\"}]}'\n",
           p->ca[0] ? " --cacert " : "", p->ca, p->url);
}

static void print_openai(const struct place *p)
{
    printf("# any OpenAI SDK, and what is built on one\n");
    print_key_line(p);
    printf("export OPENAI_BASE_URL=%s/v1\nexport OPENAI_API_KEY=$TOLLGATE_KEY\n", p->url);
    if (p->ca[0])
        printf("export NODE_EXTRA_CA_CERTS=%s    # Node.js\nexport SSL_CERT_FILE=%s          # Python\n", p->ca, p->ca);
    printf("# model: \"auto\" lets the policy decide; a route's or a model's name is taken as such\n");
}

static void print_langchain(const struct place *p)
{
    print_openai(p);
    printf("# LangChain (Python): ChatOpenAI(model=\"auto\")    (JavaScript): new ChatOpenAI({ model: \"auto\" })\n");
}

static void print_ai_sdk(const struct place *p)
{
    print_openai(p);
    printf("# AI SDK: createOpenAI().chat(\"auto\")\n");
}

static void print_cursor(const struct place *p)
{
    printf("Settings > Models > OpenAI API Key: the key; Override OpenAI Base URL: %s/v1; add the model \"auto\".\n"
           "Cursor calls from its own servers: the address must be public, with a certificate that they trust.\n", p->url);
}

static void print_cline(const struct place *p)
{
    printf("API Provider: OpenAI Compatible; Base URL: %s/v1; API Key: the key; Model ID: auto\n", p->url);
    if (p->ca[0])
        printf("Start the editor with NODE_EXTRA_CA_CERTS=%s in its environment.\n", p->ca);
}

static void print_later(const struct place *p)
{
    printf("This client speaks a dialect that comes with a later version of tollgate. This one takes the OpenAI chat dialect\n"
           "at %s/v1: curl, openai, langchain, ai-sdk, cursor, cline.\n", p->url);
}

#define CLIENTS "curl, openai, langchain, ai-sdk, cursor, cline"
static const struct {
    const char *name;
    void (*print)(const struct place *p);
} clients[] = {
    { "curl", print_curl },          { "openai", print_openai },     { "langchain", print_langchain },
    { "ai-sdk", print_ai_sdk },      { "cursor", print_cursor },     { "cline", print_cline },
    { "claude-code", print_later },  { "codex", print_later },       { "anthropic", print_later },
    { "gemini", print_later },
};

static const char help[] =
    "usage: tollgate connect [--config FILE] CLIENT\n\n"
    "Prints the lines that point CLIENT at this gateway. CLIENT is one of\n"
    "  " CLIENTS "\n"
    "and of a later version: claude-code, codex, anthropic, gemini.\n\n"
    "  --config FILE   the gateway's config (default: " CONFIG_FILE_DEFAULT ")\n";

static bool find_place(const char *path, struct place *p)
{
    struct problems ps;
    struct config *c;

    problems_init(&ps);
    c = config_load(path, &ps);
    if (!c) {
        problems_print(&ps, stderr);
    } else {
        const struct config_listener *l = &c->listeners[0];
        const bool v6 = strchr(l->address.host, ':') != NULL;

        snprintf(p->url, sizeof p->url, "%s://%s%s%s:%u", l->tls ? "https" : "http", v6 ? "[" : "", l->address.host,
                 v6 ? "]" : "", l->address.port);
        snprintf(p->ca, sizeof p->ca, "%s/ca.pem", c->dir);
        if (!l->tls || access(p->ca, R_OK) != 0)
            p->ca[0] = '\0';
        snprintf(p->key, sizeof p->key, "%s/key.txt", c->dir);
        if (access(p->key, R_OK) != 0)
            p->key[0] = '\0';
    }
    problems_free(&ps);
    config_free(c);
    return c != NULL;
}

int command_connect(int argc, char **argv)
{
    static const struct option options[] = { { "config", required_argument, NULL, 'c' }, { 0 } };
    const char *path = CONFIG_FILE_DEFAULT;
    struct place place;
    int option;

    if (cli_help(argc, argv, help))
        return 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option != 'c')
            return cli_wrong_option("connect", argc, argv, option);
        path = optarg;
    }
    if (optind + 1 != argc)
        return cli_wrong("connect", optind == argc ? "which client? One of " CLIENTS "%s" : "one client at a time, not also \"%s\"",
                         optind == argc ? "" : argv[optind + 1]);
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++)
        if (strcmp(argv[optind], clients[i].name) == 0) {
            if (!find_place(path, &place))
                return 1;
            clients[i].print(&place);
            return 0;
        }
    return cli_wrong("connect", "I know no client \"%s\"; it is one of " CLIENTS, argv[optind]);
}
