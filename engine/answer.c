/* answer.c - two sieves behind each other: bytes to valid UTF-8, then text to what no stop string can claim.
 *
 * Owns what is held back, nothing else; see answer.h for the rules. */
#include "engine/answer.h"

#include "engine/utf8.h"

/* A token is at most a few hundred bytes, a stop string 512: what is held back never comes near this. */
#define HELD_BYTES_MAX (1u << 20)

void answer_init(struct answer *a, const struct tokenizer *t, const struct prompt_markers *m, bool thinking)
{
    *a = (struct answer){ .tokenizer = t, .markers = m, .in_reasoning = thinking };
    buf_init(&a->held, HELD_BYTES_MAX);
}

void answer_free(struct answer *a)
{
    buf_free(&a->held);
}

bool answer_add_stop(struct answer *a, struct span stop)
{
    if (a->n_stops == ANSWER_STOPS_MAX || stop.n == 0 || stop.n > ANSWER_STOP_BYTES)
        return false;
    a->stops[a->n_stops++] = stop;
    return true;
}

/* Bytes behind a->part to text: whole sequences as they are, wrong ones as U+FFFD, the unfinished rest stays. */
static void take_bytes(struct answer *a, struct span bytes, struct buf *text)
{
    for (size_t i = 0; i < bytes.n;) {
        enum utf8_rc rc;

        a->part[a->part_n++] = bytes.p[i];
        rc = utf8_check((struct span){ a->part, a->part_n });
        if (rc == UTF8_MORE) {
            i++;
            continue;
        }
        if (rc == UTF8_OK) {
            buf_add(text, a->part, a->part_n);
            i++;
        } else {
            buf_add_str(text, UTF8_REPLACEMENT);
            if (a->part_n == 1)    /* else the byte broke a sequence that others began: it may begin one itself */
                i++;
        }
        a->part_n = 0;
    }
}

static void take_rest(struct answer *a, struct buf *text)
{
    if (a->part_n)
        buf_add_str(text, UTF8_REPLACEMENT);
    a->part_n = 0;
}

/* Where the earliest stop string begins in what is held; held.n when there is none. */
static size_t stop_find(const struct answer *a)
{
    const struct span held = buf_span(&a->held);
    size_t first = held.n;

    for (size_t i = 0; i < a->n_stops; i++) {
        const size_t at = span_find_span(held, a->stops[i]);

        first = at < first ? at : first;
    }
    return first;
}

/* How many bytes at the end of what is held could still become a stop string. */
static size_t stop_tail(const struct answer *a)
{
    const struct span held = buf_span(&a->held);
    size_t longest = 0;

    for (size_t i = 0; i < a->n_stops; i++)
        for (size_t n = a->stops[i].n - 1; n > longest; n--)
            if (n <= held.n && span_ends(held, span_first(a->stops[i], n)))
                longest = n;
    return longest;
}

/* Shows the first n held bytes. */
static void show(struct answer *a, size_t n, struct buf *content)
{
    buf_add(content, a->held.p, n);
    buf_drop(&a->held, n);
}

static enum answer_rc sieve_content(struct answer *a, struct buf *content)
{
    const size_t stop = stop_find(a);

    if (stop < a->held.n) {
        show(a, stop, content);
        buf_clear(&a->held);
        a->stopped = true;
        return ANSWER_STOP;
    }
    show(a, a->held.n - stop_tail(a), content);
    return ANSWER_MORE;
}

enum answer_rc answer_feed(struct answer *a, int32_t id, struct buf *reasoning, struct buf *content)
{
    struct span bytes = tokenizer_bytes(a->tokenizer, id);

    if (a->stopped)
        return ANSWER_STOP;
    a->reasoning_tokens += a->in_reasoning;
    if (id == a->markers->eos) {
        answer_end(a, reasoning, content);
        return ANSWER_STOP;
    }
    if (a->in_reasoning && id == a->markers->think_end) {
        take_rest(a, reasoning);
        a->in_reasoning = false;
        return ANSWER_MORE;
    }
    if (tokenizer_is_added(a->tokenizer, id))    /* rule (4) */
        bytes = (struct span){ "", 0 };
    if (a->in_reasoning) {
        take_bytes(a, bytes, reasoning);
        return ANSWER_MORE;
    }
    take_bytes(a, bytes, &a->held);
    return sieve_content(a, content);
}

void answer_end(struct answer *a, struct buf *reasoning, struct buf *content)
{
    if (a->stopped)
        return;
    a->stopped = true;
    if (a->in_reasoning) {
        take_rest(a, reasoning);
        return;
    }
    take_rest(a, &a->held);
    if (stop_find(a) < a->held.n)    /* only the replacement character can have completed one */
        show(a, stop_find(a), content);
    else
        show(a, a->held.n, content);
    buf_clear(&a->held);
}
