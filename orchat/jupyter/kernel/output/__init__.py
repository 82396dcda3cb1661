"""The output of a cell: a streamed answer as safe Markdown, its footer, the card of an error."""
