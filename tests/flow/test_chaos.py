"""Everything at once for some seconds, by a seed: callers that do what they like, upstreams that do worse, budgets and keys
that come and go, reloads; then silence, and the books must be even.

CHAOS_SECONDS (8), CHAOS_SEED (the day's), CHAOS_CALLERS (12). A failure names its seed."""
import json
import os
import random
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from house import CHECKS, MOCK, House, Mock, book, policy, wait_for

SECONDS = float(os.environ.get("CHAOS_SECONDS", "8"))
SEED = int(os.environ.get("CHAOS_SEED", time.strftime("%Y%m%d")))
CALLERS = int(os.environ.get("CHAOS_CALLERS", "12"))

def steps(*providers):
    return [{"model": providers[0] + "/cheap", "attempts": 2, "checks": CHECKS}, {"model": providers[-1] + "/strong", "checks": CHECKS},
            {"model": providers[0] + "/last"}]


def chaos_policy(time_ms):
    """Upstreams are called in plain, by TLS (another client inside), and one after the other."""
    ways = [("pass", "pass", ("mock",)), ("window", "window:60", ("mock", "tls")), ("hold", "hold", ("tls",)),
            ("tlspass", "pass", ("tls",))]
    return policy(routes=[{"name": name, "steps": steps(*p), "when": {"tag": "way=" + name}, "stream": stream} for name, stream, p in ways]
                  + [{"name": "default", "steps": steps("mock", "tls")}], limits={"time_ms": time_ms, "attempts": 5})


def chaos_book(factor=1):
    b = book()
    for m in b["models"].values():
        for k in ("input", "output"):
            m["versions"][0][k] = str(int(m["versions"][0][k]) * factor)
    b["models"].update({"tls/" + k[5:]: m for k, m in b["models"].items()})
    return b


def words(dice):
    """A script for the mock: half of them do no harm."""
    w = dice.choice([
        "bytes=%d" % dice.choice((0, 1, 60, 3000, 40000)), "chunks=%d,bytes=20" % dice.randint(1, 60), "chunks=20,every_ms=5",
        "usage=" + dice.choice(("none", "negative", "huge", "beyond", "float", "string", "null", "empty", "deepseek")),
        "in=%d,out=%d,cached=%d" % (dice.randint(0, 90000), dice.randint(0, 5000), dice.randint(0, 90000)),
        "status=%d" % dice.choice((400, 401, 402, 403, 404, 408, 413, 422, 500, 502, 503, 529)),
        "status=429,retry_after_ms=%d" % dice.randint(1, 60), "status=302,location=http://127.0.0.1:1/", "status=204",
        "cut=%d" % dice.choice((-2, 0, 1, 5, 100)), "reset=%d" % dice.choice((-2, 0, 1, 5, 100)),
        "stall=%d" % dice.choice((-2, 0, 2)), "malformed", "badutf8", "crlf", "nodone", "gzip", "bighead", "badhead", "badchunk",
        "badlength", "early_hints", "close", "nolength", "piece=%d" % dice.choice((1, 7, 1000)), "refuse", "empty",
        "tool=get_w", "tool=get_w,tools=3,badargs", "reasoning=50", "late_error=%d" % dice.randint(0, 4), "keepalive=3", "blank=3",
        "finish=length", "finish=content_filter", "bigline=100000", "bytes=2000000", "chunks=300,bytes=8000",
        "first_ms=%d" % dice.randint(1, 300), "body_ms=%d" % dice.randint(1, 300)])
    return w + dice.choice(("", "", "", ",piece=%d" % dice.choice((3, 100))))


