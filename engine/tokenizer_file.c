/* tokenizer_file.c - tokenizer.json to a struct tokenizer, or to problems that say where.
 *
 * Owns the split rules and the byte alphabet. Refuses a file whose settings would make other ids than its own tools
 * make (a normaliser, byte fallback, prefixes, dropout): silence there would only show as a stupid model. */
#include "engine/tokenizer.h"

#include <stdlib.h>

#include "base/json.h"
#include "engine/tokenizer_private.h"

#define FILE_BYTES_MAX (64u << 20)
#define TEXT_BYTES_MAX (64u << 20)     /* of all tokens together */
#define ID_MAX ((1 << 21) - 1)         /* ten times what any model has; bounds the table of texts to 32 MiB */

/* White space as Unicode's White_Space property. PCRE2's \s would add U+180E, which the file's own matcher
 * (Oniguruma) does not take for a space. */
#define SPACE "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}" \
              "\\x{205f}\\x{3000}"

/* The rules as the released file spells them, and as we give them to PCRE2. */
static const struct { const char *released, *ours; } split_rules[TOKENIZER_RULES] = {
    { "\\p{N}{1,3}", "\\p{N}{1,3}" },
    { "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+", "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+" },
    { "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
      "| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
      "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
      "| ?[\\p{P}\\p{S}]+[\\r\\n]*|[" SPACE "]*[\\r\\n]+|[" SPACE "]+(?![^" SPACE "])|[" SPACE "]+" },
};

/* GPT-2's alphabet: printable bytes stand for themselves, the other 68 for U+0100 onwards. Code point -> byte, -1. */
static void alphabet_init(int16_t byte_of[512])
{
    int next = 256;

    for (int i = 0; i < 512; i++)
        byte_of[i] = -1;
    for (int b = 0; b < 256; b++) {
        const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;

        byte_of[printable ? b : next++] = (int16_t)b;
    }
}

/* A token as the file writes it to the bytes it stands for; SPAN_NONE when a character is not of the alphabet (its
 * code points are below U+0200: one or two bytes of UTF-8) or the arena is full. */
static struct span text_to_bytes(struct arena *a, const int16_t byte_of[512], struct span s)
{
    char *out = arena_alloc(a, s.n ? s.n : 1, 1);
    size_t n = 0;

    for (size_t i = 0; out && i < s.n; n++) {
        unsigned c = (unsigned char)s.p[i++];

        if (c >= 0xc2 && c <= 0xc7 && i < s.n)
            c = (c & 0x1f) << 6 | ((unsigned char)s.p[i++] & 0x3f);
        else if (c >= 0x80)
            return SPAN_NONE;
        if (byte_of[c] < 0)
            return SPAN_NONE;
        out[n] = (char)byte_of[c];
    }
    return (struct span){ out, n };
}

static bool id_fits(const json_t *id)
{
    return json_is_integer(id) && json_integer_value(id) >= 0 && json_integer_value(id) <= ID_MAX;
}

/* Room for every id that the file names. */
static bool size_find(struct tokenizer *t, json_t *vocab, const json_t *added, struct problems *ps)
{
    json_int_t top = -1;
    const char *key;
    json_t *value;
    size_t i;

    json_object_foreach(vocab, key, value) {
        if (!id_fits(value)) {
            problem_error(ps, "/model/vocab", "gives \"%s\" an id that is no integer from 0 to %d", key, ID_MAX);
            return false;
        }
        top = json_integer_value(value) > top ? json_integer_value(value) : top;
    }
    json_array_foreach(added, i, value) {
        if (!id_fits(json_object_get(value, "id")) || !json_is_string(json_object_get(value, "content")) ||
            json_string_length(json_object_get(value, "content")) == 0) {
            problem_error(ps, "/added_tokens", "element %zu must have an integer \"id\" and a \"content\" that is not "
                          "empty", i);
            return false;
        }
        top = json_int(value, "id", -1) > top ? json_int(value, "id", -1) : top;
    }
    t->size = (size_t)(top + 1);
    t->texts = ARENA_ARRAY(&t->arena, struct span, t->size);
    t->is_added = ARENA_ARRAY(&t->arena, bool, t->size);
    t->added = ARENA_ARRAY(&t->arena, int32_t, json_array_size(added) ? json_array_size(added) : 1);
    if (t->texts && t->is_added && t->added)
        return true;
    problem_error(ps, "", "needs more memory than there is");
    return false;
}

