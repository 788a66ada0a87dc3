# SPDX-License-Identifier: Apache-2.0
"""The fake provider's own bill: exact fractions, rounded up once per call to the nano-dollar.

Written apart from user/spend/ on purpose: two independent sums have to agree. Also writes the price file for the daemon.
"""
import json
import math
import pathlib
import re
from fractions import Fraction

TABLE = json.loads((pathlib.Path(__file__).parent / "fake_prices.json").read_text())
KINDS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
# Counters that are no tokens, and what a row calls their price in USD each.
FEES = {"web_searches": "web_search", "file_searches": "file_search", "code_sessions": "code_session", "images": "image",
        "characters": "character", "seconds": "second"}
# What a row calls a fee, what the daemon's file calls it, and of how many it has the price.
UNITS = (("web_search", "web_search", 1000), ("file_search", "file_search", 1000), ("code_session", "code_session", 1000), ("image", "image", 1000),
         ("character", "character", 1_000_000), ("second", "audio_second", 1000))
TIERS = ("standard", "flex", "priority")


def find(provider, model):
    """The price row of a model, or None. A date behind its name does not matter."""
    return TABLE.get(provider, {}).get(re.sub(r"-20\d\d-\d\d-\d\d$", "", model))


def bill(provider, model, usage, tier="standard", fast=False, geo="global", host=""):
    """usage: inclusive counters, as in include/terms.h, with `seconds` of sound. Nano-dollars."""
    row = find(provider, model)
    if row is None:
        return 0
    get = lambda kind: usage.get(kind, 0)
    name = "standard" if tier == "ultrafast" else tier
    if row.get("long_threshold") and get("input") > row["long_threshold"]:
        name = "long_" + name
    rates = row.get(name) or row.get(tier) or row.get("standard", {})
    rate = lambda kind, otherwise: Fraction(rates.get(kind, rates.get(otherwise, "0")))
    written = get("cache_write_5m") + get("cache_write_1h")
    heard, seen = get("audio_input") - get("audio_cache_read"), get("image_input")
    read = get("cache_read") - get("audio_cache_read")
    made = get("output") - get("audio_output") - get("image_output")
    million = (get("input") - written - heard - seen - get("cache_read")) * rate("input", "")
    million += read * rate("cache_read", "input") + get("audio_cache_read") * rate("audio_cache_read", "audio_input")
    million += get("cache_write_5m") * rate("cache_write_5m", "input") + get("cache_write_1h") * rate("cache_write_1h", "input")
    million += heard * rate("audio_input", "input") + seen * rate("image_input", "input")
    million += made * rate("output", "") + get("audio_output") * rate("audio_output", "output") + get("image_output") * rate("image_output", "output")
    if fast:
        million *= Fraction(row["fast"])
    million *= Fraction(row.get("geo", {}).get(geo, "1"))
    million *= Fraction(row.get("regional", {}).get(host.partition(".")[0], "1"))
    usd = million / 1_000_000
    for kind, key in FEES.items():
        fee = row.get(key, "0")
        usd += get(kind) * Fraction(fee[usage.get("search_context", "medium")] if isinstance(fee, dict) else fee)
    return math.ceil(usd * 1_000_000_000)


def price_file():
    """The same table as a price list for the daemon (docs/prices.md): two programs, one set of figures."""
    lines = ["source: tests/lib/fake_prices.json", "as_of: 2026-11-01", "providers:"]
    for provider in (p for p in TABLE if p != "comment"):
        lines += [f"  {provider}:", "    models:"]
        for model, row in TABLE[provider].items():
            lines += [f"      {model}:"]
            lines += [f"        {k}: {row[k]}" for k in ("kind", "max_input", "max_output", "fast") if k in row]
            lines += [f"        {k}: {v}" for k, v in row.get("standard", {}).items()]
            for tier in ("flex", "priority"):
                if tier in row:
                    lines.append(f"        {tier}: {_flow(row[tier])}")
            if row.get("long_threshold"):
                inner = ", ".join(f"{t}: {_flow(row['long_' + t])}" for t in TIERS if f"long_{t}" in row)
                lines.append(f"        long_context: {{above: {row['long_threshold']}, {inner}}}")
            for factors in ("geo", "regional"):
                if factors in row:
                    lines.append(f"        {factors}: {_flow(row[factors])}")
            for ours, theirs, per in UNITS:
                if ours in row:
                    shown = lambda usd: f"{float(Fraction(usd) * per):g}"
                    fee = row[ours]
                    lines.append(f"        {theirs}: {_flow({k: shown(v) for k, v in fee.items()}) if isinstance(fee, dict) else shown(fee)}")
    return "\n".join(lines) + "\n"


def _flow(rates):
    return "{" + ", ".join(f"{k}: {v}" for k, v in rates.items()) + "}"