class Caller:
    """One thread's worth of mischief. `answers`: (id, status, cost or None) of each answer that came whole."""

    def __init__(self, chaos, n):
        self.chaos, self.h, self.dice = chaos, chaos.h, random.Random(SEED * 1000 + n)
        self.answers, self.crash, self.open = [], None, []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while time.monotonic() < self.chaos.until:
            try:
                getattr(self, self.dice.choice(("good",) * 6 + ("leave",) * 4 + ("upload",) * 2 + ("pipeline", "slow", "bad", "raw")))()
            except (OSError, EOFError):    # a connection that ended: its caller's own doing, or the gateway's right
                pass
            except Exception as e:    # a lie in an answer
                self.crash = self.crash or e
            finally:
                while self.open:
                    self.open.pop().close()

    def connect(self, timeout=20):
        self.open.append(self.h.raw(timeout=timeout))
        return self.open[-1]

    def body(self, stream=None):
        d = self.dice
        b = {"model": d.choice(("auto",) * 6 + ("mock/cheap", "mock/nothing", "pass", "default")), "messages": [
            {"role": "user", "content": "x" * d.choice((1, 1, 100, 70000)) + " mock:" + words(d)}]}
        if d.random() < 0.5 if stream is None else stream:
            b["stream"] = True
            if d.random() < 0.3:
                b["stream_options"] = {"include_usage": d.random() < 0.7}
        if d.random() < 0.2:
            b["max_tokens"] = d.randint(1, 5000)
        if d.random() < 0.1:
            b["response_format"] = {"type": "json_object"}
        return json.dumps(b).encode()

    def key(self):
        return self.dice.choice(self.chaos.keys)

    def head(self, length, more=""):
        d = self.dice
        if d.random() < 0.7:
            more += "x-tollgate-tag: way=%s\r\n" % d.choice(("pass", "window", "hold", "tlspass", "other"))
        if d.random() < 0.1:
            more += "x-tollgate-max-cost-usd: %s\r\n" % d.choice(("0", "0.0001", "1"))
        if d.random() < 0.1:
            more += "x-tollgate-deadline-ms: %d\r\n" % d.randint(1, 1000)
        return ("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\n%scontent-length: %d\r\n\r\n" %
                (self.key(), more, length)).encode()

    def note(self, headers, body):
        """Remembers a whole answer; raises for one that cannot be."""
        if headers.get("content-type", "").startswith("text/event-stream"):
            text = body.decode("utf-8", "replace")
            if "data: [DONE]" in text:
                cost = text.rsplit(": x-tollgate-cost-usd=", 1)[1].split("\n")[0]
                self.answers.append((headers["x-tollgate-request-id"], 200, cost))
            elif '"error"' not in text:
                raise AssertionError("a stream that ended cleanly without an end: %r" % text[-200:])
        else:
            if "badutf8" not in headers["x-sent"]:
                json.loads(body.decode("utf-8"))
            self.answers.append((headers["x-tollgate-request-id"], int(headers["x-status"]), headers.get("x-tollgate-cost-usd")))

    def read_answer(self, f, sent=b""):
        line = f.readline()
        if not line:
            raise EOFError
        headers = {"x-status": line.split()[1].decode(), "x-sent": sent.decode("latin-1")}
        while True:
            line = f.readline()
            if not line:
                raise EOFError
            if line == b"\r\n":
                break
            name, value = line.decode("latin-1").split(":", 1)
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                size = f.readline()
                if not size:
                    raise EOFError
                piece = f.read(int(size, 16) + 2)
                if len(piece) != int(size, 16) + 2:
                    raise EOFError
                if int(size, 16) == 0:
                    break
                body += piece[:-2]
        else:
            body = f.read(int(headers["content-length"]))
            if len(body) != int(headers["content-length"]):
                raise EOFError
        if headers.get("x-tollgate-request-id"):
            self.note(headers, body)
        return headers

    # ---- what callers do ----

    def good(self):
        s = self.connect(timeout=30)
        f = s.makefile("rb")
        self.open.append(f)
        for _ in range(self.dice.randint(1, 4)):
            b = self.body()
            s.sendall(self.head(len(b)) + b)
            if self.read_answer(f, b).get("connection") == "close":
                break

    def leave(self):
        s = self.connect()
        b = self.body()
        s.sendall(self.head(len(b)) + b)
        s.settimeout(self.dice.choice((0.001, 0.02, 0.1, 0.3)))
        left = self.dice.choice((0, 1, 100, 500, 3000))
        try:
            while left > 0:
                piece = s.recv(left)
                if not piece:
                    break
                left -= len(piece)
        except OSError:
            pass
        if self.dice.random() < 0.3:    # no close_notify, a reset
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def upload(self):
        s = self.connect()
        b = self.body()
        whole = self.head(len(b) + self.dice.choice((0, 0, 1, 50000000, 10 ** 12))) + b
        whole = whole[:self.dice.randint(0, len(whole))]
        s.sendall(whole)
        if self.dice.random() < 0.5:
            time.sleep(self.dice.random() * 0.05)

    def pipeline(self):
        s = self.connect(timeout=30)
        bodies = [self.body(stream=False) for _ in range(self.dice.randint(2, 5))]
        s.sendall(b"".join(self.head(len(b)) + b for b in bodies))
        if self.dice.random() < 0.7:
            f = s.makefile("rb")
            self.open.append(f)
            for b in bodies:
                if self.read_answer(f, b).get("connection") == "close":
                    break

    def slow(self):
        s = self.connect()
        b = self.body()
        s.sendall(self.head(len(b)) + b)
        s.settimeout(0.3)
        for _ in range(self.dice.randint(1, 20)):
            if not s.recv(self.dice.choice((1, 10, 1000))):
                break
            time.sleep(0.02)

    def bad(self):
        s = self.connect(timeout=30)
        b = self.dice.choice((b"", b"{", b"[]", b"{\"model\":7}", b"\xff" * 50, self.body()[:-1], b"{\"model\":\"auto\",\"messages\":[]}",
                              b"[" * 100, b"{\"a\":1,\"a\":2}", self.body().replace(b"user", b"us\xc3er")))
        s.sendall(self.head(len(b)) + b)
        self.open.append(s.makefile("rb"))
        self.read_answer(self.open[-1], b)

    def raw(self):
        b = bytearray(self.head(20) + b"{\"model\":\"auto\",\"m\":")
        for _ in range(self.dice.randint(1, 6)):
            b[self.dice.randrange(len(b))] = self.dice.randrange(256)
        s = self.connect(timeout=0.3)
        s.sendall(bytes(b))
        s.recv(10000)


