# SPDX-License-Identifier: Apache-2.0
"""A provider that says what a test has written down: scripted.py CERT KEY ADDRESS FOLDER LOG. For a request with `x-answer: NAME` it sends the
bytes of FOLDER/NAME; FOLDER/NAME.json says what it bills for them, and whether it then cuts the connection ({"bill": nano-dollars, "id": …, "cut": true})."""
import json
import pathlib
import socket
import ssl
import sys
import threading

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
folder, log, lock = pathlib.Path(sys.argv[4]), open(sys.argv[5], "a"), threading.Lock()


def write(**record):
    with lock:
        log.write(json.dumps(record) + "\n")
        log.flush()


def serve(s):
    try:
        s = context.wrap_socket(s, server_side=True)
        got = b""
        while b"\r\n\r\n" not in got:
            more = s.recv(65536)
            if not more:
                return
            got += more
        head, _, body = got.partition(b"\r\n\r\n")
        first, *fields = head.decode().split("\r\n")
        fields = {k.lower(): v.strip() for k, _, v in (f.partition(":") for f in fields)}
        while len(body) < int(fields.get("content-length", 0)):
            body += s.recv(65536)
        method, path, _ = first.split(" ")
        write(request=path, method=method, headers=list(fields.items()), body=body.decode())
        name = fields["x-answer"]
        s.sendall((folder / name).read_bytes())
        bill = json.loads((folder / (name + ".json")).read_text())
        if method == "POST":
            write(bill=bill["bill"], id=bill["id"])
        if not bill.get("cut"):
            s.unwrap()
    except OSError:
        pass
    finally:
        s.close()


listener = socket.create_server((sys.argv[3], 443))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
