# SPDX-License-Identifier: Apache-2.0
"""One bad certificate or server of each class: the agent reads why in a 502 of the provider's shape, and nothing is sent or charged. The whole
table stands in tests/unit/wire/test_tls_certificates.c, test_tls_chains.c and test_tls_ocsp.c."""
import datetime
import json
import signal
import subprocess
import sys

import pytest
import world as worlds
from certs import DAY, Authority
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID as Use
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.timezone.utc)
HOST = "api.openai.com"
REVOKED = 4711
ANSWER = {"id": "x", "object": "chat.completion", "model": "fake-mini", "choices": [
    {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
# Reads its certificate anew for each connection, and notes what it gets to read.
SERVER = r"""
import json, socket, ssl, sys
folder, address, answer = sys.argv[1:]
l = socket.create_server((address, 443))
while True:
    c, _ = l.accept()
    c.settimeout(3)
    options = json.load(open(folder + "/options"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(options.get("ciphers", "DEFAULT") + ":@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    if "maximum" in options:
        context.maximum_version = getattr(ssl.TLSVersion, options["maximum"])
    context.load_cert_chain(folder + "/chain", folder + "/key")
    try:
        with context.wrap_socket(c, server_side=True) as s:
            if s.recv(65536):
                open(folder + "/got", "a").write("x")
                s.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(answer), answer.encode()))
    except OSError:
        c.close()
"""


class WithList(Authority):
    """A CA with a revocation list in the file that upstream_ca names."""

    def __init__(self, folder):
        super().__init__(folder)
        self.path.write_bytes(self.path.read_bytes() + self.list(REVOKED))

    def list(self, *serials):
        crl = (x509.CertificateRevocationListBuilder().issuer_name(self.cert.subject).last_update(NOW - DAY).next_update(NOW + DAY)
               .add_extension(x509.CRLNumber(1), False)
               .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False))
        for serial in serials:
            crl = crl.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - DAY).build())
        return crl.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def named(cn):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])


def usage(**on):
    every = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
             "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{k: k in on for k in every})


