"""Annotations of a response's texts in the protocol's words."""

from ...drafts import Mark
from ...models import JSONObject
from ._json import place_of, text_of


def mark(annotation: JSONObject, offset: int = 0) -> Mark:
    """One annotation, of a text that begins at that offset.

    What cites a file tells where it stands, and not how much it is about.
    """
    at, start, end = (offset + place_of(annotation, name) for name in ("index", "start_index", "end_index"))
    file_id = text_of(annotation, "file_id")
    match annotation.get("type"):
        case "url_citation":
            title = annotation.get("title")
            title = title if isinstance(title, str) else None
            return Mark("url_citation", start, end, url=text_of(annotation, "url"), title=title)
        case "container_file_citation":
            return Mark("file_path", start, end, file_id)
        case "file_path":
            return Mark("file_path", at, at, file_id)
        case "file_citation":
            return Mark("file_citation", at, at, file_id)
        case _:
            return Mark("other", other=annotation)
