"""No key in any traceback, repr, attribute or log, however a call fails."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import pickle
import time
import traceback
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from orchat.errors import OrchatError
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.openrouter.transport import PreparedRequest
from orchat.openrouter.transport.connection_pool import POOLS
from orchat.openrouter.transport.response_body import ResponseBody
from orchat.secret import Secret
from tests.generator.ways import KEY, Way
from tests.openrouter_server import USER_ID, error, event, stream, text, wire
from tests.patience import PATIENCE, wait_until

HEADER = "gateway-p4ssw0rd-0123456789"
SECRETS = (KEY, HEADER, USER_ID, KEY[10:])

# Kwargs of the generator or the call, and what the server answers: each a way to fail, before, while and after asking.
FAILURES: dict[str, tuple[dict[str, Any], dict[str, Any], Any]] = {
    "refused by the API": ({}, {}, error(401, f"Key {KEY} of {USER_ID} and {HEADER} are wrong")),
    "error in the stream": ({}, {}, stream(event("a"), {"error": {"message": f"{KEY} {HEADER}"}, "choices": []})),
    "connection dropped": ({}, {}, wire()),
    "connection cut": ({}, {}, stream(event("a")).ending("reset")),
    "stream cut": ({}, {}, stream(event("a"))),
    "stall": ({"timeout": 0.2}, {}, stream(event("a")).ending("stall")),
    "no answer": ({"timeout": 0.2}, {}, text("late").delayed(1)),
    "no JSON": ({}, {}, error(200, "x").first(5).headers({"Content-Length": "5"})),
    "redirect": ({}, {}, error(307, "x", headers={"Location": f"http://elsewhere.invalid/?k={KEY}"})),
    "connection refused": ({"api_base_url": "http://127.0.0.1:9/api/v1"}, {}, None),
    "unknown host": ({"api_base_url": "http://no-such-host.invalid/v1"}, {}, None),
    "bad base URL": ({"api_base_url": "nonsense"}, {}, None),
    "bad kwarg": ({}, {"generation_kwargs": {"x": object()}}, None),
    "bad format": ({}, {"generation_kwargs": {"response_format": 5}}, None),
    "bad tools": ({}, {"tools": [1]}, None),
    "bad header": ({}, {"generation_kwargs": {"extra_headers": {"X-A": "ü"}}}, None),
    "bad secret": ({}, {"generation_kwargs": {"extra_headers": {"X-A": Secret.from_token(HEADER + "ü")}}}, None),
    "bad key": ({"api_key": Secret.from_token(KEY + "\n\x00")}, {}, None),
    "bad retries": ({"max_retries": -1}, {}, None),
    "bad timeout": ({"timeout": -1}, {}, None),
    "bad client": ({"http_client_kwargs": {"no_such": 1}}, {}, None),
    "missing secret": ({"extra_headers": {"X-A": Secret.from_env_var("NOT_SET")}}, {}, None),
    "failing proxy": ({"http_client_kwargs": {"proxy": "nonsense://x"}}, {}, None),
}


@pytest.fixture(params=FAILURES)
def failure(request, make, openrouter):
    """A generator and a call that fail."""
    init, run, answer = FAILURES[request.param]
    if answer is not None:
        openrouter.always(answer)
    headers = {"X-Gateway": Secret.from_token(HEADER)} | init.get("extra_headers", {})
    return make(**(init | {"extra_headers": headers})), run


def check(shown: str) -> None:
    """No secret is in it."""
    for secret in SECRETS:
        assert secret not in shown


@pytest.fixture(scope="module")
def shell() -> InteractiveShell:
    """IPython, telling all it knows about an error."""
    shell = InteractiveShell()
    shell.run_line_magic("xmode", "Verbose")
    return shell


@pytest.mark.parametrize("code", ["run", "stream", "async"])
def test_no_traceback_shows_a_key(failure, shell, code: str) -> None:
    generator, options = failure
    shell.user_ns |= {"generator": generator, "options": options, "asyncio": asyncio}
    cell = {
        "run": "generator.run('Hi', **options)",
        "stream": "with generator.stream('Hi', **options) as reply:\n    for chunk in reply: pass",
        "async": "asyncio.run(generator.run_async('Hi', lambda chunk: None, **options))",
    }[code]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        shell.run_cell(f"import asyncio\n{cell}")
    assert "Error" in shown.getvalue()
    check(shown.getvalue())


def test_no_error_holds_a_key_in_any_attribute_or_frame_of_ours(failure, driver: Way) -> None:
    generator, options = failure
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each of FAILURES
        driver(generator, **options)
    found = caught.value
    chain = [found]
    while (below := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(below)
    for one in chain:
        check(str(one) + repr(one) + repr(vars(one)) + repr(one.args))
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if "/orchat/" in frame.f_code.co_filename:
                check(repr(frame.f_locals))
    if isinstance(found, OrchatError):
        again = pickle.loads(pickle.dumps(found))
        assert (type(again), str(again), again.hint) == (type(found), str(found), found.hint)


def test_nothing_that_stays_shows_a_key(make, way: Way) -> None:
    generator = make(extra_headers={"X-Gateway": Secret.from_token(HEADER)})
    reply = way(generator)
    transport = generator._transport
    held: list[Any] = [generator, transport, reply, way.stream, *way.chunks]
    clients = [*transport._clients, *transport._clients.values(), *vars(POOLS).values()]
    shown = "".join(repr(item) + (repr(vars(item)) if hasattr(item, "__dict__") else "") for item in [*held, *clients])
    check(shown + repr(generator.__getstate__()))


def test_no_log_shows_a_key_at_any_level(openrouter, make, way: Way, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx2", "httpcore2", "orchat", "asyncio"):
        caplog.set_level(logging.DEBUG, name)
    generator = make(extra_headers={"X-Gateway": Secret.from_token(HEADER)})
    way(generator)
    openrouter.always(error(401, "Wrong key"))
    with pytest.raises(OrchatError):
        way(generator)
    assert "httpcore2" in {record.name.partition(".")[0] for record in caplog.records}
    for record in caplog.records:
        check(record.getMessage() + repr(record.args))


def test_an_interrupt_shows_no_key_either(openrouter, make, shell) -> None:
    """A kernel's Stop arrives in the middle of httpx; its verbose traceback lists the variables there."""
    import _thread
    import threading

    openrouter.always(stream(event("a")).ending("stall"))
    generator = make(extra_headers={"X-Gateway": Secret.from_token(HEADER)}, timeout=20)
    shell.user_ns["generator"] = generator
    shown = io.StringIO()

    def press() -> None:
        assert wait_until(lambda: openrouter.requests and openrouter.request.pieces_sent)
        time.sleep(0.2)
        _thread.interrupt_main()

    stop = threading.Thread(target=press)
    stop.start()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        # A socket that waits is woken by a signal only; `interrupt_main` simulates one, and a callback looks for it.
        shell.run_cell("import time\ngenerator.run('Hi', lambda chunk: [time.sleep(0.05) for _ in range(400)])")
    stop.join()
    assert "KeyboardInterrupt" in shown.getvalue()
    check(shown.getvalue())
    assert openrouter.request.client_closed.wait(PATIENCE)


def test_a_collected_generator_leaves_no_key_behind(openrouter) -> None:
    def calls() -> int:
        gc.collect()
        return sum(type(item) is PreparedRequest for item in gc.get_objects())

    before = calls()
    generator = OpenRouterChatGenerator(api_key=Secret.from_token(KEY), api_base_url=openrouter.base_url)
    generator.run("Hi")
    generator.close()
    del generator
    assert calls() == before


def test_a_request_is_freed_with_its_answer(generator, way: Way) -> None:
    """Also without the garbage collector: it would look through all objects of the notebook, the more often."""

    way(generator)
    way.stream = None
    gc.collect()
    gc.disable()  # what is made from now on is in the youngest generation
    try:
        for _ in range(3):
            way(generator)
        way.stream = None
        assert not [item for item in gc.get_objects(0) if issubclass(type(item), PreparedRequest | ResponseBody)]
    finally:
        gc.enable()


def test_a_password_in_the_base_url_is_not_shown() -> None:
    generator = OpenRouterChatGenerator(api_base_url="https://me:hunter22@hub.example/v1")
    assert repr(generator) == (
        "OpenRouterChatGenerator(model='openai/gpt-4o-mini', api_base_url='https://[redacted]@hub.example/v1')"
    )
