"""Azure's tool calls, and its citations, as Structs.

In a run's events and steps they are `UnknownPart`s: the protocol does not know them, Azure changes them from preview to
preview, and an `UnknownPart` loses nothing of them. Here they are read, for those who know that they speak to Azure:

    for call in step.step_details.tool_calls:
        match azure_tool_call(call):
            case MCPToolCall(name=name, output=output): ...
            case BingGroundingToolCall(bing_grounding=found): ...
"""

from collections.abc import Mapping
from typing import ClassVar, Literal, cast

from .models import JSONObject, Model, UnknownPart
from .repair import build

__all__ = [
    "AzureAISearchToolCall",
    "AzureFunction",
    "AzureFunctionToolCall",
    "AzureToolCall",
    "BingCustomSearchToolCall",
    "BingGroundingToolCall",
    "BrowserAutomation",
    "BrowserAutomationToolCall",
    "ComputerUseToolCall",
    "ConnectedAgent",
    "ConnectedAgentToolCall",
    "DeepResearch",
    "DeepResearchToolCall",
    "FabricDataAgentToolCall",
    "MCPToolCall",
    "OpenAPIToolCall",
    "SharepointGroundingToolCall",
    "URLCitation",
    "URLCitationAnnotation",
    "azure_tool_call",
    "url_citation",
]

_OPEN: JSONObject = {}  # what the preview leaves open


class BingGroundingToolCall(Model, frozen=True, tag="bing_grounding"):
    """A search with Bing. `bing_grounding` holds its request and answer, such as "requesturl"."""

    type: ClassVar[Literal["bing_grounding"]] = "bing_grounding"
    id: str = ""
    bing_grounding: JSONObject = _OPEN


class BingCustomSearchToolCall(Model, frozen=True, tag="bing_custom_search"):
    """A search with a Bing of one's own."""

    type: ClassVar[Literal["bing_custom_search"]] = "bing_custom_search"
    id: str = ""
    bing_custom_search: JSONObject = _OPEN


class AzureAISearchToolCall(Model, frozen=True, tag="azure_ai_search"):
    """A search in an index. `azure_ai_search` usually holds "input" and "output"."""

    type: ClassVar[Literal["azure_ai_search"]] = "azure_ai_search"
    id: str = ""
    azure_ai_search: JSONObject = _OPEN


class SharepointGroundingToolCall(Model, frozen=True, tag="sharepoint_grounding"):
    """A search in SharePoint."""

    type: ClassVar[Literal["sharepoint_grounding"]] = "sharepoint_grounding"
    id: str = ""
    sharepoint_grounding: JSONObject = _OPEN


class FabricDataAgentToolCall(Model, frozen=True, tag="fabric_dataagent"):
    """A question to a data agent of Microsoft Fabric."""

    type: ClassVar[Literal["fabric_dataagent"]] = "fabric_dataagent"
    id: str = ""
    fabric_dataagent: JSONObject = _OPEN


class OpenAPIToolCall(Model, frozen=True, tag="openapi"):
    """A request to a service with an OpenAPI description."""

    type: ClassVar[Literal["openapi"]] = "openapi"
    id: str = ""
    openapi: JSONObject = _OPEN


class AzureFunction(Model, frozen=True):
    """A function in Azure, called through its queues. `arguments` is JSON text."""

    name: str | None = None
    arguments: str | None = None
    output: str | None = None


class AzureFunctionToolCall(Model, frozen=True, tag="azure_function"):
    """A call of a function in Azure."""

    type: ClassVar[Literal["azure_function"]] = "azure_function"
    id: str = ""
    azure_function: AzureFunction = AzureFunction()


class ConnectedAgent(Model, frozen=True):
    """What another agent was asked and said, and the run in which it did."""

    name: str | None = None
    arguments: str | None = None
    output: str | None = None
    agent_id: str | None = None
    thread_id: str | None = None
    run_id: str | None = None


class ConnectedAgentToolCall(Model, frozen=True, tag="connected_agent"):
    """A question to another agent."""

    type: ClassVar[Literal["connected_agent"]] = "connected_agent"
    id: str = ""
    connected_agent: ConnectedAgent = ConnectedAgent()


