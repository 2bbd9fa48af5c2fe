"""Failures of real upstreams: each class has its own consequence; limits, health and placement hold whatever happens."""
import json
import socket
import subprocess
import tempfile
import time
import unittest

from house import CHECKS, MOCK, House, Mock, PATIENCE, Shared, book, policy, wait_for


def model(context=100000, rate="1", **more):
    return dict({"context": context, "max_output": 4096, "versions": [
        {"from": "2020-01-01T00:00:00Z", "source": "made for a test", "input": rate, "output": rate}]}, **more)


class Failures(Shared):
    def verdicts(self, answer):
        self.row_of(answer)
        return [(v, m) for v, m in self.h.sql("select verdict, model from attempts where request_id = ? order by n",
                                              answer.headers["x-tollgate-request-id"])]

    def heal(self, models=("cheap", "strong")):
        """One good answer each closes the breaker that the faults before had begun to open."""
        self.h.mock.reset()
        for name in models:
            self.assertEqual(self.h.chat(model="mock/" + name).status, 200)
        self.h.mock.reset()

    def tearDown(self):
        self.assert_settled()

    def error_is(self, r, status, code, retry=False, kind="server_error"):
        self.assertEqual((r.status, r.error["code"], r.error["type"]), (status, code, kind), r.body)
        if retry:
            self.assertNotIn("x-should-retry", r.headers)
        else:
            self.assertEqual(r.headers["x-should-retry"], "false")
            self.assertNotIn("retry-after", r.headers)


