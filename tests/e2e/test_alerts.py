# SPDX-License-Identifier: Apache-2.0
"""Who is told that money runs out: once per crossing and window, signed, tried again, never in anybody's way."""
import hashlib
import hmac
import json
import os
import pathlib
import sys
import time

import pytest
import world as worlds
from world import nano, wait_for

PORT = 8099  # in a network namespace of the test's own
URL = f"http://127.0.0.1:{PORT}"
SECRET = "tell-nobody"


class Hooks:
    """Worlds with alerts, and the receiver beside them."""

    def __init__(self, make_world, alerts, **kw):
        kw.setdefault("agents", [{"name": "bot", "day": "0.01USD"}])
        self.w = make_world(start=False, config={"alerts": alerts}, **kw)
        self.log = self.w.folder / "hooks.log"
        self.server = None
        (self.w.folder / "secret").write_text(SECRET + "\n")
        for a in alerts:
            a.setdefault("forecast", False)
            if a.get("secret_file"):
                a["secret_file"] = str(self.w.folder / "secret")
            a["exec"] = [x.replace("FOLDER", str(self.w.folder)) for x in a.get("exec", [])]
        self.w.write_config()

    def listen(self):
        before = self.log.exists()
        self.server = self.w.spawn("outside", [sys.executable, worlds.HERE / "hooks.py", PORT, self.log])
        wait_for("the receiver", lambda: self.log.exists() and (before or True) and self.connects())
        return self

    def connects(self):
        return worlds.run("nsenter", f"--net={worlds.NETNS / self.w.name}", "ss", "-ltnH", f"sport = :{PORT}").stdout

    def start(self):
        self.w.start()
        return self

    def got(self, path=None):
        if not self.log.exists():
            return []
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [r for r in lines if path is None or r["path"] == path]

    def bodies(self, path="/ok"):
        return [json.loads(r["body"]) for r in self.got(path)]

    def spend(self, cents):
        """At fake-large, in steps of about an eighth of a cent."""
        while nano(self.w.account()["windows"]["total"]["spent"]) < cents * 10**7:
            status, text, _ = self.w.chat(model="fake-large", max_tokens=100, fake="out=100,in=20")
            assert status == 200, text

    def fired(self):
        return self.w.purse_json("alerts")["fired"]

    def close(self):
        if self.server and self.server.poll() is None:
            self.server.kill()
            self.server.wait()


@pytest.fixture
def hooks(make_world):
    made = []

    def make(alerts, **kw):
        h = Hooks(make_world, alerts, **kw)
        made.append(h)
        return h
    yield make
    for h in made:
        h.close()


def settled(seconds=2.5):
    """Longer than it takes the daemon to look again and to send."""
    time.sleep(seconds)


def test_thresholds_once_per_crossing_signed(hooks):
    h = hooks([{"name": "ops", "at": ["25%", "50%", "80%"], "webhook": URL + "/ok", "secret_file": "yes"}]).listen().start()
    h.spend(0.3)
    wait_for("the first", lambda: len(h.got()) == 1)
    h.spend(0.6)
    wait_for("the second", lambda: len(h.got()) == 2)
    settled()
    h.w.stop()
    h.w.start()
    h.spend(0.7)
    settled()
    assert [b["percent"] for b in h.bodies()] == [25, 50]
    h.w.audit()
    for r in h.got():
        t, _, v1 = r["headers"]["x-purse-signature"].partition(",")
        t, v1 = t.removeprefix("t="), v1.removeprefix("v1=")
        assert v1 == hmac.new(SECRET.encode(), f"{t}.{r['body']}".encode(), hashlib.sha256).hexdigest()
        assert abs(int(t) - time.time()) < 60
    body = h.bodies()[0]
    assert body["alert"] == "ops" and body["kind"] == "threshold" and body["account"] == "bot" and body["window"] == "day"
    assert body["limit"] == "0.01" and nano(body["spent"]) >= 25 * 10**5 and body["timezone"] == "UTC" and body["resets_at"].endswith("Z")
    assert "25% of the day budget is spent" in body["text"] and len({b["id"] for b in h.bodies()}) == 2
    assert [r["headers"]["x-purse-alert-id"] for r in h.got()] == [b["id"] for b in h.bodies()]
    # A raise takes the crossing back; the next one is told again.
    h.w.purse("agent", "raise", "bot", "--day", "0.05", "--for", "1h")
    settled()
    h.spend(1.6)
    settled()
    assert [b["percent"] for b in h.bodies()] == [25, 50, 25]
    fired = h.fired()
    assert len(fired) == 3 and all(f["deliveries"]["webhook"]["state"] == "sent" for f in fired)
    assert [f["percent"] for f in fired] == [25, 50, 25]
    assert "25% of the day budget" in h.w.purse("alerts").stdout


