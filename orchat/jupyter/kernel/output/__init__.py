"""What a cell shows: an answer while it streams and for good, the line below it, the card of an error."""
