#!/usr/bin/env bash
# openrouter 1.3.84, OpenRouter's own SDK: a picture of an answer is there in a whole reply, and not in a stream; the
# citations of a web search are in neither.
#
# OpenRouter sends `images` and `annotations` beside the content of a message or a delta. The SDK's models know images of
# messages, and no annotations; what they do not know is dropped without a word. Text arrives whole both ways.
#
# Seen: whole 'Two.' images 1 annotations 0
#       stream 'Two.' images 0 annotations 0
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q openrouter==1.3.84
cat > "$dir/show.py" <<'PYTHON'
import http.server
import json
import threading

CITED = {"type": "url_citation", "url_citation": {"url": "https://example.org/", "title": "Tides"}}
CITED["url_citation"] |= {"start_index": 0, "end_index": 3}
IMAGE = {"type": "image_url", "index": 0, "image_url": {"url": "data:image/gif;base64,R0lGODlhAQABAAAAACw="}}
MESSAGE = {"role": "assistant", "content": "Two.", "annotations": [CITED], "images": [IMAGE]}


def completion(kind, **choice):
    body = {"id": "gen-1", "created": 1, "model": "v/m", "object": kind, "system_fingerprint": None}
    return {**body, "choices": [{"index": 0, "finish_reason": "stop", **choice}]}


class OpenRouterHandler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        if json.loads(self.rfile.read(int(self.headers["Content-Length"]))).get("stream"):
            kind, event = "text/event-stream", completion("chat.completion.chunk", delta=MESSAGE)
            body = f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n"
        else:
            kind, body = "application/json", json.dumps(completion("chat.completion", message=MESSAGE))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OpenRouterHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()

from openrouter import OpenRouter


def show(way, parts):
    dumps = [part.model_dump() for part in parts]
    counts = [sum(len(dump.get(name) or ()) for dump in dumps) for name in ("images", "annotations")]
    text = "".join(dump["content"] for dump in dumps)
    print(way, repr(text), "images {} annotations {}".format(*counts))
    assert text == "Two.", f"{way}: the text is another"
    return counts


ask = {"model": "v/m", "messages": [{"role": "user", "content": "Hi"}]}
with OpenRouter(api_key="none", server_url=f"http://127.0.0.1:{server.server_port}/api/v1") as client:
    assert show("whole", [client.chat.send(**ask).choices[0].message]) == [1, 0], "a message has other fields now"
    deltas = [event.choices[0].delta for event in client.chat.send(**ask, stream=True)]
    assert show("stream", deltas) == [0, 0], "a delta has other fields now"
PYTHON
"$dir/venv/bin/python" "$dir/show.py"
