/* gemini_pages.c - the small documents of the Gemini dialect: lists of models, counts (wire/gemini-generate sections 9, 12). */
#include "base/jwrite.h"
#include "gateway/dialects/gemini.h"

void gemini_write_model(const struct gemini_model *m, struct buf *out)
{
    struct buf name;

    buf_init(&name, 4096);
    buf_add_str(&name, "models/");
    buf_add_span(&name, m->name);
    jw_object(out, NULL);
    jw_string(out, "name", buf_span(&name));
    jw_string(out, "version", SPAN_LIT("1"));
    jw_string(out, "displayName", m->title.n ? m->title : m->name);
    if (m->context > 0)
        jw_int(out, "inputTokenLimit", m->context);
    if (m->max_output > 0)
        jw_int(out, "outputTokenLimit", m->max_output);
    jw_json(out, "supportedGenerationMethods", SPAN_LIT("[\"generateContent\",\"countTokens\"]"));
    jw_close(out, '}');
    buf_free(&name);
}

void gemini_write_models(const struct gemini_model *models, size_t n, struct buf *out)
{
    jw_object(out, NULL);
    jw_array(out, "models");
    for (size_t i = 0; i < n; i++)
        gemini_write_model(&models[i], out);
    jw_close(out, ']');
    jw_close(out, '}');
}

void gemini_write_count(int64_t tokens, struct buf *out)
{
    jw_object(out, NULL);
    jw_int(out, "totalTokens", tokens);
    jw_close(out, '}');
}
