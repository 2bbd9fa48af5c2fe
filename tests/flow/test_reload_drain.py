"""Reload, drain, and an engine that dies: nobody who is being served notices."""
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

from house import CHECKS, SOURCE, TOLLGATE, House, PATIENCE, Program, book, policy, wait_for
from test_streams import Stream


def to(*names, **more):
    return policy(routes=[{"name": "default", "steps": [{"model": "mock/" + n, "checks": CHECKS} for n in names]}], **more)


def open_text(path):
    with open(path) as f:
        return f.read()


def serial(h):
    """Of the certificate that a new connection is shown, which is not verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", h.port), 10) as s, context.wrap_socket(s) as t:
        return t.getpeercert(binary_form=True)


def other_certificate(h):
    """cert.pem and key.pem of another development CA in place of h's."""
    other = h.path("other")
    subprocess.run([TOLLGATE, "init", "--port", "1", other], check=True, stdout=subprocess.DEVNULL)
    for name in ("cert.pem", "key.pem"):
        shutil.copy(os.path.join(other, name), h.path(name))
    h.context = ssl.create_default_context(cafile=os.path.join(other, "ca.pem"))


class Reload(unittest.TestCase):
    """BerriAI/litellm#30772, #20409: config changes need a restart or are ignored."""

    def test_a_new_policy_takes_effect_and_a_bad_one_keeps_the_old_and_says_why(self):
        with House() as h:
            self.assertEqual(h.chat().headers["x-tollgate-model"], "cheap")
            h.write("policy.json", to("strong"))
            self.assertTrue(h.reload())
            self.assertEqual(h.chat().headers["x-tollgate-model"], "strong")
            for bad in ('{"name": "x", "routes": [', to("nowhere"), {"name": "x", "routes": []},
                        dict(to("last"), rotues=[])):
                h.write("policy.json", bad)
                before = len(h.server.output)
                self.assertFalse(h.reload())
                self.assertRegex("".join(h.server.output[before:]), r"policy\.json:\d+: ")
                self.assertEqual(h.chat().headers["x-tollgate-model"], "strong")
            os.unlink(h.path("policy.json"))
            self.assertFalse(h.reload())
            self.assertEqual(h.chat().headers["x-tollgate-model"], "strong")
            self.assertEqual(h.metrics()["tollgate_reloads_total"], 1)
            self.assertEqual(h.metrics()["tollgate_reloads_failed_total"], 5)

    def test_new_prices_hold_for_new_requests_and_both_versions_stay_in_the_ledger(self):
        with House() as h:
            self.assertEqual(h.chat().headers["x-tollgate-cost-usd"], "0.00002")
            dear = book()
            dear["models"]["mock/cheap"]["versions"].append(
                {"from": "2026-01-01T00:00:00Z", "source": "made for a test", "input": "5", "output": "10"})
            h.write("prices.json", dear)
            self.assertTrue(h.reload())
            self.assertEqual(h.chat().headers["x-tollgate-cost-usd"], "0.0001")
            dear["models"]["mock/cheap"]["versions"][0]["input"] = "-1"
            h.write("prices.json", dear)
            self.assertFalse(h.reload())
            self.assertEqual(h.chat().headers["x-tollgate-cost-usd"], "0.0001")
            h.run("audit", check=False)
            h.server.stop()
            dear["models"]["mock/cheap"]["versions"][0]["input"] = "1"
            h.write("prices.json", dear)
            h.run("audit")
            self.assertEqual(h.sql("select count(distinct price_version) from attempts"), [(2,)])

    def test_a_new_config_takes_effect_and_what_needs_a_restart_says_so(self):
        with House() as h:
            h.config["limits"] = {"body_bytes": 500}
            h.write("tollgate.json", h.config)
            self.assertTrue(h.reload())
            self.assertEqual(h.chat("x" * 1000).status, 413)
            for change in ({"workers": 3}, {"listen": h.config["listen"] * 2}, {"admin": {"address": "127.0.0.2:0"}},
                           {"ledger": {"sqlite": "another.db"}},
                           {"ledger": {"sqlite": "tollgate.db", "durability": "power"}}):
                h.write("tollgate.json", dict(h.config, **change))
                self.assertFalse(h.reload(), change)
                self.assertTrue(h.server.said('"%s" has changed: that takes a restart' % list(change)[0]))
            h.write("tollgate.json", json.dumps(h.config)[:-1])
            self.assertFalse(h.reload())
            h.write("tollgate.json", dict(h.config, providers={}))
            self.assertFalse(h.reload())
            self.assertEqual(h.chat("x" * 1000).status, 413)
            self.assertEqual(h.chat().status, 200)

    def test_a_new_certificate_is_served_and_a_bad_one_keeps_the_old(self):
        with House() as h:
            first = serial(h)
            open_before = h.connect()
            self.assertEqual(h.chat(connection=open_before).status, 200)
            other_certificate(h)
            self.assertEqual(serial(h), first)
            self.assertTrue(h.reload())
            second = serial(h)
            self.assertNotEqual(second, first)
            self.assertEqual(h.chat().status, 200)                               # verified against the new CA
            self.assertEqual(h.chat(connection=open_before).status, 200)         # the old connection lives on
            open_before.close()
            with open(h.path("cert.pem")) as f:
                good = f.read()
            for bad in ("", "no certificate", good[:200]):
                h.write("cert.pem", bad)
                self.assertFalse(h.reload())
                self.assertTrue(h.server.said("cert.pem"))
                self.assertEqual(serial(h), second)
            h.write("cert.pem", good)
            shutil.copy(h.path("ca.pem"), h.path("key.pem"))                     # a file that is no key
            self.assertFalse(h.reload())
            self.assertEqual(serial(h), second)

    def test_a_request_sees_one_config_from_beginning_to_end(self):
        with House(policy=to("cheap", "strong")) as h:
            h.mock.script("cheap", "body_ms=700,refuse")
            got = []
            t = threading.Thread(target=lambda: got.append(h.chat()))
            t.start()
            wait_for(lambda: h.mock.stats()["requests"] == 1, 5, "the first attempt")
            h.write("policy.json", to("cheap", "last"))
            h.write("prices.json", book(("cheap", "last")))    # strong is gone, last costs less
            self.assertTrue(h.reload())
            t.join()
            self.assertEqual(got[0].headers["x-tollgate-model"], "strong")
            self.assertEqual(got[0].headers["x-tollgate-cost-usd"], "0.00022")
            r = h.chat()
            self.assertEqual((r.headers["x-tollgate-model"], r.headers["x-tollgate-cost-usd"]), ("last", "0.00022"))

    def test_thirty_reloads_half_of_them_bad_drop_no_stream(self):
        with House(policy=policy(routes=[{"name": "default", "stream": "pass", "steps": [{"model": "mock/cheap"}]}]), workers=2) as h:
            h.mock.script("cheap", "chunks=60,bytes=10,every_ms=25")
            streams = [Stream(h) for _ in range(20)]
            for s in streams:
                s.until(b"the quick")
            with open(h.path("policy.json")) as f:
                good = f.read()
            for i in range(30):
                h.write("policy.json", good if i % 2 else good[:i * 3])
                self.assertEqual(h.reload(), bool(i % 2))
            for s in streams:
                s.rest()
                self.assertEqual((len(s.text), s.blocks[-1]), (600, "data: [DONE]"))
            fds = len(os.listdir("/proc/%d/fd" % h.server.process.pid))
            h.reload()
            wait_for(lambda: len(os.listdir("/proc/%d/fd" % h.server.process.pid)) <= fds, 5, "descriptors to stay")