class Classes(Failures):
    """cheap twice without checks, then strong; each fault from a real socket."""
    options = {"policy": policy(routes=[{"name": "default", "steps": [{"model": "mock/cheap", "attempts": 2}, {"model": "mock/strong"}]}]),
               "provider": {"first_byte_ms": 400, "answer_ms": 700, "idle_ms": 400}}
    HERE = {    # may be luck: the same model again, then the next
        "status=500": ("server", "upstream_error", 502), "status=502,error_body=html": ("server", "upstream_error", 502),
        "status=503": ("overloaded", "upstream_overloaded", 503), "status=529": ("overloaded", "upstream_overloaded", 503),
        "status=408": ("server", "upstream_error", 502), "status=500,error_body=empty": ("server", "upstream_error", 502),
        "status=302,location=http%3A//127.0.0.1%3A1/": ("malformed", "upstream_malformed", 502),
        "cut=-2": ("reset", "upstream_reset", 502), "reset=-2": ("reset", "upstream_reset", 502),
        "cut=10": ("reset", "upstream_reset", 502), "malformed": ("malformed", "upstream_malformed", 502),
        "gzip": ("malformed", "upstream_malformed", 502), "badhead": ("malformed", "upstream_malformed", 502),
        "bighead": ("malformed", "upstream_malformed", 502), "stall=-2": ("timeout", "upstream_timeout", 504),
        "stall=20": ("timeout", "upstream_timeout", 504), "body_ms=3000": ("timeout", "upstream_timeout", 504),
        "status=429": ("rate_limited", "upstream_rate_limited", 429),
    }
    ELSEWHERE = {    # this model will not do: the next one at once
        "status=401": ("credential", "upstream_credential"), "status=403": ("credential", "upstream_credential"),
        "status=402": ("quota", "upstream_quota"), "status=429,code=insufficient_quota": ("quota", "upstream_quota"),
        "status=404": ("model", "upstream_model"),
        "status=400,code=content_policy_violation": ("filtered", "content_policy_violation"),
    }

    def setUp(self):
        self.heal()

    def test_what_may_be_luck_is_tried_again_here_and_then_elsewhere(self):
        for words, expect in self.HERE.items():
            with self.subTest(words):
                self.heal()
                self.h.mock.script("cheap", words)
                r = self.h.chat()
                self.assertEqual((r.status, r.headers["x-tollgate-attempts"]), (200, "3"), r.body)
                bad = "failed:" + expect[0]
                self.assertEqual(self.verdicts(r), [(bad, "cheap"), (bad, "cheap"), ("accepted", "strong")])

    def test_one_that_recovers_answers_itself_on_its_second_attempt(self):
        # not cut=-2: a kept connection that closes before a byte is dialled anew by curl, within the attempt
        for words in ("status=500", "status=503", "cut=10", "malformed", "status=429,retry_after=0"):
            with self.subTest(words):
                self.heal()
                self.h.mock.script("cheap", words, "text=recovered")
                r = self.h.chat()
                self.assertEqual((r.text, r.headers["x-tollgate-model"], r.headers["x-tollgate-attempts"]), ("recovered", "cheap", "2"))

    def test_what_no_retry_can_mend_goes_to_the_next_model_at_once(self):
        # BerriAI/litellm#37592: exhausted credit was tried again and again
        for words, (name, code) in self.ELSEWHERE.items():
            with self.subTest(words):
                self.heal()
                self.h.mock.script("cheap", words)
                r = self.h.chat()
                self.assertEqual((r.status, r.headers["x-tollgate-attempts"]), (200, "2"))
                self.assertEqual(self.verdicts(r), [("failed:" + name, "cheap"), ("accepted", "strong")])

    def test_when_all_fail_the_caller_is_told_of_the_last_in_our_words(self):
        # a provider's 401, 402, 403 and 404 are our fault, never the caller's status
        for words, status, code in [("status=401,message=bad key sk-123", 502, "upstream_credential"),
                                    ("status=403", 502, "upstream_credential"), ("status=402,message=pay up", 502, "upstream_quota"),
                                    ("status=404,message=no such model", 502, "upstream_model"), ("status=500", 502, "upstream_error"),
                                    ("status=503", 503, "upstream_overloaded"), ("malformed", 502, "upstream_malformed"),
                                    ("cut=-2", 502, "upstream_reset"), ("stall=-2", 504, "upstream_timeout")]:
            with self.subTest(words):
                self.heal()
                self.h.mock.script("cheap", words)
                self.h.mock.script("strong", words)
                r = self.h.chat()
                self.error_is(r, status, code)
                self.assertIn("mock/strong", r.error["message"])
                for secret in ("sk-123", "pay up", "no such model"):
                    self.assertNotIn(secret, r.body.decode())
                self.assertEqual(self.row_of(r)[0], status)

    def test_a_callers_fault_is_passed_on_in_the_providers_words_and_never_retried(self):
        for status in (400, 422, 413):
            self.heal()
            self.h.mock.script("cheap", "status=%d,code=bad_thing,message=Your thing is bad" % status)
            r = self.h.chat()
            self.error_is(r, status, "bad_thing", kind="invalid_request_error")
            self.assertEqual(r.error["message"], "Your thing is bad")
            self.assertEqual(self.verdicts(r), [("failed:caller", "cheap")])
            self.assertEqual(self.row_of(r), (status, 1))

    def test_errors_in_other_shapes_keep_their_words(self):
        for shape in ("flat", "code_error"):
            self.heal()
            self.h.mock.script("cheap", "status=400,error_body=%s,message=Look here" % shape)
            self.assertIn("Look here", self.h.chat().error["message"])

    def test_a_failed_attempt_costs_nothing_where_the_provider_bills_nothing(self):
        self.h.mock.script("cheap", "status=500")
        r = self.h.chat()
        self.assertEqual(r.headers["x-tollgate-cost-usd"], "0.0002")    # strong alone
        self.row_of(r)
        self.assertEqual(self.h.sql("select cost_nano from attempts where request_id = ? order by n",
                                    r.headers["x-tollgate-request-id"]), [(0,), (0,), (200000,)])

    def test_an_answer_that_broke_off_is_charged_as_an_estimate(self):
        self.h.mock.script("cheap", "cut=200")
        r = self.h.chat()
        self.row_of(r)
        rows = self.h.sql("select usage_source, cost_nano > 0 from attempts where request_id = ? order by n",
                          r.headers["x-tollgate-request-id"])
        self.assertEqual(rows, [("estimated", 1), ("estimated", 1), ("reported", 1)])
        self.h.run("audit")


