"""Streams runs of the Assistants protocol: typed events, no silent ends, connections that always close."""
