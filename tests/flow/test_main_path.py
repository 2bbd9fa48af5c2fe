"""The main path: a call over HTTPS, its answer, its rows."""
import unittest

from house import House


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


if __name__ == "__main__":
    unittest.main()
