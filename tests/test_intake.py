"""How what a request asks for is read, at the edges of what may be asked."""

import pytest

from aiorunstream.intake import StoreError, read_tools


@pytest.mark.parametrize(
    ("most", "taken"), [(-1, False), (0, False), (1, True), (50, True), (51, False), (None, True)], ids=str
)
def test_a_search_finds_from_one_to_fifty(most: int | None, *, taken: bool) -> None:
    tools = [{"type": "file_search", "file_search": {"max_num_results": most}}]
    if taken:
        assert len(read_tools(tools)) == 1
        return
    with pytest.raises(StoreError, match="from 1 to 50") as caught:
        read_tools(tools)
    assert caught.value.param == "tools[0].file_search.max_num_results"
