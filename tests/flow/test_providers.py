"""Providers of each dialect as their hosts see them: address, key, headers, body; and what becomes of their failures."""
import http.server
import json
import threading
import unittest

from house import CHECKS, House, wait_for


class Host:
    """A provider's host on loopback. `answers` are taken in turn, the last one stays: (status, headers, body)."""

    def __init__(self, *answers):
        host = self
        self.calls, self.answers = [], list(answers)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                host.calls.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, headers, data = host.answers.pop(0) if len(host.answers) > 1 else host.answers[0]
                data = data if isinstance(data, bytes) else json.dumps(data).encode()
                self.send_response(status)
                for name, value in dict({"content-type": "application/json"}, **headers).items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = "http://127.0.0.1:%d" % self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def last(self):
        return self.calls[-1]


def completion(text="Hello"):
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}


def priced(name, **more):
    return {name: dict({"context": 100000, "max_output": 4096, "versions": [
        {"from": "2020-01-01T00:00:00Z", "source": "made for a test", "input": "1", "output": "2"}]}, **more)}


def house(host, dialect="openai", models=("p/m",), keys=("KEY_A",), base="/v1", quirks=None, more=None, attempts=1, **options):
    """A gateway whose one route asks `models` in turn; "p" is `host`."""
    providers = {"p": {"dialect": dialect, "base_url": host.base + base, "keys": [{"env": k} for k in keys]}}
    if quirks:
        providers["p"]["quirks"] = quirks
    providers.update(more or {})
    prices = {}
    for m in models:
        prices.update(priced(m[0], **m[1]) if isinstance(m, tuple) else priced(m))
    names = [m[0] if isinstance(m, tuple) else m for m in models]
    route = {"name": "default", "steps": [{"model": n, "attempts": attempts, "checks": CHECKS} for n in names]}
    return House(mock=False, config={"providers": providers}, env={k: "sk-" + k.lower() for k in ("KEY_A", "KEY_B")},
                 book={"book": "test", "read_on": "2026-11-20", "models": prices},
                 policy={"name": "t", "routes": [route], "limits": {"time_ms": 20000, "attempts": 5}}, **options)


def verdicts(h, answer):
    of = answer.headers["x-tollgate-request-id"]
    wait_for(lambda: h.sql("select 1 from requests where id = ? and status > 0", of), 10, "the row")
    return [v[0] for v in h.sql("select verdict from attempts where request_id = ? order by n", of)]


class Limits(unittest.TestCase):
    def test_a_providers_rate_limit_headers_stay_here(self):
        headers = {"x-ratelimit-remaining-requests": "7", "x-ratelimit-reset-requests": "1s", "openai-organization": "org-1",
                   "anthropic-ratelimit-tokens-remaining": "9", "x-request-id": "theirs", "set-cookie": "a=b"}
        with Host((200, headers, completion())) as host, house(host) as h:
            a = h.chat()
            self.assertEqual(a.status, 200)
            for name in headers:
                self.assertNotEqual(a.headers.get(name), headers[name], name)

    def test_a_429_without_retry_after_tells_the_caller_when_the_limit_is_full_again(self):
        headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30.5s",
                   "x-ratelimit-remaining-tokens": "1000", "x-ratelimit-reset-tokens": "6ms"}
        error = {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}
        with Host((429, headers, error)) as host, house(host) as h:
            a = h.chat()
            self.assertEqual((a.status, a.headers["retry-after"]), (429, "91"))
            self.assertEqual(h.chat().status, 429)    # inside the wait a sole step is not asked again
            self.assertEqual(len(host.calls), 1)


