"""The prompt of a cell: the variables that it may name, and attachments."""
