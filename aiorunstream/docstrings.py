"""What a docstring says of a function and of its parameters: plain text in, plain text out.

Understood are Google's style (an `Args:` section) and reST's (`:param x: text`). What is written in neither is
simply not found: a description is a help to the model, never a condition.
"""

import inspect
import re
from collections.abc import Collection, Iterator, Sequence

_ARGS = re.compile(r"(Args|Arguments|Parameters|Params):\s*")
_SECTION = re.compile(
    r"(Args|Arguments|Parameters|Params|Keyword Args|Keyword Arguments|Attributes|Returns?|Yields?|Raises|"
    r"Examples?|Notes?|Warnings?|See Also|References|Todo):\s*"
)
_GOOGLE = re.compile(r"\*{0,2}(?P<name>\w+)\s*(\(.*?\))?\s*:(?!:)\s*(?P<text>.*)")
_FIELD = re.compile(r":\w[^:]*:")
_REST = re.compile(r":(param|parameter|arg|argument|key|keyword)\s+([^:]*\s)?\*{0,2}(?P<name>\w+)\s*:\s*(?P<text>.*)")


def summary(doc: str | None) -> str | None:
    """The first paragraph on one line; None where there is none."""
    found: list[str] = []
    for line in inspect.cleandoc(doc or "").splitlines():
        if not line.strip() or _FIELD.match(line) or _SECTION.fullmatch(line):
            break
        found.append(line)
    return _joined(found) or None


def parameters(doc: str | None, names: Collection[str]) -> dict[str, str]:
    """The description of each of the parameters `names` that the docstring describes, each on one line."""
    lines = inspect.cleandoc(doc or "").splitlines()
    found: dict[str, list[str]] = {}
    for name, text in (*_google(lines), *_rest(lines)):
        if name in names:
            found.setdefault(name, []).append(text)
    return {name: text for name, texts in found.items() if (text := _joined(texts))}


def _google(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The lines of an `Args:` section, each with the parameter it is about."""
    inside, margin, name = False, 0, ""
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if line.strip() and not indent:
            inside, margin, name = _ARGS.fullmatch(line) is not None, 0, ""
        elif inside and line.strip():
            margin = margin or indent
            entry = _GOOGLE.fullmatch(line.strip()) if indent <= margin else None
            if entry is not None:
                name = entry["name"]
            yield name, line if entry is None else entry["text"]


def _rest(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The lines of `:param x:` fields, each with the parameter it is about."""
    name = ""
    for line in lines:
        entry = _REST.fullmatch(line)
        if entry is not None:
            name = entry["name"]
            yield name, entry["text"]
        elif not line.startswith((" ", "\t")):
            name = ""
        elif name:
            yield name, line


def _joined(lines: Sequence[str]) -> str:
    return " ".join(" ".join(lines).split())
