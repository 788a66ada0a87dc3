# SPDX-License-Identifier: Apache-2.0
"""A provider that is not one: speaks the OpenAI and Anthropic APIs over TLS, and bills.

Run: fake_provider.py CERT KEY LOG ADDRESS…   (port 443 on each address)

LOG gets one JSON object a line: {"conn": peer}, {"junk": …} for bytes that were no TLS or HTTP, {"request": …} and, when a call is over
(also when the client left), {"bill": nano-dollars, …}. What it bills is figured by fake_prices.py, not by the code under test.

Steering, in the request header `x-fake`, comma-separated:
  out=N        answer N output tokens (default 5), one chunk each when streamed
  in=N cached=N w5=N w1h=N   input tokens, and how many of them were cached or written
  delay=S      seconds before the first byte     gap=S  seconds between chunks
  tok=N        N tokens in a chunk (default 1)   pace=N make N tokens a second (instead of gap)
  think=N      first make N tokens that nothing shows, at that pace   notice=S  go on making for S seconds after the client has left
  obey         make no more than the request's own limit   pad=N   N bytes of comment behind each event
  ahead        make at its pace also while nobody reads: what waits to be sent is made, and billed
  status=N     an error answer, nothing billed (front: in a form that is not the provider's)   fail=N error event after N chunks (billed: what was made)
  cut=N        reset the connection after N chunks   end=N  end the stream in good form after N chunks
  at=N         reset it after N bytes of the answer, head and framing counted
  gzip         content-encoding gzip (streamed: flushed after every event)   nousage   no usage anywhere
  coding=NAME  says that content-encoding, and the bytes are not   html  a whole answer that is a page
  model=NAME   served by another model           tool      answer with a tool call
  tier=NAME    served in that tier (default: the one asked for, if the model has it)   reason=N   so many output tokens were thought
  search=N     so many paid web searches (Anthropic)
"""
import gzip
import hashlib
import http.server
import itertools
import json
import select
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import zlib

import fake_extra
import fake_prices

LOG = threading.Lock()
NUMBERS = itertools.count(1)


class Gone(Exception):
    pass


def log(**record):
    with LOG:
        LOGFILE.write(json.dumps(record) + "\n")
        LOGFILE.flush()


def steering(header):
    words = [w.strip() for w in (header or "").split(",") if w.strip()]
    return {w.partition("=")[0]: w.partition("=")[2] or "1" for w in words}


