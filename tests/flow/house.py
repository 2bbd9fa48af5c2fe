"""house.py - starts the real programs for a flow test: a gateway, a scripted upstream, a caller. Standard library only.

    with House() as h:                       # a mock upstream and a gateway in a folder of their own
        r = h.chat("Hi")                     # over HTTPS, with a key
        assert r.status == 200 and h.mock.stats()["requests"] == 1
        assert h.sql("select verdict from attempts") == [("accepted",)]

Nothing here sleeps and hopes: wait_for polls a condition until a stated time. Ports are the system's choice."""
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

BUILD = os.environ.get("top_builddir", os.path.join(os.path.dirname(__file__), "../../build"))
SOURCE = os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "../.."))
TOLLGATE = os.path.join(BUILD, "tollgate")
ENGINE = os.path.join(BUILD, "tollgate-engine")
MOCK = os.path.join(BUILD, "tests/mock_upstream")
# Sanitizers slow everything down; a test states times for a plain build.
PATIENCE = float(os.environ.get("FLOW_PATIENCE", "1"))


def wait_for(condition, seconds=10, what="it"):
    """The condition's first true value; AssertionError when there is none in time."""
    until = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError("waited %gs in vain for %s" % (seconds, what))
        time.sleep(0.01)


class Answer:
    """One HTTP answer, read whole. `headers` by lower-case name."""

    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.headers = {k.lower(): v for k, v in headers}

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    @property
    def text(self):
        """The text of a completion, plain or streamed."""
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            return "".join(c["delta"].get("content") or "" for e in self.events for c in e.get("choices", []))
        return self.json["choices"][0]["message"]["content"]

    @property
    def lines(self):
        return self.body.decode().split("\n\n")[:-1]

    @property
    def events(self):
        """The JSON of each data event but [DONE]."""
        return [json.loads(line[6:]) for line in self.lines if line.startswith("data: ") and line != "data: [DONE]"]


class Program:
    """A child whose output is read by a thread, so that it never blocks and can be searched."""

    def __init__(self, argv, env=None, cwd=None):
        self.output = []
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, cwd=cwd, text=True,
                                        errors="replace")
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.output.append(line)

    def said(self, word):
        return any(word in line for line in self.output)

    def stop(self, sig=signal.SIGTERM, seconds=30):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            code = self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("did not end after signal %d:\n%s" % (sig, "".join(self.output)))
        self.thread.join(5)
        self.process.stdout.close()
        return code


