"""``%%openrouter`` and ``%openrouter``: a line of options, and what is done about it."""
