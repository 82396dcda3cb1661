#!/usr/bin/env bash
# litserve 0.2.19: the event that tells of an error has no empty line behind it, and httpx-sse 0.4.3 drops it.
#
# A model that raises in the middle of a streamed answer ends the stream with `data: {"error": ...}`. By the standard an
# event counts when an empty line ends it, and what a stream leaves open is discarded: httpx-sse yields the text and
# stops, so a caller sees an answer that just ends, without an error. The bytes are there for who reads lines.
#
# Seen: events ['Hull']
#       last bytes b'"param": null, "code": "internal_error"}}'
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q litserve==0.2.19 httpx==0.28.1 httpx-sse==0.4.3
cat > "$dir/serve.py" <<'PYTHON'
import sys

import litserve


class Model(litserve.LitAPI):
    def setup(self, device):
        pass

    def predict(self, request):
        yield {"role": "assistant", "content": "Hull"}
        raise RuntimeError("the tide tables are gone")


if __name__ == "__main__":
    server = litserve.LitServer(Model(spec=litserve.OpenAISpec()), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="critical")
PYTHON
cat > "$dir/show.py" <<'PYTHON'
import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import httpx_sse

with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
server = subprocess.Popen(
    [sys.executable, "serve.py", str(port)], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
)
url = f"http://127.0.0.1:{port}"
asked = {"json": {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}}
try:
    for _ in range(300):
        time.sleep(0.2)
        try:
            if httpx.get(f"{url}/health").is_success:
                break
        except httpx.HTTPError:
            continue
    with httpx.Client(timeout=60) as client:
        with httpx_sse.connect_sse(client, "POST", f"{url}/v1/chat/completions", **asked) as source:
            events = [json.loads(event.data) for event in source.iter_sse()]
        body = client.post(f"{url}/v1/chat/completions", **asked).content
finally:
    os.killpg(server.pid, signal.SIGTERM)
texts = [event["choices"][0]["delta"]["content"] for event in events if "choices" in event]
print("events", texts)
print("last bytes", body[-41:])
assert len(events) == 1, "the error is read as an event now"
assert texts == ["Hull"], "the text before it is another"
assert body.endswith(b'"code": "internal_error"}}'), "the stream ends in another way now"
PYTHON
cd "$dir"
"$dir/venv/bin/python" show.py
