/* test_keys.c - the text of keys, their table, ids of requests. Expected texts: Python's int, zlib.crc32, hashlib. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "gateway/ledger/keys.h"
#include "gateway/ledger/row.h"
#include "gateway/server/digest.h"

static void a_key_is_its_256_bits_in_base_62_and_their_sum(void **state)
{
    static const struct { int kind; const char *text, *sha256; } rows[] = {
        { 0, "tg_00000000000000000000000000000000000000000002CZclj", "911d5f561d1b1c0a35c9656b474faf8bad99dfadd57d5833eb7833dde4c7709c" },
        { 1, "tg_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp13sRzl1", "281b8994a43d3e48b6fbfe746be055d4c8ba889363c8f3b6efd3feb73e6e6878" },
        { 2, "tg_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf1Yo7hP", "4e37ea2b7894d68da803a64ca6caf3f2956e443a55b5c092f79bf6ed167cfd6e" },
    };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint8_t random[32], digest[KEY_DIGEST_BYTES];
        char text[KEY_TEXT_BYTES + 1], hex[DIGEST_HEX_BYTES + 1];

        for (int k = 0; k < 32; k++)
            random[k] = (uint8_t)(rows[i].kind == 0 ? 0 : rows[i].kind == 1 ? 255 : k);
        key_make(random, text);
        assert_string_equal(text, rows[i].text);
        assert_true(key_well_formed(span_str(text)));
        key_digest(span_str(text), digest);
        digest_hex(digest, hex);
        assert_string_equal(hex, rows[i].sha256);
    }
}

static void a_key_with_one_wrong_character_is_told_offline(void **state)
{
    char text[KEY_TEXT_BYTES + 1] = "tg_yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp13sRzl1";

    (void)state;
    for (size_t i = 0; i < KEY_TEXT_BYTES; i++) {
        char was = text[i];

        text[i] = was == 'a' ? 'b' : 'a';
        assert_false(key_well_formed(span_str(text)));
        text[i] = was;
    }
    assert_false(key_well_formed(span_first(span_str(text), KEY_TEXT_BYTES - 1)));
    assert_false(key_well_formed(SPAN_NONE));
    text[10] = '\0';
    assert_false(key_well_formed((struct span){ text, KEY_TEXT_BYTES }));
}

static void names_are_letters_digits_and_a_few_signs(void **state)
{
    static const char *const good[] = { "a", "search", "Team-7", "0x", "a.b_c-d" };
    static const char *const bad[] = { "", ".hidden", "-x", "a b", "a/b", "a:b", "ä", "a\n", "a'" };
    char longest[KEY_NAME_BYTES + 2];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(key_name_ok(span_str(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(key_name_ok(span_str(bad[i])));
    memset(longest, 'a', sizeof longest);
    assert_true(key_name_ok((struct span){ longest, KEY_NAME_BYTES }));
    assert_false(key_name_ok((struct span){ longest, KEY_NAME_BYTES + 1 }));
}

static void make_row(uint32_t i, bool revoked, struct key_row *row, char text[KEY_TEXT_BYTES + 1])
{
    uint8_t random[32] = { (uint8_t)(i >> 8), (uint8_t)i };

    key_make(random, text);
    memset(row, 0, sizeof *row);
    key_digest(span_str(text), row->digest);
    snprintf(row->info.id, sizeof row->info.id, "key_%012u", i);
    snprintf(row->info.team, sizeof row->info.team, "team%u", i % 7);
    row->revoked = revoked;
}

static void each_key_is_found_among_thousands(void **state)
{
    enum { N = 3000 };
    static struct key_row rows[N];
    static char texts[N][KEY_TEXT_BYTES + 1];
    struct keys *k = keys_new();
    struct key_info info;
    uint8_t other[32] = { 9, 9, 9, 9 };
    char text[KEY_TEXT_BYTES + 1];

    (void)state;
    assert_int_equal(keys_find(k, SPAN_LIT("tg_00000000000000000000000000000000000000000002CZclj"), &info), KEY_UNKNOWN);
    for (uint32_t i = 0; i < N; i++)
        make_row(i, i % 10 == 3, &rows[i], texts[i]);
    assert_true(keys_publish(k, rows, N));
    for (uint32_t i = 0; i < N; i++) {
        if (i % 10 == 3) {
            assert_int_equal(keys_find(k, span_str(texts[i]), &info), KEY_REVOKED);
            continue;
        }
        assert_int_equal(keys_find(k, span_str(texts[i]), &info), KEY_OK);
        assert_string_equal(info.id, rows[i].info.id);
        assert_string_equal(info.team, rows[i].info.team);
    }
    assert_int_equal(keys_count(k), N - N / 10);
    key_make(other, text);
    assert_int_equal(keys_find(k, span_str(text), &info), KEY_UNKNOWN);
    assert_int_equal(keys_find(k, SPAN_LIT("sk-abc"), &info), KEY_MALFORMED);
    assert_int_equal(keys_find(k, SPAN_LIT("' OR 1=1 --"), &info), KEY_MALFORMED);
    assert_true(keys_publish(k, rows, 1));
    assert_int_equal(keys_find(k, span_str(texts[1]), &info), KEY_UNKNOWN);
    keys_free(k);
}

static void request_ids_sort_by_time_and_tell_it(void **state)
{
    const uint8_t low[10] = { 0 }, high[10] = { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 };
    char a[ROW_ID_BYTES + 1], b[ROW_ID_BYTES + 1];
    int64_t ms;

    (void)state;
    row_new_id(0, low, a);
    assert_string_equal(a, "req_00000000000000000000000000");
    row_new_id(INT64_C(1795003200000), high, a);
    row_new_id(INT64_C(1795003200001), low, b);
    assert_true(strcmp(a, b) < 0);
    assert_int_equal(strlen(a), ROW_ID_BYTES);
    assert_string_equal(a + 14, "zzzzzzzzzzzzzzzz");
    assert_true(row_id_time(span_str(a), &ms));
    assert_int_equal(ms, INT64_C(1795003200000));
    assert_false(row_id_time(SPAN_LIT("req_0000000000000000000000000l"), &ms));
    assert_false(row_id_time(SPAN_LIT("req_"), &ms));
    for (int64_t t = 1; t < INT64_C(1) << 47; t = t * 3 + 1) {
        row_new_id(t, low, a);
        assert_true(row_id_time(span_str(a), &ms));
        assert_int_equal(ms, t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_its_256_bits_in_base_62_and_their_sum),
        cmocka_unit_test(a_key_with_one_wrong_character_is_told_offline),
        cmocka_unit_test(names_are_letters_digits_and_a_few_signs),
        cmocka_unit_test(each_key_is_found_among_thousands),
        cmocka_unit_test(request_ids_sort_by_time_and_tell_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