class Call:
    """One metered request: what was asked, what has been generated, what it costs."""

    def __init__(self, provider, body, x):
        self.provider, self.body, self.x = provider, body, x
        self.model = x.get("model", body.get("model", ""))
        self.out = int(x.get("out", 5))
        if "obey" in x:
            limits = [body[k] for k in ("max_tokens", "max_completion_tokens", "max_output_tokens") if body.get(k)]
            self.out = min([self.out, *limits])
        self.made, self.begun = 0, time.monotonic()
        self.per = int(x.get("tok", 1))
        self.gap = self.per / float(x["pace"]) if "pace" in x else float(x.get("gap", 0))
        total = int(x.get("in", 12))
        self.usage = {"input": total, "cache_read": int(x.get("cached", 0)), "cache_write_5m": int(x.get("w5", 0)),
                      "cache_write_1h": int(x.get("w1h", 0)), "web_searches": int(x.get("search", 0))}
        asked = body.get("service_tier")
        self.tier = x.get("tier", asked if asked in (fake_prices.find(provider, self.model) or {}) else "default")
        self.thought = int(x.get("reason", x.get("think", 0)))
        self.sent = hashlib.sha256()  # of the answer's body, decoded
        self.free = False
        fake_extra.begin(self)

    def bill(self, end):
        if "ahead" in self.x:
            self.made = max(self.made, min(self.out, int((time.monotonic() - self.begun) * float(self.x["pace"]))))
        usage = dict(self.usage, output=self.made)
        tier = "standard" if self.tier == "default" else self.tier
        nano = 0 if self.free else fake_extra.bill(self, fake_prices.bill(self.provider, self.model, usage, tier, self.fast, self.geo, self.host))
        log(bill=nano, id=self.id, provider=self.provider, model=self.model, usage=usage, tier=self.tier, end=end, sent=self.sent.hexdigest())

    # ---- usage in each dialect
    def openai_usage(self):
        u = self.usage
        usage = {"prompt_tokens": u["input"], "completion_tokens": self.made, "total_tokens": u["input"] + self.made,
                "prompt_tokens_details": {"cached_tokens": u["cache_read"]},
                "completion_tokens_details": {"reasoning_tokens": min(self.thought, self.made)}}
        return fake_extra.add_openai(self, usage, "prompt_tokens_details", "completion_tokens_details")

    def responses_usage(self):
        u = self.usage
        usage = {"input_tokens": u["input"], "input_tokens_details": {"cached_tokens": u["cache_read"]},
                "output_tokens": self.made, "output_tokens_details": {"reasoning_tokens": min(self.thought, self.made)},
                "total_tokens": u["input"] + self.made}
        return fake_extra.add_openai(self, usage, "input_tokens_details", "output_tokens_details")

    def anthropic_usage(self, output=None):
        u = self.usage
        written = u["cache_write_5m"] + u["cache_write_1h"]
        more = {"server_tool_use": {"web_search_requests": u["web_searches"]}} if u["web_searches"] else {}
        usage = {**more, "input_tokens": u["input"] - u["cache_read"] - written, "cache_read_input_tokens": u["cache_read"],
                "cache_creation_input_tokens": written,
                "cache_creation": {"ephemeral_5m_input_tokens": u["cache_write_5m"],
                                   "ephemeral_1h_input_tokens": u["cache_write_1h"]},
                "output_tokens": self.made if output is None else output}
        return fake_extra.add_anthropic(self, usage)

    def text(self):
        return "tok " * self.made

    def chunks(self):
        """The tokens of each chunk."""
        return [self.per] * (self.out // self.per) + [n for n in [self.out % self.per] if n]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0
    x, left = {}, None

    def setup(self):
        log(conn=self.client_address[0])
        super().setup()

    def handle(self):
        try:
            super().handle()
        except (ssl.SSLError, ConnectionError, Gone, OSError) as e:
            log(broken=str(e)[:120])

    def log_message(self, *args):
        pass

    def log_error(self, fmt, *args):
        log(junk=fmt % args)

    # ---- writing
    def write(self, data):
        """All bytes of an answer pass here, so that `at` can cut between any two."""
        if self.left is not None and self.left <= len(data):
            self.wfile.write(data[:self.left])
            time.sleep(0.005)  # a reset must not overtake what it follows
            self.reset()
        if self.left is not None:
            self.left -= len(data)
        self.wfile.write(data)

    def flush_headers(self):
        head, self._headers_buffer = b"".join(self._headers_buffer), []
        self.write(head)

    def send_json(self, status, value, headers=()):
        data = value if isinstance(value, bytes) else fake_extra.dumps(value).encode()
        self.sent.update(data)
        extra = list(headers)
        if "html" in self.x:
            data = b"<html>" + data + b"</html>"
        if "coding" in self.x:
            extra.append(("content-encoding", self.x["coding"]))
        if self.x.get("gzip"):
            data, extra = gzip.compress(data, mtime=0), extra + [("content-encoding", "gzip")]
        self.send_response(status)
        for name, value in [("content-type", "audio/mpeg" if isinstance(value, bytes) else "text/html" if "html" in self.x else "application/json"), ("x-request-id", self.id),
                            ("alt-svc", 'h3=":443"'), ("X-Odd-Case", "Kept"), *extra]:
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.write(data)

    def begin_stream(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("x-request-id", self.id)
        self.packer = None
        if "coding" in self.x:
            self.send_header("content-encoding", self.x["coding"])
        if self.x.get("gzip"):
            self.send_header("content-encoding", "gzip")
            self.packer = zlib.compressobj(wbits=31)
        self.end_headers()

    def event(self, value, name=None):
        text = f"event: {name}\n" if name else ""
        text += "data: " + (value if isinstance(value, str) else fake_extra.dumps(value)) + "\n\n"
        if "pad" in self.x:
            text += ":" + "x" * int(self.x["pad"]) + "\n\n"
        data = text.encode()
        self.sent.update(data)
        self.chunk(self.packer.compress(data) + self.packer.flush(zlib.Z_SYNC_FLUSH) if self.packer else data)

    def chunk(self, data):
        self.write(b"%x\r\n%s\r\n" % (len(data), data))

    def end_stream(self):
        if self.packer:
            self.chunk(self.packer.flush())
        self.write(b"0\r\n\r\n")

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        raise Gone("cut on purpose")

    # ---- requests
    def do_GET(self):
        log(request=self.path, method=self.command, headers=self.headers.items())
        self.begin(None)
        self.send_json(200, {"object": "list", "data": [{"id": "fake-mini", "object": "model", "created": 1, "owned_by": "x"}],
                             "has_more": False, "first_id": None, "last_id": None})

    do_HEAD = do_GET

    def begin(self, steered):
        self.x = steering(steered)
        self.id = f"req-{next(NUMBERS)}"
        self.left = int(self.x["at"]) if "at" in self.x else None
        self.sent = hashlib.sha256()

    def do_POST(self):
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        log(request=self.path, method="POST", headers=self.headers.items(), body=raw.decode("utf-8", "replace")[:4000])
        self.begin(self.headers.get("x-fake"))
        path = self.path.partition("?")[0]
        kind = self.headers.get("content-type") or ""
        body = fake_extra.read_form(raw, kind) if kind.startswith("multipart/") else json.loads(raw)
        if path == "/v1/messages/count_tokens":
            return self.send_json(200, {"input_tokens": 12})
        provider, whole, stream = ROUTES[path]
        provider = fake_extra.HOSTS.get(self.headers.get("host"), provider)
        call = Call(provider, body, self.x)
        self.sent, call.id, call.host = call.sent, self.id, self.headers.get("host") or ""
        time.sleep(float(self.x.get("delay", 0)))
        if "status" in self.x:
            return self.answer_error(call, int(self.x["status"]))
        end = "cut"
        try:
            if body.get("stream") in (True, "true") or body.get("stream_format") == "sse":
                stream(self, call)
            else:
                call.made = 0 if path.endswith("embeddings") else call.out
                if "cut" in self.x:
                    self.reset()
                self.send_json(200, whole(call))
            end = "done"
        finally:
            call.bill(end)

    def answer_error(self, call, status):
        call.free = True
        call.bill("error")
        if "front" in call.x:
            return self.send_json(status, b"<html>somebody in between")
        if call.provider == "anthropic":
            return self.send_json(status, {"type": "error", "error": {"type": "api_error", "message": "on purpose"}})
        return self.send_json(status, {"error": {"message": "on purpose", "type": "server_error", "param": None, "code": None}})

    def wait(self, call):
        # Nobody pipelines here: what can be read is that the client has gone. Then nothing more is made, as real providers do it.
        if not select.select([self.connection], [], [], call.gap)[0]:
            return
        end = time.monotonic() + float(self.x.get("notice", 0))
        while time.monotonic() < end:
            time.sleep(call.gap)
            call.made += call.per
        raise Gone("the client left")

    def think(self, call):
        for _ in range(int(self.x.get("think", 0)) // call.per):
            self.wait(call)
            call.made += call.per

    def pace(self, call, i, n=1):
        """Before chunk i; counts the tokens that it stands for."""
        if "cut" in self.x and i == int(self.x["cut"]):
            self.reset()
        if "end" in self.x and i == int(self.x["end"]):
            self.end_stream()
            raise Gone("ended early on purpose")
        if i:
            self.wait(call)
        call.made += n

    def fails_at(self, call, i):
        if "fail" in self.x and i == int(self.x["fail"]):
            call.free = not call.made
            return True
        return False


# ---- OpenAI

def chat_whole(call):
    message = {"role": "assistant", "content": call.text()}
    if "tool" in call.x:
        message = {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sky"}'}}]}
    answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": call.model, "choices": [
        {"index": 0, "message": message, "finish_reason": "tool_calls" if "tool" in call.x else "stop", "logprobs": None}],
        "usage": call.openai_usage(), "service_tier": call.tier}
    if "nousage" in call.x:
        del answer["usage"]
    return answer


def chat_stream(h, call):
    asked = (call.body.get("stream_options") or {}).get("include_usage") or call.provider in fake_extra.ALWAYS
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": call.model, "service_tier": call.tier}
    if asked:
        frame["usage"] = None
    h.begin_stream()
    h.think(call)
    for i, n in enumerate(call.chunks()):
        if h.fails_at(call, i):
            h.event({"error": {"message": "on purpose", "type": "server_error", "param": None, "code": None}})
            return h.end_stream()
        h.pace(call, i, n)
        h.event(dict(frame, choices=[{"index": 0, "delta": {"content": "tok " * n}, "finish_reason": None}]))
    h.event(dict(frame, choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    if asked and "nousage" not in call.x:
        h.event(dict(frame, choices=[], usage=call.openai_usage()))
    h.event("[DONE]")
    h.end_stream()


def response_object(call, status):
    return {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": call.model, "error": None,
            "incomplete_details": None, "instructions": None, "metadata": {}, "parallel_tool_calls": True, "tool_choice": "auto",
            "tools": [], "service_tier": call.tier, "temperature": 1, "top_p": 1, "output": [
                *fake_extra.output_items(call), {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
                 "content": [{"type": "output_text", "text": call.text(), "annotations": []}]}] if status == "completed" else [],
            "usage": call.responses_usage() if status == "completed" and "nousage" not in call.x else None}


def responses_stream(h, call):
    h.begin_stream()
    n = 0

    def say(kind, **more):
        nonlocal n
        h.event(dict(more, type=kind, sequence_number=n), kind)
        n += 1
    say("response.created", response=response_object(call, "in_progress"))
    h.think(call)
    for i, made in enumerate(call.chunks()):
        if h.fails_at(call, i):
            say("response.failed", response=dict(response_object(call, "failed"), error={"code": "server_error", "message": "on purpose"}))
            return h.end_stream()
        h.pace(call, i, made)
        say("response.output_text.delta", item_id="msg_1", output_index=0, content_index=0, delta="tok " * made, logprobs=[])
    say("response.completed", response=response_object(call, "completed"))
    h.end_stream()


def completions_whole(call):
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": call.model,
            "choices": [{"index": 0, "text": call.text(), "finish_reason": "stop", "logprobs": None}], "usage": call.openai_usage()}


def embeddings_whole(call):
    return {"object": "list", "model": call.model, "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
            "usage": {"prompt_tokens": call.usage["input"], "total_tokens": call.usage["input"]}}


# ---- Anthropic

def messages_whole(call):
    content = [{"type": "text", "text": call.text()}]
    if "tool" in call.x:
        content = [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "sky"}}]
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": call.model, "content": content,
            "stop_reason": "tool_use" if "tool" in call.x else "end_turn", "stop_sequence": None, "usage": call.anthropic_usage()}


