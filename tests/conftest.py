# SPDX-License-Identifier: Apache-2.0
"""Fixtures: `world` is one with a running daemon and an agent "bot" of $10 a day; `make_world` makes others."""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "lib"))
import world as worlds  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def clean_machine():
    if os.geteuid():
        pytest.skip("needs root for BPF, cgroups and network namespaces", allow_module_level=True)
    worlds.sweep()


@pytest.fixture
def make_world(request):
    made = []

    def make(start=True, **kw):
        w = worlds.World(**kw)
        made.append(w)
        return w.start() if start else w
    yield make
    for w in made:
        if request.node.rep_call_failed:
            print("pursed said:\n" + (w.daemon_log.read_text()[-4000:] if w.daemon_log.exists() else ""))
        w.close()


@pytest.fixture
def world(make_world):
    return make_world()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    item.rep_call_failed = getattr(item, "rep_call_failed", False) or outcome.get_result().failed
