/* test_forward.c - whole models: agreement with the trainer, and equality of every way to cut the same work. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "engine/forward.h"
#include "engine/testmodel.h"

/* Long enough for the ring to wrap twice, HCA to emit twice, CSA to end mid-window and the index to drop entries. */
#define N 263

struct fixture {
    char *dir;
    struct engine *e;
    int vocab;
    int32_t ids[N];
    float *whole;            /* [N][vocab] from one prefill */
};

static struct engine *open_or_fail(const char *dir, const struct engine_options *o)
{
    struct problems ps;
    struct engine *e;

    problems_init(&ps);
    e = engine_open(dir, o, &ps);
    problems_print(&ps, stderr);
    problems_free(&ps);
    assert_non_null(e);
    return e;
}

static float *run(struct engine *e, struct seq *s, const int32_t *ids, int n)
{
    float *out = calloc((size_t)n * (size_t)engine_config(e)->vocab, sizeof *out);
    const struct batch_item item = { .seq = s, .ids = ids, .n = n, .n_logits = n };

    assert_non_null(out);
    assert_int_equal(forward(e, &item, 1, out), FORWARD_OK);
    return out;
}

static int setup(void **state)
{
    static const struct testmodel shape = { .seed = 1 };
    struct fixture *f = calloc(1, sizeof *f);
    struct seq *s;

    f->dir = testmodel_write(&shape);
    assert_non_null(f->dir);
    f->e = open_or_fail(f->dir, &(struct engine_options){ .threads = 1, .context = 600, .step_tokens = N });
    f->vocab = engine_config(f->e)->vocab;
    for (int i = 0; i < N; i++)
        f->ids[i] = (int32_t)((i * 31 + i * i * 7) % f->vocab);
    s = seq_new(f->e, 600);
    f->whole = run(f->e, s, f->ids, N);
    seq_free(s);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    engine_free(f->e);
    testmodel_remove(f->dir);
    free(f->whole);
    free(f);
    return 0;
}

static void assert_same_bits(const struct fixture *f, const float *got, int first, int n)
{
    assert_memory_equal(got, f->whole + (size_t)first * (size_t)f->vocab, (size_t)n * (size_t)f->vocab * sizeof *got);
}

static void the_logits_are_finite_and_differ_between_positions(void **state)
{
    const struct fixture *f = *state;
    float largest = 0;

    for (int i = 0; i < N * f->vocab; i++) {
        assert_true(isfinite(f->whole[i]));
        largest = fabsf(f->whole[i]) > largest ? fabsf(f->whole[i]) : largest;
    }
    assert_true(largest > 0.5f && largest < 50);
    assert_memory_not_equal(f->whole, f->whole + f->vocab, (size_t)f->vocab * sizeof(float));
}

/* v4-architecture section 9, for every remainder by 4 and around the end of the first window and HCA block. */
static void decoding_after_any_prefill_gives_the_bits_of_one_prefill(void **state)
{
    struct fixture *f = *state;
    static const int cuts[] = { 1, 2, 3, 4, 5, 6, 7, 8, 125, 126, 127, 128, 129, 130, 255, 256, 257 };

    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        const int n = cuts[i];
        struct seq *s = seq_new(f->e, 600);
        float *logits = run(f->e, s, f->ids, n);

        assert_same_bits(f, logits, 0, n);
        free(logits);
        for (int t = n; t < N && t < n + 6; t++) {
            logits = run(f->e, s, f->ids + t, 1);
            assert_same_bits(f, logits, t, 1);
            free(logits);
        }
        seq_free(s);
    }
}

static void a_prompt_in_chunks_of_any_size_gives_the_bits_of_one_prefill(void **state)
{
    struct fixture *f = *state;
    static const int sizes[] = { 1, 3, 4, 5, 127, 128, 129 };

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct seq *s = seq_new(f->e, N);

        for (int t = 0; t < N; t += sizes[i]) {
            const int n = N - t < sizes[i] ? N - t : sizes[i];
            float *logits = run(f->e, s, f->ids + t, n);

            assert_same_bits(f, logits, t, n);
            free(logits);
        }
        assert_int_equal(seq_length(s), N);
        seq_free(s);
    }
}

static void more_tokens_than_a_step_takes_are_done_in_several_steps(void **state)
{
    struct fixture *f = *state;
    struct engine *e = open_or_fail(f->dir, &(struct engine_options){ .threads = 1, .context = 600, .step_tokens = 50 });
    struct seq *s = seq_new(e, N);
    float *logits = run(e, s, f->ids, N);

    assert_same_bits(f, logits, 0, N);
    free(logits);
    seq_free(s);
    engine_free(e);
}

