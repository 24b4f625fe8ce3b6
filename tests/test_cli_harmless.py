"""What a terminal would obey, in the words of servers, models and tools: none of it is passed on."""

import unicodedata

from aiorunstream.cli._show import harmless, in_one_line


def test_no_control_is_left_in_text_but_tabs_and_line_ends() -> None:
    """Those from 0x80 on too: terminals take 0x9b for an escape and a bracket."""
    controls = "".join(character for character in map(chr, range(256)) if unicodedata.category(character) == "Cc")
    assert len(controls) == 65
    assert harmless(controls) == "\t\n"
    assert harmless("red \x9b31m, \x1b[31m, \x7f and \xa0é") == "red 31m, [31m,  and \xa0é"


def test_one_line_is_one_line() -> None:
    assert in_one_line("a\r\nb\x85c\u2028d\x9b2Je") == "a b c d2Je"
