"""The documentation is true: its Python runs, its excerpts are in the files they name, its links and names exist.

A page's plain Python blocks are one module, read from top to bottom, with examples/ on the path. A block whose first line
names a file (```` ```python examples/x.py ````) is an excerpt of it.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from typer.main import get_command

from controller_runtime import Election, Manager, ObjectKey, make_logger
from controller_runtime.client import ClientMetrics
from controller_runtime.client.transport import Request
from controller_runtime.envtest import EmbeddedCluster
from controller_runtime.envtest.reviews import REVIEWS
from tikv_operator.app import PDAccess, assemble
from tikv_operator.cli import app
from tikv_operator.common.settings import Settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))

_BLOCK = re.compile(r"^```(\w*) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    page: Path
    line: int
    language: str
    source: str
    text: str


def blocks(page: Path, language: str = "python") -> list[Block]:
    text = page.read_text()
    return [
        Block(page, text.count("\n", 0, found.start(3)), *found.groups())
        for found in _BLOCK.finditer(text)
        if found[1] == language
    ]


def programs() -> list[Path]:
    return [page for page in PAGES if any(not block.source for block in blocks(page))]


@pytest.fixture
def examples_on_the_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(ROOT / "examples")
    yield
    for name in set(sys.modules) - before:
        if (
            getattr(sys.modules[name], "__file__", "")
            and (ROOT / "examples") in Path(sys.modules[name].__file__).parents
        ):
            del sys.modules[name]


@pytest.mark.parametrize("page", programs(), ids=lambda page: page.stem)
@pytest.mark.usefixtures("examples_on_the_path")
def test_the_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    module: dict[str, Any] = {"__name__": f"docs.{page.stem.replace('-', '_')}"}
    for block in blocks(page):
        if not block.source:
            # Padded, so that a traceback shows the line in the page. This file's own __future__ must not leak in.
            exec(compile("\n" * block.line + block.text, str(page), "exec", dont_inherit=True), module)  # noqa: S102
    for name, function in module.items():
        if name.startswith("test_") and inspect.isfunction(function):
            run: Callable[..., None] = function
            run(**{"tmp_path": tmp_path} if "tmp_path" in inspect.signature(run).parameters else {})


@pytest.mark.parametrize(
    "block",
    [block for page in PAGES for block in blocks(page) if block.source],
    ids=lambda block: f"{block.page.stem}:{block.line}",
)
def test_an_excerpt_is_in_its_file(block: Block) -> None:
    assert block.text in (ROOT / block.source).read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text()):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), link
        if anchor:
            headings = [
                re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
                for heading in _HEADING.findall(file.read_text())
            ]
            assert anchor in headings, link


def test_every_page_is_in_the_index() -> None:
    listed = set(_LINK.findall((DOCS / "README.md").read_text()))
    assert {page.name for page in PAGES} - {"README.md"} <= listed


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_every_example_is_explained(example: Path) -> None:
    assert any(f"../examples/{example.name}" in page.read_text() for page in PAGES)


async def test_metrics_of_the_operator_are_named_as_they_are() -> None:
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    election = Election(lease=ObjectKey("default", "lease"))
    async with EmbeddedCluster() as cluster:
        manager = Manager(
            cluster.transport,
            field_manager="test",
            registry=registry,
            election=election,
            client_metrics=ClientMetrics(registry),
            log=make_logger(level="error"),
        )
        assemble(manager, Settings(), PDAccess.PROXY)
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum", ""), "gauge": ("",)}
        known = {
            f"{metric.name}{suffix}" for metric in registry.collect() for suffix in suffixes.get(metric.type, ("",))
        }
    text = (DOCS / "operating.md").read_text()
    prefixes = "tikv_operator|tidb_operator|controller_runtime|workqueue|informer|rest_client|leader_election|process"
    named = set(re.findall(rf"\b(?:{prefixes})_[a-z_]+\b", text)) - {"tikv_operator_api"}
    assert named - known == set()
    assert len(named) > 20


def test_flags_of_run_are_all_listed() -> None:
    command = get_command(app).commands["run"]  # type: ignore[attr-defined]
    flags = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    listed = set(re.findall(r"^\| `(--[a-z-]+)", (DOCS / "operating.md").read_text(), re.MULTILINE))
    assert listed == flags - {"--help"}


async def test_what_the_embedded_server_does_not_do_is_answered_as_the_page_says() -> None:
    rows = re.findall(
        r"^\| `(GET|POST|PUT) (/\S*)` \|.*\| (\d{3}) \|$",
        (DOCS / "coverage-of-the-embedded-api-server.md").read_text(),
        re.MULTILINE,
    )
    assert len(rows) > 15
    async with EmbeddedCluster() as cluster:
        pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        cluster.api.create("v1", "Pod", pod, "default")
        for method, path, status in rows:
            body = b"{}" if method != "GET" else None
            answer = await cluster.transport.request(
                Request(method=method, path=path, body=body, content_type="application/json")
            )
            assert answer.status == int(status), path


async def test_kinds_of_the_embedded_server_are_listed_as_they_are() -> None:
    text = (DOCS / "coverage-of-the-embedded-api-server.md").read_text()
    listed = {
        kind
        for line in re.findall(r"^\| `[a-z0-9.]*/?v1` \| (.+) \|$", text, re.MULTILINE)
        for kind in line.split(", ")
    }
    async with EmbeddedCluster() as cluster:
        served = {kind.resource.kind for kind in cluster.api.kinds}
    assert listed == served | {kind for kind, _ in REVIEWS.values()}


def test_settings_in_the_pages_are_yaml_or_toml_that_reads() -> None:
    for page in PAGES:
        for block in blocks(page, "yaml"):
            assert list(yaml.safe_load_all(block.text))
