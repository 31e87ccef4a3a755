"""What type checkers promise an operator author: right programs pass `mypy --strict`, mistakes do not.

The two files in tests/typing are checked with the project's own settings, so that the cache of `make check` is used.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TYPING = ROOT / "tests" / "typing"
_IGNORE = re.compile(r"  # type: ignore\[([a-z-]+)\]")


def mypy(*files: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--hide-error-context", *map(str, files)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["consumer.py", "misuse.py"])
def test_the_types_of_the_facade(name: str) -> None:
    checked = mypy(TYPING / name)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_mistake_is_found_where_it_is_made(tmp_path: Path) -> None:
    """Without its ignores the file of mistakes has exactly the errors that they name: what is ignored is really checked."""
    source = (TYPING / "misuse.py").read_text()
    expected = {
        (number, found[1]) for number, line in enumerate(source.splitlines(), 1) if (found := _IGNORE.search(line))
    }
    bare = tmp_path / "misuse.py"
    bare.write_text(_IGNORE.sub("", source))
    output = mypy(bare).stdout
    errors = {
        (int(number), code)
        for number, code in re.findall(r"misuse\.py:(\d+): error: .*\[([a-z-]+)\]$", output, re.MULTILINE)
    }
    assert errors == expected, output
    assert len(expected) > 20
