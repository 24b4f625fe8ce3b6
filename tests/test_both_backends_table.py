"""The table of differences between the backends: every entry is asked for by a test, and says something."""

import re
from pathlib import Path

from both_backends import BACKENDS, DIFFERENCES

HERE = Path(__file__).parent


def test_every_difference_is_one_that_a_test_holds() -> None:
    tests = [path.read_text("utf-8") for path in HERE.glob("test_both_backends_*.py") if path != Path(__file__)]
    asked = {name for text in tests for name in re.findall(r'differs\("([^"]+)"\)', text)}
    asked |= {name for text in tests for name in re.findall(r'"difference: ([^"]+)"', text)}
    assert asked == set(DIFFERENCES)


def test_every_difference_has_backends_and_a_reason() -> None:
    for name, (where, why) in DIFFERENCES.items():
        assert where, name
        assert where <= set(BACKENDS), name
        assert "http" not in where, f"{name}: the protocol itself is what the others differ from"
        assert len(why) > 10, name
