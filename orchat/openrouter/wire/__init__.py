"""OpenRouter's JSON, pure: requests, replies, stream events, structured output and errors. No I/O."""
