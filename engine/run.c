/* run.c - the command "run": one prompt, its answer on stdout as it comes. The shortest way through the engine. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/answer.h"
#include "engine/chat_model.h"
#include "engine/cli.h"
#include "engine/commands.h"
#include "engine/sample.h"

struct run_options {
    const char *model, *prompt, *system, *temperature;
    int max_tokens, seed, threads, context;
    bool thinking;
};

struct run {
    struct chat_model model;
    struct ids ids;
    struct answer answer;
    struct lm_seq *seq;
    float *logits;
    struct sample_scratch scratch;
    struct buf reasoning, content;
};

static bool encode(struct run *r, const struct run_options *o)
{
    struct prompt_message messages[2];
    size_t n = 0;
    enum tokenizer_rc rc;

    if (o->system)
        messages[n++] = (struct prompt_message){ .role = PROMPT_SYSTEM, .content = span_str(o->system) };
    messages[n++] = (struct prompt_message){ .role = PROMPT_USER, .content = span_str(o->prompt) };
    ids_init(&r->ids, r->model.lm.context);
    rc = prompt_encode(r->model.tokenizer, &r->model.markers, messages, n,
                       o->thinking ? PROMPT_THINKING : PROMPT_CHAT, true, &r->ids);
    if (rc == TOKENIZER_OK && r->ids.n < r->model.lm.context)
        return true;
    fprintf(stderr, "tollgate-engine run: %s\n",
            rc == TOKENIZER_UTF8 ? "the prompt is no valid UTF-8" : rc == TOKENIZER_MEMORY ? "no memory for the prompt"
            : "the prompt does not fit the context; see --context");
    return false;
}

static void show(struct run *r)
{
    fwrite(buf_span(&r->reasoning).p, 1, r->reasoning.n, stderr);
    fwrite(buf_span(&r->content).p, 1, r->content.n, stdout);
    fflush(stdout);
    buf_clear(&r->reasoning);
    buf_clear(&r->content);
}

static bool generate(struct run *r, const struct run_options *o, const struct sample_params *p)
{
    const struct lm *lm = &r->model.lm;
    struct lm_piece piece = { r->seq, r->ids.p, r->ids.n, true };

    for (int nth = 0; nth < o->max_tokens && r->ids.n < lm->context; nth++) {
        const char *why = lm->step(lm->self, &piece, 1, r->logits);
        const int32_t id = why ? -1 : sample_next(r->logits, lm->vocab, p, (uint64_t)nth, &r->scratch);
        enum answer_rc rc;

        if (id < 0 || !ids_add(&r->ids, id)) {
            fprintf(stderr, "tollgate-engine run: %s\n", why ? why : "the model gave no finite number");
            return false;
        }
        rc = answer_feed(&r->answer, id, &r->reasoning, &r->content);
        show(r);
        if (rc == ANSWER_STOP)
            break;
        piece.ids = &r->ids.p[r->ids.n - 1];
        piece.n = 1;
    }
    answer_end(&r->answer, &r->reasoning, &r->content);
    buf_add_char(&r->content, '\n');
    show(r);
    return true;
}

static bool run(const struct run_options *o, double temperature)
{
    const struct engine_options engine = { .threads = o->threads, .context = o->context };
    struct run r = { .seq = NULL };
    struct problems ps;
    bool ok;

    problems_init(&ps);
    buf_init(&r.reasoning, 1u << 20);
    buf_init(&r.content, 1u << 20);
    ok = chat_model_open(&r.model, o->model, &engine, &ps);
    problems_print(&ps, stderr);
    if (ok) {
        const struct lm *lm = &r.model.lm;
        const struct sample_params p = { temperature < 0 ? r.model.temperature : temperature, r.model.top_p, 0,
                                         (uint64_t)o->seed };

        r.seq = lm->seq_new(lm->self);
        r.logits = calloc(lm->vocab, sizeof *r.logits);
        answer_init(&r.answer, r.model.tokenizer, &r.model.markers, o->thinking);
        ok = r.seq && r.logits && encode(&r, o) && generate(&r, o, &p);
        if (r.seq)
            lm->seq_free(lm->self, r.seq);
        answer_free(&r.answer);
        chat_model_close(&r.model);
    }
    free(r.logits);
    ids_free(&r.ids);
    sample_scratch_free(&r.scratch);
    buf_free(&r.reasoning);
    buf_free(&r.content);
    problems_free(&ps);
    return ok;
}

int command_run(int argc, char **argv)
{
    struct run_options o = { .max_tokens = 1024 };
    const struct cli_option options[] = {
        { .name = "model", .type = CLI_TEXT, .to = &o.model, .arg = "DIR", .required = true, .help = "a model folder" },
        { .name = "prompt", .type = CLI_TEXT, .to = &o.prompt, .arg = "TEXT", .required = true,
          .help = "what the user says" },
        { .name = "system", .type = CLI_TEXT, .to = &o.system, .arg = "TEXT", .help = "the system message (none)" },
        { .name = "max-tokens", .type = CLI_INT, .to = &o.max_tokens, .arg = "N", .min = 1, .max = 1 << 20,
          .help = "of the answer (1024)" },
        { .name = "temperature", .type = CLI_TEXT, .to = &o.temperature, .arg = "T",
          .help = "0 to 2; 0 takes the likeliest token (the model's own)" },
        { .name = "seed", .type = CLI_INT, .to = &o.seed, .arg = "N", .min = 0, .max = INT32_MAX,
          .help = "the same seed gives the same answer (0)" },
        { .name = "thinking", .type = CLI_SWITCH, .to = &o.thinking,
          .help = "let the model reason first; the reasoning goes to stderr" },
        { .name = "context", .type = CLI_INT, .to = &o.context, .arg = "N", .min = 0, .max = 1 << 20,
          .help = "tokens of prompt and answer (0: 8192 or what the model allows)" },
        { .name = "threads", .type = CLI_INT, .to = &o.threads, .arg = "N", .min = 0, .max = 256,
          .help = "threads (0: one a core, at most 4)" },
        { .name = NULL },
    };
    const struct cli cli = { "tollgate-engine run", "Answers one prompt on standard output.", options };
    const enum cli_rc rc = cli_parse(&cli, argc, argv);
    double temperature = -1;
    char *end = NULL;

    if (rc != CLI_OK)
        return rc == CLI_DONE ? 0 : 2;
    if (o.temperature)
        temperature = strtod(o.temperature, &end);
    if (o.temperature && (end == o.temperature || *end || !(temperature >= 0 && temperature <= 2))) {
        fprintf(stderr, "tollgate-engine run: --temperature must be a number from 0 to 2\n");
        return 2;
    }
    return run(&o, temperature) ? 0 : 1;
}
