"""Anthropic's Messages API: the body of a request, a whole answer, and a stream."""
