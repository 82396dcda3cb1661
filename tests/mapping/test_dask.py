"""Columns of Dask: lazy, on threads, on processes, and on a cluster whose workers share budget, rate and store."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas
import pytest

import orchat
from orchat.answer_store import SqliteAnswerStore
from orchat.chat.money import Budget
from orchat.default_factories import session_budget
from orchat.errors import UnknownColumnError
from orchat.mapping import run_coordinator
from orchat.secret import Secret
from tests.mapping.conftest import KEY, question_of, questions
from tests.openrouter_server import (
    Answer,
    Request,
    ScriptedOpenRouter,
    completion,
    error,
    reply_json,
    text,
    usage_object,
)
from tests.patience import PATIENCE, wait_until

if TYPE_CHECKING:  # it is imported where it is used: each process of the tests collects this file
    from distributed import Client

MODEL = "openai/gpt-4o-mini"
ROWS = 300

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def column(rows: int = ROWS, partitions: int = 10) -> Any:
    import dask.dataframe

    frame = pandas.DataFrame({"n": range(rows)}, index=[f"row {number}" for number in range(rows)])
    return dask.dataframe.from_pandas(frame, npartitions=partitions, sort=False)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A cluster of 3 worker processes; each has a key of its environment."""
    from distributed import Client, LocalCluster

    environment = {"OPENROUTER_API_KEY": KEY, "HOME": str(tmp_path_factory.mktemp("home"))}
    with (
        LocalCluster(
            n_workers=3, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", env=environment
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


# -- without a cluster ------------------------------------------------------------------------------------------------


def test_a_frame_stays_lazy_and_keeps_index_order_and_types(service: ScriptedOpenRouter) -> None:
    answer = {"tone": "good", "score": 3, "sure": True, "note": "x"}
    service.always(lambda request: text(json.dumps(answer)))
    fields = {
        "tone": {"enum": ["good", "bad"]},
        "score": {"type": "integer"},
        "sure": {"type": "boolean"},
        "note": {"type": "string"},
    }
    lazy: Any = orchat.map("Rate {n}.", column(20, 4), schema={"properties": fields}, progress=False)
    assert isinstance(lazy, type(column(1, 1)))
    assert service.requests == []
    frame = lazy.compute(scheduler="threads")
    assert list(frame.index) == [f"row {number}" for number in range(20)]
    assert list(frame["score"]) == [3] * 20
    assert frame.dtypes.to_dict() == lazy.dtypes.to_dict()
    assert str(frame["score"].dtype) == "Int64"
    assert list(frame["tone"].cat.categories) == ["good", "bad"]
    assert len(questions(service)) == 20


def test_an_integer_that_does_not_fit_is_a_failure_of_its_row(service: ScriptedOpenRouter) -> None:
    service.always(lambda request: text(f'{{"answer": {10**30 if question_of(request) == "1" else 7}}}'))
    lazy: Any = orchat.map("{n}", column(3, 1), schema=int, progress=False)
    frame = lazy.compute(scheduler="sync")
    assert frame["answer"].isna().tolist() == [False, True, False]
    assert "does not fit" in frame["error"].iloc[1]


def test_a_bag_gives_a_bag_and_a_series_a_frame(service: ScriptedOpenRouter) -> None:
    import dask.bag

    bag: Any = orchat.map("{value}", dask.bag.from_sequence(["a", "b", "a"], npartitions=3), progress=False)
    assert isinstance(bag, dask.bag.Bag)
    assert [row["answer"] for row in bag.compute(scheduler="threads")] == ["a", "b", "a"]
    assert sorted(questions(service)) == ["a", "b"]  # identical rows of other partitions too
    series: Any = orchat.map("{value}", column(2, 1)["n"], progress=False)
    assert list(series.compute(scheduler="threads")["answer"]) == ["0", "1"]


def test_a_partition_of_a_bag_without_the_column_says_so_and_others_are_answered(service: ScriptedOpenRouter) -> None:
    import dask.bag

    bag = dask.bag.from_sequence([{"a": 1}, {"b": 2}, {"a": 3}, {"a": 4, "b": 5}], npartitions=4)
    options: dict[str, Any] = {"store": False, "progress": False}
    lazy: Any = orchat.map("{a}", bag, **options)
    rows = lazy.compute(scheduler="threads")
    assert [row["answer"] for row in rows] == ["1", None, "3", "4"]
    assert rows[1]["error"].startswith("not asked: {a} names no column; there are b, row.")
    assert sorted(questions(service)) == ["1", "3", "4"]
    strict: Any = orchat.map("{a}", bag, on_error="raise", **options)
    with pytest.raises(UnknownColumnError):
        strict.compute(scheduler="sync")


def test_what_failed_is_asked_when_it_is_computed_again(service: ScriptedOpenRouter) -> None:
    service.always(lambda request: text("Yes.") if question_of(request) == "1" else error(400, "Not now."))
    lazy: Any = orchat.map("{n}", column(3, 3), progress=False)
    assert lazy.compute(scheduler="threads")["error"].isna().tolist() == [False, True, False]
    service.always(text("At last."))
    assert lazy.compute(scheduler="threads")["answer"].tolist() == ["At last.", "Yes.", "At last."]
    assert questions(service).count("1") == 1


def test_processes_answer_too_and_keep_the_limit(service: ScriptedOpenRouter) -> None:
    import dask

    service.always(lambda request: reply_json(completion("Yes.", usage=usage_object(cost=0.01))))
    lazy: Any = orchat.map(
        "{n}", column(40, 2), model=MODEL, max_cost=Budget(0.1, allow_unknown=True), concurrency=1, store=False
    )
    with dask.config.set(num_workers=2):
        frame = lazy.compute(scheduler="processes")
    assert frame["answer"].notna().sum() == len(questions(service)) == 10
    assert frame["error"].dropna().str.contains("of \\$0.05 is left").all()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"dry_run": True}, "would compute the collection"),
        ({"mode": "batch"}, "does not take a Dask collection"),
        ({"prompt": "{m}"}, "names no column"),
        ({"max_cost": -1}, "is no limit"),
        ({"schema": "tone"}, "is no schema"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_computed(
    service: ScriptedOpenRouter, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        orchat.map(options.pop("prompt", "{n}"), column(4, 2), **options)
    assert service.requests == []


def test_nothing_of_dask_is_imported_unless_a_collection_comes(service: ScriptedOpenRouter) -> None:
    code = "import sys, orchat; orchat.map('{value}', ['a'], progress=False, store=False); print('dask' in sys.modules)"
    environment = os.environ | {"OPENROUTER_API_KEY": KEY}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "False\n", done.stderr


# -- on a cluster -----------------------------------------------------------------------------------------------------


def test_a_worker_is_killed_and_nothing_is_paid_twice_but_what_was_in_flight(
    service: ScriptedOpenRouter, client: Client, tmp_path: Path
) -> None:
    service.validate = False
    service.always(lambda request: text(f"Yes {question_of(request)}.").delayed(0.02))
    pids = client.run(os.getpid)
    path = tmp_path / "answers.sqlite"
    lazy: Any = orchat.map("{n}", column(), concurrency=12, store=str(path), progress=False)
    future = client.compute(lazy)
    service.wait_for_requests(ROWS // 3)
    in_flight = 12 + 4  # what was open, and what was answered within the last milliseconds
    os.kill(next(iter(pids.values())), signal.SIGKILL)
    frame = future.result(timeout=PATIENCE)
    assert list(frame["answer"]) == [f"Yes {number}." for number in range(ROWS)]
    asked = questions(service)
    assert set(asked) == set(map(str, range(ROWS)))
    assert len(asked) <= ROWS + in_flight
    with closing(SqliteAnswerStore(path)) as store:
        assert wait_until(lambda: sum(entry.answers for entry in store.entries()) == ROWS)
    again: Any = orchat.map("{n}", column(), store=str(path), progress=False)
    assert list(client.compute(again).result(timeout=PATIENCE)["answer"]) == list(frame["answer"])
    assert len(questions(service)) == len(asked)


def test_max_cost_holds_over_all_workers(service: ScriptedOpenRouter, client: Client) -> None:
    service.always(lambda request: reply_json(completion("Yes.", usage=usage_object(cost=0.01))))
    budget = Budget(0.5, allow_unknown=True)
    options: Any = {"max_cost": budget, "concurrency": 6, "store": False, "progress": False}
    with client.as_current():
        lazy: Any = orchat.map("{n}", column(), model=MODEL, **options)
        frame = client.compute(lazy).result(timeout=PATIENCE)
    spent = len(questions(service)) * Decimal("0.01")
    assert Decimal("0.5") <= spent <= Decimal("0.5") + 6 * Decimal("0.01")
    assert frame["cost"].sum() == pytest.approx(float(spent))
    assert frame["answer"].notna().sum() == len(questions(service))
    assert frame["error"].dropna().str.startswith("not asked: The next request").all()
    assert wait_until(lambda: budget.spent.known == spent)  # the figures come to this process
    assert session_budget().spent.known == spent


def test_the_concurrency_is_that_of_all_workers(service: ScriptedOpenRouter, client: Client) -> None:
    lock, most, now = threading.Lock(), 0, 0

    def reply(request: Request) -> Answer:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.01)
        with lock:
            now -= 1
        return text("Yes.")

    service.always(reply)
    lazy: Any = orchat.map("{n}", column(60, 6), concurrency=4, store=False, progress=False)
    assert client.compute(lazy).result(timeout=PATIENCE)["answer"].notna().all()
    assert 2 <= most <= 4


def test_no_key_is_in_a_task_a_log_or_a_message(
    service: ScriptedOpenRouter, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = "sk-or-v1-ffffffffffffffffffffffffffffffff"  # the workers have another one
    monkeypatch.setenv("OPENROUTER_API_KEY", here)
    lazy: Any = orchat.map("{n}", column(6, 3), store=False, progress=False)
    graph = dict(lazy.__dask_graph__())
    import dask.utils

    sent = pickle.dumps([repr(graph), *(dask.utils.funcname(task) for task in graph.values())])
    import cloudpickle

    sent += cloudpickle.dumps(graph)
    assert client.compute(lazy).result(timeout=PATIENCE)["answer"].notna().all()
    logs = repr((client.get_scheduler_logs(), client.get_worker_logs(), client.get_events()))
    for key in (here, KEY):
        assert key.encode() not in sent
        assert key not in logs
    assert {request.headers["authorization"] for request in service.requests if request.json} == {f"Bearer {KEY}"}
    generator = orchat.OpenRouterChatGenerator(api_key=Secret.from_token(here))
    with pytest.raises(ValueError, match="cannot be sent to workers") as caught:
        orchat.map("{n}", column(2, 1), model=generator)
    assert here not in str(caught.value)


def test_a_worker_without_a_key_says_what_to_set(
    service: ScriptedOpenRouter, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENROUTER_BASE_URL")
    client.run(lambda: os.environ.pop("OPENROUTER_API_KEY"))
    try:
        lazy: Any = orchat.map("{n}", column(2, 1), store=False, progress=False)
        with pytest.raises(ValueError, match=r"no API key.*environment of each worker"):
            client.compute(lazy).result(timeout=PATIENCE)
    finally:
        client.run(lambda: os.environ.__setitem__("OPENROUTER_API_KEY", KEY))


def test_one_bar_shows_all_workers(
    service: ScriptedOpenRouter, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    with client.as_current():
        lazy: Any = orchat.map("{n}", column(50, 5), store=False)
    client.compute(lazy).result(timeout=PATIENCE)
    shown = ""

    def is_done() -> bool:
        nonlocal shown
        shown += capsys.readouterr().err
        return "50/50" in shown

    assert wait_until(is_done)


def test_a_429_holds_the_requests_of_all_workers(service: ScriptedOpenRouter, client: Client) -> None:
    refused = threading.Event()
    late = error(429, "Slow down.", headers={"Retry-After": "2"})
    at = 0.0

    def answer(request: Request) -> Answer:
        nonlocal at
        if not refused.is_set():
            refused.set()
            at = request.arrived_at
            return late
        # What comes beside it is answered when all workers have heard of the refusal, and long before its end.
        return text("Yes.").delayed(0.05 if request.arrived_at > at + 1.5 else 1)

    service.always(answer)
    lazy: Any = orchat.map("{n}", column(60, 6), concurrency=3, store=False, progress=False)
    values = list(client.compute(lazy).result(timeout=PATIENCE)["answer"])
    sent = sorted(request.arrived_at for request in service.requests if request.json)
    assert (set(values), len(sent)) == ({"Yes."}, 61)
    # What was on its way at that moment arrives, and then nothing for two seconds, whichever worker was refused.
    assert len([each for each in sent if each < at + 1.9]) <= 3


def test_a_rate_holds_over_all_workers(service: ScriptedOpenRouter, client: Client) -> None:
    service.always(text("Yes."))
    lazy: Any = orchat.map("{n}", column(40, 8), requests_per_minute=600, store=False, progress=False)
    started = time.monotonic()
    client.compute(lazy).result(timeout=PATIENCE)
    sent = sorted(request.arrived_at for request in service.requests if request.json)
    assert len(sent) == 40
    # 10 at once, and then 10 a second; on a busy machine the first may arrive long after it was let go.
    assert all(arrived - started >= (n - 9) / 10 for n, arrived in enumerate(sent))


def test_a_cancelled_column_stops_sending(service: ScriptedOpenRouter, client: Client) -> None:
    gate = threading.Event()
    service.always(lambda request: text("late").held(gate))
    lazy: Any = orchat.map("{n}", column(60, 3), concurrency=6, store=False, progress=False)
    future = client.compute(lazy)
    service.wait_for_requests(6)
    future.cancel()
    assert wait_until(lambda: not any(client.processing().values()))
    gate.set()
    assert wait_until(lambda: not any(client.run(lambda dask_worker: bool(dask_worker.state.executing)).values()))
    assert len(questions(service)) < 60  # how many more were sent depends on how soon the workers hear of it


def test_a_coordinator_counts_what_was_in_flight_on_a_lost_process_as_spent() -> None:
    import asyncio

    from orchat.chat.money import Cost
    from orchat.mapping.coordinator_messages import Ask, Begin, RunTerms, Settle, Verdict

    async def main() -> list[Verdict]:
        replies: list[Any] = []
        coordinator = run_coordinator.RunCoordinator(lambda _, reply: replies.append(reply), lambda *_: None)
        terms = RunTerms("run", 2, ((Decimal("0.3"), False),), store=False)
        coordinator.receive("a", [Begin("p", terms, "t", 2), Ask("p", 1, b"k", MODEL, 0, Decimal("0.2"))])
        coordinator.receive("b", [Begin("q", terms, "u", 2), Ask("q", 1, b"k", MODEL, 0, Decimal("0.2"))])
        await asyncio.sleep(0)
        assert replies == [Verdict("p", 1)]  # the identical one waits for its answer
        coordinator.lose("a")
        await asyncio.sleep(0)
        coordinator.receive("a", [Settle("p", 1, Cost(), "answered", None)])  # too late: it was given up
        return replies

    _, refused = asyncio.run(main())
    assert refused.part == "q"
    assert refused.refusal is not None
    assert "$0.1 of $0.3 is left" in str(refused.refusal)


def test_a_row_that_waited_on_a_lost_process_is_asked_when_its_part_is_done_again() -> None:
    import asyncio

    from orchat.chat.money import Cost
    from orchat.mapping.coordinator_messages import Ask, Begin, RunTerms, Settle, Verdict

    async def main() -> list[Verdict]:
        replies: list[Any] = []
        coordinator = run_coordinator.RunCoordinator(lambda _, reply: replies.append(reply), lambda *_: None)
        terms = RunTerms("run", 1, concurrency=1, store=False)
        asks = [Ask("p", number, bytes([number]), MODEL, 0, None) for number in (1, 2)]
        coordinator.receive("a", [Begin("p", terms, "t", 2), *asks])
        await asyncio.sleep(0)
        assert replies == [Verdict("p", 1)]  # the second one waits for its turn
        coordinator.lose("a")
        again = [Ask("q", number, bytes([number]), MODEL, 0, None) for number in (1, 2)]
        coordinator.receive("b", [Begin("q", terms, "t", 2), *again])
        for number in (1, 2):
            for _ in range(5):
                await asyncio.sleep(0)
            coordinator.receive("b", [Settle("q", number, Cost(), "answered", None)])
        return replies[1:]

    assert [(reply.part, reply.number) for reply in asyncio.run(main())] == [("q", 1), ("q", 2)]