def test_used_up_is_told_when_nothing_fits(hooks):
    """Also where the last fraction of a cent is never spent."""
    h = hooks([{"name": "ops", "at": ["100%"], "webhook": URL + "/ok"}]).listen().start()
    while h.w.chat(model="fake-large", max_tokens=100, fake="out=100,in=20")[0] == 200:
        pass
    wait_for("the alert", lambda: h.bodies())
    settled()
    (body,) = h.bodies()
    assert body["percent"] == 100 and "used up" in body["text"] and nano(body["spent"]) < 10**7


def test_refusals_and_rules_are_told_now_and_then(hooks):
    h = hooks([{"name": "ops", "at": [], "when": ["refused", "rule"], "webhook": URL + "/ok"},
               {"name": "chat", "at": [], "when": ["refused"], "repeat": "3s", "slack": URL + "/slack", "accounts": ["b*"]},
               {"name": "no", "at": [], "when": ["refused"], "slack": URL + "/none", "accounts": ["x*"]}],
              agents=[{"name": "bot", "day": "10USD", "rules": {"models": {"deny": ["fake-large"]}}}]).listen().start()
    assert h.w.chat(model="fake-large")[0] != 200
    wait_for("the first alerts", lambda: h.got("/ok") and h.got("/slack"))
    for _ in range(3):
        assert h.w.chat(model="fake-large")[0] != 200
    assert h.w.chat(model="no-such-model")[0] != 200
    wait_for("the other kind", lambda: len(h.got("/ok")) == 2)
    rule, refused = sorted(h.bodies(), key=lambda b: b["kind"], reverse=True)
    assert rule["kind"] == "rule" and rule["rule"] == "models" and rule["reason"] == "rule" and "rule models" in rule["text"]
    assert refused["kind"] == "refused" and refused["reason"] == "unknown-model"
    wait_for("the rest, once the pause is over", lambda: len(h.got("/slack")) == 2, 8)
    texts = [json.loads(r["body"]) for r in h.got("/slack")]
    assert all(set(t) == {"text"} for t in texts) and all("a call was refused" in t["text"] for t in texts)
    assert "(4 since the last alert)" in texts[1]["text"]
    settled()
    assert len(h.got("/ok")) == 2 and len(h.got("/slack")) == 2 and not h.got("/none")


def test_tried_again_after_a_500(hooks):
    h = hooks([{"name": "ops", "at": ["25%"], "webhook": URL + "/flaky", "secret_file": "yes"}]).listen().start()
    h.spend(0.3)
    wait_for("three tries", lambda: len(h.got("/flaky")) == 3, 20)
    delivery = wait_for("its report", lambda: h.fired()[0]["deliveries"]["webhook"]["state"] == "sent" and h.fired()[0]["deliveries"]["webhook"])
    assert delivery["attempts"] == 3
    assert len({r["body"] for r in h.got("/flaky")}) == 1  # the same alert, with the same id
    settled()
    assert len(h.got("/flaky")) == 3


@pytest.mark.parametrize("path,error", [("/moved", "redirects are not followed"), ("/bad", "answered 400")])
def test_no_redirects_and_no_second_try_of_what_is_refused(hooks, path, error):
    h = hooks([{"name": "ops", "webhook": URL + path}]).listen().start()
    h.w.purse("alerts", "test", "ops")
    wait_for("the report", lambda: h.fired()[0]["deliveries"]["webhook"]["state"] == "failed")
    assert error in h.fired()[0]["deliveries"]["webhook"]["error"]
    settled()
    assert len(h.got()) == 1 and error in h.w.purse("alerts").stdout


def test_a_receiver_that_hangs_is_in_nobodys_way(hooks):
    h = hooks([{"name": "slow", "at": [], "webhook": URL + "/hang"}, {"name": "quick", "at": [], "webhook": URL + "/ok"}],
              agents=[{"name": "bot", "day": "10USD"}]).listen().start()
    for _ in range(70):
        h.w.purse("alerts", "test", "slow")
    h.w.purse("alerts", "test", "quick")
    wait_for("the other one", lambda: h.got("/ok"), 5)
    began = time.monotonic()
    assert h.w.chat()[0] == 200
    h.w.purse("status")
    assert time.monotonic() - began < 3
    # The queue has an end, and what did not fit is told.
    alerts = h.w.purse_json("alerts")
    assert alerts["dropped"] >= 5 and sum(f["deliveries"]["webhook"]["state"] == "dropped" for f in alerts["fired"]) >= 5
    began = time.monotonic()
    assert h.w.stop() == 0 and time.monotonic() - began < 8


