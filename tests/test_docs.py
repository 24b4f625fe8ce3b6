"""Every Python block of the documentation runs, and prints what the page says it prints.

How blocks are run is told in CONTRIBUTING.md.
"""

import ast
import asyncio
import gc
import inspect
import io
import re
import textwrap
import threading
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from doc_pages import ALL_PAGES, OUTPUT, PAGES, fences, name_of, without_fences

from aiorunstream import AsyncClient
from aiorunstream.server import AssistantsServer

BASE_URL = "http://127.0.0.1:8787/v1"
PAGES_WITH_PYTHON = [page for page in PAGES if any(fence.info == "python" for fence in fences(page.read_text("utf-8")))]


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_every_fence_is_one_of_four_kinds(page: Path) -> None:
    """A block with a misspelt language would not be run, and nobody would see."""
    text = page.read_text("utf-8")
    found = fences(text)
    assert {fence.info for fence in found} <= {"python", "sh", "text", OUTPUT}
    assert "```" not in without_fences(text)
    assert "~~~" not in text
    for fence in found:
        if fence.info == OUTPUT:
            assert fence.follows >= 0, f"line {fence.line}: this output follows no block"
            assert found[fence.follows].info == "python", f"line {fence.line}: this is the output of no Python block"


# -- running them --------------------------------------------------------------------------------------------------------


@contextmanager
def served() -> Generator[tuple[str, str]]:
    """An embedded server in a thread and a loop of its own, so that a block may bring its own `asyncio.run`.

    Yields its base URL and the id of an assistant that it has.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[AssistantsServer, str]:
        server = AssistantsServer()
        await server.start()
        async with AsyncClient(base_url=server.base_url) as client:
            return server, (await client.assistants.create(model="any")).id

    try:
        server, assistant_id = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        try:
            yield server.base_url, assistant_id
        finally:
            asyncio.run_coroutine_threadsafe(server.aclose(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def run_block(code: str, *, where: str, line: int, namespace: dict[str, Any], runner: asyncio.Runner) -> str:
    """Runs one block as a prompt that takes `await` would, and returns what it prints."""
    # The empty lines let tracebacks show the line of the page.
    compiled = compile("\n" * (line - 1) + code, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    with redirect_stdout(io.StringIO()) as printed:
        result = eval(compiled, namespace)
        if inspect.iscoroutine(result):
            runner.run(result)
    return printed.getvalue()


def run_page(text: str, *, where: str) -> int:
    """Runs the blocks of a page in order, and compares what they print. Returns how many there were."""
    blocks = fences(text)
    outputs = {fence.follows: fence for fence in blocks if fence.info == OUTPUT}
    namespace: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    with served() as (base_url, assistant_id), asyncio.Runner() as runner:
        for index, block in enumerate(blocks):
            if block.info != "python":
                continue
            code = re.sub(r"\basst_1\b", assistant_id, block.code.replace(BASE_URL, base_url))
            printed = run_block(code, where=where, line=block.line, namespace=namespace, runner=runner)
            if index in outputs:
                assert printed.splitlines() == outputs[index].code.splitlines(), f"{where}, line {block.line}"
            count += 1
    return count


@pytest.mark.filterwarnings(  # said by the official client, on the page about moving over
    "ignore:The Assistants API is deprecated in favor of the Responses API:DeprecationWarning",
    "ignore:deprecated$:DeprecationWarning",
)
@pytest.mark.parametrize("page", PAGES_WITH_PYTHON, ids=name_of)
def test_every_python_block_runs(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in one namespace a page; what is said to be printed is printed; nothing stays open."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.delenv(name, raising=False)
    assert run_page(page.read_text("utf-8"), where=name_of(page)) > 0
    gc.collect()  # so that a warning about something unclosed falls on this page and not on the next test


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("```python\nassert 1 == 2\n```\n", AssertionError),
        ("```python\nx = 1\n```\n\n```python\nawait nothing(x)\n```\n", NameError),
        ('```python\nprint("a")\n```\n\n```text title="Output"\nb\n```\n', AssertionError),
        ('```python\nprint("a")\n```\n\n```text title="Output"\na\n\nb\n```\n', AssertionError),
    ],
    ids=["assert", "await", "wrong output", "too little output"],
)
def test_a_wrong_block_fails(text: str, error: type[BaseException]) -> None:
    with pytest.raises(error):
        run_page(text, where="a page")


def test_blocks_share_names_and_have_the_page_s_server() -> None:
    text = textwrap.dedent(
        f"""
        ```python
        from aiorunstream import AsyncClient
        client = AsyncClient(base_url="{BASE_URL}")
        ```

        - in a list

          ```python
          async with client:
              print((await client.assistants.retrieve("asst_1")).model)
          ```

          ```text title="Output"
          any
          ```
        """
    )
    assert run_page(text, where="a page") == 2


def test_every_page_of_the_tutorial_kind_has_blocks() -> None:
    """If the way fences are found broke, nothing would run and everything would pass."""
    names = {name_of(page) for page in PAGES_WITH_PYTHON}
    assert {"README.md", "docs/index.md", "docs/tutorial.md", "docs/reference/events.md"} <= names
    assert sum(name.startswith("docs/how-to/") for name in names) >= 6
