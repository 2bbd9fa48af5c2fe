"""Hosts of the OpenAI dialect end to end: what each wants otherwise, whoever asks; legacy completions and embeddings."""
import json
import unittest

from house import wait_for
from test_providers import Host, completion, house

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def sse(*chunks):
    return 200, {"content-type": "text/event-stream"}, b"".join(b"data: %s\n\n" % json.dumps(c).encode() for c in chunks) + b"data: [DONE]\n\n"


def delta(finish=None, **of):
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": of, "finish_reason": finish}]}


USAGE = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
         "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}


def calling(reasoning=None):
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]}
    if reasoning:
        message["reasoning_content"] = reasoning
    return dict(completion(), choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])


class Hosts(unittest.TestCase):
    def sent(self, host):
        return json.loads(host.last[2])

    def test_deepseek_gets_its_reasoning_back_from_callers_who_cannot_carry_it(self):
        """musistudio/claude-code-router#1050, decolua/9router#1786: the second turn of a tool loop died with 400."""
        with Host((200, {}, calling("I must look.")), (200, {}, completion())) as host, house(host, "deepseek", ["p/deepseek-v4-pro"]) as h:
            first = h.request("POST", "/v1/messages", json.dumps({"model": "auto", "max_tokens": 100, "messages": [{"role": "user", "content": "Look"}],
                                                                 "tools": [{"name": "look", "input_schema": {"type": "object"}}]}))
            self.assertEqual((200, "tool_use"), (first.status, first.json["stop_reason"]))
            use = [b for b in first.json["content"] if b["type"] == "tool_use"][0]
            second = h.request("POST", "/v1/messages", json.dumps({
                "model": "auto", "max_tokens": 100, "tools": [{"name": "look", "input_schema": {"type": "object"}}],
                "messages": [{"role": "user", "content": "Look"}, {"role": "assistant", "content": [use]},
                             {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use["id"], "content": "a cat"}]}]}))
            self.assertEqual(200, second.status)
            self.assertEqual("I must look.", self.sent(host)["messages"][1]["reasoning_content"])

    def test_a_plain_client_of_chat_need_not_carry_it_either(self):
        with Host((200, {}, calling("I must look.")), (200, {}, completion())) as host, house(host, "deepseek", ["p/deepseek-v4-pro"]) as h:
            message = h.chat(tools=[TOOL]).json["choices"][0]["message"]
            del message["reasoning_content"]
            a = h.post({"model": "auto", "tools": [TOOL], "messages": [
                {"role": "user", "content": "Look"}, message, {"role": "tool", "tool_call_id": "call_1", "content": "a cat"}]})
            self.assertEqual(200, a.status)
            self.assertEqual("I must look.", self.sent(host)["messages"][1]["reasoning_content"])

    def test_deepseek_gets_an_empty_reasoning_where_none_is_known(self):
        with Host((200, {}, completion())) as host, house(host, "deepseek", ["p/deepseek-v4-pro"]) as h:
            a = h.post({"model": "auto", "tools": [TOOL], "messages": [
                {"role": "user", "content": "Look"}, calling()["choices"][0]["message"],
                {"role": "tool", "tool_call_id": "call_1", "content": "a cat"}]})
            self.assertEqual(200, a.status)
            self.assertEqual("", self.sent(host)["messages"][1]["reasoning_content"])

    def test_what_a_host_lacks_is_dropped_with_a_warning_or_refused_by_name(self):
        with Host((200, {}, completion())) as host, house(host, "deepseek", ["p/deepseek-v4-pro"]) as h:
            a = h.chat(seed=7, max_completion_tokens=50, reasoning_effort="none")
            self.assertEqual((200, "dropped=seed"), (a.status, a.headers["x-tollgate-warning"]))
            sent = self.sent(host)
            self.assertEqual((50, {"type": "disabled"}), (sent["max_tokens"], sent["thinking"]))
            self.assertFalse({"seed", "max_completion_tokens", "reasoning_effort"} & set(sent))
            a = h.chat(n=2)
            self.assertEqual((400, "n"), (a.status, a.error["param"]))

    def test_mistral_gets_nothing_that_it_does_not_know(self):
        with Host((200, {}, completion())) as host, house(host, "openai", ["p/mistral-large-latest"], quirks={"server": "mistral"}) as h:
            a = h.post({"model": "auto", "seed": 7, "user": "me", "store": False, "x": 1, "safe_prompt": True, "stream_options": None, "tools": [TOOL],
                        "messages": [dict(calling()["choices"][0]["message"], refusal=None, annotations=[], audio=None),
                                     {"role": "tool", "tool_call_id": "call_1", "content": "a cat"}]})
            self.assertEqual(200, a.status)
            sent = self.sent(host)
            self.assertEqual({"model", "messages", "tools", "max_tokens", "random_seed", "safe_prompt"}, set(sent))
            self.assertEqual({"role", "content", "tool_calls"}, set(sent["messages"][0]))
            self.assertRegex(sent["messages"][1]["tool_call_id"], "^[A-Za-z0-9]{9}$")
            self.assertEqual(sent["messages"][0]["tool_calls"][0]["id"], sent["messages"][1]["tool_call_id"])

    def test_thinking_in_the_content_is_no_text_for_other_dialects(self):
        chunks = [delta(role="assistant", content=""), delta(content="<thi"), delta(content="nk>hm</thin"), delta(content="k>\n\nHel"), delta(content="lo"), delta("stop"), USAGE]
        with Host(sse(*chunks)) as host, house(host, "openai", ["p/r1"], quirks={"reasoning_field": "think_tags"}) as h:
            a = h.request("POST", "/v1/messages", json.dumps({"model": "auto", "max_tokens": 100, "stream": True,
                                                             "messages": [{"role": "user", "content": "Hi"}]}))
            self.assertEqual(200, a.status)
            events = [json.loads(x[6:]) for x in a.body.decode().split("\n") if x.startswith("data: ")]
            text = "".join(e["delta"].get("text", "") for e in events if e["type"] == "content_block_delta")
            self.assertEqual("Hello", text)


