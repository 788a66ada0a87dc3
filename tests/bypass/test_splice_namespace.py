# SPDX-License-Identifier: Apache-2.0
"""What purse splices goes the way that the agent's own connection would have gone: enrolling a container opens no network to it."""
import pytest
import world as worlds
from test_namespaces import Place

URL = "https://other.test/"
NAME = ["--resolve", f"other.test:443:{worlds.OTHER4}"]


@pytest.fixture
def place(world):
    p = Place(world)
    p.wait()
    yield p
    p.end()


def ask(place):
    return place.run("curl", "-skS", "-m", "20", *NAME, "-o", "/dev/null", "-w", "%{http_code}", URL + "v1/models")


def test_without_a_route_there_is_none(place, world):
    assert place.call()[0] == 200  # the provider is dialled by purse itself
    before = len(world.records())
    r = ask(place)
    assert r.stdout != "200" and r.returncode, r.stdout + r.stderr
    assert len(world.records()) == before
    assert "other.test" in world.daemon_log.read_text()


def test_with_a_route_it_comes_from_the_agents_own_address(place, world):
    peer = f"v{place.name[-11:]}"
    worlds.run("ip", "-n", place.name, "link", "add", "up0", "type", "veth", "peer", "name", peer, "netns", world.name)
    for ns, device, address in ((place.name, "up0", "203.0.113.2/24"), (world.name, peer, "203.0.113.1/24")):
        worlds.run("ip", "-n", ns, "address", "add", address, "dev", device)
        worlds.run("ip", "-n", ns, "link", "set", device, "up")
    worlds.run("ip", "-n", place.name, "route", "add", worlds.OTHER4, "via", "203.0.113.1")
    r = ask(place)
    assert r.stdout == "200", r.stdout + r.stderr + world.daemon_log.read_text()[-1500:]
    assert "203.0.113.2" in [c["conn"] for c in world.records() if "conn" in c]
    assert place.call()[0] == 200
    world.assert_exact()
