# SPDX-License-Identifier: Apache-2.0
"""purse prices and purse estimate: what is listed, what was charged at it, what a request would hold, public files taken with care."""
import json

import pytest
import world as worlds

OURS = """source: https://example.com/p
as_of: 2026-08-21
providers:
  openai:
    models:
      gpt-a: {input: 2, output: 8, max_output: 1000}
      gpt-b: {input: 1, output: 2, aliases: [gpt-b-latest], max_input: 4000}
      gpt-c: [{input: 1, output: 2, to: 2026-09-01}, {input: 3, output: 4, from: 2026-09-01}]
"""


def lite(**models):
    return json.dumps({name: dict({"litellm_provider": "openai", "mode": "chat"}, **fields) for name, fields in models.items()})


@pytest.fixture
def cli(tmp_path):
    (tmp_path / "ours.yaml").write_text(OURS)
    (tmp_path / "purse.yaml").write_text(
        f"state_dir: {tmp_path}/state\nprices: [{tmp_path}/ours.yaml]\n"
        "providers:\n  - {name: openai, dialect: openai, hosts: [api.openai.com], prefix: /v1}\n")

    def run(*args, check=True, input=None):
        return worlds.run(worlds.BUILD / "purse", "-c", tmp_path / "purse.yaml", *args, check=check, timeout=60, **({"input": input} if input else {}))

    run.dir = tmp_path
    return run


def test_show_by_time(cli):
    assert "input: 3" in cli("prices", "show", "gpt-c", "--at", "2026-10-01").stdout
    assert "input: 1" in cli("prices", "show", "gpt-c", "--at", "2026-08-01").stdout
    both = cli("prices", "history", "gpt-c").stdout
    assert "to: 2026-09-01" in both and "from: 2026-09-01" in both and "nothing was charged" in both
    assert cli("prices", "show", "gpt-z", check=False).returncode == 1
    assert json.loads(cli("--json", "prices", "show", "gpt-b-latest").stdout)["prices"][0]["standard"]["output"] == "2.00"


def test_import_says_before_it_does(cli):
    cli.dir.joinpath("lite.json").write_text(lite(
        **{"gpt-a": {"input_cost_per_token": 3e-6, "output_cost_per_token": 8e-6, "citation_cost_per_token": 1e-6},
           "gpt-b": {"input_cost_per_token": 5e-7, "output_cost_per_token": 2e-6},
           "gpt-n": {"input_cost_per_token": 1e-6, "output_cost_per_token": 1.25e-5, "input_cost_per_token_flex": 4e-7}}))
    out = cli.dir / "public.yaml"
    said = cli("prices", "import", cli.dir / "lite.json").stdout
    for words in ["1  citation_cost_per_token", "flex is not half", "dearer   openai/gpt-a", "cheaper  openai/gpt-b", "1 new, 1 dearer, 1 cheaper", "nothing was written"]:
        assert words in said, said
    assert not out.exists()
    said = cli("prices", "import", cli.dir / "lite.json", "--into", out, "--apply", "--as-of", "2026-10-01").stdout
    assert "1 prices that fall were left as they are" in said and "does not name it yet" in said
    text = out.read_text()
    assert '"gpt-a"' in text and '"gpt-b"' not in text and "2026-10-01" in text
    cli.dir.joinpath("purse.yaml").write_text(cli.dir.joinpath("purse.yaml").read_text().replace("ours.yaml]", f"ours.yaml, {out}]"))
    shown = cli("prices", "show", "gpt-a").stdout
    assert "input: 3" in shown and "max_output: 1000" in shown  # the limit that the public file does not know
    assert "input: 1" in cli("prices", "show", "gpt-b-latest").stdout
    # the same again: nothing changes but what was left out
    said = cli("prices", "import", cli.dir / "lite.json", "--into", out, "--apply").stdout
    assert "0 new, 0 dearer, 1 cheaper, 2 the same" in said
    said = cli("prices", "import", cli.dir / "lite.json", "--into", out, "--apply", "--accept-cheaper").stdout
    assert "is in force after a reload" in said
    assert "input: 0.5" in cli("prices", "show", "gpt-b").stdout
    # a model that is gone from the public file is told
    cli.dir.joinpath("lite.json").write_text(lite(**{"gpt-a": {"input_cost_per_token": 3e-6, "output_cost_per_token": 8e-6}}))
    said = cli("prices", "import", cli.dir / "lite.json", "--into", out).stdout
    assert "removed  openai/gpt-n" in said and '"gpt-n"' in out.read_text()


