# SPDX-License-Identifier: Apache-2.0
"""clamp: true: a call that is held whole and does not fit has its output limit lowered to what there is, and says so."""
import json

import pytest
from world import nano

BASE = "https://api.openai.com/v1/"
HELLO = [{"role": "user", "content": "hello"}]


def clamped(make_world, usd, **more):
    return make_world(agents=[dict({"name": "bot", "day": f"{usd}USD", "clamp": True}, **more)])


def ask(w, url, body, fake="in=40,out=100000,obey"):
    r = w.curl("bot", url, "-i", body=body, fake=fake)
    head, _, text = r.stdout.replace("\r\n", "\n").partition("\n\n")
    fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
    return int(head.split()[1]), fields, json.loads(text)


def sent(w):
    return json.loads(w.requests()[-1]["body"])


@pytest.mark.parametrize("url, body, field", [
    (BASE + "chat/completions", {"max_tokens": 8000, "messages": HELLO}, "max_tokens"),
    (BASE + "chat/completions", {"messages": HELLO, "max_completion_tokens": 8000}, "max_completion_tokens"),
    (BASE + "chat/completions", {"messages": HELLO}, "max_completion_tokens"),
    (BASE + "chat/completions", {"max_tokens": None, "messages": HELLO}, "max_tokens"),
    (BASE + "responses", {"max_output_tokens": 8000, "input": "hello"}, "max_output_tokens"),
    (BASE + "responses", {"input": "hello"}, "max_output_tokens"),
    ("https://api.anthropic.com/v1/messages", {"model": "fake-haiku", "max_tokens": 60000, "messages": HELLO}, "max_tokens"),
], ids=["old-name", "new-name", "no-limit", "null", "responses", "responses-no-limit", "anthropic"])
def test_the_limit_is_lowered_to_what_is_there(make_world, url, body, field):
    body = dict({"model": "fake-mini"}, **body)
    w = clamped(make_world, "0.003")
    status, head, _ = ask(w, url, body)
    assert status == 200
    limit = int(head["x-purse-clamped"])
    got = sent(w)
    # Nothing else is touched.
    assert got[field] == limit and limit >= 16
    assert {k: v for k, v in got.items() if k != field} == {k: v for k, v in body.items() if k != field}
    w.assert_exact()
    row, = w.ledger()
    assert row["end"] == "clamped" and nano(row["held"]) <= nano("0.003") and nano(row["cost"]) <= nano("0.003")
    # As much as could be had: one token more would not have fitted.
    assert nano(row["held"]) + nano("0.00001") >= nano("0.003")


def test_both_names_and_choices(make_world):
    w = clamped(make_world, "0.003")
    body = {"model": "fake-mini", "max_tokens": 9000, "messages": HELLO, "n": 3, "max_completion_tokens": 8000}
    status, head, _ = ask(w, BASE + "chat/completions", body, fake="in=40,out=10")
    limit = int(head["x-purse-clamped"])
    assert status == 200 and sent(w)["max_tokens"] == sent(w)["max_completion_tokens"] == limit
    row, = w.quiet().ledger()
    assert nano(row["held"]) >= 3 * limit * 600


def test_what_fits_is_left_alone(make_world):
    w = clamped(make_world, "10")
    body = {"model": "fake-mini", "max_tokens": 8000, "messages": HELLO}
    status, head, _ = ask(w, BASE + "chat/completions", body, fake="out=5")
    assert status == 200 and "x-purse-clamped" not in head and sent(w) == body
    assert w.quiet().ledger()[0]["end"] == "done"


@pytest.mark.parametrize("usd, body", [
    ("0.00002", {}),                                                              # not even sixteen tokens
    ("0.003", {"prediction": {"type": "content", "content": "x"}}),               # what is predicted is charged on top
], ids=["too-little", "prediction"])
def test_what_cannot_be_lowered_is_refused(make_world, usd, body):
    w = clamped(make_world, usd)
    status, head, error = ask(w, BASE + "chat/completions", dict({"model": "fake-mini", "max_tokens": 16000, "messages": HELLO}, **body))
    assert status == 402 and error["error"]["purse"]["reason"] == "budget_exhausted"
    assert w.requests() == []


def test_thinking_keeps_its_budget(make_world):
    w = clamped(make_world, "0.02")
    body = {"model": "fake-haiku", "max_tokens": 60000, "messages": HELLO, "thinking": {"type": "enabled", "budget_tokens": 2000}}
    status, head, _ = ask(w, "https://api.anthropic.com/v1/messages", body)
    assert status == 200 and 2016 <= int(head["x-purse-clamped"]) < 60000
    body["thinking"]["budget_tokens"] = 30000
    w.quiet()
    w.purse("agent", "set", "bot", "--day", "0.04USD")
    assert ask(w, "https://api.anthropic.com/v1/messages", body)[0] == 402


def test_accounts_below_inherit_it(make_world):
    w = make_world(accounts=[{"name": "team", "day": "0.003USD", "clamp": True}], agents=[{"name": "bot", "account": "team", "day": "1USD"}])
    status, head, _ = ask(w, BASE + "chat/completions", {"model": "fake-mini", "max_tokens": 8000, "messages": HELLO})
    assert status == 200 and int(head["x-purse-clamped"]) < 8000


def test_without_it_nothing_is_changed(make_world):
    w = make_world(agents=[{"name": "bot", "day": "0.003USD"}])
    assert ask(w, BASE + "chat/completions", {"model": "fake-mini", "max_tokens": 8000, "messages": HELLO})[0] == 402
    assert w.requests() == []
