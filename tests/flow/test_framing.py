"""Framing: bytes on a bare TLS socket. One request in is at most one answer; who is slow or sends nonsense costs a bounded
time and his own connection."""
import json
import socket
import ssl
import time
import unittest

from house import PATIENCE, Shared, wait_for

BODY = b'{"model":"auto","messages":[{"role":"user","content":"Hi"}]}'


def read_all(s):
    """Until the other side closes."""
    got = b""
    while True:
        try:
            piece = s.recv(65536)
        except (ConnectionResetError, ssl.SSLError, BrokenPipeError):
            return got
        if not piece:
            return got
        got += piece


def answers(data):
    """The answers in a run of bytes: [(status, headers, body)]; what is no whole answer fails."""
    out = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        assert lines[0].startswith("HTTP/1.1 "), lines[0]
        status = int(lines[0].split()[1])
        headers = dict(line.split(": ", 1) for line in lines[1:])
        if status == 100:
            data = rest
            out.append((100, headers, b""))
            continue
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                size, _, rest = rest.partition(b"\r\n")
                n = int(size, 16)
                body, rest = body + rest[:n], rest[n + 2:]
                if n == 0:
                    break
        else:
            n = int(headers["content-length"])
            assert len(rest) >= n, "a cut body"
            body, rest = rest[:n], rest[n:]
        out.append((status, headers, body))
        data = rest
    return out