class Windows(Failures):
    options = {"book": book(("cheap", "strong"), **{"mock/large": model(1000000)}),
               "policy": policy(routes=[{"name": "default", "steps": [
                   {"model": "mock/cheap", "attempts": 3}, {"model": "mock/strong"}, {"model": "mock/large"}]}])}

    def test_a_context_overflow_goes_only_to_a_larger_window(self):
        for words in ("status=400,code=context_length_exceeded", "status=400,message=This model%27s maximum context length is 5 tokens"):
            self.h.mock.reset()
            self.h.mock.script("cheap", words)
            r = self.h.chat()
            self.assertEqual(self.verdicts(r), [("failed:context", "cheap"), ("accepted", "large")])
        self.h.mock.script("large", "status=400,code=context_length_exceeded,message=too long for me")
        r = self.h.chat()
        self.error_is(r, 400, "context_length_exceeded", kind="invalid_request_error")
        self.assertEqual(r.error["message"], "too long for me")

    def test_a_prompt_beyond_every_window_is_refused_before_a_call(self):
        self.h.mock.reset()
        r = self.h.chat("word " * 2000000)
        self.error_is(r, 400, "context_length_exceeded", kind="invalid_request_error")
        self.assertEqual(self.h.mock.stats()["requests"], 0)


class RetryAfter(Failures):
    """Retry-After outlives its request: each test has a house."""

    def house(self, **limits):
        return House(policy=policy(routes=[{"name": "default", "steps": [{"model": "mock/cheap", "attempts": 2}, {"model": "mock/strong"}]},
                                           ][:1], limits=dict({"time_ms": 20000, "attempts": 7}, **limits)))

    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def setUp(self):
        pass

    def tearDown(self):
        pass

    def test_a_short_retry_after_is_honoured(self):
        with self.house() as h:
            h.mock.script("cheap", "status=429,retry_after=1", "text=ok")
            start = time.monotonic()
            r = h.chat()
            self.assertGreaterEqual(time.monotonic() - start, 0.99)
            self.assertEqual((r.text, r.headers["x-tollgate-model"]), ("ok", "cheap"))

    def test_retry_after_in_milliseconds_is_honoured(self):
        with self.house() as h:
            h.mock.script("cheap", "status=503,retry_after_ms=300", "text=ok")
            start = time.monotonic()
            r = h.chat()
            self.assertLess(time.monotonic() - start, 1 * PATIENCE)
            self.assertEqual((r.text, r.headers["x-tollgate-model"]), ("ok", "cheap"))

    def test_a_retry_after_beyond_the_time_left_goes_elsewhere_at_once(self):
        # NousResearch/hermes-agent#91091: a 429 of a spend limit stalled for 50 minutes
        with self.house() as h:
            h.mock.script("cheap", "status=429,retry_after=3000")
            start = time.monotonic()
            r = h.chat()
            self.assertLess(time.monotonic() - start, 1 * PATIENCE)
            self.assertEqual(r.headers["x-tollgate-model"], "strong")
            calls = h.mock.stats()["requests"]
            self.assertEqual(h.chat().headers["x-tollgate-attempts"], "1")    # not asked again while it runs
            self.assertEqual(h.mock.stats()["requests"], calls + 1)

    def test_when_all_wait_the_caller_is_told_how_long(self):
        with self.house() as h:
            h.mock.script("cheap", "status=429,retry_after=3000")
            h.mock.script("strong", "status=429,retry_after=100")
            for _ in range(2):    # while asked, and inside it
                r = h.chat()
                self.assertEqual((r.status, r.error["code"], r.error["type"]), (429, "upstream_rate_limited", "rate_limit_error"))
                self.assertIn(int(r.headers["retry-after"]), range(98, 101))
                self.assertNotIn("x-should-retry", r.headers)
            self.assertEqual(h.mock.stats()["requests"], 2)


