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
        prices.update(priced(*m) if isinstance(m, tuple) else priced(m))
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


class Servers(unittest.TestCase):
    def test_a_server_is_named_by_the_config_and_its_models_have_the_traits_told_there(self):
        quirks = {"server": "vllm", "max_tokens_field": "max_completion_tokens"}
        with Host((200, {}, completion())) as host, house(host, base="", quirks=quirks) as h:
            self.assertEqual(h.chat(max_tokens=5).status, 200)
            self.assertEqual(host.last[0], "/v1/chat/completions")


if __name__ == "__main__":
    unittest.main()
