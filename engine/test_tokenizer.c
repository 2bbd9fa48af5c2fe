/* test_tokenizer.c - splitting by the rules of the release, merging by rank, added tokens, files that are refused. */
#include "engine/tokenizer.h"

#include <stdarg.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/json.h"

/* The byte alphabet as the specification tells it: printable bytes themselves, the others U+0100 + n in order. */
static void add_symbol(struct buf *b, unsigned char byte)
{
    unsigned cp = 256;

    if ((byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174)
        cp = byte;
    else
        for (unsigned i = 0; i < byte; i++)
            cp += !((i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174);
    if (cp == '"' || cp == '\\')
        buf_add_char(b, '\\');
    if (cp < 0x80) {
        buf_add_char(b, (char)cp);
    } else {
        buf_add_char(b, (char)(0xc0 | cp >> 6));
        buf_add_char(b, (char)(0x80 | (cp & 0x3f)));
    }
}

static void add_symbols(struct buf *b, struct span bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        add_symbol(b, (unsigned char)bytes.p[i]);
}

/* A tokenizer.json: byte b has the id b; then come the given tokens (256, 257, ...), then `added` (raw JSON). */
struct recipe {
    struct span tokens[2000];
    size_t n_tokens;
    struct { struct span left, right; } merges[40000];
    size_t n_merges;
    const char *added;
    const char *pre;
};

static struct recipe *recipe_new(void)
{
    return calloc(1, sizeof(struct recipe));
}

static void recipe_token(struct recipe *r, struct span text)
{
    if (text.n < 2)
        return;
    for (size_t i = 0; i < r->n_tokens; i++)
        if (span_eq(r->tokens[i], text))
            return;
    assert_true(r->n_tokens < 2000);
    r->tokens[r->n_tokens++] = text;
}

static void recipe_merge(struct recipe *r, struct span left, struct span right)
{
    assert_true(r->n_merges < 40000);
    r->merges[r->n_merges].left = left;
    r->merges[r->n_merges++].right = right;
}

static struct tokenizer *recipe_load(const struct recipe *r, struct problems *ps)
{
    struct buf b;
    struct tokenizer *t;

    buf_init(&b, 16u << 20);
    buf_printf(&b, "{\"added_tokens\":[%s],\"pre_tokenizer\":%s,\"model\":{\"type\":\"BPE\",\"vocab\":{",
               r->added ? r->added : "", r->pre ? r->pre : "null");
    for (int i = 0; i < 256; i++) {
        buf_add_str(&b, i ? ",\"" : "\"");
        add_symbol(&b, (unsigned char)i);
        buf_printf(&b, "\":%d", i);
    }
    for (size_t i = 0; i < r->n_tokens; i++) {
        buf_add_str(&b, ",\"");
        add_symbols(&b, r->tokens[i]);
        buf_printf(&b, "\":%zu", 256 + i);
    }
    buf_add_str(&b, "},\"merges\":[");
    for (size_t i = 0; i < r->n_merges; i++) {
        buf_add_str(&b, i ? ",\"" : "\"");
        add_symbols(&b, r->merges[i].left);
        buf_add_char(&b, ' ');
        add_symbols(&b, r->merges[i].right);
        buf_add_char(&b, '"');
    }
    buf_add_str(&b, "]}}");
    assert_true(buf_ok(&b));
    t = tokenizer_parse("test", buf_span(&b), ps);
    buf_free(&b);
    return t;
}

/* Every two neighbouring parts of `text` can merge, so that each piece ends as one token: the tokens show the pieces. */
static void recipe_join_all(struct recipe *r, struct span text)
{
    for (size_t i = 0; i < text.n; i++)
        for (size_t k = i + 2; k <= text.n; k++) {
            recipe_token(r, (struct span){ text.p + i, k - i });
            for (size_t j = i + 1; j < k; j++)
                recipe_merge(r, (struct span){ text.p + i, j - i }, (struct span){ text.p + j, k - j });
        }
}

static struct tokenizer *load(struct recipe *r)
{
    struct problems ps;
    struct tokenizer *t;

    problems_init(&ps);
    t = recipe_load(r, &ps);
    if (!t)
        problems_print(&ps, stderr);
    assert_non_null(t);
    problems_free(&ps);
    return t;
}

static void a_text_is_split_where_the_release_splits_it(void **state)
{
    static const struct { const char *name; struct span text; const char *pieces; } rows[] = {
#define ROW(name, text, pieces) { name, SPAN_LIT(text), pieces }
        ROW("a space does not join digits", "abc 123", "abc| |123"),
        ROW("digits go in threes from the left", "1234567", "123|456|7"),
        ROW("digits inside a word", "x12345y", "x|123|45|y"),
        ROW("all numbers of Unicode count", "\u00bd\u00bd\u00bd\u00bd", "\u00bd\u00bd\u00bd|\u00bd"),
        ROW("Arabic digits", "\u0663\u0664", "\u0663\u0664"),
        ROW("a space goes with the word", " hello world", " hello| world"),
        ROW("only the last space goes with it", "a   b", "a|  | b"),
        ROW("spaces at the end stay together", "a   ", "a|   "),
        ROW("spaces before digits are at the end of their piece", "a   1", "a|   |1"),
        ROW("line ends belong to the punctuation", "foo();\n\nbar", "foo|();\n\n|bar"),
        ROW("one sign goes with an ASCII word", "(abc", "(abc"),
        ROW("two signs do not", "!!x", "!!|x"),
        ROW("a sign goes with ASCII letters only", ".\u00e9", ".|\u00e9"),
        ROW("and not with the letters behind them", ".ab\u00e9", ".ab|\u00e9"),
        ROW("apostrophe", "don't", "don|'t"),
        ROW("operators", "a+b=c", "a|+b|=c"),
        ROW("a space goes with signs", "a (b", "a| (|b"),
        ROW("money", " $5", " $|5"),
        ROW("Chinese beside Latin", "\u4e2d\u6587abc", "\u4e2d\u6587|abc"),
        ROW("Chinese around a digit", "\u4e2d1\u6587", "\u4e2d|1|\u6587"),
        ROW("kana and kanji are one run", "\u65e5\u672c\u30c6\u30b9", "\u65e5\u672c\u30c6\u30b9"),
        ROW("later rules work inside a run of kana", "\u30a2\u30fb\u30a4", "\u30a2|\u30fb|\u30a4"),
        ROW("a space before Chinese stays alone", "a \u4e2d", "a| |\u4e2d"),
        ROW("no-break space goes with the word", "a\u00a0b", "a|\u00a0b"),
        ROW("tab goes with the word", "\tfoo", "\tfoo"),
        ROW("a line end does not", "\nfoo", "\n|foo"),
        ROW("spaces before a line end", "a  \n b", "a|  \n| b"),
        ROW("line ends stay together", "\n\n\nx", "\n\n\n|x"),
        ROW("up to the last line end of the run", "\n \n  x", "\n \n| | x"),
        ROW("CR LF", "a\r\n\r\nb", "a|\r\n\r\n|b"),
        ROW("marks go with letters", "e\u0301x", "e\u0301x"),
        ROW("emoji is a sign", "\U0001f642a", "\U0001f642|a"),
        ROW("what no rule takes is a piece", "\1\1\1", "\1\1\1"),
        ROW("but its last character goes with a word", "\1\1ab", "\1|\1ab"),
        ROW("U+180E is no space", "  \u180e", " | |\u180e"),
        ROW("U+0085 is a space and no line end", "\xc2\x85\xc2\x85" "a", "\xc2\x85|\xc2\x85" "a"),
        ROW("a NUL is a character", "a\0b", "a|\0b"),
#undef ROW
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recipe *r = recipe_new();
        struct tokenizer *t;
        struct ids ids;
        struct buf got;

        recipe_join_all(r, rows[i].text);
        t = load(r);
        ids_init(&ids, 100);
        buf_init(&got, 1000);
        assert_int_equal(tokenizer_encode(t, rows[i].text, false, &ids), TOKENIZER_OK);
        for (size_t k = 0; k < ids.n; k++) {
            if (k)
                buf_add_char(&got, '|');
            buf_add_span(&got, tokenizer_bytes(t, ids.p[k]));
        }
        if (strlen(rows[i].pieces) < got.n ? memcmp(got.p, rows[i].pieces, strlen(rows[i].pieces)) != 0
                                           : strcmp(got.p, rows[i].pieces) != 0)
            fail_msg("%s: got %s", rows[i].name, got.p);
        if (strlen(got.p) == got.n)    /* the row with a NUL is compared up to there */
            assert_string_equal(got.p, rows[i].pieces);
        buf_free(&got);
        ids_free(&ids);
        tokenizer_free(t);
        free(r);
    }
}

static void expect_ids(const struct tokenizer *t, struct span text, bool with_added, const int32_t *want, size_t n)
{
    struct ids ids;

    ids_init(&ids, 1000);
    assert_int_equal(tokenizer_encode(t, text, with_added, &ids), TOKENIZER_OK);
    assert_int_equal(ids.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ids.p[i], want[i]);
    ids_free(&ids);
}
#define EXPECT(t, text, added, ...) \
    expect_ids(t, SPAN_LIT(text), added, (const int32_t[]){ __VA_ARGS__ }, \
               sizeof((const int32_t[]){ __VA_ARGS__ }) / sizeof(int32_t))

static void the_lower_rank_merges_first(void **state)
{
    struct recipe *r = recipe_new();
    struct tokenizer *t;

    (void)state;
    recipe_token(r, SPAN_LIT("ab"));     /* 256 */
    recipe_token(r, SPAN_LIT("bc"));     /* 257 */
    recipe_token(r, SPAN_LIT("abc"));    /* 258 */
    recipe_merge(r, SPAN_LIT("b"), SPAN_LIT("c"));
    recipe_merge(r, SPAN_LIT("a"), SPAN_LIT("b"));
    t = load(r);
    EXPECT(t, "abc", false, 'a', 257);
    EXPECT(t, "abab", false, 256, 256);
    EXPECT(t, "abb", false, 256, 'b');
    tokenizer_free(t);

    recipe_merge(r, SPAN_LIT("a"), SPAN_LIT("bc"));
    t = load(r);
    EXPECT(t, "abc", false, 258);
    EXPECT(t, "zabcz", false, 'z', 258, 'z');
    tokenizer_free(t);
    free(r);
}

static void the_leftmost_of_equals_merges_first(void **state)
{
    struct recipe *r = recipe_new();
    struct tokenizer *t;

    (void)state;
    recipe_token(r, SPAN_LIT("aa"));
    recipe_merge(r, SPAN_LIT("a"), SPAN_LIT("a"));
    t = load(r);
    EXPECT(t, "aaa", false, 256, 'a');
    EXPECT(t, "aaaaa", false, 256, 256, 'a');
    tokenizer_free(t);
    free(r);
}

/* The definition, slow: look at all pairs, merge the best, again. */
static size_t merge_slowly(const struct recipe *r, struct span *parts, size_t n)
{
    for (;;) {
        size_t best = r->n_merges, at = 0;

        for (size_t i = 0; i + 1 < n; i++)
            for (size_t m = 0; m < best; m++)
                if (span_eq(parts[i], r->merges[m].left) && span_eq(parts[i + 1], r->merges[m].right)) {
                    best = m;
                    at = i;
                }
        if (best == r->n_merges)
            return n;
        parts[at].n += parts[at + 1].n;
        memmove(&parts[at + 1], &parts[at + 2], (n - at - 2) * sizeof *parts);
        n--;
    }
}

static void merging_by_heap_equals_merging_by_definition(void **state)
{
    static const char *const words[] = { "ab", "ba", "aa", "bb", "aba", "abab", "bab", "aab", "bba", "abba", "baba" };
    uint32_t random = 7;

    (void)state;
    for (int round = 0; round < 60; round++) {
        struct recipe *r = recipe_new();
        struct tokenizer *t;

        for (int i = 0; i < 8; i++) {    /* some merges in some order */
            const struct span w = span_str(words[(random = random * 1664525 + 1013904223) >> 16 & 7]);
            const size_t cut = 1 + (random >> 8) % (w.n - 1);

            recipe_token(r, w);
            recipe_token(r, span_first(w, cut));
            recipe_token(r, span_skip(w, cut));
            recipe_merge(r, span_first(w, cut), span_skip(w, cut));
        }
        t = load(r);
        for (int k = 0; k < 30; k++) {
            char text[40];
            struct span parts[40];
            struct ids ids;
            size_t n = 1 + (size_t)k, got;

            for (size_t i = 0; i < n; i++) {
                text[i] = (random = random * 1664525 + 1013904223) >> 20 & 1 ? 'a' : 'b';
                parts[i] = (struct span){ text + i, 1 };
            }
            got = merge_slowly(r, parts, n);
            ids_init(&ids, 100);
            assert_int_equal(tokenizer_encode(t, (struct span){ text, n }, false, &ids), TOKENIZER_OK);
            assert_int_equal(ids.n, got);
            for (size_t i = 0; i < got; i++)
                assert_true(span_eq(tokenizer_bytes(t, ids.p[i]), parts[i]));
            ids_free(&ids);
        }
        tokenizer_free(t);
        free(r);
    }
}

#define ADDED "{\"id\":300,\"content\":\"<s>\"},{\"id\":301,\"content\":\"<s>x\"},{\"id\":302,\"content\":\"\uff5cE\uff5c\"}"

static void added_tokens_are_found_only_where_asked_for(void **state)
{
    struct recipe *r = recipe_new();
    struct tokenizer *t;

    (void)state;
    r->added = ADDED;
    t = load(r);
    EXPECT(t, "a<s>b", true, 'a', 300, 'b');
    EXPECT(t, "<s>xb", true, 301, 'b');    /* the longest */
    EXPECT(t, "<s><s>", true, 300, 300);
    EXPECT(t, "\uff5cE\uff5c", true, 302);
    EXPECT(t, "<<s", true, '<', '<', 's');
    EXPECT(t, "a<s>b", false, 'a', '<', 's', '>', 'b');
    assert_int_equal(tokenizer_added(t, "<s>x"), 301);
    assert_int_equal(tokenizer_added(t, "a"), -1);
    assert_true(span_is(tokenizer_bytes(t, 302), "\uff5cE\uff5c"));
    assert_true(tokenizer_is_added(t, 300));
    assert_false(tokenizer_is_added(t, 'a'));
    assert_int_equal(tokenizer_size(t), 303);
    assert_int_equal(tokenizer_longest_bytes(t), 7);
    assert_null(tokenizer_bytes(t, 299).p);
    assert_null(tokenizer_bytes(t, 303).p);
    assert_null(tokenizer_bytes(t, -1).p);
    tokenizer_free(t);
    free(r);
}

static void a_text_that_is_no_utf8_is_refused(void **state)
{
    static const char *const bad[] = { "\xff", "a\xc3", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80", "a\x80" };
    struct recipe *r = recipe_new();
    struct tokenizer *t = load(r);
    struct ids ids;

    (void)state;
    ids_init(&ids, 10);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(tokenizer_encode(t, span_str(bad[i]), false, &ids), TOKENIZER_UTF8);
    assert_int_equal(tokenizer_encode(t, SPAN_LIT(""), false, &ids), TOKENIZER_OK);
    assert_int_equal(ids.n, 0);
    ids_free(&ids);
    tokenizer_free(t);
    free(r);
}

static void ids_stop_at_their_cap(void **state)
{
    struct recipe *r = recipe_new();
    struct tokenizer *t = load(r);
    struct ids ids;

    (void)state;
    ids_init(&ids, 3);
    assert_int_equal(tokenizer_encode(t, SPAN_LIT("abc"), false, &ids), TOKENIZER_OK);
    assert_int_equal(tokenizer_encode(t, SPAN_LIT("d"), false, &ids), TOKENIZER_FULL);
    assert_int_equal(ids.n, 3);
    ids_free(&ids);
    tokenizer_free(t);
    free(r);
}

/* One letter a million times is one piece: merging it must not take the square of its length. */
static void a_long_piece_is_merged(void **state)
{
    enum { N = 1 << 20 };
    struct recipe *r = recipe_new();
    char *text = malloc(N);
    struct tokenizer *t;
    struct ids ids;

    (void)state;
    memset(text, 'a', N);
    for (size_t n = 2; n <= 1024; n *= 2) {
        recipe_token(r, (struct span){ text, n });
        recipe_merge(r, (struct span){ text, n / 2 }, (struct span){ text, n / 2 });
    }
    t = load(r);
    ids_init(&ids, N);
    assert_int_equal(tokenizer_encode(t, (struct span){ text, N }, false, &ids), TOKENIZER_OK);
    assert_int_equal(ids.n, 1024);
    memset(text, ' ', N);
    ids.n = 0;
    assert_int_equal(tokenizer_encode(t, (struct span){ text, N }, false, &ids), TOKENIZER_OK);
    assert_int_equal(ids.n, N);
    ids_free(&ids);
    tokenizer_free(t);
    free(text);
    free(r);
}

/* 256 bytes of vocabulary around `model` settings and other top members, both raw JSON. */
static struct tokenizer *load_with(const char *vocab, const char *model, const char *top, struct problems *ps)
{
    struct buf b;
    struct tokenizer *t;

    buf_init(&b, 1u << 20);
    buf_add_str(&b, "{\"model\":{\"type\":\"BPE\",\"vocab\":{");
    for (int i = 0; i < 256; i++) {
        buf_add_str(&b, i ? ",\"" : "\"");
        add_symbol(&b, (unsigned char)i);
        buf_printf(&b, "\":%d", i);
    }
    buf_printf(&b, "%s}%s}%s}", vocab, model, top);
    t = tokenizer_parse("test", buf_span(&b), ps);
    buf_free(&b);
    return t;
}

static void a_file_that_we_do_not_implement_is_refused(void **state)
{
    static const struct { const char *vocab, *model, *top, *at; } rows[] = {
        { "", "", "", "/model" },                                                             /* no merges */
        { "", ",\"merges\":{}", "", "/model" },
        { "", ",\"merges\":[\"a b\"]", "", "/model/merges" },                                 /* "ab" is no token */
        { ",\"ab\":256", ",\"merges\":[\"a c\"]", "", "/model/merges" },
        { ",\"ab\":256", ",\"merges\":[\"ab\"]", "", "/model/merges" },
        { ",\"ab\":256", ",\"merges\":[[\"a\"]]", "", "/model/merges" },
        { ",\"ab\":256", ",\"merges\":[7]", "", "/model/merges" },
        { ",\"ab\":\"x\"", ",\"merges\":[]", "", "/model/vocab" },
        { ",\"ab\":-1", ",\"merges\":[]", "", "/model/vocab" },
        { ",\"ab\":99999999999", ",\"merges\":[]", "", "/model/vocab" },
        { ",\"ab\":97", ",\"merges\":[]", "", "/model/vocab" },                               /* the id of "a" */
        { ",\"a b\":256", ",\"merges\":[]", "", "/model/vocab" },                             /* no alphabet */
        { ",\"\":256", ",\"merges\":[]", "", "/model/vocab" },
        { "", ",\"merges\":[],\"byte_fallback\":true", "", "/model" },
        { "", ",\"merges\":[],\"ignore_merges\":true", "", "/model" },
        { "", ",\"merges\":[],\"dropout\":0.1", "", "/model" },
        { "", ",\"merges\":[],\"continuing_subword_prefix\":\"##\"", "", "/model" },
        { "", ",\"merges\":[]", ",\"normalizer\":{\"type\":\"NFC\"}", "/normalizer" },
        { "", ",\"merges\":[]", ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}]}",
          "/normalizer" },
        { "", ",\"merges\":[]", ",\"added_tokens\":[{\"id\":97,\"content\":\"<s>\"}]", "/model/vocab" },
        { "", ",\"merges\":[]", ",\"added_tokens\":[{\"id\":300,\"content\":\"\"}]", "/added_tokens" },
        { "", ",\"merges\":[]", ",\"added_tokens\":[{\"content\":\"<s>\"}]", "/added_tokens" },
        { "", ",\"merges\":[]", ",\"added_tokens\":[{\"id\":1.5,\"content\":\"<s>\"}]", "/added_tokens" },
        { "", ",\"merges\":[]",
          ",\"added_tokens\":[{\"id\":300,\"content\":\"<s>\"},{\"id\":300,\"content\":\"<t>\"}]", "/added_tokens" },
    };
    struct problems ps;
    struct tokenizer *t;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        problems_init(&ps);
        t = load_with(rows[i].vocab, rows[i].model, rows[i].top, &ps);
        if (t || ps.errors == 0 || strcmp(ps.list[ps.n - 1].pointer, rows[i].at) != 0)
            fail_msg("row %zu: %s", i, t ? "was loaded" : ps.n ? ps.list[ps.n - 1].pointer : "no problem");
        problems_free(&ps);
    }
    problems_init(&ps);
    assert_null(tokenizer_parse("test", SPAN_LIT("{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}"), &ps));
    assert_string_equal(ps.list[ps.n - 1].text, "has no token for the byte 0x00");
    problems_free(&ps);
    problems_init(&ps);
    assert_null(tokenizer_load("/does/not/exist", &ps));
    assert_int_equal(ps.errors, 1);
    problems_free(&ps);
}

