/* test_chat_model.c - the scheduler over the real mathematics, with the model of random weights: whatever else runs, and
 * whatever was kept from before, a request gives the same text. */
#include "engine/chat_model.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/worker.h"

#define JOBS 6
#define ANSWER 40

struct fixture {
    struct chat_model model;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool news;
};

struct seen {
    struct buf text;
    bool finished;
};

static int setup(void **state)
{
    const struct engine_options options = { .threads = 1, .context = 1024 };
    struct fixture *f = calloc(1, sizeof *f);
    struct problems ps;
    struct buf dir;

    problems_init(&ps);
    buf_init(&dir, 4096);
    buf_printf(&dir, "%s/engine/models/tiny-random", getenv("top_srcdir"));
    if (!chat_model_open(&f->model, dir.p, &options, &ps)) {
        problems_print(&ps, stderr);
        return -1;
    }
    buf_free(&dir);
    problems_free(&ps);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    chat_model_close(&f->model);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->changed);
    free(f);
    return 0;
}

static void on_notify(void *ctx)
{
    struct fixture *f = ctx;

    pthread_mutex_lock(&f->lock);
    f->news = true;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void on_news(void *ctx, const struct worker_news *news)
{
    struct seen *s = news->job->owner;

    (void)ctx;
    buf_add_span(&s->text, news->content);
    s->finished |= news->finished;
}

static void await(struct fixture *f, struct worker *w, const struct seen *s)
{
    while (!s->finished) {
        pthread_mutex_lock(&f->lock);
        while (!f->news)
            pthread_cond_wait(&f->changed, &f->lock);
        f->news = false;
        pthread_mutex_unlock(&f->lock);
        worker_collect(w, on_news, NULL);
    }
}

static struct worker *begin(struct fixture *f, size_t slots, size_t chunk, size_t cache)
{
    const struct worker_config c = { .lm = f->model.lm, .tokenizer = f->model.tokenizer, .markers = f->model.markers,
                                     .slots = slots, .queue = JOBS, .prefill_chunk = chunk, .cache = cache,
                                     .cache_bytes = 1u << 30, .notify = on_notify, .notify_ctx = f };
    struct worker *w = worker_start(&c);

    assert_non_null(w);
    return w;
}

/* A talk with a system text longer than the window, so that rings wrap and every compressor has emitted. */
static struct job *ask(int n, struct seen *s)
{
    struct job *j = job_new();
    struct buf b;

    *s = (struct seen){ .finished = false };
    buf_init(&s->text, 10000);
    buf_init(&b, 10000);
    j->messages = ARENA_ARRAY(&j->arena, struct prompt_message, 2);
    for (int i = 0; i < 9; i++)
        buf_printf(&b, "Rule %d: be short and clear. ", i);
    j->messages[0] = (struct prompt_message){ .role = PROMPT_SYSTEM, .content = arena_copy(&j->arena, buf_span(&b)) };
    buf_clear(&b);
    for (int i = 0; i <= n; i++)
        buf_printf(&b, "Question %d? ", n * 7);
    j->messages[1] = (struct prompt_message){ .role = PROMPT_USER, .content = arena_copy(&j->arena, buf_span(&b)) };
    buf_free(&b);
    j->n_messages = 2;
    j->sampling = (struct sample_params){ .temperature = 1, .top_p = 0.95, .seed = (uint64_t)n };
    j->max_tokens = ANSWER;
    j->owner = s;
    return j;
}

static void drop(struct job *j, struct seen *s)
{
    buf_free(&s->text);
    job_free(j);
}

static void texts_are_the_same_alone_together_and_from_the_cache(void **state)
{
    /* slots, ids of prompts a step, kept prefixes, rounds */
    static const struct { size_t slots, chunk, cache; } rows[] = {
        { 1, 256, 0 }, { JOBS, 256, 0 }, { JOBS, 37, 0 }, { 3, 64, 32 }, { JOBS, 256, 32 },
    };
    struct fixture *f = *state;
    struct buf want[JOBS];

    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        struct worker *w = begin(f, rows[r].slots, rows[r].chunk, rows[r].cache);

        for (int round = 0; round < (rows[r].cache ? 2 : 1); round++) {
            struct job *jobs[JOBS];
            struct seen seen[JOBS];

            for (int i = 0; i < JOBS; i++) {
                jobs[i] = ask(i, &seen[i]);
                assert_true(worker_submit(w, jobs[i]));
            }
            for (int i = 0; i < JOBS; i++) {
                await(f, w, &seen[i]);
                assert_true(jobs[i]->end == WORKER_LENGTH || jobs[i]->end == WORKER_STOP);
                assert_true(jobs[i]->prompt_tokens > 2 * 128 + 3);
                if (round)
                    assert_true(jobs[i]->cached_tokens > 128);
                if (r == 0) {
                    buf_init(&want[i], 10000);
                    buf_add_span(&want[i], buf_span(&seen[i].text));
                }
                assert_true(span_eq(buf_span(&seen[i].text), buf_span(&want[i])));
                drop(jobs[i], &seen[i]);
            }
        }
        worker_stop(w, on_news, NULL);
    }
    for (int i = 0; i < JOBS; i++) {
        for (int k = 0; k < i; k++)
            assert_false(span_eq(buf_span(&want[i]), buf_span(&want[k])));
    }
    for (int i = 0; i < JOBS; i++)
        buf_free(&want[i]);
}

static void a_folder_without_a_tokenizer_is_refused(void **state)
{
    struct chat_model m;
    struct problems ps;
    struct buf dir;

    (void)state;
    problems_init(&ps);
    buf_init(&dir, 4096);
    buf_printf(&dir, "%s/engine/models/vectors", getenv("top_srcdir"));
    assert_false(chat_model_open(&m, dir.p, &(struct engine_options){ .threads = 1 }, &ps));
    assert_true(ps.errors > 0);
    problems_free(&ps);
    buf_free(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_the_same_alone_together_and_from_the_cache),
        cmocka_unit_test(a_folder_without_a_tokenizer_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
