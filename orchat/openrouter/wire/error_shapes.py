"""Find the error in a response, in the shapes of many endpoints, and convert it to one error object. Pure.

Endpoints that OpenRouter or a gateway stands before, and those that speak only nearly the same language, tell of errors
in their own ways, often with the status 200. What is found here is an object as OpenRouter's ``error`` is: ``message``,
``code``, ``type`` and ``metadata``, as far as they were given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

# Fields that may tell of an error; an event that has none of them needs no look.
MARKS = frozenset(
    (  # noqa: SIM905 - a list of so many short names reads best as words
        "error errors error_type error_message error_msg error_code errorType errorMessage errorCode base_resp header "
        "code msg message detail details type __type status statusCode status_code success fault x_groq"
    ).split()
)
_WORDS = ("message", "msg", "error_message", "error_msg", "errorMessage", "status_msg", "detail", "details", "title")
_OTHER_WORDS = ("error_description", "faultstring", "description", "reason", "text", "error")
_CODES = ("code", "error_code", "errorCode", "status_code", "statusCode", "status")
_TYPES = ("error_type", "errorType", "__type", "type")
_SUCCESSES = frozenset({"", "0", "200", "201", "20000", "ok", "success", "succeeded", "completed", "none", "null"})
_FAILURES = frozenset({"error", "exception", "failed", "failure"})
_LONGEST_TEXT = 600
_FAULT = re.compile(r"""'loc': \(([^()]{1,300})\), 'msg': (?:'([^']*)'|"([^"]*)")""")
_STEP = re.compile(r"[^\s',]+")
_DEEPEST = 4  # how far into objects words are looked for


def error_object(body: Any) -> dict[str, Any] | None:
    """Find the error object of a response or an event; None where there is none.

    Beside choices that hold something only what clearly speaks of an error counts; without any, words do.

    Examples
    --------
    >>> error_object({"success": False, "error": {"name": "ZodError", "message": "[...]"}})
    {'name': 'ZodError', 'message': '[...]'}
    >>> error_object({"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}})
    {'message': 'insufficient balance', 'code': 1008}
    >>> error_object({"error": None, "message": "", "choices": [{"delta": {"content": "Hi"}}]})
    """
    if isinstance(body, list):  # Google sends its errors in a list
        return next((found for each in body if isinstance(each, dict) and (found := error_object(each))), None)
    if not isinstance(body, dict):
        return None
    if MARKS.isdisjoint(body) and body.get("choices") and not _is_failure(body.get("object")):
        return None  # as nearly all
    if (found := body.get("error")) not in (None, "", False, [], {}):
        return _of_error(found, body)
    if (several := body.get("errors")) not in (None, "", False, [], {}):
        return _of_errors(several, body)
    if isinstance(inner := body.get("x_groq"), dict) and isinstance(inner.get("error"), str) and inner["error"]:
        return {"message": inner["error"]}  # why Groq stopped a stream early
    for name in ("base_resp", "header", "fault"):
        inner = body.get(name)
        if isinstance(inner, dict) and (name == "fault" or _failed_code(inner) is not None):
            return _described(inner)
    if _says_failure(body):
        return _described(body)
    has_choices = bool(body.get("choices"))
    code = _failed_code(body)
    if code is not None and _words(body) and (not has_choices or _is_status(code)):
        return _described(body)
    if body.get("choices") is not None or _succeeded(body):
        return None
    words = _words({key: body.get(key) for key in ("message", "msg", "detail")})
    return {"message": words} if words else None


def error_of_event(data: str, body: Any) -> dict[str, Any]:
    """Return the error object of an event named ``error``, in any shape."""
    found = error_object(body)
    if found is not None:
        return found
    if isinstance(body, dict):
        return _described(body)
    return {"message": body if isinstance(body, str) and body else data[:_LONGEST_TEXT].strip() or "no reason given"}


def status_of(found: Mapping[str, Any]) -> int | None:
    """Return the HTTP status in an error object, a number or text."""
    for name in _CODES:
        code = found.get(name)
        if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3:
            code = int(code)
        if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600:
            return code
    return None


