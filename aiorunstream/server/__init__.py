"""The embedded server, what answers in it, what an engine may say, and what can go wrong."""

from ..engine import DefaultEngine, Engine, Turn
from ..items import (
    BreakOff,
    CallTool,
    Cancel,
    Cite,
    DrawImage,
    EndStep,
    Expire,
    Fail,
    Item,
    LinkFile,
    MoreArguments,
    MoreCode,
    Pause,
    PrintLogs,
    Refuse,
    RunCode,
    Say,
    SearchFiles,
    SendError,
    ShowImage,
)
from ..scripted import Reply, ScriptedEngine
from ._faults import Fault
from ._server import AssistantsServer

__all__ = [
    "AssistantsServer",
    "BreakOff",
    "CallTool",
    "Cancel",
    "Cite",
    "DefaultEngine",
    "DrawImage",
    "EndStep",
    "Engine",
    "Expire",
    "Fail",
    "Fault",
    "Item",
    "LinkFile",
    "MoreArguments",
    "MoreCode",
    "Pause",
    "PrintLogs",
    "Refuse",
    "Reply",
    "RunCode",
    "Say",
    "ScriptedEngine",
    "SearchFiles",
    "SendError",
    "ShowImage",
    "Turn",
]