def test_import_of_one_provider_keeps_the_rest(cli):
    out = cli.dir / "public.yaml"
    out.write_text("providers:\n  other:\n    models:\n      x: {input: 1, output: 2, aliases: [y]}\n  openai:\n    models:\n      old: {input: 1, output: 2}\n")
    cli.dir.joinpath("lite.json").write_text(lite(new={"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}))
    cli("prices", "import", cli.dir / "lite.json", "--into", out, "--provider", "openai", "--apply")
    text = out.read_text()
    assert '"x"' in text and '"y"' in text and '"new"' in text and '"old"' not in text


@pytest.mark.parametrize("text, words", [
    (lite(m={"input_cost_per_token": -1}), "below zero"),
    (lite(m={"input_cost_per_token": True}), "no price"),
    (lite(m={"input_cost_per_token": "1"}), "without quotes"),
    ('{"m": {"litellm_provider": "p", "input_cost_per_token": NaN}}', "not JSON"),
    ('{"m": {"litellm_provider": "p"}, "m": {"litellm_provider": "p"}}', "twice"),
    ("[]", "no price file"),
    (" " * (33 << 20), "larger than 32 MiB"),
], ids=["negative", "bool", "text", "nan", "twice", "empty", "large"])
def test_bad_files_leave_everything_as_it_was(cli, text, words):
    bad, out = cli.dir / "bad.json", cli.dir / "public.yaml"
    bad.write_text(text)
    out.write_text("providers: {p: {models: {m: {input: 1, output: 1}}}}\n")
    before = out.read_bytes()
    r = cli("prices", "import", bad, "--into", out, "--apply", check=False)
    assert r.returncode == 1 and words in r.stderr and "bad.json" in r.stderr, r.stderr
    assert out.read_bytes() == before and sorted(p.name for p in cli.dir.iterdir()) == ["bad.json", "ours.yaml", "public.yaml", "purse.yaml"]


def test_estimate_reads_a_request(cli):
    body = {"model": "gpt-a", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 100}
    said = json.loads(cli("--json", "estimate", "-", input=json.dumps(body)).stdout)
    assert said["endpoint"] == "openai-chat" and said["output_tokens_most"] == 100 and not said["rolls"]
    assert said["price"] == "openai/gpt-a@2026-08-21" and said["hold_usd"] == said["ceiling_usd"]
    streamed = json.loads(cli("--json", "estimate", "-", input=json.dumps(dict(body, stream=True, max_tokens=100000))).stdout)
    assert streamed["rolls"] and float(streamed["hold_usd"]) < float(streamed["ceiling_usd"]) / 50
    for bad, words in [({"model": "gpt-z", "messages": []}, "no price"), ({"model": "gpt-b", "messages": []}, "max_tokens")]:
        r = cli("estimate", "-", input=json.dumps(bad), check=False)
        assert r.returncode == 1 and words in r.stderr, r.stderr
    assert cli("estimate", "-", input="no json", check=False).returncode == 1
    assert cli("estimate", cli.dir / "nothing.json", check=False).returncode == 1


def test_estimate_is_what_the_daemon_holds(world):
    """Both make bounds of a request in files of their own: they must not drift apart."""
    body = {"model": "fake-mini", "max_tokens": 20, "messages": [{"role": "user", "content": "hello there"}]}
    world.curl("bot", "https://api.openai.com/v1/chat/completions", body=body)
    world.quiet()
    row = world.ledger()[0]
    path = world.folder / "request.json"
    path.write_text(json.dumps(body))
    said = world.purse_json("estimate", path, "--provider", "openai")
    assert worlds.nano(said["ceiling_usd"]) == worlds.nano(row["held"]), (said, row)
    used = json.dumps(world.purse_json("prices", "history", "fake-mini"))
    assert row["price"] in used and '"calls": 1' in used


def test_estimate_for_an_agent_says_what_stands_against_it(make_world):
    w = make_world(accounts=[{"name": "team", "month": "5USD"}], agents=[
        {"name": "bot", "account": "team", "day": "0.01USD", "rules": {"models": {"deny": ["fake-mini"]}, "model_limits": [{"models": "fake-l*", "hour": "1USD"}]}},
        {"name": "free"}])
    path = w.folder / "request.json"

    def ask(agent, model="fake-large", max_tokens=100, code=0, **more):
        path.write_text(json.dumps(dict({"model": model, "max_tokens": max_tokens, "messages": [{"role": "user", "content": "hello"}]}, **more)))
        r = w.purse("--json", "estimate", path, "--provider", "openai", "--agent", agent, check=False)
        assert r.returncode == code, r.stderr
        return json.loads(r.stdout)["fit"]

    fit = ask("bot")
    assert fit["fits"] and fit["why"] is None and fit["agent"] == "bot" and fit["affords"] == "0.01"
    assert ask("free") == {"agent": "free", "fits": True, "why": None, "affords": None, "clamp": False}
    assert "the rule models of bot does not allow fake-mini" in ask("bot", model="fake-mini", code=1)["why"]
    assert "the day budget of bot has 0.01USD left of 0.01USD; it begins anew at" in ask("bot", max_tokens=10000, code=1)["why"]
    # What it says is what happens.
    assert w.chat(max_tokens=100, model="fake-large")[0] == 200 and w.chat(max_tokens=10000, model="fake-large")[0] == 402
    w.purse("agent", "set", "bot", "--day", "100")
    assert ask("bot", max_tokens=10000)["fits"]
    w.purse("agent", "set", "bot", "--model-limit", "fake-l*=hour:0.02")
    assert "the hour budget of bot for fake-l* has" in ask("bot", max_tokens=10000, code=1)["why"]
    w.purse("agent", "set", "bot", "--model-limit", "none", "--per-call", "0.01")
    assert "the rule per_call of bot allows 0.01USD" in ask("bot", max_tokens=10000, code=1)["why"]
    w.purse("agent", "set", "bot", "--dry-run", "per_call", "--rpm", "1")
    assert w.chat(model="fake-large")[0] == 200
    assert "bot has 1 calls within a minute, and may have 1" in ask("bot", code=1)["why"]
    w.purse("account", "pause", "team")
    assert "team is paused" in ask("bot", code=1)["why"]
    text = w.purse("estimate", path, "--provider", "openai", "--agent", "bot", check=False)
    assert text.returncode == 1 and "bot: refused now: " in text.stdout
    none = w.purse("estimate", path, "--provider", "openai", "--agent", "nobody", check=False)
    assert none.returncode == 1 and 'agent "nobody" does not exist' in none.stderr
    assert w.purse("estimate", path, "--provider", "openai", "--agent", "../x", check=False).returncode == 2


def test_a_region_by_the_config(make_world):
    """A host whose name does not say where it is."""
    w = make_world(names=("llm.example.test",), config={"providers": [
        {"name": "mine", "dialect": "openai", "hosts": ["llm.example.test"], "addresses": [worlds.PROVIDER4], "prices_as": "openai", "region": "eu"}]})
    body = {"model": "fake-tools", "max_tokens": 10, "messages": [{"role": "user", "content": "hello"}]}
    w.curl("bot", "https://llm.example.test/v1/chat/completions", body=body, fake="in=100,out=10")
    w.quiet().audit()
    (row,) = w.ledger()
    assert worlds.nano(row["cost"]) == 154000, row  # as in test_metered_forms: at a regional host
    path = w.folder / "request.json"
    path.write_text(json.dumps(body))
    assert worlds.nano(w.purse_json("estimate", path)["ceiling_usd"]) == worlds.nano(row["held"])
