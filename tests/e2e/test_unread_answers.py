# SPDX-License-Identifier: Apache-2.0
"""An answer that purse cannot read is not a cheap one: it is charged at what it can have cost at most, and says that it is estimated."""
import pytest
from world import nano


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_repeats_itself_in_gzip(make_world, stream):
    """A thousand to one: the usage stands at the end of megabytes of the same word."""
    w = make_world(agents=[{"name": "bot", "day": "1000USD"}])
    fake = "in=12,out=400000,gzip" + (",tok=20000" if stream else "")
    status, text, r = w.chat(fake=fake, stream=stream, max_tokens=500000, args=("--compressed",))
    assert status == 200 and len(text) > 1600000, r.stderr
    w.assert_exact()


@pytest.mark.parametrize("fake", ["coding=x-secret", "coding=gzip", "html"])
def test_a_whole_answer_that_cannot_be_read_costs_its_hold(world, fake):
    status, _, r = world.chat(fake=f"in=12,out=40,{fake}", max_tokens=50)
    assert status == 200, r.stderr
    world.quiet()
    (call,) = world.ledger()
    assert call["estimated"] and call["end"] == "done" and nano(call["cost"]) == nano(call["held"])
    assert world.charged() >= world.billed() > 0
    world.audit()


@pytest.mark.parametrize("fake", ["coding=x-secret", "coding=gzip"])
@pytest.mark.parametrize("most,out", [(50, 50), (50000, 400)])
def test_a_stream_that_cannot_be_read_costs_what_its_time_could_make(make_world, fake, most, out):
    """50000: the hold rolls, at 500 tokens a second."""
    w = make_world(agents=[{"name": "bot", "day": "1000USD"}])
    status, _, r = w.chat(fake=f"in=12,out={out},pace=400,{fake}", stream=True, max_tokens=most)
    assert status == 200, r.stderr
    w.quiet()
    (call,) = w.ledger()
    assert call["estimated"] and call["end"] == "done"
    assert w.charged() >= w.billed() > 0
    w.audit()


def test_a_stream_that_a_front_ended_in_good_form_costs_what_was_seen(make_world):
    """message_start says one token of output; the connection ends as if all was well, without message_stop."""
    w = make_world(agents=[{"name": "bot", "day": "1000USD"}])
    body = {"model": "fake-haiku", "max_tokens": 5000, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    r = w.curl("bot", "https://api.anthropic.com/v1/messages", "-H", "anthropic-version: 2023-06-01", body=body, fake="in=12,out=300,end=200")
    assert "tok" in r.stdout, r.stderr
    w.quiet()
    (call,) = w.ledger()
    assert call["estimated"] and w.charged() >= w.billed() > 0
