"""Conversations of a notebook, whose turns belong to cells, and their serialization."""