class Mock(Program):
    """The scripted upstream; its words are described in tests/mock/mock_upstream.c."""

    def __init__(self, *extra):
        super().__init__([MOCK, "--listen", "127.0.0.1:0", "--exit-with-parent", *extra])
        wait_for(lambda: self.said("ready") or self.process.poll() is not None, 10, "the mock upstream")
        self.port = int(self.output[0].rsplit(":", 1)[1])

    def call(self, method, path, body=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        c.request(method, path, body)
        data = c.getresponse().read()
        c.close()
        return data

    def stats(self):
        return json.loads(self.call("GET", "/mock/stats"))

    def log(self):
        return json.loads(self.call("GET", "/mock/log"))

    def last_body(self):
        return self.call("GET", "/mock/body/last")

    def script(self, model, *lines):
        """The next calls for the model take these lines, the last one stays."""
        self.call("POST", "/mock/script/" + model, "\n".join(lines))

    def reset(self):
        self.call("POST", "/mock/reset")


def book(names=("cheap", "strong", "last"), **more):
    """A price book with models mock/NAME: USD 1 in, 2 out, 0.1 cached per million tokens, tenfold for each next name."""
    models = {}
    for i, name in enumerate(names):
        models["mock/" + name] = {
            "context": 100000, "max_output": 4096,
            "versions": [{"from": "2020-01-01T00:00:00Z", "source": "made for a test", "input": str(10 ** i),
                          "output": str(2 * 10 ** i), "cache_read": "0.1" if i == 0 else str(10 ** (i - 1))}]}
    models.update(more)
    return {"book": "test", "read_on": time.strftime("%Y-%m-%d"), "models": models}


CHECKS = ["complete", "not_empty", "not_refused", "valid_json", "valid_tool_calls"]


def policy(**more):
    """cheap with checks, then strong, then last; limits that tests rarely meet."""
    p = {"name": "test", "routes": [{"name": "default", "steps": [
            {"model": "mock/cheap", "attempts": 2, "checks": CHECKS}, {"model": "mock/strong", "checks": CHECKS},
            {"model": "mock/last"}]}],
         "limits": {"time_ms": 60000, "attempts": 7}}
    p.update(more)
    return p


class House:
    def __init__(self, config=None, policy=None, book=None, provider=None, workers=1, mock=True, start=True, env=None,
                 argv=()):
        self.dir = tempfile.mkdtemp(prefix="tollgate-flow-")
        self.mock = Mock() if mock else None
        self.env = dict(os.environ, **(env or {}))
        subprocess.run([TOLLGATE, "init", "--port", "1", "--models", os.path.join(SOURCE, "engine/models"), self.dir],
                       check=True, stdout=subprocess.DEVNULL, env=self.env)
        with open(self.path("key.txt")) as f:
            self.key = f.read().strip()
        self.config = {
            "listen": [{"address": "127.0.0.1:0", "tls": {"certificate": "cert.pem", "key": "key.pem"}}],
            "admin": {"address": "127.0.0.1:0"}, "workers": workers, "ledger": {"sqlite": "tollgate.db"},
            "prices": "prices.json", "policy": "policy.json", "providers": {}}
        if mock:
            self.config["providers"]["mock"] = dict(
                {"dialect": "openai", "base_url": "http://127.0.0.1:%d/v1" % self.mock.port}, **(provider or {}))
        self.config.update(config or {})
        self.write("tollgate.json", self.config)
        self.write("prices.json", book or globals()["book"]())
        self.write("policy.json", policy or globals()["policy"]())
        self.context = ssl.create_default_context(cafile=os.path.join(self.dir, "ca.pem"))
        self.argv = list(argv)    # more of `serve`'s options
        self.server = None
        if start:
            self.start()

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        with open(self.path(name), "w") as f:
            f.write(data if isinstance(data, str) else json.dumps(data, indent=1))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        code = None
        if self.server:
            code = self.server.stop()
        if self.mock:
            self.mock.stop()
        if kind and self.server:
            print("".join(self.server.output))
        shutil.rmtree(self.dir)
        if not kind and code not in (0, None):
            raise AssertionError("the gateway ended with %s:\n%s" % (code, "".join(self.server.output[-100:])))
        if not kind and self.server and self.server.said("runtime error: "):    # UBSan goes on after it has said it
            raise AssertionError("".join(self.server.output))

    # ---- the gateway ----

    def start(self):
        self.server = Program([TOLLGATE, "serve", "--config", self.path("tollgate.json"), *self.argv], env=self.env)
        wait_for(lambda: self.server.said("listening on") or self.server.process.poll() is not None, 20, "the gateway")
        if self.server.process.poll() is not None:
            raise AssertionError("the gateway did not start:\n" + "".join(self.server.output))
        self.port = self._port("listening on ")
        if "admin" in self.config:
            wait_for(lambda: self.server.said("metrics at "), 5, "the admin listener")
            self.admin_port = self._port("metrics at ", "/metrics")

    def _port(self, words, behind=""):
        line = [x for x in self.server.output if words in x][0].split(words)[1].split()[0]
        return int(line.replace(behind, "").rsplit(":", 1)[1] if behind else line.rsplit(":", 1)[1])

    def kill(self):
        self.server.stop(signal.SIGKILL)
        self.server = None

    def reload(self):
        """SIGHUP; waits until it is said what came of it. True: it took effect."""
        words = ("reloaded ", "was not reloaded")
        before = sum(any(w in line for w in words) for line in self.server.output)
        self.server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: sum(any(w in line for w in words) for line in self.server.output) > before, 10, "a reload")
        last = [line for line in self.server.output if any(w in line for w in words)][-1]
        return "was not reloaded" not in last

    def run(self, *argv, check=True):
        """A command of tollgate with this house's config; (status, stdout, stderr)."""
        argv = [TOLLGATE, *argv, "--config", self.path("tollgate.json")]
        p = subprocess.run(argv, capture_output=True, text=True, env=self.env)
        if check and p.returncode:
            raise AssertionError("%s: %d\n%s%s" % (" ".join(argv), p.returncode, p.stdout, p.stderr))
        return p.returncode, p.stdout, p.stderr

    def sql(self, query, *values):
        db = sqlite3.connect("file:%s?mode=ro" % self.path("tollgate.db"), uri=True, timeout=10)
        try:
            return db.execute(query, values).fetchall()
        finally:
            db.close()

    def metrics(self):
        c = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
        c.request("GET", "/metrics")
        lines = c.getresponse().read().decode().split("\n")
        c.close()
        return {line.split(" ")[0]: float(line.split(" ")[1]) for line in lines if line and line[0] != "#"}

    # ---- callers ----

    def connect(self, timeout=60):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=timeout * PATIENCE)

    def raw(self, timeout=20):
        """A bare TLS socket."""
        s = socket.create_connection(("127.0.0.1", self.port), timeout * PATIENCE)
        return self.context.wrap_socket(s, server_hostname="127.0.0.1")

    def request(self, method, path, body=None, headers=None, key=True, connection=None):
        c = connection or self.connect()
        h = {"content-type": "application/json"}
        if key:
            h["authorization"] = "Bearer " + (key if isinstance(key, str) else self.key)
        h.update(headers or {})
        c.request(method, path, body, h)
        r = c.getresponse()
        a = Answer(r.status, r.getheaders(), r.read())
        if not connection:
            c.close()
        return a

    def post(self, body, headers=None, path="/v1/chat/completions", **more):
        data = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return self.request("POST", path, data, headers, **more)

    def chat(self, prompt="Hi", headers=None, key=True, connection=None, **fields):
        body = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
        body.update(fields)
        return self.post(body, headers, key=key, connection=connection)


class Shared(unittest.TestCase):
    """One house for all tests of a class, made with `options`; the mock forgets between tests."""
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.h = House(**cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.h.__exit__(None, None, None)

    def setUp(self):
        if self.h.mock:
            self.h.mock.reset()

    def row_of(self, answer, columns="status, attempts"):
        """The request's row once it is written; `answer` may be an id."""
        of = answer if isinstance(answer, str) else answer.headers["x-tollgate-request-id"]
        return wait_for(lambda: self.h.sql("select %s from requests where id = ? and status > 0" % columns, of), 10,
                        "the row of " + of)[0]

    def assert_settled(self):
        """No reservation is open."""
        wait_for(lambda: not self.h.sql("select 1 from reservations where state = 'open'"), 10, "open reservations to close")
