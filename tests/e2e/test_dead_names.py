# SPDX-License-Identifier: Apache-2.0
"""Names that nobody answers for: an agent that asks for many of them keeps no other agent from its provider."""
import subprocess
import sys

from world import OTHER4

MUTE = """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.9", 53))
print("mute", flush=True)
time.sleep(600)
"""
CRAWL = f"""
import socket, ssl, threading, time
c = ssl._create_unverified_context()
def one(i):
    try:
        c.wrap_socket(socket.create_connection(("{OTHER4}", 443), timeout=60), server_hostname=f"n{{i}}.dead.example")
    except OSError:
        pass
ts = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(60)]
for t in ts:
    t.start()
time.sleep(1)  # so that most of them have asked: more would only make it harder
print("asking", flush=True)
ts[0].join()
"""


def test_the_names_of_one_agent_do_not_hold_up_another(make_world):
    w = make_world(start=False, agents=[{"name": "bot", "day": "5USD"}, {"name": "crawler", "day": "1USD"}], config={"workers": 2})
    (w.folder / "resolv.conf").write_text("nameserver 127.0.0.9\n")
    mute = w.spawn(w.far, [sys.executable, "-c", MUTE], stdout=subprocess.PIPE)
    mute.stdout.readline()
    w.start()
    crawler = w.spawn("crawler", [sys.executable, "-c", CRAWL], stdout=subprocess.PIPE)
    crawler.stdout.readline()
    body = {"model": "fake-haiku", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    r = w.curl("bot", "https://api.anthropic.com/v1/messages", "-H", "anthropic-version: 2023-06-01", "-w", "%{http_code}", body=body)
    assert r.stdout.endswith("200"), r.stdout + r.stderr
    assert w.chat()[0] == 200
    w.assert_exact()
