"""The Gemini dialect end to end: its callers before any provider, its providers behind any caller."""
import json
import re
import unittest
import urllib.parse

from house import Shared, wait_for
from test_providers import Host, house

MODEL = "p/gemini-3-flash"


def ask(text, **more):
    return dict({"contents": [{"role": "user", "parts": [{"text": text}]}]}, **more)


def parts_of(chunks):
    """What a client adds up to: texts of one kind in a row become one part."""
    parts = []
    for chunk in chunks:
        for part in chunk["candidates"][0]["content"]["parts"]:
            last = parts[-1] if parts else {}
            if "text" in part and "text" in last and part.get("thought") == last.get("thought"):
                last["text"] += part["text"]
            else:
                parts.append(dict(part))
    return parts


def events_of(answer):
    lines = [x for x in answer.body.decode().replace("\r\n", "\n").split("\n\n") if x.startswith("data: ")]
    return [json.loads(x[6:]) for x in lines]


class Caller(Shared):
    """A program of Google's before a host of the OpenAI dialect."""

    def call(self, method, body, query="", model="auto"):
        return self.h.request("POST", "/v1beta/models/%s:%s%s" % (model, method, query), json.dumps(body))

    def test_document_events_and_array_say_the_same(self):
        for words in ("mock:bytes=20", "mock:tool=f,tools=2", "mock:reasoning=30,cached=4"):
            body = ask(words, generationConfig={"thinkingConfig": {"includeThoughts": True}})
            if "tool" in words:
                body["tools"] = [{"functionDeclarations": [{"name": "f"}]}]
            whole = self.call("generateContent", body)
            events = self.call("streamGenerateContent", body, "?alt=sse")
            array = self.call("streamGenerateContent", body)
            self.assertEqual([200, 200, 200], [whole.status, events.status, array.status])
            self.assertTrue(events.headers["content-type"].startswith("text/event-stream"))
            self.assertEqual("application/json", array.headers["content-type"])
            self.assertEqual(parts_of(events_of(events)), parts_of(array.json))
            for form in (events_of(events), array.json):
                last = form[-1]
                self.assertEqual("STOP", last["candidates"][0]["finishReason"])
                self.assertEqual(whole.json["usageMetadata"], last["usageMetadata"])
                if "tool" in words:
                    self.assertEqual(parts_of([whole.json]), parts_of(form))
            self.assertIn(": x-tollgate-cost-usd=", events.body.decode().split("\n\n")[-2])

    def test_a_tool_loop_without_ids_reaches_a_dialect_that_wants_them(self):
        a = self.call("generateContent", {"contents": [
            {"parts": [{"text": "go"}]}, {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"n": 9007199254740993}}}]},
            {"parts": [{"functionResponse": {"name": "f", "response": {"output": "seven"}}}]}],
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}}}]}]})
        self.assertEqual(200, a.status)
        sent = json.loads(self.h.mock.last_body())
        call = sent["messages"][1]["tool_calls"][0]
        self.assertEqual('{"n": 9007199254740993}', call["function"]["arguments"])
        self.assertEqual(call["id"], sent["messages"][2]["tool_call_id"])
        self.assertEqual("seven", sent["messages"][2]["content"])
        self.assertEqual({"type": "object", "properties": {"n": {"type": "integer"}}}, sent["tools"][0]["function"]["parameters"])

    def test_faults_are_googles(self):
        for body, field in ((ask("x", tools=[{"googleSearch": {}}]), "tools[0].googleSearch"),
                            ({"contents": [{"role": "nobody", "parts": []}]}, "contents[0].role")):
            a = self.call("generateContent", body)
            self.assertEqual((400, 400, "INVALID_ARGUMENT"), (a.status, a.error["code"], a.error["status"]))
            self.assertIn(field, json.dumps(a.error["details"]))
        a = self.call("generateContent", ask("x"), model="nobodys")
        self.assertEqual((404, "NOT_FOUND"), (a.status, a.error["status"]))
        a = self.h.request("POST", "/v1beta/models/auto:generateContent", json.dumps(ask("x")), key="tg_wrong")
        self.assertEqual((401, "UNAUTHENTICATED"), (a.status, a.error["status"]))

    def test_what_tunes_is_dropped_with_a_warning(self):
        a = self.call("generateContent", ask("x", safetySettings=[{"category": "C", "threshold": "OFF"}]))
        self.assertEqual((200, "dropped=safetySettings"), (a.status, a.headers["x-tollgate-warning"]))

    def test_counts_and_lists_are_in_their_form(self):
        short = self.call("countTokens", ask("how long is this?")).json["totalTokens"]
        self.assertGreater(short, 0)
        self.assertEqual(short, self.call("countTokens", {"generateContentRequest": ask("how long is this?")}).json["totalTokens"])
        names = [m["name"] for m in self.h.request("GET", "/v1beta/models").json["models"]]
        self.assertIn("models/auto", names)
        self.assertIn("models/mock/cheap", names)
        self.assertEqual("models/mock/cheap", self.h.request("GET", "/v1beta/models/mock/cheap").json["name"])


    def test_a_list_of_models_is_read_page_by_page(self):
        def get(query):
            return self.h.request("GET", "/v1beta/models?" + query)
        whole = [m["name"] for m in get("").json["models"]]
        names, query = [], "pageSize=2"
        for _ in whole:
            page = get(query).json
            self.assertLessEqual(len(page["models"]), 2)
            names += [m["name"] for m in page["models"]]
            if "nextPageToken" not in page:
                break
            query = "pageSize=2&pageToken=" + urllib.parse.quote(page["nextPageToken"], safe="")
        self.assertEqual(whole, names)
        a = get("pageToken=nobodys")
        self.assertEqual((400, "INVALID_ARGUMENT"), (a.status, a.error["status"]))

    def test_a_count_says_that_it_is_an_estimate_and_is_of_a_model_that_is_there(self):
        ours = {"messages": [{"role": "user", "content": "x"}]}
        for path, body in (("/v1/messages/count_tokens", ours), ("/v1/responses/input_tokens", {"input": "x"}),
                           ("/v1beta/models/%s:countTokens", ask("x"))):
            for model, status in (("auto", 200), ("mock/cheap", 200), ("default", 200), ("nobodys", 404)):
                a = self.h.post(body if "%" in path else dict(body, model=model), path=path.replace("%s", model))
                self.assertEqual(status, a.status, (path, model, a.body))
                self.assertEqual("estimated=tokens" if status == 200 else None, a.headers.get("x-tollgate-warning"))
                if status == 404:
                    self.assertIn({"/v1/m": "not_found_error", "/v1/r": "model_not_found", "/v1be": "NOT_FOUND"}[path[:5]], json.dumps(a.json))
        a = self.h.post({"model": "claude-default", "messages": ours["messages"]}, path="/v1/messages/count_tokens")
        self.assertEqual(200, a.status)


