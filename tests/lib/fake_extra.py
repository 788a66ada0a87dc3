# SPDX-License-Identifier: Apache-2.0
"""What the fake provider can do besides text: other hosts that report money, speed and place, paid tools, pictures, speech, forms.

Steering, in `x-fake` as in fake_provider.py:
  ain=N acached=N aout=N   of the tokens: sound heard, the cached part of it, sound spoken     iin=N iout=N   pictures seen, made
  fast / slow          Anthropic: served at that speed, whatever was asked for    geo=us     served there (hidden: and not told)
  files=N              file searches     code=a+b+a   runs of the code interpreter, each in the container of that name
  cost=TEXT            OpenRouter's usage.cost, Perplexity's total_cost, xAI's ticks: as written; this is then the bill
  byok                 OpenRouter: the key of somebody else: its tokens are billed there, and cost=TEXT on top
  bad=TEXT             the same places, but not what is billed
  pics=N               pictures that come (default: n)    seconds=TEXT   how long the sound was; what is billed is whole seconds
"""
import base64
import json
import math
import re
from fractions import Fraction

import fake_prices

HOSTS = {"openrouter.ai": "openrouter", "api.x.ai": "xai", "api.perplexity.ai": "perplexity"}
ALWAYS = ("openrouter", "perplexity")  # report the usage of a stream unasked
WAV = b"RIFF" + bytes(range(256)) * 8  # no JSON, no text


def figure(text):
    """A number that dumps() writes as it stands here."""
    return "@figure:" + text


def dumps(value):
    return re.sub(r'"@figure:([^"]*)"', r"\1", json.dumps(value))


def begin(call):
    x, n = call.x, lambda key: int(call.x.get(key, 0))
    call.usage.update(audio_input=n("ain"), audio_cache_read=n("acached"), image_input=n("iin"), audio_output=n("aout"),
                      image_output=n("iout"), file_searches=n("files"),
                      code_sessions=len(set(x["code"].split("+"))) if "code" in x else 0)
    sizes = [t["search_context_size"] for t in call.body.get("tools") or [] if "search_context_size" in t]
    call.usage["search_context"] = sizes[0] if sizes else "medium"
    asked = call.body.get("speed") == "fast" if call.provider == "anthropic" else call.tier == "ultrafast"
    call.fast = ("fast" in x or asked) and "slow" not in x
    call.geo = x.get("geo", call.body.get("inference_geo") or "global")


def bill(call, nano):
    """The bill, given what the tokens and tools cost."""
    if "cost" not in call.x:
        return nano
    unit = 10**10 if call.provider == "xai" else 1
    reported = math.ceil(Fraction(call.x["cost"]) / unit * 10**9)
    return nano + reported if "byok" in call.x else reported


def add_money(call, usage):
    text = call.x.get("bad", call.x.get("cost"))
    if text is None:
        return
    if call.provider == "xai":
        usage["cost_in_usd_ticks"] = figure(text)
    elif call.provider == "perplexity":
        usage["cost"] = {"input_tokens_cost": 0.0, "total_cost": figure(text)}
    else:
        usage["cost"] = figure(text)
        usage["is_byok"] = "byok" in call.x


def add_openai(call, usage, inside, outside):
    """inside, outside: the names of the two detail objects."""
    u = call.usage
    usage[inside].update(cache_write_tokens=u["cache_write_5m"], audio_tokens=u["audio_input"], image_tokens=u["image_input"])
    if u["audio_cache_read"]:
        usage[inside]["cached_tokens_details"] = {"audio_tokens": u["audio_cache_read"]}
    usage[outside].update(audio_tokens=u["audio_output"], image_tokens=u["image_output"])
    add_money(call, usage)
    return usage


def add_anthropic(call, usage):
    if {"fast", "slow"} & set(call.x) or call.body.get("speed"):
        usage["speed"] = "fast" if call.fast else "standard"
    if call.geo != "hidden" and ("geo" in call.x or call.body.get("inference_geo") or "geo" in (fake_prices.find(call.provider, call.model) or {})):
        usage["inference_geo"] = call.geo
    return usage


