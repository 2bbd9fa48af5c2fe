"""Bad input: a clear error in OpenAI's shape with the right status that names the field; no upstream call, no reservation
left open, and the process lives on."""
import json
import unittest

from house import House, Shared, wait_for

GOOD = {"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}


def with_message(**m):
    return dict(GOOD, messages=[m])


def with_part(part):
    return with_message(role="user", content=[part])


def with_tool(tool):
    return dict(GOOD, tools=[tool])


FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}

# Each known field with a wrong value, and the parameter that must be named.
WRONG = [
    ("model", dict(GOOD, model=5)), ("model", dict(GOOD, model="")), ("model", dict(GOOD, model=None)),
    ("model", dict(GOOD, model=["auto"])), ("model", dict(GOOD, model="x" * 257)),
    ("messages", dict(GOOD, messages="Hi")), ("messages", dict(GOOD, messages=[])), ("messages", dict(GOOD, messages={})),
    ("messages", dict(GOOD, messages=None)),
    ("messages[0]", dict(GOOD, messages=["Hi"])), ("messages[0]", dict(GOOD, messages=[None])),
    ("messages[1].role", dict(GOOD, messages=GOOD["messages"] + [{"content": "x"}])),
    ("messages[0].role", with_message(role=1, content="x")), ("messages[0].role", with_message(role="robot", content="x")),
    ("messages[0].role", with_message(role="User", content="x")),
    ("messages[0].content", with_message(role="user")), ("messages[0].content", with_message(role="user", content=None)),
    ("messages[0].content", with_message(role="user", content=7)),
    ("messages[0].content", with_message(role="user", content={"type": "text"})),
    ("messages[0].content", with_message(role="user", content=[])),
    ("messages[0].content[0]", with_message(role="user", content=["Hi"])),
    ("messages[0].content[0].type", with_part({"text": "x"})), ("messages[0].content[0].text", with_part({"type": "text"})),
    ("messages[0].content[0].text", with_part({"type": "text", "text": 1})),
    ("messages[0].content[0].image_url.url", with_part({"type": "image_url"})),
    ("messages[0].content[0].image_url.url", with_part({"type": "image_url", "image_url": {"url": 5}})),
    ("messages[0].content[0].image_url.url", with_part({"type": "image_url", "image_url": {"url": ""}})),
    ("messages[0].content[0].input_audio.data", with_part({"type": "input_audio", "input_audio": {"format": "wav"}})),
    ("messages[0].content[0].file", with_part({"type": "file", "file": "f1"})),
    ("messages[0].name", with_message(role="user", name=5, content="x")),
    ("messages[0].tool_call_id", with_message(role="tool", content="x")),
    ("messages[0].tool_call_id", with_message(role="tool", content="x", tool_call_id=5)),
    ("messages[0].tool_calls", with_message(role="assistant", tool_calls="f")),
    ("messages[0].tool_calls[0]", with_message(role="assistant", tool_calls=["f"])),
    ("messages[0].tool_calls[0].id", with_message(role="assistant", tool_calls=[{"type": "function"}])),
    ("stream", dict(GOOD, stream="true")), ("stream", dict(GOOD, stream=1)),
    ("stream_options", dict(GOOD, stream=True, stream_options=[])),
    ("stream_options.include_usage", dict(GOOD, stream=True, stream_options={"include_usage": "yes"})),
    ("stream_options", dict(GOOD, stream_options={"include_usage": True})),
    ("max_tokens", dict(GOOD, max_tokens="5")), ("max_tokens", dict(GOOD, max_tokens=0)),
    ("max_tokens", dict(GOOD, max_tokens=-1)), ("max_tokens", dict(GOOD, max_tokens=1.5)),
    ("max_tokens", dict(GOOD, max_tokens=10 ** 30)), ("max_tokens", dict(GOOD, max_tokens=True)),
    ("max_completion_tokens", dict(GOOD, max_completion_tokens=[])),
    ("max_completion_tokens", dict(GOOD, max_completion_tokens=0)),
    ("temperature", dict(GOOD, temperature="warm")), ("temperature", dict(GOOD, temperature=2.1)),
    ("temperature", dict(GOOD, temperature=-0.1)), ("temperature", dict(GOOD, temperature=[])),
    ("top_p", dict(GOOD, top_p=1.01)), ("top_p", dict(GOOD, top_p="1")),
    ("presence_penalty", dict(GOOD, presence_penalty=3)), ("frequency_penalty", dict(GOOD, frequency_penalty=-3)),
    ("frequency_penalty", dict(GOOD, frequency_penalty="x")),
    ("n", dict(GOOD, n=0)), ("n", dict(GOOD, n=129)), ("n", dict(GOOD, n="1")), ("n", dict(GOOD, n=1.5)),
    ("seed", dict(GOOD, seed="1")), ("seed", dict(GOOD, seed=1.5)),
    ("top_logprobs", dict(GOOD, top_logprobs=21)), ("logprobs", dict(GOOD, logprobs=5)),
    ("parallel_tool_calls", dict(GOOD, parallel_tool_calls="no")), ("store", dict(GOOD, store=0)),
    ("stop", dict(GOOD, stop=5)), ("stop", dict(GOOD, stop=["a", 5])), ("stop", dict(GOOD, stop={})),
    ("stop", dict(GOOD, stop=["a"] * 17)),
    ("response_format", dict(GOOD, response_format="json")), ("response_format", dict(GOOD, response_format={})),
    ("response_format.type", dict(GOOD, response_format={"type": "xml"})),
    ("response_format.json_schema", dict(GOOD, response_format={"type": "json_schema"})),
    ("response_format.json_schema", dict(GOOD, response_format={"type": "json_schema", "json_schema": {"schema": {}}})),
    ("tools", dict(GOOD, tools={})), ("tools", dict(GOOD, tools=[FUNCTION] * 129)), ("tools[0]", dict(GOOD, tools=["f"])),
    ("tools[0].type", with_tool({"function": {"name": "f"}})), ("tools[0].function", with_tool({"type": "function"})),
    ("tools[0].function.name", with_tool({"type": "function", "function": {}})),
    ("tools[0].function.name", with_tool({"type": "function", "function": {"name": ""}})),
    ("tools[0].function.parameters", with_tool({"type": "function", "function": {"name": "f", "parameters": []}})),
    ("tools[0].custom", with_tool({"type": "custom"})),
    ("tool_choice", dict(GOOD, tool_choice="must")), ("tool_choice", dict(GOOD, tool_choice=1)),
    ("logit_bias", dict(GOOD, logit_bias=[])), ("logit_bias", dict(GOOD, logit_bias={"1": 101})),
    ("logit_bias", dict(GOOD, logit_bias={"1": "a"})),
    ("service_tier", dict(GOOD, service_tier=5)), ("user", dict(GOOD, user=5)),
    ("reasoning_effort", dict(GOOD, reasoning_effort=3)), ("metadata", dict(GOOD, metadata="x")),
]