/* Three sequences at different lengths: a prompt chunk, a decode, and one whose logits nobody wants. */
static void a_sequence_does_not_see_what_else_is_in_the_batch(void **state)
{
    struct fixture *f = *state;
    struct seq *a = seq_new(f->e, 600), *b = seq_new(f->e, 600), *c = seq_new(f->e, 600);
    float *logits = calloc(41 * (size_t)f->vocab, sizeof *logits);
    const struct batch_item first[3] = {
        { .seq = a, .ids = f->ids, .n = 130, .n_logits = 0 },
        { .seq = b, .ids = f->ids + 9, .n = 11, .n_logits = 0 },
        { .seq = c, .ids = f->ids, .n = 1, .n_logits = 1 },
    };
    const struct batch_item second[3] = {
        { .seq = b, .ids = f->ids + 20, .n = 5, .n_logits = 0 },
        { .seq = a, .ids = f->ids + 130, .n = 40, .n_logits = 40 },
        { .seq = c, .ids = f->ids + 1, .n = 1, .n_logits = 1 },
    };

    assert_int_equal(forward(f->e, first, 3, logits), FORWARD_OK);
    assert_same_bits(f, logits, 0, 1);
    assert_int_equal(forward(f->e, second, 3, logits), FORWARD_OK);
    assert_same_bits(f, logits, 130, 40);
    assert_same_bits(f, logits + 40 * (size_t)f->vocab, 1, 1);
    assert_int_equal(seq_length(a), 170);
    assert_int_equal(seq_length(b), 16);
    free(logits);
    seq_free(a);
    seq_free(b);
    seq_free(c);
}

static void the_result_does_not_depend_on_the_number_of_threads(void **state)
{
    struct fixture *f = *state;
    struct engine *e = open_or_fail(f->dir, &(struct engine_options){ .threads = 3, .context = 600, .step_tokens = N });
    struct seq *s = seq_new(e, N);
    float *logits = run(e, s, f->ids, N);

    assert_same_bits(f, logits, 0, N);
    free(logits);
    seq_free(s);
    engine_free(e);
}

static void a_clone_goes_on_as_the_original_and_leaves_it_alone(void **state)
{
    struct fixture *f = *state;
    struct seq *s = seq_new(f->e, 200), *copy;
    float *logits;

    free(run(f->e, s, f->ids, 131));
    copy = seq_clone(s, 600);
    assert_non_null(copy);
    assert_int_equal(seq_length(copy), 131);
    assert_int_equal(seq_max_context(copy), 600);
    free(run(f->e, s, f->ids, 40));                          /* other tokens: the copy must not notice */
    logits = run(f->e, copy, f->ids + 131, 60);
    assert_same_bits(f, logits, 131, 60);
    free(logits);
    seq_free(copy);
    seq_free(s);
    s = seq_new(f->e, 200);
    free(run(f->e, s, f->ids, 131));
    copy = seq_clone(s, 200);
    free(run(f->e, copy, f->ids, 40));                       /* nor the original what the copy does */
    logits = run(f->e, s, f->ids + 131, 60);
    assert_same_bits(f, logits, 131, 60);
    free(logits);
    seq_free(copy);
    seq_free(s);
}

