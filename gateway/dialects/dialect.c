/* dialect.c - the table of dialects, and what all of them share when they write for a provider. */
#include "gateway/dialects/dialect.h"

#include <stdio.h>

#include "gateway/dialects/anthropic.h"
#include "gateway/dialects/completions.h"
#include "gateway/dialects/embeddings.h"
#include "gateway/dialects/gemini.h"
#include "gateway/dialects/openai.h"
#include "gateway/dialects/responses.h"

const struct dialect *dialect_get(enum dialect_id id)
{
    static const struct dialect *const all[DIALECTS] = {
        [DIALECT_CHAT] = &openai_dialect,
        [DIALECT_RESPONSES] = &responses_dialect,
        [DIALECT_COMPLETIONS] = &completions_dialect,
        [DIALECT_EMBEDDINGS] = &embeddings_dialect,
        [DIALECT_ANTHROPIC] = &anthropic_dialect,
        [DIALECT_GEMINI] = &gemini_dialect,
    };

    return (unsigned)id < DIALECTS ? all[id] : NULL;
}

/* ---- notes ---- */

void notes_add(struct notes *n, const char *what, struct span field)
{
    const size_t used = strlen(n->text);
    const int more = snprintf(n->text + used, sizeof n->text - used, "%s%s=%.*s", used ? ", " : "", what, SPAN_FMT(field));

    n->n++;
    if (more < 0 || used + (size_t)more >= sizeof n->text)
        n->text[used] = '\0';
}

/* ---- foreign members ---- */

bool dialect_refuse(struct fault *f, const struct chat *chat, const struct dialect *to, const char *field, const char *why)
{
    static const char *const names[DIALECTS] = { "OpenAI Chat", "OpenAI Responses", "OpenAI Completions", "OpenAI Embeddings",
                                                 "Anthropic Messages", "Gemini" };

    return fault_bad(f, "unsupported_parameter", field, "'%s' cannot be translated from the %s dialect to %s: %s.", field,
                     names[chat->dialect], names[to->id], why);
}

bool dialect_check_foreign(const struct chat *chat, const struct dialect *to, struct fault *fault)
{
    for (const struct chat_foreign *f = chat->foreign; f; f = f->next) {
        char field[160];

        if (f->kind != FOREIGN_MEANS)
            continue;
        snprintf(field, sizeof field, "%.*s", SPAN_FMT(f->name));
        dialect_refuse(fault, chat, to, field, "it has no such thing, and without it the answer would mean something else");
        if (f->code)
            fault->code = f->code;
        return false;
    }
    return true;
}

void dialect_note_foreign(const struct chat *chat, struct notes *notes)
{
    for (const struct chat_foreign *f = chat->foreign; f; f = f->next)
        if (f->kind == FOREIGN_TUNES)
            notes_add(notes, "dropped", f->name);
}

int64_t target_cap(const struct chat *chat, const struct target *target)
{
    if (target->output_cap > 0 && (chat->max_tokens == 0 || target->output_cap < chat->max_tokens))
        return target->output_cap;
    return chat->max_tokens;
}

/* ---- tool names ---- */

static bool plain(struct span name, size_t most, bool letter_first, bool dots)
{
    if (name.n == 0 || name.n > most)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        const char c = name.p[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        const bool more = (c >= '0' && c <= '9') || c == '-' || (dots && (c == '.' || c == ':'));

        if (!letter && (!more || (i == 0 && letter_first)))
            return false;
    }
    return true;
}

/* 32 bits of the name, so that names which differ only in what is replaced stay apart. */
static unsigned digest(struct span name)
{
    unsigned h = 2166136261u;    /* FNV-1a */

    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)name.p[i]) * 16777619u;
    return h;
}

static struct span mangle(struct arena *arena, struct span name, size_t most)
{
    const size_t keep = most > 10 ? most - 10 : 0;
    char text[160];
    size_t n = 0;

    text[n++] = 'f';
    text[n++] = '_';
    for (size_t i = 0; i < name.n && n < keep && n < sizeof text - 16; i++) {
        const struct span one = { name.p + i, 1 };

        text[n++] = plain(one, 1, false, false) ? name.p[i] : '_';
    }
    return arena_printf(arena, "%.*s_%08x", (int)n, text, digest(name));
}

/* The slot of a name, or the free one where it would stand. */
static uint32_t *slot_of(const struct names *names, bool ours, struct span name)
{
    uint32_t *table = ours ? names->by_ours : names->by_theirs;
    size_t i = digest(name) & (names->slots - 1);

    for (; table[i]; i = (i + 1) & (names->slots - 1)) {
        const struct span have = ours ? names->list[table[i] - 1].ours : names->list[table[i] - 1].theirs;

        if (span_eq(have, name))
            break;
    }
    return &table[i];
}

static void enter(struct names *names, size_t i)
{
    *slot_of(names, true, names->list[i].ours) = (uint32_t)i + 1;
    *slot_of(names, false, names->list[i].theirs) = (uint32_t)i + 1;
}

/* Room for one more: doubled when it is full, since the arena gives nothing back. The tables stay at most half full. */
static bool grow(struct names *names, struct arena *arena)
{
    const size_t room = names->slots / 2, more = room ? 2 * room : 16;
    struct names new = { .n = names->n, .slots = 2 * more };

    if (names->n < room)
        return true;
    new.list = arena_zalloc_array(arena, more, sizeof new.list[0], _Alignof(struct span));
    new.by_ours = ARENA_ARRAY(arena, uint32_t, new.slots);
    new.by_theirs = ARENA_ARRAY(arena, uint32_t, new.slots);
    if (!new.list || !new.by_ours || !new.by_theirs)
        return false;
    if (names->n)
        memcpy(new.list, names->list, names->n * sizeof new.list[0]);
    for (size_t i = 0; i < new.n; i++)
        enter(&new, i);
    *names = new;
    return true;
}

struct span names_out(struct names *names, struct arena *arena, struct span name, size_t most, bool letter_first, bool dots,
                      struct fault *fault)
{
    const uint32_t known = names->slots ? *slot_of(names, true, name) : 0;
    struct span theirs = name;

    if (known)
        return names->list[known - 1].theirs;
    if (!plain(name, most, letter_first, dots))
        theirs = mangle(arena, name, most);
    if (!theirs.p || !grow(names, arena)) {
        fault_set(fault, 503, "server_error", "overloaded", NULL, "The gateway is short of memory.");
        return SPAN_NONE;
    }
    if (*slot_of(names, false, theirs)) {
        fault_bad(fault, "invalid_value", "tools", "Two tools would have the same name '%.*s' at the provider.",
                  SPAN_FMT(theirs));
        return SPAN_NONE;
    }
    names->list[names->n].ours = name;
    names->list[names->n].wrapped = false;
    names->list[names->n].theirs = theirs;
    enter(names, names->n++);
    return theirs;
}

struct span names_back(const struct names *names, struct span theirs)
{
    const uint32_t known = names && names->slots ? *slot_of(names, false, theirs) : 0;

    return known ? names->list[known - 1].ours : theirs;
}

void names_wrap(struct names *names, struct span ours)
{
    const uint32_t known = names->slots ? *slot_of(names, true, ours) : 0;

    if (known)
        names->list[known - 1].wrapped = true;
}

bool names_wrapped(const struct names *names, struct span theirs)
{
    const uint32_t known = names && names->slots ? *slot_of(names, false, theirs) : 0;

    return known && names->list[known - 1].wrapped;
}
