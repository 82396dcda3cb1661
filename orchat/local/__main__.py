"""The child process: llama.cpp's own HTTP server on a free port of the loopback, until stdin ends.

Started by `orchat.local.server.LocalServer` with the model file as its argument and the key in ``ORCHAT_LOCAL_KEY``.
It writes one line, the base URL, to stdout. It imports nothing of orchat, so that it runs as a plain file too, and it
ends when its stdin does: the other end closes whenever the parent goes away, however that happens.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

CONTEXT = 4096  # tokens; 255 MB of memory
PROMPT_CACHE_MIB = 64  # the server's own default is 8 GiB


def available_cores() -> int:
    """Return the number of cores that this process may use, within a container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max 100000": no limit
        return cores


def main(model: str, key: str) -> None:
    """Serve ``model`` until stdin ends."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {"smollm2-135m-instruct"}
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_prefix, params.api_keys = "/api", [key]  # the base URL ends in /api/v1, as OpenRouter's does
    params.cors_origins, params.ui = "http://127.0.0.1", False
    params.n_ctx, params.n_parallel, params.cache_ram_mib = CONTEXT, 1, PROMPT_CACHE_MIB
    params.verbosity = 0
    # One core stays free: a thread for every core makes llama.cpp slower by an order of magnitude on a busy machine.
    threads = min(4, max(1, available_cores() - 1))
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.sampling.temp, params.sampling.top_p = 0.2, 0.9
    params.sampling.dry_multiplier, params.sampling.dry_allowed_length = 0.4, 6
    server = xllamacpp.Server(params)  # listening on return; the reference keeps it so

    sys.stdout.write(server.listening_address + "/api/v1\n")
    sys.stdout.flush()
    os.dup2(2, 1)  # nobody reads stdout from here on, so nothing may fill that pipe
    sys.stdin.buffer.read()
    # Not an orderly end: that would wait for the answer that is being generated, and nobody is left to read it.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], os.environ.pop("ORCHAT_LOCAL_KEY"))
