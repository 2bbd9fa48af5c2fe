#!/usr/bin/env python3
"""bench.py - what the gateway costs beside nginx, both in front of the same mock upstream, in the same run.

    bench.py [--rounds 3] [--seconds 5] [--streams 2000] [--only throughput] [--no-pin] [--json FILE]

The ways are measured in turn, round after round, so that a noisy machine hurts all alike; printed are medians and
ratios. TLS in, plain HTTP to the upstream, one worker each, 1 KB in and 1 KB out, keep-alive; tollgate with its ledger,
policy and checks on. Ratios are to be trusted, rates belong to the machine. Not a unit test: it never fails on a figure.

Generator and mock stay on processors of their own (on two: both on the first), what is measured may run anywhere: the
scheduler else moves the generator to the processor of whoever wakes it, there to interrupt each burst of answers.
--no-pin leaves that to it.

  direct    the load generator against the mock, plain HTTP: what generator and mock cost by themselves
  nginx     TLS, proxy_pass with kept connections, no access log
  tollgate  TLS, key, policy, reservation, two ledger rows, checks, price"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../flow"))
from house import BUILD, House, Program, policy, wait_for  # noqa: E402

LOAD = os.path.join(BUILD, "tests/bench/load")


def pinned_to(role):
    """The processors of the mock or of the load generator; None when there is but one for all."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return None
    return {cpus[1 if role == "load" and len(cpus) >= 4 else 0]}


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_kib(pid):
    with open("/proc/%d/status" % pid) as f:
        return int([x for x in f if x.startswith("VmRSS")][0].split()[1])


class Nginx:
    """One worker, TLS, kept connections to the mock."""

    def __init__(self, house):
        self.dir = tempfile.mkdtemp(prefix="bench-nginx-")
        self.port = free_port()
        conf = """
daemon off; worker_processes 1; pid %(dir)s/pid; error_log %(dir)s/error.log error; worker_rlimit_nofile 20000;
events { worker_connections 8192; }
http {
  access_log off; client_body_temp_path %(dir)s/b; proxy_temp_path %(dir)s/p; fastcgi_temp_path %(dir)s/f;
  uwsgi_temp_path %(dir)s/u; scgi_temp_path %(dir)s/s; keepalive_requests 1000000000; client_body_buffer_size 128k;
  upstream mock { server 127.0.0.1:%(mock)d; keepalive 4096; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:%(port)d ssl backlog=4096; ssl_certificate %(house)s/cert.pem; ssl_certificate_key %(house)s/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    location / { proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }
  }
}""" % {"dir": self.dir, "mock": house.mock.port, "port": self.port, "house": house.dir}
        with open(self.dir + "/nginx.conf", "w") as f:
            f.write(conf)
        self.program = Program(["nginx", "-c", self.dir + "/nginx.conf"])
        wait_for(lambda: open_port(self.port), 10, "nginx")
        out = subprocess.run(["pgrep", "-P", str(self.program.process.pid)], capture_output=True, text=True).stdout
        self.pid = int(out.split()[0])


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def open_port(port):
    import socket
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Way:
    def __init__(self, name, url, pid, ca=None, bearer="none", pin=None):
        self.name, self.url, self.pid, self.ca, self.bearer, self.pin = name, url, pid, ca, bearer, pin
        self.results = []

    def settle_down(self):
        """In the load generator's process, before it begins."""
        if self.pin:
            os.sched_setaffinity(0, self.pin)

    def load(self, body, seconds, *more):
        argv = [LOAD, "--url", self.url, "--body", body, "--seconds", str(seconds), "--bearer", self.bearer, *more]
        if self.ca:
            argv += ["--ca", self.ca]
        before = cpu_seconds(self.pid)
        p = subprocess.run(argv, capture_output=True, text=True, preexec_fn=self.settle_down)
        if p.returncode or not p.stdout:
            sys.exit("load failed: " + p.stderr)
        if p.stderr:
            print(p.stderr, file=sys.stderr)
        r = json.loads(p.stdout)
        r["cpu_us"] = (cpu_seconds(self.pid) - before) * 1e6 / max(1, r["requests"] or r["chunks"])
        return r


def median(results, name):
    return statistics.median(r[name] for r in results)


