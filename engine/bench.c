/* bench.c - the command "bench": how many prompt and answer tokens a second. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/cli.h"
#include "engine/commands.h"
#include "engine/forward.h"

struct bench_options {
    const char *model, *format;
    int prefill, decode, batch, threads;
    bool published;
};

struct bench_result {
    double prefill_per_s;        /* prompt tokens a second, one sequence after the other */
    double decode_per_s;         /* answer tokens a second, all sequences together */
    double decode_ms;            /* a step */
};

/* Any ids will do, but the same each time and spread over experts. */
static void fill_ids(int32_t *ids, int n, int vocab)
{
    uint32_t x = 12345;

    for (int i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        ids[i] = (int32_t)((x >> 8) % (uint32_t)vocab);
    }
}

static double per_second(int64_t n, int64_t us)
{
    return us > 0 ? (double)n * 1e6 / (double)us : 0;
}

/* The ids of each sequence begin at another place, so that the batch is not one sequence many times. */
static bool prefill(struct engine *e, const struct bench_options *o, struct seq **seqs, const int32_t *ids, float *logits,
                    struct bench_result *r)
{
    const int64_t start = clock_mono_us();

    for (int i = 0; i < o->batch; i++) {
        const struct batch_item item = { .seq = seqs[i], .ids = ids + i, .n = o->prefill, .n_logits = 1 };

        if (forward(e, &item, 1, logits) != FORWARD_OK)
            return false;
    }
    r->prefill_per_s = per_second((int64_t)o->prefill * o->batch, clock_mono_us() - start);
    return true;
}

static bool decode(struct engine *e, const struct bench_options *o, struct seq **seqs, const int32_t *ids, float *logits,
                   struct bench_result *r)
{
    struct batch_item *items = calloc((size_t)o->batch, sizeof *items);
    const int64_t start = clock_mono_us();
    int64_t us;
    bool ok = items != NULL;

    for (int t = 0; ok && t < o->decode; t++) {
        for (int i = 0; i < o->batch; i++)
            items[i] = (struct batch_item){ .seq = seqs[i], .ids = ids + t + i, .n = 1, .n_logits = 1 };
        ok = forward(e, items, o->batch, logits) == FORWARD_OK;
    }
    us = clock_mono_us() - start;
    free(items);
    r->decode_per_s = per_second((int64_t)o->decode * o->batch, us);
    r->decode_ms = (double)us / 1000 / o->decode;
    return ok;
}

static bool measure(struct engine *e, const struct bench_options *o, struct bench_result *r)
{
    const int vocab = engine_config(e)->vocab, n_ids = o->prefill + o->decode + o->batch;
    struct seq **seqs = calloc((size_t)o->batch, sizeof *seqs);
    float *logits = calloc((size_t)o->batch * (size_t)vocab, sizeof *logits);
    int32_t *ids = calloc((size_t)n_ids, sizeof *ids);
    bool ok = seqs && logits && ids;

    for (int i = 0; ok && i < o->batch; i++) {
        seqs[i] = seq_new(e, o->prefill + o->decode);
        ok = seqs[i] != NULL;
    }
    if (ok) {
        fill_ids(ids, n_ids, vocab);
        ok = prefill(e, o, seqs, ids, logits, r) && decode(e, o, seqs, ids, logits, r);
    }
    for (int i = 0; seqs && i < o->batch; i++)
        seq_free(seqs[i]);
    free(seqs);
    free(logits);
    free(ids);
    return ok;
}

/* The round whose decode rate is the middle one. */
#define ROUNDS 3

static int by_decode(const void *a, const void *b)
{
    const struct bench_result *x = a, *y = b;

    return (x->decode_per_s > y->decode_per_s) - (x->decode_per_s < y->decode_per_s);
}

static void print(const struct engine *e, const struct bench_options *o, const struct bench_result *r)
{
    if (o->format && strcmp(o->format, "json") == 0)
        printf("{\"device\":\"%s\",\"threads\":%d,\"prefill_tokens\":%d,\"decode_tokens\":%d,\"batch\":%d,"
               "\"prefill_per_s\":%.1f,\"decode_per_s\":%.1f,\"decode_step_ms\":%.3f}\n",
               engine_device(e), engine_threads(e), o->prefill, o->decode, o->batch, r->prefill_per_s, r->decode_per_s,
               r->decode_ms);
    else
        printf("%s, %d thread%s\nprefill of %d tokens: %.0f tokens/s\ndecode of %d tokens in %d sequence%s: "
               "%.0f tokens/s, %.2f ms a step\n", engine_device(e), engine_threads(e), engine_threads(e) == 1 ? "" : "s",
               o->prefill, r->prefill_per_s, o->decode, o->batch, o->batch == 1 ? "" : "s", r->decode_per_s,
               r->decode_ms);
}

static int run(const struct bench_options *o, struct problems *ps)
{
    struct bench_result r[ROUNDS];
    struct engine *e = engine_open(o->model, &(struct engine_options){ .threads = o->threads,
                                                                       .context = o->prefill + o->decode,
                                                                       .published = o->published }, ps);
    int status = 0;

    if (e && engine_context(e) < o->prefill + o->decode) {
        problem_error(ps, "", "the model takes %d tokens, --prefill and --decode ask for %d", engine_context(e),
                      o->prefill + o->decode);
        status = 1;
    }
    for (int i = 0; e && status == 0 && i < ROUNDS; i++) {
        if (!measure(e, o, &r[i])) {
            problem_error(ps, "", "no memory for the sequences");
            status = 1;
        }
    }
    problems_print(ps, stderr);
    if (e && status == 0) {
        qsort(r, ROUNDS, sizeof r[0], by_decode);
        print(e, o, &r[ROUNDS / 2]);
    }
    if (!e)
        status = 1;
    engine_free(e);
    return status;
}

int command_bench(int argc, char **argv)
{
    struct bench_options o = { .prefill = 512, .decode = 128, .batch = 1 };
    const struct cli_option options[] = {
        { "model", CLI_TEXT, &o.model, "DIR", "model folder", 0, 0, true },
        { "prefill", CLI_INT, &o.prefill, "N", "prompt tokens of a sequence (512)", 1, 1 << 20, false },
        { "decode", CLI_INT, &o.decode, "N", "answer tokens of a sequence (128)", 1, 1 << 20, false },
        { "batch", CLI_INT, &o.batch, "N", "sequences at once (1)", 1, 1024, false },
        { "threads", CLI_INT, &o.threads, "N", "threads (all cores, at most 4)", 1, 1024, false },
        { "published", CLI_SWITCH, &o.published, NULL, "round as the published inference code does", 0, 0, false },
        { "format", CLI_TEXT, &o.format, "json", "text (default) or json", 0, 0, false },
        { 0 },
    };
    const struct cli c = { "tollgate-engine bench", "Measures prompt and answer tokens a second: the median of 3 rounds.",
                           options };
    const enum cli_rc rc = cli_parse(&c, argc, argv);
    struct problems ps;
    int status;

    if (rc != CLI_OK)
        return rc == CLI_DONE ? 0 : 2;
    if (o.format && strcmp(o.format, "json") != 0 && strcmp(o.format, "text") != 0) {
        fprintf(stderr, "tollgate-engine bench: --format must be text or json\n");
        return 2;
    }
    problems_init(&ps);
    status = run(&o, &ps);
    problems_free(&ps);
    return status;
}
