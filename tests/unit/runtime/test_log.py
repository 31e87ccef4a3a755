"""Log lines: machine-readable, with stable keys, and without secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from controller_runtime.log import configure_logging, make_logger


@pytest.fixture
def process_wide_logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_carry_level_time_and_the_bound_keys() -> None:
    stream = io.StringIO()
    log = make_logger(format="json", stream=stream).bind(controller="widget")
    log.info("Reconciled", namespace="ns", name="a", reconcileID="1")
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "Reconciled",
        "level": "info",
        "controller": "widget",
        "namespace": "ns",
        "name": "a",
        "reconcileID": "1",
    }


def test_console_lines_are_for_people() -> None:
    stream = io.StringIO()
    make_logger(stream=stream).warning("Careful", name="a")
    assert "Careful" in stream.getvalue()
    assert "name=a" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_less_important_lines_are_left_out() -> None:
    stream = io.StringIO()
    log = make_logger(format="json", level="warning", stream=stream)
    log.info("chatter")
    log.error("trouble")
    assert [line["event"] for line in lines(stream)] == ["trouble"]


def test_an_exception_keeps_its_traceback() -> None:
    stream = io.StringIO()
    error = ValueError("no")
    make_logger(format="json", stream=stream).error("Reconciler error", exc_info=error)
    assert "ValueError: no" in lines(stream)[0]["exception"]


def test_values_that_json_cannot_say_become_text() -> None:
    stream = io.StringIO()
    make_logger(format="json", stream=stream).info("x", value={1})
    assert lines(stream)[0]["value"] == "{1}"


@pytest.mark.parametrize("key", ["token", "bearer_token", "password", "clientSecret", "Authorization", "private_key"])
def test_values_of_secret_keys_are_masked(key: str) -> None:
    stream = io.StringIO()
    make_logger(format="json", stream=stream).info("x", **{key: "hunter2"})
    assert lines(stream)[0][key] == "***"


def test_bearer_tokens_in_texts_are_masked() -> None:
    stream = io.StringIO()
    make_logger(format="json", stream=stream).info("x", error="401 for Authorization: Bearer eyJhbGci.abc-_=")
    assert lines(stream)[0]["error"] == "401 for Authorization: Bearer ***"


@pytest.mark.parametrize(
    ("options", "text"), [({"level": "loud"}, "level: 'loud'"), ({"format": "xml"}, "format: 'xml'")]
)
def test_nonsense_is_refused(options: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make_logger(**options)  # type: ignore[arg-type]


@pytest.mark.usefixtures("process_wide_logging_restored")
def test_the_process_wide_set_up_covers_other_libraries() -> None:
    stream = io.StringIO()
    configure_logging(format="json", stream=stream)
    structlog.get_logger().info("ours", name="a")
    logging.getLogger("aiohttp").warning("theirs %s", 1)
    logging.getLogger("aiohttp").info("chatter")
    assert [(line["event"], line["level"]) for line in lines(stream)] == [("ours", "info"), ("theirs 1", "warning")]
    assert lines(stream)[1]["logger"] == "aiohttp"


class BrokenStream(io.StringIO):
    """Its reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize("written", ["console", "json"])
def test_a_log_that_nobody_reads_any_more_stops_nobody(written: str) -> None:
    make_logger(format=written, stream=BrokenStream()).info("something happened", key="value")
    stream = io.StringIO()
    log = make_logger(format=written, stream=stream)
    stream.close()
    log.info("something happened")