class Keys(Failures):
    options = {"provider": {"keys": [{"env": "FLOW_KEY_1"}, {"env": "FLOW_KEY_2"}]},
               "env": {"FLOW_KEY_1": "sk-first-canary", "FLOW_KEY_2": "sk-second-canary"}}

    def test_a_refused_key_gives_way_to_the_next_of_the_same_model_and_stays_away(self):
        self.h.mock.script("cheap", "status=401,message=invalid key sk-first-canary", "text=ok")
        r = self.h.chat()
        self.assertEqual((r.text, r.headers["x-tollgate-attempts"]), ("ok", "2"))
        # Each call is a row (DESIGN section 8): the refused one was none.
        self.row_of(r)
        self.assertEqual(self.h.sql("select n, status, verdict, cost_nano from attempts where request_id = ? order by n",
                                    r.headers["x-tollgate-request-id"]),
                         [(1, 401, "failed:credential", 0), (2, 200, "accepted", 20000)])
        self.assertEqual(self.h.sql("select n, state from reservations where request_id = ? order by n",
                                    r.headers["x-tollgate-request-id"]), [(1, "released"), (2, "settled")])
        self.assertEqual(self.row_of(r), (200, 2))
        self.h.run("audit")
        sent = [c["headers"].get("Authorization", c["headers"].get("authorization")) for c in self.h.mock.log()]
        self.assertEqual(len(set(sent)), 2)
        self.assertEqual({s.split()[1] for s in sent}, {"sk-first-canary", "sk-second-canary"})
        for _ in range(4):
            self.assertEqual(self.h.chat().status, 200)
        later = [c["headers"].get("Authorization", c["headers"].get("authorization")) for c in self.h.mock.log()][2:]
        self.assertEqual(set(later), {sent[1]})
        told = [line for line in self.h.server.output if "provider mock refuses key 1 of 2: it rests for 60 s" in line]
        self.assertEqual(len(told), 1)


