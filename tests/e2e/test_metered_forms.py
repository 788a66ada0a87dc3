# SPDX-License-Identifier: Apache-2.0
"""Every form of billing besides plain tokens, end to end: the row in the ledger is the provider's bill to the nano-dollar.

Money that a provider reports, speed and place, paid tools, pictures, speech, transcriptions; and what of them is refused or not believed."""
import pytest
import world as worlds
from world import nano

OPENAI, ANTHROPIC = "https://api.openai.com/v1/", "https://api.anthropic.com/v1/"
ROUTER, XAI, PERPLEXITY = "https://openrouter.ai/v1/", "https://api.x.ai/v1/", "https://api.perplexity.ai/v1/"
NAMES = (*worlds.NAMES, "eu.api.openai.com", "openrouter.ai", "api.x.ai", "api.perplexity.ai")
PROVIDERS = [{"name": n, "dialect": n, "hosts": list(h)} for n, *h in
             (("openai", "api.openai.com", "eu.api.openai.com"), ("anthropic", "api.anthropic.com"), ("openrouter", "openrouter.ai"), ("xai", "api.x.ai"),
              ("perplexity", "api.perplexity.ai"))]


def chat(model, host=OPENAI, **more):
    return host + "chat/completions", dict({"model": model, "max_tokens": 400, "messages": [{"role": "user", "content": "x" * 3000}]}, **more)


def respond(model, host=OPENAI, **more):
    return host + "responses", dict({"model": model, "max_output_tokens": 400, "input": "x" * 3000}, **more)


def message(model, **more):
    return ANTHROPIC + "messages", dict({"model": model, "max_tokens": 400, "messages": [{"role": "user", "content": "x" * 3000}]}, **more)


def tools(*kinds, calls=4):
    return respond("fake-tools", tools=[{"type": k} for k in kinds], max_tool_calls=calls)


# what is asked, how the provider answers, the nano-dollars of it (worked out by hand; prices: tests/lib/fake_prices.json)
CASES = {
    # money as reported: exact decimals, up to the nano-dollar, whatever the list says
    "OpenRouter": (chat("fake-router", ROUTER), "in=100,out=10,cost=0.00333825", 3338250),
    "OpenRouter, an exponent": (chat("fake-router", ROUTER), "in=100,out=10,cost=1.13e-05", 11300),
    "OpenRouter, digits of a double": (chat("fake-router", ROUTER), "in=100,out=10,cost=0.0076509169000000005", 7650917),
    "OpenRouter, responses": (respond("fake-router", ROUTER), "in=100,out=10,cost=1.4e-05", 14000),
    "OpenRouter, served by a model without a price": (chat("fake-router", ROUTER), "model=vendor/other,in=100,out=10,cost=0.0001", 100000),
    "OpenRouter, the client's own key": (chat("fake-router", ROUTER), "in=100,out=10,cost=0.000005,byok", 100000 + 20000 + 5000),
    "OpenRouter, the client's own key, no fee": (chat("fake-router", ROUTER), "in=100,out=10,cost=0,byok", 100000 + 20000),
    "OpenRouter, nothing reported": (chat("fake-router", ROUTER), "in=100,out=10", 100000 + 20000),
    "OpenRouter, a model that is free": (chat("fake-free", ROUTER), "in=100,out=10,cost=0", 0),
    "OpenRouter, a model that was not free after all": (chat("fake-free", ROUTER), "in=100,out=10,cost=0.0005", 500000),
    "xAI": (chat("fake-router", XAI), "in=100,out=10,cost=1330500", 133050),
    "xAI, part of a nano-dollar": (respond("fake-router", XAI), "in=100,out=10,cost=1330501", 133051),
    "Perplexity": (chat("fake-router", PERPLEXITY), "in=100,out=10,cost=0.006321", 6321000),
    # speed and place
    "fast, asked and served": (message("fake-swift", speed="fast"), "in=100,cached=20,w5=10,out=20", 6 * (70 * 5000 + 20 * 500 + 10 * 6250 + 20 * 25000)),
    "fast, asked and not served": (message("fake-swift", speed="fast"), "in=100,out=20,slow", 100 * 5000 + 20 * 25000),
    "in the US": (message("fake-swift", inference_geo="us"), "in=100,out=20", 1100000),
    "in the US by the workspace's default": (message("fake-swift"), "in=100,out=20,geo=us", 1100000),
    "in the US, fast, with searches": (message("fake-swift", inference_geo="us", speed="fast", tools=[
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]), "in=100,out=20,search=2", 6600000 + 20000000),
    "ultrafast, asked and served": (chat("fake-tools", service_tier="ultrafast"), "in=100,out=10,tier=ultrafast", 6 * (100 * 1000 + 10 * 4000)),
    "ultrafast, asked and not served": (respond("fake-tools", service_tier="ultrafast"), "in=100,out=10,tier=default", 140000),
    "at a regional host": (chat("fake-tools", "https://eu.api.openai.com/v1/"), "in=100,out=10", 154000),
    "at a regional host, a model without an uplift": (chat("fake-mini", "https://eu.api.openai.com/v1/"), "in=100,out=10", 21000),
    # counters
    "cache writes at OpenAI": (chat("fake-tools", prompt_cache_options={"ttl": "30m"}), "in=100,cached=20,w5=30,out=10",
                               50 * 1000 + 20 * 100 + 30 * 1250 + 10 * 4000),
    "pictures and sound among the tokens": (chat("fake-tools"), "in=100,cached=30,iin=20,ain=25,acached=10,out=10,aout=3",
                                            (100 - 20 - 25 - 20) * 1000 + 20 * 100 + 20 * 3000 + 15 * 8000 + 10 * 400 + 7 * 4000 + 3 * 16000),
    "file searches": (tools("file_search"), "in=100,out=10,files=3", 140000 + 3 * 2500000),
    "web searches": (tools("web_search"), "in=100,out=10,search=2", 140000 + 2 * 10000000),
    "web searches that read much": (respond("fake-tools", tools=[{"type": "web_search", "search_context_size": "high"}], max_tool_calls=2),
                                    "in=100,out=10,search=2", 140000 + 2 * 20000000),
    "containers": (tools("code_interpreter"), "in=100,out=10,code=a+b+a", 140000 + 2 * 30000000),
    "both": (tools("file_search", "code_interpreter"), "in=100,out=10,files=1,code=a", 140000 + 32500000),
}