def output_items(call):
    items = []
    if call.provider == "openai":
        items = [{"type": "web_search_call", "id": f"ws_{i}", "status": "completed", "action": {"type": "search", "query": "x"}}
                 for i in range(call.usage["web_searches"])]
    items += [{"type": "file_search_call", "id": f"fs_{i}", "status": "completed", "queries": ["x"], "results": None}
             for i in range(call.usage["file_searches"])]
    for i, name in enumerate(call.x["code"].split("+") if "code" in call.x else []):
        items.append({"type": "code_interpreter_call", "id": f"ci_{i}", "status": "completed", "code": "1", "container_id": name, "outputs": None})
    return items


# ---- endpoints of their own

def read_form(raw, content_type):
    """The text fields of a form; a file's size."""
    boundary = content_type.partition("boundary=")[2].strip('"').encode()
    body = {}
    for part in raw.split(b"--" + boundary)[1:-1]:
        head, _, value = part[2:-2].partition(b"\r\n\r\n")
        name = head.partition(b'name="')[2].partition(b'"')[0].decode()
        body[name] = len(value) if b"filename=" in head else value.decode()
    return body


def tokens(call):
    u = call.usage
    return {"input_tokens": u["input"], "output_tokens": call.made, "total_tokens": u["input"] + call.made,
            "input_tokens_details": {"text_tokens": u["input"] - u["image_input"], "image_tokens": u["image_input"]},
            "output_tokens_details": {"image_tokens": u["image_output"], "text_tokens": call.made - u["image_output"]}}


def images_whole(call):
    n = int(call.x.get("pics", call.body.get("n") or 1))
    answer = {"created": 1, "data": [{"b64_json": base64.b64encode(WAV).decode()} for _ in range(n)]}
    if "out" in call.x:
        answer["usage"] = tokens(call)
    else:
        call.made = call.usage["input"] = 0
        call.usage["images"] = n
    return answer


def images_stream(h, call):
    h.begin_stream()
    call.made = call.out
    picture = base64.b64encode(WAV).decode()
    for i in range(call.body.get("partial_images") or 0):
        h.event({"type": "image_generation.partial_image", "b64_json": picture, "partial_image_index": i}, "image_generation.partial_image")
    h.event({"type": "image_generation.completed", "b64_json": picture, "usage": tokens(call)}, "image_generation.completed")
    h.end_stream()


def speech_whole(call):
    if "out" not in call.x:
        call.made = call.usage["input"] = 0
        call.usage["characters"] = len(call.body["input"])
    return WAV


def speech_stream(h, call):
    h.begin_stream()
    call.made = call.usage["audio_output"] = call.out
    h.event({"type": "speech.audio.delta", "audio": base64.b64encode(WAV).decode()})
    h.event({"type": "speech.audio.done", "usage": {"input_tokens": call.usage["input"], "output_tokens": call.made,
                                                    "total_tokens": call.usage["input"] + call.made}})
    h.end_stream()


def written_whole(call):
    answer = {"text": "tok " * call.out}
    if "seconds" in call.x:
        call.made = call.usage["input"] = 0
        call.usage["seconds"] = math.ceil(Fraction(call.x["seconds"]))
        answer["usage"] = {"type": "duration", "seconds": figure(call.x["seconds"])}
        return answer
    u = call.usage
    answer["usage"] = {"type": "tokens", "input_tokens": u["input"], "output_tokens": call.made, "total_tokens": u["input"] + call.made,
                       "input_token_details": {"text_tokens": u["input"] - u["audio_input"], "audio_tokens": u["audio_input"]}}
    return answer


ROUTES = {
    "/v1/images/generations": ("openai", images_whole, images_stream),
    "/v1/audio/speech": ("openai", speech_whole, speech_stream),
    "/v1/audio/transcriptions": ("openai", written_whole, None),
}
