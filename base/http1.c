/* http1.c - heads of requests and answers, read strictly (RFC 9112; RFC 9110 for the fields). Chunked bodies are in
 * http1_chunks.c.
 *
 * Owns nothing and allocates nothing. A head is read in two passes: the first looks for its end and at its line
 * endings as bytes arrive, the second reads the whole head at once. The first decides by the bytes so far alone, so
 * that a head gives the same answer in whatever pieces it comes. Does not know methods, paths or limits of bodies:
 * that is the server's business. */
#include "base/http1.h"

#include "base/bytes.h"

#define TARGET_MAX 8192u
#define REQUEST_LINE_MAX (TARGET_MAX + 64)    /* a method of any sense, the version, and the target */

/* RFC 3986: what path and query are made of; "%" needs a look at what follows. */
static const bool is_target_char[256] = {
    ['!'] = true, ['$'] = true, ['%'] = true, ['&'] = true, ['\''] = true, ['('] = true, [')'] = true, ['*'] = true,
    ['+'] = true, [','] = true, ['-'] = true, ['.'] = true, ['/'] = true, [':'] = true, [';'] = true, ['='] = true,
    ['?'] = true, ['@'] = true, ['_'] = true, ['~'] = true,
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

static enum http1_rc bad(struct http1_error *err, int status, const char *why)
{
    *err = (struct http1_error){ status, why };
    return HTTP1_BAD;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- first pass: where does the head end? ---- */

enum kind { REQUEST, ANSWER };

static enum http1_rc check_first_byte(char c, struct http1_error *err)
{
    if (c == 0x16)
        return bad(err, 400, "this looks like TLS, but the port speaks plain HTTP");
    if (c != '\r' && !bytes_is_token(c))
        return bad(err, 400, "the request does not begin with a method");
    return HTTP1_OK;
}

/* An answer is known for no answer by its first bytes, before a line of it has come: anything may listen at a port. */
static enum http1_rc check_start(enum kind kind, struct span in, struct http1_error *err)
{
    const struct span start = SPAN_LIT("HTTP/1.");

    if (kind == REQUEST)
        return in.n ? check_first_byte(in.p[0], err) : HTTP1_OK;
    if (!span_starts(start, span_first(in, start.n)))
        return bad(err, 502, "the answer does not begin with \"HTTP/1.\"");
    return HTTP1_OK;
}

/* Has the request line no end within its limit? Asked once, when the look for its end goes past that limit. */
static bool request_line_too_long(struct span in, size_t first, size_t from, size_t to)
{
    const size_t limit = first + REQUEST_LINE_MAX;

    return from <= limit && to > limit && span_find(span_skip(span_first(in, limit + 1), first), '\n') > limit - first;
}

/* Looks for the end of a line from `from` on. HTTP1_OK: *lf is its LF, with a CR before it. */
static enum http1_rc find_line_end(enum kind kind, struct span in, size_t first, size_t from, size_t *lf,
                                   struct http1_error *err)
{
    const size_t at = (size_t)(bytes_line_end(in.p + from, in.p + in.n) - in.p);
    const bool is_cr = at < in.n && in.p[at] == '\r';

    if (kind == REQUEST && request_line_too_long(in, first, from, at + is_cr))
        return bad(err, 414, "the request target is longer than 8 KiB");
    if (at + is_cr == in.n)
        return HTTP1_MORE;
    if (!is_cr)
        return bad(err, 400, "a line ends in a bare line feed");
    if (in.p[at + 1] != '\n')
        return bad(err, 400, "a carriage return stands alone in the head");
    *lf = at + 1;
    return HTTP1_OK;
}

/* HTTP1_OK: in[*first, *end) is the head with its blank line. */
static enum http1_rc find_end(enum kind kind, struct span in, size_t max_bytes, size_t *seen, size_t *first,
                              size_t *end, struct http1_error *err)
{
    const bool whole = in.n < max_bytes;
    enum http1_rc rc = HTTP1_MORE;
    size_t from, lf;

    in = span_first(in, max_bytes);
    if (check_start(kind, in, err) == HTTP1_BAD)
        return HTTP1_BAD;
    *first = span_starts(in, SPAN_LIT("\r\n")) ? 2 : 0;    /* RFC 9112, 2.2: an empty line before a request is skipped */
    for (from = *seen > *first ? *seen : *first; from < in.n; from = lf + 1) {
        rc = find_line_end(kind, in, *first, from, &lf, err);
        if (rc != HTTP1_OK)
            break;
        if (lf - 1 == *first)
            return bad(err, 400, "the request line is empty");
        if (in.p[lf - 2] == '\n') {
            *end = lf + 1;
            return HTTP1_OK;
        }
    }
    if (rc == HTTP1_BAD)
        return rc;
    *seen = span_ends(in, SPAN_LIT("\r")) ? in.n - 1 : in.n;    /* whether that one stands alone shows later */
    if (whole)
        return HTTP1_MORE;
    return bad(err, 431, kind == REQUEST ? "the head of the request is too large" : "the head of the answer is too large");
}

/* ---- second pass: the request line. Each CR is now known to be the end of a line ---- */

static enum http1_rc read_version(struct span v, struct http1_head *head, struct http1_error *err)
{
    if (v.n != 8 || !span_starts(v, SPAN_LIT("HTTP/")) || !is_digit(v.p[5]) || v.p[6] != '.' || !is_digit(v.p[7]))
        return bad(err, 400, "the request line does not end in an HTTP version");
    if (v.p[5] != '1' || v.p[7] > '1')
        return bad(err, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    head->minor = v.p[7] - '0';
    return HTTP1_OK;
}

/* host[:port]: a name, an IPv4 address or an IPv6 address in brackets (RFC 3986, 3.2.2, without the parts that no
 * host name has: percent escapes, sub-delims, an empty port). */
static bool is_host(struct span s)
{
    size_t i = 0;
    uint64_t port;

    if (s.n && s.p[0] == '[') {
        size_t colons = 0;

        for (i = 1; i < s.n && (bytes_hex(s.p[i]) >= 0 || s.p[i] == ':' || s.p[i] == '.'); i++)
            colons += s.p[i] == ':';
        if (colons < 2 || i == s.n || s.p[i] != ']')
            return false;
        i++;
    } else {
        while (i < s.n && (is_digit(s.p[i]) || (s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= 'A' && s.p[i] <= 'Z') ||
                           s.p[i] == '-' || s.p[i] == '.' || s.p[i] == '_'))
            i++;
        if (i == 0)
            return false;
    }
    if (i == s.n)
        return true;
    return s.p[i] == ':' && s.n - i <= 6 && span_to_u64(span_skip(s, i + 1), 65535, &port);
}

/* "http://host/path": RFC 9112, 3.2.2. The host in it wins over the Host field; neither routes. */
static bool take_authority(struct span *rest, struct http1_head *head)
{
    static const struct span schemes[] = { SPAN_LIT("http://"), SPAN_LIT("https://") };

    for (size_t i = 0; i < 2; i++) {
        if (!span_eq_nocase(span_first(*rest, schemes[i].n), schemes[i]))
            continue;
        *rest = span_skip(*rest, schemes[i].n);
        for (i = 0; i < rest->n && rest->p[i] != '/' && rest->p[i] != '?'; i++)
            ;
        head->host = span_first(*rest, i);
        *rest = span_skip(*rest, i);
        return is_host(head->host);
    }
    return false;
}

static bool target_chars_ok(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_target_char[(unsigned char)s.p[i]])
            return false;
        if (s.p[i] == '%' && (s.n - i < 3 || bytes_hex(s.p[i + 1]) < 0 || bytes_hex(s.p[i + 2]) < 0))
            return false;
    }
    return true;
}

static enum http1_rc read_target(struct http1_head *head, struct http1_error *err)
{
    struct span rest = head->target;
    size_t mark;

    if (span_is(rest, "*") && span_is(head->method, "OPTIONS")) {
        head->path = rest;
        return HTTP1_OK;
    }
    if (rest.p[0] != '/' && !take_authority(&rest, head))
        return bad(err, 400, "the request target is neither a path nor an http URL");
    if (!target_chars_ok(rest))
        return bad(err, 400, "the request target holds a character that must be percent-encoded");
    mark = span_find(rest, '?');
    head->path = mark ? span_first(rest, mark) : SPAN_LIT("/");
    head->query = mark < rest.n ? span_skip(rest, mark + 1) : SPAN_NONE;
    return HTTP1_OK;
}

static enum http1_rc read_request_line(struct span line, struct http1_head *head, struct http1_error *err)
{
    const size_t method_end = span_find(line, ' ');
    struct span rest = span_skip(line, method_end + 1);
    size_t target_end;

    head->method = span_first(line, method_end);
    for (size_t i = 0; i < method_end; i++)
        if (line.p[i] < 'A' || line.p[i] > 'Z')
            return bad(err, 400, "the method is no word of upper case letters");
    target_end = span_find(rest, ' ');
    head->target = span_first(rest, target_end);
    if (head->method.n == 0 || head->target.n == 0)
        return bad(err, 400, "the request line is not \"METHOD target HTTP/1.1\"");
    if (read_version(span_skip(rest, target_end + 1), head, err) != HTTP1_OK)
        return HTTP1_BAD;
    if (head->target.n > TARGET_MAX)
        return bad(err, 414, "the request target is longer than 8 KiB");
    return read_target(head, err);
}

/* ---- second pass: the status line (RFC 9112, 4) ---- */

static enum http1_rc read_status_line(struct span line, struct http1_head *head, struct http1_error *err)
{
    struct span rest = span_skip(line, 8);    /* "HTTP/1." is known to be there */
    uint64_t status;

    if (line.n < 8 || (line.p[7] != '0' && line.p[7] != '1') || !span_starts(rest, SPAN_LIT(" ")))
        return bad(err, 502, "the status line does not begin with \"HTTP/1.1 \" or \"HTTP/1.0 \"");
    head->minor = line.p[7] - '0';
    rest = span_skip(rest, 1);
    if (rest.n < 3 || !span_to_u64(span_first(rest, 3), 599, &status) || status < 100)
        return bad(err, 502, "the status is no number from 100 to 599");
    if (status == 101)
        return bad(err, 502, "the answer switches protocols, which was not asked for");
    head->status = (int)status;
    rest = span_skip(rest, 3);
    if (rest.n && rest.p[0] != ' ')
        return bad(err, 502, "the status is no number from 100 to 599");
    head->reason = span_skip(rest, 1);
    if (bytes_field_end(head->reason.p, line.p + line.n) != line.p + line.n)
        return bad(err, 502, "the reason phrase holds a control character");
    return HTTP1_OK;
}

/* How the body of an answer ends: RFC 9112, 6.3. A server "MUST NOT" send framing fields with 1xx and 204 (RFC 9110,
 * 8.6; RFC 9112, 6.1); one that does may send a body too, which would be taken for the next answer. */
static enum http1_rc decide_body(struct http1_head *head, struct http1_error *err)
{
    const bool bodiless = head->status < 200 || head->status == 204;

    if (bodiless && (head->chunked || (head->has_length && head->length)))
        return bad(err, 502, "an answer that can have no body announces one");
    if (bodiless || head->status == 304)
        head->body = HTTP1_BODY_NONE;
    else if (head->chunked)
        head->body = HTTP1_BODY_CHUNKED;
    else if (head->has_length)
        head->body = head->length ? HTTP1_BODY_LENGTH : HTTP1_BODY_NONE;
    else
        head->body = HTTP1_BODY_TO_END;
    if (head->body == HTTP1_BODY_TO_END)
        head->keep_alive = false;
    return HTTP1_OK;
}

/* ---- second pass: fields ---- */

/* One line, off the front of *in. */
static enum http1_rc take_field(struct span *in, struct http1_header *h, struct http1_error *err)
{
    const char *p = in->p, *colon = p, *cr;

    while (bytes_is_token(*colon))    /* ends at the line's CR at the latest */
        colon++;
    if (*p == ' ' || *p == '\t')
        return bad(err, 400, "a header line is folded");
    if (*colon == ' ' || *colon == '\t')
        return bad(err, 400, "a header name has a blank in it or before its colon");
    if (colon == p || *colon != ':')
        return bad(err, 400, "a header line is not \"Name: value\"");
    cr = bytes_field_end(colon + 1, p + in->n);
    if (*cr != '\r')
        return bad(err, 400, "a header value holds a control character");
    h->name = (struct span){ p, (size_t)(colon - p) };
    h->value = span_trim((struct span){ colon + 1, (size_t)(cr - colon - 1) });
    *in = span_skip(*in, (size_t)(cr - p) + 2);
    return HTTP1_OK;
}

static bool name_is(const struct http1_header *h, struct span name)
{
    return h->name.n == name.n && span_eq_nocase(h->name, name);
}

static enum http1_rc field_length(struct http1_head *head, struct span value, struct http1_error *err)
{
    if (head->has_length)
        return bad(err, 400, "Content-Length is given twice");
    if (value.n > 19 || !span_to_u64(value, INT64_MAX, &head->length))
        return bad(err, 400, "Content-Length is no decimal number");
    head->has_length = true;
    return HTTP1_OK;
}

/* The next of a comma-separated list, trimmed; *rest is SPAN_NONE behind the last. */
static struct span list_take(struct span *rest)
{
    const size_t comma = span_find(*rest, ',');
    const struct span item = span_trim(span_first(*rest, comma));

    *rest = comma < rest->n ? span_skip(*rest, comma + 1) : SPAN_NONE;
    return item;
}

/* RFC 9112, 6.1 and 6.3: a coding that we do not know is 501, but a body whose end nobody can tell is 400. */
static enum http1_rc field_coding(struct http1_head *head, struct span value, struct http1_error *err)
{
    size_t codings = 0, chunked = 0;
    bool last = false;

    if (head->chunked)
        return bad(err, 400, "Transfer-Encoding is given twice");
    if (head->minor == 0)
        return bad(err, 400, "Transfer-Encoding is not known in HTTP/1.0");
    while (value.p) {
        last = span_eq_nocase(list_take(&value), SPAN_LIT("chunked"));
        codings++;
        chunked += last;
    }
    if (!last || chunked > 1)
        return bad(err, 400, "Transfer-Encoding does not end in one \"chunked\"");
    if (codings > 1)
        return bad(err, 501, "no Transfer-Encoding but \"chunked\" is known here");
    head->chunked = true;
    return HTTP1_OK;
}

static enum http1_rc field_host(struct span value, bool *seen, struct http1_head *head, struct http1_error *err)
{
    if (*seen)
        return bad(err, 400, "Host is given twice");
    if (!is_host(value))
        return bad(err, 400, "Host is no host[:port]");
    *seen = true;
    if (!head->host.p)    /* an absolute target has set it */
        head->host = value;
    return HTTP1_OK;
}

struct options {              /* of Connection, over all its fields */
    bool close, keep_alive;
};

static void field_connection(struct span value, struct options *o)
{
    while (value.p) {
        const struct span option = list_take(&value);

        o->close |= span_eq_nocase(option, SPAN_LIT("close"));
        o->keep_alive |= span_eq_nocase(option, SPAN_LIT("keep-alive"));
    }
}

static enum http1_rc field_expect(struct http1_head *head, struct span value, struct http1_error *err)
{
    if (!span_eq_nocase(value, SPAN_LIT("100-continue")))
        return bad(err, 417, "no expectation but 100-continue is known here");
    head->expect_continue = head->minor == 1;    /* RFC 9110, 10.1.1: ignored in HTTP/1.0 */
    return HTTP1_OK;
}

/* What a field means for the framing and for the connection; the others are the server's. */
static enum http1_rc read_meaning(enum kind kind, struct http1_head *head, const struct http1_header *h,
                                  bool *host_seen, struct options *o, struct http1_error *err)
{
    switch (h->name.n) {
    case 4:
        return kind == REQUEST && name_is(h, SPAN_LIT("host")) ? field_host(h->value, host_seen, head, err) : HTTP1_OK;
    case 6:
        return kind == REQUEST && name_is(h, SPAN_LIT("expect")) ? field_expect(head, h->value, err) : HTTP1_OK;
    case 10:
        if (name_is(h, SPAN_LIT("connection")))
            field_connection(h->value, o);
        return HTTP1_OK;
    case 14:
        return name_is(h, SPAN_LIT("content-length")) ? field_length(head, h->value, err) : HTTP1_OK;
    case 17:
        return name_is(h, SPAN_LIT("transfer-encoding")) ? field_coding(head, h->value, err) : HTTP1_OK;
    default:
        return HTTP1_OK;
    }
}

static enum http1_rc read_fields(enum kind kind, struct span in, struct http1_head *head, struct http1_error *err)
{
    bool host_seen = false;
    struct options o = { false, false };

    while (in.p[0] != '\r') {
        struct http1_header *h = &head->headers[head->n_headers];

        if (head->n_headers == HTTP1_HEADERS_MAX)
            return bad(err, 431, kind == REQUEST ? "the request has more than 100 headers"
                                                 : "the answer has more than 100 headers");
        if (take_field(&in, h, err) != HTTP1_OK || read_meaning(kind, head, h, &host_seen, &o, err) != HTTP1_OK)
            return HTTP1_BAD;
        head->n_headers++;
    }
    if (kind == REQUEST && head->minor == 1 && !host_seen)
        return bad(err, 400, "the Host header is missing");
    if (head->chunked && head->has_length)
        return bad(err, 400, "Content-Length and Transfer-Encoding are given together");
    head->keep_alive = !o.close && (head->minor == 1 || o.keep_alive);
    return HTTP1_OK;
}

static void head_clear(struct http1_head *head)    /* all but the array of headers, which is large */
{
    head->method = head->target = head->path = head->query = head->host = SPAN_NONE;
    head->minor = 0;
    head->n_headers = 0;
    head->chunked = head->has_length = head->keep_alive = head->expect_continue = false;
    head->length = 0;
    head->status = 0;
    head->reason = SPAN_NONE;
    head->body = HTTP1_BODY_NONE;
}

static enum http1_rc read_any(enum kind kind, struct span in, size_t max_bytes, size_t *seen, struct http1_head *head,
                              size_t *used, struct http1_error *err)
{
    size_t first, end;
    enum http1_rc rc = find_end(kind, in, max_bytes, seen, &first, &end, err);
    struct span line;

    if (rc != HTTP1_OK)
        return rc;
    head_clear(head);
    in = (struct span){ in.p + first, end - first };
    line = span_first(in, span_find(in, '\r'));
    rc = kind == REQUEST ? read_request_line(line, head, err) : read_status_line(line, head, err);
    if (rc == HTTP1_OK)
        rc = read_fields(kind, span_skip(in, line.n + 2), head, err);
    if (rc == HTTP1_OK && kind == ANSWER)
        rc = decide_body(head, err);
    if (rc == HTTP1_OK)
        *used = end;
    return rc;
}

enum http1_rc http1_read_head(struct span in, size_t max_bytes, size_t *seen, struct http1_head *head, size_t *used,
                              struct http1_error *err)
{
    return read_any(REQUEST, in, max_bytes, seen, head, used, err);
}

enum http1_rc http1_read_response(struct span in, size_t max_bytes, size_t *seen, struct http1_head *head, size_t *used,
                                  struct http1_error *err)
{
    const enum http1_rc rc = read_any(ANSWER, in, max_bytes, seen, head, used, err);

    if (rc == HTTP1_BAD && err->status != 431)
        err->status = 502;    /* what the lines and fields of both kinds call 400 or 501 */
    return rc;
}

struct span http1_get(const struct http1_head *head, const char *name)
{
    const struct span want = span_str(name);

    for (size_t i = 0; i < head->n_headers; i++)
        if (name_is(&head->headers[i], want))
            return head->headers[i].value;
    return SPAN_NONE;
}