@pytest.fixture(scope="module")
def shared():
    w = worlds.World(agents=[{"name": "bot", "day": "100000USD"}], names=NAMES, config={"providers": PROVIDERS}).start()
    yield w
    w.close()


def settled(w, case, stream=None, status="200", **kw):
    """The call's row and its bill."""
    url, body = case[0]
    before = len(w.bills())
    headers = () if "audio/transcriptions" in url else ("-H", "anthropic-version: 2023-06-01")
    if stream is not None:
        body = dict(body, stream=stream)
    r = w.curl("bot", url, *headers, "-o", "/dev/null", "-w", "%{http_code}", body=body, fake=case[1], **kw)
    assert r.stdout.endswith(status), r.stdout + r.stderr
    w.quiet()
    bills = w.bills()
    assert len(bills) == before + 1
    return w.ledger(limit=1)[0], bills[-1]["bill"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", CASES)
def test_form(shared, case, stream):
    call, bill = settled(shared, CASES[case], stream)
    assert not call["estimated"], call
    assert nano(call["cost"]) == bill == CASES[case][2]
    assert nano(call["held"]) >= bill or "cost=" in CASES[case][1]


# ---- pictures, speech

MEDIA = {
    "pictures by the piece": ((OPENAI + "images/generations", {"model": "fake-picture", "prompt": "a cat", "n": 3}), "", 3 * 40000000),
    "fewer pictures than asked for": ((OPENAI + "images/generations", {"model": "fake-picture", "prompt": "a cat", "n": 3}), "pics=1", 40000000),
    "a picture by tokens": ((OPENAI + "images/generations", {"model": "fake-painter", "prompt": "a cat", "size": "1024x1024", "quality": "low"}),
                            "in=50,out=272,iout=272", 50 * 5000 + 272 * 40000),
    "a streamed picture": ((OPENAI + "images/generations", {"model": "fake-painter", "prompt": "a cat", "stream": True, "partial_images": 2}),
                           "in=50,out=572,iout=572", 50 * 5000 + 572 * 40000),
    "speech by characters": ((OPENAI + "audio/speech", {"model": "fake-voice", "input": "h\u00e9llo \U0001f600!", "voice": "v"}), "", 8 * 15000),
    "speech by tokens": ((OPENAI + "audio/speech", {"model": "fake-speaker", "input": "hello", "voice": "v", "stream_format": "sse"}),
                         "in=3,out=40", 3 * 600 + 40 * 12000),
}


@pytest.mark.parametrize("case", MEDIA)
def test_media(shared, case):
    call, bill = settled(shared, MEDIA[case])
    assert not call["estimated"], call
    assert nano(call["cost"]) == bill == MEDIA[case][2]
    assert nano(call["held"]) >= bill


FORMS = {
    "by tokens": ("fake-scribe", "in=120,ain=110,out=30", 10 * 2500 + 110 * 6000 + 30 * 10000),
    "by the second": ("fake-whisper", "seconds=9", 9 * 100000),
    "by the second, a part of one": ("fake-whisper", "seconds=8.470000267028809", 9 * 100000),
}


def transcribe(w, model, fake, *more):
    sound = w.folder / "sound.mp3"
    sound.write_bytes(bytes(range(256)) * 64)
    return w.curl("bot", OPENAI + "audio/transcriptions", "-o", "/dev/null", "-w", "%{http_code}", "-F", f"file=@{sound}", "-F", f"model={model}",
                  *more, fake=fake)


@pytest.mark.parametrize("case", FORMS)
def test_transcription(shared, case):
    model, fake, by_hand = FORMS[case]
    r = transcribe(shared, model, fake)
    assert r.stdout == "200", r.stdout + r.stderr
    shared.quiet()
    call = shared.ledger(limit=1)[0]
    assert not call["estimated"], call
    assert nano(call["cost"]) == shared.bills()[-1]["bill"] == by_hand <= nano(call["held"])


def test_a_form_that_names_two_models_is_refused(shared):
    before = len(shared.requests())
    assert transcribe(shared, "fake-whisper", "seconds=1", "-F", "model=fake-scribe").stdout == "400"
    assert len(shared.requests()) == before


def test_a_form_for_a_model_of_text_is_refused(shared):
    before = len(shared.requests())
    assert transcribe(shared, "fake-mini", "in=1").stdout == "400"
    assert len(shared.requests()) == before


def test_a_form_with_another_boundary_than_its_header_is_refused(shared):
    before = len(shared.requests())
    assert transcribe(shared, "fake-whisper", "seconds=1", "-H", "content-type: multipart/form-data; boundary=other").stdout == "400"
    assert len(shared.requests()) == before


def test_all_of_it_adds_up(shared):
    shared.assert_exact()


# ---- what is not believed, and what is not known

@pytest.mark.parametrize("host, words, by_hand", [
    (ROUTER, "bad=-0.5", 120000), (ROUTER, "bad=1e9", 120000), (ROUTER, "bad=0", 120000), (ROUTER, "bad=null", 120000), (XAI, "bad=1e30", 120000),
    (PERPLEXITY, "bad=-1", 120000),
])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_absurd_money_is_not_believed(shared, host, words, by_hand, stream):
    """The tokens decide, and the row says that it is an estimate; null is no figure at all."""
    call, bill = settled(shared, (chat("fake-router", host), "in=100,out=10," + words), stream)
    assert nano(call["cost"]) == bill == by_hand
    assert call["estimated"] == ("null" not in words)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_money_of_a_host_that_documents_none_is_not_read(shared, stream):
    """OpenAI reports no money: a proxy in its place that writes some cannot make calls cheap."""
    call, _ = settled(shared, (chat("fake-mini"), "in=100,out=10,bad=0.000000001"), stream)
    assert nano(call["cost"]) == 100 * 150 + 10 * 600 and not call["estimated"]


def test_money_of_a_stream_that_was_cut_is_no_less_than_the_estimate(shared):
    url, body = chat("fake-router", PERPLEXITY)
    shared.curl("bot", url, body=dict(body, stream=True), fake="in=100,out=50,cut=40")
    shared.quiet()
    call = shared.ledger(limit=1)[0]
    assert call["estimated"] and nano(call["cost"]) >= shared.bills()[-1]["bill"]


@pytest.mark.parametrize("body, url, words", [
    (dict(message("fake-haiku")[1], speed="fast"), ANTHROPIC + "messages", "fast"),
    (dict(message("fake-swift")[1], inference_geo="mars"), ANTHROPIC + "messages", "mars"),
    (dict(chat("fake-mini")[1], service_tier="ultrafast"), OPENAI + "chat/completions", "fast"),
    (dict(respond("fake-mini")[1], tools=[{"type": "file_search"}], max_tool_calls=2), OPENAI + "responses", "file"),
    (dict(respond("fake-tools")[1], tools=[{"type": "file_search"}]), OPENAI + "responses", "max_tool_calls"),
    (dict(respond("fake-tools")[1], tools=[{"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "16g"}}], max_tool_calls=2),
     OPENAI + "responses", "memory_limit"),
    (dict(respond("fake-tools")[1], tools=[{"type": "image_generation"}], max_tool_calls=2), OPENAI + "responses", "bound"),
    ({"model": "fake-voice", "prompt": "a cat"}, OPENAI + "images/generations", "image"),
    ({"model": "fake-mini", "prompt": "a cat"}, OPENAI + "images/generations", "price for pictures"),
    ({"model": "fake-mini", "input": "hello", "voice": "v"}, OPENAI + "audio/speech", "price for its speech"),
    ({"model": "fake-picture", "prompt": "a cat"}, ROUTER + "images/generations", "images/generations"),
])
def test_what_has_no_bound_or_no_price_is_refused(shared, body, url, words):
    before = len(shared.requests())
    r = shared.curl("bot", url, "-w", "%{http_code}", body=body)
    assert r.stdout.endswith(("400", "403")) and words in r.stdout, r.stdout
    assert len(shared.requests()) == before


def test_a_place_that_nobody_tells_is_charged_at_the_dearest(shared):
    call, bill = settled(shared, (message("fake-swift"), "in=100,out=20,geo=hidden"))
    assert call["estimated"] and nano(call["cost"]) == 1100000 > bill


def test_speech_that_tells_no_tokens_is_charged_at_its_hold(shared):
    call, _ = settled(shared, ((OPENAI + "audio/speech", {"model": "fake-speaker", "input": "hello", "voice": "v"}), "out=40"))
    assert call["estimated"] and call["cost"] == call["held"]


# ---- ends

@pytest.mark.parametrize("status, stream, want", [
    (400, False, "nothing"), (401, True, "nothing"), (404, False, "nothing"), (429, True, "nothing"), (503, False, "nothing"), (529, False, "nothing"),
    (500, False, "nothing"), (502, False, "input"), (502, True, "input"), (522, True, "input"), (504, False, "input"), (408, False, "input"),
])
def test_what_an_end_of_the_provider_costs(shared, status, stream, want):
    call, _ = settled(shared, (chat("fake-mini"), f"status={status}"), stream, str(status))
    cost = nano(call["cost"])
    if want == "nothing":
        assert cost == 0 and not call["estimated"]
    else:
        assert 0 < cost < nano(call["held"]) and call["estimated"]
    shared.audit()


@pytest.mark.parametrize("status, stream, want", [
    (404, False, "nothing"), (429, True, "nothing"), (503, False, "nothing"), (529, True, "nothing"), (500, False, "input"), (500, True, "input"),
    (502, False, "input"), (520, True, "input"), (504, False, "hold"), (524, False, "hold"), (408, False, "hold"), (504, True, "input"),
])
def test_what_an_end_in_between_costs(shared, status, stream, want):
    """A front that answers for the provider: what it stopped waiting for may be made and billed."""
    call, _ = settled(shared, (chat("fake-mini"), f"status={status},front"), stream, str(status))
    cost, held = nano(call["cost"]), nano(call["held"])
    assert call["estimated"] == (want != "nothing")
    assert {"nothing": cost == 0, "input": 0 < cost < held, "hold": cost == held}[want], call
