#!/usr/bin/env python3
"""turns.py - how long a worker's loop is held while large bodies pass: the longest turn, and what small calls feel of it.

    turns.py [--seconds 3] [--megabytes 4] [--callers 2] [--rate 200] [--only WORDS] [--json FILE]

One worker. For each caller's dialect, each kind of body and each provider's dialect: a few callers send the body over and
over while small calls come at a fixed rate; printed are the longest turn by the clock and by the thread's own processor
time (turns.c, preloaded: exact), turns above 5 ms, and the small calls' latency. On a busy machine the clock counts what
others did meanwhile; the processor's time does not. Then the same for large answers. Not a unit test: it never fails on a
figure."""
import argparse
import base64
import http.client
import http.server
import json
import os
import socketserver
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../flow"))
from house import BUILD, House, policy  # noqa: E402

SETTLE_S = 0.4    # TLS handshakes take most of a millisecond each, and many come at once in the beginning
LOAD = os.path.join(BUILD, "tests/bench/load")
PROSE = "It was a bright cold day in April, and the clocks were striking thirteen. \u201cQuick,\u201d she said.\n\"Now!\" "


# ---- bodies ----

def text(n):
    return (PROSE * (n // len(PROSE) + 1))[:n]


def parameters(**properties):
    return {"type": "object", "properties": properties}


def deep(n):
    """A schema nested as deep as the pre-scan allows, over and over, n bytes in all."""
    one = {"type": "string"}
    for i in range(24):
        one = {"type": "object", "properties": {"p": one}}
    size = len(json.dumps(one))
    return parameters(**{"deep%d" % i: one for i in range(min(n // size, 1000))}, pad={"type": "string", "description": text(
        max(1, n - size * min(n // size, 1000)))})


class Chat:
    name, path = "chat", "/v1/chat/completions"
    image = staticmethod(lambda d: {"type": "image_url", "image_url": {"url": "data:image/png;base64," + d}})

    def body(self, parts, history=(), tools=(), stream=False):
        messages = []
        for kind, value in history:
            if kind == "call":
                messages.append({"role": "assistant", "content": None, "tool_calls": [
                    {"id": value[0], "type": "function", "function": {"name": "look", "arguments": json.dumps(value[1])}}]})
                messages.append({"role": "tool", "tool_call_id": value[0], "content": value[2]})
            else:
                messages.append({"role": kind, "content": value})
        content = [{"type": "text", "text": v} if k == "text" else self.image(v) for k, v in parts]
        b = {"messages": messages + [{"role": "user", "content": content}]}
        if tools:
            b["tools"] = [{"type": "function", "function": {"name": n, "parameters": p}} for n, p in tools]
        return b


class Responses(Chat):
    name, path = "responses", "/v1/responses"

    def body(self, parts, history=(), tools=()):
        items = []
        for kind, value in history:
            if kind == "call":
                items.append({"type": "function_call", "call_id": value[0], "name": "look", "arguments": json.dumps(value[1])})
                items.append({"type": "function_call_output", "call_id": value[0], "output": value[2]})
            else:
                items.append({"role": kind, "content": value})
        content = [{"type": "input_text", "text": v} if k == "text" else
                   {"type": "input_image", "image_url": "data:image/png;base64," + v} for k, v in parts]
        b = {"input": items + [{"role": "user", "content": content}]}
        if tools:
            b["tools"] = [{"type": "function", "name": n, "parameters": p, "strict": False} for n, p in tools]
        return b


class Anthropic(Chat):
    name, path = "anthropic", "/v1/messages"

    def body(self, parts, history=(), tools=()):
        messages = []
        for kind, value in history:
            if kind == "call":
                messages.append({"role": "assistant", "content": [{"type": "tool_use", "id": value[0], "name": "look", "input": value[1]}]})
                messages.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": value[0], "content": value[2]}]})
            else:
                messages.append({"role": kind, "content": value})
        content = [{"type": "text", "text": v} if k == "text" else
                   {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": v}} for k, v in parts]
        b = {"max_tokens": 64, "messages": messages + [{"role": "user", "content": content}]}
        if tools:
            b["tools"] = [{"name": n, "input_schema": p} for n, p in tools]
        return b


class Gemini(Chat):
    name, path = "gemini", "/v1beta/models/%s:generateContent"

    def body(self, parts, history=(), tools=()):
        contents = []
        for kind, value in history:
            if kind == "call":
                contents.append({"role": "model", "parts": [{"functionCall": {"name": "look", "args": value[1]}}]})
                contents.append({"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"output": value[2]}}}]})
            else:
                contents.append({"role": "model" if kind == "assistant" else "user", "parts": [{"text": value}]})
        content = [{"text": v} if k == "text" else {"inlineData": {"mimeType": "image/png", "data": v}} for k, v in parts]
        b = {"contents": contents + [{"role": "user", "parts": content}]}
        if tools:
            b["tools"] = [{"functionDeclarations": [{"name": n, "parametersJsonSchema": p} for n, p in tools]}]
        return b


CALLERS = [Chat(), Responses(), Anthropic(), Gemini()]


def kinds(n):
    """What a large body may be made of, about n bytes each, within 100,000 values and a depth of 64."""
    picture = base64.b64encode(bytes(range(256)) * (n * 3 // 4 // 16 // 256)).decode()
    turns = 19000
    short = text(max(1, n // turns - 40))
    calls = 5500
    result = text(max(1, n // calls - 250))
    enum = [str(10 ** 30 + i) + "x" * max(1, n // 99000 - 36) for i in range(99000)]
    return {
        "string": dict(parts=[("text", text(n))]),
        "turns": dict(parts=[("text", "and?")], history=[("user" if i % 2 == 0 else "assistant", short) for i in range(turns)]),
        "images": dict(parts=[("text", "what is this?")] + [("image", picture)] * 16),
        "values": dict(parts=[("text", "look")], tools=[("look", parameters(p={"type": "string", "enum": enum}))]),
        "deep": dict(parts=[("text", "look")], tools=[("look", deep(n))]),
        "calls": dict(parts=[("text", "and?")], tools=[("look", parameters(q={"type": "string"}))],
                      history=[("call", ("call_%08d" % i, {"q": "x"}, result)) for i in range(calls)]),
        "tools": dict(parts=[("text", "look")], tools=[("tool_%d" % i, parameters(q={"type": "string", "description": text(
            max(1, n // 120 - 200))})) for i in range(120)]),
    }


# ---- the other end ----

def chat_answer(m, what):
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": m, "choices": [
        {"index": 0, "message": dict({"role": "assistant", "content": None}, **({"content": what} if isinstance(what, str) else {
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": json.dumps(what)}}]})),
         "finish_reason": "stop" if isinstance(what, str) else "tool_calls"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}


def responses_answer(m, what):
    item = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [
        {"type": "output_text", "text": what, "annotations": []}]} if isinstance(what, str) else {
        "type": "function_call", "id": "f1", "call_id": "call_1", "name": "look", "arguments": json.dumps(what), "status": "completed"}
    return {"id": "r1", "object": "response", "created_at": 1, "status": "completed", "model": m, "output": [item], "error": None,
            "incomplete_details": None, "usage": {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 5,
                                                  "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15}}


def anthropic_answer(m, what):
    block = {"type": "text", "text": what} if isinstance(what, str) else {"type": "tool_use", "id": "call_1", "name": "look", "input": what}
    return {"id": "a1", "type": "message", "role": "assistant", "model": m, "content": [block],
            "stop_reason": "end_turn" if isinstance(what, str) else "tool_use", "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 5}}


def gemini_answer(m, what):
    part = {"text": what} if isinstance(what, str) else {"functionCall": {"name": "look", "args": what}}
    return {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}], "modelVersion": m,
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}}


class Upstream(socketserver.ThreadingTCPServer):
    """Answers in the dialect of the path with what its `answers` hold under the model's name."""
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Upstream.Handler)
        self.answers, self.made = {"small": "Hello."}, {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """The gateway has cut a connection: its affair."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            super().setup()
            self.connection.setsockopt(6, 1, 1)

        def log_message(self, *a):
            pass

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            write = (chat_answer if "/chat/completions" in self.path else responses_answer if "/responses" in self.path else
                     anthropic_answer if "/messages" in self.path else gemini_answer)
            ask = self.path.encode() if write is gemini_answer else body
            name = next((n for n in self.server.answers if b"answer-" + n.encode() in ask), "small")
            if (write, name) not in self.server.made:
                self.server.made[write, name] = json.dumps(write("answer-" + name, self.server.answers[name])).encode()
            data = self.server.made[write, name]
            try:
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:    # the gateway has stopped
                self.close_connection = True


# ---- measuring ----

class Turns:
    """What turns.c finds."""

    def __init__(self, path):
        self.path = path

    def reset(self):
        with open(self.path, "r+b") as f:
            f.write(bytes(32))

    def read(self):
        with open(self.path, "rb") as f:
            wall, cpu, turns, over = struct.unpack("4q", f.read(32))
        return wall / 1e6, cpu / 1e6, turns, over


def call_on(h, path, data, until, out):
    headers = {"content-type": "application/json", "authorization": "Bearer " + h.key, "anthropic-version": "2023-06-01"}
    c = h.connect()
    while time.monotonic() < until:
        try:
            c.request("POST", path, data, headers)
            r = c.getresponse()
            answer = r.read()
            out.append((r.status, answer[:300]))
        except (OSError, http.client.HTTPException) as e:    # refused before the body was out
            out.append((0, str(e).encode()))
            c.close()
    c.close()


def measure(h, turns, o, path, data):
    """(longest ms by the clock, by the processor, turns above 5 ms, large calls, small p50 and p99 ms, a refusal if there is one)"""
    out, threads = [], []
    call_on(h, path, data, time.monotonic() + 0.01, out)    # not counted: memory that is touched for the first time
    until = time.monotonic() + SETTLE_S + o.seconds
    for _ in range(o.callers):
        threads.append(threading.Thread(target=call_on, args=(h, path, data, until, out)))
        threads[-1].start()
    p = subprocess.Popen([LOAD, "--url", "https://127.0.0.1:%d/v1/chat/completions" % h.port, "--ca", h.path("ca.pem"), "--bearer", h.key,
                          "--body", h.path("small.json"), "--connections", "16", "--seconds", str(SETTLE_S + o.seconds), "--rate", str(o.rate)],
                         stdout=subprocess.PIPE, text=True)
    time.sleep(SETTLE_S)
    turns.reset()
    for t in threads:
        t.join()
    small = json.loads(p.communicate()[0])
    wall, cpu, n, over = turns.read()
    bad = [x for x in out if x[0] != 200]
    return {"wall_ms": wall, "cpu_ms": cpu, "over": over, "calls": len(out), "p50_ms": small["p50_us"] / 1e3,
            "p99_ms": small["p99_us"] / 1e3, "small_errors": small["errors"], "bad": (bad[0][0], bad[0][1].decode()) if bad else None}


def show(what, m):
    print("  %-44s %8.1f %8.1f %6d %7d %8.2f %8.2f %s" % (
        what, m["wall_ms"], m["cpu_ms"], m["over"], m["calls"], m["p50_ms"], m["p99_ms"],
        "%d %s" % (m["bad"][0], m["bad"][1][:140]) if m["bad"] else ""), flush=True)


def prices(names):
    models = {}
    for provider in PROVIDERS:
        for n in names:
            models["%s/answer-%s" % (provider, n)] = {
                "context": 1000000000, "max_output": 1 << 20, "modalities": ["text", "image"], "versions": [
                    {"from": "2020-01-01T00:00:00Z", "source": "made for a bench", "input": "0", "output": "0"}]}
    return {"book": "bench", "read_on": time.strftime("%Y-%m-%d"), "models": models}


PROVIDERS = ["chat", "responses", "anthropic", "gemini"]


def providers(port):
    url = "http://127.0.0.1:%d" % port
    return {"chat": {"dialect": "openai", "base_url": url + "/v1", "quirks": {"responses": False}},
            "responses": {"dialect": "openai", "base_url": url + "/v1", "quirks": {
                "responses": True, "models": {"answer-*": {"responses_only": True}}}},
            "anthropic": {"dialect": "anthropic", "base_url": url}, "gemini": {"dialect": "gemini", "base_url": url + "/v1beta"}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--megabytes", type=float, default=4)
    parser.add_argument("--callers", type=int, default=2)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--json")
    o = parser.parse_args()
    n, report = int(o.megabytes * 1e6), {}
    upstream = Upstream()
    checks = ["complete", "not_empty", "not_refused", "valid_json", "valid_tool_calls"]
    answers = {"text": text(n), "json": json.dumps({"rows": list(range(90000)), "text": text(max(1, n - 600000))}),
               "call": {"rows": list(range(90000)), "q": text(max(1, n - 600000))}}
    steps = {"name": "bench", "limits": {"time_ms": 60000}, "routes": [
        {"name": "%s-%s" % (p, a), "when": {"model": "%s-%s" % (p, a)}, "steps": [{"model": "%s/answer-%s" % (p, a), "checks": checks}]}
        for p in PROVIDERS for a in answers] + [{"name": "default", "steps": [{"model": "chat/answer-small", "checks": checks}]}]}
    upstream.answers.update(answers)
    h = House(mock=False, start=False, book=prices(upstream.answers), policy=policy(**steps),
              config={"providers": providers(upstream.server_address[1])})
    h.env.update(LD_PRELOAD=os.path.join(BUILD, "tests/bench/turns.so"), TURNS_FILE=h.path("turns"))
    h.start()
    turns = Turns(h.path("turns"))
    h.write("small.json", {"model": "chat/answer-small", "messages": [{"role": "user", "content": "Hi"}]})
    print("%d callers of %.0f MB, %d small calls a second, %gs each. Longest turn in ms by clock and by processor" % (
        o.callers, o.megabytes, o.rate, o.seconds))
    print("  %-44s %8s %8s %6s %7s %8s %8s" % ("", "clock", "CPU", ">5ms", "calls", "p50 ms", "p99 ms"))

    def row(name, path, body):
        if o.only in name:
            report[name] = measure(h, turns, o, path, json.dumps(body, ensure_ascii=False).encode())
            show(name, report[name])
    try:
        row("none: small calls alone", Chat.path, {"model": "chat/answer-small", "messages": [{"role": "user", "content": "Hi"}]})
        for caller in CALLERS:
            for kind, made in kinds(n).items():
                for p in PROVIDERS:
                    model = p + "/answer-small"
                    body = dict(caller.body(**made), **({} if caller.name == "gemini" else {"model": model}))
                    row("%s %s to %s" % (kind, caller.name, p), caller.path.replace("%s", model.replace("/", "%2F")), body)
        for caller in CALLERS:
            for kind in answers:
                for p in PROVIDERS:
                    model = "%s-%s" % (p, kind)    # its route: with checks
                    made = {"parts": [("text", "go")], "tools": [("look", parameters(q={"type": "string"}))] if kind == "call" else ()}
                    body = dict(caller.body(**made), **({} if caller.name == "gemini" else {"model": model}))
                    row("answer %s %s from %s" % (kind, caller.name, p), caller.path.replace("%s", model.replace("/", "%2F")), body)
    finally:
        h.server.stop()
        h.server = None
        h.__exit__(None, None, None)
    if o.json:
        with open(o.json, "w") as f:
            json.dump(report, f, indent=1)


if __name__ == "__main__":
    main()