# Texts that are no JSON document of ours, and a word that the message must have.
NOT_JSON = [
    ("empty", b""), ("blanks alone", b" \n "), ("cut", b'{"model":"auto","messages":['), ("a bare word", b"hello"),
    ("single quotes", b"{'model':'auto'}"), ("a comma too many", b'{"model":"auto",}'), ("two documents", b"{}{}"),
    ("a comment", b'{"model":"auto" /* x */}'), ("NaN", b'{"model":"auto","temperature":NaN}'),
    ("a leading zero", b'{"n":01}'), ("a plus", b'{"n":+1}'), ("hex", b'{"n":0x1}'), ("a NUL byte", b'{"model":"a\0b"}'),
    ("a byte order mark", b"\xef\xbb\xbf{}"), ("a raw newline in a string", b'{"model":"a\nb"}'),
    ("a lone surrogate half as bytes", b'{"model":"\xed\xa0\x80"}'), ("an overlong slash", b'{"model":"\xc0\xaf"}'),
    ("bad UTF-8 in a string", b'{"model":"caf\xe9"}'), ("bad UTF-8 in a key", b'{"caf\xff":1}'),
    ("UTF-8 cut by the quote", b'{"model":"\xe2\x82"}'), ("UTF-16", '{"model":"auto"}'.encode("utf-16")),
    ("beyond Unicode", b'{"model":"\xf4\x90\x80\x80"}'), ("a bad escape", b'{"model":"\\x41"}'),
    ("an escape cut short", b'{"model":"\\u12"}'), ("a key twice", b'{"model":"auto","model":"auto","messages":[]}'),
    ("a key twice, once escaped", b'{"max_tokens":1,"max_\\u0074okens":9,"model":"auto"}'),
    ("a key twice in a message", b'{"model":"auto","messages":[{"role":"user","content":"a","content":"b"}]}'),
    ("a key twice in an unknown field", b'{"model":"auto","x":{"y":[{"a":1,"a":2}]},"messages":[]}'),
    ("65 levels of lists", b"[" * 65 + b"]" * 65), ("65 levels of objects", b'{"a":' * 65 + b"1" + b"}" * 65),
    ("a million levels", b"[" * 1000000), ("a key of 1,025 bytes", b'{"' + b"k" * 1025 + b'":1}'),
    ("a number of 65 digits", b'{"n":' + b"1" * 65 + b"}"), ("100,001 values", b"[" + b"1," * 100001 + b"1]"),
]


