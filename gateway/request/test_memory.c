/* test_memory.c - what led to a tool call, and an item of an answer, come back with their id, to their owner, for a while, within a
 * bound. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "gateway/request/memory.h"

#define MINE SPAN_LIT("key_mine")

static void keep(struct memory *t, const char *id, const char *text, int64_t now_ms)
{
    struct draft d;

    draft_init(&d);
    d.keep_reasoning = true;
    assert_true(draft_text(&d, 0, PIECE_REASONING, span_str(text)));
    assert_true(draft_call(&d, 0, 0, span_str(id), SPAN_LIT("get"), false));
    assert_true(draft_signature(&d, 0, -1, SPAN_LIT("sig"), FAMILY_ANTHROPIC, false));
    assert_true(draft_signature(&d, 0, 0, SPAN_LIT("thought"), FAMILY_GEMINI, false));
    memory_keep_thinking(t, MINE, &d, FAMILY_ANTHROPIC, now_ms);
    draft_free(&d);
}

struct history {
    struct arena arena;
    struct chat chat;
    struct chat_turn *turn;
};

static void ask(struct history *a, struct memory *t, struct span owner, const char *id, int64_t now_ms)
{
    arena_init(&a->arena, 1u << 22);
    chat_init(&a->chat, DIALECT_CHAT, SPAN_LIT("{}"));
    a->turn = chat_add_turn(&a->chat, &a->arena, ROLE_ASSISTANT);
    chat_add_item(&a->chat, a->turn, &a->arena, ITEM_TEXT)->text = SPAN_LIT("let me see");
    chat_add_item(&a->chat, a->turn, &a->arena, ITEM_CALL)->call = (struct chat_call){ .id = span_str(id) };
    assert_true(memory_restore_thinking(t, owner, &a->chat, &a->arena, now_ms));
}

static bool restored(const struct history *a)
{
    return a->turn->items->kind == ITEM_REASONING;
}

static void reasoning_and_signatures_come_back_in_their_places(void **state)
{
    struct memory *t = memory_new(1u << 20);
    struct history a;

    (void)state;
    keep(t, "call_1", "because", 1000);
    ask(&a, t, MINE, "call_1", 2000);
    assert_true(restored(&a));
    assert_true(span_is(a.turn->items->text, "because"));
    assert_true(span_is(a.turn->items->opaque_raw, "sig"));
    assert_int_equal(a.turn->items->family, FAMILY_ANTHROPIC);
    assert_int_equal(a.turn->items->next->kind, ITEM_TEXT);
    assert_true(span_is(a.turn->items->next->next->opaque_raw, "thought"));
    assert_int_equal(a.turn->items->next->next->family, FAMILY_GEMINI);
    arena_free(&a.arena);
    memory_free(t);
}

static void each_block_of_reasoning_comes_back_with_its_own_signature(void **state)
{
    struct memory *t = memory_new(1u << 20);
    const struct chat_item *i;
    struct history a;
    struct draft d;

    (void)state;
    draft_init(&d);
    d.keep_reasoning = true;
    assert_true(draft_text(&d, 0, PIECE_REASONING, SPAN_LIT("one")) && draft_signature(&d, 0, -1, SPAN_LIT("s1"), FAMILY_ANTHROPIC, false));
    assert_true(draft_signature(&d, 0, -1, SPAN_LIT("hidden"), FAMILY_ANTHROPIC, true));
    assert_true(draft_text(&d, 0, PIECE_REASONING, SPAN_LIT("two")) && draft_signature(&d, 0, -1, SPAN_LIT("s2"), FAMILY_ANTHROPIC, false));
    assert_true(draft_text(&d, 0, PIECE_REASONING, SPAN_LIT("rest")) && draft_call(&d, 0, 0, SPAN_LIT("call_1"), SPAN_LIT("get"), false));
    memory_keep_thinking(t, MINE, &d, FAMILY_ANTHROPIC, 1000);
    draft_free(&d);
    ask(&a, t, MINE, "call_1", 2000);
    i = a.turn->items;
    assert_true(span_is(i->text, "one") && span_is(i->opaque_raw, "s1"));
    i = i->next;
    assert_true(i->redacted && span_is(i->opaque_raw, "hidden"));
    i = i->next;
    assert_true(span_is(i->text, "two") && span_is(i->opaque_raw, "s2"));
    i = i->next;
    assert_true(span_is(i->text, "rest") && !i->opaque_raw.p);
    assert_int_equal(i->next->kind, ITEM_TEXT);
    arena_free(&a.arena);
    memory_free(t);
}

static void nobody_else_gets_it(void **state)
{
    struct memory *t = memory_new(1u << 20);
    struct history a;

    (void)state;
    keep(t, "call_1", "because", 1000);
    ask(&a, t, SPAN_LIT("key_other"), "call_1", 2000);
    assert_false(restored(&a));
    arena_free(&a.arena);
    ask(&a, t, MINE, "call_2", 2000);
    assert_false(restored(&a));
    arena_free(&a.arena);
    memory_free(t);
}

static void it_expires(void **state)
{
    struct memory *t = memory_new(1u << 20);
    struct history a;

    (void)state;
    keep(t, "call_1", "because", 1000);
    ask(&a, t, MINE, "call_1", 1000 + MEMORY_LIFE_MS + 1);
    assert_false(restored(&a));
    arena_free(&a.arena);
    memory_free(t);
}

static void the_oldest_goes_when_the_room_is_full(void **state)
{
    struct memory *t = memory_new(20000);
    struct history a;
    char id[32];

    (void)state;
    for (int i = 0; i < 200; i++) {
        snprintf(id, sizeof id, "call_%d", i);
        keep(t, id, "because", 1000 + i);
    }
    ask(&a, t, MINE, "call_199", 2000);
    assert_true(restored(&a));
    arena_free(&a.arena);
    ask(&a, t, MINE, "call_0", 2000);
    assert_false(restored(&a));
    arena_free(&a.arena);
    memory_free(t);
}

static void what_the_caller_brought_is_left_alone(void **state)
{
    struct memory *t = memory_new(1u << 20);
    struct chat_item *own;
    struct history a;

    (void)state;
    keep(t, "call_1", "because", 1000);
    arena_init(&a.arena, 1u << 20);
    chat_init(&a.chat, DIALECT_ANTHROPIC, SPAN_LIT("{}"));
    a.turn = chat_add_turn(&a.chat, &a.arena, ROLE_ASSISTANT);
    own = chat_add_item(&a.chat, a.turn, &a.arena, ITEM_REASONING);
    own->text = SPAN_LIT("mine");
    own->opaque_raw = SPAN_LIT("signed");
    chat_add_item(&a.chat, a.turn, &a.arena, ITEM_CALL)->call = (struct chat_call){ .id = SPAN_LIT("call_1") };
    assert_true(memory_restore_thinking(t, MINE, &a.chat, &a.arena, 2000));
    assert_ptr_equal(a.turn->items, own);
    arena_free(&a.arena);
    memory_free(t);
}

static void a_text_that_came_back_without_its_signature_is_replaced_by_the_whole(void **state)
{
    struct memory *t = memory_new(1u << 20);
    struct history a;

    (void)state;
    keep(t, "call_1", "because", 1000);
    arena_init(&a.arena, 1u << 20);
    chat_init(&a.chat, DIALECT_RESPONSES, SPAN_LIT("{}"));
    a.turn = chat_add_turn(&a.chat, &a.arena, ROLE_ASSISTANT);
    chat_add_item(&a.chat, a.turn, &a.arena, ITEM_REASONING)->text = SPAN_LIT("beca");
    chat_add_item(&a.chat, a.turn, &a.arena, ITEM_CALL)->call = (struct chat_call){ .id = SPAN_LIT("call_1") };
    assert_true(memory_restore_thinking(t, MINE, &a.chat, &a.arena, 2000));
    assert_true(span_is(a.turn->items->text, "because") && span_is(a.turn->items->opaque_raw, "sig"));
    assert_int_equal(a.turn->items->next->kind, ITEM_CALL);
    assert_null(a.turn->items->next->next);
    arena_free(&a.arena);
    memory_free(t);
}

/* ---- items ---- */

