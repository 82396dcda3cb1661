"""A validator of JSON Schemas in Python, by ``jsonschema``, where there is no jsonschema-rs, as in Pyodide.

It has what `orchat.tools.schema_validation` uses of a validator of jsonschema-rs. Patterns run without a backtracking
limit, which Python does not have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

_MISSING = (
    "JSON Schemas cannot be checked here, for neither jsonschema-rs nor jsonschema is installed: tools and answers "
    "with a schema need one of them. For Pyodide and JupyterLite there is jsonschema only: %pip install jsonschema. "
    "Elsewhere: pip install jsonschema-rs."
)


class PureSchemaValidator:
    """A validator with the interface of jsonschema-rs.

    Parameters
    ----------
    schema
        The schema.
    class_name
        The class of its dialect, whose names are the same in both packages.
    retriever
        Called with the address of a schema outside of it.

    Raises
    ------
    ValueError
        It is no schema of that dialect, or refers to another one.
    ImportError
        ``jsonschema`` is not installed.

    Examples
    --------
    >>> validator = PureSchemaValidator({"required": ["city"]}, "Draft7Validator", print)
    >>> validator.is_valid({}), [error.kind.property for error in validator.iter_errors({})]
    (False, ['city'])
    """

    def __init__(self, schema: Any, class_name: str, retriever: Any) -> None:
        try:
            import jsonschema
            from jsonschema_specifications import REGISTRY
            from referencing import Registry
            from referencing.exceptions import Unresolvable
        except ImportError:
            raise ImportError(_MISSING, name="jsonschema") from None

        self._unresolvable = Unresolvable
        registry: Any = REGISTRY.combine(Registry(retrieve=retriever))  # type: ignore[call-arg]
        kind = getattr(jsonschema, class_name)
        try:
            kind.check_schema(schema)
            self._validator = kind(schema, registry=registry)
            for reference in _references(schema):
                self._validator._resolver.lookup(reference)
        except jsonschema.SchemaError as error:
            raise _schema_error(error) from None
        except Unresolvable as error:
            raise ValueError(f"only references inside the schema are followed, not {error.ref}") from None
        except RecursionError:
            raise ValueError("it holds itself, or lies too deep") from None

    def is_valid(self, value: object) -> bool:
        """Return whether a value fits the schema."""
        return not any(True for _ in self.iter_errors(value))

    def iter_errors(self, value: object) -> Iterator[SimpleNamespace]:
        """Yield the errors of a value, with the attributes of those of jsonschema-rs that are used here.

        Raises
        ------
        ValueError
            The value cannot be checked.
        """
        try:
            for error in self._validator.iter_errors(value):
                yield _adapted(error)
        except self._unresolvable as error:
            raise ValueError(f"only references inside the schema are followed, not {error.ref}") from None
        except RecursionError:
            raise ValueError("it lies too deep") from None


def _adapted(error: Any) -> SimpleNamespace:
    fields: dict[str, Any] = {}
    name = {"anyOf": "AnyOf", "oneOf": "OneOfNotValid", "required": "Required"}.get(error.validator, "Other")
    if name == "Required":
        missing: Sequence[str] = [each for each in error.validator_value if error.message.startswith(repr(each))]
        fields["property"] = missing[0] if missing else ""
    elif name != "Other":
        branches: dict[int, list[SimpleNamespace]] = {}
        for inner in error.context:
            branches.setdefault(inner.schema_path[0], []).append(_adapted(inner))
        fields["context"] = list(branches.values())
    kind = type(name, (SimpleNamespace,), {})(**fields)
    return SimpleNamespace(kind=kind, message=error.message, instance_path=list(error.absolute_path))


def _schema_error(error: Any) -> ValueError:
    raised = ValueError(error.message)
    raised.instance_path = list(error.absolute_path)  # type: ignore[attr-defined]
    return raised


def _references(schema: Any) -> Iterator[str]:
    """Yield the references of a schema; those below an identifier of their own are left to the validation."""
    nodes = [schema]
    while nodes:
        node = nodes.pop()
        if isinstance(node, dict):
            if node is not schema and isinstance(node.get("$id", node.get("id")), str):
                continue
            if isinstance(reference := node.get("$ref"), str):
                yield reference
            nodes += node.values()
        elif isinstance(node, list):
            nodes += node
