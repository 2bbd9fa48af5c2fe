/* tokenizer.h - text to ids and back: byte-level BPE as in a Hugging Face tokenizer.json.
 *
 * The split rules are DeepSeek's (V3 and V4), fixed in code; a file that states other rules is loaded with a warning.
 * Ids are those of the file. Everything is read-only after loading: one tokenizer serves any number of threads. */
#ifndef TOLLGATE_ENGINE_TOKENIZER_H
#define TOLLGATE_ENGINE_TOKENIZER_H

#include "base/problem.h"
#include "base/span.h"

struct tokenizer;

/* Reads a tokenizer.json of at most 64 MiB. NULL with problems (file, JSON pointer) when it is not one we implement:
 * another model than BPE, a normaliser, byte_fallback, an id used twice, a merge of unknown tokens, a byte without a
 * token. The caller frees it. */
struct tokenizer *tokenizer_load(const char *path, struct problems *ps);
/* The same from memory; `name` stands for the file in problems. */
struct tokenizer *tokenizer_parse(const char *name, struct span text, struct problems *ps);
void tokenizer_free(struct tokenizer *t);

/* Ids that grow up to a cap. */
struct ids {
    int32_t *p;
    size_t n;
    size_t room;
    size_t cap;        /* most ids that n may reach */
};
void ids_init(struct ids *v, size_t cap);
void ids_free(struct ids *v);
/* False at the cap or without memory. */
bool ids_add(struct ids *v, int32_t id);

enum tokenizer_rc {
    TOKENIZER_OK,
    TOKENIZER_FULL,      /* the ids reached their cap: the text has more tokens than that; ids hold the first ones */
    TOKENIZER_UTF8,      /* the text is no valid UTF-8 */
    TOKENIZER_MEMORY,    /* no memory, or a limit of the pattern matcher */
};

/* Appends the ids of `text`. Without `with_added` no text becomes an added token, however it is spelled: so content of
 * users is encoded. With it, added tokens are found first (longest at a position), as the file's own tools do.
 * Nothing is put in front or behind. Time O(n log n) in the bytes. */
enum tokenizer_rc tokenizer_encode(const struct tokenizer *t, struct span text, bool with_added, struct ids *out)
    __attribute__((warn_unused_result));

/* The bytes that `id` stands for: maybe a part of a UTF-8 sequence; an added token's own text. SPAN_NONE for an id
 * that the file does not have. Borrowed from the tokenizer. */
struct span tokenizer_bytes(const struct tokenizer *t, int32_t id);
/* Is `id` an added token (control token, marker)? */
bool tokenizer_is_added(const struct tokenizer *t, int32_t id);
/* The id of an added token by its text; -1 when there is none. */
int32_t tokenizer_added(const struct tokenizer *t, const char *text);
/* One more than the highest id. */
size_t tokenizer_size(const struct tokenizer *t);
/* Bytes of the longest token: a text of n bytes has at least n / longest tokens, known without encoding it. */
size_t tokenizer_longest_bytes(const struct tokenizer *t);

#endif
