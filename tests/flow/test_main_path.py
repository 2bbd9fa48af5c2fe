"""The main path: a call over HTTPS, its answer, its rows."""
import os
import unittest

from house import House, book, policy, wait_for


def open_read(path):
    with open(path) as f:
        return f.read().strip()


class MainPath(unittest.TestCase):
    def test_a_plain_answer_passes_byte_for_byte_and_is_priced(self):
        with House() as h:
            r = h.chat("Hi")
            self.assertEqual(r.status, 200)
            self.assertEqual(r.headers["x-tollgate-route"], "default")
            self.assertEqual(r.headers["x-tollgate-model"], "cheap")
            self.assertEqual(r.headers["x-tollgate-provider"], "mock")
            self.assertEqual(r.headers["x-tollgate-attempts"], "1")
            self.assertEqual(r.headers["x-tollgate-cost-usd"], "0.00002")    # 10 x 1 + 5 x 2 per million
            h.server.stop()
            self.assertEqual(h.sql("select status, attempts, cost_nano, model, provider, team from requests"),
                             [(200, 1, 20000, "cheap", "mock", "demo")])
            self.assertEqual(h.sql("select verdict, input, output, cost_nano, usage_source from attempts"),
                             [("accepted", 10, 5, 20000, "reported")])
            self.assertEqual(h.sql("select state from reservations"), [("settled",)])
            h.run("audit")

    def test_an_answer_that_fails_a_check_is_escalated(self):
        with House() as h:
            h.mock.script("cheap", "refuse")
            h.mock.script("strong", "text=42")
            r = h.chat("What is 6 x 7?")
            self.assertEqual((r.status, r.text), (200, "42"))
            self.assertEqual(r.headers["x-tollgate-model"], "strong")

    def test_a_stream_arrives_event_by_event_and_ends_with_cost_and_done(self):
        with House() as h:
            h.mock.script("cheap", "chunks=3,bytes=8")
            r = h.chat("Hi", stream=True)
            self.assertEqual(r.status, 200)
            self.assertEqual(len(r.text), 24)
            self.assertEqual(r.lines[-1], "data: [DONE]")
            self.assertEqual(r.lines[-2], ": x-tollgate-cost-usd=0.00002")
            self.assertFalse(any("usage" in e for e in r.events))

    def test_every_thread_has_a_name_for_top_and_perf(self):
        with House(workers=2) as h:
            tasks = "/proc/%d/task" % h.server.process.pid
            wanted = {"checkpoints", "helper", "ledger", "reader", "tollgate", "worker-0", "worker-1"}
            wait_for(lambda: wanted <= {open_read("%s/%s/comm" % (tasks, t)) for t in os.listdir(tasks)}, 5, "each name")

    def test_inline_media_fit_a_limit_that_their_tokens_fit(self):
        # Their base64 was bounded at a token a byte, audio at the whole window: both were over the bundled policy's 2 USD.
        sees = {"mock/cheap": {"context": 1048576, "max_output": 65536, "modalities": ["text", "image", "audio"], "versions": [
            {"from": "2020-01-01T00:00:00Z", "source": "made for a test", "input": "4", "output": "18"}]}}
        steps = [{"name": "default", "steps": [{"model": "mock/cheap"}]}]
        limits = {"cost_usd": "2.00", "output_tokens": 16384}
        with House(book=book((), **sees), policy=policy(routes=steps, limits=limits)) as h:
            megabyte = "QUJD" * 350000
            for part in ({"type": "image_url", "image_url": {"url": "data:image/png;base64," + megabyte}},
                         {"type": "input_audio", "input_audio": {"format": "mp3", "data": megabyte}}):
                a = h.post({"model": "auto", "messages": [{"role": "user", "content": [part]}]})
                self.assertEqual(a.status, 200, a.body[:300])
            audio = h.sql("select amount_nano from reservations order by request_id desc limit 1")[0][0]
            # (1,050,000 / 25 + 16 + 512) x 4 + 16,384 x 18 per million
            self.assertEqual(audio, (42000 + 528) * 4000 + 16384 * 18000)
            a = h.post({"model": "auto", "messages": [{"role": "user", "content": "x" * 600000}]})
            self.assertEqual((a.status, a.error["code"]), (429, "insufficient_quota"))


if __name__ == "__main__":
    unittest.main()