class BadBodies(Shared):
    def refused(self, r, status, param=None, kind="invalid_request_error", row=True):
        self.assertEqual(r.status, status, r.body)
        self.assertEqual(set(r.json), {"error"})
        self.assertEqual(set(r.error), {"message", "type", "param", "code"})
        self.assertEqual(r.error["type"], kind)
        self.assertTrue(r.error["message"])
        self.assertEqual(r.error["param"], param)
        self.assertEqual(r.headers["content-type"], "application/json")
        self.assertEqual(len(r.headers["x-tollgate-request-id"]), len(r.headers["x-request-id"]))
        if row:
            self.assertEqual(self.row_of(r), (status, 0))

    def tearDown(self):
        self.assertEqual(self.h.mock.stats()["requests"], 0, "an upstream was called")
        self.assertEqual(self.h.sql("select count(*) from reservations"), [(0,)])
        self.assertEqual(self.h.request("GET", "/healthz", key=False).status, 200)

    def test_each_known_field_of_a_wrong_type_or_range_is_a_400_that_names_it(self):
        c = self.h.connect()
        for param, body in WRONG:
            with self.subTest(param=param, body=json.dumps(body)[:120]):
                r = self.h.post(body, connection=c)
                self.refused(r, 400, param, row=False)
                self.assertIn("'%s'" % param, r.error["message"])
        c.close()

    def test_a_missing_field_is_named_with_openais_code(self):
        for param, body in (("model", {"messages": GOOD["messages"]}), ("messages", {"model": "auto"}), ("model", {})):
            r = self.h.post(body)
            self.refused(r, 400, param)
            self.assertEqual(r.error["code"], "missing_required_parameter")
            self.assertEqual(r.error["message"], "Missing required parameter: '%s'." % param)

    def test_what_is_no_json_is_a_400_that_says_where(self):
        c = self.h.connect()
        for name, body in NOT_JSON:
            with self.subTest(name):
                r = self.h.post(body, connection=c)
                self.refused(r, 400, row=False)
                self.assertEqual(r.error["code"], "invalid_json")
                self.assertIn("at byte ", r.error["message"])
                if r.headers.get("connection") == "close":
                    c.close()
                    c = self.h.connect()
        c.close()

    def test_json_of_another_type_is_a_400(self):
        for body in (b"[]", b'"auto"', b"5", b"null", b"true"):
            self.refused(self.h.post(body), 400)

    def test_an_unknown_model_is_a_404_that_names_it_and_what_can_be_asked(self):
        for model in ("gpt-9", "mock/none", "nowhere/cheap", "' or 1=1 --", "caf\u00e9", "a\nb"):
            r = self.h.post(dict(GOOD, model=model))
            self.refused(r, 404, "model")
            self.assertEqual(r.error["code"], "model_not_found")

    def test_a_model_with_a_nul_is_a_400_and_not_the_name_before_it(self):
        for model in ("mock/cheap\u0000", "default\u0000x", "\u0000"):
            self.refused(self.h.post(dict(GOOD, model=model)), 400, "model")
        a = self.h.request("POST", "/v1beta/models/auto%00:generateContent", json.dumps({"contents": [{"parts": [{"text": "x"}]}]}))
        self.assertEqual((400, "INVALID_ARGUMENT"), (a.status, a.error["status"]))

    def test_an_unknown_route_is_a_400_that_names_the_header(self):
        for route in ("nowhere", "DEFAULT", "default ; drop"):
            r = self.h.chat(headers={"x-tollgate-route": route})
            self.refused(r, 400, "x-tollgate-route")
            self.assertEqual(r.error["code"], "unknown_route")

    def test_a_bad_tollgate_header_is_a_400_that_names_it(self):
        bad = [("x-tollgate-max-cost-usd", v) for v in ("", "-1", "1e3", "0,5", "0.0000000001", "a lot", "NaN", "0x1",
                                                        "99999999999999999999")]
        bad += [("x-tollgate-deadline-ms", v) for v in ("", "0", "-5", "1.5", "soon", "86400001", "99999999999999999999999")]
        bad += [("x-tollgate-tag", v) for v in ("", "novalue", "=x", "k=" + "v" * 129, "k" * 129 + "=v", "k=caf\xe9")]
        bad += [("x-tollgate-session", v) for v in ("s" * 257, "caf\xe9")]
        for name, value in bad:
            with self.subTest(name=name, value=value):
                self.refused(self.h.chat(headers={name: value}), 400, name)

    def test_a_seventeenth_tag_is_refused_rather_than_dropped(self):
        s = self.h.raw()
        body = json.dumps(GOOD).encode()
        tags = "".join("x-tollgate-tag: k%d=v\r\n" % i for i in range(40))
        s.sendall(("POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer %s\r\n%scontent-length: %d\r\n\r\n"
                   % (self.h.key, tags, len(body))).encode() + body)
        self.assertIn(b"HTTP/1.1 400 ", s.recv(65536))
        s.close()

    def test_a_compressed_body_is_a_415(self):
        for coding in ("gzip", "br", "zstd", "deflate", "identity, gzip", "x"):
            r = self.h.post(GOOD, {"content-encoding": coding})
            self.refused(r, 415)

    def test_an_unknown_path_is_a_404_that_says_which_base_url_to_use(self):
        for path in ("/v2/chat/completions", "/v1/chat", "/nothing", "/v1/chat/completions/x", "/chat/completions.json",
                     "/admin", "/metrics", "/../etc/passwd", "/%2e%2e/x", "/v1//chat/completions"):
            with self.subTest(path):
                r = self.h.post(GOOD, path=path)
                self.refused(r, 404, row=False)
                self.assertRegex(r.error["message"], "/v1|does not exist")

    def test_what_comes_later_is_a_404_that_says_so(self):
        for path in ("/v1/files", "/v1/batches"):
            self.assertEqual(self.h.post(GOOD, path=path).status, 404)

    def test_another_method_is_a_405_that_names_the_right_one(self):
        for method, path, right in (("GET", "/v1/chat/completions", "POST"), ("PUT", "/v1/chat/completions", "POST"),
                                    ("DELETE", "/v1/chat/completions", "POST"), ("POST", "/v1/models", "GET"),
                                    ("POST", "/healthz", "GET"), ("DELETE", "/v1/models/cheap", "GET"),
                                    ("OPTIONS", "/v1/chat/completions", "POST"), ("BREW", "/v1/chat/completions", "POST")):
            with self.subTest(method=method, path=path):
                r = self.h.request(method, path)
                self.assertEqual(r.status, 405)
                self.assertEqual(r.headers["allow"], right)
                self.assertEqual(r.error["type"], "invalid_request_error")

    def test_an_expectation_that_is_not_100_continue_is_a_417(self):
        for value in ("200-ok", "100-continue, x", "x"):
            r = self.h.post(GOOD, {"expect": value})
            self.assertEqual(r.status, 417)
            self.assertEqual(r.error["type"], "invalid_request_error")


