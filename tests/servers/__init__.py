"""Real servers other than OpenRouter, which orchat talks to as to any other host."""