def compare(title, ways, body, seconds, rounds, *more):
    results = {w.name: [] for w in ways}
    for _ in range(rounds):
        for w in ways:
            results[w.name].append(w.load(body, seconds, *more))
    print("\n%s (medians of %d rounds of %gs)" % (title, rounds, seconds))
    print("  %-10s %12s %10s %10s %10s %12s %8s" % ("", "per second", "p50 us", "p90 us", "p99 us", "CPU us each", "errors"))
    for w in ways:
        r = results[w.name]
        print("  %-10s %12.0f %10.0f %10.0f %10.0f %12.1f %8d" % (
            w.name, median(r, "per_second"), median(r, "p50_us"), median(r, "p90_us"), median(r, "p99_us"),
            median(r, "cpu_us"), sum(x["errors"] for x in r)))
    return results


def save(o, report):
    if o.json:
        with open(o.json, "w") as f:
            json.dump(report, f, indent=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--only", choices=["throughput"])
    parser.add_argument("--no-pin", action="store_true")
    parser.add_argument("--json")
    o = parser.parse_args()
    one = {"name": "bench", "routes": [{"name": "default", "stream": "pass", "steps": [
        {"model": "mock/cheap", "checks": ["complete", "not_empty", "not_refused"]}]}]}
    report = {}
    with House(policy=policy(**one), workers=1, config={"limits": {"keepalive_ms": 600000}}) as h:
        h.mock.script("cheap", "bytes=1024")
        plain, stream = h.path("plain.json"), h.path("stream.json")
        h.write("plain.json", {"model": "auto", "messages": [{"role": "user", "content": "x" * 900}]})
        slow = "mock:chunks=%d,every_ms=500,bytes=24,stamp " % (o.seconds * 4)    # more than it takes: all stay open
        h.write("stream.json", {"model": "auto", "stream": True, "messages": [
            {"role": "user", "content": slow + "x" * 500}]})
        nginx = Nginx(h)
        path = "/v1/chat/completions"
        pin = None if o.no_pin else pinned_to("load")
        if pin:
            os.sched_setaffinity(h.mock.process.pid, pinned_to("mock"))
        direct = Way("direct", "http://127.0.0.1:%d%s" % (h.mock.port, path), h.mock.process.pid, pin=pin)
        through = Way("nginx", "https://127.0.0.1:%d%s" % (nginx.port, path), nginx.pid, h.path("ca.pem"), pin=pin)
        ours = Way("tollgate", "https://127.0.0.1:%d%s" % (h.port, path), h.server.process.pid, h.path("ca.pem"), h.key, pin)
        h.mock.script("auto", "bytes=1024")
        ways = [direct, through, ours]

        report["throughput"] = r = compare("Throughput, 32 connections", ways, plain, o.seconds, o.rounds)
        ratio = [a["per_second"] / b["per_second"] for a, b in zip(r["tollgate"], r["nginx"])]
        print("  tollgate / nginx: %.2f (rounds: %s)" % (statistics.median(ratio), " ".join("%.2f" % x for x in ratio)))
        if o.only == "throughput":
            nginx.program.stop()
            save(o, report)
            return
        for rate in (500, 2000):
            report["rate %d" % rate] = r = compare("Latency at %d a second, 64 connections" % rate, ways, plain, o.seconds,
                                                   o.rounds, "--rate", str(rate), "--connections", "64")
            for p in ("p50_us", "p99_us"):
                print("  added by tollgate over direct, %s: %+.0f us (nginx: %+.0f us)" % (
                    p, median(r["tollgate"], p) - median(r["direct"], p), median(r["nginx"], p) - median(r["direct"], p)))
        h.mock.script("cheap", "")
        h.mock.reset()
        for w in ways[1:]:
            before = rss_kib(w.pid)
            argv = [LOAD, "--url", w.url, "--body", stream, "--seconds", str(o.seconds), "--streams", "--connections",
                    str(o.streams), "--bearer", w.bearer, "--ca", w.ca]
            p = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, preexec_fn=w.settle_down)
            peak = before
            while p.poll() is None:
                peak = max(peak, rss_kib(w.pid))
                time.sleep(0.05)
            s = json.loads(p.stdout.read())
            s["kib_a_stream"] = (peak - before) / o.streams
            report["streams " + w.name] = s
            print("\n%d slow streams through %s: %.1f KiB a stream, chunk delay p50 %.2f ms, p99 %.2f ms, %d chunks, %d errors" % (
                o.streams, w.name, s["kib_a_stream"], s["p50_us"] / 1e3, s["p99_us"] / 1e3, s["chunks"], s["errors"]))
        nginx.program.stop()
    save(o, report)


if __name__ == "__main__":
    main()
