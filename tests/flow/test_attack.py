"""What hostile callers and hostile upstreams try: each test is an attack that worked once, or one that must not."""
import json
import socket
import time
import unittest

from house import House, Shared, book, wait_for


def chat(key, prompt="Hi", **fields):
    """A whole request, for a bare socket."""
    body = json.dumps(dict({"model": "auto", "messages": [{"role": "user", "content": prompt}]}, **fields)).encode()
    return (b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + key.encode() +
            b"\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


def resident_kib(program):
    with open("/proc/%d/status" % program.process.pid) as f:
        return int([line for line in f if line.startswith("VmRSS")][0].split()[1])


def large_book():
    b = book()
    for m in b["models"].values():
        m["context"] = 10000000
    b["models"]["mock/free"] = {"context": 100000, "max_output": 4096, "versions": [
        {"from": "2020-01-01T00:00:00Z", "source": "made for a test", "input": "0", "output": "0"}]}
    return b


class Callers(Shared):
    options = {"book": large_book()}

    def test_a_request_behind_a_long_answer_is_answered(self):
        # The next head lay in our buffer, and nothing woke its reader when the long answer had gone.
        s = self.h.raw()
        s.sendall(chat(self.h.key, "mock:bytes=300000") + chat(self.h.key, "second"))
        got = b""
        while got.count(b"HTTP/1.1 200") < 2:
            piece = s.recv(65536)
            self.assertTrue(piece, "closed after %d bytes" % len(got))
            got += piece
        s.close()

    def test_who_asks_on_and_on_and_reads_nothing_costs_a_bounded_buffer(self):
        # 12 MB of heads that need no key became 2.4 GB of replies.
        heads = b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n" * 2000
        s = self.h.raw(timeout=1)
        sent = 0
        before = resident_kib(self.h.server)
        with self.assertRaises(socket.timeout):
            while sent < 400 * len(heads):
                sent += s.send(heads)
        self.assertLess(resident_kib(self.h.server) - before, 250000)    # a sanitizer keeps what is freed
        self.assertEqual(self.h.chat().status, 200)
        s.close()

    def test_a_thousand_requests_in_one_write_are_answered_in_order(self):
        s = self.h.raw()
        s.sendall(b"".join(b"GET /v1/models/no-%d HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\n\r\n" %
                           (i, self.h.key.encode()) for i in range(1000)))
        got = b""
        while got.count(b"The model 'no-") < 1000:
            piece = s.recv(1 << 20)
            self.assertTrue(piece, "closed after %d bytes" % len(got))
            got += piece
        at = [got.index(b"The model 'no-%d'" % i) for i in range(1000)]
        self.assertEqual(at, sorted(at))
        s.close()

    def test_a_long_conversation_of_escaped_text_is_read(self):
        # Each message's text was unescaped into the request's arena of 4 MiB: 503 from a million tokens of code on.
        messages = [{"role": "assistant" if i % 2 else "user", "content": "if (x)\n\treturn \"y\";\n" * 500} for i in range(600)]
        a = self.h.post({"model": "mock/cheap", "messages": messages})
        self.assertEqual(a.status, 200, a.body[:300])
        self.assertEqual(json.loads(self.h.mock.last_body())["messages"], messages)


class Upstreams(Shared):
    options = {"book": large_book()}

    def assert_ledger_lives(self):
        a = self.h.chat()
        self.assertEqual(a.status, 200)
        self.row_of(a)
        self.assert_settled()
        self.assertEqual(self.h.run("audit")[0], 0)

    def test_usage_beyond_belief_is_no_row_that_can_never_be_written(self):
        # Sums of such counters left 64 bits: the commit failed for ever, and with it all that stood behind it.
        for words in ("usage=huge", "usage=beyond", "usage=negative", "usage=float", "usage=string", "in=1000000000000000",
                      "in=9000000000000000000,out=1", "in=1,out=9000000000000000000", "in=5,cached=9000000000000000000"):
            for model in ("mock/free", "mock/cheap"):
                for _ in range(3):
                    a = self.h.post({"model": model, "messages": [{"role": "user", "content": "mock:" + words}]})
                    self.assertEqual(a.status, 200, words)
                    self.assertLess(float(a.headers["x-tollgate-cost-usd"]), 1, words)
        self.assert_ledger_lives()

    def test_an_error_text_with_anything_in_it_is_quoted_in_valid_json(self):
        for words in ("status=400,message=a%0d%0aX-Evil: 1%0d%0a%22,%7b%22", "status=400,message=%ff%fe%c3",
                      "status=400,error_body=html,message=%e9%e8", "status=400,param=%c3,code=%ed%a0%80,message=x",
                      "status=422,message=" + "%c3%a9" * 120, "status=422,message=x" + "%f0%9f%92%a9" * 60):
            a = self.h.post({"model": "mock/cheap", "messages": [{"role": "user", "content": "mock:" + words}]})
            self.assertIn(a.status, (400, 422), words)
            json.loads(a.body.decode("utf-8"))    # strict
            self.assertNotIn("x-evil", a.headers)

    def test_a_redirect_is_an_error_and_is_not_followed(self):
        other = socket.create_server(("127.0.0.1", 0))
        other.settimeout(0.2)
        a = self.h.post({"model": "mock/cheap", "messages": [{"role": "user", "content":
            "mock:status=302,location=http://127.0.0.1:%d/x" % other.getsockname()[1]}]})
        self.assertEqual(a.status, 502)
        with self.assertRaises(socket.timeout):
            other.accept()
        other.close()

    def test_a_line_of_a_stream_without_end_costs_a_bounded_buffer_and_little_time(self):
        # Each piece made us look at the whole line again: 16 MB in small pieces were minutes.
        self.h.mock.script("cheap", "bigline=16000000,piece=1000")
        start = time.monotonic()
        a = self.h.post({"model": "mock/cheap", "stream": True, "messages": [{"role": "user", "content": "x"}]})
        self.assertEqual(a.status, 502)
        self.assertLess(time.monotonic() - start, 15 * float(__import__("os").environ.get("FLOW_PATIENCE", "1")))
        self.assert_ledger_lives()


class Times(Shared):
    options = {"config": {"limits": {"head_ms": 400, "keepalive_ms": 8000, "body_idle_ms": 5000}}}

    def test_a_refused_body_leaves_the_time_for_the_next_request_as_it_was(self):
        # It was taken for the beginning of a next head: the connection closed after head_ms.
        c = self.h.connect()
        for _ in range(2):
            self.assertEqual(self.h.post("{", connection=c).status, 400)
            self.assertIsNotNone(c.sock)
            port = c.sock.getsockname()[1]
            time.sleep(0.8)    # twice head_ms: the time itself is what is tested
        self.assertEqual(self.h.chat(connection=c).status, 200)
        self.assertEqual(c.sock.getsockname()[1], port)
        c.close()

    def test_endless_chunk_extensions_and_trailers_are_refused(self):
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + self.h.key.encode() + \
            b"\r\ntransfer-encoding: chunked\r\n\r\n"
        for more in (b"1;" + b"a" * 200000, b"0\r\n" + b"x: y\r\n" * 50000, b"0" * 200000):
            s = self.h.raw()
            try:
                s.sendall(head + more)
            except OSError:
                pass    # refused while it was sent
            self.assertIn(s.recv(100)[9:12], (b"400", b"431", b"413"), more[:10])
            s.close()


class Held(unittest.TestCase):
    def test_an_error_text_is_still_there_when_the_next_attempt_has_begun(self):
        b = book()
        b["models"]["mock/strong"]["context"] = 200000
        with House(book=b) as h:
            h.mock.script("cheap", "status=400,code=context_length_exceeded,message=your prompt is 7 tokens too long")
            h.mock.script("strong", "stall=-2")
            a = h.chat(headers={"x-tollgate-deadline-ms": "700"})
            self.assertEqual(a.status, 504)
            self.assertIn("Before it: your prompt is 7 tokens too long", a.error["message"])

    def test_answers_that_are_held_count_as_bytes_in_flight(self):
        with House(config={"limits": {"bytes_in_flight": 4000000}}, book=large_book()) as h:
            self.assertEqual(h.post({"model": "mock/cheap", "messages": [{"role": "user", "content": "mock:bytes=1000000"}]}).status, 200)
            for stream in (False, True):
                a = h.post({"model": "mock/cheap", "stream": stream,
                            "messages": [{"role": "user", "content": "mock:bytes=9000000,chunks=1"}]})
                if not stream:
                    self.assertEqual(a.status, 503)
            wait_for(lambda: h.metrics()["tollgate_bytes_in_flight"] == 0, 10, "all bytes to be given back")


class Tags(unittest.TestCase):
    def test_random_tags_do_not_make_the_sums_grow_without_end(self):
        # Each tag is a row of sums for an hour, a day and a month, by model: one caller could fill the ledger with them.
        with House() as h:
            c = h.connect()
            for i in range(80):
                c.putrequest("POST", "/v1/chat/completions")
                c.putheader("authorization", "Bearer " + h.key)
                c.putheader("content-length", "2")
                for k in range(16):
                    c.putheader("x-tollgate-tag", "%s%d=%d" % ("name" if i % 2 else "fresh%d-" % i, k, i))
                c.endheaders(b"{}")
                a = c.getresponse()
                a.read()
                self.assertEqual(a.status, 400)
            c.close()
            wait_for(lambda: h.sql("select count(*) from requests where status > 0") == [(80,)], 10, "the rows")
            sums = h.sql("select count(*), sum(requests) from rollups where grain = 'day' and dimension like 'tag:%'")[0]
            self.assertEqual(sums[0] - 1000, 1 + 16)    # other=other, and name0..name15=other
            self.assertEqual(h.sql("select json_extract(tags, '$.name3') from requests order by id desc limit 1"), [("other",)])
            h.run("audit")


if __name__ == "__main__":
    unittest.main()