class Drain(unittest.TestCase):
    def house(self, **more):
        return House(policy=policy(routes=[{"name": "default", "stream": "pass", "steps": [{"model": "mock/cheap"}]}]), **more)

    def refused(self, h):
        try:
            socket.create_connection(("127.0.0.1", h.port), 2).close()
            return False
        except (ConnectionRefusedError, ConnectionResetError):    # reset: it was in the queue when that was closed
            return True

    def test_sigterm_lets_a_running_stream_finish_and_refuses_new_connections(self):
        with self.house() as h:
            h.mock.script("cheap", "chunks=40,bytes=10,every_ms=25")
            idle = h.connect()
            self.assertEqual(h.request("GET", "/readyz", connection=idle).status, 200)
            s = Stream(h).until(b"the quick")
            h.server.process.send_signal(signal.SIGTERM)
            wait_for(lambda: self.refused(h), 2, "new connections to be refused")
            self.assertEqual(h.metrics()["tollgate_draining"], 1)
            self.assertEqual(idle.sock.recv(1), b"")    # who only waits is closed at once
            idle.close()
            s.rest()
            self.assertEqual((len(s.text), s.blocks[-1]), (400, "data: [DONE]"))
            self.assertEqual(h.server.process.wait(5 * PATIENCE), 0)
            self.assertEqual(h.sql("select status from requests"), [(200,)])
            self.assertEqual(h.sql("select count(*) from reservations where state = 'open'"), [(0,)])

    def test_readyz_is_red_while_it_drains(self):
        with self.house() as h:
            h.mock.script("cheap", "chunks=40,bytes=10,every_ms=25")
            probe = h.raw()    # a probe that is half sent when the drain begins
            probe.sendall(b"GET /readyz HTTP/1.1\r\nhost: a\r\n")
            s = Stream(h).until(b"the quick")
            h.server.process.send_signal(signal.SIGTERM)
            wait_for(lambda: self.refused(h), 2, "the drain")
            probe.sendall(b"\r\n")
            got = probe.recv(65536)
            probe.close()
            self.assertIn(b"HTTP/1.1 503 ", got)
            self.assertIn(b"draining", got)
            self.assertIn(b"connection: close", got)
            s.rest()

    def test_a_second_sigterm_ends_it_at_once_with_everything_settled(self):
        with self.house() as h:
            h.mock.script("cheap", "chunks=1000,bytes=10,every_ms=25")
            s = Stream(h).until(b"the quick")
            h.server.process.send_signal(signal.SIGTERM)
            wait_for(lambda: self.refused(h), 2, "the drain")
            start = time.monotonic()
            h.server.process.send_signal(signal.SIGTERM)
            self.assertEqual(h.server.process.wait(5 * PATIENCE), 0)
            self.assertLess(time.monotonic() - start, 2 * PATIENCE)
            self.assertNotIn(b"[DONE]", s.rest().got)
            self.check_cut(h)

    def test_a_request_that_outlasts_drain_ms_is_cut_and_settled(self):
        with self.house(config={"limits": {"drain_ms": 400}}) as h:
            h.mock.script("cheap", "chunks=1000,bytes=10,every_ms=25")
            s = Stream(h).until(b"the quick")
            start = time.monotonic()
            self.assertEqual(h.server.stop(), 0)
            self.assertGreater(time.monotonic() - start, 0.35)
            self.assertLess(time.monotonic() - start, 3 * PATIENCE)
            self.assertNotIn(b"[DONE]", s.rest().got)
            self.assertTrue(h.server.said("did not end in time"))
            self.check_cut(h)

    def check_cut(self, h):
        self.assertEqual(h.sql("select verdict, usage_source, cost_nano > 0 from attempts"), [("cancelled:shutdown", "estimated", 1)])
        self.assertEqual(h.sql("select status, cost_nano > 0 from requests"), [(503, 1)])
        self.assertEqual(h.sql("select count(*) from reservations where state = 'open'"), [(0,)])
        h.run("audit")

    def test_it_starts_again_on_the_same_ledger(self):
        with self.house() as h:
            for i in range(3):
                self.assertEqual(h.chat().status, 200)
                self.assertEqual(h.server.stop(), 0)
                h.start()
            self.assertEqual(h.sql("select count(*) from requests where status = 200"), [(3,)])
            h.run("audit")