def answer(*parts, finish="STOP", **usage):
    use = dict({"promptTokenCount": 1000, "cachedContentTokenCount": 600, "candidatesTokenCount": 20, "thoughtsTokenCount": 30,
                "totalTokenCount": 1050}, **usage)
    return {"candidates": [{"content": {"parts": list(parts), "role": "model"}, "finishReason": finish}], "usageMetadata": use,
            "modelVersion": "gemini-3-flash-001", "responseId": "g-1"}


def sse(*chunks):
    return 200, {"content-type": "text/event-stream"}, b"".join(b"data: %s\r\n\r\n" % json.dumps(c).encode() for c in chunks)


class Provider(unittest.TestCase):
    """Google as a provider."""

    def house(self, host, models=(MODEL,), **more):
        return house(host, "gemini", models, base="/v1beta", **more)

    def attempt_of(self, h, a):
        of = a.headers["x-tollgate-request-id"]
        return wait_for(lambda: h.sql("select input, cache_read, output, reasoning, usage_source, model_returned from attempts "
                                      "where request_id = ?", of), 10, "the attempt of " + of)[0]

    def test_a_chat_caller_gets_googles_answer_and_pays_for_it_once(self):
        with Host((200, {}, answer({"text": "Hello"}))) as host, self.house(host) as h:
            a = h.chat("Hi", max_completion_tokens=100, reasoning_effort="low")
            self.assertEqual((200, "Hello", "stop"), (a.status, a.text, a.json["choices"][0]["finish_reason"]))
            path, headers, body = host.last
            self.assertEqual("/v1beta/models/gemini-3-flash:generateContent", path)
            self.assertEqual("sk-key_a", headers["x-goog-api-key"])
            self.assertEqual({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
                              "generationConfig": {"maxOutputTokens": 100, "thinkingConfig": {"thinkingLevel": "LOW"}}}, json.loads(body))
            # BerriAI/litellm#14849: cached tokens were charged twice. 400 fresh and 600 cached (at the input rate here), 20 + 30 out.
            self.assertEqual((400, 600, 50, 30, "reported", "gemini-3-flash-001"), tuple(self.attempt_of(h, a)))
            self.assertEqual("0.0011", a.headers["x-tollgate-cost-usd"])    # 1000 x 1 + 50 x 2 USD a million
            usage = a.json["usage"]
            self.assertEqual((1000, 50, 1050), (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]))

    def test_a_chat_caller_streams_googles_events(self):
        chunks = [answer({"text": "Hel"}), answer({"text": "lo"})]
        del chunks[0]["candidates"][0]["finishReason"]
        with Host(sse(*chunks)) as host, self.house(host) as h:
            a = h.chat("Hi", stream=True)
            self.assertEqual((200, "Hello"), (a.status, a.text))
            self.assertEqual("/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse", host.last[0])
            self.assertEqual((400, 600, 50, 30), tuple(self.attempt_of(h, a))[:4])

    def test_a_callers_own_dialect_passes_byte_by_byte(self):
        first = answer({"text": "Hel", "brandNew": {"deep": [1.50]}})
        del first["candidates"][0]["finishReason"]
        answered = sse(first, answer({"text": "lo", "thoughtSignature": "c2ln"}))
        with Host(answered) as host, self.house(host) as h:
            asked = '{ "contents":[{"parts":[{"text":"Hi"}]}], "brandNew": 1.50, "generationConfig":{"maxOutputTokens":50}}'
            a = h.request("POST", "/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse", asked)
            self.assertEqual((200, asked.encode()), (a.status, host.last[2]))
            self.assertEqual(re.sub(rb": x-tollgate-cost-usd=.*\n\n", b"", a.body), answered[2])
            a = h.request("POST", "/v1beta/models/gemini-3-flash:streamGenerateContent", asked)
            self.assertEqual([first, json.loads(answered[2].decode().split("\r\n\r\n")[1][6:])], a.json)

    def test_a_signature_comes_back_for_a_caller_that_has_no_place_for_it(self):
        called = answer({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2lnbmVk"})
        tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
        with Host((200, {}, called), (200, {}, answer({"text": "done"}))) as host, self.house(host) as h:
            asks = [{"role": "user", "content": "go"}]
            a = h.post({"model": "auto", "messages": asks, "tools": tools})
            message = a.json["choices"][0]["message"]
            self.assertEqual("tool_calls", a.json["choices"][0]["finish_reason"])
            asks += [message, {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "7"}]
            self.assertEqual("done", h.post({"model": "auto", "messages": asks, "tools": tools}).text)
            sent = json.loads(host.last[2])["contents"]
            self.assertEqual("c2lnbmVk", sent[1]["parts"][0]["thoughtSignature"])
            self.assertEqual({"output": "7"}, sent[2]["parts"][0]["functionResponse"]["response"])
            # Another's calls get the constant that Google takes in its place.
            asks[1] = {"role": "assistant", "content": None, "tool_calls": [dict(message["tool_calls"][0], id="another")]}
            asks[2] = dict(asks[2], tool_call_id="another")
            h.post({"model": "auto", "messages": asks, "tools": tools})
            self.assertEqual("skip_thought_signature_validator", json.loads(host.last[2])["contents"][1]["parts"][0]["thoughtSignature"])

    def test_a_blocked_prompt_goes_to_another_model(self):
        blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7}}
        with Host((200, {}, blocked), (200, {}, answer({"text": "Hello"}))) as host, \
                self.house(host, (MODEL, "p/gemini-2.5-pro")) as h:
            a = h.chat("Hi")
            self.assertEqual((200, "Hello", "2"), (a.status, a.text, a.headers["x-tollgate-attempts"]))
            self.assertIn("gemini-2.5-pro", host.last[0])

    def test_a_stream_without_its_finish_reason_was_cut(self):
        # Portkey-AI/gateway#1797: it ended as a clean 200.
        half = answer({"text": "Hel"})
        del half["candidates"][0]["finishReason"]
        with Host(sse(half), sse(half), sse(answer({"text": "Hello"}))) as host, \
                self.house(host, (MODEL, "p/gemini-2.5-pro", "p/gemini-2.0-flash")) as h:
            a = h.chat("Hi", stream=True)
            self.assertEqual((200, "Hello", 3), (a.status, a.text, len(host.calls)))

    def test_the_wait_of_a_minutes_quota_is_told_and_a_days_quota_is_not_waited_for(self):
        def quota(per):
            return 429, {}, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota.", "details": [
                {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "GenerateRequests%sPerProject" % per}]},
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37.2s"}]}}

        with Host(quota("PerMinute")) as host, self.house(host) as h:
            a = h.chat("Hi")
            self.assertEqual((429, "38"), (a.status, a.headers.get("retry-after")))
        with Host(quota("PerDay")) as host, self.house(host) as h:
            a = h.chat("Hi")
            self.assertNotIn("retry-after", a.headers)
            verdicts = wait_for(lambda: h.sql("select verdict from attempts where verdict is not null"), 10, "the attempt's row")
            self.assertEqual([("failed:quota",)], [tuple(v) for v in verdicts])


if __name__ == "__main__":
    unittest.main()
