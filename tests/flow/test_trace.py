"""GET /v1/tollgate/requests/{id}: the trace of one request, to its own key."""
import threading
import unittest

from house import Shared, wait_for


class Trace(Shared):
    def trace(self, answer, **more):
        of = answer if isinstance(answer, str) else answer.headers["x-tollgate-request-id"]
        return self.h.request("GET", "/v1/tollgate/requests/" + of, **more)

    def other_key(self):
        if not hasattr(Trace, "key"):
            out = self.h.run("keys", "create", "--team", "other", "--name", "one")[1]
            Trace.key = [line[5:] for line in out.split("\n") if line.startswith("key: ")][0]
            wait_for(lambda: self.h.request("GET", "/v1/models", key=Trace.key).status == 200, 5, "the new key")
        return Trace.key

    def test_an_escalated_answer_is_told_attempt_by_attempt_with_exact_costs(self):
        self.h.mock.script("cheap", "refuse,in=7,out=3")
        self.h.mock.script("strong", "text=42,in=10,out=5")
        a = self.h.chat("Hi", headers={"x-tollgate-tag": "project=x", "x-tollgate-session": "s1"})
        r = self.trace(a)    # at once: the last row may be written only now
        self.assertEqual((r.status, r.headers["content-type"]), (200, "application/json"))
        t = r.json
        # cheap: 1 and 2 USD per million, strong tenfold; a refusal is not asked again at the same model.
        self.assertEqual([(x["n"], x["model"], x["verdict"], x["input"], x["output"], x["cost_nano"], x["cost_usd"])
                          for x in t["attempts"]],
                         [(1, "cheap", "rejected:not_refused", 7, 3, 13000, "0.000013"),
                          (2, "strong", "accepted", 10, 5, 200000, "0.0002")])
        self.assertEqual((t["status"], t["cost_nano"], t["cost_usd"]), (200, 213000, "0.000213"))
        self.assertEqual((t["id"], t["team"], t["route"], t["model"], t["tags"], t["session"], t["stream"]),
                         (a.headers["x-tollgate-request-id"], "demo", "default", "strong", {"project": "x"}, "s1", False))
        self.assertEqual([(x["n"], x["scope"], x["state"]) for x in t["reservations"]],
                         [(1, "none", "settled"), (2, "none", "settled")])
        for x in t["reservations"]:
            self.assertEqual(x["amount_usd"], ("%.9f" % (x["amount_nano"] / 1e9)).rstrip("0"))

    def test_a_refused_call_has_a_trace_without_attempts(self):
        a = self.h.chat(model="nobody")
        self.assertEqual(a.status, 404)
        t = self.trace(a).json
        self.assertEqual((t["status"], t["attempts"], t["reservations"], t["model_asked"]), (404, [], [], "nobody"))

    def test_a_running_stream_is_told_with_status_null(self):
        self.h.mock.script("cheap", "chunks=3,every_ms=700")
        c = self.h.connect()
        c.request("POST", "/v1/chat/completions",
                  '{"model": "mock/cheap", "stream": true, "messages": [{"role": "user", "content": "Hi"}]}',
                  {"authorization": "Bearer " + self.h.key, "content-type": "application/json"})
        a = c.getresponse()
        t = self.trace(a.getheader("x-tollgate-request-id")).json
        self.assertEqual((t["status"], [x["state"] for x in t["reservations"]]), (None, ["open"]))
        a.read()
        c.close()

    def test_another_keys_request_is_not_told_apart_from_none(self):
        mine = self.h.chat("Hi").headers["x-tollgate-request-id"]
        none = mine[:-3] + "000"
        key = self.other_key()
        self.assertEqual(self.trace(mine).status, 200)
        a, b = self.trace(mine, key=key), self.trace(none, key=key)
        self.assertEqual((a.status, b.status, a.error["code"]), (404, 404, "request_not_found"))
        self.assertEqual(a.body.replace(mine.encode(), b"ID"), b.body.replace(none.encode(), b"ID"))

    def test_what_is_no_id_is_404_and_no_key_is_401(self):
        for what in ("x", "req_", "req_%00", "a" * 3000, "req_" + "u" * 26, "'; drop table requests; --".replace(" ", "%20")):
            r = self.trace(what)
            self.assertEqual((r.status, r.error["code"]), (404, "request_not_found"), what)
        self.assertEqual(self.trace("req_x", key=False).status, 401)
        self.assertEqual(self.h.request("POST", "/v1/tollgate/requests/req_x", "{}").status, 405)

    def test_many_may_ask_at_once_and_leave_before_the_answer(self):
        ids = [self.h.chat("Hi").headers["x-tollgate-request-id"] for _ in range(4)]
        got = []

        def ask(i):
            if i % 3 == 0:    # gone before it can be told: an id of now that is not there is looked for a while
                s = self.h.raw()
                s.sendall(("GET /v1/tollgate/requests/%s000 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\n\r\n"
                           % (ids[i % 4][:-3], self.h.key)).encode())
                s.close()
            else:
                got.append(self.trace(ids[i % 4]))
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(24)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual([r.status for r in got if r.status != 503], [200] * len([r for r in got if r.status != 503]))
        self.assertTrue(any(r.status == 200 for r in got))
        self.assertEqual(self.h.chat("Hi").status, 200)


if __name__ == "__main__":
    unittest.main()