def leaf(by, key=None, names=(HOST,), start=NOW - DAY, end=NOW + 90 * DAY, use=Use.SERVER_AUTH, key_usage=usage(digital_signature=True),
         is_ca=False, serial=None, more=(), signer=None):
    """by: an Authority, or None for one that signs itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    signer = signer or (by.key if by else key)
    b = (x509.CertificateBuilder().subject_name(named(HOST)).issuer_name(by.cert.subject if by else named(HOST)).public_key(key.public_key())
         .serial_number(serial or x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
         .add_extension(x509.BasicConstraints(is_ca, None), True).add_extension(key_usage, True)
         .add_extension(x509.ExtendedKeyUsage([use]), False)
         .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
         .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key((by.key if by else key).public_key()), False))
    if names:
        b = b.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
    for extension, critical in more:
        b = b.add_extension(extension, critical)
    return b.sign(signer, hashes.SHA256()), key


def strangers(ca):
    return leaf(Authority(ca.folder / "another", cn="another CA"))


def weak(ca):
    return leaf(ca, key=rsa.generate_private_key(65537, 1024))


def forged(ca):
    return leaf(ca, signer=ec.generate_private_key(ec.SECP256R1()))


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")
BAD = {
    "expired": (lambda ca: leaf(ca, start=NOW - 20 * DAY, end=NOW - DAY), "certificate has expired"),
    "not yet valid": (lambda ca: leaf(ca, start=NOW + DAY), "not yet valid"),
    "wrong name": (lambda ca: leaf(ca, names=["api.example.com"]), "another name"),
    "CN only": (lambda ca: leaf(ca, names=[]), "another name"),
    "partial wildcard": (lambda ca: leaf(ca, names=["a*i.openai.com"]), "another name"),
    "self-signed": (lambda ca: leaf(None), "self-signed"),
    "unknown root": (strangers, "upstream_ca"),
    "for clients": (lambda ca: leaf(ca, use=Use.CLIENT_AUTH), "purpose"),
    "may not sign": (lambda ca: leaf(ca, key_usage=usage(key_agreement=True)), "digitalSignature"),
    "a CA": (lambda ca: leaf(ca, is_ca=True), "CA:TRUE"),
    "unknown critical extension": (lambda ca: leaf(ca, more=[(UNKNOWN, True)]), "critical extension"),
    "weak key": (weak, "too weak"),
    "forged": (forged, "signature"),
    "revoked": (lambda ca: leaf(ca, serial=REVOKED), "revoked"),
    "must-staple": (lambda ca: leaf(ca, more=[(x509.TLSFeature([x509.TLSFeatureType.status_request]), False)]), "must-staple"),
}
OLD = {
    "TLS 1.1": ({"maximum": "TLSv1_1"}, "protocol version"),
    "CBC": ({"maximum": "TLSv1_2", "ciphers": "ECDHE-ECDSA-AES128-SHA256"}, "alert"),
}


@pytest.fixture(scope="module")
def w():
    folder = []

    def provider(chain, key):
        folder.append(chain.parent)
        serve(chain.parent, chain.read_bytes(), key.read_bytes())
        return [sys.executable, "-c", SERVER, chain.parent, worlds.PROVIDER4, json.dumps(ANSWER)]

    w = worlds.World(authority=WithList, provider=provider)
    w.certs = folder[0]
    try:
        w.start()
        yield w
    finally:
        w.close()


def serve(folder, chain, key, **options):
    (folder / "options").write_text(json.dumps(options))
    (folder / "chain").write_bytes(chain)
    (folder / "key").write_bytes(key)


def pem(cert, key):
    return (cert.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def got(w):
    path = w.certs / "got"
    return len(path.read_text()) if path.exists() else 0


def refused(w, words):
    before, calls = got(w), len(w.ledger())
    status, text, r = w.chat(args=["-4"])
    assert status == 502, (status, text, r.stderr)
    error = json.loads(text)["error"]  # the provider's shape
    assert words in error["message"] and HOST in error["message"], text
    assert got(w) == before and len(w.ledger()) == calls


@pytest.mark.parametrize("name", BAD)
def test_bad_certificate(w, name):
    make, words = BAD[name]
    serve(w.certs, *pem(*make(w.ca)))
    refused(w, words)


@pytest.mark.parametrize("name", OLD)
def test_old_server(w, name):
    options, words = OLD[name]
    serve(w.certs, *pem(*leaf(w.ca)), **options)
    refused(w, words)


def test_good_certificate(w):
    """After all those: nothing of a refusal is remembered."""
    serve(w.certs, *pem(*leaf(w.ca, names=["*.openai.com"])))
    before = got(w)
    status, text, r = w.chat(args=["-4"])
    assert status == 200, (status, text, r.stderr)
    assert got(w) == before + 1


def test_a_list_that_comes_while_the_daemon_runs(w):
    cert, key = leaf(w.ca)
    serve(w.certs, *pem(cert, key))
    assert w.chat(args=["-4"])[0] == 200
    before = w.ca.path.read_bytes()
    root = w.ca.cert.public_bytes(serialization.Encoding.PEM)
    for path, words in ((before[:-40], "upstream_ca"), (root + w.ca.list(REVOKED, cert.serial_number), "loaded again")):
        at = len(w.daemon_log.read_text())
        w.ca.path.write_bytes(path)
        w.daemon.send_signal(signal.SIGHUP)
        worlds.wait_for("the file to be read", lambda: words in w.daemon_log.read_text()[at:])
        if words == "upstream_ca":
            assert w.chat(args=["-4"])[0] == 200, "half a file changes nothing"
    refused(w, "revoked")
    w.ca.path.write_bytes(before)
    w.daemon.send_signal(signal.SIGHUP)
    worlds.wait_for("the file to be read", lambda: w.chat(args=["-4"])[0] == 200)


@pytest.mark.parametrize("status", ["REVOKED", "GOOD"])
def test_stapled(w, status):
    """Python's server staples nothing: one of OpenSSL's."""
    cert, key = leaf(w.ca)
    is_bad = status == "REVOKED"
    answer = (ocsp.OCSPResponseBuilder().add_response(
        cert=cert, issuer=w.ca.cert, algorithm=hashes.SHA1(), cert_status=ocsp.OCSPCertStatus[status], this_update=NOW - DAY,
        next_update=NOW + DAY, revocation_time=NOW - DAY if is_bad else None, revocation_reason=None)
        .responder_id(ocsp.OCSPResponderEncoding.HASH, w.ca.cert).sign(w.ca.key, hashes.SHA256()))
    serve(w.certs, *pem(cert, key))
    (w.certs / "staple").write_bytes(answer.public_bytes(serialization.Encoding.DER))
    w.fake.kill()
    w.fake.wait()
    w.fake = w.spawn(w.far, ["openssl", "s_server", "-accept", worlds.PROVIDER4 + ":443", "-cert", w.certs / "chain", "-key", w.certs / "key",
                             "-status_file", w.certs / "staple", "-quiet"], stdin=subprocess.PIPE, stdout=open(w.folder / "s_server.out", "wb"))
    listening = ["nsenter", f"--net={worlds.NETNS / w.name}", "ss", "-ltnH", "sport = :443"]
    worlds.wait_for("the server to listen", lambda: worlds.run(*listening).stdout)
    if is_bad:
        refused(w, "revoked")
    else:
        # It never answers: what counts is that it was asked.
        w.chat(args=["-4", "-m", "2"])
        assert b"POST /v1/chat/completions" in (w.folder / "s_server.out").read_bytes()
