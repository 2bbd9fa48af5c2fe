"""Bodies and answers that a helper thread works on: what happens to a request, and to others, while its job is out.

Several large bodies are sent but for their last byte and then finished at once: their parsing takes the helpers a few hundred
milliseconds, and what is sent behind them waits in the queue for as long."""
import json
import signal
import threading
import time
import unittest

from house import CHECKS, House, PATIENCE, Shared, book, policy, wait_for

LARGE = 262144       # gateway/request/request.h
MANY_TURNS = 33000   # of 100,000 values that a body may have


def wide(**more):
    """A book whose windows take any body of these tests."""
    b = book(**more)
    for m in b["models"].values():
        m["context"] = 100000000
    return b


def to(*names, **more):
    """The first route looks at the heads: that of a caller who has left, too."""
    steps = [{"model": "mock/" + n, "checks": CHECKS} for n in names]
    return policy(routes=[{"name": "odd", "when": {"all": [{"header": "x-odd", "is": "yes"}, {"tag": "odd"}]}, "steps": steps},
                          {"name": "default", "steps": steps}], **more)


def large(model="auto", n=LARGE * 2, **fields):
    return dict({"model": model, "messages": [{"role": "user", "content": "x" * n}]}, **fields)


class Late:
    """A call whose body lacks its last byte until finish()."""

    def __init__(self, h, body, path="/v1/chat/completions", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        more = "".join("%s: %s\r\n" % (k.replace("_", "-"), v) for k, v in headers.items())
        self.s, self.last, self.got = h.raw(60), data[-1:], b""
        self.s.sendall(("POST %s HTTP/1.1\r\nhost: a\r\nauthorization: Bearer %s\r\nconnection: close\r\n%scontent-length: %d\r\n\r\n"
                        % (path, h.key, more, len(data))).encode() + data[:-1])

    def finish(self):
        self.s.sendall(self.last)
        return self

    def rest(self):
        while True:
            piece = self.s.recv(1 << 20)
            if not piece:
                break
            self.got += piece
        self.s.close()
        return self

    def leave(self):
        self.s.close()

    @property
    def status(self):
        return int(self.got.split(b" ", 2)[1])

    @property
    def json(self):
        return json.loads(self.got.split(b"\r\n\r\n", 1)[1])


class Crowd:
    """Bodies that take long to read, for a model that is not there."""

    def __init__(self, h, n=12):
        turn = {"role": "user", "content": "and what then? " * 10}
        data = json.dumps({"model": "nowhere", "messages": [turn] * MANY_TURNS}).encode()
        self.h, self.calls = h, [Late(h, data) for _ in range(n)]
        wait_for(lambda: h.metrics()["tollgate_bytes_in_flight"] >= n * (len(data) - 1), 60, "the bodies to arrive")

    def go(self):
        for c in self.calls:
            c.finish()
        wait_for(lambda: self.h.metrics()["tollgate_helpers_busy"] >= 3, 5, "the helpers to be busy")
        return self

    def ended(self):
        for c in self.calls:
            c.rest()
            assert c.status == 404, c.got[:300]


class Large(Shared):
    options = {"policy": to("cheap", "strong"), "book": wide(), "workers": 1}

    def test_a_large_body_passes_byte_for_byte_but_for_its_model(self):
        body = '{"model":"auto", "x_odd" : 123456789012345678901234567890,"max_tokens":9,"messages":[{"role":"user","content":"%s\\u00e9"}] }' % ("x" * LARGE)
        r = self.h.post(body)
        self.assertEqual(r.status, 200)
        self.assertTrue(self.h.mock.last_body() == body.replace('"auto"', '"cheap"').encode())
        self.assertEqual(self.row_of(r), (200, 1))

    def test_a_large_body_is_routed_by_its_headers_and_tags(self):
        r = self.h.post(large(), {"x-odd": "yes", "x-tollgate-tag": "odd=yes"})
        self.assertEqual((r.status, r.headers["x-tollgate-route"]), (200, "odd"))
        r = self.h.post(large(), {"x-tollgate-route": "odd"})
        self.assertEqual((r.status, r.headers["x-tollgate-route"]), (200, "odd"))
        self.assertEqual(self.h.post(large(), {"x-odd": "yes"}).headers["x-tollgate-route"], "default")

    def test_a_large_body_is_streamed_to(self):
        self.h.mock.script("cheap", "chunks=3,bytes=8")
        r = self.h.post(large(stream=True))
        self.assertEqual((r.status, len(r.text), r.lines[-1]), (200, 24, "data: [DONE]"))

    def test_a_large_body_of_another_dialect_reaches_the_provider_translated(self):
        r = self.h.post({"model": "mock/cheap", "max_tokens": 9, "system": "Be brief.", "messages": [{"role": "user", "content": "y" * LARGE}]},
                        {"anthropic-version": "2023-06-01"}, path="/v1/messages")
        self.assertEqual((r.status, r.json["type"]), (200, "message"), r.body[:300])
        sent = json.loads(self.h.mock.last_body())
        self.assertEqual([m["role"] for m in sent["messages"]], ["system", "user"])
        self.assertIn("y" * LARGE, json.dumps(sent["messages"][1]))

    def test_a_large_body_that_is_wrong_is_refused_by_the_name_of_its_field_and_nothing_is_sent(self):
        c = self.h.connect()
        for body, field in ((large(temperature="hot"), "temperature"), (large(messages=7), "messages"),
                            (dict(large(), messages=[{"role": "user", "content": "x" * LARGE}, {"role": "juror", "content": "y"}]),
                             "messages[1].role")):
            body["pad"] = "z" * LARGE
            r = self.h.post(body, connection=c)    # the connection lives on
            self.assertEqual((r.status, r.error["param"]), (400, field), r.body[:300])
            self.assertEqual(self.row_of(r), (400, 0))
        c.close()
        self.assertEqual(self.h.mock.stats()["requests"], 0)

    def test_a_large_body_that_is_no_json_is_refused_at_its_byte_whatever_came_before(self):
        good = json.dumps(large(), separators=(",", ":")).encode()
        for body, at in ((good[:-1], len(good) - 1), (good + b"]", len(good)), (good[:-1] + b',"model":1}', len(good)),
                         (good[:LARGE] + b"\x01" + good[LARGE:], LARGE), (good[:-30] + b"\xff" + good[-30:], len(good) - 30)):
            for sent in (body, iter([body[:70000], body[70000:]])):    # with a length, and in chunks
                r = self.h.request("POST", "/v1/chat/completions", sent)
                self.assertEqual((r.status, r.error["code"]), (400, "invalid_json"), r.body[:300])
                self.assertIn("at byte %d." % at, r.error["message"])
        self.assertEqual(self.h.mock.stats()["requests"], 0)

    def test_a_body_above_the_limit_is_413_however_it_is_framed(self):
        r = self.h.request("POST", "/v1/chat/completions", None, {"content-length": "40000000"})
        self.assertEqual(r.status, 413)
        self.assertEqual(r.error["code"], "request_too_large")

    def test_a_caller_that_is_still_sending_can_read_its_413(self):
        r = self.h.request("POST", "/v1/chat/completions", b"x" * 900000, {"content-length": "40000000"})
        self.assertEqual((r.status, r.error["code"]), (413, "request_too_large"))

    def test_small_calls_are_served_while_large_bodies_wait_for_a_helper(self):
        crowd = Crowd(self.h).go()
        self.assertEqual(self.h.chat().status, 200)
        self.assertGreaterEqual(self.h.metrics()["tollgate_helpers_busy"], 1)
        crowd.ended()
        wait_for(lambda: self.h.metrics()["tollgate_helpers_busy"] == 0, 5, "the helpers to be done")

    def test_a_caller_that_leaves_while_its_body_waits_costs_nothing_and_is_a_row(self):
        crowd, mine = Crowd(self.h), Late(self.h, large(), x_tollgate_tag="who=leaver")
        crowd.go()
        mine.finish()
        wait_for(lambda: self.h.metrics()["tollgate_helpers_busy"] >= 1, 5, "the queue")
        mine.leave()
        crowd.ended()
        wait_for(lambda: self.h.sql("select 1 from requests where tags like '%leaver%' and status = 499 and attempts = 0"), 10, "the row")
        wait_for(lambda: self.h.metrics()["tollgate_requests_running"] == 0, 10, "all to end")
        self.assertEqual(self.h.mock.stats()["requests"], 0)
        wait_for(lambda: self.h.metrics()["tollgate_bytes_in_flight"] == 0, 5, "the bodies to be freed")

    def test_a_deadline_that_passes_while_the_body_waits_is_504_and_costs_nothing(self):
        crowd, mine = Crowd(self.h), Late(self.h, large(), x_tollgate_deadline_ms=1)
        crowd.go()
        mine.finish().rest()
        self.assertEqual(mine.status, 504, mine.got[:300])
        crowd.ended()
        self.assertEqual(self.h.mock.stats()["requests"], 0)
        self.assert_settled()

    def test_callers_that_leave_at_any_moment_leave_nothing_behind(self):
        self.h.mock.script("cheap", "bytes=%d" % (LARGE * 2))
        for i in range(30):
            c = Late(self.h, large()).finish()
            time.sleep(i * 0.0007)
            c.leave()
        wait_for(lambda: self.h.metrics()["tollgate_requests_running"] == 0, 10, "all to end")
        wait_for(lambda: self.h.metrics()["tollgate_bytes_in_flight"] == 0, 5, "the bodies to be freed")
        wait_for(lambda: self.h.metrics()["tollgate_helpers_busy"] == 0, 5, "the helpers to be done")
        self.assert_settled()
        self.h.run("audit")


class Answers(Shared):
    options = {"policy": to("cheap", "strong"), "book": wide(), "workers": 1}

    def test_a_large_answer_passes_byte_for_byte_and_is_priced_by_its_usage(self):
        self.h.mock.script("cheap", "bytes=%d" % (LARGE * 3))
        r = self.h.chat()
        self.assertEqual((r.status, len(r.text)), (200, LARGE * 3))
        self.assertEqual(r.headers["x-tollgate-cost-usd"], "0.00002")
        self.assertEqual(self.row_of(r), (200, 1))

    def test_a_large_answer_is_written_in_another_dialect(self):
        self.h.mock.script("cheap", "bytes=%d" % (LARGE * 3))
        for path, body, text in (
                ("/v1/messages", {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
                 lambda j: j["content"][0]["text"]),
                ("/v1/responses", {"model": "auto", "input": "Hi"}, lambda j: j["output"][0]["content"][0]["text"]),
                ("/v1beta/models/auto:generateContent", {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
                 lambda j: j["candidates"][0]["content"]["parts"][0]["text"])):
            r = self.h.post(body, path=path)
            self.assertEqual(r.status, 200, r.body[:300])
            self.assertEqual(len(text(r.json)), LARGE * 3)

    def test_a_large_answer_that_fails_its_check_is_not_passed_on(self):
        for words in ("text=%s" % ("%20" * 90000), "malformed,bytes=%d" % LARGE):
            self.h.mock.script("cheap", words)
            r = self.h.chat()
            self.assertEqual((r.status, r.headers["x-tollgate-model"]), (200, "strong"))
        self.h.mock.script("cheap", "bytes=%d" % (LARGE * 2))
        self.h.mock.script("strong", "text={}")
        r = self.h.chat(response_format={"type": "json_object"})    # prose where JSON was asked for
        self.assertEqual((r.text, self.row_of(r)), ("{}", (200, 2)))
        self.assertEqual(self.h.sql("select verdict from attempts where request_id = ? order by n", r.headers["x-tollgate-request-id"]),
                         [("rejected:valid_json",), ("accepted",)])

    def test_a_long_held_stream_is_judged_and_passes(self):
        self.h.mock.script("cheap", "chunks=40,bytes=16384")
        r = self.h.chat(stream=True)
        self.assertEqual((r.status, len(r.text), r.lines[-1]), (200, 40 * 16384, "data: [DONE]"))

    def test_large_events_of_a_stream_reach_callers_of_each_dialect(self):
        self.h.mock.script("cheap", "chunks=3,bytes=%d" % (LARGE * 2))
        for path, body, kind, piece in (
                ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}, None,
                 lambda e: "".join(c["delta"].get("content") or "" for c in e.get("choices", []))),
                ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}, "content_block_delta",
                 lambda e: e["delta"]["text"]),
                ("/v1/responses", {"input": "Hi"}, "response.output_text.delta", lambda e: e["delta"])):
            for model in ("auto", "mock/cheap"):    # held and judged; passed as it comes
                r = self.h.post(dict(body, model=model, stream=True), path=path)
                events = [json.loads(x) for line in r.lines for x in line.split("\n") if x.startswith("data: ") and x != "data: [DONE]"
                          for x in [x[6:]]]
                self.assertEqual(r.status, 200)
                self.assertEqual(sum(len(piece(e)) for e in events if kind in (None, e.get("type"))), 3 * LARGE * 2, (path, model))
        r = self.h.post({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}, path="/v1beta/models/auto:streamGenerateContent")
        self.assertEqual(sum(len(p["text"]) for e in r.json for c in e["candidates"] for p in c["content"]["parts"]), 3 * LARGE * 2)

    def test_a_stream_that_breaks_behind_a_large_event_goes_elsewhere(self):
        self.h.mock.script("cheap", "chunks=3,bytes=%d,reset=2" % (LARGE * 2))
        self.h.mock.script("strong", "chunks=1,bytes=8")
        r = self.h.chat(stream=True)
        self.assertEqual((r.status, len(r.text)), (200, 8))
        self.assertEqual(self.row_of(r), (200, 2))
        self.h.mock.script("cheap", "chunks=2,bytes=%d,malformed" % (LARGE * 2))
        r = self.h.chat(stream=True)
        self.assertEqual((r.status, len(r.text)), (200, 8))

    def test_callers_that_leave_amid_large_events_leave_nothing_behind(self):
        self.h.mock.script("cheap", "chunks=4,bytes=%d" % (LARGE * 6))
        for i in range(24):
            c = Late(self.h, {"model": "auto" if i % 2 else "mock/cheap", "stream": True, "max_tokens": 9,
                              "messages": [{"role": "user", "content": "Hi"}]}, path=["/v1/chat/completions", "/v1/messages"][i % 4 // 2])
            c.finish()
            time.sleep(0.001 * i)
            c.leave()
        wait_for(lambda: self.h.metrics()["tollgate_requests_running"] == 0, 10, "all to end")
        wait_for(lambda: self.h.metrics()["tollgate_bytes_in_flight"] == 0, 5, "what was held to be freed")
        self.assert_settled()
        self.h.run("audit")

    def test_a_schema_that_asks_for_endless_work_holds_up_nobody(self):
        fork = {"$defs": {"a": {"anyOf": [{"properties": {"n": {"$ref": "#/$defs/a"}}, "required": ["x%d" % i]} for i in range(6)]}},
                "$ref": "#/$defs/a"}
        value = '"v"'
        for _ in range(25):
            value = '{"n":%s}' % value
        self.h.mock.script("cheap", "text=" + "".join("%%%02x" % b for b in value.encode()))
        r = self.h.chat(response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": fork}})
        self.assertEqual(r.status, 200)

    def test_a_caller_that_leaves_while_its_large_answer_is_read_is_charged_what_was_reported(self):
        self.h.mock.script("cheap", "bytes=%d,body_ms=20" % (LARGE * 16))
        for i in range(20):
            c = Late(self.h, {"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}).finish()
            wait_for(lambda: self.h.mock.stats()["requests"] == i + 1, 5, "the call")
            time.sleep(0.018 + i * 0.001)
            c.leave()
        wait_for(lambda: self.h.metrics()["tollgate_requests_running"] == 0, 10, "all to end")
        self.assert_settled()
        for verdict, source in self.h.sql("select distinct verdict, usage_source from attempts where model = 'cheap'"):
            self.assertTrue(verdict in ("accepted", "cancelled:caller") or verdict.startswith("rejected"), verdict)
        wait_for(lambda: self.h.metrics()["tollgate_bytes_in_flight"] == 0, 5, "the bodies to be freed")
        self.h.run("audit")


class Houses(unittest.TestCase):
    def test_a_budget_holds_when_large_requests_race_for_it(self):
        with House(policy=to("cheap"), book=wide(), workers=2) as h:
            h.mock.script("cheap", "first_ms=1500")    # all are under way at once
            # 2 x LARGE bytes are so many tokens at worst, at USD 1 a million, and 4096 of output at 2: 0.533 USD each.
            h.run("budgets", "set", "--team", "demo", "--usd", "1.8", "--period", "total")
            wait_for(lambda: "demo" in h.run("budgets", "list")[1], 5, "the budget")
            time.sleep(1)    # a budget is heeded within a second
            calls = [Late(h, large()) for _ in range(12)]
            for c in calls:
                c.finish()
            self.assertEqual(sorted(c.rest().status for c in calls), [200] * 3 + [429] * 9)
            self.assertEqual(h.mock.stats()["requests"], 3)

    def test_when_too_many_wait_the_next_are_asked_to_come_again(self):
        with House(policy=to("cheap"), book=wide()) as h:
            body = json.dumps(large(n=LARGE)).encode()
            crowd, calls = Crowd(h), [Late(h, body) for _ in range(290)]
            crowd.go()
            for c in calls:
                c.finish()
            for c in calls:
                c.rest()
            crowd.ended()
            refused = [c for c in calls if c.status == 503]
            self.assertEqual({c.status for c in calls}, {200, 503})
            self.assertIn(b"\r\nretry-after: 1\r\n", refused[0].got)
            self.assertEqual(refused[0].json["error"]["code"], "overloaded")
            self.assertEqual(h.post(body).status, 200)

    def test_a_drain_finishes_what_waits_for_a_helper(self):
        with House(policy=to("cheap"), book=wide()) as h:
            crowd, mine = Crowd(h), Late(h, large())
            crowd.go()
            mine.finish()
            h.server.process.send_signal(signal.SIGTERM)
            mine.rest()
            crowd.ended()
            self.assertEqual(mine.status, 200, mine.got[:300])
            self.assertEqual(h.server.process.wait(20 * PATIENCE), 0)
            self.assertEqual(h.sql("select status from requests where attempts = 1"), [(200,)])

    def test_a_second_sigterm_while_bodies_wait_ends_it_at_once_with_a_row_for_each(self):
        with House(policy=to("cheap"), book=wide()) as h:
            crowd, mine = Crowd(h), Late(h, large())
            crowd.go()
            mine.finish()
            h.server.process.send_signal(signal.SIGTERM)
            wait_for(lambda: h.metrics()["tollgate_draining"] == 1, 5, "the drain")
            h.server.process.send_signal(signal.SIGTERM)
            self.assertEqual(h.server.process.wait(20 * PATIENCE), 0)
            crowd_and_mine = h.sql("select count(*) from requests where status > 0")[0][0]
            self.assertEqual(crowd_and_mine, len(crowd.calls) + 1)
            self.assertEqual(h.sql("select 1 from reservations where state = 'open'"), [])
            for c in crowd.calls + [mine]:
                c.leave()
            h.run("audit")

    def test_a_reload_while_a_body_waits_serves_it_by_the_config_that_it_came_under(self):
        with House(policy=to("cheap"), book=wide()) as h:
            crowd, mine = Crowd(h), Late(h, large())
            crowd.go()
            mine.finish()
            wait_for(lambda: h.metrics()["tollgate_helpers_busy"] >= 2, 5, "the queue")
            h.write("policy.json", to("strong"))
            self.assertTrue(h.reload())
            mine.rest()
            crowd.ended()
            self.assertIn(b"x-tollgate-model: cheap\r\n", mine.got)
            self.assertEqual(h.post(large()).headers["x-tollgate-model"], "strong")

    def test_a_kill_while_bodies_wait_leaves_a_ledger_that_audits(self):
        with House(policy=to("cheap"), book=wide()) as h:
            crowd, mine = Crowd(h), Late(h, large())
            crowd.go()
            mine.finish()
            h.kill()
            for c in crowd.calls + [mine]:
                c.leave()
            h.start()
            self.assertEqual(h.chat().status, 200)
            h.run("audit")

    def test_two_workers_each_get_their_own_back(self):
        with House(policy=to("cheap"), book=wide(), workers=2) as h:
            got, lock = [], threading.Lock()

            def caller(i):
                for k in range(4):
                    r = h.chat("%d-%d " % (i, k) + "x" * LARGE)
                    with lock:
                        got.append((i, k, r.status))
            threads = [threading.Thread(target=caller, args=(i,)) for i in range(6)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(sorted(got), [(i, k, 200) for i in range(6) for k in range(4)])
            sent = {json.loads(h.mock.call("GET", "/mock/body/%d" % n))["messages"][0]["content"].split(" ")[0] for n in range(1, 25)}
            self.assertEqual(sent, {"%d-%d" % (i, k) for i in range(6) for k in range(4)})


if __name__ == "__main__":
    unittest.main()
