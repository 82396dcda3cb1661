"""How a tool says no."""


class ToolRejected(Exception):  # noqa: N818 - a signal, not an error
    """Raised by a tool that says no: the model gets the text as the call's result, as a person's rejection.

    Examples
    --------
    >>> raise ToolRejected("Only ports of this country.")
    Traceback (most recent call last):
    ...
    orchat.tools.tool_refusal.ToolRejected: Only ports of this country.
    """