def messages_stream(h, call):
    h.begin_stream()
    start = dict(messages_whole(call), content=[], stop_reason=None, usage=call.anthropic_usage(output=1))
    h.event({"type": "message_start", "message": start}, "message_start")
    h.event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, "content_block_start")
    h.event({"type": "ping"}, "ping")
    h.think(call)
    for i, n in enumerate(call.chunks()):
        if h.fails_at(call, i):
            h.event({"type": "error", "error": {"type": "overloaded_error", "message": "on purpose"}}, "error")
            return h.end_stream()
        h.pace(call, i, n)
        h.event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "tok " * n}}, "content_block_delta")
    h.event({"type": "content_block_stop", "index": 0}, "content_block_stop")
    h.event({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
             "usage": {"output_tokens": call.made, **({"server_tool_use": call.anthropic_usage()["server_tool_use"]} if call.usage["web_searches"] else {})}},
            "message_delta")
    h.event({"type": "message_stop"}, "message_stop")
    h.end_stream()


ROUTES = {
    **fake_extra.ROUTES,
    "/v1/chat/completions": ("openai", chat_whole, chat_stream),
    "/v1/responses": ("openai", lambda call: response_object(call, "completed"), responses_stream),
    "/v1/completions": ("openai", completions_whole, None),
    "/v1/embeddings": ("openai", embeddings_whole, None),
    "/v1/messages": ("anthropic", messages_whole, messages_stream),
}


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 1024
    address_family = socket.AF_INET

    def __init__(self, address, context):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, 443), Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)  # no reverse look-up of our own name

    def handle_error(self, request, client_address):
        log(broken=str(sys.exc_info()[1])[:120])


if __name__ == "__main__":
    certificate, key, log_path, *addresses = sys.argv[1:]
    LOGFILE = open(log_path, "a")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    servers = [Server(a, context) for a in addresses]
    for s in servers[1:]:
        threading.Thread(target=s.serve_forever, daemon=True).start()
    log(ready=addresses)
    servers[0].serve_forever()
