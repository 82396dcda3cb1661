"""Tool calls as forms: a schema and a call's arguments become fields, and what a person typed becomes arguments again.

Values travel as JSON *text*, both ways, so that nothing is lost on the way: a page cannot hold large integers, and
would write ``1.0`` as ``1``. A page puts the texts of its fields together and sends ``{"json": "..."}``; a field that
nobody touched keeps its text. What is shown is what runs: the same validator checks here and before the call.
Arguments of more than 200,000 characters, and schemas that no fields can show, are one text for the JSON editor.

A form, as it is described to a page::

    {"name": ..., "title": ..., "description": ..., "always": may "always for this tool" be offered,
     "json": the arguments as text, "error": why they are no JSON object, "fields": [...] or None for the text alone}

A field::

    {"name": ..., "title": ..., "note": ..., "kind": ..., "required": ..., "text": its JSON text, None if left out}

with what its kind needs: ``string`` (``lines``, ``code``, ``input`` as HTML knows it), ``number``, ``boolean``,
``choice`` (``options``: JSON texts), ``list`` (``items``: fields, ``item``: a new one), ``group`` (``fields``),
``variant`` (``variants``: fields, ``chosen``), ``json`` for everything else. A field may be ``nullable``.

While a call is being written its form is described as well, for nobody to decide in: then ``json`` is empty where there
are ``fields``, what does not fit its field yet is left out, and what is required and still to come is ``awaited``.

``start`` is the JSON text that a field begins with when a person adds it. What is wrong (`check_arguments`) is a list
of ``{"path": name of a field of the form or "", "message": ...}``.

From low to high: `schemas` (reading a schema, within bounds), `values` (JSON text and back), `describing`.
"""

from orchat.jupyter.kernel.forms.argument_values import arguments_of, check_arguments
from orchat.jupyter.kernel.forms.form_model import build_form

__all__ = ["arguments_of", "build_form", "check_arguments"]
