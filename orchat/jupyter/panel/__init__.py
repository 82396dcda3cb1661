"""The chat panel: a conversation in the output of a cell, which goes on when the cell has ended.

From low to high: `question_view` (a question and its files, for the page), `turn_replay` (the messages of a turn, for
the page), `conversation_transcript` (all turns, for saved notebooks), `model_picker` (models and parameters),
`file_uploads` (files that a page sends in pieces), `panel_serialization` (conversations to data and back),
`panel_storage` (where it is saved), `panel_view_model` (fields, turns and their events), `question_composer` (the
draft and its files), `mime_bundle` (the output of the cell), `panel_conversations` (the chats of a panel),
`turn_thread` (the thread of all panels), `tool_output_capture` (what tools print and draw), `turn_in_progress` (the
sink of a running turn), `message_handlers` (dispatch of the page's messages), `panel_controller` (all of it
together), and `chat_panel`: `orchat.jupyter.panel.chat_panel.ChatPanel`.
"""
