/* logits.c - the command "logits": token ids in, raw logits out. For comparing this engine with another. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "engine/cli.h"
#include "engine/commands.h"
#include "engine/forward.h"

#define TOKENS_BYTES_MAX (64u * 1024 * 1024)

struct logits_options {
    const char *model, *tokens, *out;
    int chunk, threads;
    bool published;
};

/* The ids of a list, or of an object's "tokens"; NULL with problems. */
static int32_t *read_tokens(const char *path, int vocab, int *n, struct problems *ps)
{
    json_t *root = json_read(path, TOKENS_BYTES_MAX, ps, NULL, NULL);
    const json_t *list = json_is_object(root) ? json_object_get(root, "tokens") : root;
    int32_t *ids = NULL;

    if (!root)
        return NULL;
    *n = (int)json_array_size(list);
    if (!json_is_array(list) || *n < 1) {
        problem_error(ps, json_is_object(root) ? "/tokens" : "", "must be a list of at least one token id");
        goto out;
    }
    ids = calloc((size_t)*n, sizeof *ids);
    for (int i = 0; ids && i < *n; i++) {
        const json_t *v = json_array_get(list, (size_t)i);

        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) >= vocab) {
            problem_error(ps, "", "has at index %d no token id from 0 to %d", i, vocab - 1);
            free(ids);
            ids = NULL;
            break;
        }
        ids[i] = (int32_t)json_integer_value(v);
    }
out:
    json_decref(root);
    return ids;
}

/* Runs the ids in chunks and writes the logits of each as it comes. False after a message. */
static bool write_logits(struct engine *e, const int32_t *ids, int n, int chunk, FILE *out)
{
    const size_t vocab = (size_t)engine_config(e)->vocab;
    struct seq *s = seq_new(e, n);
    float *logits = calloc((size_t)chunk * vocab, sizeof *logits);
    bool ok = s && logits;

    if (!ok)
        fprintf(stderr, "tollgate-engine logits: no memory for %d tokens\n", n);
    for (int i = 0; ok && i < n; i += chunk) {
        const int m = n - i < chunk ? n - i : chunk;
        const struct batch_item item = { .seq = s, .ids = ids + i, .n = m, .n_logits = m };

        ok = forward(e, &item, 1, logits) == FORWARD_OK;
        if (ok && fwrite(logits, sizeof *logits * vocab, (size_t)m, out) != (size_t)m) {
            fprintf(stderr, "tollgate-engine logits: cannot write: %s\n", strerror(errno));
            ok = false;
        }
    }
    seq_free(s);
    free(logits);
    return ok;
}

static int run(const struct logits_options *o, struct problems *ps)
{
    struct model_config c;
    struct engine *e = NULL;
    int32_t *ids = NULL;
    char *config = NULL;
    FILE *out = NULL;
    int n = 0, status = 1;

    if (asprintf(&config, "%s/config.json", o->model) < 0)
        return 1;
    if (!model_read_config(config, &c, ps))
        goto done;
    ids = read_tokens(o->tokens, c.vocab, &n, ps);
    if (!ids)
        goto done;
    if (n > c.max_context) {
        problem_error(ps, "", "has %d tokens; the model takes %d", n, c.max_context);
        goto done;
    }
    e = engine_open(o->model, &(struct engine_options){ .threads = o->threads, .context = n,
                                                        .step_tokens = o->chunk, .published = o->published }, ps);
    if (!e)
        goto done;
    out = fopen(o->out, "wb");
    if (!out) {
        ps->file = o->out;
        problem_error(ps, "", "cannot be written: %s", strerror(errno));
        goto done;
    }
    status = write_logits(e, ids, n, o->chunk, out) ? 0 : 1;
    if (fclose(out) != 0 && status == 0) {
        fprintf(stderr, "tollgate-engine logits: %s: %s\n", o->out, strerror(errno));
        status = 1;
    }
done:
    problems_print(ps, stderr);
    engine_free(e);
    free(ids);
    free(config);
    return status;
}

int command_logits(int argc, char **argv)
{
    struct logits_options o = { .chunk = 256 };
    const struct cli_option options[] = {
        { "model", CLI_TEXT, &o.model, "DIR", "model folder", 0, 0, true },
        { "tokens", CLI_TEXT, &o.tokens, "FILE.json", "list of token ids, used as listed", 0, 0, true },
        { "out", CLI_TEXT, &o.out, "FILE.bin", "float32 little-endian [tokens, vocab]", 0, 0, true },
        { "published", CLI_SWITCH, &o.published, NULL, "round as the published inference code does", 0, 0, false },
        { "chunk", CLI_INT, &o.chunk, "N", "tokens a step (256); does not change the result", 1, 65536, false },
        { "threads", CLI_INT, &o.threads, "N", "threads (all cores, at most 4); does not change the result", 1, 1024,
          false },
        { 0 },
    };
    const struct cli c = { "tollgate-engine logits", "Writes the logits after each token of a list.", options };
    const enum cli_rc rc = cli_parse(&c, argc, argv);
    struct problems ps;
    int status;

    if (rc != CLI_OK)
        return rc == CLI_DONE ? 0 : 2;
    problems_init(&ps);
    status = run(&o, &ps);
    problems_free(&ps);
    return status;
}
