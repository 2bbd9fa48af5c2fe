"""Callers of Responses whose history is ids of earlier items: what the gateway wrote itself is put in the place of its id."""
import json
import unittest

from house import wait_for
from test_openai import delta, sse, USAGE
from test_providers import Host, completion, house

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
USER = {"role": "user", "content": "Look"}


def answer(text="I look.", reasoning="I must look."):
    message = {"role": "assistant", "content": text, "reasoning_content": reasoning,
               "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":9007199254740993}'}}]}
    return dict(completion(), choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}])


def streamed():
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at":9007199254740993}'}}
    return sse(delta(role="assistant", reasoning_content="I must look."), delta(content="I "), delta(content="look."), delta(tool_calls=[call]), delta("tool_calls"), USAGE)


class Ids(unittest.TestCase):
    def ask(self, h, items, **more):
        return h.post(dict({"model": "auto", "tools": [TOOL], "input": items}, **more), path="/v1/responses")

    def output(self, a):
        if a.headers["content-type"].startswith("application/json"):
            return a.json["output"]
        last = [x for x in a.body.decode().split("\n") if x.startswith("data: ")][-1]
        return json.loads(last[6:])["response"]["output"]

    def by_id(self, output, text="a cat"):
        return [USER, *({"type": "item_reference", "id": i["id"]} for i in output),
                {"type": "function_call_output", "call_id": "call_1", "output": text}]

    def expect_gone(self, a, of):
        self.assertEqual((400, "item_not_found"), (a.status, a.error["code"]))
        self.assertIn("'%s'" % of, a.error["message"])
        self.assertIn("expired", a.error["message"])

    def reserved(self, h, a):
        of = a.headers["x-tollgate-request-id"]
        return wait_for(lambda: h.sql("select amount_nano from reservations where request_id = ?", of), 10, "the reservation")[0][0]

    def test_items_come_back_by_their_ids_whole_and_streamed(self):
        for stream, first in ((False, (200, {}, answer())), (True, streamed())):
            with self.subTest(stream=stream), Host(first, (200, {}, completion())) as host, house(host, "deepseek", ["p/deepseek-v4-pro"]) as h:
                output = self.output(self.ask(h, [USER], stream=stream))
                self.assertEqual(["reasoning", "message", "function_call"], [i["type"] for i in output])
                a = self.ask(h, self.by_id(output))
                self.assertEqual(200, a.status)
                sent = json.loads(host.last[2])["messages"][1]
                self.assertEqual(("I look.", "I must look."), (sent["content"], sent["reasoning_content"]))
                self.assertEqual('{"at":9007199254740993}', sent["tool_calls"][0]["function"]["arguments"])
                self.assertNotIn("x-tollgate-warning", a.headers)

    def test_an_id_is_reserved_like_the_item_itself(self):
        with Host((200, {}, answer("I look. " * 1000)), (200, {}, completion())) as host, house(host, "deepseek", ["p/deepseek-v4-pro"]) as h:
            output = self.output(self.ask(h, [USER]))
            by_id = self.ask(h, self.by_id(output))
            itself = self.ask(h, [USER, *(i for i in output if i["type"] != "reasoning"), *self.by_id(output)[-1:]])
            nothing = self.ask(h, [USER])
            self.assertEqual(self.reserved(h, itself), self.reserved(h, by_id))
            self.assertGreater(self.reserved(h, by_id), self.reserved(h, nothing) + 1000 * 1000)    # 8,000 bytes are more than 1,000 tokens
            self.assertEqual(host.calls[1][2], host.calls[2][2])

    def test_another_key_has_no_part_in_them(self):
        with Host((200, {}, answer()), (200, {}, completion())) as host, house(host, "deepseek", ["p/deepseek-v4-pro"]) as h:
            output = self.output(self.ask(h, [USER]))
            key = json.loads(h.run("keys", "create", "--team", "others", "--name", "n", "--format", "json")[1])["key"]
            wait_for(lambda: h.request("GET", "/v1/models", key=key).status == 200, 10, "the key")
            body = {"model": "auto", "tools": [TOOL], "input": self.by_id(output)}
            self.expect_gone(h.post(body, path="/v1/responses", key=key), output[1]["id"])
            self.assertEqual(200, h.post(body, path="/v1/responses").status)
            self.assertEqual(2, len(host.calls))

    def test_they_do_not_outlive_the_process_and_the_refusal_is_a_row(self):
        with Host((200, {}, answer()), (200, {}, completion())) as host, house(host, "deepseek", ["p/deepseek-v4-pro"]) as h:
            output = self.output(self.ask(h, [USER]))
            h.server.stop()
            h.start()
            a = self.ask(h, self.by_id(output))
            self.expect_gone(a, output[1]["id"])
            row = wait_for(lambda: h.sql("select status, attempts, cost_nano from requests where id = ?", a.headers["x-tollgate-request-id"]), 10, "the row")
            self.assertEqual([(400, 0, 0)], row)
            self.assertEqual(200, self.ask(h, [USER, *(i for i in output if i["type"] != "reasoning"), *self.by_id(output)[-1:]]).status)

    def test_store_false_keeps_nothing(self):
        with Host((200, {}, answer()), (200, {}, completion())) as host, house(host, "deepseek", ["p/deepseek-v4-pro"]) as h:
            output = self.output(self.ask(h, [USER], store=False))
            self.expect_gone(self.ask(h, self.by_id(output)), output[1]["id"])
            self.assertEqual(1, len(host.calls))


if __name__ == "__main__":
    unittest.main()