/* As the released file has it; line ends once as escapes of the pattern, once as characters. */
#define PRE(crlf) \
    "{\"type\":\"Sequence\",\"pretokenizers\":[" \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{N}{1,3}\"},\"behavior\":\"Isolated\",\"invert\":false}," \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+\"}," \
    "\"behavior\":\"Isolated\",\"invert\":false}," \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[!\\\"#$%&'()*+,\\\\-./:;<=>?@\\\\[\\\\\\\\\\\\]^_`{|}~][A-Za-z]+" \
    "|[^" crlf "\\\\p{L}\\\\p{P}\\\\p{S}]?[\\\\p{L}\\\\p{M}]+| ?[\\\\p{P}\\\\p{S}]+[" crlf "]*|\\\\s*[" crlf "]+" \
    "|\\\\s+(?!\\\\S)|\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false}," \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}]}"

static void other_split_rules_are_warned_of(void **state)
{
    static const struct { const char *pre; size_t warnings; } rows[] = {
        { PRE("\\\\r\\\\n"), 0 },
        { PRE("\\r\\n"), 0 },
        { "null", 1 },
        { "{\"type\":\"ByteLevel\"}", 1 },
        { PRE("\\\\n"), 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recipe *r = recipe_new();
        struct problems ps;
        struct tokenizer *t;

        r->pre = rows[i].pre;
        problems_init(&ps);
        t = recipe_load(r, &ps);
        assert_non_null(t);
        assert_int_equal(ps.warnings, rows[i].warnings);
        problems_free(&ps);
        tokenizer_free(t);
        free(r);
    }
}

static void bytes_come_back(void **state)
{
    struct recipe *r = recipe_new();
    struct tokenizer *t;
    struct ids ids;
    struct buf back;
    char text[2048];
    size_t n = 0;

    (void)state;
    for (unsigned cp = 1; cp < 0x800; cp += 3) {    /* all lead bytes of one and two byte sequences */
        if (cp < 0x80) {
            text[n++] = (char)cp;
        } else {
            text[n++] = (char)(0xc0 | cp >> 6);
            text[n++] = (char)(0x80 | (cp & 0x3f));
        }
    }
    recipe_token(r, SPAN_LIT("the"));
    t = load(r);
    ids_init(&ids, 4096);
    buf_init(&back, 4096);
    assert_int_equal(tokenizer_encode(t, (struct span){ text, n }, false, &ids), TOKENIZER_OK);
    for (size_t i = 0; i < ids.n; i++)
        buf_add_span(&back, tokenizer_bytes(t, ids.p[i]));
    assert_true(span_eq(buf_span(&back), (struct span){ text, n }));
    buf_free(&back);
    ids_free(&ids);
    tokenizer_free(t);
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_split_where_the_release_splits_it),
        cmocka_unit_test(the_lower_rank_merges_first),
        cmocka_unit_test(the_leftmost_of_equals_merges_first),
        cmocka_unit_test(merging_by_heap_equals_merging_by_definition),
        cmocka_unit_test(added_tokens_are_found_only_where_asked_for),
        cmocka_unit_test(a_text_that_is_no_utf8_is_refused),
        cmocka_unit_test(ids_stop_at_their_cap),
        cmocka_unit_test(a_long_piece_is_merged),
        cmocka_unit_test(a_file_that_we_do_not_implement_is_refused),
        cmocka_unit_test(other_split_rules_are_warned_of),
        cmocka_unit_test(bytes_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