def test_what_did_not_arrive_arrives_after_a_restart(hooks):
    h = hooks([{"name": "ops", "at": ["25%"], "webhook": URL + "/ok"}]).start()
    h.spend(0.3)
    wait_for("a try", lambda: h.fired() and h.fired()[0]["deliveries"]["webhook"]["attempts"] >= 1)
    assert h.fired()[0]["deliveries"]["webhook"]["state"] == "pending"
    h.w.kill9()
    h.listen()
    h.w.start()
    wait_for("it", lambda: h.bodies())
    settled()
    (body,) = h.bodies()
    assert body["percent"] == 25 and h.fired()[0]["id"] == body["id"]


SCRIPT = """#!/bin/bash
cat > "$1/stdin"; env > "$1/env"; ls /proc/self/fd > "$1/fds"; echo "$0 $*" > "$1/argv"; id -u > "$1/uid"; sleep "$2"
"""


def test_exec_gets_json_and_little_else(hooks):
    h = hooks([{"name": "page", "at": ["25%"], "exec": ["FOLDER/page.sh", "FOLDER", "0"]},
               {"name": "slow", "at": [], "timeout": "1s", "exec": ["FOLDER/page.sh", "FOLDER/slow", "60"]},
               {"name": "gone", "at": [], "exec": ["/no/such/program"]}])
    script = h.w.folder / "page.sh"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    (h.w.folder / "slow").mkdir()
    h.start()
    h.spend(0.3)
    wait_for("the command", lambda: h.fired() and h.fired()[0]["deliveries"]["exec"]["state"] == "sent")
    body = json.loads((h.w.folder / "stdin").read_text())
    assert body["percent"] == 25 and body["account"] == "bot"
    env = dict(line.split("=", 1) for line in (h.w.folder / "env").read_text().splitlines())
    assert env["PURSE_ALERT"] == "page" and env["PURSE_ALERT_ACCOUNT"] == "bot" and env["PURSE_ALERT_PERCENT"] == "25"
    assert env["PURSE_ALERT_KIND"] == "threshold" and env["PURSE_ALERT_WINDOW"] == "day" and "25%" in env["PURSE_ALERT_TEXT"]
    assert not [k for k in env if not k.startswith("PURSE_ALERT") and k not in ("PATH", "PWD", "SHLVL", "_", "OLDPWD")]
    assert set((h.w.folder / "fds").read_text().split()) <= {"0", "1", "2", "3"}  # 3: ls's own
    assert (h.w.folder / "uid").read_text().strip() == str(os.geteuid())
    h.w.purse("alerts", "test", "gone")
    h.w.purse("alerts", "test", "slow")
    wait_for("the missing one", lambda: any(f["alert"] == "gone" and f["deliveries"]["exec"]["state"] == "failed" for f in h.fired()))
    wait_for("the killed one", lambda: any(f["alert"] == "slow" and "killed" in (f["deliveries"]["exec"]["error"] or "") for f in h.fired()))
    assert "sleep 60" not in worlds.run("ps", "-eo", "args").stdout.splitlines()


RUNAWAY = """#!/bin/bash
# Two forks and a session of its own, with our stdout in its hands; it never ends. And then we wait, too.
setsid bash -c '(echo $BASHPID >> "$0/pids"; exec sleep 1000) &' "$1"
sleep "$2"
"""


