"""A LitServe server with OpenAI's API, as its documentation shows one: ``python -m tests.servers.litserve_app PORT``.

Its model answers by the last word of the conversation: in words, with a call, or with an exception.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import litserve


class Model(litserve.LitAPI):
    """Answers "Hull at two."; calls a tool on "tide?", fails on "fail", and fails in the middle on "break"."""

    def setup(self, device: Any) -> None:
        """Load nothing."""

    def predict(self, request: Any) -> Iterator[Any]:
        """Yield the pieces of an answer."""
        word = str(request.messages[-1].content).split()[-1]
        if word == "fail":
            raise RuntimeError("the model is not loaded")
        if word == "tide?":
            function = {"name": "tide", "arguments": '{"port": "Hull"}'}
            call = {"id": "call_1", "type": "function", "index": 0, "function": function}
            yield {"role": "assistant", "content": "", "tool_calls": [call]}
            return
        for piece in ("Hull", " at", " two."):
            yield {"role": "assistant", "content": piece}
            if word == "break":
                raise RuntimeError("the device is gone")


if __name__ == "__main__":
    server = litserve.LitServer(Model(spec=litserve.OpenAISpec()), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
