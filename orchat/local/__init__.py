"""The embedded model: a small language model that runs on this machine, without an account or a key.

It needs the extra ``local`` and, once, ``orchat local download``. It shows that everything works; its answers are
often wrong. `LocalServer` runs it, `shared_server` is the one that all of a process uses; `find_weights` and `download`
are about its weights. Nothing here knows what a chat request looks like.
"""

from orchat.local.fetch import download
from orchat.local.server import LocalServer, require_runtime, shared_server
from orchat.local.server_process import ServerAddress
from orchat.local.weights import MODEL, find_weights

__all__ = ["MODEL", "LocalServer", "ServerAddress", "download", "find_weights", "require_runtime", "shared_server"]
