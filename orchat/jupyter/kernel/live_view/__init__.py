"""The live view: a running turn in a widget, drawn in the browser; the panel shares its parts.

From low to high: `view_reducer` (events change the state of a turn), `markdown_blocks` (finished blocks of growing
Markdown), `markdown_html` (for front ends without a Markdown renderer), `streaming_calls` (forms of incomplete calls),
`call_index` and `turn_view_model` (chunks become events), `frontend_modules` (the JavaScript), `widget_channel`
(messages to the page and back), `tool_grants` and `pending_approvals` (decisions about tool calls), `live_view`
(the display of one turn in a cell), and `cell_sink` (shows any chat's turns in the executing cell).
"""
