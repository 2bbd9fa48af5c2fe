/* test_worker.c - the scheduler over a model that repeats what it is told (fake_lm.h). */
#include "engine/worker.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "engine/fake_lm.h"

struct fixture {
    struct tokenizer *t;
    struct prompt_markers m;
    struct fake_lm fake;
    struct worker *w;
    /* under the lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool news;
};

/* What the loop knows of a job. */
struct seen {
    struct buf text, reasoning;
    int started, finished;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct problems ps;
    struct buf path;

    problems_init(&ps);
    buf_init(&path, 4096);
    buf_printf(&path, "%s/engine/models/tiny-random/tokenizer.json", getenv("top_srcdir"));
    f->t = tokenizer_load(path.p, &ps);    /* a byte is a token */
    if (!f->t || !prompt_markers_find(f->t, &f->m, &ps)) {
        problems_print(&ps, stderr);
        return -1;
    }
    buf_free(&path);
    problems_free(&ps);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    tokenizer_free(f->t);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->changed);
    free(f);
    return 0;
}

static void on_news(void *ctx)
{
    struct fixture *f = ctx;

    pthread_mutex_lock(&f->lock);
    f->news = true;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void begin(struct fixture *f, size_t slots, size_t queue, size_t context, size_t chunk, size_t cache)
{
    struct worker_config c = { .tokenizer = f->t, .markers = f->m, .slots = slots, .queue = queue,
                               .prefill_chunk = chunk, .cache = cache, .cache_bytes = 1u << 20, .notify = on_news,
                               .notify_ctx = f };

    fake_lm_init(&f->fake, &f->m, tokenizer_size(f->t), context);
    c.lm = f->fake.lm;
    f->news = false;
    f->w = worker_start(&c);
    assert_non_null(f->w);
}

static void nobody(void *ctx, const struct worker_news *news)
{
    (void)ctx;
    (void)news;
    fail_msg("a job is left");
}

static void end(struct fixture *f)
{
    fake_lm_open(&f->fake);
    worker_stop(f->w, nobody, NULL);
    assert_int_equal(f->fake.live, 0);
    fake_lm_free(&f->fake);
}

static struct job *ask(const char *text)
{
    struct job *j = job_new();
    struct seen *s;

    assert_non_null(j);
    s = ARENA_NEW(&j->arena, struct seen);
    buf_init(&s->text, 1u << 20);
    buf_init(&s->reasoning, 1u << 20);
    j->owner = s;
    j->messages = ARENA_ARRAY(&j->arena, struct prompt_message, 4);
    j->messages[0] = (struct prompt_message){ .role = PROMPT_USER, .content = span_str(text) };
    j->n_messages = 1;
    j->sampling = (struct sample_params){ .top_p = 1 };
    return j;
}

static struct job *ask_system(const char *system, const char *text)
{
    struct job *j = ask(text);

    j->messages[1] = j->messages[0];
    j->messages[0] = (struct prompt_message){ .role = PROMPT_SYSTEM, .content = span_str(system) };
    j->n_messages = 2;
    return j;
}

static void drop(struct job *j)
{
    struct seen *s = j->owner;

    buf_free(&s->text);
    buf_free(&s->reasoning);
    job_free(j);
}

static void on_collect(void *ctx, const struct worker_news *news)
{
    struct seen *s = news->job->owner;

    (void)ctx;
    buf_add_span(&s->text, news->content);
    buf_add_span(&s->reasoning, news->reasoning);
    s->started += news->started;
    s->finished += news->finished;
}

/* Waits for news once and takes them. */
static void collect(struct fixture *f)
{
    pthread_mutex_lock(&f->lock);
    while (!f->news)
        pthread_cond_wait(&f->changed, &f->lock);
    f->news = false;
    pthread_mutex_unlock(&f->lock);
    worker_collect(f->w, on_collect, NULL);
}

static const char *text_of(const struct job *j)
{
    const struct seen *s = j->owner;

    return s->text.p ? s->text.p : "";
}

static void await(struct fixture *f, struct job *j)
{
    while (!((struct seen *)j->owner)->finished)
        collect(f);
    assert_int_equal(((struct seen *)j->owner)->finished, 1);
}

static void submit(struct fixture *f, struct job *j)
{
    assert_true(worker_submit(f->w, j));
}

static void an_answer_is_made_and_counted(void **state)
{
    struct fixture *f = *state;
    struct job *j = ask("hello");

    begin(f, 2, 2, 100, 128, 0);
    submit(f, j);
    await(f, j);
    assert_string_equal(text_of(j), "hello");
    assert_int_equal(j->end, WORKER_STOP);
    assert_int_equal(((struct seen *)j->owner)->started, 1);
    assert_int_equal(j->prompt_tokens, 1 + 1 + 5 + 2);    /* BOS USER hello ASST </think> */
    assert_int_equal(j->answer_tokens, 6);                /* the end marker too */
    assert_int_equal(j->cached_tokens, 0);
    assert_int_equal(f->fake.ids, 9 + 5);                 /* the end marker is not fed */
    drop(j);
    end(f);
}

static void max_tokens_and_the_context_end_an_answer(void **state)
{
    struct fixture *f = *state;
    struct job *j;

    begin(f, 2, 2, 14, 128, 0);
    j = ask("hello");
    j->max_tokens = 3;
    submit(f, j);
    await(f, j);
    assert_string_equal(text_of(j), "hel");
    assert_int_equal(j->end, WORKER_LENGTH);
    assert_int_equal(j->answer_tokens, 3);
    drop(j);

    j = ask("hello");    /* 9 of 14 are the prompt */
    submit(f, j);
    await(f, j);
    assert_string_equal(text_of(j), "hello");
    assert_int_equal(j->end, WORKER_LENGTH);
    drop(j);

    j = ask("123456789");    /* 13 of 14 */
    submit(f, j);
    await(f, j);
    assert_string_equal(text_of(j), "1");
    drop(j);

    j = ask("1234567890");
    submit(f, j);
    await(f, j);
    assert_int_equal(j->end, WORKER_TOO_LONG);
    assert_int_equal(j->prompt_tokens, 14);
    assert_false(j->prompt_cut);
    assert_int_equal(((struct seen *)j->owner)->started, 0);
    drop(j);

    j = ask("1234567890123456789012345678901234567890123456789012345678901234567890");
    submit(f, j);
    await(f, j);
    assert_int_equal(j->end, WORKER_TOO_LONG);
    assert_true(j->prompt_cut);
    assert_true(j->prompt_tokens >= 4 * 14);
    drop(j);
    end(f);
}

static void a_stop_string_ends_an_answer_at_once(void **state)
{
    struct fixture *f = *state;
    struct job *j = ask("one, two, three");

    begin(f, 1, 1, 100, 128, 0);
    j->stops[0] = SPAN_LIT(", tw");
    j->n_stops = 1;
    submit(f, j);
    await(f, j);
    assert_string_equal(text_of(j), "one");
    assert_int_equal(j->end, WORKER_STOP);
    assert_int_equal(j->answer_tokens, 7);    /* nothing is computed after it */
    drop(j);
    end(f);
}

static void many_together_answer_as_each_alone(void **state)
{
    enum { N = 12 };
    struct fixture *f = *state;
    struct job *alone[N], *together[N];
    char text[N][64];
    bool differ = false;

    for (int round = 0; round < 2; round++) {
        struct job **jobs = round ? together : alone;

        begin(f, 4, N, 200, 16, 0);
        f->fake.peak = 4;    /* sampling wanders off */
        if (round)
            fake_lm_gate(&f->fake);
        for (int i = 0; i < N; i++) {
            snprintf(text[i], sizeof text[i], "question number %d%s", i, i % 3 ? "" : " and a longer one");
            jobs[i] = ask(text[i]);
            jobs[i]->sampling = (struct sample_params){ .temperature = 1, .top_p = 0.9, .seed = (uint64_t)(i % 5) };
            jobs[i]->max_tokens = 20 + (size_t)i;
            submit(f, jobs[i]);
            if (!round)
                await(f, jobs[i]);
        }
        if (round)
            fake_lm_open(&f->fake);
        for (int i = 0; i < N; i++)
            await(f, jobs[i]);
        assert_int_equal(f->fake.max_pieces, round ? 4 : 1);
        assert_true(f->fake.longest_piece <= 16);
        end(f);
    }
    for (int i = 0; i < N; i++) {
        assert_string_equal(text_of(alone[i]), text_of(together[i]));
        differ |= strcmp(text_of(alone[i]), text[i]) != 0;
        drop(alone[i]);
        drop(together[i]);
    }
    assert_true(differ);    /* else nothing was sampled */
}

static void each_token_has_its_own_draw(void **state)
{
    struct fixture *f = *state;
    struct job *j = ask("hello");
    bool differ = false;

    begin(f, 1, 1, 100, 128, 0);
    f->fake.peak = 0;    /* every id is as likely */
    j->sampling = (struct sample_params){ .temperature = 1, .top_p = 1, .seed = 3 };
    j->max_tokens = 5;
    submit(f, j);
    await(f, j);
    for (size_t i = 1; i < j->answer_tokens; i++)
        differ |= j->ids.p[j->prompt_tokens + i] != j->ids.p[j->prompt_tokens];
    assert_true(differ);
    drop(j);
    end(f);
}

static void a_long_prompt_does_not_hold_up_an_answer(void **state)
{
    struct fixture *f = *state;
    struct job *quick = ask("abcdef"), *late = ask("z");
    char text[401];
    struct job *slow;

    memset(text, 'x', 400);
    text[400] = '\0';
    slow = ask(text);
    slow->max_tokens = 1;
    begin(f, 3, 3, 500, 20, 0);
    fake_lm_gate(&f->fake);
    submit(f, quick);
    fake_lm_await(&f->fake);
    submit(f, slow);
    fake_lm_pass(&f->fake, 1);    /* the quick one's prompt */
    fake_lm_await(&f->fake);      /* 1 id of the quick one, 20 of the slow one */
    fake_lm_pass(&f->fake, 4);
    fake_lm_await(&f->fake);
    worker_collect(f->w, on_collect, NULL);
    assert_string_equal(text_of(quick), "abcde");    /* one a step */
    assert_int_equal(f->fake.max_pieces, 2);
    submit(f, late);
    fake_lm_pass(&f->fake, 4);
    fake_lm_await(&f->fake);
    worker_collect(f->w, on_collect, NULL);
    assert_string_equal(text_of(late), "z");         /* a short prompt shares the chunk with the long one */
    assert_string_equal(text_of(slow), "");
    fake_lm_open(&f->fake);
    await(f, quick);
    await(f, slow);
    await(f, late);
    assert_string_equal(text_of(slow), "x");
    drop(quick);
    drop(slow);
    drop(late);
    end(f);
}

static void a_full_queue_refuses(void **state)
{
    struct fixture *f = *state;
    struct job *a = ask("a"), *b = ask("b"), *c = ask("c"), *d = ask("d");

    begin(f, 1, 2, 100, 128, 0);
    fake_lm_gate(&f->fake);
    submit(f, a);
    fake_lm_await(&f->fake);
    submit(f, b);
    submit(f, c);
    assert_false(worker_submit(f->w, d));
    assert_int_equal(worker_load(f->w).waiting, 2);
    assert_int_equal(worker_load(f->w).running, 1);
    fake_lm_open(&f->fake);
    await(f, a);
    await(f, b);
    await(f, c);
    submit(f, d);
    await(f, d);
    assert_string_equal(text_of(d), "d");
    drop(a);
    drop(b);
    drop(c);
    drop(d);
    end(f);
}

static void a_cancelled_job_ends_before_the_next_step(void **state)
{
    struct fixture *f = *state;
    struct job *a = ask("abcdefgh"), *b = ask("bbbb");

    begin(f, 1, 2, 100, 128, 0);
    fake_lm_gate(&f->fake);
    submit(f, a);
    fake_lm_pass(&f->fake, 2);
    fake_lm_await(&f->fake);
    submit(f, b);
    atomic_store(&a->cancelled, true);
    atomic_store(&b->cancelled, true);    /* one running, one waiting */
    worker_poke(f->w);
    fake_lm_pass(&f->fake, 1);            /* the step that is under way */
    await(f, a);
    await(f, b);
    assert_int_equal(a->end, WORKER_CANCELLED);
    assert_int_equal(b->end, WORKER_CANCELLED);
    assert_int_equal(f->fake.steps, 3);
    assert_int_equal(a->answer_tokens, 3);
    drop(a);
    drop(b);
    end(f);
}

static void a_cancelled_job_leaves_the_queue_at_once(void **state)
{
    struct fixture *f = *state;
    struct job *a = ask("abcdefgh"), *b = ask("bbbb"), *c = ask("c");

    begin(f, 1, 1, 100, 128, 0);
    fake_lm_gate(&f->fake);
    submit(f, a);
    fake_lm_await(&f->fake);
    submit(f, b);
    atomic_store(&b->cancelled, true);
    worker_poke(f->w);
    fake_lm_pass(&f->fake, 1);
    await(f, b);
    assert_int_equal(((struct seen *)a->owner)->finished, 0);    /* it still has the only slot */
    submit(f, c);                                                /* there is room again */
    fake_lm_open(&f->fake);
    await(f, a);
    await(f, c);
    drop(a);
    drop(b);
    drop(c);
    end(f);
}

static void a_paused_job_takes_no_steps(void **state)
{
    struct fixture *f = *state;
    struct job *a = ask("aaaaaaaa"), *b = ask("bb");

    begin(f, 2, 2, 100, 128, 0);
    fake_lm_gate(&f->fake);
    submit(f, a);
    fake_lm_pass(&f->fake, 2);
    fake_lm_await(&f->fake);
    atomic_store(&a->paused, true);
    fake_lm_open(&f->fake);
    submit(f, b);
    await(f, b);
    assert_string_equal(text_of(a), "aaa");    /* the step under way was its last */
    assert_int_equal(worker_load(f->w).running, 1);
    atomic_store(&a->paused, false);
    worker_poke(f->w);
    await(f, a);
    assert_string_equal(text_of(a), "aaaaaaaa");
    drop(a);
    drop(b);
    end(f);
}

static void a_failed_step_fails_its_jobs_and_no_others(void **state)
{
    struct fixture *f = *state;
    struct job *a = ask("aaaa"), *b = ask("bb");

    begin(f, 2, 2, 100, 128, 4);
    fake_lm_fail(&f->fake, "out of luck");
    submit(f, a);
    await(f, a);
    assert_int_equal(a->end, WORKER_FAILED);
    assert_string_equal(a->why, "out of luck");
    fake_lm_fail(&f->fake, NULL);
    submit(f, b);
    await(f, b);
    assert_string_equal(text_of(b), "bb");
    drop(a);
    drop(b);
    end(f);
}

static void a_model_without_finite_numbers_fails_the_job(void **state)
{
    struct fixture *f = *state;
    struct job *j = ask("aaaa");

    begin(f, 2, 2, 100, 128, 4);
    f->fake.peak = NAN;
    submit(f, j);
    await(f, j);
    assert_int_equal(j->end, WORKER_FAILED);
    assert_int_equal(j->answer_tokens, 0);
    drop(j);
    end(f);
}

#define SYSTEM "Answer shortly, and in the language of the question."    /* 52 bytes */

static void a_prompt_that_begins_alike_is_not_computed_again(void **state)
{
    struct fixture *f = *state;
    struct job *a = ask_system(SYSTEM, "first"), *b = ask_system(SYSTEM, "second"), *c = ask_system(SYSTEM, "first");
    struct job *d = ask_system(SYSTEM, "first");
    long ids;

    begin(f, 2, 2, 1000, 128, 8);
    submit(f, a);
    await(f, a);
    assert_int_equal(a->cached_tokens, 0);

    submit(f, b);    /* the system text is shared: BOS and 52 */
    await(f, b);
    assert_int_equal(b->cached_tokens, 53);
    assert_string_equal(text_of(b), "second");

    ids = f->fake.ids;
    submit(f, c);    /* the same again: all but the last id */
    await(f, c);
    assert_int_equal(c->cached_tokens, c->prompt_tokens - 1);
    assert_string_equal(text_of(c), "first");
    assert_int_equal(f->fake.ids - ids, 1 + 5);

    d->messages[2] = (struct prompt_message){ .role = PROMPT_ASSISTANT, .content = SPAN_LIT("first") };
    d->messages[3] = (struct prompt_message){ .role = PROMPT_USER, .content = SPAN_LIT("next") };
    d->n_messages = 4;
    submit(f, d);    /* the talk goes on: question and answer are there, without the end marker */
    await(f, d);
    assert_int_equal(d->cached_tokens, c->prompt_tokens + 5);
    assert_string_equal(text_of(d), "next");
    drop(a);
    drop(b);
    drop(c);
    drop(d);
    end(f);
}

static void a_model_that_cannot_cut_back_reuses_what_fits_whole(void **state)
{
    struct fixture *f = *state;
    struct job *a = ask_system(SYSTEM, "first"), *b = ask_system(SYSTEM, "first");

    begin(f, 2, 2, 1000, 128, 8);
    f->fake.cannot_truncate = true;
    submit(f, a);
    await(f, a);
    submit(f, b);
    await(f, b);
    assert_int_equal(b->cached_tokens, 53);
    assert_string_equal(text_of(b), "first");
    drop(a);
    drop(b);
    end(f);
}

static void the_cache_keeps_no_more_than_it_may(void **state)
{
    struct fixture *f = *state;
    char text[20][60];

    begin(f, 2, 2, 1000, 128, 3);
    for (int i = 0; i < 20; i++) {
        struct job *j;

        snprintf(text[i], sizeof text[i], "%02d is the number of this question", i);
        j = ask(text[i]);
        submit(f, j);
        await(f, j);
        assert_true(worker_load(f->w).cached <= 3);
        assert_string_equal(text_of(j), text[i]);
        drop(j);
    }
    assert_int_equal(f->fake.live, 3);
    end(f);
}

static void a_text_is_counted_without_the_model(void **state)
{
    struct fixture *f = *state;
    struct job *a = ask("hello"), *b = ask("");

    begin(f, 1, 2, 100, 128, 0);
    a->count_only = true;
    b->count_only = true;
    b->n_messages = 0;
    b->text = SPAN_LIT("a<think>");
    b->with_added = true;
    submit(f, a);
    submit(f, b);
    await(f, a);
    await(f, b);
    assert_int_equal(a->end, WORKER_COUNTED);
    assert_int_equal(a->ids.n, 9);
    assert_int_equal(b->ids.n, 2);
    assert_int_equal(b->ids.p[1], f->m.think);
    assert_int_equal(f->fake.steps, 0);
    drop(a);
    drop(b);
    end(f);
}

static void stopping_gives_back_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    struct job *jobs[4];

    begin(f, 2, 2, 100, 128, 4);
    fake_lm_gate(&f->fake);
    for (int i = 0; i < 4; i++) {
        jobs[i] = ask("some longer text");
        submit(f, jobs[i]);    /* two run, two wait */
    }
    fake_lm_pass(&f->fake, 1);
    fake_lm_await(&f->fake);
    fake_lm_open(&f->fake);
    worker_stop(f->w, on_collect, NULL);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(((struct seen *)jobs[i]->owner)->finished, 1);
        assert_true(jobs[i]->end == WORKER_CANCELLED || jobs[i]->end == WORKER_STOP);
        drop(jobs[i]);
    }
    assert_int_equal(f->fake.live, 0);
    fake_lm_free(&f->fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_made_and_counted),
        cmocka_unit_test(max_tokens_and_the_context_end_an_answer),
        cmocka_unit_test(a_stop_string_ends_an_answer_at_once),
        cmocka_unit_test(many_together_answer_as_each_alone),
        cmocka_unit_test(each_token_has_its_own_draw),
        cmocka_unit_test(a_long_prompt_does_not_hold_up_an_answer),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(a_cancelled_job_ends_before_the_next_step),
        cmocka_unit_test(a_cancelled_job_leaves_the_queue_at_once),
        cmocka_unit_test(a_paused_job_takes_no_steps),
        cmocka_unit_test(a_failed_step_fails_its_jobs_and_no_others),
        cmocka_unit_test(a_model_without_finite_numbers_fails_the_job),
        cmocka_unit_test(a_prompt_that_begins_alike_is_not_computed_again),
        cmocka_unit_test(a_model_that_cannot_cut_back_reuses_what_fits_whole),
        cmocka_unit_test(the_cache_keeps_no_more_than_it_may),
        cmocka_unit_test(a_text_is_counted_without_the_model),
        cmocka_unit_test(stopping_gives_back_what_is_under_way),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
