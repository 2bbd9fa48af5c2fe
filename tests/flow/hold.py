"""hold.py - keeps a house open for a test in another language: prints where it is as one line of JSON, ends with stdin."""
import json
import sys

from house import House

with House(workers=2) as h:
    print(json.dumps({"url": "https://127.0.0.1:%d/v1" % h.port, "ca": h.path("ca.pem"), "key": h.key,
                      "mock": "http://127.0.0.1:%d" % h.mock.port}), flush=True)
    sys.stdin.read()
