"""The wire format, OpenRouter's JSON: requests, responses, stream events, structured output, errors. Pure, no I/O."""
