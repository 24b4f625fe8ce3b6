"""The 58 events of a response's stream, and what becomes of each: the one place that says so.

| mark | meaning |
|---|---|
| mapped | it becomes events of a run |
| folded | it says what other events say too: it counts where those did not come, and else tells nothing new |
| passed | runs have no word for it: it is handed on as an `UnknownEvent` of its own name |
"""

from collections.abc import Mapping
from typing import Literal

Mark = Literal["mapped", "folded", "passed"]

TABLE: Mapping[str, tuple[Mark, str]] = {
    # The response.
    "response.created": ("mapped", "thread.run.created, thread.run.queued"),
    "response.queued": ("folded", "thread.run.queued"),
    "response.in_progress": ("mapped", "thread.run.in_progress"),
    "response.completed": ("mapped", "thread.run.completed, or thread.run.requires_action where calls wait"),
    "response.incomplete": ("mapped", "thread.run.incomplete"),
    "response.failed": ("mapped", "thread.run.failed"),
    "error": ("mapped", "error"),
    # Items of its output.
    "response.output_item.added": ("mapped", "thread.run.step.created, and thread.message.created for a message"),
    "response.output_item.done": ("mapped", "the tool call of an item that is told whole; else the end of the item"),
    "response.content_part.added": ("folded", "thread.message.delta"),
    "response.content_part.done": ("folded", "thread.message.delta"),
    # Messages.
    "response.output_text.delta": ("mapped", "thread.message.delta"),
    "response.output_text.done": ("folded", "thread.message.delta"),
    "response.output_text.annotation.added": ("mapped", "thread.message.delta"),
    "response.refusal.delta": ("mapped", "thread.message.delta"),
    "response.refusal.done": ("folded", "thread.message.delta"),
    # Calls that the caller answers.
    "response.function_call_arguments.delta": ("mapped", "thread.run.step.delta"),
    "response.function_call_arguments.done": ("folded", "thread.run.step.delta"),
    "response.custom_tool_call_input.delta": ("mapped", "thread.run.step.delta"),
    "response.custom_tool_call_input.done": ("folded", "thread.run.step.delta"),
    # The server's own tools that runs know.
    "response.code_interpreter_call.in_progress": ("folded", "thread.run.step.created"),
    "response.code_interpreter_call.interpreting": ("folded", "thread.run.step.delta"),
    "response.code_interpreter_call.completed": ("folded", "thread.run.step.completed"),
    "response.code_interpreter_call_code.delta": ("mapped", "thread.run.step.delta"),
    "response.code_interpreter_call_code.done": ("folded", "thread.run.step.delta"),
    "response.file_search_call.in_progress": ("folded", "thread.run.step.created"),
    "response.file_search_call.searching": ("folded", "thread.run.step.delta"),
    "response.file_search_call.completed": ("folded", "thread.run.step.completed"),
    # What runs do not know. The item itself is a tool call of its own type, told whole once it is done.
    "response.reasoning_summary_part.added": ("passed", ""),
    "response.reasoning_summary_part.done": ("passed", ""),
    "response.reasoning_summary_text.delta": ("passed", ""),
    "response.reasoning_summary_text.done": ("passed", ""),
    "response.reasoning_text.delta": ("passed", ""),
    "response.reasoning_text.done": ("passed", ""),
    "response.web_search_call.in_progress": ("passed", ""),
    "response.web_search_call.searching": ("passed", ""),
    "response.web_search_call.completed": ("passed", ""),
    "response.image_generation_call.in_progress": ("passed", ""),
    "response.image_generation_call.generating": ("passed", ""),
    "response.image_generation_call.partial_image": ("passed", ""),
    "response.image_generation_call.completed": ("passed", ""),
    "response.mcp_call_arguments.delta": ("passed", ""),
    "response.mcp_call_arguments.done": ("passed", ""),
    "response.mcp_call.in_progress": ("passed", ""),
    "response.mcp_call.completed": ("passed", ""),
    "response.mcp_call.failed": ("passed", ""),
    "response.mcp_list_tools.in_progress": ("passed", ""),
    "response.mcp_list_tools.completed": ("passed", ""),
    "response.mcp_list_tools.failed": ("passed", ""),
    "response.shell_call_command.added": ("passed", ""),
    "response.shell_call_command.delta": ("passed", ""),
    "response.shell_call_command.done": ("passed", ""),
    "response.shell_call_output_content.delta": ("passed", ""),
    "response.shell_call_output_content.done": ("passed", ""),
    "response.audio.delta": ("passed", ""),
    "response.audio.done": ("passed", ""),
    "response.audio.transcript.delta": ("passed", ""),
    "response.audio.transcript.done": ("passed", ""),
}


def is_passed_on(type: str) -> bool:
    """Whether an event of that type is handed on as it is. So is one of a type that nobody has heard of."""
    return TABLE.get(type, ("passed", ""))[0] == "passed"
