# SPDX-License-Identifier: Apache-2.0
"""Items 47 to 51 of docs/others.md: memory that grew, starts that needed the network, limits that were demanded for no rule, groups that could not be."""
import json
import sys
import time

import pytest
import world as worlds
from world import nano

from .helpers import HELLO, OPENAI, agent, ask, chat, leave, never_below, refused_by, rows, window

# Eight connections that are kept, each with its share of the calls; big: bytes of every tenth body.
LOAD = """
import http.client, json, ssl, sys, threading
calls, big = int(sys.argv[1]), int(sys.argv[2])
context = ssl.create_default_context()
def work():
    c = http.client.HTTPSConnection("api.openai.com", context=context, timeout=60)
    for i in range(calls // 8):
        body = {"model": "fake-mini", "max_tokens": 20, "stream": i % 2 == 0, "messages": [{"role": "user", "content": "x" * (big if i % 10 == 0 else 500)}]}
        if i % 7 == 0: body["model"] = "no-such-model"
        c.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json", "x-fake": "in=60,out=20"})
        c.getresponse().read()
    c.close()
for t in [threading.Thread(target=work) for _ in range(8)]: t.start()
"""


@pytest.fixture(scope="module")
def shared():
    w = worlds.World(agents=[]).start()
    yield w
    w.close()


def rss(w, field="VmRSS"):
    """Of the daemon, in KiB."""
    text = open(f"/proc/{w.daemon.pid}/status").read()
    return int(text.partition(field + ":")[2].split()[0])


def descriptors(w):
    return len(list(worlds.pathlib.Path(f"/proc/{w.daemon.pid}/fd").iterdir()))


def test_litellm_12685_27954_38193_15128_21908_memory_does_not_grow_with_calls(shared):
    """There memory grew with the calls that went through, to 40 GiB before the machine gave up."""
    name = agent(shared)

    def load(calls, big):
        assert shared.in_agent(name, [sys.executable, "-c", LOAD, str(calls), str(big)]).returncode == 0
        for _ in range(3):
            leave(shared, name, chat(stream=True, max_tokens=400), 20, "out=400,gap=0.002")
        shared.quiet()
        return rss(shared), descriptors(shared)
    load(600, 300_000)
    warm, open_files = load(400, 300_000)
    after, then = load(1800, 300_000)
    # The ledger's page cache grows to 10 MiB, by some 260 bytes a call; twice that and more would be ours.
    assert after - warm < 2048, f"{warm} KiB after 1,000 calls, {after} KiB after 2,800"
    assert rss(shared, "VmHWM") < 64 * 1024 and then <= open_files + 4
    never_below(shared)


def test_litellm_33167_a_start_needs_nothing_from_the_network():
    """There a start had to download a database engine first; where that was blocked, nothing started."""
    w = worlds.World(agents=[])
    try:
        netns = ["ip", "-n", w.name]
        assert worlds.run(*netns, "route").stdout == "" and worlds.run(*netns, "-6", "route", "show", "default").stdout == ""
        began = time.monotonic()
        w.start()
        assert time.monotonic() - began < 5
        assert ask(w, agent(w), chat())[0] == 200
        w.assert_exact()
        # It has one upstream, the provider; nobody else was called.
        peers = worlds.run("nsenter", f"--net={worlds.NETNS / w.name}", "ss", "-tnH", "state", "established").stdout.split()
        assert all(p.rpartition(":")[0].strip("[]") in (worlds.PROVIDER4, worlds.PROVIDER6, "127.0.0.1", "::1", "::ffff:127.0.0.1")
                   for p in peers if ":" in p), peers
    finally:
        w.close()


def test_tensorzero_3648_no_output_limit_is_demanded_where_the_model_has_one(shared):
    """There a request had to carry max_tokens even where no rule on tokens was set."""
    name = agent(shared, "--day", "10")
    responses = OPENAI + "responses", {"model": "fake-mini", "input": "hello"}
    for call in ((OPENAI + "chat/completions", {"model": "fake-mini", "messages": HELLO}), responses,
                 (OPENAI + "chat/completions", {"model": "fake-mini", "messages": HELLO, "stream": True})):
        status, text = ask(shared, name, call)
        assert status == 200, text
        sent = json.loads(shared.requests()[-1]["body"])
        assert not {"max_tokens", "max_completion_tokens", "max_output_tokens"} & set(sent)  # nor is one put in
    assert nano(rows(shared, name)[1]["held"]) >= 16384 * 600  # its own limit bounds it
    shared.quiet()
    never_below(shared)


def test_agentgateway_2626_3302_money_for_a_group_and_a_share_for_each(shared):
    """There limits were on tokens and for one caller each: asked for was money, shared by a group and split among its applications."""
    shared.purse("account", "add", "team", "--total", "0.0005")
    apps = [agent(shared, "--account", "team", "--total", "0.0003") for _ in range(2)]
    apps.append(agent(shared, "--account", "team"))
    spent = dict.fromkeys(apps, 0)

    def until_refused(name):
        while True:
            status, text = ask(shared, name, chat(), fake="in=60,out=20")
            if status != 200:
                assert status == 402 and refused_by(text) == "budget_exhausted", text
                return json.loads(text)["error"]["purse"]["account"]
            spent[name] += 60 * 150 + 20 * 600
    # The first is stopped by its share, and the second by what the group has left; the third has no limit of its own, and nothing is left.
    assert until_refused(apps[0]) == apps[0]
    assert until_refused(apps[1]) == "team"
    assert until_refused(apps[2]) == "team" and spent[apps[2]] == 0
    shared.quiet()
    assert [nano(window(shared, a)["spent"]) for a in apps] == list(spent.values())
    assert nano(window(shared, "team")["spent"]) == sum(spent.values()) <= 500000
    never_below(shared)
    # The split is in the ledger too.
    groups = shared.purse_json("ledger", "--group-by", "agent", "--account", apps[0])
    assert f'"{apps[0]}"' in json.dumps(groups)
