"""Events of a response, for tests of what becomes of them."""

from typing import Any

from bridged import JSON, Bridge

from aiorunstream.models import (
    ToolCallsStepDetails,
)

LONG_ID = "resp_" + "q" * 235 + "="
CREATED: JSON = {"type": "response.created", "response": {"id": LONG_ID, "status": "in_progress", "output": []}}
WORKING: JSON = {"type": "response.in_progress", "response": {"id": LONG_ID, "status": "in_progress"}}
SPENT: JSON = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
BEGINNING = ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
MESSAGE = [
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
]


def ended(status: str = "completed", *output: JSON, **more: Any) -> JSON:
    response = {"id": LONG_ID, "status": status, "output": list(output), "usage": SPENT, **more}
    return {"type": f"response.{status}", "response": response}


def added(place: int, **item: Any) -> JSON:
    return {"type": "response.output_item.added", "output_index": place, "item": item}


def done(place: int, **item: Any) -> JSON:
    return {"type": "response.output_item.done", "output_index": place, "item": item}


def said(place: int, delta: str, at: int = 0) -> JSON:
    return {"type": "response.output_text.delta", "output_index": place, "content_index": at, "delta": delta}


def message(*texts: str, id: str = "msg_1", **more: Any) -> JSON:
    parts: list[JSON] = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []} for text in texts]
    return {"type": "message", "id": id, "role": "assistant", "status": "completed", "content": parts, **more}


def called(call_id: str = "call_1", arguments: str = "{}", name: str = "look_up") -> JSON:
    return {
        "type": "function_call",
        "id": "fc" + call_id,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": "completed",
    }


def calls(bridge: Bridge) -> list[object]:
    details = [step.step_details for step in bridge.steps]
    return [call for one in details if isinstance(one, ToolCallsStepDetails) for call in one.tool_calls]
