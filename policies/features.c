/* features.c - soft facts from the text of a prompt: code, mathematics, files.
 *
 * Owns the counting. Decides nothing, and reads only what the gateway feeds it. The scores are shares of weighted
 * signs per byte or word; the weights were set by hand on the examples in test_features.c. What was measured on
 * public data says not to expect more from prompt text (AUC 0.6): a score is a hint that an operator can see. */
#include "policies/features.h"

#include <stdbool.h>

/* ---- names ---- */

static const char *const names[FEATURE_COUNT] = {
    [FEATURE_PROMPT_TOKENS] = "prompt_tokens", [FEATURE_MAX_TOKENS] = "max_tokens", [FEATURE_TURNS] = "turns",
    [FEATURE_MESSAGES] = "messages", [FEATURE_TOOLS] = "tools", [FEATURE_IMAGES] = "images",
    [FEATURE_JSON_MODE] = "json_mode", [FEATURE_STREAM] = "stream", [FEATURE_FILES] = "files",
    [FEATURE_CODE] = "code", [FEATURE_MATH] = "math",
};

const char *feature_name(enum feature id)
{
    return (unsigned)id < FEATURE_COUNT ? names[id] : NULL;
}

enum feature feature_find(struct span name)
{
    int i = 0;

    while (i < FEATURE_COUNT && !span_is(name, names[i]))
        i++;
    return (enum feature)i;
}

const char *feature_modality_name(unsigned bit)
{
    switch (bit) {
    case BOOK_TEXT: return "text";
    case BOOK_IMAGE: return "image";
    case BOOK_AUDIO: return "audio";
    case BOOK_VIDEO: return "video";
    case BOOK_FILE: return "file";
    default: return "?";
    }
}

/* ---- words ---- */

/* FNV-1a. 32 bits are enough: a collision costs a wrong hint, nothing else. */
#define HASH_SEED 2166136261U
#define HASH_STEP(h, c) (((h) ^ (unsigned char)(c)) * 16777619U)

struct word { const char *text; unsigned weight; };

/* Weights in halves: 8 = a sign of mathematical reasoning by itself, 4 = of calculation. LaTeX commands are words
 * behind a backslash and count double. One list a first letter, so that a word is compared with few. */
static const struct word math_a[] = { { "alpha", 2 }, { 0 } };
static const struct word math_b[] = { { "beta", 1 }, { "bijection", 8 }, { 0 } };
static const struct word math_c[] = {
    { "calculate", 3 },    { "cdot", 6 },          { "circumference", 6 }, { "coefficient", 4 },
    { "coefficients", 4 }, { "combinatorics", 8 }, { "compute", 2 },       { "congruent", 6 },
    { "convergence", 6 },  { "converges", 6 },     { "coprime", 8 },       { "corollary", 8 },
    { "cos", 4 },          { "cosine", 6 },        { "cubic", 4 },         { 0 }
};
static const struct word math_d[] = { { "derivative", 8 }, { "determinant", 6 }, { "differentiate", 8 },
    { "diverges", 6 }, { "divides", 4 }, { "divisible", 6 }, { 0 } };
static const struct word math_e[] = { { "eigenvalue", 8 }, { "eigenvalues", 8 }, { "eigenvector", 8 },
    { "equation", 6 }, { "equations", 6 }, { "evaluate", 2 }, { "exists", 1 }, { 0 } };
static const struct word math_f[] = { { "factorial", 6 }, { "forall", 4 }, { "frac", 4 }, { 0 } };
static const struct word math_g[] = { { "geq", 6 }, { 0 } };
static const struct word math_h[] = { { "homomorphism", 8 }, { "hypotenuse", 6 }, { 0 } };
static const struct word math_i[] = { { "induction", 6 }, { "inequality", 4 }, { "infty", 6 }, { "injective", 8 },
    { "integer", 2 }, { "integers", 4 }, { "integral", 8 }, { "integrate", 6 }, { "isomorphic", 8 }, { 0 } };
static const struct word math_l[] = { { "lambda", 1 }, { "lemma", 8 }, { "leq", 6 }, { "lim", 4 }, { "log", 1 },
    { "logarithm", 6 }, { 0 } };
static const struct word math_m[] = { { "mathbb", 6 }, { "matrices", 6 }, { "matrix", 4 }, { "mod", 3 },
    { "modulo", 6 }, { 0 } };
static const struct word math_p[] = { { "partial", 2 }, { "permutations", 6 }, { "polynomial", 8 },
    { "polynomials", 8 }, { "prime", 3 }, { "primes", 4 }, { "probability", 6 }, { "product", 1 }, { "proof", 8 },
    { "prove", 8 }, { 0 } };
