"""OpenRouter's API: the chat generator, its wire format and HTTP transport, models, prices and the account."""
