"""The names of the sides that need somebody else's package."""

OPENAI = ("openai", "openai helper")
HTTPX = ("httpx-sse + json",)