static const struct word math_q[] = { { "quadratic", 6 }, { 0 } };
static const struct word math_r[] = { { "radians", 6 }, { "remainder", 4 }, { 0 } };
static const struct word math_s[] = { { "sin", 3 }, { "sine", 6 }, { "solve", 4 }, { "sqrt", 6 }, { "squared", 4 },
    { "sum", 3 }, { "surjective", 8 }, { 0 } };
static const struct word math_t[] = { { "theorem", 8 }, { "theta", 3 }, { "triangle", 4 }, { 0 } };
static const struct word math_v[] = { { "vector", 2 }, { "vectors", 2 }, { 0 } };
static const struct word *const math_words[26] = {
    ['a' - 'a'] = math_a, ['b' - 'a'] = math_b, ['c' - 'a'] = math_c, ['d' - 'a'] = math_d,
    ['e' - 'a'] = math_e, ['f' - 'a'] = math_f, ['g' - 'a'] = math_g, ['h' - 'a'] = math_h,
    ['i' - 'a'] = math_i, ['l' - 'a'] = math_l, ['m' - 'a'] = math_m, ['p' - 'a'] = math_p,
    ['q' - 'a'] = math_q, ['r' - 'a'] = math_r, ['s' - 'a'] = math_s, ['t' - 'a'] = math_t,
    ['v' - 'a'] = math_v,
};

/* Words that open a line of code. */
static const char *const code_openers[] = {
    "def ",       "class ",     "import ",  "from ",  "#include", "#define", "#ifdef",    "#endif",   "return ",
    "return;",    "for (",      "for(",     "if (",   "if(",      "} else",  "else if",   "elif ",    "while (",
    "while(",     "switch (",   "const ",   "let ",   "var ",     "func ",   "fn ",       "pub ",     "public ",
    "private ",   "protected ", "static ",  "void ",  "int ",     "struct ", "enum ",     "package ", "using ",
    "namespace ", "template",   "typedef ", "async ", "await ",   "export ", "function ", "SELECT ",  "INSERT ",
    "UPDATE ",    "CREATE ",    "//",       "/*",     "@",        "try:",    "except",    "raise ",   "throw ",
    "print(",     "$ ",         "<?php",    "</",
};

/* File name extensions that mean a file of a project, sorted by nothing: the list is short. */
#define WORD(w) { w, sizeof w - 1 }
static const struct span extensions[] = {
    WORD("c"), WORD("h"), WORD("cc"), WORD("cpp"), WORD("hpp"), WORD("cu"), WORD("py"), WORD("js"), WORD("ts"),
    WORD("tsx"), WORD("jsx"), WORD("go"), WORD("rs"), WORD("java"), WORD("kt"), WORD("swift"), WORD("rb"),
    WORD("php"), WORD("cs"), WORD("sql"), WORD("sh"), WORD("md"), WORD("txt"), WORD("json"), WORD("yaml"),
    WORD("yml"), WORD("toml"), WORD("xml"), WORD("html"), WORD("css"), WORD("scss"), WORD("vue"), WORD("csv"),
    WORD("ipynb"), WORD("tex"), WORD("pdf"), WORD("docx"), WORD("xlsx"), WORD("pptx"), WORD("lua"), WORD("pl"),
    WORD("scala"), WORD("ex"), WORD("hs"), WORD("ml"), WORD("zig"), WORD("dart"), WORD("proto"), WORD("cfg"),
    WORD("ini"), WORD("conf"), WORD("gradle"), WORD("cmake"), WORD("mk"), WORD("am"), WORD("ac"), WORD("lock"),
    WORD("log"), WORD("diff"), WORD("patch"), WORD("svg"), WORD("png"), WORD("jpg"),
};

/* Names of products that look like files. */
static const struct span no_files[] = {
    WORD("node.js"),  WORD("vue.js"), WORD("next.js"),    WORD("react.js"),    WORD("nuxt.js"),
    WORD("three.js"), WORD("d3.js"),  WORD("express.js"), WORD("backbone.js"),
};

/* `word` consists of letters. */
static unsigned math_weight(const char *word, size_t n)
{
    const struct word *w = math_words[(word[0] | 32) - 'a'];

    for (; w && w->text; w++) {
        size_t k = 0;

        while (k < n && (word[k] | 32) == w->text[k])
            k++;
        if (k == n && w->text[n] == '\0')
            return w->weight;
    }
    return 0;
}

/* ---- one line ---- */