class Framing(Shared):
    options = {"config": {"limits": {"head_ms": 700, "body_idle_ms": 700, "keepalive_ms": 900, "body_ms": 4000}}, "workers": 2}

    def head(self, *more, path="/v1/chat/completions", method="POST", version="HTTP/1.1", host=True):
        lines = ["%s %s %s" % (method, path, version)] + (["host: gateway"] if host else [])
        lines += ["authorization: Bearer " + self.h.key] + list(more)
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    def request(self, *more, body=BODY, **how):
        return self.head("content-length: %d" % len(body), *more, **how) + body

    def exchange(self, data, half_close=False):
        """Sends all, reads until the gateway closes."""
        s = self.h.raw()
        try:
            s.sendall(data)
            return answers(read_all(s))
        finally:
            s.close()

    def tearDown(self):
        self.assertEqual(self.h.request("GET", "/healthz", key=False).status, 200)
        self.assert_settled()

    # ---- hostile framings: reliability 1A and more; each is followed by a request that must not be answered ----

    def test_an_ambiguous_framing_is_one_400_and_the_end_of_the_connection(self):
        n = len(BODY)
        chunked = ("transfer-encoding: chunked",)
        whole = b"%x\r\n%s\r\n0\r\n\r\n" % (n, BODY)
        cases = {
            "CL with TE": (self.head("content-length: %d" % n, *chunked) + whole, 400),
            "TE before CL": (self.head(*chunked, "content-length: %d" % n) + whole, 400),
            "CL: 5, 5": (self.head("content-length: %d, %d" % (n, n)) + BODY, 400),
            "two equal CL": (self.head("content-length: %d" % n, "content-length: %d" % n) + BODY, 400),
            "two different CL": (self.head("content-length: %d" % n, "content-length: 3") + BODY, 400),
            "CL in hex": (self.head("content-length: 0x%x" % n) + BODY, 400),
            "CL with a letter": (self.head("content-length: %dx" % n) + BODY, 400),
            "CL negative": (self.head("content-length: -1") + BODY, 400),
            "CL with a plus": (self.head("content-length: +%d" % n) + BODY, 400),
            "CL empty": (self.head("content-length: ") + BODY, 400),
            "CL of 20 digits": (self.head("content-length: 99999999999999999999") + BODY, 400),
            "TE chunked, identity": (self.head("transfer-encoding: chunked, identity") + whole, (400, 501)),
            "TE xchunked": (self.head("transfer-encoding: xchunked") + whole, (400, 501)),
            "TE gzip, chunked": (self.head("transfer-encoding: gzip, chunked") + whole, (400, 501)),
            "TE with a vertical tab": (self.head("transfer-encoding: \x0bchunked") + whole, 400),
            "TE twice": (self.head(*chunked, *chunked) + whole, 400),
            "TE in HTTP/1.0": (self.head(*chunked, version="HTTP/1.0") + whole, 400),
            "TE with a blank before the colon": (self.head("transfer-encoding : chunked") + whole, 400),
            "a folded line": (self.head("x-a: b", " c: d", "content-length: %d" % n) + BODY, 400),
            "bare CR in a value": (self.head("x-a: b\rcontent-length: 0", "content-length: %d" % n) + BODY, 400),
            "bare LF line ends": (self.request().replace(b"\r\n", b"\n"), 400),
            "NUL in a value": (self.request("x-a: b\0c"), 400),
            "no Host": (self.request(host=False), 400),
            "two Hosts": (self.request("host: other"), 400),
            "a Host with a path": (self.request("host: a/#@b", host=False), 400),
            "HTTP/1.10": (self.request(version="HTTP/1.10"), 400),
            "HTTP/2.0": (self.request(version="HTTP/2.0"), 505),
            "HTTP/0.9": (b"GET /v1/models\r\n\r\n", 400),
            "a method in lower case": (self.request(method="post"), 400),
            "tabs in the request line": (self.request().replace(b"POST ", b"POST\t", 1), 400),
            "a blank in the target": (self.request(path="/v1/chat completions"), 400),
            "a colon missing": (self.request("x-a"), 400),
            "an empty name": (self.request(": x"), 400),
            "101 headers": (self.request(*["x-%d: 1" % i for i in range(101)]), 431),
            "a target of 9 KiB": (self.request(path="/" + "a" * 9000), 414),
        }
        for name, (data, want) in cases.items():
            with self.subTest(name):
                got = self.exchange(data + self.request())
                self.assertEqual(len(got), 1, got)
                self.assertIn(got[0][0], want if isinstance(want, tuple) else (want,))
                self.assertEqual(got[0][1]["connection"], "close")
                self.assertEqual(json.loads(got[0][2])["error"]["type"], "invalid_request_error")
        self.assertEqual(self.h.mock.stats()["requests"], 0)

    def test_a_bad_chunk_is_one_400_and_the_end_of_the_connection(self):
        n = len(BODY)
        cases = {
            "size 0x5": b"0x%x\r\n" % n + BODY + b"\r\n0\r\n\r\n", "size +5": b"+%x\r\n" % n + BODY + b"\r\n0\r\n\r\n",
            "size -1": b"-1\r\n" + BODY + b"\r\n0\r\n\r\n", "size 5 xyz": b"%x xyz\r\n" % n + BODY + b"\r\n0\r\n\r\n",
            "size empty": b"\r\n" + BODY + b"\r\n0\r\n\r\n",
            "a size beyond 64 bits": b"1%016x\r\n" % n + BODY + b"\r\n0\r\n\r\n",
            "a bare LF behind the size": b"%x\n" % n + BODY + b"\r\n0\r\n\r\n",
            "a bare LF behind the data": b"%x\r\n" % n + BODY + b"\n0\r\n\r\n",
            "data longer than its size": b"%x\r\n" % (n - 1) + BODY + b"\r\n0\r\n\r\n",
            "a framing field in a trailer": b"%x\r\n" % n + BODY + b"\r\n0\r\ncontent-length: 5\r\n\r\n",
            "a trailer with a fold": b"%x\r\n" % n + BODY + b"\r\n0\r\nx: a\r\n b\r\n\r\n",
            "an endless extension": b"%x;" % n + b"a" * 5000 + b"\r\n" + BODY + b"\r\n0\r\n\r\n",
        }
        for name, body in cases.items():
            with self.subTest(name):
                got = self.exchange(self.head("transfer-encoding: chunked") + body + self.request())
                self.assertEqual([a[0] for a in got], [400], got)
                self.assertEqual(got[0][1]["connection"], "close")
        self.assertEqual(self.h.mock.stats()["requests"], 0)

    def test_what_is_odd_but_legal_is_answered_once(self):
        n = len(BODY)
        for name, data in {
            "an absolute URI of another host": self.request("connection: close", path="https://evil.example/v1/chat/completions"),
            "an empty line before": b"\r\n" + self.request("connection: close"),
            "a chunk extension": self.head("transfer-encoding: chunked", "connection: close") +
                b"%X;a=b\r\n" % n + BODY + b"\r\n000\r\nx-trailer: 1\r\n\r\n",
            "chunks of one byte": self.head("transfer-encoding: Chunked", "connection: close") +
                b"".join(b"1\r\n%c\r\n" % b for b in BODY) + b"0\r\n\r\n",
            "bytes beyond ASCII in a value": self.request("x-a: caf\xe9", "connection: close"),
            "names in any case": self.request("CoNnEcTiOn: CLOSE"),
            "leading zeros of a length": self.head("content-length: 000%d" % n, "connection: close") + BODY,
        }.items():
            with self.subTest(name):
                got = self.exchange(data)
                self.assertEqual([a[0] for a in got], [200], got)

    def test_the_host_header_never_chooses_a_route(self):
        for host in ("127.0.0.1:8444", "admin", "localhost", "[::1]:1", "metrics"):
            got = self.exchange(self.request("host: " + host, "connection: close", host=False))
            self.assertEqual([a[0] for a in got], [200])
            got = self.exchange(self.head("host: " + host, "connection: close", host=False, method="GET", path="/metrics"))
            self.assertEqual([a[0] for a in got], [404])

    # ---- several requests on a connection ----

    def test_pipelined_requests_are_answered_in_order(self):
        self.h.mock.script("cheap", *["text=answer%d%s" % (i, ",body_ms=60" if i % 2 == 0 else "") for i in range(6)])
        data = b"".join(self.request() for _ in range(5)) + self.request("connection: close")
        got = self.exchange(data)
        self.assertEqual([json.loads(a[2])["choices"][0]["message"]["content"] for a in got],
                         ["answer%d" % i for i in range(6)])
        self.assertEqual(len({a[1]["x-tollgate-request-id"] for a in got}), 6)

    def test_pipelined_requests_of_many_kinds_each_get_their_own_answer(self):
        kinds = [(self.request(), 200), (self.request(body=b"{}"), 400), (self.head(method="GET", path="/v1/models"), 200),
                 (self.request(path="/nothing"), 404), (self.head(method="GET"), 405),
                 (self.request("content-encoding: gzip"), 415),
                 (self.head("transfer-encoding: chunked") + b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n", 200)]
        wanted = kinds * 4 + [(self.request("connection: close"), 200)]
        got = self.exchange(b"".join(k[0] for k in wanted))
        self.assertEqual([a[0] for a in got], [k[1] for k in wanted])

    def test_a_pipelined_stream_ends_before_the_next_answer_begins(self):
        stream = self.request(body=BODY[:-1] + b',"stream":true}')
        got = self.exchange(stream + stream + self.request("connection: close"))
        self.assertEqual([a[0] for a in got], [200] * 3)
        for a in got[:2]:
            self.assertTrue(a[2].endswith(b"data: [DONE]\n\n"))
        self.assertTrue(got[2][2].startswith(b"{"))

    def test_a_request_in_single_bytes_is_answered(self):
        s = self.h.raw()
        for b in self.request("connection: close"):
            s.sendall(bytes([b]))
        self.assertEqual([a[0] for a in answers(read_all(s))], [200])
        s.close()

    def test_a_refused_body_that_is_small_leaves_the_connection_usable(self):
        bad = b'{"model":"\xff' + b"x" * 5000 + b'"}'
        got = self.exchange(self.request(body=bad) + self.request("connection: close"))
        self.assertEqual([a[0] for a in got], [400, 200])

    def test_a_refused_large_body_closes_and_says_so(self):
        got = self.exchange(self.head("content-length: 10000000") + b"[" * 200)
        self.assertEqual((got[0][0], got[0][1]["connection"]), (400, "close"))

    def test_http_1_0_is_answered_without_chunks_and_closed(self):
        got = self.exchange(self.request(version="HTTP/1.0") + self.request(version="HTTP/1.0"))
        self.assertEqual([a[0] for a in got], [200])
        self.assertEqual(got[0][1]["connection"], "close")
        s = self.h.raw()
        s.sendall(self.request(version="HTTP/1.0", body=BODY[:-1] + b',"stream":true}'))
        data = read_all(s)
        s.close()
        self.assertNotIn(b"transfer-encoding", data)
        self.assertTrue(data.endswith(b"data: [DONE]\n\n"))

    def test_connection_close_is_honoured(self):
        got = self.exchange(self.request("connection: close") + self.request())
        self.assertEqual([(a[0], a[1]["connection"]) for a in got], [(200, "close")])

    def test_head_gets_the_fields_of_get_and_no_body(self):
        s = self.h.raw()
        s.sendall(self.head(method="HEAD", path="/healthz") + self.head("connection: close", method="GET", path="/healthz"))
        first, second = read_all(s).split(b"HTTP/1.1 200 OK\r\n")[1:]
        s.close()
        self.assertTrue(first.endswith(b"\r\n\r\n"))
        self.assertEqual(first.split(b"content-length")[1].split(b"\r\n")[0], second.split(b"content-length")[1].split(b"\r\n")[0])

    # ---- Expect ----

    def test_who_waits_for_100_continue_gets_it_before_the_answer(self):
        s = self.h.raw()
        s.sendall(self.head("content-length: %d" % len(BODY), "expect: 100-continue", "connection: close"))
        self.assertEqual(s.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
        s.sendall(BODY)
        self.assertEqual([a[0] for a in answers(read_all(s))], [200])
        s.close()

    def test_a_refusal_in_place_of_100_continue_ends_the_connection(self):
        # What came next could be the body after all, or a request: nobody can tell (RFC 9110, 10.1.1).
        for more in ("content-encoding: gzip", "x-tollgate-deadline-ms: never"):
            s = self.h.raw()
            s.sendall(self.head("content-length: 60", "expect: 100-continue", more))
            got = s.recv(65536)
            s.sendall(self.request())
            got = answers(got + read_all(s))
            s.close()
            self.assertEqual(len(got), 1)
            self.assertEqual(got[0][1]["connection"], "close")
        self.assertEqual(self.h.mock.stats()["requests"], 0)

    # ---- slow callers ----

    def closed_after(self, s, at_least, at_most):
        start = time.monotonic()
        got = read_all(s)
        took = time.monotonic() - start
        s.close()
        self.assertGreater(took, at_least)
        self.assertLess(took, at_most * PATIENCE)
        return got

    def drip(self, s, data, every=0.1, seconds=4):
        """One byte at a time until the gateway has had enough; what it says."""
        start = time.monotonic()
        s.settimeout(every)
        got = b""
        for b in data:
            if time.monotonic() - start > seconds * PATIENCE:
                self.fail("still patient after %g s" % seconds)
            try:
                s.sendall(bytes([b]))
                piece = s.recv(65536)
                if not piece:
                    break
                got += piece
            except (TimeoutError, socket.timeout):
                pass
            except OSError:
                break
        s.close()
        return got

    def test_a_caller_that_sends_nothing_is_dropped_after_head_ms(self):
        self.assertEqual(self.closed_after(self.h.raw(), 0.3, 2.5), b"")

    def test_a_head_that_drips_is_a_408_after_head_ms(self):
        got = self.drip(self.h.raw(), self.request("x-a: " + "b" * 200))
        self.assertIn(b"HTTP/1.1 408 ", got)

    def test_a_second_head_that_drips_gets_no_more_time_than_the_first(self):
        s = self.h.raw()
        s.sendall(self.request())
        self.assertIn(b"HTTP/1.1 200 ", s.recv(65536))
        got = self.drip(s, self.request("x-a: " + "b" * 200))
        self.assertIn(b"HTTP/1.1 408 ", got)

    def test_a_handshake_that_is_never_made_is_dropped_after_head_ms(self):
        s = socket.create_connection(("127.0.0.1", self.h.port))
        self.closed_after(s, 0.3, 2.5)
        s = socket.create_connection(("127.0.0.1", self.h.port))
        s.sendall(b"\x16\x03\x01\x02\x00\x01")    # the beginning of a hello
        self.closed_after(s, 0.3, 2.5)

    def test_a_body_that_stops_is_a_408_after_body_idle_ms(self):
        s = self.h.raw()
        s.sendall(self.head("content-length: %d" % len(BODY)) + BODY[:20])
        got = answers(self.closed_after(s, 0.3, 2.5))
        self.assertEqual([a[0] for a in got], [408])
        self.assertEqual(json.loads(got[0][2])["error"]["type"], "invalid_request_error")

    def test_a_body_that_drips_is_a_408_after_body_ms(self):
        # No piece is late; without a bound of the whole such a caller held its connection for ever.
        got = answers(self.drip(self.h.raw(), self.head("content-length: 1000") + b" " * 1000, seconds=8))
        self.assertEqual([a[0] for a in got], [408])

    def test_the_rest_of_a_refused_body_that_drips_ends_the_connection_after_body_ms(self):
        s = self.h.raw()
        s.sendall(self.head("content-length: 1000", "x-tollgate-deadline-ms: never"))
        got = answers(self.drip(s, b" " * 1000, seconds=8))
        self.assertEqual([a[0] for a in got], [400])

    def test_a_body_that_keeps_coming_is_not_cut(self):
        s = self.h.raw()
        s.sendall(self.head("content-length: %d" % len(BODY), "connection: close"))
        for i in range(0, len(BODY), 10):
            s.sendall(BODY[i:i + 10])
            time.sleep(0.2)
        self.assertEqual([a[0] for a in answers(read_all(s))], [200])
        s.close()

    def test_an_idle_connection_is_closed_after_keepalive_ms(self):
        s = self.h.raw()
        s.sendall(self.request())
        s.recv(65536)
        self.assertEqual(self.closed_after(s, 0.5, 3), b"")

    def test_slow_callers_do_not_slow_the_others(self):
        slow = [self.h.raw() for _ in range(30)]
        for s in slow:
            s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost:")
        start = time.monotonic()
        for _ in range(10):
            self.assertEqual(self.h.chat().status, 200)
        self.assertLess(time.monotonic() - start, 0.6 * PATIENCE + 1)
        for s in slow:
            s.close()

    # ---- TLS ----

    def test_plain_http_on_the_tls_port_is_refused_and_harms_nobody(self):
        for data in (self.request(), b"GET / HTTP/1.0\r\n\r\n", b"\x00" * 100, b"\x80\x2e\x01\x00\x02", b"PRI * HTTP/2.0\r\n\r\n"):
            s = socket.create_connection(("127.0.0.1", self.h.port), 20)
            s.sendall(data)
            self.assertNotIn(b"HTTP/1.1 200", read_all(s))
            s.close()
        self.assertEqual(self.h.mock.stats()["requests"], 0)

    def test_a_connection_cut_anywhere_leaves_nothing_behind(self):
        data = self.request()
        for cut in (0, 1, 10, len(data) - len(BODY) - 2, len(data) - len(BODY), len(data) - 1):
            for how in ("close_notify", "fin", "reset"):
                s = self.h.raw()
                s.sendall(data[:cut])
                if how == "close_notify":
                    s.settimeout(0.05)
                    try:
                        s.unwrap()
                    except (OSError, ssl.SSLError):
                        pass
                elif how == "reset":
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                s.close()
        for n in (1, 5, 100):    # within the handshake
            s = socket.create_connection(("127.0.0.1", self.h.port))
            s.sendall((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 200)[:n])
            s.close()
        wait_for(lambda: self.h.metrics()["tollgate_requests_running"] == 0, 5, "requests to end")
        wait_for(lambda: self.h.metrics()["tollgate_bytes_in_flight"] == 0, 5, "the bodies to be freed")
        self.assertEqual(self.h.mock.stats()["requests"], 0)

    def test_a_call_with_a_key_whose_body_breaks_off_leaves_a_row(self):
        # DESIGN section 8: every call for an answer that came with a valid key is a row, refused ones too.
        def left(session):    # by a name of its own: rows of earlier tests may still be on their way
            wait_for(lambda: self.h.sql("select 1 from requests where attempts = 0 and status >= 400 and session = ?", session), 5,
                     "the row of a caller that " + session)
        s = self.h.raw()
        s.sendall(self.request("x-tollgate-session: left")[:-5])
        # A close with unread bytes (tickets of TLS) is a reset, which takes what was sent with it if nobody has read it yet.
        wait_for(lambda: self.h.metrics()["tollgate_requests_running"] > 0, 5, "the gateway to have the head")
        s.close()
        left("left")
        self.exchange(self.head("x-tollgate-session: broke its body", "transfer-encoding: chunked") + b"zz\r\n")
        left("broke its body")
        s = self.h.raw()
        s.sendall(self.request("x-tollgate-session: was too slow")[:-5])
        read_all(s)
        s.close()
        left("was too slow")

    def test_old_tls_is_refused(self):
        context = ssl.create_default_context(cafile=self.h.path("ca.pem"))
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers("ALL:@SECLEVEL=0")
        with self.assertWarnsRegex(DeprecationWarning, "."):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        s = socket.create_connection(("127.0.0.1", self.h.port), 10)
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            context.wrap_socket(s, server_hostname="127.0.0.1")
        s.close()
        context = ssl.create_default_context(cafile=self.h.path("ca.pem"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection(("127.0.0.1", self.h.port), 10) as s:
            with context.wrap_socket(s, server_hostname="127.0.0.1") as t:
                self.assertEqual(t.version(), "TLSv1.2")


class FewRequests(Shared):
    options = {"config": {"limits": {"requests_per_connection": 3}}}

    def test_the_last_request_that_a_connection_may_bring_closes_it(self):
        s = self.h.raw()
        one = ("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").encode()
        s.sendall(one * 5)
        got = answers(read_all(s))
        s.close()
        self.assertEqual([a[1].get("connection") for a in got], [None, None, "close"])


if __name__ == "__main__":
    unittest.main()
