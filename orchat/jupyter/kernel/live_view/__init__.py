"""The live view: an answer in a widget while it goes on, drawn in the browser; the panel shares it.

From low to high: `reducing` (events onto the state of a turn), `blocks` (what of a growing text is finished), `html`
(for front ends that do not lend their renderer), `drafts` (forms of calls that are still being written), `calls` and
`feed` (chunks become events), `modules` (the JavaScript),
`channel` (a widget's way to the page and back), `grants` and `questions` (people decide about tool calls), and `live`:
`orchat.jupyter.kernel.live_view.live_view.LiveView`, the display of one turn.
"""
