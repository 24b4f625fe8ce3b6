"""What a docstring says of a function and its parameters, in the two styles that are read."""

import pytest

from aiorunstream import docstrings

GOOGLE = """Finds a city
    by its name.

    Slowly.

    Args:
        x (Optional[str], optional): its name: as written
            w: on its sign
        *y: more
        z:
            on its own line

        w : after a gap

    Returns:
        x: not this
    """
REST = """Finds a city.

    :param x: its name: as written
        on its sign
    :param list[str] y: more
    :returns: nothing
        x: not this
    """


def test_parameters_are_described_by_the_docstring_in_google_s_style() -> None:
    names = ["x", "y", "z", "w", "v"]
    assert docstrings.parameters(GOOGLE, names) == {
        "x": "its name: as written w: on its sign", "y": "more", "z": "on its own line", "w": "after a gap",
    }  # fmt: skip
    assert docstrings.parameters(GOOGLE, ["v"]) == {}
    assert docstrings.summary(GOOGLE) == "Finds a city by its name."


def test_parameters_are_described_by_the_docstring_in_rest_s_style() -> None:
    assert docstrings.parameters(REST, ["x", "y"]) == {"x": "its name: as written on its sign", "y": "more"}
    assert docstrings.summary(REST) == "Finds a city."


@pytest.mark.parametrize("doc", [None, "", "  \n ", "Args:\n    x: a", ":param x: a"])
def test_a_docstring_may_say_nothing_of_the_function(doc: str | None) -> None:
    assert docstrings.summary(doc) is None


def test_the_section_ends_where_the_text_is_no_longer_indented() -> None:
    doc = "Does.\n\nArgs:\n    x: a\nAs in y:\n    y: b\n"
    assert docstrings.parameters(doc, ["x", "y"]) == {"x": "a"}