enum class { OTHER, LETTER = 1, DIGIT = 2, BLANK = 4, PATH = 8, OPERATOR = 16, DOT = 32, BACKSLASH = 64 };

static const uint8_t classes[256] = {
    ['a'] = 9, ['b'] = 9, ['c'] = 9, ['d'] = 9, ['e'] = 9, ['f'] = 9, ['g'] = 9, ['h'] = 9, ['i'] = 9, ['j'] = 9,
    ['k'] = 9, ['l'] = 9, ['m'] = 9, ['n'] = 9, ['o'] = 9, ['p'] = 9, ['q'] = 9, ['r'] = 9, ['s'] = 9, ['t'] = 9,
    ['u'] = 9, ['v'] = 9, ['w'] = 9, ['x'] = 9, ['y'] = 9, ['z'] = 9,
    ['A'] = 9, ['B'] = 9, ['C'] = 9, ['D'] = 9, ['E'] = 9, ['F'] = 9, ['G'] = 9, ['H'] = 9, ['I'] = 9, ['J'] = 9,
    ['K'] = 9, ['L'] = 9, ['M'] = 9, ['N'] = 9, ['O'] = 9, ['P'] = 9, ['Q'] = 9, ['R'] = 9, ['S'] = 9, ['T'] = 9,
    ['U'] = 9, ['V'] = 9, ['W'] = 9, ['X'] = 9, ['Y'] = 9, ['Z'] = 9,
    ['0'] = 10, ['1'] = 10, ['2'] = 10, ['3'] = 10, ['4'] = 10, ['5'] = 10, ['6'] = 10, ['7'] = 10, ['8'] = 10,
    ['9'] = 10, ['_'] = PATH, ['-'] = PATH, ['/'] = PATH, ['.'] = PATH | DOT, [' '] = BLANK, ['\t'] = BLANK,
    ['+'] = OPERATOR, ['*'] = OPERATOR, ['='] = OPERATOR, ['^'] = OPERATOR, ['\\'] = BACKSLASH,
};
#define IS(c, bits) (classes[(unsigned char)(c)] & (bits))

static void add_file(struct feature_scan *s, struct span name)
{
    uint32_t h = HASH_SEED;

    for (size_t i = 0; i < name.n; i++)
        h = HASH_STEP(h, name.p[i]);
    for (uint32_t i = 0; i < s->n_files; i++)
        if (s->files[i] == h)
            return;
    if (s->n_files < FEATURE_FILES_MAX)
        s->files[s->n_files++] = h;
}

static bool listed(struct span s, const struct span *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].n == s.n && s.n && (s.p[0] | 32) == list[i].p[0] && span_eq_nocase(s, list[i]))
            return true;
    return false;
}

/* `dot` is the index of a full stop in `line`. Is it the one before the extension of a file's name? Then *name is
 * that name. */
static bool file_at(struct span line, size_t dot, struct span *name)
{
    size_t from = dot, to = dot + 1;

    while (to < line.n && IS(line.p[to], LETTER | DIGIT) && to - dot < 8)
        to++;
    if (to < line.n && IS(line.p[to], PATH) && !(line.p[to] == '.' && (to + 1 == line.n || !IS(line.p[to + 1], PATH))))
        return false;    /* "a.b.c": the last one counts; a full stop that ends a sentence does not */
    while (from > 0 && IS(line.p[from - 1], PATH) && dot - from < 255)
        from--;
    if (from == dot || (from > 1 && line.p[from - 1] == ':' && line.p[from] == '/'))
        return false;    /* ".5", and addresses: "https://host/x.html" */
    *name = (struct span){ line.p + from, to - from };
    if (!listed((struct span){ line.p + dot + 1, to - dot - 1 }, extensions, sizeof extensions / sizeof *extensions))
        return false;
    return !listed(*name, no_files, sizeof no_files / sizeof *no_files);
}

/* `=`, `+`, `*`, `^` between what may be operands: "x^2", "3 + 4". Not in "==" or "*bold*" or "C++". */
static bool is_operation(struct span line, size_t at)
{
    size_t l = at, r = at + 1;

    if (l > 0 && line.p[l - 1] == ' ')
        l--;
    if (r < line.n && line.p[r] == ' ')
        r++;
    return l > 0 && r < line.n && (IS(line.p[l - 1], LETTER | DIGIT) || line.p[l - 1] == ')') &&
           (IS(line.p[r], LETTER | DIGIT) || line.p[r] == '(' || line.p[r] == '-');
}