static bool added_read(struct tokenizer *t, const json_t *added, struct problems *ps)
{
    json_t *value;
    size_t i;

    json_array_foreach(added, i, value) {
        const int32_t id = (int32_t)json_int(value, "id", -1);
        const struct span text = json_span(value, "content");
        size_t at = t->n_added++;

        if (t->texts[id].p) {
            problem_error(ps, "/added_tokens", "uses the id %d twice", id);
            return false;
        }
        if (json_bool(value, "lstrip", false) || json_bool(value, "rstrip", false) ||
            json_bool(value, "single_word", false))
            problem_warning(ps, "/added_tokens", "\"%.*s\": lstrip, rstrip and single_word are not implemented; it is "
                            "matched exactly", SPAN_FMT(text));
        t->texts[id] = arena_copy(&t->arena, text);
        if (!t->texts[id].p) {
            problem_error(ps, "/added_tokens", "needs more memory than there is");
            return false;
        }
        t->is_added[id] = true;
        t->added_first[(unsigned char)text.p[0]] = true;
        for (; at > 0 && t->texts[t->added[at - 1]].n < text.n; at--)
            t->added[at] = t->added[at - 1];
        t->added[at] = id;
    }
    return true;
}

static bool vocab_read(struct tokenizer *t, json_t *vocab, struct problems *ps)
{
    int16_t byte_of[512];

    alphabet_init(byte_of);
    for (int b = 0; b < 256; b++)
        t->byte_ids[b] = -1;
    for (void *it = json_object_iter(vocab); it; it = json_object_iter_next(vocab, it)) {
        const struct span text = { json_object_iter_key(it), json_object_iter_key_len(it) };
        const int32_t id = (int32_t)json_integer_value(json_object_iter_value(it));
        struct span bytes;

        if (t->texts[id].p && t->is_added[id] && span_eq(t->texts[id], text))
            continue;    /* released files list the first control tokens in both places */
        if (t->texts[id].p) {
            problem_error(ps, "/model/vocab", "uses the id %d twice", id);
            return false;
        }
        bytes = text_to_bytes(&t->arena, byte_of, text);
        if (!bytes.p || bytes.n == 0) {
            problem_error(ps, "/model/vocab", "the token \"%.*s\" (%d) is not written in the byte alphabet",
                          SPAN_FMT(text), id);
            return false;
        }
        t->texts[id] = bytes;
        if (bytes.n == 1)
            t->byte_ids[(unsigned char)bytes.p[0]] = id;
    }
    for (size_t i = 0; i < t->size; i++)
        t->longest = t->texts[i].n > t->longest ? t->texts[i].n : t->longest;
    for (int b = 0; b < 256; b++)
        if (t->byte_ids[b] < 0) {
            problem_error(ps, "/model/vocab", "has no token for the byte 0x%02x", (unsigned)b);
            return false;
        }
    return true;
}

/* "left right" or ["left", "right"]. */
static bool merge_halves(const json_t *merge, struct span *left, struct span *right)
{
    if (json_is_array(merge) && json_array_size(merge) == 2) {
        *left = json_value_span(json_array_get(merge, 0));
        *right = json_value_span(json_array_get(merge, 1));
    } else {
        const struct span both = json_value_span(merge);
        const size_t blank = span_find(both, ' ');

        *left = span_first(both, blank);
        *right = span_skip(both, blank + 1);
    }
    return left->n && right->n;
}

