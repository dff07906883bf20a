#!/usr/bin/env bash
# asyncio switches Nagle's algorithm off (TCP_NODELAY) for every TCP connection, or so one reads. It does where it
# opens the listener itself. A listener that the program hands over, made in the usual way by socket.socket(AF_INET,
# SOCK_STREAM), has the protocol number 0, accepted sockets inherit that, and asyncio sets the option only where it
# reads IPPROTO_TCP: each answer that is written in two pieces, as uvicorn's are, then waits for the client's delayed
# acknowledgement, 40 ms on a kept-alive connection. Naming the protocol, socket.socket(AF_INET, SOCK_STREAM,
# IPPROTO_TCP), makes it right: 1,000 requests took 0.7 s instead of 49.
# Seen: Python 3.10.13, 3.11 and 3.13.0, uvicorn 0.35.0, Linux 6.18.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --upgrade pip
"$folder/venv/bin/python" -m pip install --quiet uvicorn==0.35.0
cat > "$folder/try.py" <<'PYTHON'
import http.client
import socket
import sys
import threading
import time

import uvicorn


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def served(protocol):
    """Whether TCP_NODELAY is set on an accepted connection, and the seconds that 50 requests took on it."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, loop="asyncio", http="h11", lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    client = http.client.HTTPConnection(*listener.getsockname())
    began = time.monotonic()
    for _ in range(50):
        client.request("GET", "/")
        client.getresponse().read()
    seconds = time.monotonic() - began
    (connection,) = server.server_state.connections
    accepted = connection.transport.get_extra_info("socket")
    is_set = bool(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
    client.close()
    server.should_exit = True
    thread.join()
    return is_set, seconds


plain, named = served(0), served(socket.IPPROTO_TCP)
print(f"Python {sys.version.split()[0]}, uvicorn {uvicorn.__version__}: TCP_NODELAY and seconds for 50 requests")
print(f"protocol 0: {plain[0]}, {plain[1]:.2f} s; IPPROTO_TCP: {named[0]}, {named[1]:.2f} s")
assert named[0]
if plain[0]:
    raise SystemExit("asyncio sets it for both now: the finding no longer holds")
PYTHON
"$folder/venv/bin/python" "$folder/try.py"
