"""Forms of tool calls: a schema and arguments become fields, and a person's input becomes arguments again.

Values are sent as JSON *text* in both directions, without loss: a page cannot hold large integers, and would write
``1.0`` as ``1``. A page joins the texts of its fields and sends ``{"json": "..."}``; an unchanged field keeps its text.
The form shows what runs: the same validator checks here and before the call. Arguments of more than 200,000
characters, and schemas that no fields can show, are one text for the JSON editor. Of many fields those with a value
come first: of the others some are one JSON editor each, or only counted (``omitted``).

A form, as sent to a page::

    {"name": ..., "title": ..., "description": ..., "always": may "always for this tool" be offered,
     "json": the arguments as text, "error": why they are no JSON object, "fields": [...] or None for the text alone,
     "omitted": how many further arguments could be given}

A field::

    {"name": ..., "title": ..., "note": ..., "kind": ..., "required": ..., "text": its JSON text, None if left out}

and the keys of its kind: ``string`` (``lines``, ``code``, ``input`` as HTML knows it), ``number``, ``boolean``,
``choice`` (``options``: JSON texts), ``list`` (``items``: fields, ``item``: a new one), ``group`` (``fields``),
``variant`` (``variants``: fields, ``chosen``), ``json`` for everything else. A field may be ``nullable``.

An incomplete call, which still streams in, has a form without a decision: ``json`` is empty where there are ``fields``,
values that do not fit their field yet are left out, and missing required fields are ``awaited``.

``start`` is the JSON text of a field that a person gives, its default; the inner fields of a list, group or variant
without a value are those of its default. Validation errors (`check_arguments`) are a list of
``{"path": name of a field of the form or "", "message": ...}``.

From low to high: `schema_resolution` (references, nullable, limits), `argument_values` (JSON text and back),
`variant_labels`, `form_model` (the form).
"""

from orchat.jupyter.kernel.forms.argument_values import arguments_of, check_arguments
from orchat.jupyter.kernel.forms.form_model import build_form

__all__ = ["arguments_of", "build_form", "check_arguments"]