class Second(unittest.TestCase):
    def test_a_second_serve_on_a_ledger_ends_before_it_has_started_an_engine(self):
        with House() as h:
            engine = h.path("engine")
            h.write("engine", "#!/bin/sh\ntouch %s.ran\nexec sleep 60\n" % engine)
            os.chmod(engine, 0o755)
            config = dict(h.config, providers={"local": {"dialect": "openai", "placement": "local", "engine": {"models": {
                "tiny-flash": os.path.join(SOURCE, "engine/models/tiny-flash")}}}})
            with open(h.path("second-policy.json"), "w") as f:
                json.dump({"name": "second", "routes": [{"name": "default", "steps": [{"model": "local/tiny-flash"}]}]}, f)
            shutil.copy(os.path.join(SOURCE, "pricing/prices.json"), h.path("second-prices.json"))
            h.write("second.json", dict(config, policy="second-policy.json", prices="second-prices.json"))
            p = subprocess.run([TOLLGATE, "serve", "--config", h.path("second.json")], capture_output=True, text=True,
                               env=dict(h.env, TOLLGATE_ENGINE=engine), timeout=60)
            self.assertEqual(p.returncode, 1)
            self.assertIn("another tollgate serves with this ledger", p.stderr)
            self.assertFalse(os.path.exists(engine + ".ran"))
            self.assertEqual(h.chat().status, 200)


class Early(unittest.TestCase):
    def test_signals_while_it_starts_are_heard_when_it_has_and_end_it_well(self):
        with House(start=False) as h:
            text = open_text(h.path("prices.json"))
            os.remove(h.path("prices.json"))
            os.mkfifo(h.path("prices.json"))    # its start rests here until somebody writes
            h.server = Program([TOLLGATE, "serve", "--config", h.path("tollgate.json")], env=h.env)
            fd = wait_for(lambda: self.reader_of(h.path("prices.json")), 10, "a start that reads the prices")
            for sig in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
                h.server.process.send_signal(sig)
            os.remove(h.path("prices.json"))    # a reload finds a file
            h.write("prices.json", text)
            os.set_blocking(fd, True)
            os.write(fd, text.encode())
            os.close(fd)
            self.assertEqual(0, h.server.process.wait(10 * PATIENCE))
            wait_for(lambda: h.server.said("listening on"), 5, "its words")

    def reader_of(self, fifo):
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:    # ENXIO: nobody reads yet
            return 0


