"""Secrets: canaries are sent through every door, at debug level; then they are looked for wherever something is kept or said.

CVE-2024-6587, maximhq/bifrost#3954, BerriAI/litellm#6963, PR 39964, PR 39293: keys in headers, tracebacks and access logs."""
import http.client
import json
import os
import socket
import unittest

from house import SOURCE, House, book, wait_for

ENV_KEY, FILE_KEY = "sk-env-canary-7f3a9c", "sk-file-canary-51be20"
PROMPT, ANSWER, QUERY = "prompt-canary-c0ffee", "answer-canary-decade", "query-canary-facade"
SECOND_ENV_KEY = "sk-second-canary-99aa11"


class Secrets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.h = h = House(start=False, argv=["--debug"], workers=2, env={"FLOW_KEY": ENV_KEY, "FLOW_KEY_2": SECOND_ENV_KEY},
                          provider={"keys": [{"env": "FLOW_KEY"}, {"env": "FLOW_KEY_2"}], "first_byte_ms": 500, "answer_ms": 500},
                          book=book(("cheap", "strong", "last"), **{
                              n + "/m": {"context": 512, "max_output": 64, "versions": [
                                  {"from": "2020-01-01T00:00:00Z", "source": "t", "input": "1", "output": "1"}]}
                              for n in ("filed", "refused")},
                              **{"local/tiny-random": {"context": 512, "max_output": 64, "versions": [
                                  {"from": "2020-01-01T00:00:00Z", "source": "t", "input": "1", "output": "1"}]}}))
        h.write("provider.key", FILE_KEY + "\n")
        h.config["providers"]["filed"] = dict(h.config["providers"]["mock"], keys=[{"file": "provider.key"}])
        h.config["providers"]["refused"] = dict(h.config["providers"]["mock"], base_url="http://127.0.0.1:1/v1")
        h.config["providers"]["local"] = {"dialect": "openai", "placement": "local", "engine": {
            "models": {"tiny-random": os.path.abspath(os.path.join(SOURCE, "engine/models/tiny-random"))}, "threads": 1}}
        h.write("tollgate.json", h.config)
        h.start()
        cls.answers = []
        cls.other = json.loads(h.run("keys", "create", "--team", "t", "--name", "n", "--format", "json")[1])
        cls.everything()

    @classmethod
    def tearDownClass(cls):
        cls.h.__exit__(None, None, None)

    @classmethod
    def ask(cls, *args, **more):
        r = cls.h.request(*args, **more)
        cls.answers.append(r)
        return r

    @classmethod
    def chat(cls, words=None, model="auto", **more):
        for name in ("cheap", "strong", "last", "m"):
            if words:
                cls.h.mock.script(name, words)
        headers = more.pop("headers", {})
        body = json.dumps(dict({"model": model, "messages": [{"role": "user", "content": PROMPT}]}, **more.pop("fields", {})))
        return cls.ask("POST", more.pop("path", "/v1/chat/completions"), body, headers, **more)

    @classmethod
    def everything(cls):
        """Bad input and bad luck of every kind, each with canaries in it."""
        echo = "message=key %s and %s for %s" % (ENV_KEY, SECOND_ENV_KEY, PROMPT)
        for words in ("text=" + ANSWER, "refuse", "empty", "malformed", "cut=50", "cut=-2", "stall=-2", "badhead", "bighead", "gzip",
                      "status=500," + echo, "status=503,error_body=html", "status=404," + echo, "status=429," + echo,
                      "late_error=1,type=server_error," + echo, "text=%s,chunks=5" % ANSWER):
            cls.chat(words)
            cls.chat(words, fields={"stream": True})
        cls.chat("text=" + ANSWER, model="filed/m")
        cls.chat("text=" + ANSWER, model="refused/m")
        cls.chat("text=" + ANSWER, model="local/tiny-random", fields={"max_tokens": 3})
        for model in (PROMPT, "mock/" + PROMPT):
            cls.chat(model=model)
        for headers in ({"x-tollgate-route": PROMPT}, {"x-tollgate-max-cost-usd": PROMPT}, {"x-tollgate-deadline-ms": PROMPT},
                        {"expect": PROMPT}, {"content-encoding": PROMPT}, {"cookie": PROMPT}, {"x-api-key": cls.h.key}):
            cls.chat(headers=headers)
        for key in ("sk-" + PROMPT, cls.h.key + "x", cls.h.key[:-1], False, cls.other["key"]):
            cls.chat(key=key)
        cls.chat(path="/v1/chat/completions?key=%s&api_key=%s" % (QUERY, QUERY))
        cls.chat(path="/v1/models?key=" + QUERY)
        for body in ('{"model":"auto","messages":"%s"}' % PROMPT, '{"%s":1,"%s":2}' % (PROMPT, PROMPT), PROMPT,
                     '{"model":"auto","messages":[{"role":"%s","content":"x"}]}' % PROMPT,
                     '{"model":"auto","messages":[{"role":"user","content":"%s\xff"}]}' % PROMPT):
            cls.ask("POST", "/v1/chat/completions", body.encode("latin-1"))
        s = cls.h.raw()
        s.sendall(("POST /v1/chat/completions HTTP/1.1\r\nauthorization : Bearer %s\r\nx: %s\r\n\r\n" % (cls.h.key, PROMPT)).encode())
        s.recv(65536)
        s.close()
        # the breaker and the refused keys have had their share: last, refused credentials that echo the key
        for words in ("status=401," + echo, "status=403," + echo, "status=402," + echo):
            cls.chat(words, model="mock/cheap")
        cls.h.write("policy.json", '{"name": "%s' % PROMPT)
        cls.h.reload()
        wait_for(lambda: not cls.h.sql("select 1 from reservations where state = 'open'"), 10, "the rows")

    def absent(self, text, *secrets):
        for secret in secrets:
            self.assertFalse(secret in text, "%s in %r" % (secret, text[max(0, text.find(secret) - 200):][:400]))

    def keys(self):
        """What no file and no reply may hold; of a caller's key its random part is enough."""
        return ENV_KEY, SECOND_ENV_KEY, FILE_KEY, self.h.key[3:46], self.other["key"][3:46]

    def test_the_log_at_debug_level_holds_no_key_no_prompt_no_answer_and_no_query(self):
        log = "".join(self.h.server.output).replace(self.h.path("policy.json"), "")
        self.assertGreater(len(log), 1000)    # it does say something
        self.absent(log, *self.keys(), ANSWER, QUERY)
        self.absent(log, PROMPT)

    def test_the_ledger_holds_no_key_and_no_text(self):
        for name in os.listdir(self.h.dir):
            if name.startswith("tollgate.db"):
                with open(self.h.path(name), "rb") as f:
                    data = f.read().decode("latin-1")
                self.absent(data, *self.keys(), ANSWER, QUERY)
                # a model's name is kept as it was asked for; that is all of the caller's text that may be there
                asked = self.h.sql("select count(*) from requests where model_asked like ?", "%" + PROMPT + "%")[0][0]
                self.assertGreater(asked, 0)
        for table in ("attempts", "requests", "reservations", "keys", "teams", "rollups"):
            for row in self.h.sql("select * from " + table):
                text = json.dumps([str(v) for v in row])
                self.absent(text, ANSWER, QUERY, *self.keys())
                if "requests" != table:
                    self.absent(text, PROMPT)

    def test_no_reply_holds_a_providers_key_or_anothers_words(self):
        for r in self.answers:
            text = "\n".join("%s: %s" % h for h in r.headers.items()) + r.body.decode("latin-1")
            self.absent(text, ENV_KEY, SECOND_ENV_KEY, FILE_KEY, self.h.key[3:46], self.other["key"][3:46], QUERY)

    def test_a_provider_that_echoes_our_key_in_a_callers_fault_does_not_get_it_through(self):
        with House(env={"FLOW_KEY": ENV_KEY}, provider={"keys": [{"env": "FLOW_KEY"}]}) as h:
            for words in ("status=400,message=the key %s sent a bad field" % ENV_KEY, "status=422,code=%s" % ENV_KEY):
                for stream in (False, True):
                    h.mock.script("cheap", words)
                    r = h.chat(stream=stream)
                    self.assertIn(r.status, (400, 422))
                    self.absent(r.body.decode() + str(r.headers), ENV_KEY)
                    self.assertIn("authorization", {k.lower() for k in h.mock.log()[-1]["headers"]})

    def test_the_metrics_hold_no_text_of_callers(self):
        c = http.client.HTTPConnection("127.0.0.1", self.h.admin_port)
        c.request("GET", "/metrics")
        self.absent(c.getresponse().read().decode(), PROMPT, ANSWER, QUERY, *self.keys())
        c.close()

    def processes(self):
        out = [self.h.server.process.pid]
        for pid in os.listdir("/proc"):
            if pid.isdigit():
                try:
                    with open("/proc/%s/stat" % pid) as f:
                        if f.read().rpartition(") ")[2].split()[1] == str(out[0]):
                            out.append(int(pid))
                except OSError:
                    pass
        return out

    def test_no_environment_and_no_command_line_holds_a_key_while_it_runs(self):
        pids = self.processes()
        self.assertGreater(len(pids), 1)    # the engine's child too
        for pid in pids:
            for name in ("environ", "cmdline"):
                with open("/proc/%d/%s" % (pid, name), "rb") as f:
                    self.absent(f.read().decode("latin-1"), *self.keys())

    def test_callers_headers_do_not_reach_the_provider(self):
        sent = json.dumps([c["headers"] for c in self.h.mock.log()])
        self.absent(sent, self.h.key[3:46], "cookie", "x-tollgate", QUERY)

    def test_no_field_or_header_of_a_caller_chooses_a_host(self):
        # CVE-2024-6587, CVE-2025-66405, CVE-2026-108719: api_base, custom host headers, callback URLs
        canary = socket.create_server(("127.0.0.1", 0))
        canary.settimeout(0.01)
        url = "http://127.0.0.1:%d/x" % canary.getsockname()[1]
        fields = {n: url for n in ("api_base", "base_url", "callback_url", "webhook", "user", "api_url", "endpoint", "proxy", "host")}
        headers = {n: url for n in ("x-portkey-custom-host", "x-forwarded-host", "forwarded", "x-api-base", "x-base-url", "origin",
                                    "referer", "x-original-url", "x-rewrite-url", "x-tollgate-base-url")}
        body = dict({"model": "filed/m", "messages": [{"role": "user", "content": [
            {"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": url}}]}]}, **fields)
        self.h.mock.script("m", "text=ok")
        self.h.post(body, headers)
        body["messages"][0]["content"] = "see " + url
        self.h.post(body, headers)
        self.h.mock.script("m", "status=302,location=" + url.replace(":", "%3A"))
        self.h.post(body, headers)
        with self.assertRaises(TimeoutError):
            canary.accept()
        canary.close()


if __name__ == "__main__":
    unittest.main()
