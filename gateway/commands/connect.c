/* connect.c - the exact lines that point a client at this gateway. Prints no key: it names where the key goes. */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/commands/commands.h"
#include "gateway/config.h"

struct place {
    char url[256];       /* https://127.0.0.1:8443 */
    char ca[PATH_MAX];   /* the development CA beside the config; "" when there is none */
};

static void print_curl(const struct place *p)
{
    printf("curl%s%s %s/v1/chat/completions \\\n"
           "  -H \"authorization: Bearer $TOLLGATE_KEY\" -H 'content-type: application/json' \\\n"
           "  -d '{\"model\": \"auto\", \"messages\": [{\"role\": \"user\", \"content\": \"What is 17 + 25?\"}]}'\n",
           p->ca[0] ? " --cacert " : "", p->ca, p->url);
}

static void print_openai(const struct place *p)
{
    printf("# any OpenAI SDK, and what is built on one; the key is the one that `tollgate keys create` printed\n"
           "export OPENAI_BASE_URL=%s/v1\nexport OPENAI_API_KEY=$TOLLGATE_KEY\n", p->url);
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
    (void)p;
    printf("This client speaks a dialect that comes with a later version of tollgate; in this one it is the OpenAI chat "
           "dialect.\n");
}

static const struct {
    const char *name;
    void (*print)(const struct place *p);
} clients[] = {
    { "curl", print_curl },          { "openai", print_openai },     { "langchain", print_langchain },
    { "ai-sdk", print_ai_sdk },      { "cursor", print_cursor },     { "cline", print_cline },
    { "claude-code", print_later },  { "codex", print_later },       { "anthropic", print_later },
    { "gemini", print_later },
};

static int usage(FILE *out)
{
    fputs("usage: tollgate connect [--config FILE] CLIENT\n\nPrints the lines that point CLIENT at this gateway. CLIENT is one of\n ",
          out);
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++)
        fprintf(out, " %s", clients[i].name);
    fputs("\n\n  --config FILE   the config (default: " CONFIG_FILE_DEFAULT ")\n", out);
    return out == stderr ? 2 : 0;
}

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
    }
    problems_free(&ps);
    config_free(c);
    return c != NULL;
}

int command_connect(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "help", no_argument, NULL, 'h' }, { 0 },
    };
    const char *path = CONFIG_FILE_DEFAULT;
    struct place place;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'c')
            path = optarg;
        else
            return usage(option == 'h' ? stdout : stderr);
    }
    if (optind + 1 != argc)
        return usage(stderr);
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++)
        if (strcmp(argv[optind], clients[i].name) == 0) {
            if (!find_place(path, &place))
                return 1;
            clients[i].print(&place);
            return 0;
        }
    fprintf(stderr, "connect: I know no client \"%s\"\n\n", argv[optind]);
    return usage(stderr);
}
