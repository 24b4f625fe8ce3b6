"""Where the mutations start: whole small streams, one for each way of saying something that the protocol has to read."""

import json

from aiorunstream.events import REGISTRY

JSON = dict[str, object]

RUN: JSON = {
    "id": "run_1", "object": "thread.run", "created_at": 17, "thread_id": "thread_1", "status": "queued",
    "last_error": {"code": "server_error", "message": "no"}, "tools": [{"type": "function", "function": {"name": "f"}}],
    "metadata": {"a": "b"}, "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}, "temperature": 0.5,
    "tool_choice": {"type": "function", "function": {"name": "f"}}, "response_format": {"type": "json_object"},
    "required_action": {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}},
}  # fmt: skip
STEP: JSON = {
    "id": "step_1", "object": "thread.run.step", "run_id": "run_1", "status": "in_progress", "type": "tool_calls",
    "step_details": {"type": "tool_calls", "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}", "output": None}},
        {"id": "call_2", "type": "code_interpreter", "code_interpreter": {"input": "1", "outputs": [
            {"type": "logs", "logs": "x"}, {"type": "image", "image": {"file_id": "file_1"}}]}},
        {"id": "call_3", "type": "file_search", "file_search": {"results": [{"file_id": "file_1", "score": 0.5}]}}]},
}  # fmt: skip
MESSAGE: JSON = {
    "id": "msg_1", "object": "thread.message", "created_at": 17, "thread_id": "thread_1", "status": "in_progress",
    "role": "assistant", "attachments": [{"file_id": "file_1", "tools": [{"type": "code_interpreter"}]}], "content": [
        {"type": "text", "text": {"value": "h\u00e9\u2028", "annotations": [
            {"type": "file_citation", "text": "[1]", "start_index": 0, "end_index": 3, "file_citation": {"file_id": "f"}}]}},
        {"type": "image_url", "image_url": {"url": "http://a", "detail": "low"}}, {"type": "refusal", "refusal": "no"}],
}  # fmt: skip
MESSAGE_DELTA: JSON = {
    "id": "msg_1", "object": "thread.message.delta", "delta": {"role": "assistant", "content": [
        {"index": 0, "type": "text", "text": {"value": "hi", "annotations": [
            {"index": 0, "type": "file_path", "file_path": {"file_id": "file_1"}}]}}]},
}  # fmt: skip
STEP_DELTA: JSON = {
    "id": "step_1", "object": "thread.run.step.delta", "delta": {"step_details": {"type": "tool_calls", "tool_calls": [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{", "output": None}},
        {"index": 1, "type": "code_interpreter", "code_interpreter": {"input": "1", "outputs": [
            {"index": 0, "type": "logs", "logs": "x"}]}}]}},
}  # fmt: skip
THREAD: JSON = {"id": "thread_1", "object": "thread", "created_at": 17, "metadata": {}, "tool_resources": None}
ERROR: JSON = {"message": "overloaded", "type": "server_error", "code": "busy", "param": None}


def sample(name: str) -> JSON:
    """A payload for a known event."""
    status = {"status": name.rpartition(".")[2]}
    for beginning, payload in (
        ("thread.run.step.delta", STEP_DELTA),
        ("thread.run.step.", STEP | status),
        ("thread.run.", RUN | status),
        ("thread.message.delta", MESSAGE_DELTA),
        ("thread.message.", MESSAGE | status),
        ("error", ERROR),
    ):
        if name.startswith(beginning):
            return payload
    return THREAD


def compact(value: object) -> bytes:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def frame(name: str | None, payload: object) -> bytes:
    """One event on the wire; a payload of bytes goes as it is."""
    data = payload if isinstance(payload, bytes) else compact(payload)
    return (b"" if name is None else b"event: " + name.encode() + b"\n") + b"data: " + data + b"\n\n"


_START = frame("thread.run.created", {"id": "run_1", "thread_id": "thread_1", "status": "queued"})
_WORD = frame("thread.message.delta", {"id": "m", "delta": {"content": [{"index": 0, "type": "text", "text": {"value": "hi"}}]}})  # fmt: skip
_STOP = frame("thread.run.completed", {"id": "run_1", "status": "completed"})
_DONE = b"event: done\ndata: [DONE]\n\n"

_EVENTS = [frame(name, sample(name)) + _STOP for name in REGISTRY]

_DIALECTS = [
    _START + _WORD + _STOP + _DONE,
    (_START + _WORD + _STOP + _DONE).replace(b"\n", b"\r\n"),
    (_START + _WORD + _STOP).replace(b": ", b":"),
    *[frame(None, {"event": name, "data": sample(name)}) for name in ("thread.run.created", "thread.message.delta", "error")],
    *[frame(None, sample(name)) for name in ("thread.run.failed", "thread.run.step.delta", "thread.message.completed")],
    frame("thread.run.created", {"event": "thread.run.created", "data": {"id": "run_1"}}),
    frame(None, {"enabled": True, "event": "thread.created", "data": THREAD}),
    frame(None, {"event": "message", "data": {"event": "message", "data": {}}}),
    frame(None, {"event": "done", "data": "[DONE]"}) + _STOP,
    frame(None, b"[DONE]"), frame("done", b"done"), frame("thread.run.created", b' "[DONE]" '),
    frame("thread.run.completed", {"id": "run_1", "status": "requires_action"}) + _START,
    frame("thread.message.delta", {"id": "m", "delta": {"content": {"type": "text", "text": "hi"}}}) + _STOP,
    frame("thread.message.completed", {"id": "m", "content": "hi", "created_at": 1710330640123}) + _STOP,
    frame("thread.run.created", {"id": 7, "created_at": 1.5, "temperature": "0.5", "model": 4, "max_prompt_tokens": "9"}),
    frame("thread.run.step.delta", {"id": "s", "delta": {"step_details": {"type": "tool_calls", "tool_calls": [
        {"type": "function", "function": {"arguments": "{"}}, {"type": "mcp", "index": 4}]}}}),
    frame("thread.run.created", {"id": "r", "tools": [{"type": "bing"}, {"type": "function"}, None], "metadata": {"a": [1]}}),
    frame("thread.run.step.completed", {"id": "s", "step_details": {"type": "activities", "activities": [1]}}),
]  # fmt: skip

_ERRORS = [
    frame("error", {"error": ERROR}), frame(None, {"error": ERROR}), frame(None, {"error": "words"}),
    frame("error", {"error": {"error": {"message": "m", "code": 500}}}), frame("error", b"upstream gone"),
    frame("error", {"detail": [{"loc": ["body", 1], "msg": "bad"}]}), frame("error", b"[]"), frame("error", b"null"),
    frame("error", {"error": "invalid_grant", "error_description": "expired"}), frame("error", b"<html>\xff"),
    frame("error", {"message": None, "type": 5, "code": 1.5, "param": ["x"]}),
]  # fmt: skip

# Events of one name that come together are decoded together.
_SERIES = [
    _START + _WORD * 3 + _STOP,
    *[
        b"".join(frame("thread.message.delta", payload) for payload in payloads)
        for payloads in (
            (b'{"id":"a","delta":', b'{"content":[]}}', b'{"id":"c"} {"id":"d"}'),  # as many values as payloads
            (b'{"id":"a","x":{}', b',"delta":{}}', b'{"id":"c"} {"id":"d"}'), (b'{"id":"a"}', b"{", b'{"id":"c"}'), (b'{"id":"a"} {"id":"b"}', b'{"id":"c"}'),
        )
    ],
]  # fmt: skip

_UNKNOWN = [
    frame("thread.run.thought", {"id": "run_9", "status": "pondering"}) + _STOP,
    frame("tide.turned", b"plain words") + _STOP,
    frame("thread.run.completed", []) + _START,
    frame("thread.run.requires_action", {"id": "run_2", "status": "requires_action", "usage": 5}),
    frame(None, {"object": "thread.run", "status": "paused"}) + _STOP,
    frame("thread.run.queued", {"id": {"not": "text"}}) + _STOP,
]  # fmt: skip

_BROKEN = [
    frame("thread.run.queued", payload)
    for payload in (
        b"", b"{", b'{"id":', b"NaN", b'{"id":"r"}}', b'{"id":"r","x":01}', b'{"id":"\xff"}', b'{"id":"r","x":"\xff"}',
        b'{"id":"r","model":"\\ud800"}', b'{"id":"r","x":"\\udc00\\ud800"}', b'{"id":"r","x":1e999}', b'{"id":"r","temperature":1e999}',
        b'{"id":"r","x":' + b"9" * 400 + b"}", b'{"id":"r","created_at":-99999999999999999999}', b'{"id":"r","id":"s","id":7}',
        b'{"id":"r","x":' + b"[" * 20 + b"]" * 20 + b"}", b'{"a":' * 40 + b"1" + b"}" * 40, b"[" * 200, b'"[[[["', b"\xef\xbb\xbf{}",
    )
]  # fmt: skip

_ODDITIES = [
    b"\xef\xbb\xbf" + _START + _STOP, b"\xef\xbb\xbf\xef\xbb\xbf" + _START,
    b": ping\n\n" + _START + b":\n" + _STOP, b"id: 4\nretry: 20\n" + _START + b"id\n\nretry: x\n\n" + _STOP,
    b'event: a\nevent: thread.run.queued\ndata: {\ndata:  "id"\ndata\ndata: :1}\n\n' + _STOP,
    b"data\n\ndata:\n\ndata: \n\nevent\ndata: 1\n\n", b"event: thread.run.queued\n\n" + _STOP, b"id: \0\ndata: 1\n\nid: 2\n\n",
    b"other: x\nlong field name: y\ndatax: z\n data: w\ndata: {}\n\n", b"\n\n\n\r\r\r\n\r\n" + _STOP, _START[:-1], _STOP[:-2] + b"\r\n\r",
    b"event: \xff\ndata: {}\n\n", b"event: error\r\ndata: a\r\n\r\n", b"event: done\n\n" + _STOP, b"data: [DO", b"",
]  # fmt: skip

SEEDS: tuple[bytes, ...] = (*_EVENTS, *_DIALECTS, *_SERIES, *_ERRORS, *_UNKNOWN, *_BROKEN, *_ODDITIES)
"""All of them."""