class BadKeys(Shared):
    def tearDown(self):
        self.assertEqual(self.h.mock.stats()["requests"], 0)
        self.assertEqual(self.h.sql("select count(*) from reservations"), [(0,)])

    def unauthorized(self, r, words):
        self.assertEqual(r.status, 401)
        self.assertEqual((r.error["type"], r.error["code"], r.error["param"]), ("invalid_request_error", "invalid_api_key", None))
        self.assertIn(words, r.error["message"])
        self.assertTrue(r.headers["www-authenticate"].startswith("Bearer"))
        self.assertNotIn("x-tollgate-route", r.headers)

    def test_no_key_is_a_401_that_says_how_to_send_one(self):
        self.unauthorized(self.h.chat(key=False), "didn't provide an API key")
        self.unauthorized(self.h.request("GET", "/v1/models", key=False), "didn't provide")

    def test_a_malformed_key_is_told_apart_from_an_unknown_one(self):
        good = self.h.key
        other = "a" if good[10] != "a" else "b"
        for bad in ("sk-1234", good[:-1], good + "x", good.upper(), good[:10] + other + good[11:], "tg_", "tg_" + "0" * 49,
                    "tg_" + "!" * 49, "x" * 5000, "caf\xe9", "' or ''='"):
            with self.subTest(bad[:60]):
                self.unauthorized(self.h.chat(key=bad), "a key of this gateway is tg_")
        for scheme in ("Basic " + good, good, "Bearer", "Bearer ", "bearer\t" + good, "Token " + good):
            with self.subTest(scheme):
                self.assertEqual(self.h.chat(key=False, headers={"authorization": scheme}).status, 401)

    def test_a_key_of_another_house_is_unknown(self):
        with House(mock=False, start=False) as other:    # its own key, never served here
            self.unauthorized(self.h.chat(key=other.key), "Incorrect API key provided")

    def test_a_revoked_key_is_refused_within_a_second_and_told_so(self):
        made = json.loads(self.h.run("keys", "create", "--team", "t", "--name", "n", "--format", "json")[1])
        self.wait_status(made["key"], 404)
        self.h.run("keys", "revoke", "--id", made["id"])
        self.wait_status(made["key"], 401)
        self.unauthorized(self.h.chat(key=made["key"]), "revoked")

    def wait_status(self, key, status):
        wait_for(lambda: self.h.chat(key=key, model="none").status == status, 1, "status %d" % status)

    def test_a_request_without_a_valid_key_leaves_no_row(self):
        for key in (False, "tg_x", "sk-1"):
            self.assertEqual(self.h.chat(key=key).status, 401)
        self.assertEqual(self.h.chat(model="behind them").status, 404)    # a row that is written behind theirs
        wait_for(lambda: self.h.sql("select 1 from requests where model_asked = 'behind them'"), 5, "its row")
        self.assertEqual(self.h.sql("select count(*) from requests where key_id = ''"), [(0,)])

    def test_a_key_is_taken_from_the_headers_of_other_sdks_too(self):
        for name in ("x-api-key", "api-key"):
            self.assertEqual(self.h.chat(model="none", key=False, headers={name: self.h.key}).status, 404)

    def test_two_different_keys_are_a_401_also_in_two_headers_of_one_name(self):
        other = json.loads(self.h.run("keys", "create", "--team", "other", "--name", "two", "--format", "json")[1])["key"]
        for name, before in (("authorization", "Bearer "), ("x-api-key", "")):
            for second, status in ((other, b" 401 "), (self.h.key, b" 200 ")):
                s = self.h.raw()
                s.sendall(("GET /v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\n%s: %s%s\r\n%s: %s%s\r\n\r\n" % (
                    name, before, self.h.key, name, before, second)).encode())
                head = s.recv(4096)
                s.close()
                self.assertIn(status, head.split(b"\r\n")[0], name)

    def test_keys_in_the_address_are_read_like_those_in_headers(self):
        other = json.loads(self.h.run("keys", "create", "--team", "address", "--name", "two", "--format", "json")[1])["key"]
        encoded = "".join("%%%02x" % ord(c) for c in self.h.key)
        for query, headers, status in (("key=" + self.h.key, {}, 200), ("key=" + encoded, {}, 200),
                                       ("key=%s&pageSize=9&key=%s" % (encoded, self.h.key), {}, 200),
                                       ("key=%s&key=%s" % (self.h.key, other), {}, 401),
                                       ("key=" + other, {"x-goog-api-key": self.h.key}, 401),
                                       ("key=" + encoded, {"x-goog-api-key": self.h.key}, 200)):
            a = self.h.request("GET", "/v1beta/models?" + query, headers=headers, key=False)
            self.assertEqual(status, a.status, query)

    def test_health_probes_need_no_key_and_models_do(self):
        for path in ("/healthz", "/readyz", "/"):
            self.assertEqual(self.h.request("GET", path, key=False).status, 200)
        self.assertEqual(self.h.request("HEAD", "/", key=False).status, 200)
        self.assertEqual(self.h.request("GET", "/v1/models/cheap", key=False).status, 401)


