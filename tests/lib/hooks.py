# SPDX-License-Identifier: Apache-2.0
"""A receiver of webhooks for tests: hooks.py PORT LOG. One JSON line per request: path, headers, body. The path says how it answers:
/ok 204; /flaky 500 twice, then 204; /moved 302 to /ok; /bad 400; /hang never.
"""
import http.server
import json
import sys
import threading
import time

port, log = int(sys.argv[1]), sys.argv[2]
seen, lock = {}, threading.Lock()


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        with lock:
            n = seen[self.path] = seen.get(self.path, 0) + 1
            with open(log, "a") as out:
                out.write(json.dumps({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body}) + "\n")
        if self.path == "/hang":
            time.sleep(3600)
        status = {"/flaky": 500 if n <= 2 else 204, "/moved": 302, "/bad": 400}.get(self.path, 204)
        self.send_response(status)
        if status == 302:
            self.send_header("location", "/ok")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Hook)
server.daemon_threads = True
open(log, "a").close()
server.serve_forever()