class Spent(unittest.TestCase):
    """An account without credit does not cost each request a trip (BerriAI/litellm#37592), nor half an hour of waiting
    (NousResearch/hermes-agent#91091)."""
    ERRORS = [(400, {}, {"type": "error", "error": {"type": "invalid_request_error",
                                                    "message": "Your credit balance is too low to access the API."}}),
              (429, {}, {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota",
                                   "code": "insufficient_quota"}}),
              (402, {}, {"error": {"message": "Insufficient Balance"}}),
              (403, {}, {"code": "no permission", "error": "Your newly created team doesn't have any credits yet."})]

    def test_the_next_request_goes_to_who_can_pay(self):
        for error in self.ERRORS:
            with self.subTest(error[0]), Host(error) as poor, Host((200, {}, completion())) as rich:
                more = {"q": {"dialect": "openai", "base_url": rich.base + "/v1", "keys": [{"env": "KEY_B"}]}}
                with house(poor, models=("p/m", "q/m"), more=more) as h:
                    for n in range(4):
                        a = h.chat()
                        self.assertEqual((a.status, a.headers["x-tollgate-provider"]), (200, "q"))
                        self.assertEqual(verdicts(h, a), ["failed:quota", "accepted"] if n == 0 else ["accepted"])
                    self.assertEqual((len(poor.calls), len(rich.calls)), (1, 4))

    def test_a_second_key_is_tried_before_another_provider(self):
        with Host(self.ERRORS[0], (200, {}, completion())) as host, house(host, keys=("KEY_A", "KEY_B")) as h:
            for _ in range(3):
                self.assertEqual(h.chat().status, 200)
            self.assertEqual([c[1]["authorization"] for c in host.calls],
                             ["Bearer sk-key_a"] + ["Bearer sk-key_b"] * 3)


def gemini_answer(text="Hello", **more):
    return dict({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}],
                 "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
                 "modelVersion": "m", "responseId": "r1"}, **more)


