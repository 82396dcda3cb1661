"""A notebook as conversations: its threads, and how their turns are kept in its outputs."""
