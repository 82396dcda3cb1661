"""The rooms that know OpenRouter's JSON and HTTP."""