def message(text="Hello", **more):
    return dict({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": text}],
                 "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 5}}, **more)


def sse(*events, names=False):
    return "".join("%sdata: %s\n\n" % ("event: %s\n" % e["type"] if names else "", json.dumps(e)) for e in events).encode()


STREAM = {"content-type": "text/event-stream"}


class Gemini(unittest.TestCase):
    def google(self, *answers, model="gemini-3.1-pro-preview", **more):
        host = Host(*answers)
        self.addCleanup(host.__exit__)
        return host, house(host, "gemini", models=[("p/m", {"upstream_id": model})], base="/v1beta", **more)

    def test_the_model_is_in_the_path_and_the_key_in_its_header(self):
        host, h = self.google((200, {}, gemini_answer()))
        with h:
            a = h.chat()
            self.assertEqual((a.status, a.text), (200, "Hello"))
            path, headers, body = host.last
            self.assertEqual(path, "/v1beta/models/gemini-3.1-pro-preview:generateContent")
            self.assertEqual(headers["x-goog-api-key"], "sk-key_a")
            self.assertNotIn("authorization", headers)
            self.assertEqual(json.loads(body)["contents"][0]["parts"][0]["text"], "Hi")
            self.assertEqual(a.headers["x-tollgate-cost-usd"], "0.00002")    # 10 x 1 + 5 x 2 USD per million

    def test_a_stream_asks_for_sse(self):
        host, h = self.google((200, STREAM, sse(gemini_answer("Hel"), gemini_answer("lo"))))
        with h:
            a = h.chat(stream=True)
            self.assertEqual((a.status, a.text), (200, "Hello"))
            self.assertEqual(host.last[0], "/v1beta/models/gemini-3.1-pro-preview:streamGenerateContent?alt=sse")

    def test_a_model_named_by_a_caller_cannot_leave_its_segment_of_the_path(self):
        host, h = self.google((200, {}, gemini_answer()), model="../../v1/files?x=y#z")
        with h:
            self.assertEqual(h.chat(model="p/m").status, 200)
            self.assertEqual(host.last[0], "/v1beta/models/..%2f..%2fv1%2ffiles%3fx%3dy%23z:generateContent")
            for name in ("m:countTokens", "m%3Ax", "../m", "m?key=1"):
                self.assertEqual(h.chat(model="p/" + name).status, 404)
            self.assertEqual(len(host.calls), 1)

    def test_a_wrong_key_and_a_days_quota_go_elsewhere_and_a_minutes_limit_waits(self):
        def error(code, status, *details):
            words = {400: "Bad request.", 429: "You exceeded your current quota, please check your plan.", 503: "Overloaded."}
            return (code, {}, {"error": {"code": code, "status": status, "message": words[code], "details": list(details)}})
        quota = {"@type": "type.googleapis.com/google.rpc.QuotaFailure"}
        rows = [(error(400, "INVALID_ARGUMENT", {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}),
                 "failed:credential"),
                (error(429, "RESOURCE_EXHAUSTED", dict(quota, violations=[{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}])),
                 "failed:quota"),
                (error(429, "RESOURCE_EXHAUSTED", dict(quota, violations=[{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}]),
                       {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37.5s"}), "failed:rate_limited"),
                (error(400, "FAILED_PRECONDITION"), "failed:credential"),
                (error(503, "UNAVAILABLE"), "failed:overloaded")]
        for answer, verdict in rows:
            with self.subTest(verdict):
                host, h = self.google(answer)
                with h:
                    a = h.chat()
                    self.assertEqual(verdicts(h, a)[-1], verdict)
                    self.assertEqual(a.status, {"failed:rate_limited": 429, "failed:overloaded": 503}.get(verdict, 502))
                    if verdict == "failed:rate_limited":
                        self.assertEqual(a.headers["retry-after"], "38")


class Anthropic(unittest.TestCase):
    def claude(self, *answers, **more):
        host = Host(*answers)
        self.addCleanup(host.__exit__)
        return host, house(host, "anthropic", models=[("p/m", {"upstream_id": "claude-opus-4-7"})], base="", **more)

    def test_a_translated_request_has_key_version_and_a_cap(self):
        host, h = self.claude((200, {}, message()))
        with h:
            a = h.chat()
            self.assertEqual((a.status, a.text), (200, "Hello"))
            path, headers, body = host.last
            self.assertEqual((path, headers["x-api-key"], headers["anthropic-version"]), ("/v1/messages", "sk-key_a", "2023-06-01"))
            self.assertNotIn("authorization", headers)
            self.assertNotIn("anthropic-beta", headers)
            self.assertEqual(json.loads(body)["model"], "claude-opus-4-7")
            self.assertEqual(a.headers["x-tollgate-cost-usd"], "0.00002")

    def test_a_callers_version_and_betas_go_along_byte_for_byte(self):
        host, h = self.claude((200, {}, message()))
        with h:
            a = h.post({"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
                       {"anthropic-version": "2023-06-01", "anthropic-beta": "a-2025-01-01,some-New_beta.1"}, path="/v1/messages?beta=true")
            self.assertEqual(a.status, 200)
            self.assertEqual(host.last[1]["anthropic-beta"], "a-2025-01-01,some-New_beta.1")
            self.assertEqual(host.last[0], "/v1/messages")

    def test_betas_in_several_fields_go_along_as_one_list(self):
        host, h = self.claude((200, {}, message()))
        with h:
            body = json.dumps({"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]})
            c = h.connect()
            c.putrequest("POST", "/v1/messages")
            for name, value in (("x-api-key", h.key), ("anthropic-beta", "a-1,b"), ("Anthropic-Beta", "c-2"),
                                ("content-type", "application/json"), ("content-length", str(len(body)))):
                c.putheader(name, value)
            c.endheaders(body.encode())
            self.assertEqual(c.getresponse().status, 200)
            c.close()
            self.assertEqual(host.last[1]["anthropic-beta"], "a-1,b,c-2")

    def test_of_a_stream_that_broke_off_the_prompt_is_charged_as_it_was_reported(self):
        # 1,000 fresh x 1 + 9,000 read x 0.1 + 500 written x 1.25 USD per million, and 3 bytes "Hel" x 2 (maximhq/bifrost#904:
        # cached tokens counted as fresh; BerriAI/litellm#13245: what a cut stream had cost)
        usage = {"input_tokens": 1000, "cache_read_input_tokens": 9000, "cache_creation_input_tokens": 500, "output_tokens": 1}
        rates = {"from": "2020-01-01T00:00:00Z", "source": "made for a test", "input": "1", "output": "2", "cache_read": "0.1",
                 "cache_write_5m": "1.25"}
        events = sse({"type": "message_start", "message": message(content=[], stop_reason=None, usage=usage)},
                     {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                     {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}}, names=True)
        with Host((200, STREAM, events)) as host:
            with house(host, "anthropic", models=[("p/m", {"upstream_id": "claude-opus-4-7", "versions": [rates]})], base="") as h:
                a = h.chat(stream=True, reasoning_effort="none")    # else: what it thought unseen, by the time it had
                self.assertEqual(verdicts(h, a), ["failed:truncated"])
                self.assertEqual(h.sql("select input, cache_read, cache_write_5m, output, usage_source, cost_nano from attempts"),
                                 [(1000, 9000, 500, 3, "partial", 1000000 + 900000 + 625000 + 6000)])

    def test_spend_limits_are_no_rate_limit(self):
        limit = {"type": "error", "error": {"type": "rate_limit_error", "message": "limit",
                                            "details": {"error_code": "enforced_spend_limit_reached"}}}
        host, h = self.claude((429, {}, limit))
        with h:
            a = h.chat()
            self.assertEqual((a.status, verdicts(h, a)), (502, ["failed:quota"]))
            self.assertNotIn("retry-after", a.headers)

    def test_an_overload_in_a_stream_is_an_overload(self):
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        host, h = self.claude((200, STREAM, sse(error, names=True)))
        with h:
            a = h.chat(stream=True)
            self.assertEqual((a.status, verdicts(h, a)), (503, ["failed:overloaded"]))


class Responses(unittest.TestCase):
    def test_a_model_that_exists_there_alone_is_asked_there_by_callers_of_chat(self):
        answer = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-5.5-pro", "error": None,
                  "incomplete_details": None, "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                                                          "content": [{"type": "output_text", "text": "Hello", "annotations": []}]}],
                  "usage": {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 5,
                            "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 15}}
        with Host((200, {}, answer)) as host:
            with house(host, quirks={"server": "openai"}, models=[("p/m", {"upstream_id": "gpt-5.5-pro"})]) as h:
                a = h.chat(reasoning_effort="low", temperature=0.3)
                self.assertEqual((a.status, a.text, a.headers["x-tollgate-cost-usd"]), (200, "Hello", "0.00002"))
                path, headers, body = host.last
                self.assertEqual((path, headers["authorization"]), ("/v1/responses", "Bearer sk-key_a"))
                self.assertEqual(json.loads(body)["reasoning"]["effort"], "medium")    # the least that it knows
                self.assertNotIn("temperature", json.loads(body))
                self.assertIn("temperature", a.headers["x-tollgate-warning"])


class Ends(unittest.TestCase):
    def test_done_in_place_of_the_terminal_event_is_no_end(self):
        """Proxies put [DONE] behind whatever broke off (Portkey-AI/gateway#1797: half an answer as a clean 200)."""
        responses = {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": "Hel"}
        start = {"type": "message_start", "message": message(content=[], stop_reason=None)}
        half = gemini_answer("Hel")
        del half["candidates"][0]["finishReason"]
        for dialect, base, quirks, events in (
                ("openai", "/v1", {"server": "openai", "models": {"*": {"responses_only": True}}}, sse(responses, names=True)),
                ("anthropic", "", None, sse(start, names=True)), ("gemini", "/v1beta", None, sse(half))):
            with self.subTest(dialect), Host((200, STREAM, events + b"data: [DONE]\n\n")) as host:
                with house(host, dialect, base=base, quirks=quirks) as h:
                    a = h.chat(stream=True)
                    self.assertEqual((a.status, verdicts(h, a)), (502, ["failed:truncated"]))


class Servers(unittest.TestCase):
    def test_a_server_is_named_by_the_config_and_its_models_have_the_traits_told_there(self):
        quirks = {"server": "vllm", "max_tokens_field": "max_completion_tokens"}
        with Host((200, {}, completion())) as host, house(host, base="", quirks=quirks) as h:
            self.assertEqual(h.chat(max_tokens=5).status, 200)
            self.assertEqual(host.last[0], "/v1/chat/completions")


if __name__ == "__main__":
    unittest.main()