static void keep_item(struct memory *m, const char *id, const char *json, int64_t now_ms)
{
    memory_keep_item(m, MINE, span_str(id), span_str(json), now_ms);
}

static bool finds(struct memory *m, struct span owner, const char *id, const char *json, int64_t now_ms)
{
    struct arena arena;
    struct span got;
    bool same;

    arena_init(&arena, 1u << 22);
    assert_true(memory_find_item(m, owner, span_str(id), &arena, now_ms, &got));
    same = json ? got.p && span_is(got, json) : !got.p;
    arena_free(&arena);
    return same;
}

static void an_item_comes_back_by_its_id_to_its_key_alone(void **state)
{
    struct memory *m = memory_new(1u << 20);

    (void)state;
    keep_item(m, "msg_1", "{\"a\":1}", 1000);
    keep_item(m, "msg_2", "{\"b\":2}", 1000);
    assert_true(finds(m, MINE, "msg_1", "{\"a\":1}", 2000));
    assert_true(finds(m, MINE, "msg_2", "{\"b\":2}", 2000));
    assert_true(finds(m, MINE, "msg_3", NULL, 2000));
    assert_true(finds(m, SPAN_LIT("key_other"), "msg_1", NULL, 2000));
    assert_true(finds(m, SPAN_LIT(""), "msg_1", NULL, 2000));
    for (int i = 0; i < 20000; i++)
        keep_item(m, "msg_1", "{}", 3000);    /* in its place: they would be more than there is room for */
    assert_true(finds(m, MINE, "msg_1", "{}", 3000));
    assert_true(finds(m, MINE, "msg_2", "{\"b\":2}", 3000));
    memory_free(m);
}

