#!/usr/bin/env bash
# LiteLLM 1.110.2: a streamed fragment of `reasoning_details` that holds only a signature does not reach the caller.
#
# OpenRouter's providers stream the signature of a thought in a fragment of its own, beside an empty content, and want
# it back in the next request. LiteLLM passes on each fragment with text, and drops the one with the signature: the
# thought arrives unsigned, though the same details pass unchanged where a fragment holds both.
#
# Seen: apart [{'type': 'reasoning.text', 'text': 'Hm.', 'index': 0}]
#       together [{'type': 'reasoning.text', 'text': 'Hm.', 'index': 0, 'signature': 'c2ln'}]
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q litellm==1.110.2
cat > "$dir/show.py" <<'PYTHON'
import http.server
import json
import threading

TEXT = {"type": "reasoning.text", "text": "Hm.", "index": 0}
SIGNATURE = {"type": "reasoning.text", "signature": "c2ln", "index": 0}
STREAMS = {"apart": [[TEXT], [SIGNATURE]], "together": [[{**TEXT, "signature": "c2ln"}]]}


def event(delta, finish=None):
    choice = {"index": 0, "delta": {"role": "assistant", "content": "", **delta}, "finish_reason": finish}
    body = {"id": "gen-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(body)}\n\n"


class Upstream(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        name = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["model"]
        events = [event({"reasoning_details": details}) for details in STREAMS[name]]
        events += [event({"content": "Two."}), event({}, "stop"), "data: [DONE]\n\n"]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write("".join(events).encode())

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
threading.Thread(target=server.serve_forever, daemon=True).start()

import litellm

for name, signed in (("apart", False), ("together", True)):
    chunks = litellm.completion(
        model=f"openrouter/{name}",
        api_base=f"http://127.0.0.1:{server.server_port}/v1",
        api_key="none",
        messages=[{"role": "user", "content": "Hi"}],
        stream=True,
    )
    deltas = [chunk.model_dump()["choices"][0]["delta"] for chunk in chunks if chunk.choices]
    seen = [detail for delta in deltas for detail in delta.get("reasoning_details") or ()]
    print(name, seen)
    assert [detail.get("text") for detail in seen] == ["Hm."], "the text did not arrive once"
    assert any("signature" in detail for detail in seen) == signed, "what happens to the signature has changed"
PYTHON
LITELLM_LOCAL_MODEL_COST_MAP=True "$dir/venv/bin/python" "$dir/show.py"
