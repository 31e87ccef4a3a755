"""The benchmarks' bookkeeping: medians, contestants that failed, and a page whose text survives new figures."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parents[3] / "bench"
PAGE = """# Performance

<!-- figures: written by bench/run.py -->
what was here before
<!-- end of figures -->

The reasons.

<!-- figures of everybody: written by bench/run.py --everybody -->
<!-- end of figures -->
"""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import one of the benchmarks' modules, which are scripts beside one another and no package."""
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module


def test_figures_are_medians_of_the_rounds(module: Any, tmp_path: Path) -> None:
    results = module("results").Results(tmp_path / "measured.json")
    results.add("cold", {"ours": [{"cpu": 3.0}, {"cpu": 1.0}, {"cpu": 2.0}]})
    assert results.medians() == {"cold": {"ours": {"cpu": 2.0, "rounds": 3.0}}}


def test_results_are_kept_until_their_benchmark_is_measured_again(module: Any, tmp_path: Path) -> None:
    results = module("results")
    first = results.Results(tmp_path / "measured.json")
    first.origin = "abc"
    first.add("cold", {"ours": [{"cpu": 1.0}], "go": [{"cpu": 2.0}]})
    first.add("churn", {"ours": [{"cpu": 1.0}]})
    second = results.Results(tmp_path / "measured.json")
    second.origin = "def"
    second.add("cold", {"ours": [{"cpu": 5.0}]})
    third = results.Results(tmp_path / "measured.json")
    assert third.origins() == {"cold": "def", "churn": "abc"}
    assert third.medians()["cold"].keys() == {"ours"}


def test_whoever_failed_in_a_round_has_no_figures_but_when(module: Any) -> None:
    results = module("results").Results(None)
    results.add("cold", {"kopf": [{"cpu": 1.0, "wall": 2.0}, {module("results").ENDED_AFTER: 300.2}]})
    assert results.medians()["cold"]["kopf"] == {"ended_after": 300.2, "rounds": 2}


def test_a_contestant_that_failed_shows_in_the_tables_as_what_it_is(module: Any) -> None:
    report = module("report")
    medians = {
        "cold": {
            "go": {"wall": 2.0, "cpu": 2.0, "peak_mb": 100.0, "rounds": 3.0},
            "kopf": {"ended_after": 300.2, "rounds": 1.0},
            "ours": {"wall": 1.0, "cpu": 1.1, "peak_mb": 50.0, "rounds": 3.0},
        },
        "status-1": {"go": {"wall": 1.0, "cpu": 1.0}, "ours": {"ended_after": 9.0, "rounds": 1.0}},
    }
    wall, cpu, *_ = [line for line in report.table(medians).splitlines() if line.startswith(("| Cold", "| -"))]
    assert wall.endswith("| 2.00 s | 1.00 s | 0.50x | ≤ 0.75x | met |")
    assert cpu.endswith("| 2.00 s | 1.10 s | 0.55x | ≤ 0.5x | **missed** |")
    status = next(line for line in report.table(medians).splitlines() if line.startswith("| Status"))
    assert status.endswith("| 1.00 s | ended after 9 s | - | ≤ 1x | **missed** |")
    everybody = report.table_of_everybody(medians).splitlines()
    assert everybody[2].endswith("| 2.00 s | - | ended after 300 s | 1.00 s | 3 |")
    assert not any("Status" in line for line in everybody)


def test_new_figures_replace_old_ones_and_leave_the_text(module: Any, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(PAGE)
    medians = {"cold": {who: {"wall": 2.0, "cpu": 1.0, "peak_mb": 9.0, "rounds": 3.0} for who in ("go", "ours")}}
    for _ in range(2):
        module("report").write(medians, {"cold": "abc, 2026-01-01", "churn": "def, 2026-01-02"}, tmp_path)
    text = page.read_text()
    assert text.count("| Cold start") == 1
    assert "what was here before" not in text
    assert "The reasons." in text
    assert "Measured at commit abc, 2026-01-01 (cold); def, 2026-01-02 (churn)." in text
    assert text.endswith("--everybody -->\n<!-- end of figures -->\n")
    assert (tmp_path / "performance-cpu.svg").read_text().startswith("<svg")


def test_a_page_without_marks_is_an_error(module: Any, tmp_path: Path) -> None:
    (tmp_path / "performance.md").write_text("# Performance\n")
    with pytest.raises(ValueError, match="no place for the figures"):
        module("report").write({"cold": {"ours": {"wall": 1.0}}}, {}, tmp_path)
