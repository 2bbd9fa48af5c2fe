/* bench_ledger.c - what a row costs, and how long a commit keeps a reply waiting. Not a test: prints figures.
 *
 *   bench_ledger FILE RATE SECONDS [power]     RATE 0: as fast as the queue takes
 *
 * A request is two entries: OPEN with a ticket (3 rows: request, two reservations), and when it has come back SETTLE
 * with finish (attempt, and updates). Four teams, forty keys, two models. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "gateway/ledger/ledger.h"
#include "gateway/server/digest.h"

#define SLOTS 4096

struct slot {
    char id[ROW_ID_BYTES + 1];
    struct row_request q;
    struct row_attempt a;
    struct budget_hold hold;
    int64_t began_us;
    bool busy;
};

struct bench {
    struct ledger *l;
    struct ledger_port *port;
    struct budgets *budgets;
    struct slot slots[SLOTS];
    size_t n_busy, next;
    int64_t *waits_us;
    size_t n_waits, room;
};

static const struct span teams[] = { SPAN_LIT("search"), SPAN_LIT("legal"), SPAN_LIT("web"), SPAN_LIT("ops") };
static const struct span models[] = { SPAN_LIT("deepseek-v4-flash"), SPAN_LIT("claude-opus-4.7") };

static void begin(struct bench *b, uint64_t i)
{
    size_t at = b->next++ % SLOTS;
    struct slot *s = &b->slots[at];
    struct budget_refusal no;
    uint8_t random[10];
    static char key[40][KEY_ID_BYTES + 1];

    if (s->busy)
        return;
    if (!digest_random(random, sizeof random))
        abort();
    snprintf(key[i % 40], sizeof key[0], "key_%012d", (int)(i % 40));
    row_new_id(clock_wall_ms(), random, s->id);
    s->q = (struct row_request){ .id = span_str(s->id), .at_ms = clock_wall_ms(), .key_id = span_str(key[i % 40]),
        .team = teams[i % 40 / 10], .route = SPAN_LIT("default"), .dialect = SPAN_LIT("openai_chat"),
        .model_asked = SPAN_LIT("auto"), .first_byte_ms = -1, .total_ms = -1 };
    s->a = (struct row_attempt){ .n = 1, .provider = SPAN_LIT("deepseek"), .model = models[i % 2],
        .started_ms = s->q.at_ms, .priced_ms = s->q.at_ms, .usage = { .input = 1000, .output = 4096 },
        .price_version = SPAN_LIT("0123456789abcdef@2026-04-24T00:00:00Z"), .cost_nano = 1286880 };
    s->hold.open = false;
    if (budget_reserve(b->budgets, s->q.team, s->q.key_id, 1286880, s->q.at_ms, &s->hold, &no) != BUDGET_OK)
        abort();
    s->busy = true;
    s->began_us = clock_mono_us();
    const struct ledger_entry e = { LEDGER_OPEN, at + 1, &s->q, &s->a, &s->hold, false };
    if (ledger_submit(b->l, b->port, &e) != LEDGER_OK) {
        budget_release(b->budgets, &s->hold);
        s->busy = false;
        return;
    }
    b->n_busy++;
}

static void back(void *arg, uint64_t ticket, enum ledger_rc rc)
{
    struct bench *b = arg;
    struct slot *s = &b->slots[ticket - 1];

    if (rc != LEDGER_OK)
        abort();
    if (b->n_waits < b->room)
        b->waits_us[b->n_waits++] = clock_mono_us() - s->began_us;
    s->a.ended_ms = clock_wall_ms();
    s->a.status = s->q.status = 200;
    s->a.verdict = SPAN_LIT("accepted");
    s->a.usage.output = 200;
    s->a.reserved_nano = s->hold.amount_nano;
    s->a.cost_nano = s->q.cost_nano = 196000;
    s->q.attempts = 1;
    s->q.model = s->a.model;
    s->q.provider = s->a.provider;
    s->q.total_ms = s->q.first_byte_ms = 5;
    budget_settle(b->budgets, &s->hold, s->a.cost_nano);
    const struct ledger_entry e = { LEDGER_SETTLE, 0, &s->q, &s->a, NULL, true };
    if (ledger_submit(b->l, b->port, &e) != LEDGER_OK)
        abort();
    s->busy = false;
    b->n_busy--;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    struct problems ps;
    struct bench *b = calloc(1, sizeof *b);
    int rate = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 500, seconds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 5, fd = -1;
    struct ledger_options o = { .path = argc > 1 ? argv[1] : "bench.db", .durability_power = argc > 4, .book = SPAN_LIT("{}") };
    struct ledger_stats st;
    struct timespec cpu;
    int64_t start;
    uint64_t i = 0;

    problems_init(&ps);
    o.keys = keys_new();
    o.budgets = b->budgets = budgets_new();
    b->l = ledger_open(&o, &ps);
    problems_print(&ps, stderr);
    if (!b->l)
        return 1;
    const struct budget_row limits[] = { { "team:search", BUDGET_MONTH, INT64_MAX }, { "key:key_000000000001", BUDGET_DAY, INT64_MAX } };
    budgets_publish(b->budgets, limits, 2);
    b->port = ledger_port_new(b->l, &fd);
    b->room = 10000000;
    b->waits_us = malloc(b->room * sizeof *b->waits_us);
    start = clock_mono_us();
    while (clock_mono_us() - start < seconds * INT64_C(1000000)) {
        struct pollfd p = { fd, POLLIN, 0 };
        uint64_t due = rate ? (uint64_t)(clock_mono_us() - start) * (uint64_t)rate / 1000000 : i + 1;

        for (int k = 0; i < due && b->n_busy < 512 && k < 64; k++)
            begin(b, i++);
        if (poll(&p, 1, rate || b->n_busy >= 512 ? 1 : 0) > 0)
            ledger_port_drain(b->port, back, b);
    }
    while (b->n_busy) {
        struct pollfd p = { fd, POLLIN, 0 };

        if (poll(&p, 1, 1000) > 0)
            ledger_port_drain(b->port, back, b);
    }
    ledger_stats(b->l, &st);
    start = clock_mono_us() - start;
    qsort(b->waits_us, b->n_waits, sizeof *b->waits_us, by_size);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    printf("%zu requests in %.2f s (%.0f/s), entries a commit %.1f, commit wall us/entry %.2f, mean commit %.0f us, max %" PRIu64
           " us, checkpoints %" PRIu64 "\n", b->n_waits, (double)start / 1e6, (double)b->n_waits * 1e6 / (double)start,
           (double)st.entries / (double)st.commits, (double)st.commit_us_sum / (double)st.entries,
           (double)st.commit_us_sum / (double)st.commits, st.commit_us_max, st.checkpoints);
    printf("wait for a ticket: p50 %" PRId64 " us, p90 %" PRId64 ", p99 %" PRId64 ", p99.9 %" PRId64 ", max %" PRId64
           "; CPU us a request: writer %.1f, all %.1f\n", b->waits_us[b->n_waits / 2], b->waits_us[b->n_waits * 9 / 10],
           b->waits_us[b->n_waits * 99 / 100], b->waits_us[b->n_waits * 999 / 1000], b->waits_us[b->n_waits - 1],
           (double)st.writer_cpu_us / (double)b->n_waits, ((double)cpu.tv_sec * 1e6 + (double)cpu.tv_nsec / 1e3) / (double)b->n_waits);
    ledger_port_free(b->port);
    ledger_close(b->l, 1000);
    keys_free(o.keys);
    budgets_free(o.budgets);
    free(b->waits_us);
    free(b);
    problems_free(&ps);
    return 0;
}
