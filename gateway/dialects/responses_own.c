/* responses_own.c - items that the gateway wrote itself, from answers in other dialects: their ids, and what of them is
 * remembered for a later request that says the id alone.
 *
 * An id is a prefix ("msg_", "fc_", "ctc_", "rs_"), the tail of the request's id, "_" and the item's place in the answer; ids of
 * OpenAI have no second "_". So whose an item is shows without asking anybody. */
#include <stdio.h>

#include "base/jwrite.h"
#include "gateway/dialects/responses_parts.h"

#define TAIL_BYTES 26              /* of a request's id, without its prefix */
#define TAIL_MOST 48               /* tests have ids of their own */

void responses_item_id(char out[RESPONSES_ID_ROOM], const char *prefix, struct span request_id, size_t n)
{
    snprintf(out, RESPONSES_ID_ROOM, "%s_%.*s_%zu", prefix, SPAN_FMT(span_first(responses_id_tail(request_id), TAIL_MOST)), n);
}

bool responses_is_own_id(struct span raw)
{
    const struct span tail = span_skip(raw, span_find(raw, '_') + 1), number = span_skip(tail, TAIL_BYTES + 1);
    uint64_t n;

    return span_find(tail, '_') == TAIL_BYTES && span_to_u64(number, RESPONSES_ITEMS_MAX, &n);
}

/* ---- what is remembered ---- */

static void copy_member(struct buf *b, struct span item, const char *name)
{
    jw_json_if(b, name, jval_get(item, name));
}

static void shorten_message(struct buf *b, struct span item)
{
    jw_string(b, "role", SPAN_LIT("assistant"));
    jw_array(b, "content");
    for (struct jiter it = jiter_begin(jval_get(item, "content")); jiter_next(&it);) {
        jw_object(b, NULL);
        copy_member(b, it.value, "type");
        copy_member(b, it.value, "text");
        copy_member(b, it.value, "refusal");
        jw_close(b, '}');
    }
    jw_close(b, ']');
}

bool responses_shorten_item(struct buf *b, struct span item)
{
    static const char *const of_calls[] = { "call_id", "name", "namespace", "arguments", "input" };
    const struct span type = jval_get(item, "type");

    if (jraw_is(jval_raw(type), "reasoning"))
        return false;
    jw_object(b, NULL);
    jw_json(b, "type", type);
    if (jraw_is(jval_raw(type), "message"))
        shorten_message(b, item);
    else
        for (size_t i = 0; i < sizeof of_calls / sizeof of_calls[0]; i++)
            copy_member(b, item, of_calls[i]);
    jw_close(b, '}');
    return buf_ok(b);
}