class Engine(unittest.TestCase):
    """A real tollgate-engine as a child, and the mock as the next step."""

    def house(self, **provider):
        local = dict({"dialect": "openai", "placement": "local", "engine": {
            "models": {"tiny-random": os.path.abspath(os.path.join(SOURCE, "engine/models/tiny-random"))}, "threads": 1}}, **provider)
        prices = book(("cheap",))
        prices["models"]["local/tiny-random"] = {"context": 512, "max_output": 64, "versions": [
            {"from": "2020-01-01T00:00:00Z", "source": "made for a test", "input": "1", "output": "1"}]}
        h = House(start=False, book=prices, policy=policy(routes=[{"name": "default", "steps": [
            {"model": "local/tiny-random", "attempts": 2}, {"model": "mock/cheap"}]}]))
        h.config["providers"]["local"] = local
        h.write("tollgate.json", h.config)
        h.start()
        return h

    def child(self, h):
        """The pid of the engine, 0 when there is none."""
        for pid in os.listdir("/proc"):
            if pid.isdigit():
                try:
                    with open("/proc/%s/stat" % pid) as f:
                        name, _, rest = f.read().rpartition(") ")
                    if rest.split()[1] == str(h.server.process.pid) and "tollgate-engin" in name:
                        return int(pid)
                except OSError:
                    pass
        return 0

    def ask(self, h):
        return h.chat("Hi", max_tokens=4)

    def model(self, h):
        return self.ask(h).headers.get("x-tollgate-model")

    def test_an_engine_that_is_killed_is_started_again_and_a_request_meanwhile_is_answered(self):
        with self.house() as h:
            wait_for(lambda: self.model(h) == "tiny-random", 20, "the engine")
            for _ in range(3):
                old = wait_for(lambda: self.child(h), 10, "a child")
                os.kill(old, signal.SIGKILL)
                statuses = {self.ask(h).status for _ in range(5)}
                self.assertEqual(statuses, {200})
                wait_for(lambda: self.child(h) not in (0, old), 10, "another child")
                wait_for(lambda: self.model(h) == "tiny-random", 20, "the engine to answer again")
            self.assertTrue(h.server.said("ended by signal 9"))
            wait_for(lambda: not h.sql("select 1 from reservations where state = 'open'"), 5, "settlement")
            h.run("audit")

    def test_an_engine_killed_in_the_middle_of_answers_costs_a_retry_and_no_error(self):
        with self.house() as h:
            wait_for(lambda: self.model(h) == "tiny-random", 20, "the engine")
            got, stop = [], threading.Event()

            def caller():
                while not stop.is_set():
                    got.append(h.chat("Hi there", max_tokens=40).status)
            threads = [threading.Thread(target=caller) for _ in range(3)]
            for t in threads:
                t.start()
            for _ in range(3):
                pid = wait_for(lambda: self.child(h), 20, "a child")
                before = len(got)
                wait_for(lambda: len(got) > before, 20, "an answer")
                os.kill(pid, signal.SIGKILL)
                wait_for(lambda: self.child(h) not in (0, pid), 20, "another child")
            stop.set()
            for t in threads:
                t.join()
            self.assertEqual(set(got), {200})

    def test_an_engine_that_is_stopped_times_out_to_the_next_step(self):
        with self.house(answer_ms=700, first_byte_ms=700) as h:
            wait_for(lambda: self.model(h) == "tiny-random", 20, "the engine")
            pid = self.child(h)
            os.kill(pid, signal.SIGSTOP)
            try:
                r = self.ask(h)
                self.assertEqual((r.status, r.headers["x-tollgate-model"]), (200, "cheap"))
                id = r.headers["x-tollgate-request-id"]
                wait_for(lambda: h.sql("select 1 from requests where id = ? and status = 200", id), 5, "the row")
                self.assertEqual([v for v, in h.sql("select verdict from attempts where request_id = ? order by n", id)],
                                 ["failed:timeout"] * 2 + ["accepted"])
            finally:
                os.kill(pid, signal.SIGCONT)
            wait_for(lambda: self.model(h) == "tiny-random", 15, "the engine to answer again")

    def test_the_engine_ends_with_the_gateway_also_when_that_is_killed(self):
        for sig in (signal.SIGTERM, signal.SIGKILL):
            with self.house() as h:
                pid = wait_for(lambda: self.child(h), 10, "a child")
                h.server.stop(sig)
                h.server = None
                wait_for(lambda: not os.path.exists("/proc/%d" % pid), 8, "the engine to end")


if __name__ == "__main__":
    unittest.main()