/* Where truncation says yes, the sequence must go on exactly as if the tokens had never been. */
static void truncation_is_exact_or_refused(void **state)
{
    struct fixture *f = *state;
    static const struct { int length, to; bool can; } cases[] = {
        { 7, 7, true }, { 7, 6, true }, { 7, 5, true }, { 7, 4, true }, { 7, 3, false }, { 8, 7, false }, { 7, 0, true },
        { 127, 124, true }, { 128, 127, false }, { 131, 130, true }, { 131, 129, false }, { 131, 0, true },
        { 200, 199, false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seq *s = seq_new(f->e, 600);
        float *logits;
        int n;

        free(run(f->e, s, f->ids, cases[i].length - 1));
        free(run(f->e, s, f->ids + 40, 1));                  /* a token that is not the one that will follow */
        assert_int_equal(seq_truncate(s, cases[i].to), cases[i].can);
        assert_int_equal(seq_length(s), cases[i].can ? cases[i].to : cases[i].length);
        if (cases[i].can && cases[i].to < cases[i].length) {
            n = 12;
            logits = run(f->e, s, f->ids + cases[i].to, n);
            assert_same_bits(f, logits, cases[i].to, n);
            free(logits);
        }
        seq_free(s);
    }
}

static void a_bad_batch_is_refused_and_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct seq *s = seq_new(f->e, 10), *other = seq_new(f->e, 10);
    float *logits = calloc((size_t)f->vocab, sizeof *logits), *after;
    const int32_t bad[2] = { 3, f->vocab };
    const int32_t negative[1] = { -1 };
    const struct batch_item twice[2] = { { .seq = s, .ids = f->ids, .n = 1 }, { .seq = s, .ids = f->ids, .n = 1 } };
    const struct { struct batch_item item; enum forward_rc rc; } cases[] = {
        { { .seq = s, .ids = bad, .n = 2 }, FORWARD_BAD_TOKEN },
        { { .seq = s, .ids = negative, .n = 1 }, FORWARD_BAD_TOKEN },
        { { .seq = s, .ids = f->ids, .n = 11 }, FORWARD_FULL },
        { { .seq = s, .ids = f->ids, .n = 0 }, FORWARD_BAD_BATCH },
        { { .seq = s, .ids = f->ids, .n = 1, .n_logits = 2 }, FORWARD_BAD_BATCH },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct batch_item batch[2] = { { .seq = other, .ids = f->ids, .n = 1 }, cases[i].item };

        assert_int_equal(forward(f->e, batch, 2, logits), cases[i].rc);
        assert_int_equal(seq_length(s), 0);
        assert_int_equal(seq_length(other), 0);
    }
    assert_int_equal(forward(f->e, twice, 2, logits), FORWARD_BAD_BATCH);
    after = run(f->e, s, f->ids, 10);
    assert_same_bits(f, after, 0, 10);
    free(after);
    free(logits);
    seq_free(s);
    seq_free(other);
}

static float largest_difference(const float *a, const float *b, size_t n)
{
    float d = 0;

    for (size_t i = 0; i < n; i++)
        d = !(fabsf(a[i] - b[i]) <= d) ? fabsf(a[i] - b[i]) : d;
    return d;
}

static float *whole_of(const char *dir, const struct fixture *f, bool published)
{
    struct engine *e = open_or_fail(dir, &(struct engine_options){ .context = N, .published = published });
    struct seq *s = seq_new(e, N);
    float *logits = run(e, s, f->ids, N);

    seq_free(s);
    engine_free(e);
    return logits;
}

static void shards_and_unaligned_files_give_the_same_model(void **state)
{
    const struct fixture *f = *state;
    static const struct testmodel shapes[] = { { .seed = 1, .two_files = true }, { .seed = 1, .odd_header = true } };

    for (int i = 0; i < 2; i++) {
        char *dir = testmodel_write(&shapes[i]);
        float *logits = whole_of(dir, f, false);

        assert_same_bits(f, logits, 0, N);
        free(logits);
        testmodel_remove(dir);
    }
}

/* Section 8: "they differ by far more than 1e-3", but rounding must not change the character of the answer; and the
 * recurrence holds in this mode too: what is rounded is rounded once. */
static void the_published_rounding_is_near_the_exact_model_and_chunks_agree(void **state)
{
    const struct fixture *f = *state;
    float *rounded = whole_of(f->dir, f, true);
    struct engine *e = open_or_fail(f->dir, &(struct engine_options){ .context = N, .step_tokens = 61,
                                                                      .published = true });
    struct seq *s = seq_new(e, N);
    float *chunked = run(e, s, f->ids, N);
    const size_t n = (size_t)N * (size_t)f->vocab;
    double dot = 0, a = 0, b = 0;

    assert_memory_equal(rounded, chunked, n * sizeof *rounded);
    assert_true(largest_difference(rounded, f->whole, n) > 1e-3f);
    for (size_t i = 0; i < n; i++) {
        dot += (double)rounded[i] * f->whole[i];
        a += (double)rounded[i] * rounded[i];
        b += (double)f->whole[i] * f->whole[i];
    }
    assert_true(dot / sqrt(a * b) > 0.97);
    free(rounded);
    free(chunked);
    seq_free(s);
    engine_free(e);
}

/* ---- the trainer's second implementation ---- */

static float *read_floats(const char *path, size_t n)
{
    FILE *f = fopen(path, "rb");
    float *v = calloc(n, sizeof *v);

    assert_non_null(f);
    assert_int_equal(fread(v, sizeof *v, n, f), n);
    fclose(f);
    return v;
}

