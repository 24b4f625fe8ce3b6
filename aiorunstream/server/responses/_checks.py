"""What of a request for a response cannot be meant, or not by the server that is played. All of it is `StoreError`."""

import msgspec

from ...intake import invalid
from ._requests import ResponseRequest
from ._settings import ResponsesSettings


def check_request(asked: ResponseRequest, settings: ResponsesSettings, *, stream: bool) -> ResponseRequest:
    """The request as this server hears it."""
    if asked.prompt is not None:
        raise invalid("prompt is not supported: there are no stored prompts.", "prompt", code="unsupported_parameter")
    if asked.conversation is not None and not settings.conversations:
        raise invalid("Unknown parameter: 'conversation'.", "conversation", code="unknown_parameter")
    if asked.conversation is not None and asked.previous_response_id is not None:
        message = "Mutually exclusive parameters: 'conversation' and 'previous_response_id'. Give only one of them."
        raise invalid(message, "conversation", code="mutually_exclusive_parameters")
    asked = _check_state(asked, settings)
    if asked.background:
        _check_background(asked, settings, stream=stream)
    given = (asked.input, asked.conversation, asked.previous_response_id)
    if all(value is None for value in given) and settings.state == "kept":
        raise invalid("Missing required parameter: 'input'.", "input", code="missing_required_parameter")
    return asked


def _check_state(asked: ResponseRequest, settings: ResponsesSettings) -> ResponseRequest:
    if settings.state == "kept":
        return asked
    if settings.state == "refused":
        for name in ("store", "previous_response_id"):
            if getattr(asked, name):
                raise invalid(f"{name} is not supported: this server is stateless.", name, code="invalid_value")
    return msgspec.structs.replace(asked, store=False, previous_response_id=None)


def _check_background(asked: ResponseRequest, settings: ResponsesSettings, *, stream: bool) -> None:
    if settings.background == "refused":
        raise invalid("background is not supported.", "background", code="unsupported_parameter")
    if settings.background == "polled" and stream:
        raise invalid("Cannot stream a response in the background.", "background", code="unsupported_parameter")
    if asked.store is False:
        raise invalid("Background responses require store=true.", "background", code="invalid_value")