static void an_item_lives_a_day_from_when_it_was_last_asked_for(void **state)
{
    const int64_t day = MEMORY_LIFE_MS;
    struct memory *m = memory_new(1u << 20);

    (void)state;
    keep_item(m, "msg_1", "{}", 0);
    keep_item(m, "msg_2", "{}", 0);
    assert_true(finds(m, MINE, "msg_1", "{}", day));
    assert_true(finds(m, MINE, "msg_1", "{}", 2 * day));
    assert_true(finds(m, MINE, "msg_1", NULL, 3 * day + 1));
    assert_true(finds(m, MINE, "msg_2", NULL, day + 1));
    memory_free(m);
}

static void what_was_not_asked_for_the_longest_goes_first(void **state)
{
    struct memory *m = memory_new(20000);
    char id[32];

    (void)state;
    keep_item(m, "msg_old", "{}", 0);
    keep(m, "call_old", "because", 0);
    for (int i = 0; i < 200; i++) {
        struct history a;

        snprintf(id, sizeof id, "msg_%d", i);
        keep_item(m, id, "{\"type\":\"message\"}", 1000 + i);
        assert_true(finds(m, MINE, "msg_old", "{}", 1000 + i));
        ask(&a, m, MINE, "call_old", 1000 + i);
        assert_true(restored(&a));
        arena_free(&a.arena);
    }
    assert_true(finds(m, MINE, "msg_0", NULL, 2000));
    memory_free(m);
}

/* Providers choose the ids of calls. */
static void a_call_and_an_item_of_one_id_are_two(void **state)
{
    struct memory *m = memory_new(1u << 20);
    struct history a;

    (void)state;
    keep_item(m, "msg_1", "{}", 1000);
    keep(m, "msg_1", "because", 1000);
    keep(m, "msg_2", "because", 1000);
    assert_true(finds(m, MINE, "msg_1", "{}", 2000));
    assert_true(finds(m, MINE, "msg_2", NULL, 2000));
    ask(&a, m, MINE, "msg_1", 2000);
    assert_true(restored(&a) && span_is(a.turn->items->text, "because"));
    arena_free(&a.arena);
    memory_free(m);
}

static void what_is_too_long_is_not_kept(void **state)
{
    struct memory *m = memory_new(MEMORY_BYTES_MAX);
    struct buf large;

    (void)state;
    buf_init(&large, 2 * MEMORY_ENTRY_MAX);
    buf_reserve(&large, 2 * MEMORY_ENTRY_MAX - 1);
    while (large.n < MEMORY_ENTRY_MAX)
        buf_add_str(&large, "0123456789abcdef");
    memory_keep_item(m, MINE, SPAN_LIT("msg_1"), buf_span(&large), 1000);
    assert_true(finds(m, MINE, "msg_1", NULL, 1000));
    memory_keep_item(m, MINE, SPAN_LIT("msg_2"), span_first(buf_span(&large), MEMORY_ENTRY_MAX - 100), 1000);
    assert_false(finds(m, MINE, "msg_2", NULL, 1000));
    memory_keep_item(m, MINE, SPAN_LIT("msg_3"), SPAN_LIT(""), 1000);
    assert_true(finds(m, MINE, "msg_3", NULL, 1000));
    buf_free(&large);
    memory_free(m);
}

static void a_full_arena_is_said(void **state)
{
    struct memory *m = memory_new(1u << 20);
    struct arena arena;
    struct span got;

    (void)state;
    keep_item(m, "msg_1", "{}", 1000);
    arena_init(&arena, 0);
    assert_false(memory_find_item(m, MINE, SPAN_LIT("msg_1"), &arena, 1000, &got));
    assert_true(memory_find_item(m, MINE, SPAN_LIT("msg_2"), &arena, 1000, &got));
    assert_null(got.p);
    arena_free(&arena);
    memory_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reasoning_and_signatures_come_back_in_their_places),
        cmocka_unit_test(each_block_of_reasoning_comes_back_with_its_own_signature),
        cmocka_unit_test(nobody_else_gets_it),
        cmocka_unit_test(it_expires),
        cmocka_unit_test(the_oldest_goes_when_the_room_is_full),
        cmocka_unit_test(what_the_caller_brought_is_left_alone),
        cmocka_unit_test(a_text_that_came_back_without_its_signature_is_replaced_by_the_whole),
        cmocka_unit_test(an_item_comes_back_by_its_id_to_its_key_alone),
        cmocka_unit_test(an_item_lives_a_day_from_when_it_was_last_asked_for),
        cmocka_unit_test(what_was_not_asked_for_the_longest_goes_first),
        cmocka_unit_test(a_call_and_an_item_of_one_id_are_two),
        cmocka_unit_test(what_is_too_long_is_not_kept),
        cmocka_unit_test(a_full_arena_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