class Chaos(unittest.TestCase):
    def operator(self):
        """Budgets, keys and reloads, one after the other."""
        dice = random.Random(SEED)
        made = []
        while time.monotonic() < self.until:
            what = dice.choice(("budget", "unbudget", "key", "revoke", "reload", "bad reload"))
            if what == "budget":
                self.h.run("budgets", "set", "--team", dice.choice(("demo", "chaos")), "--usd", dice.choice(("0.000001", "0.1", "1000")),
                           "--period", dice.choice(("day", "week", "month", "total")))
            elif what == "unbudget":
                self.h.run("budgets", "remove", "--team", dice.choice(("demo", "chaos")), "--period", dice.choice(("day", "total")),
                           check=False)
            elif what == "key":
                made.append(json.loads(self.h.run("keys", "create", "--team", "chaos", "--name", "k%d" % len(made),
                                                  "--format", "json")[1]))
                self.keys.append(made[-1]["key"])
            elif what == "revoke" and made:
                self.h.run("keys", "revoke", "--id", dice.choice(made)["id"], check=False)
            elif what == "reload":
                self.h.write("policy.json", chaos_policy(dice.choice((1000, 2000))))
                self.h.write("prices.json", chaos_book(dice.choice((1, 2, 7))))
                self.assertTrue(self.h.reload())
            else:
                self.h.write("policy.json", "{")
                self.assertFalse(self.h.reload())
            time.sleep(dice.random() * 0.2)

    def usage_of_process(self):
        pid = self.h.server.process.pid
        with open("/proc/%d/status" % pid) as f:
            kib = int([line for line in f if line.startswith("VmRSS")][0].split()[1])
        return kib, len(os.listdir("/proc/%d/fd" % pid))

    def test_after_chaos_the_books_are_even(self):
        print("seed %d" % SEED, flush=True)
        config = {"limits": {"first_byte_ms": 800, "idle_ms": 800, "answer_ms": 3000, "connect_ms": 1000, "body_bytes": 1000000,
                             "body_idle_ms": 2000, "head_ms": 2000}}
        ca = tempfile.TemporaryDirectory(prefix="tollgate-flow-")
        subprocess.run([MOCK, "--make-ca", ca.name], check=True, stdout=subprocess.DEVNULL)
        self.tls = Mock("--tls", ca.name, "127.0.0.1:0")
        tls_port = int([line for line in self.tls.output if "listening" in line][1].rsplit(":", 1)[1])
        self.addCleanup(ca.cleanup)
        self.addCleanup(self.tls.stop)
        with House(config=config, policy=chaos_policy(2000), book=chaos_book(), workers=2, start=False) as self.h:
            self.h.config["providers"]["tls"] = {"dialect": "openai", "base_url": "https://localhost:%d/v1" % tls_port,
                                                 "ca_file": os.path.join(ca.name, "ca.pem")}
            self.h.write("tollgate.json", self.h.config)
            self.h.start()
            self.keys = [self.h.key] * 4 + ["tg_nonsense"]
            self.until = time.monotonic() + 1
            for c in [Caller(self, i) for i in range(2)]:
                c.thread.join()
            _, fds_before = self.usage_of_process()
            self.until = time.monotonic() + SECONDS
            callers = [Caller(self, 10 + i) for i in range(CALLERS)]
            self.operator()
            for c in callers:
                c.thread.join(60)
                self.assertFalse(c.thread.is_alive(), "a caller hangs")
            for c in callers:
                if c.crash:
                    raise c.crash
            self.answers = [a for c in callers for a in c.answers]
            self.assertGreater(len(self.answers), 10)
            self.assert_even(fds_before)

    def assert_even(self, fds_before):
        h = self.h
        wait_for(lambda: h.metrics()["tollgate_requests_running"] == 0, 20, "the last request to end")
        wait_for(lambda: h.metrics()["tollgate_ledger_queue"] == 0, 10, "the ledger's queue")
        wait_for(lambda: not h.sql("select 1 from reservations where state = 'open'"), 10, "reservations to close")
        self.assertEqual(h.metrics()["tollgate_bytes_in_flight"], 0)
        self.assertEqual(h.sql("select count(*) from requests where status is null"), [(0,)])
        rows = {r[0]: r[1:] for r in h.sql("select id, status, cost_nano from requests")}
        for id, status, cost in self.answers:
            if status == 401 or (status in (400, 404, 405, 413, 415) and id not in rows):
                continue    # of no key; or no call for an answer
            self.assertIn(id, rows)
            self.assertEqual(rows[id][0], status, id)
            if cost is not None:
                self.assertEqual(rows[id][1], round(float(cost) * 1e9), id)
        self.assertEqual(h.sql("select count(*) from requests r where cost_nano <> "
                               "(select coalesce(sum(a.cost_nano), 0) from attempts a where a.request_id = r.id)"), [(0,)])
        self.assertEqual(h.run("audit")[0], 0)
        self.assert_memory_agrees()
        wait_for(lambda: self.usage_of_process()[1] <= fds_before + h.mock.stats()["open"] + self.tls.stats()["open"] + 16, 10,
                 "descriptors to be closed")

    def assert_memory_agrees(self):
        """The budgets in memory: nothing reserved, and spent what the rows say. A refusal tells."""
        h = self.h
        for period in ("day", "week", "month", "total"):
            for team in ("demo", "chaos"):
                h.run("budgets", "remove", "--team", team, "--period", period, check=False)
        h.write("policy.json", chaos_policy(2000))
        self.assertTrue(h.reload())
        h.run("budgets", "set", "--team", "demo", "--usd", "0.000000001", "--period", "total")
        a = wait_for(lambda: (lambda a: a if a.status == 429 else None)(h.chat("x", model="mock/last")), 10, "a refusal")
        self.assertIn("reserved 0;", a.error["message"])
        spent = h.sql("select coalesce(sum(a.cost_nano), 0) from attempts a join requests r on r.id = a.request_id "
                      "where r.team = 'demo'")[0][0]
        self.assertEqual(round(float(a.error["message"].split("spent ")[1].split(",")[0]) * 1e9), spent)


if __name__ == "__main__":
    unittest.main()