class Legacy(unittest.TestCase):
    def attempt_of(self, h, a):
        of = a.headers["x-tollgate-request-id"]
        return tuple(wait_for(lambda: h.sql("select input, output, usage_source from attempts where request_id = ?", of), 10, "the attempt")[0])

    def test_completions_pass_and_are_paid(self):
        answer = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [
            {"text": " there", "index": 0, "logprobs": None, "finish_reason": "stop"}], "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}}
        with Host((200, {}, answer)) as host, house(host) as h:
            a = h.post({"model": "p/m", "prompt": "Hello", "echo": False}, path="/v1/completions")
            self.assertEqual((200, answer), (a.status, a.json))
            self.assertEqual("/v1/completions", host.last[0])
            self.assertEqual({"model": "m", "prompt": "Hello", "echo": False, "max_tokens": 16}, json.loads(host.last[2]))
            self.assertEqual("0.000008", a.headers["x-tollgate-cost-usd"])    # 4 x 1 + 2 x 2 USD a million
            self.assertEqual((4, 2, "reported"), self.attempt_of(h, a))
            a = h.post({"model": "p/m", "prompt": [[]]}, path="/v1/completions")
            self.assertEqual((400, "prompt"), (a.status, a.error["param"]))

    def test_completions_stream_without_the_usage_that_nobody_asked_for(self):
        chunks = [{"id": "cmpl-1", "object": "text_completion", "choices": [{"text": t, "index": 0, "finish_reason": f}]} for t, f in ((" the", None), ("re", "stop"))]
        usage = {"id": "cmpl-1", "object": "text_completion", "choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}}
        with Host(sse(*chunks, usage)) as host, house(host) as h:
            a = h.post({"model": "p/m", "prompt": "Hello", "stream": True}, path="/v1/completions")
            self.assertEqual(200, a.status)
            lines = [x for x in a.body.decode().split("\n\n") if x]
            self.assertEqual(["data: " + json.dumps(c) for c in chunks], lines[:2])
            self.assertEqual([": x-tollgate-cost-usd=0.000008", "data: [DONE]"], lines[2:])
            self.assertTrue(json.loads(host.last[2])["stream_options"]["include_usage"])
            self.assertEqual((4, 2, "reported"), self.attempt_of(h, a))

    def test_embeddings_pass_byte_for_byte(self):
        """A vector written anew would be another one: digits that no double keeps stay as they are."""
        body = b'{"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [0.12345678901234567890123, -1e-40, 7.0]}],' \
               b' "usage": {"prompt_tokens": 5, "total_tokens": 5}}'
        with Host((200, {}, body)) as host, house(host) as h:
            a = h.post({"model": "p/m", "input": ["Hello"], "encoding_format": "float"}, path="/v1/embeddings")
            self.assertEqual((200, body), (a.status, a.body))
            self.assertEqual("/v1/embeddings", host.last[0])
            self.assertEqual({"model": "m", "input": ["Hello"], "encoding_format": "float"}, json.loads(host.last[2]))
            self.assertEqual("0.000005", a.headers["x-tollgate-cost-usd"])
            self.assertEqual((5, 0, "reported"), self.attempt_of(h, a))
            a = h.post({"model": "p/m", "input": [""]}, path="/v1/embeddings")
            self.assertEqual((400, "input"), (a.status, a.error["param"]))

    def test_elsewhere_they_are_not_found_by_the_models_name(self):
        with Host((200, {}, {})) as host, house(host, "anthropic", ["p/claude-x"], base="") as h:
            for path, body in (("/v1/completions", {"prompt": "a"}), ("/v1/embeddings", {"input": "a"})):
                a = h.post(dict(body, model="p/claude-x"), path=path)
                self.assertEqual((404, "model_not_found"), (a.status, a.error["code"]))
                self.assertIn("claude-x", a.error["message"])
            self.assertEqual([], host.calls)


if __name__ == "__main__":
    unittest.main()
