"""The events of a run that answers with one text."""

USUAL = [
    "thread.run.created",
    "thread.run.queued",
    "thread.run.in_progress",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
    "thread.run.completed",
]
"""Each kind once, in the order in which they come first."""

A_TEXT_ANSWER = [name for name in USUAL if name != "thread.message.delta"]
"""All of them but those that come once for each piece of text."""
