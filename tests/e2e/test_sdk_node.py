# SPDX-License-Identifier: Apache-2.0
"""The providers' own Node SDKs, unmodified, no base URL set; trust comes by NODE_EXTRA_CA_CERTS alone."""
import shutil

import pytest
import world as worlds

MODULES = worlds.BUILD / "node" / "node_modules"
pytestmark = pytest.mark.skipif(not shutil.which("node") or not (MODULES / "openai").exists(),
                                reason=f"node or the SDKs in {MODULES} are missing (tests/lib/package.json)")

OPENAI = """
const OpenAI = require("openai"), client = new OpenAI(), fake = s => ({ headers: { "x-fake": s } });
const ask = { model: "fake-mini", messages: [{ role: "user", content: "hello" }], max_tokens: 50 };
const must = (ok, what) => { if (!ok) throw new Error("not so: " + what); };
(async () => { %s })().catch(e => { console.error(e); process.exit(1); });
"""
ANTHROPIC = """
const Anthropic = require("@anthropic-ai/sdk"), client = new Anthropic(), fake = s => ({ headers: { "x-fake": s } });
const ask = { model: "fake-haiku", messages: [{ role: "user", content: "hello" }], max_tokens: 50 };
const must = (ok, what) => { if (!ok) throw new Error("not so: " + what); };
(async () => { %s })().catch(e => { console.error(e); process.exit(1); });
"""


def ok(world, template, code):
    r = world.in_agent("bot", ["node", "-e", template % code], env=world.agent_env(NODE_PATH=str(MODULES)))
    assert r.returncode == 0, r.stdout + r.stderr
    return r.stdout


def test_openai(world):
    ok(world, OPENAI, """
const a = await client.chat.completions.create(ask, fake("in=40,out=6"));
must(a.usage.completion_tokens === 6, "usage");
let n = 0;
for await (const c of await client.chat.completions.create({ ...ask, stream: true }, fake("out=9"))) { must(!c.usage, "hidden"); n += (c.choices[0].delta.content || "").length; }
must(n === 36, "text");
const r = await client.responses.create({ model: "fake-mini", input: "hi", max_output_tokens: 64 });
must(r.output_text.startsWith("tok"), "responses");
await Promise.all([...Array(20)].map((_, i) => client.chat.completions.create(ask, fake("out=" + i))));
""")
    world.assert_exact()
    assert len(world.ledger()) == 23


def test_openai_refusal(make_world):
    w = make_world(agents=[{"name": "bot", "total": "0.000001USD"}])
    out = ok(w, OPENAI, """
try { await client.chat.completions.create(ask); } catch (e) { console.log(e.status, e.code, e.message); }
""")
    assert out.startswith("402 ") and "total budget of" in out
    assert len(w.refusals()) == 1


def test_openai_client_that_leaves(world):
    ok(world, OPENAI, """
const s = await client.chat.completions.create({ ...ask, stream: true }, fake("out=40,gap=0.05"));
let i = 0;
for await (const c of s) if (++i === 5) break;
""")
    world.quiet().audit()
    worlds.wait_for("the provider to notice", world.bills)
    assert world.ledger()[0]["estimated"] and world.charged() >= world.billed() > 0


def test_anthropic(world):
    ok(world, ANTHROPIC, """
const a = await client.messages.create(ask, fake("in=300,cached=100,out=7"));
must(a.usage.output_tokens === 7, "usage");
const m = await client.messages.stream(ask, fake("out=8")).finalMessage();
must(m.usage.output_tokens === 8, "streamed usage");
try { await client.messages.create(ask, { ...fake("status=500"), maxRetries: 1 }); must(false, "error"); } catch (e) { must(e.status === 500, "500"); }
""")
    assert len(world.requests()) == 4
    world.assert_exact()
