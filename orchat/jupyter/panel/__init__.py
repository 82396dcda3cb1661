"""The chat panel: a conversation in the output of a cell, which goes on when the cell has ended.

From low to high: `turns` (messages as a page shows and a saved notebook reads them), `picking` (models and parameters
to choose from), `uploads` (files that a page sends in pieces), `saving` (conversations as data, and back), `keeping`
(where that data is kept), `log` (what the page is told), `composing` (the question that is being written), `output`
(the panel in its cell), `conversations` (the chats of a panel), `asking` (a turn on its way into the log), `errands`
(what a page asks for), `session` (what a panel does), and `panel`: `orchat.jupyter.panel.chat_panel.ChatPanel`.
"""
