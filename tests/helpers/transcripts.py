"""Transcripts: shell commands with what they print, as a person would have copied them from a terminal.

    $ kubectl scale thing a --replicas=7
    thing.conformance.example.com/a scaled
    $ kubectl get thing nobody
    Error from server (NotFound): things.conformance.example.com "nobody" not found
    [1]

A line that begins with `$ ` is a command; what follows is its output (standard output and error as they come), and its exit
code in brackets if it isn't 0. Whatever differs from run to run is replaced by a word: ages, times, uids, versions, addresses,
names of namespaces and folders.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Step", "plain", "read", "write"]

_TIME: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"
_UID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_REPLACED: Final = [
    (re.compile(pattern, re.MULTILINE), word)
    for pattern, word in (
        (_TIME, "TIME"),
        (_UID, "UID"),
        (r"(resourceVersion\\*\"?: ?\\*\")\d+", r"\1VERSION"),
        (r"(Resource Version: +)\d+", r"\1VERSION"),
        (r"(creationTimestamp|Creation Timestamp):  ?\w{3}, .*$", r"\1: TIME"),
        (r"\S+/(LIVE|MERGED)-\d+/", r"FOLDER/\1/"),
        (r"^((?:---|\+\+\+) .*?)\t.*$", r"\1"),
        (r"( deleted) from NAMESPACE namespace", r"\1"),  # not every version of kubectl says so
        (r"^[EIW]\d{4} \d\d:\d\d:\d\d\..*\n", ""),  # kubectl's own log: which of two of its tasks came first
    )
]
_AGE: Final = re.compile(r"(?:^|(?<=  ))(?:(?:\d+[dhms])+|<invalid>)(?:$|  +)", re.MULTILINE)
_TRAILING: Final = re.compile(r" +$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Step:
    """A command, what it prints, and its exit code."""

    command: str
    output: str
    code: int = 0


def read(text: str) -> list[Step]:
    """Read a transcript."""
    steps = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        code = 0
        if found := re.search(r"^\[(\d+)\]\n\Z", output, flags=re.MULTILINE):
            code, output = int(found[1]), output[: found.start()]
        steps.append(Step(command, output, code))
    return steps


def write(steps: list[Step]) -> str:
    """Write a transcript."""
    return "".join(f"$ {step.command}\n{step.output}" + (f"[{step.code}]\n" if step.code else "") for step in steps)


def plain(output: str, **words: str) -> str:
    """Replace what differs from run to run: each value in `words` by its name, and everything that looks like a time or so."""
    for word, value in words.items():
        output = output.replace(value, word)
    for pattern, word in _REPLACED:
        output = pattern.sub(word, output)
    output = _AGE.sub(lambda age: "AGE".ljust(len(age[0])), output)  # the columns behind it stay where they are
    output = _TRAILING.sub("", output)
    return output if not output or output.endswith("\n") else output + "\n"
