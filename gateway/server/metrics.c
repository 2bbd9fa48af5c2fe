#include "gateway/server/metrics.h"

#include "base/clock.h"
#include "gateway/server/worker.h"

static const struct {
    enum count count;
    const char *name, *help;
} counters[] = {
    { COUNT_CONNECTIONS, "connections_total", "Connections accepted" },
    { COUNT_REQUESTS, "requests_total", "Requests begun, of any kind" },
    { COUNT_ANSWERED, "answers_total", "Calls that ended with an answer" },
    { COUNT_FAILED, "failures_total", "Calls that ended with an error for the caller" },
    { COUNT_REFUSED_KEY, "refused_key_total", "Requests without a valid key" },
    { COUNT_REFUSED_BODY, "refused_body_total", "Bodies that could not be read" },
    { COUNT_REFUSED_BUDGET, "refused_budget_total", "Reservations that did not fit a budget" },
    { COUNT_BAD_FRAMING, "bad_http_total", "Requests refused for their HTTP framing" },
    { COUNT_ATTEMPTS, "attempts_total", "Calls of a model" },
    { COUNT_ATTEMPTS_REJECTED, "attempts_rejected_total", "Answers that failed a check" },
    { COUNT_ATTEMPTS_FAILED, "attempts_failed_total", "Calls of a model without an answer" },
    { COUNT_ESCALATED, "attempts_escalated_total", "Attempts beyond a route's first step" },
    { COUNT_CALLER_LEFT, "callers_left_total", "Callers that left before their answer" },
};

static uint64_t sum(const struct gateway *gw, enum count c)
{
    uint64_t n = 0;

    for (int i = 0; i < gw->n_workers; i++)
        n += atomic_load_explicit(&gw->workers[i].counts.n[c], memory_order_relaxed);
    return n;
}

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP tollgate_%s %s\n# TYPE tollgate_%s %s\n", name, help, name, type);
}

static void gauge(struct buf *out, const char *name, const char *help, double value)
{
    head(out, name, "gauge", help);
    buf_printf(out, "tollgate_%s %.15g\n", name, value);
}

static void counter(struct buf *out, const char *name, const char *help, uint64_t value)
{
    head(out, name, "counter", help);
    buf_printf(out, "tollgate_%s %llu\n", name, (unsigned long long)value);
}

static uint64_t bucket(const struct worker_counts *c, bool first_byte, size_t i)
{
    return atomic_load_explicit(first_byte ? &c->first_byte[i] : &c->duration[i], memory_order_relaxed);
}

static void histogram(const struct gateway *gw, struct buf *out, const char *name, const char *help, bool first_byte)
{
    uint64_t total = 0, ms = 0;

    head(out, name, "histogram", help);
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        for (int w = 0; w < gw->n_workers; w++)
            total += bucket(&gw->workers[w].counts, first_byte, i);
        if (i + 1 < LATENCY_BUCKETS)
            buf_printf(out, "tollgate_%s_bucket{le=\"%g\"} %llu\n", name, (double)latency_edges_ms[i] / 1000,
                       (unsigned long long)total);
        else
            buf_printf(out, "tollgate_%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)total);
    }
    for (int w = 0; w < gw->n_workers; w++)
        ms += atomic_load_explicit(first_byte ? &gw->workers[w].counts.first_byte_ms_sum
                                              : &gw->workers[w].counts.duration_ms_sum, memory_order_relaxed);
    buf_printf(out, "tollgate_%s_sum %.3f\ntollgate_%s_count %llu\n", name, (double)ms / 1000, name,
               (unsigned long long)total);
}