static int32_t vocab_id(const json_t *vocab, struct span text)
{
    const json_t *id = json_object_getn(vocab, text.p, text.n);

    return id ? (int32_t)json_integer_value(id) : -1;
}

/* False: a merge of tokens that the vocabulary does not have, or no memory. */
static bool merge_add(struct tokenizer *t, const json_t *vocab, struct span left, struct span right, uint32_t rank)
{
    char *both = malloc(left.n + right.n);
    const int32_t l = vocab_id(vocab, left), r = vocab_id(vocab, right);
    const uint64_t pair = (uint64_t)(uint32_t)l << 32 | (uint32_t)r;
    int32_t id = -1;
    size_t at = tokenizer_merge_hash(pair) & t->merges_mask;

    if (both) {
        memcpy(both, left.p, left.n);
        memcpy(both + left.n, right.p, right.n);
        id = vocab_id(vocab, (struct span){ both, left.n + right.n });
        free(both);
    }
    if (l < 0 || r < 0 || id < 0)
        return false;
    while (t->merges[at].pair != MERGE_NONE && t->merges[at].pair != pair)
        at = (at + 1) & t->merges_mask;
    if (t->merges[at].pair == MERGE_NONE)    /* listed twice: the first, lower rank is the one that can win */
        t->merges[at] = (struct merge){ pair, rank, id };
    return true;
}

static bool merges_read(struct tokenizer *t, const json_t *vocab, const json_t *merges, struct problems *ps)
{
    size_t places = 64, i;
    json_t *merge;

    while (places < 2 * json_array_size(merges))
        places *= 2;
    t->merges = malloc(places * sizeof *t->merges);
    if (!t->merges) {
        problem_error(ps, "/model/merges", "need more memory than there is");
        return false;
    }
    t->merges_mask = places - 1;
    for (i = 0; i < places; i++)
        t->merges[i] = (struct merge){ .pair = MERGE_NONE };
    json_array_foreach(merges, i, merge) {
        struct span left, right;

        if (!merge_halves(merge, &left, &right) || !merge_add(t, vocab, left, right, (uint32_t)i)) {
            problem_error(ps, "/model/merges", "element %zu does not join two tokens of the vocabulary to a third", i);
            return false;
        }
    }
    return true;
}

static bool rules_compile(struct tokenizer *t, struct problems *ps)
{
    int error;
    PCRE2_SIZE at;

    for (size_t i = 0; i < TOKENIZER_RULES; i++)
        t->rules[i] = pcre2_compile((PCRE2_SPTR)split_rules[i].ours, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                                    &error, &at, NULL);
    t->check = pcre2_compile((PCRE2_SPTR) "", 0, PCRE2_UTF, &error, &at, NULL);
    if (t->rules[0] && t->rules[1] && t->rules[2] && t->check)
        return true;
    problem_error(ps, "", "cannot be used: PCRE2 refuses the split rules (error %d); it needs Unicode support", error);
    return false;
}

/* Rules in a file are written with "\r" as an escape of the pattern or as the character itself. */
static bool rule_is(struct span written, const char *released)
{
    for (size_t i = 0; i < written.n; i++) {
        const char c = written.p[i];

        if (c == '\r' || c == '\n') {
            if (*released++ != '\\' || *released++ != (c == '\r' ? 'r' : 'n'))
                return false;
        } else if (*released == '\0' || *released++ != c) {
            return false;
        }
    }
    return *released == '\0';
}

