/* serve.c - the command "serve": options, models, signals, one line when ready. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "engine/chat_model.h"
#include "engine/cli.h"
#include "engine/commands.h"
#include "engine/server.h"

#define DRAIN_MS 4000                /* the gateway kills after 5000 */
#define CACHE_BYTES (256u << 20)     /* of one model's kept prefixes */

struct serve_options {
    struct cli_list models;
    const char *listen, *device;
    int threads, slots, context, queue, cache;
    bool exit_with_parent;
};

struct serve {
    const struct serve_options *options;
    struct event_base *base;
    struct server *server;
    struct event *term, *interrupt;
    struct chat_model models[CLI_LIST_MAX];
    size_t n_models;
    struct buf names;
};

/* "NAME=DIR" or "DIR", whose last part is the name then. */
static struct span model_name(const char *option, const char **dir)
{
    const char *equals = strchr(option, '=');
    struct span name;

    if (equals) {
        *dir = equals + 1;
        return (struct span){ option, (size_t)(equals - option) };
    }
    *dir = option;
    name = span_str(option);
    while (name.n > 1 && name.p[name.n - 1] == '/')
        name.n--;
    for (size_t i = name.n; i > 0; i--)
        if (name.p[i - 1] == '/')
            return span_skip(name, i);
    return name;
}

static bool add_model(struct serve *s, const char *option, struct problems *ps)
{
    const struct serve_options *o = s->options;
    const struct engine_options engine = { .threads = o->threads, .context = o->context };
    struct chat_model *m = &s->models[s->n_models];
    struct worker_config c = { .slots = (size_t)o->slots, .queue = (size_t)o->queue, .cache = (size_t)o->cache,
                               .cache_bytes = CACHE_BYTES };
    const char *dir;
    const struct span name = model_name(option, &dir);
    char text[256];
    int chunk;

    if (name.n == 0 || name.n >= sizeof text || !*dir) {
        problem_error(ps, "", "--model must be NAME=DIR or DIR, not \"%s\"", option);
        return false;
    }
    if (!chat_model_open(m, dir, &engine, ps))
        return false;
    s->n_models++;
    snprintf(text, sizeof text, "%.*s", SPAN_FMT(name));
    chunk = engine_step_tokens(m->engine) - o->slots;
    c.lm = m->lm;
    c.tokenizer = m->tokenizer;
    c.markers = m->markers;
    c.prefill_chunk = (size_t)(chunk < 32 ? 32 : chunk);    /* one step of the engine, whatever else is in it */
    if (!server_add_model(s->server, text, &c, m->temperature, m->top_p)) {
        problem_error(ps, "", "cannot serve \"%s\": no memory, or its name is used twice", text);
        return false;
    }
    buf_printf(&s->names, "%s%s", s->n_models > 1 ? ", " : "", text);
    return true;
}

/* A second signal ends at once. */
static void on_signal(evutil_socket_t fd, short what, void *ctx)
{
    struct serve *s = ctx;

    (void)fd;
    (void)what;
    event_del(s->term);
    event_del(s->interrupt);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    server_drain(s->server, DRAIN_MS);
}

static bool prepare(struct serve *s, struct problems *ps)
{
    const char *listen = s->options->listen;

    s->base = event_base_new();
    s->server = s->base ? server_new(s->base, &server_default_limits) : NULL;
    s->term = s->base ? evsignal_new(s->base, SIGTERM, on_signal, s) : NULL;
    s->interrupt = s->base ? evsignal_new(s->base, SIGINT, on_signal, s) : NULL;
    if (!s->server || !s->term || !s->interrupt) {
        problem_error(ps, "", "no memory to start");
        return false;
    }
    event_add(s->term, NULL);
    event_add(s->interrupt, NULL);
    for (size_t i = 0; i < s->options->models.n; i++)
        if (!add_model(s, s->options->models.values[i], ps))
            return false;
    return server_listen(s->server, listen, ps);
}

static void say_ready(const struct serve *s)
{
    const char *listen = s->options->listen;

    if (server_port(s->server))
        fprintf(stderr, "tollgate-engine: ready: %s on port %d (%s)\n", s->names.p, server_port(s->server),
                engine_device(s->models[0].engine));
    else
        fprintf(stderr, "tollgate-engine: ready: %s on %s (%s)\n", s->names.p, listen,
                engine_device(s->models[0].engine));
}