class DeepResearch(Model, frozen=True):
    """What was to be found out, and what was."""

    input: str = ""
    output: str | None = None


class DeepResearchToolCall(Model, frozen=True, tag="deep_research"):
    """A piece of research."""

    type: ClassVar[Literal["deep_research"]] = "deep_research"
    id: str = ""
    deep_research: DeepResearch = DeepResearch()


class MCPToolCall(Model, frozen=True, tag="mcp"):
    """A call of a tool of an MCP server; it lies flat. `arguments` is JSON text, `output` None before there is one."""

    type: ClassVar[Literal["mcp"]] = "mcp"
    id: str = ""
    name: str = ""
    arguments: str = ""
    output: str | None = None
    server_label: str | None = None


class BrowserAutomation(Model, frozen=True):
    """What was to be done with a browser, what came of it, and each step on the way as Azure has it."""

    input: str = ""
    output: str = ""
    steps: tuple[JSONObject, ...] = ()


class BrowserAutomationToolCall(Model, frozen=True, tag="browser_automation"):
    """A use of a browser."""

    type: ClassVar[Literal["browser_automation"]] = "browser_automation"
    id: str = ""
    browser_automation: BrowserAutomation = BrowserAutomation()


class ComputerUseToolCall(Model, frozen=True, tag="computer_use_preview"):
    """A use of a computer: "action", "output" and safety checks."""

    type: ClassVar[Literal["computer_use_preview"]] = "computer_use_preview"
    id: str = ""
    computer_use_preview: JSONObject = _OPEN


AzureToolCall = (
    BingGroundingToolCall
    | BingCustomSearchToolCall
    | AzureAISearchToolCall
    | SharepointGroundingToolCall
    | FabricDataAgentToolCall
    | OpenAPIToolCall
    | AzureFunctionToolCall
    | ConnectedAgentToolCall
    | DeepResearchToolCall
    | MCPToolCall
    | BrowserAutomationToolCall
    | ComputerUseToolCall
)


class URLCitation(Model, frozen=True):
    """The page that is cited."""

    url: str = ""
    title: str | None = None


class URLCitationAnnotation(Model, frozen=True, tag="url_citation"):
    """A citation of a page. `text` stands in the message between the two indexes, where the server says so."""

    type: ClassVar[Literal["url_citation"]] = "url_citation"
    text: str = ""
    url_citation: URLCitation = URLCitation()
    start_index: int | None = None
    end_index: int | None = None


# Previews have put what belongs under the type's own name under another.
_OTHER_NAMES: Mapping[str, tuple[str, ...]] = {
    "fabric_dataagent": ("microsoft_fabric",),
    "sharepoint_grounding": ("share_point", "sharepoint"),
    "openapi": ("open_api",),
}


def azure_tool_call(part: object) -> AzureToolCall | None:
    """Reads a tool call of a step, or of a step's delta, as one of Azure's twelve kinds.

    Returns:
        The call; None for what is no `UnknownPart`, of another type, or of a shape that cannot be read without losing it.
        Fields that are not described here stay in the part only.
    """
    if not isinstance(part, UnknownPart):
        return None
    whole, kind = dict(part), part.get("type")
    if not isinstance(kind, str):
        return None
    for name in _OTHER_NAMES.get(kind, ()):
        if whole.get(kind) is None and name in whole:
            whole[kind] = whole.pop(name)
    found: object = build(whole, cast("type[object]", AzureToolCall))
    return None if isinstance(found, UnknownPart) else cast("AzureToolCall", found)


def url_citation(part: object) -> URLCitationAnnotation | None:
    """Reads an annotation of a text, or of a delta, as a citation of a page; None for any other, as `azure_tool_call`."""
    if not isinstance(part, UnknownPart) or part.get("type") != "url_citation":
        return None
    found: object = build(dict(part), cast("type[object]", URLCitationAnnotation))
    return found if isinstance(found, URLCitationAnnotation) else None