static void scan_words(struct feature_scan *s, struct span line)
{
    const char *p = line.p;
    size_t i = 0;

    while (i < line.n) {
        if (IS(p[i], LETTER)) {
            size_t from = i;

            while (i < line.n && IS(p[i], LETTER))
                i++;
            s->words++;
            if (i - from >= 3)
                s->math_weight += math_weight(p + from, i - from) << (from > 0 && p[from - 1] == '\\');
            continue;
        }
        if (IS(p[i], DIGIT)) {
            while (i < line.n && IS(p[i], DIGIT))
                i++;
            s->words++;
            s->math_weight += 1;
            continue;
        }
        if (IS(p[i], OPERATOR))
            s->math_weight += is_operation(line, i) ? 2 : 0;
        if (p[i] == '.') {
            struct span name;

            if (file_at(line, i, &name)) {
                add_file(s, name);
                s->file_on_last_line = true;
            }
        }
        i++;
    }
}

static bool is_code_line(struct span trimmed)
{
    char last = trimmed.p[trimmed.n - 1];

    for (size_t i = 0; i < sizeof code_openers / sizeof *code_openers; i++)
        if (trimmed.p[0] == code_openers[i][0] && span_starts(trimmed, span_str(code_openers[i]))) {
            /* "from", "for", "let", "import" open sentences too: code does not end like one */
            return last != '.' && last != '?' && last != ',' && last != '!';
        }
    if (last == ';' || last == '{' || last == '}')
        return true;
    return span_ends(trimmed, SPAN_LIT("):")) || span_ends(trimmed, SPAN_LIT(") =>")) ||
           (span_ends(trimmed, SPAN_LIT(")")) && span_find(trimmed, ' ') > 2 && span_find(trimmed, '(') < trimmed.n &&
            span_find(trimmed, ' ') == trimmed.n);
}

void features_text(struct features *f, struct span text)
{
    struct feature_scan *s = &f->scan;
    bool in_fence = false;

    if (s->bytes >= FEATURE_TEXT_MAX)
        return;
    text = span_first(text, (size_t)(FEATURE_TEXT_MAX - s->bytes));
    s->bytes += text.n;
    s->file_on_last_line = false;
    while (text.n) {
        size_t n = span_find(text, '\n');
        struct span line = span_first(text, n), trimmed = span_trim(line);

        text = span_skip(text, n + 1);
        if (trimmed.n == 0)
            continue;
        if (span_starts(trimmed, SPAN_LIT("```"))) {
            bool named = s->file_on_last_line;

            s->file_on_last_line = false;
            scan_words(s, trimmed);                      /* "```c src/main.c" names it */
            if (!in_fence && !named && !s->file_on_last_line)
                s->n_unnamed++;
            in_fence = !in_fence;
            s->file_on_last_line = false;
            continue;
        }
        s->file_on_last_line = false;
        scan_words(s, line);
        if (in_fence || is_code_line(trimmed))
            s->code_bytes += line.n + 1;
    }
}

void features_file(struct features *f, struct span name)
{
    if (name.n)
        add_file(&f->scan, name);
    else
        f->scan.n_unnamed++;
}

void features_init(struct features *f)
{
    memset(f, 0, sizeof *f);
    f->modalities = BOOK_TEXT;
    f->max_cost_nano = -1;
    f->deadline_ms = -1;
}

void features_finish(struct features *f)
{
    const struct feature_scan *s = &f->scan;
    double code = s->bytes ? (double)s->code_bytes / (double)s->bytes : 0;
    /* A sign in every second word is mathematics through and through; a short text needs more than one sign. */
    double math = (double)s->math_weight / (double)(s->words > 8 ? s->words : 8);

    f->value[FEATURE_CODE] = code > 1 ? 1 : code;
    f->value[FEATURE_MATH] = math > 1 ? 1 : math;
    f->value[FEATURE_FILES] = (double)s->n_files + (double)s->n_unnamed;
    f->value[FEATURE_TOOLS] = (double)f->asked.n_tools;
    f->value[FEATURE_JSON_MODE] = f->asked.json;
    f->value[FEATURE_STREAM] = f->stream;
    f->value[FEATURE_MAX_TOKENS] = f->asked.max_tokens > 0 ? (double)f->asked.max_tokens : 0;
    f->value[FEATURE_MESSAGES] = (double)f->parts.messages;
    f->value[FEATURE_IMAGES] = (double)f->parts.images;
    f->value[FEATURE_PROMPT_TOKENS] =
        (double)((f->parts.text_bytes + f->parts.tool_bytes + ESTIMATE_BYTES_A_TOKEN - 1) / ESTIMATE_BYTES_A_TOKEN);
}
