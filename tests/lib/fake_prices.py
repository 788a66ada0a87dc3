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
TIERS = ("standard", "flex", "priority")


def find(provider, model):
    """The price row of a model, or None. A date behind its name does not matter."""
    return TABLE.get(provider, {}).get(re.sub(r"-20\d\d-\d\d-\d\d$", "", model))


def bill(provider, model, usage, tier="standard"):
    """usage: inclusive counters: input, cache_read, cache_write_5m, cache_write_1h, output, web_searches. Nano-dollars."""
    row = find(provider, model)
    if row is None:
        return 0
    name = tier
    if row.get("long_threshold") and usage.get("input", 0) > row["long_threshold"]:
        name = "long_" + tier
    rates = row.get(name) or row.get(tier) or row["standard"]
    plain = usage.get("input", 0) - sum(usage.get(k, 0) for k in KINDS[1:4])
    million = Fraction(0)
    million += plain * Fraction(rates["input"])
    for kind in KINDS[1:4]:
        million += usage.get(kind, 0) * Fraction(rates.get(kind, rates["input"]))
    million += usage.get("output", 0) * Fraction(rates["output"])
    usd = million / 1_000_000 + usage.get("web_searches", 0) * Fraction(row.get("web_search", "0"))
    return math.ceil(usd * 1_000_000_000)


def price_file():
    """The same table as a price list for the daemon (docs/prices.md): two programs, one set of figures."""
    lines = ["source: tests/lib/fake_prices.json", "as_of: 2026-11-01", "providers:"]
    rates = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
    for provider in ("openai", "anthropic"):
        lines += [f"  {provider}:", "    models:"]
        for model, row in TABLE[provider].items():
            lines += [f"      {model}:", f"        max_input: {row['max_input']}", f"        max_output: {row['max_output']}"]
            lines += [f"        {k}: {v}" for k, v in row["standard"].items() if k in rates]
            for tier in ("flex", "priority"):
                if tier in row:
                    lines.append(f"        {tier}: {_flow(row[tier])}")
            if row.get("long_threshold"):
                inner = ", ".join(f"{t}: {_flow(row['long_' + t])}" for t in TIERS if f"long_{t}" in row)
                lines.append(f"        long_context: {{above: {row['long_threshold']}, {inner}}}")
            if "web_search" in row:
                lines.append(f"        web_search: {Fraction(row['web_search']) * 1000}")
    return "\n".join(lines) + "\n"


def _flow(rates):
    return "{" + ", ".join(f"{k}: {v}" for k, v in rates.items()) + "}"
