# SPDX-License-Identifier: Apache-2.0
"""The provider does not answer, not in time, or is not whom it should be: a 5xx that says so in its own shape, and the hold is settled."""
import datetime
import subprocess
import sys

import pytest
import world as worlds
from world import nano

SOON = {"connect_timeout": "1s", "response_timeout": "1s"}
SILENT = """
import socket, sys, time
l = socket.create_server((sys.argv[1], 443))
kept = []
while True: kept.append(l.accept())
"""


def held(w):
    return nano(w.account()["windows"]["day"]["held"])


def never_sent(w, status, *words):
    got, text, r = w.chat(args=["-4"])
    assert got == status, (got, text, r.stderr)
    assert all(word in text for word in words), text
    w.quiet().audit()
    assert w.ledger() == [] and held(w) == 0


def test_nobody_listens(make_world):
    w = make_world(config=SOON)
    w.fake.kill()
    w.fake.wait()
    never_sent(w, 502, "cannot reach the provider", "refused")


def test_no_handshake(make_world):
    w = make_world(provider=lambda chain, key: [sys.executable, "-c", SILENT, worlds.PROVIDER4], config=SOON)
    never_sent(w, 504, "in time")


def test_no_such_name(make_world):
    w = make_world(config=dict(SOON, providers=[{"name": "gone", "dialect": "openai", "hosts": ["gone.example.test"], "prices_as": "openai"}]))
    r = w.curl("bot", "https://gone.example.test/v1/chat/completions", "--resolve", "gone.example.test:443:" + worlds.PROVIDER4, "-w", "%{http_code}",
               body={"model": "fake-mini", "max_tokens": 5, "messages": []})
    assert r.returncode or r.stdout.endswith("502"), r.stdout
    w.quiet().audit()
    assert w.requests() == [] and w.ledger() == [] and held(w) == 0


@pytest.mark.parametrize("stream", [False, True])
def test_no_answer_in_time(make_world, stream):
    """It was sent: the provider makes it and bills it, whether we wait or not."""
    w = make_world(config=SOON)
    status, text, _ = w.chat(model="fake-large", stream=stream, max_tokens=200, fake="delay=2.5,out=200")
    assert status == 504 and "in time" in text
    w.quiet().audit()
    (call,) = w.ledger()
    assert call["estimated"] and call["end"] == "timeout" and held(w) == 0
    worlds.wait_for("the bill", w.bills)
    if not stream:
        assert w.charged() >= w.billed() > 0


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_an_answer_that_falls_silent(make_world, http):
    w = make_world(config=SOON)
    _, text, r = w.chat(stream=True, max_tokens=200, fake="out=9,gap=2.5", args=[http])
    assert r.returncode != 0 and "in time" in text.split("data: ")[-1], text + r.stderr  # said, and then broken off
    w.quiet().audit()
    (call,) = w.ledger()
    assert call["estimated"] and call["end"] == "timeout" and held(w) == 0
    worlds.wait_for("the bill", w.bills)
    assert w.charged() >= w.billed() > 0


def test_a_slow_answer_is_not_a_silent_one(make_world):
    w = make_world(config=SOON)
    status, text, _ = w.chat(stream=True, fake="out=8,gap=0.3")  # 2.4 s in all
    assert status == 200 and "[DONE]" in text
    w.assert_exact()


def stranger(folder):
    from certs import Authority
    return Authority(folder / "another", cn="another CA").leaf("stranger", list(worlds.NAMES))


def test_a_certificate_of_nobody_we_know(make_world):
    w = make_world(cert=lambda ca: stranger(ca.folder))
    never_sent(w, 502, "certificate")
    assert w.requests() == []


def test_a_certificate_by_our_own_authority(make_world):
    """Who stole our issuer's key, or asked us for a leaf, is not a provider, even where the root is in the system's store."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    w = make_world()
    ca = w.state / "ca"
    issuer = x509.load_pem_x509_certificates((ca / "issuer.pem").read_bytes())[0]
    issuer_key = serialization.load_pem_private_key((ca / "issuer.key").read_bytes(), None)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    leaf = (x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, worlds.NAMES[0])]))
            .issuer_name(issuer.subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=5))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in worlds.NAMES]), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
            .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .sign(issuer_key, hashes.SHA256()))
    pem, pem_key = w.folder / "mine.pem", w.folder / "mine.key"
    pem.write_bytes(leaf.public_bytes(serialization.Encoding.PEM) + (ca / "issuer.pem").read_bytes())
    pem_key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    w.stop()
    w.ca.path.write_bytes(w.ca.path.read_bytes() + (ca / "root.pem").read_bytes())
    w.fake.kill()
    w.fake.wait()
    ready = len(w.records())
    w.fake = w.spawn(w.far, [sys.executable, worlds.HERE / "fake_provider.py", pem, pem_key, w.log, worlds.PROVIDER4, worlds.PROVIDER6],
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    worlds.wait_for("the impostor", lambda: len(w.records()) > ready)
    # The chain itself is good: a client that trusts both would take it.
    r = w.curl("outside", "https://api.openai.com/v1/models", "--cacert", w.ca.path)
    assert '"data"' in r.stdout, r.stderr
    w.start()
    before = len(w.requests())
    status, text, _ = w.chat()
    assert status == 502 and "certificate" in text, text
    assert len(w.requests()) == before and w.ledger() == []