/* Compares with models/vectors/<name>.json: tokens, and the logits at some positions. Returns the share of positions
 * whose logits all agree to `tolerance`. */
static double check_vector(const char *name, bool published, float tolerance)
{
    const char *top = getenv("top_srcdir");
    char path[512], dir[512];
    struct problems ps;
    struct engine *e;
    struct seq *s;
    json_t *v;
    const json_t *tokens, *positions;
    float *want, *got;
    int32_t ids[4096];
    int n, vocab, good = 0;
    size_t n_positions;
    float worst = 0;

    problems_init(&ps);
    snprintf(path, sizeof path, "%s/engine/models/vectors/%s.json", top ? top : ".", name);
    v = json_read(path, 1 << 20, &ps, NULL, NULL);
    assert_non_null(v);
    problems_free(&ps);
    tokens = json_object_get(v, "tokens");
    positions = json_object_get(v, "positions");
    n_positions = json_array_size(positions);
    n = (int)json_array_size(tokens);
    assert_in_range(n, 1, 4096);
    for (int i = 0; i < n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(tokens, (size_t)i));
    snprintf(dir, sizeof dir, "%s/engine/models/%s", top ? top : ".", json_cstr(v, "model", ""));
    e = open_or_fail(dir, &(struct engine_options){ .context = n, .published = published });
    vocab = engine_config(e)->vocab;
    snprintf(path, sizeof path, "%s/engine/models/vectors/%s", top ? top : ".", json_cstr(v, "logits", ""));
    want = read_floats(path, n_positions * (size_t)vocab);
    s = seq_new(e, n);
    got = run(e, s, ids, n);
    for (size_t i = 0; i < n_positions; i++) {
        const size_t at = (size_t)json_integer_value(json_array_get(positions, i));
        const float d = largest_difference(want + i * (size_t)vocab, got + at * (size_t)vocab, (size_t)vocab);

        worst = !(d <= worst) ? d : worst;
        good += d <= tolerance;
    }
    print_message("%s: largest difference from the trainer %.2e\n", name, (double)worst);
    free(want);
    free(got);
    seq_free(s);
    engine_free(e);
    json_decref(v);
    return (double)good / (double)n_positions;
}

static void the_trainers_logits_are_met_on_random_models(void **state)
{
    (void)state;
    assert_true(check_vector("tiny-random", false, 1e-4f) == 1);
    assert_true(check_vector("tiny-random-k16", false, 1e-4f) == 1);      /* many experts a token */
}

static void the_trainers_logits_are_met_on_the_bundled_models(void **state)
{
    (void)state;
    assert_true(check_vector("tiny-flash", false, 1e-4f) == 1);
    assert_true(check_vector("tiny-pro", false, 1e-4f) == 1);
}

/* A value on the boundary of two codes may fall either way by the order of a sum, and then the rest of the row differs
 * visibly; a rounding in the wrong place would do that to nearly every row. */
static void the_published_roundings_are_where_the_second_implementation_has_them(void **state)
{
    (void)state;
    assert_true(check_vector("tiny-random-published", true, 1e-3f) >= 0.8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_logits_are_finite_and_differ_between_positions),
        cmocka_unit_test(decoding_after_any_prefill_gives_the_bits_of_one_prefill),
        cmocka_unit_test(a_prompt_in_chunks_of_any_size_gives_the_bits_of_one_prefill),
        cmocka_unit_test(more_tokens_than_a_step_takes_are_done_in_several_steps),
        cmocka_unit_test(a_sequence_does_not_see_what_else_is_in_the_batch),
        cmocka_unit_test(the_result_does_not_depend_on_the_number_of_threads),
        cmocka_unit_test(a_clone_goes_on_as_the_original_and_leaves_it_alone),
        cmocka_unit_test(truncation_is_exact_or_refused),
        cmocka_unit_test(a_bad_batch_is_refused_and_changes_nothing),
        cmocka_unit_test(shards_and_unaligned_files_give_the_same_model),
        cmocka_unit_test(the_published_rounding_is_near_the_exact_model_and_chunks_agree),
        cmocka_unit_test(the_trainers_logits_are_met_on_random_models),
        cmocka_unit_test(the_trainers_logits_are_met_on_the_bundled_models),
        cmocka_unit_test(the_published_roundings_are_where_the_second_implementation_has_them),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