class BigBodies(Shared):
    options = {"config": {"limits": {"body_bytes": 100000, "header_bytes": 8192}}}

    def too_large(self, r):
        self.assertEqual(r.status, 413, r.body)
        self.assertEqual((r.error["type"], r.error["code"]), ("invalid_request_error", "request_too_large"))
        self.assertIn("100000", r.error["message"])

    def tearDown(self):
        self.assert_settled()

    def test_a_body_declared_too_large_is_refused_before_it_is_sent(self):
        s = self.h.raw()
        s.sendall(("POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer %s\r\ncontent-length: 100001\r\n\r\n"
                   % self.h.key).encode())
        self.assertIn(b"HTTP/1.1 413 ", s.recv(65536))
        s.close()
        self.too_large(self.h.chat("x" * 200000))

    def test_a_chunked_body_is_cut_off_where_it_becomes_too_large(self):
        s = self.h.raw()
        s.sendall(("POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer %s\r\n"
                   "transfer-encoding: chunked\r\n\r\n" % self.h.key).encode() + b'18\r\n{"model":"auto","user":"\r\n')
        got = b""
        try:
            for _ in range(1000):
                s.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        except OSError:
            pass
        try:
            while True:
                piece = s.recv(65536)
                if not piece:
                    break
                got += piece
        except OSError:
            pass
        s.close()
        self.assertIn(b"HTTP/1.1 413 ", got)
        self.assertIn(b"request_too_large", got)
        self.assertIn(b"connection: close", got)

    def test_a_body_of_just_the_limit_passes(self):
        body = json.dumps(GOOD).encode()
        self.assertEqual(self.h.post(body + b" " * (100000 - len(body))).status, 200)
        self.too_large(self.h.post(body + b" " * (100001 - len(body))))

    def test_a_head_above_the_limit_is_a_431(self):
        r = self.h.chat(headers={"x-long": "y" * 9000})
        self.assertEqual(r.status, 431)
        self.assertEqual(r.error["type"], "invalid_request_error")

    def test_a_hundred_refused_bodies_in_a_row_leave_nothing_in_flight(self):
        for _ in range(100):
            self.h.post(b'{"model":"auto","x":[' + b"[]," * 20000)
        wait_for(lambda: self.h.metrics()["tollgate_bytes_in_flight"] == 0, 5, "the bodies to be freed")


class BytesInFlight(Shared):
    options = {"config": {"limits": {"bytes_in_flight": 300000}}}

    def test_more_bytes_than_may_be_in_flight_are_a_503_with_retry_after(self):
        r = self.h.chat("x" * 400000)
        self.assertEqual((r.status, r.error["type"], r.error["code"]), (503, "server_error", "overloaded"))
        self.assertEqual(r.headers["retry-after"], "1")
        self.assertNotIn("x-should-retry", r.headers)
        self.assertEqual(self.h.chat("x" * 100000).status, 200)


if __name__ == "__main__":
    unittest.main()