/* Does the file ask for the splitting that we do: our three rules, isolated, then bytes without a pattern? */
static bool splits_are_ours(const json_t *pre)
{
    const json_t *list = json_object_get(pre, "pretokenizers");
    const json_t *level = json_array_get(list, TOKENIZER_RULES);

    if (json_array_size(list) != TOKENIZER_RULES + 1 || !span_is(json_span(level, "type"), "ByteLevel") ||
        json_bool(level, "use_regex", true) || json_bool(level, "add_prefix_space", true))
        return false;
    for (size_t i = 0; i < TOKENIZER_RULES; i++) {
        const json_t *rule = json_array_get(list, i);

        if (!span_is(json_span(rule, "type"), "Split") || !span_is(json_span(rule, "behavior"), "Isolated") ||
            json_bool(rule, "invert", false) ||
            !rule_is(json_span(json_object_get(rule, "pattern"), "Regex"), split_rules[i].released))
            return false;
    }
    return true;
}

static bool is_absent(const json_t *value)
{
    return !value || json_is_null(value) || json_is_false(value) ||
           (json_is_string(value) && json_string_length(value) == 0);
}

/* What would change ids is refused; what may is warned of. */
static bool settings_check(const json_t *file, struct problems *ps)
{
    static const char *const unwanted[] = { "dropout", "continuing_subword_prefix", "end_of_word_suffix",
                                            "byte_fallback", "ignore_merges" };
    const json_t *model = json_object_get(file, "model"), *normalizer = json_object_get(file, "normalizer");
    bool ok = true;

    if (!span_is(json_span(model, "type"), "BPE") || !json_is_object(json_object_get(model, "vocab")) ||
        !json_is_array(json_object_get(model, "merges"))) {
        problem_error(ps, "/model", "must be of type \"BPE\", with \"vocab\" and \"merges\"");
        return false;
    }
    if (!is_absent(normalizer) && json_array_size(json_object_get(normalizer, "normalizers")) +
                                  !json_object_get(normalizer, "normalizers") > 0) {
        problem_error(ps, "/normalizer", "is not implemented: text is encoded as it is");
        ok = false;
    }
    for (size_t i = 0; i < sizeof unwanted / sizeof unwanted[0]; i++)
        if (!is_absent(json_object_get(model, unwanted[i]))) {
            problem_error(ps, "/model", "asks for \"%s\", which is not implemented", unwanted[i]);
            ok = false;
        }
    if (ok && !splits_are_ours(json_object_get(file, "pre_tokenizer")))
        problem_warning(ps, "/pre_tokenizer", "differs from the split rules of DeepSeek V3 and V4, which are used "
                        "all the same: ids may differ from those the model was trained on");
    return ok;
}

static struct tokenizer *file_read(const json_t *file, struct problems *ps)
{
    const json_t *model = json_object_get(file, "model"), *added = json_object_get(file, "added_tokens");
    json_t *vocab = json_object_get(model, "vocab");
    struct tokenizer *t;

    if (!settings_check(file, ps))
        return NULL;
    t = calloc(1, sizeof *t);
    if (!t) {
        problem_error(ps, "", "needs more memory than there is");
        return NULL;
    }
    arena_init(&t->arena, TEXT_BYTES_MAX + sizeof(struct span) * ID_MAX);
    if (size_find(t, vocab, added, ps) && added_read(t, added, ps) && vocab_read(t, vocab, ps) &&
        merges_read(t, vocab, json_object_get(model, "merges"), ps) && rules_compile(t, ps))
        return t;
    tokenizer_free(t);
    return NULL;
}

struct tokenizer *tokenizer_parse(const char *name, struct span text, struct problems *ps)
{
    json_t *file = json_parse(name, text, ps);
    struct tokenizer *t = file ? file_read(file, ps) : NULL;

    json_decref(file);
    return t;
}

struct tokenizer *tokenizer_load(const char *path, struct problems *ps)
{
    json_t *file = json_read(path, FILE_BYTES_MAX, ps, NULL, NULL);
    struct tokenizer *t = file ? file_read(file, ps) : NULL;

    json_decref(file);
    return t;
}

void tokenizer_free(struct tokenizer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < TOKENIZER_RULES; i++)
        pcre2_code_free(t->rules[i]);
    pcre2_code_free(t->check);
    free(t->merges);
    arena_free(&t->arena);
    free(t);
}
