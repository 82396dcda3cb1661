"""`ToolRejected`: the exception by which a tool refuses a call."""


class ToolRejected(Exception):  # noqa: N818 - a signal, not an error
    """Raised by a tool to refuse a call: the model gets the text as the call's result, as of a person's rejection.

    Examples
    --------
    >>> raise ToolRejected("Only ports of this country.")
    Traceback (most recent call last):
    ...
    orchat.tools.tool_refusal.ToolRejected: Only ports of this country.
    """
