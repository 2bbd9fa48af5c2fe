/* mock_log.c - a ring of calls and a list of queues. */
#include "tests/mock/mock_log.h"

#include <stdlib.h>

void mock_log_init(struct mock_log *l)
{
    *l = (struct mock_log){ .requests = 0 };
    for (size_t i = 0; i < MOCK_LOG_CALLS; i++) {
        buf_init(&l->calls[i].head, 65536);
        buf_init(&l->calls[i].body, MOCK_BODY_MAX);
    }
}

void mock_log_reset(struct mock_log *l)
{
    while (l->queues) {
        struct mock_queue *q = l->queues;

        l->queues = q->next;
        free(q->model);
        free(q->lines);
        free(q);
    }
    for (size_t i = 0; i < MOCK_LOG_CALLS; i++) {
        buf_free(&l->calls[i].head);
        buf_free(&l->calls[i].body);
    }
    mock_log_init(l);
}

void mock_log_add(struct mock_log *m, const struct http1_head *h, struct span body)
{
    struct mock_call *l = &m->calls[m->requests++ % MOCK_LOG_CALLS];

    l->n = m->requests;
    buf_clear(&l->head);
    buf_clear(&l->body);
    buf_add_str(&l->head, "\"method\":");
    buf_add_json(&l->head, h->method);
    buf_add_str(&l->head, ",\"target\":");
    buf_add_json(&l->head, h->target);
    buf_add_str(&l->head, ",\"headers\":{");
    for (size_t i = 0; i < h->n_headers; i++) {
        if (i)
            buf_add_char(&l->head, ',');
        buf_add_json(&l->head, h->headers[i].name);
        buf_add_char(&l->head, ':');
        buf_add_json(&l->head, h->headers[i].value);
    }
    buf_add_char(&l->head, '}');
    buf_add_span(&l->body, body);
}

void mock_log_json(const struct mock_log *m, struct buf *b)
{
    const uint64_t from = m->requests > MOCK_LOG_CALLS ? m->requests - MOCK_LOG_CALLS : 0;

    buf_add_char(b, '[');
    for (uint64_t i = from; i < m->requests; i++) {
        const struct mock_call *l = &m->calls[i % MOCK_LOG_CALLS];

        buf_printf(b, "%s{\"n\":%llu,", i > from ? ",\n" : "", (unsigned long long)l->n);
        buf_add_span(b, buf_span(&l->head));
        buf_add_str(b, ",\"body\":");
        buf_add_json(b, buf_span(&l->body));
        buf_add_char(b, '}');
    }
    buf_add_str(b, "]\n");
}

struct span mock_log_body(const struct mock_log *m, struct span which)
{
    const struct mock_call *l;
    uint64_t n = m->requests;

    if (!span_is(which, "last") && !span_to_u64(which, UINT64_MAX, &n))
        n = 0;
    l = &m->calls[(n + MOCK_LOG_CALLS - 1) % MOCK_LOG_CALLS];
    return n && l->n == n ? buf_span(&l->body) : SPAN_NONE;
}

struct span mock_log_next(struct mock_log *m, struct span model)
{
    for (struct mock_queue *q = m->queues; q; q = q->next) {
        if (!span_is(model, q->model))
            continue;
        const struct span rest = span_str(q->lines + q->at), line = span_first(rest, span_find(rest, '\n'));
        const struct span behind = span_skip(rest, line.n + 1);
        if (span_trim(behind).n)
            q->at += line.n + 1;
        return span_trim(line);
    }
    return SPAN_NONE;
}

void mock_log_put(struct mock_log *m, struct span model, struct span lines)
{
    struct mock_queue *q, **at = &m->queues;

    while (*at && !span_is(model, (*at)->model))
        at = &(*at)->next;
    q = *at;
    if (!q) {
        q = calloc(1, sizeof(*q));
        q->model = strndup(model.p, model.n);
        *at = q;
    }
    free(q->lines);
    q->lines = strndup(lines.n ? lines.p : "", lines.n);
    q->at = 0;
}