static int serve(const struct serve_options *o)
{
    struct serve *s = calloc(1, sizeof *s);
    struct problems ps;
    sigset_t both, before;
    bool ok;

    if (!s) {
        fprintf(stderr, "tollgate-engine serve: no memory\n");
        return 1;
    }
    s->options = o;
    buf_init(&s->names, 8192);
    problems_init(&ps);
    signal(SIGPIPE, SIG_IGN);
    /* Threads inherit a mask in which the two signals are off, so that this thread gets them. */
    sigemptyset(&both);
    sigaddset(&both, SIGTERM);
    sigaddset(&both, SIGINT);
    pthread_sigmask(SIG_BLOCK, &both, &before);
    ok = prepare(s, &ps);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    problems_print(&ps, stderr);
    if (ok) {
        say_ready(s);
        event_base_dispatch(s->base);
    }
    server_free(s->server);
    for (size_t i = 0; i < s->n_models; i++)
        chat_model_close(&s->models[i]);
    if (s->term)
        event_free(s->term);
    if (s->interrupt)
        event_free(s->interrupt);
    if (s->base)
        event_base_free(s->base);
    buf_free(&s->names);
    problems_free(&ps);
    free(s);
    return ok ? 0 : 1;
}

/* The kernel ends us with our parent. It may have gone before we asked; then init is our parent now. */
static bool follow_parent(void)
{
    const pid_t parent = getppid();

    return prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent;
}

int command_serve(int argc, char **argv)
{
    struct serve_options o = { .listen = "127.0.0.1:8455", .device = "auto", .slots = 8, .queue = 64, .cache = 16 };
    const struct cli_option options[] = {
        { .name = "model", .type = CLI_LIST, .to = &o.models, .arg = "[NAME=]DIR", .required = true,
          .help = "a model folder, and the name to serve it under (the folder's); repeatable" },
        { .name = "listen", .type = CLI_TEXT, .to = &o.listen, .arg = "ADDRESS",
          .help = "unix:PATH, 127.0.0.1:PORT or [::1]:PORT (127.0.0.1:8455)" },
        { .name = "device", .type = CLI_TEXT, .to = &o.device, .arg = "DEVICE", .help = "auto or cpu (auto)" },
        { .name = "threads", .type = CLI_INT, .to = &o.threads, .arg = "N", .min = 0, .max = 256,
          .help = "threads of each model (0: one a core, at most 4)" },
        { .name = "slots", .type = CLI_INT, .to = &o.slots, .arg = "N", .min = 1, .max = 64,
          .help = "requests computed at once, each model (8)" },
        { .name = "context", .type = CLI_INT, .to = &o.context, .arg = "N", .min = 0, .max = 1 << 20,
          .help = "tokens of a request, prompt and answer (0: 8192 or what the model allows)" },
        { .name = "queue", .type = CLI_INT, .to = &o.queue, .arg = "N", .min = 0, .max = 10000,
          .help = "requests that may wait, each model; more get 429 (64)" },
        { .name = "cache", .type = CLI_INT, .to = &o.cache, .arg = "N", .min = 0, .max = 256,
          .help = "beginnings of prompts kept, each model (16)" },
        { .name = "exit-with-parent", .type = CLI_SWITCH, .to = &o.exit_with_parent,
          .help = "end when the process that started this one does" },
        { .name = NULL },
    };
    const struct cli cli = { "tollgate-engine serve",
                             "Serves models over HTTP as OpenAI's Chat Completions. There are no keys and no TLS: the\n"
                             "socket is for this user, the port for this machine.", options };
    const enum cli_rc rc = cli_parse(&cli, argc, argv);

    if (rc != CLI_OK)
        return rc == CLI_DONE ? 0 : 2;
    if (strcmp(o.device, "auto") != 0 && strcmp(o.device, "cpu") != 0) {
        fprintf(stderr, "tollgate-engine serve: --device must be auto or cpu: this build has no other\n");
        return 2;
    }
    if (o.exit_with_parent && !follow_parent())
        return 1;
    return serve(&o);
}