def validation_text(message: str) -> str:
    r"""Rewrite a message that is FastAPI's list of faults as Python writes it; any other is returned as it is.

    Examples
    --------
    >>> validation_text("1 validation error:\n  {'loc': ('body', 'model'), 'msg': 'Field required'}")
    '`model`: Field required'
    """
    faults = list(_FAULT.finditer(message)) if "'loc'" in message else []
    return "; ".join(f"`{_place(_STEP.findall(fault[1]))}`: {fault[2] or fault[3]}" for fault in faults[:5]) or message


def _of_error(found: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(found, dict):
        if "message" not in found and (words := _words(found) or _words({"error": found.get("error")})):
            return {**found, "message": words}
        return found
    if isinstance(found, str):
        more = _words({key: body.get(key) for key in ("message", "msg", "detail")})
        said = f"{found}: {more}" if more and more != found else found
        return {"message": said, **_code_and_type(body)}
    if isinstance(found, list) and any(isinstance(item, dict) for item in found):
        return _of_errors(found, body)
    if found is True:
        return _described(body)
    return {"metadata": {"raw": found}}


def _of_errors(several: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    items = several if isinstance(several, list) else [several]
    first = next((item for item in items if isinstance(item, dict)), {})
    facts = _code_and_type(first) or _code_and_type(body)
    words = "; ".join(filter(None, map(_text_of, items[:5])))
    return {"message": words, **facts} if words else {"metadata": {"raw": several}, **facts}


def _described(body: Mapping[str, Any]) -> dict[str, Any]:
    """Convert an error object whose fields have other names."""
    words = _words(body)
    facts = _code_and_type(body)
    if isinstance(body.get("metadata"), dict):
        facts["metadata"] = body["metadata"]
    if words:
        return {"message": words, **facts}
    rest = {key: value for key, value in body.items() if key not in {"choices", "user_id"} and value is not None}
    return {"metadata": {"raw": rest}, **facts}


def _says_failure(body: Mapping[str, Any]) -> bool:
    if any(_is_failure(body.get(name)) for name in ("object", "type", "status")) or body.get("success") is False:
        return True
    texts = ("error_message", "error_msg", "errorMessage", "error_type", "errorType", "__type")
    if any(isinstance(text := body.get(name), str) and text.strip() for name in texts):
        return not _succeeded(body)
    return any(name in body and _is_failed(body[name]) for name in ("error_code", "errorCode"))


def _is_failure(value: Any) -> bool:
    return isinstance(value, str) and value.lower() in _FAILURES


def _failed_code(body: Mapping[str, Any]) -> Any:
    return next((body[name] for name in _CODES if _is_failed(body.get(name))), None)


def _is_failed(code: Any) -> bool:
    return isinstance(code, int | str) and not isinstance(code, bool) and str(code).lower() not in _SUCCESSES


def _succeeded(body: Mapping[str, Any]) -> bool:
    codes = [body[name] for name in _CODES if body.get(name) is not None]
    return bool(codes) and not any(map(_is_failed, codes))


def _is_status(code: Any) -> bool:
    return status_of({"code": code}) is not None


def _code_and_type(body: Mapping[str, Any]) -> dict[str, Any]:
    code = _failed_code(body)
    kind = next((body[name] for name in _TYPES if isinstance(body.get(name), str) and body[name]), None)
    if kind is not None and _is_failure(kind):
        kind = None
    return {key: value for key, value in (("code", code), ("type", kind)) if value is not None}


def _words(body: Mapping[str, Any], depth: int = 0) -> str:
    return next((words for name in (*_WORDS, *_OTHER_WORDS) if (words := _text_of(body.get(name), depth + 1))), "")


def _text_of(value: Any, depth: int = 0) -> str:
    """Join an error's texts in one line: from a string, an object, or a list of either."""
    if isinstance(value, str):
        return value.strip()
    if depth > _DEEPEST:
        return ""
    if isinstance(value, Mapping):
        said = _words(value, depth)
        place = value.get("loc")  # FastAPI names the field that is wrong
        if said and isinstance(place, list) and (name := _place(place)):
            return f"`{name}`: {said}"
        return said
    if isinstance(value, list):
        return "; ".join(filter(None, (_text_of(item, depth + 1) for item in value[:5])))
    return ""


def _place(steps: Iterable[Any]) -> str:
    return ".".join(str(step) for step in steps if step != "body")
