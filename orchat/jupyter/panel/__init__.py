"""The chat panel: a conversation in the output of a cell, which goes on when the cell has ended.

From low to high: `turns` (messages as a page shows and a saved notebook reads them), `picking` (models and parameters
to choose from), `uploads` (files that a page sends in pieces), `saving` (a panel as data of a cell, and back),
`keeping` (where that data is kept), `log` (what the page is told), `asking` (one turn on its way into the log),
`errands` (what a page asks for), and `panel`: `orchat.jupyter.panel.panel.ChatPanel`, which users hold.
"""
