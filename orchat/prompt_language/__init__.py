"""The language of prompts: ``{name}`` in prose is replaced by a value, in cells and in columns."""
