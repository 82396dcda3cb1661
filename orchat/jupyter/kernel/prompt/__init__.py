"""The prompt of a cell: placeholders, their values, and attachments."""
