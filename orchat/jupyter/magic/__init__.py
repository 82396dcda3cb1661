"""The ``%%openrouter`` and ``%openrouter`` magics: parse the line, run a turn or a sub-command."""