def test_a_command_that_runs_away_holds_up_nobody_and_does_not_live_on(hooks):
    h = hooks([{"name": "waits", "at": [], "timeout": "1s", "exec": ["FOLDER/run.sh", "FOLDER", "1000"]},
               {"name": "ends", "at": [], "timeout": "1s", "exec": ["FOLDER/run.sh", "FOLDER", "0"]},
               {"name": "long", "at": [], "timeout": "60s", "exec": ["FOLDER/run.sh", "FOLDER", "1000"]}])
    script, pids = h.w.folder / "run.sh", h.w.folder / "pids"
    script.write_text(RUNAWAY)
    script.chmod(0o755)
    h.start()

    def told(name):
        return next(f["deliveries"]["exec"] for f in h.fired() if f["alert"] == name)

    def cgroup_of(pid):
        return pathlib.Path(f"/proc/{pid}/cgroup").read_text().split("0::")[1].split("\n")[0]

    for name, error in ("waits", "killed, it took longer than 1000 ms"), ("ends", "ended with 0, but what it had started still ran"):
        h.w.purse("alerts", "test", name)
        wait_for(f"{name}: the report", lambda: error in (told(name)["error"] or ""), 5)
    assert told("ends")["state"] == "failed" and told("ends")["attempts"] == 1
    seen = len(pids.read_text().split())
    h.w.purse("alerts", "test", "long")
    wait_for("a runaway", lambda: len(pids.read_text().split()) > seen)
    last = pids.read_text().split()[-1]
    daemon = cgroup_of(h.w.daemon.pid)
    # Below the daemon's, so that the gate does not take it for the daemon.
    assert cgroup_of(last).startswith(f"{daemon}/purse-alert-{h.w.daemon.pid}-")
    began = time.monotonic()
    assert h.w.stop() == 0 and time.monotonic() - began < 4
    for pid in pids.read_text().split():
        assert not os.path.exists(f"/proc/{pid}") or "\nState:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()
    # One that is cut down leaves its command behind; the next one ends it.
    h.w.start()
    wait_for("it again", lambda: pids.read_text().split()[-1] != last)  # not delivered yet: sent after the start
    last = pids.read_text().split()[-1]
    old = cgroup_of(last)
    h.w.kill9()
    assert os.path.exists(f"/proc/{last}")
    h.w.start()
    wait_for("its end", lambda: not os.path.exists(f"/proc/{last}"))
    assert not (worlds.CGROUPS / old[1:]).exists()


def test_a_forecast_knows_the_window(hooks):
    """Spent at a pace that ends before the window does; told once."""
    h = hooks([{"name": "ops", "at": [], "forecast": True, "pace": "10s", "windows": ["month"], "webhook": URL + "/ok"}],
              agents=[{"name": "bot", "month": "1USD", "total": "1USD", "timezone": "Asia/Tokyo"}]).listen().start()
    settled(2)
    h.spend(0.5)
    wait_for("the forecast", lambda: h.bodies())
    h.spend(0.7)
    settled()
    (body,) = h.bodies()
    assert body["kind"] == "forecast" and body["window"] == "month" and body["timezone"] == "Asia/Tokyo"
    assert body["used_up_at"] < body["resets_at"] and nano(body["per_hour"]) > 0
    assert "at this rate the month budget is used up at" in body["text"] and "before the reset at" in body["text"]


def test_a_gate_that_is_gone_is_told(hooks):
    h = hooks([{"name": "ops", "at": [], "when": ["gate_detached"], "webhook": URL + "/ok"}]).listen().start()
    bpftool = worlds.shutil.which("bpftool") or "/usr/sbin/bpftool"
    pin = next(p for p in (h.w.pins / "links").iterdir() if "egress" in p.name)
    worlds.run(bpftool, "link", "detach", "pinned", pin)
    wait_for("the alert", lambda: h.bodies(), 10)
    body = h.bodies()[0]
    assert body["kind"] == "gate_detached" and body["account"] is None and body["over"] is False and "egress" in body["detail"]
    # It is put back at once, and that is told too.
    wait_for("the end of it", lambda: len(h.bodies()) == 2, 10)
    assert h.bodies()[1]["over"] is True and "again" in h.bodies()[1]["text"]


def test_tests_and_lists(hooks):
    h = hooks([{"name": "ops", "at": [], "slack": URL + "/slack"}]).listen().start()
    assert "`purse alerts test ops` tries it out" in h.w.purse("alerts").stdout
    r = h.w.purse("alerts", "test", "nobody", check=False)
    assert r.returncode == 1 and "is not in the config" in r.stderr
    h.w.purse("alerts", "test", "ops")
    wait_for("it", lambda: h.got("/slack"))
    assert json.loads(h.got("/slack")[0]["body"]) == {"text": 'this is a test of the alert "ops"'}
    assert h.w.purse_json("alerts")["alerts"] == [{"name": "ops", "accounts": ["*"], "to": ["slack"]}]


def test_without_alerts_the_command_says_how(world):
    assert "no alerts in the config" in world.purse("alerts").stdout
    assert world.purse_json("alerts") == {"alerts": [], "fired": [], "dropped": 0}