static void turns(const struct gateway *gw, struct buf *out)
{
    uint64_t total = 0, us = 0, most = 0;

    head(out, "worker_turn_seconds", "histogram", "How long a turn of a worker's loop was at work for requests");
    for (size_t i = 0; i < TURN_BUCKETS; i++) {
        for (int w = 0; w < gw->n_workers; w++)
            total += atomic_load_explicit(&gw->workers[w].counts.turn[i], memory_order_relaxed);
        if (i + 1 < TURN_BUCKETS)
            buf_printf(out, "tollgate_worker_turn_seconds_bucket{le=\"%g\"} %llu\n", (double)turn_edges_us[i] / 1e6,
                       (unsigned long long)total);
        else
            buf_printf(out, "tollgate_worker_turn_seconds_bucket{le=\"+Inf\"} %llu\n", (unsigned long long)total);
    }
    for (int w = 0; w < gw->n_workers; w++) {
        const uint64_t max = atomic_load_explicit(&gw->workers[w].counts.turn_us_max, memory_order_relaxed);

        us += atomic_load_explicit(&gw->workers[w].counts.turn_us_sum, memory_order_relaxed);
        most = max > most ? max : most;
    }
    buf_printf(out, "tollgate_worker_turn_seconds_sum %.6f\ntollgate_worker_turn_seconds_count %llu\n", (double)us / 1e6,
               (unsigned long long)total);
    gauge(out, "worker_turn_seconds_max", "The longest of them since the start", (double)most / 1e6);
}

static void tokens(const struct gateway *gw, struct buf *out)
{
    head(out, "tokens_total", "counter", "Tokens by kind; the kinds are disjoint");
    buf_printf(out, "tollgate_tokens_total{kind=\"input\"} %llu\n", (unsigned long long)sum(gw, COUNT_TOKENS_IN));
    buf_printf(out, "tollgate_tokens_total{kind=\"cache_read\"} %llu\n", (unsigned long long)sum(gw, COUNT_TOKENS_CACHED));
    buf_printf(out, "tollgate_tokens_total{kind=\"output\"} %llu\n", (unsigned long long)sum(gw, COUNT_TOKENS_OUT));
}

/* A float, as Prometheus wants it; the exact sums are the ledger's. Nine decimals are printed from the integer. */
static void cost(const struct gateway *gw, struct buf *out)
{
    const uint64_t nano = sum(gw, COUNT_COST_NANO);

    head(out, "cost_usd_total", "counter", "What the answered calls cost, in USD");
    buf_printf(out, "tollgate_cost_usd_total %llu.%09llu\n", (unsigned long long)(nano / 1000000000u),
               (unsigned long long)(nano % 1000000000u));
}

static void ledger(const struct gateway *gw, struct buf *out)
{
    struct ledger_stats s;

    ledger_stats(gw->ledger, &s);
    gauge(out, "ledger_healthy", "1 while rows can be written", s.healthy);
    gauge(out, "ledger_queue", "Entries waiting for the writer", (double)s.queued);
    counter(out, "ledger_entries_total", "Entries committed", s.entries);
    counter(out, "ledger_commits_total", "Transactions", s.commits);
    counter(out, "ledger_failures_total", "Transactions that failed", s.failures);
    head(out, "ledger_commit_seconds_total", "counter", "Time spent in transactions");
    buf_printf(out, "tollgate_ledger_commit_seconds_total %.6f\n", (double)s.commit_us_sum / 1e6);
    gauge(out, "ledger_commit_seconds_max", "Longest transaction", (double)s.commit_us_max / 1e6);
}

void metrics_write(const struct gateway *gw, struct buf *out)
{
    size_t running = 0;

    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        counter(out, counters[i].name, counters[i].help, sum(gw, counters[i].count));
    tokens(gw, out);
    cost(gw, out);
    histogram(gw, out, "request_duration_seconds", "Time from the head of a call to its end", false);
    histogram(gw, out, "time_to_first_byte_seconds", "Time from the head of a call to the first byte of its reply", true);
    turns(gw, out);
    for (int i = 0; i < gw->n_workers; i++)
        running += atomic_load_explicit(&gw->workers[i].n_requests, memory_order_relaxed);
    gauge(out, "requests_running", "Requests under way", (double)running);
    gauge(out, "bytes_in_flight", "Bodies held in memory", (double)atomic_load(&gw->bytes_in_flight));
    gauge(out, "helpers_busy", "Large bodies and answers that wait for a helper thread or are with one", (double)offload_busy(gw->offload));
    gauge(out, "draining", "1 while the process finishes its last requests", atomic_load(&gw->draining));
    counter(out, "reloads_total", "Reloads of the config that took effect", atomic_load(&gw->reloads));
    counter(out, "reloads_failed_total", "Reloads that kept the old config", atomic_load(&gw->reloads_failed));
    gauge(out, "uptime_seconds", "Since the start", (double)(clock_mono_ms() - gw->started_ms) / 1000);
    ledger(gw, out);
}