class Unreachable(Failures):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        subprocess.run([MOCK, "--make-ca", cls.dir.name], check=True, stdout=subprocess.DEVNULL)
        cls.tls = Mock("--tls", cls.dir.name, "127.0.0.1:0")
        ports = [int(line.rsplit(":", 1)[1]) for line in cls.tls.output if "listening" in line]
        closed = socket.create_server(("127.0.0.1", 0))    # a port where nobody answers: full backlog, no accept
        cls.silent = socket.create_server(("127.0.0.1", 0), backlog=0)
        cls.fill = []
        for _ in range(3):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(cls.silent.getsockname())
            cls.fill.append(s)
        refused = closed.getsockname()[1]
        closed.close()
        provider = lambda url, **more: dict({"dialect": "openai", "base_url": url, "connect_ms": 500}, **more)
        cls.h = House(start=False)
        cls.h.config["providers"].update({
            "refused": provider("http://127.0.0.1:%d/v1" % refused), "nowhere": provider("https://nowhere.invalid/v1"),
            "silent": provider("http://127.0.0.1:%d/v1" % cls.silent.getsockname()[1]),
            "untrusted": provider("https://127.0.0.1:%d/v1" % ports[1]),
            "trusted": provider("https://localhost:%d/v1" % ports[1], ca_file=cls.dir.name + "/ca.pem"),
            "misnamed": provider("https://127.0.0.2:%d/v1" % ports[1], ca_file=cls.dir.name + "/ca.pem"),
            "plain": provider("https://127.0.0.1:%d/v1" % ports[0], ca_file=cls.dir.name + "/ca.pem")})
        names = [n for n in cls.h.config["providers"] if n != "mock"]
        cls.h.write("tollgate.json", cls.h.config)
        cls.h.write("prices.json", book(("cheap",), **{n + "/m": model() for n in names}))
        cls.h.write("policy.json", policy(routes=[
            {"name": n, "when": {"header": "x-to", "is": n}, "steps": [{"model": n + "/m"}, {"model": "mock/cheap"}]}
            for n in names] + [{"name": "default", "steps": [{"model": "mock/cheap"}]}]))
        cls.h.start()

    @classmethod
    def tearDownClass(cls):
        cls.h.__exit__(None, None, None)
        cls.tls.stop()
        cls.silent.close()
        for s in cls.fill:
            s.close()
        cls.dir.cleanup()

    def test_a_provider_that_cannot_be_reached_is_passed_over(self):
        for name, why in (("refused", "connect"), ("nowhere", "connect"), ("silent", "timeout")):
            with self.subTest(name):
                r = self.h.chat(headers={"x-to": name})
                self.assertEqual((r.status, r.headers["x-tollgate-model"]), (200, "cheap"))
                self.assertEqual(self.verdicts(r), [("failed:" + why, "m"), ("accepted", "cheap")])
                self.assertTrue(self.h.server.said("provider %s cannot be reached: " % name))    # why, for the operator

    def test_a_call_that_never_left_costs_nothing_when_the_caller_leaves_or_the_deadline_comes(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:    # takes connections, and says nothing to a handshake
            h = House(config={"providers": {"mock": {
                "dialect": "openai", "base_url": "https://127.0.0.1:%d/v1" % silent.getsockname()[1]}}})
            with h:
                r = h.chat(headers={"x-tollgate-deadline-ms": "300"}, model="mock/cheap")
                self.assertEqual((r.status, r.headers["x-tollgate-cost-usd"]), (504, "0"))
                c = h.connect()
                c.request("POST", "/v1/chat/completions", json.dumps(
                    {"model": "mock/cheap", "messages": [{"role": "user", "content": "Hi"}]}),
                    {"authorization": "Bearer " + h.key})
                wait_for(lambda: len(h.sql("select 1 from reservations")) == 2, 5, "the call")
                c.close()
                wait_for(lambda: not h.sql("select 1 from reservations where state = 'open'"), 5, "its end")
                self.assertEqual(h.sql("select verdict, cost_nano from attempts order by started_ms"),
                                 [("cancelled:deadline", 0), ("cancelled:caller", 0)])
                h.run("audit")

    def test_a_certificate_that_does_not_verify_is_never_talked_to(self):
        before = self.tls.stats()["requests"]
        for name in ("untrusted", "misnamed", "plain"):
            with self.subTest(name):
                r = self.h.chat(headers={"x-to": name})
                self.assertEqual(self.verdicts(r), [("failed:connect", "m"), ("accepted", "cheap")])
                r = self.h.chat(model=name + "/m")
                self.error_is(r, 502, "upstream_unreachable")
        self.assertEqual(self.tls.stats()["requests"], before)

    def test_a_certificate_that_verifies_is_used(self):
        r = self.h.chat(headers={"x-to": "trusted"})
        self.assertEqual((r.status, r.headers["x-tollgate-provider"]), (200, "trusted"))


class Breaker(Failures):
    options = {"policy": policy(routes=[{"name": "default", "steps": [{"model": "mock/cheap"}, {"model": "mock/strong"}]}])}

    def test_after_five_failures_in_a_row_a_model_is_passed_over_until_it_heals(self):
        self.h.mock.script("cheap", *["status=500"] * 5, "text=healed")
        for i in range(5):
            self.assertEqual(self.h.chat().headers["x-tollgate-attempts"], "2")
        opened = time.monotonic()
        for i in range(5):
            r = self.h.chat()
            self.assertEqual((r.headers["x-tollgate-attempts"], r.headers["x-tollgate-model"]), ("1", "strong"))
        # named alone it is tried all the same
        self.assertEqual(self.h.chat(model="mock/strong").status, 200)
        wait_for(lambda: self.h.chat().headers["x-tollgate-model"] == "cheap", 8, "the breaker to let one through")
        self.assertGreater(time.monotonic() - opened, 4.5)
        self.assertEqual(self.h.chat().headers["x-tollgate-model"], "cheap")

    def test_four_failures_and_a_success_do_not_open_it(self):
        self.h.mock.script("cheap", *(["status=500"] * 4 + ["text=ok"]) * 3)
        for i in range(15):
            self.assertEqual(self.h.chat().headers["x-tollgate-attempts"], "1" if i % 5 == 4 else "2")

    def test_the_callers_own_faults_do_not_open_it(self):
        self.h.mock.script("cheap", *["status=400,message=no"] * 8, "text=ok")
        for i in range(8):
            self.assertEqual(self.h.chat().status, 400)
        self.assertEqual(self.h.chat().text, "ok")


class Limits(Failures):
    options = {"policy": policy(limits={"time_ms": 20000, "attempts": 3}, routes=[{"name": "default", "steps": [
        {"model": "mock/cheap", "attempts": 2, "checks": CHECKS}, {"model": "mock/strong", "attempts": 2, "checks": CHECKS},
        {"model": "mock/last"}]}])}

    def setUp(self):
        self.heal()

    def test_no_more_attempts_are_made_than_the_policy_allows(self):
        # BerriAI/litellm#19985: a fallback restarted the retry cycle
        for name in ("cheap", "strong"):
            self.h.mock.script(name, "empty")
        r = self.h.chat()
        self.error_is(r, 502, "answer_rejected")
        self.assertEqual(self.h.mock.stats()["requests"], 3)
        self.assertEqual(r.headers["x-tollgate-attempts"], "3")
        self.assertEqual(self.verdicts(r), [("rejected:not_empty", "cheap"), ("rejected:not_empty", "cheap"),
                                            ("rejected:not_empty", "strong")])
        self.assertEqual(r.headers["x-tollgate-cost-usd"], "0.00024")    # rejected ones are paid

    def test_a_cost_limit_below_every_model_refuses_before_a_call(self):
        r = self.h.chat(headers={"x-tollgate-max-cost-usd": "0.000001"})
        self.error_is(r, 429, "insufficient_quota", kind="insufficient_quota")
        self.assertIn("x-tollgate-max-cost-usd", r.error["message"])
        self.assertIn("0.000001 USD", r.error["message"])
        self.assertEqual(self.h.mock.stats()["requests"], 0)
        self.assertEqual(self.row_of(r), (429, 0))

    def test_a_cost_limit_leaves_out_the_models_that_do_not_fit(self):
        # at worst cheap costs 0.0083, strong ten times that
        self.h.mock.script("cheap", "refuse")
        r = self.h.chat(headers={"x-tollgate-max-cost-usd": "0.02"})
        self.error_is(r, 429, "insufficient_quota", kind="insufficient_quota")
        self.assertEqual([v[1] for v in self.verdicts(r)], ["cheap"])
        self.assertEqual(self.h.chat(headers={"x-tollgate-max-cost-usd": "0.2"}).headers["x-tollgate-model"], "strong")

    def test_a_small_max_tokens_makes_room_under_a_cost_limit(self):
        self.h.mock.script("cheap", "refuse")
        r = self.h.chat(headers={"x-tollgate-max-cost-usd": "0.02"}, max_tokens=50)
        self.assertEqual(r.headers["x-tollgate-model"], "strong")

    def test_a_deadline_ends_a_call_that_is_slow(self):
        self.h.mock.script("cheap", "body_ms=20000")
        start = time.monotonic()
        r = self.h.chat(headers={"x-tollgate-deadline-ms": "300"})
        self.assertLess(time.monotonic() - start, 1.5 * PATIENCE)
        self.error_is(r, 504, "deadline_exceeded")
        self.assertIn("x-tollgate-deadline-ms", r.error["message"])
        self.assertEqual(self.verdicts(r), [("cancelled:deadline", "cheap")])
        wait_for(lambda: self.h.mock.stats()["aborted"] == 1, 1, "the upstream to be cancelled")

    def test_a_deadline_also_ends_the_waits_between_attempts(self):
        for name in ("cheap", "strong", "last"):
            self.h.mock.script(name, "status=500")
        start = time.monotonic()
        r = self.h.chat(headers={"x-tollgate-deadline-ms": "200"})
        self.assertLess(time.monotonic() - start, 1.2 * PATIENCE)
        self.assertGreaterEqual(r.status, 500)


class Timeouts(Failures):
    options = {"policy": policy(routes=[{"name": "default", "steps": [{"model": "mock/cheap"}]}]),
               "provider": {"first_byte_ms": 300, "answer_ms": 900, "idle_ms": 300}}

    def took(self, words, **fields):
        self.heal(("cheap",))
        self.h.mock.script("cheap", words)
        start = time.monotonic()
        r = self.h.chat(**fields)
        return r, time.monotonic() - start

    def test_a_stream_has_first_byte_ms_and_a_whole_answer_has_answer_ms(self):
        r, s = self.took("first_ms=5000", stream=True)
        self.error_is(r, 504, "upstream_timeout")
        self.assertTrue(0.25 < s < 0.8 * PATIENCE, s)
        r, s = self.took("body_ms=5000")
        self.error_is(r, 504, "upstream_timeout")
        self.assertTrue(0.25 < s < 1.6 * PATIENCE, s)
        r, s = self.took("first_ms=600")
        self.assertEqual(r.status, 200)

    def test_an_answer_that_falls_silent_is_cut_after_idle_ms(self):
        r, s = self.took("stall=100,bytes=1000")
        self.error_is(r, 504, "upstream_timeout")
        self.assertLess(s, 1.2 * PATIENCE)

    def test_an_answer_that_drips_is_cut_after_answer_ms(self):
        r, s = self.took("keepalive=0,blank=400,every_ms=20,piece=1")
        self.assertLess(s, 2 * PATIENCE)


class Placement(Failures):
    """A route with placement local claims what is sensitive, whatever the caller asks for."""

    @classmethod
    def setUpClass(cls):
        cls.near = Mock()
        cls.h = House(start=False, book=book(("cheap", "strong"), **{"near/safe": model()}), policy=policy(
            labels={"sensitive": {"any": [{"header": "x-tollgate-sensitivity", "is": "high"}, {"team": "legal"}]}},
            routes=[{"name": "sovereign", "when": {"label": "sensitive"}, "placement": "local",
                     "steps": [{"model": "near/safe", "attempts": 2, "checks": CHECKS}]},
                    {"name": "coding", "when": {"header": "x-code", "is": "yes"}, "steps": [{"model": "mock/strong"}]},
                    {"name": "default", "steps": [{"model": "mock/cheap"}]}]))
        cls.h.config["providers"]["near"] = {"dialect": "openai", "placement": "local",
                                             "base_url": "http://127.0.0.1:%d/v1" % cls.near.port}
        cls.h.write("tollgate.json", cls.h.config)
        cls.h.start()
        cls.legal = json.loads(cls.h.run("keys", "create", "--team", "legal", "--name", "l", "--format", "json")[1])["key"]

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.near.stop()

    def setUp(self):
        super().setUp()
        self.near.reset()

    HIGH = {"x-tollgate-sensitivity": "high"}

    def test_what_is_sensitive_never_leaves_whatever_is_asked_for(self):
        wait_for(lambda: self.h.request("GET", "/v1/models", key=self.legal).status == 200, 1, "the key")
        self.h.mock.reset()
        wants = [({}, {}), ({}, {"model": "mock/strong"}), ({}, {"model": "strong"}), ({}, {"model": "coding"}),
                 ({"x-tollgate-route": "default"}, {}), ({"x-tollgate-route": "coding"}, {}),
                 ({"x-tollgate-route": "coding", "x-code": "yes"}, {"model": "mock/cheap"}), ({}, {"stream": True, "model": "cheap"})]
        who = [(self.HIGH, True), ({"x-tollgate-sensitivity": " HIGH "}, True), ({"X-Tollgate-Sensitivity": "High"}, True),
               ({}, self.legal), ({"x-tollgate-sensitivity": "low"}, self.legal)]
        for headers, fields in wants:
            for more, key in who:
                with self.subTest(headers=headers, fields=fields, more=more):
                    r = self.h.chat("secret", headers=dict(headers, **more), key=key, **fields)
                    self.assertEqual((r.status, r.headers["x-tollgate-route"], r.headers["x-tollgate-model"]), (200, "sovereign", "safe"))
                    self.assertEqual("x-tollgate-warning" in r.headers, bool(headers) or "model" in fields)
        self.assertEqual(self.h.mock.stats()["requests"], 0)

    def test_of_two_sensitivity_headers_the_high_one_counts(self):
        s = self.h.raw()
        body = b'{"model":"auto","messages":[{"role":"user","content":"Hi"}]}'
        s.sendall(("POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer %s\r\nx-tollgate-sensitivity: low\r\n"
                   "x-tollgate-sensitivity: high\r\ncontent-length: %d\r\n\r\n" % (self.h.key, len(body))).encode() + body)
        self.assertIn(b"x-tollgate-route: sovereign", s.recv(65536))
        s.close()
        self.assertEqual(self.h.mock.stats()["requests"], 0)

    def test_when_the_local_model_fails_the_request_fails_rather_than_leaves(self):
        for words in ("status=500", "refuse", "status=401", "status=429,retry_after=0", "cut=-2", "status=400,code=context_length_exceeded"):
            self.near.reset()
            self.near.script("safe", words)
            r = self.h.chat("secret", headers=dict(self.HIGH, **{"x-tollgate-route": "default"}))
            self.assertGreaterEqual(r.status, 400)
        self.assertEqual(self.h.mock.stats()["requests"], 0)

    def test_what_is_not_sensitive_goes_where_it_is_asked_to(self):
        r = self.h.chat(headers={"x-tollgate-sensitivity": "low"})
        self.assertEqual((r.headers["x-tollgate-route"], r.headers["x-tollgate-model"]), ("default", "cheap"))

    def test_a_route_header_wins_over_the_model_and_needs_no_when(self):
        r = self.h.chat(headers={"x-tollgate-route": "coding"}, model="mock/cheap")
        self.assertEqual((r.headers["x-tollgate-route"], r.headers["x-tollgate-model"]), ("coding", "strong"))
        r = self.h.chat(model="coding")
        self.assertEqual((r.headers["x-tollgate-route"], r.headers["x-tollgate-model"]), ("coding", "strong"))

    def test_a_named_model_is_one_attempt_without_checks_under_the_route_direct(self):
        for name in ("mock/strong", "strong"):
            self.h.mock.reset()
            self.h.mock.script("strong", "refuse")
            r = self.h.chat(model=name)
            self.assertEqual((r.status, r.headers["x-tollgate-route"], r.headers["x-tollgate-attempts"]), (200, "direct", "1"))
            self.assertIn("sorry", r.text)
            self.h.mock.script("strong", "status=500")
            r = self.h.chat(model=name)
            self.error_is(r, 502, "upstream_error")
            self.assertEqual(self.h.mock.stats()["requests"], 2)


if __name__ == "__main__":
    unittest.main()
