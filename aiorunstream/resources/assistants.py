"""Assistants: a model with instructions, tools and settings, kept at the server."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from ..models import (
    Assistant,
    AssistantDeleted,
    AssistantResponseFormatOption,
    AssistantTool,
    Metadata,
    ToolResources,
)
from ..operations import CREATE_ASSISTANT, DELETE_ASSISTANT, LIST_ASSISTANTS, RETRIEVE_ASSISTANT, UPDATE_ASSISTANT
from ..options import RequestOptions
from ..params import AssistantCreateParams, AssistantUpdateParams, JSONMapping, ReasoningEffort
from ._pages import ListCall, Order, list_query
from ._resource import Resource


class AsyncAssistants(Resource):
    """`client.assistants`."""

    async def create(
        self,
        *,
        model: str,
        name: str | None | UnsetType = UNSET,
        description: str | None | UnsetType = UNSET,
        instructions: str | None | UnsetType = UNSET,
        reasoning_effort: ReasoningEffort | None | UnsetType = UNSET,
        tools: Sequence[AssistantTool | JSONMapping] | UnsetType = UNSET,
        tool_resources: ToolResources | JSONMapping | None | UnsetType = UNSET,
        metadata: Metadata | None | UnsetType = UNSET,
        temperature: float | None | UnsetType = UNSET,
        top_p: float | None | UnsetType = UNSET,
        response_format: AssistantResponseFormatOption | JSONMapping | None | UnsetType = UNSET,
        options: RequestOptions | None = None,
    ) -> Assistant:
        """Makes an assistant. At most 128 tools; names up to 256, instructions up to 256,000 characters.

        Raises:
            InvalidArgumentError: a parameter cannot be meant; nothing was sent.
            APIError: see `aiorunstream.errors`.
        """
        params = AssistantCreateParams(
            model=model,
            name=name,
            description=description,
            instructions=instructions,
            reasoning_effort=reasoning_effort,
            tools=tools,
            tool_resources=tool_resources,
            metadata=metadata,
            temperature=temperature,
            top_p=top_p,
            response_format=response_format,
        )
        return await self._call(CREATE_ASSISTANT, body=params.body(), options=options)

    async def retrieve(self, assistant_id: str, *, options: RequestOptions | None = None) -> Assistant:
        """Returns an assistant. Raises `NotFoundError` where there is none."""
        return await self._call(RETRIEVE_ASSISTANT, {"assistant_id": assistant_id}, options=options)

    def list(
        self,
        *,
        limit: int | UnsetType = UNSET,
        order: Order | UnsetType = UNSET,
        after: str | UnsetType = UNSET,
        before: str | UnsetType = UNSET,
        options: RequestOptions | None = None,
    ) -> ListCall[Assistant]:
        """Lists the assistants.

        Await it for one page, or iterate it with `async for` for all of them.

        Args:
            limit: items a page, 1 to 100; servers take 20.
            order: by time of creation, "desc" (newest first) unless said otherwise.
            after, before: an id; the list begins behind it, or ends in front of it.

        Raises:
            InvalidArgumentError: here, for a parameter that cannot be meant; nothing is sent.
        """
        query = list_query(limit=limit, order=order, after=after, before=before)
        return self._list(LIST_ASSISTANTS, query=query, options=options)

    async def update(
        self,
        assistant_id: str,
        *,
        model: str | UnsetType = UNSET,
        name: str | None | UnsetType = UNSET,
        description: str | None | UnsetType = UNSET,
        instructions: str | None | UnsetType = UNSET,
        reasoning_effort: ReasoningEffort | None | UnsetType = UNSET,
        tools: Sequence[AssistantTool | JSONMapping] | UnsetType = UNSET,
        tool_resources: ToolResources | JSONMapping | None | UnsetType = UNSET,
        metadata: Metadata | None | UnsetType = UNSET,
        temperature: float | None | UnsetType = UNSET,
        top_p: float | None | UnsetType = UNSET,
        response_format: AssistantResponseFormatOption | JSONMapping | None | UnsetType = UNSET,
        options: RequestOptions | None = None,
    ) -> Assistant:
        """Changes what is given of an assistant and leaves the rest. Runs under way keep what they began with."""
        params = AssistantUpdateParams(
            model=model,
            name=name,
            description=description,
            instructions=instructions,
            reasoning_effort=reasoning_effort,
            tools=tools,
            tool_resources=tool_resources,
            metadata=metadata,
            temperature=temperature,
            top_p=top_p,
            response_format=response_format,
        )
        return await self._call(UPDATE_ASSISTANT, {"assistant_id": assistant_id}, body=params.body(), options=options)

    async def delete(self, assistant_id: str, *, options: RequestOptions | None = None) -> AssistantDeleted:
        """Deletes an assistant. Threads and runs stay."""
        return await self._call(DELETE_ASSISTANT, {"assistant_id": assistant_id}, options=options)
