"""Approval of tool calls: the decisions on a call, and the policy that makes them without asking a person.

A policy fails closed: only `True`, ``"always"`` and `Approve` let a call run, an unknown value is an error, and a call
without a decision waits. Some tools ask always (`orchat.tools.Tool.asks_always`): their calls run only by an `Approve`
that a person or a function gave for this very call. Pure.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from orchat.errors import ConfigurationError
from orchat.messages import ToolCall


@dataclass(frozen=True)
class Approve:
    """The decision to run a call.

    Parameters
    ----------
    arguments
        Run it with these in the place of the model's; they are checked again, and the model is told.

    Examples
    --------
    >>> Approve(arguments={"port": "Hull"}).arguments
    {'port': 'Hull'}
    """

    arguments: dict[str, Any] | None = None


@dataclass(frozen=True)
class Reject:
    """The decision not to run a call; the model gets the reason.

    Examples
    --------
    >>> Reject("Not on a Sunday.").reason
    'Not on a Sunday.'
    """

    reason: str = ""


@dataclass(frozen=True)
class Answer:
    """The decision to answer in the tool's place, which does not run; the model gets the value as the tool's result.

    Examples
    --------
    >>> Answer("14:10").value
    '14:10'
    """

    value: Any


Decision: TypeAlias = Approve | Reject | Answer
# By the ids of calls, or where these may repeat by their places in the turn (`message_selection.CallPlace`).
Decisions: TypeAlias = dict[Any, Decision]
Mode: TypeAlias = Literal["ask", "always", "never"]
Verdict: TypeAlias = Decision | bool | Mode | None
Approver: TypeAlias = Callable[[ToolCall], Verdict | Awaitable[Verdict]]
Policy: TypeAlias = Mode | Approver | Mapping[str, Mode | Approver]

_NEVER = Reject("This tool may not be used.")


def check_policy(policy: object) -> Policy:
    """Return the policy if it is valid.

    Raises
    ------
    ConfigurationError
        It is not a policy (a ValueError).

    Examples
    --------
    >>> check_policy("sometimes")
    Traceback (most recent call last):
    ...
    orchat.errors.ConfigurationError: approve='sometimes' makes no sense. It is "ask", "always", "never", a function \
of a ToolCall, or a dict of these by tool name.
    """
    for each in policy.values() if isinstance(policy, Mapping) else (policy,):
        if not callable(each) and each not in ("ask", "always", "never"):
            raise ConfigurationError(
                f"approve={each!r} makes no sense.",
                hint='It is "ask", "always", "never", a function of a ToolCall, or a dict of these by tool name.',
            )
    return cast(Policy, policy)


def request_decision(
    policy: Policy, call: ToolCall, *, asks_always: bool = False
) -> Decision | Awaitable[Verdict] | None:
    """Evaluate the approval policy for a call.

    Parameters
    ----------
    policy
        The policy.
    call
        The model's call.
    asks_always
        Whether ``"always"`` and True do not count, since they are not about this very call.

    Returns
    -------
    Decision, None or awaitable
        None: a person must be asked. Pass an awaited result to `to_decision`.

    Examples
    --------
    >>> request_decision({"tide": "always", "*": "never"}, ToolCall("tide", {}))
    Approve(arguments=None)
    >>> request_decision({"tide": "always"}, ToolCall("launch", {})) is None
    True
    >>> request_decision("always", ToolCall("run_python", {"code": "1"}), asks_always=True) is None
    True
    """
    policy = _policy_for(policy, call.tool_name)
    verdict = policy(call) if callable(policy) else policy
    if inspect.isawaitable(verdict):
        return _without_blanket(verdict) if asks_always else verdict
    decision = to_decision(verdict)
    return None if asks_always and _is_blanket(verdict) else decision


def needs_approval(policy: Policy, name: str, *, asks_always: bool = False) -> bool:
    """Whether a person is asked about every call of a tool; False where a policy function decides.

    Examples
    --------
    >>> needs_approval("ask", "tide"), needs_approval({"tide": "never"}, "tide")
    (True, False)
    >>> needs_approval(lambda call: None, "tide")
    False
    >>> needs_approval("always", "run_python", asks_always=True)
    True
    """
    found = _policy_for(policy, name)
    return found == "ask" or (found == "always" and asks_always)


def _policy_for(policy: Policy, name: str) -> Mode | Approver:
    return policy.get(name, policy.get("*", "ask")) if isinstance(policy, Mapping) else policy


async def _without_blanket(awaitable: Awaitable[Verdict]) -> Verdict:
    verdict = await awaitable
    return None if _is_blanket(verdict) else verdict


def _is_blanket(verdict: object) -> bool:
    """Whether a verdict lets any call run, rather than this one."""
    return verdict is True or verdict == "always"


def to_decision(verdict: object) -> Decision | None:
    """Convert a verdict to a decision; None where a person must still be asked.

    Raises
    ------
    ConfigurationError
        The verdict is unknown: no call may run by mistake (a ValueError).

    Examples
    --------
    >>> to_decision(True), to_decision("never"), to_decision(None)
    (Approve(arguments=None), Reject(reason='This tool may not be used.'), None)
    """
    if isinstance(verdict, Approve | Reject | Answer):
        return verdict
    if verdict is True or verdict == "always":
        return Approve()
    if verdict is False:
        return Reject()
    if verdict == "never":
        return _NEVER
    if verdict is None or verdict == "ask":
        return None
    raise ConfigurationError(
        f"{verdict!r:.100} is no decision.", hint="Say Approve(), Reject(reason), Answer(value), or True or False."
    )


def to_decisions(verdicts: Mapping[Any, object]) -> Decisions:
    """Convert the verdicts on several calls to decisions.

    Raises
    ------
    ConfigurationError
        They are no dictionary, there is no verdict, or one is not a decision (a ValueError).
    """
    if not isinstance(verdicts, Mapping):
        raise ConfigurationError(f"{verdicts!r:.99} is no dictionary.", hint="Give {call_id: Approve()}, and the like.")
    decisions = {key: decision for key, verdict in verdicts.items() if (decision := to_decision(verdict)) is not None}
    if not verdicts or len(decisions) < len(verdicts):
        raise ConfigurationError("There is no decision to go on with.", hint="Give {call_id: Approve()}, and the like.")
    return decisions
