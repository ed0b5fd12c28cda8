"""Pages that are made of what is kept: complete, or with what is missing named."""

from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as bench
from tests.drill import INPUTS, page
from tests.support import ROOT
from tests.support.kept import KeptFile, digest


def rows(*names: str) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "case": name,
            "done": "something",
            "jobs": "stand-in",
            "state": "success",
            "deleted_by": "delete",
            "champion": "1 -> 2",
            "alert": False,
            "seconds": 30,
        }
        for name in names
    }


def test_a_drill_that_is_complete_has_every_case_in_its_place() -> None:
    text = page.page(rows(*reversed(page.EXPECTED)), "2026-11-27 at 0c469cd")
    assert "Not proven" not in text
    places = [text.index(f"| `{name}` |") for name in page.EXPECTED]
    assert places == sorted(places)
    assert f"took {len(page.EXPECTED) // 2} minutes (2026-11-27 at 0c469cd)" in " ".join(text.split())


def test_a_drill_that_is_not_complete_names_what_is_missing() -> None:
    text = page.page(rows(*page.EXPECTED[2:]), "")
    assert f"**Not proven with the present code:** `{page.EXPECTED[0]}`, `{page.EXPECTED[1]}`." in text


def test_what_ran_with_earlier_code_only_stays_apart_until_it_runs_again() -> None:
    first, second, third = page.EXPECTED[:3]
    before = page.page(rows(first, second), "2026-11-23 at 1111111")
    after = page.page(rows(second, third), "2026-11-27 at 0c469cd", before)
    now, earlier = after.split("## With earlier code")
    assert [name for name in (first, second, third) if f"| `{name}` |" in now] == [second, third]
    assert [name for name in (first, second, third) if f"| `{name}` |" in earlier] == [first]
    assert f"code:** `{page.EXPECTED[3]}`" in now
    assert "`, those [below](#with-earlier-code). `make drill`" in now
    whole = page.page(rows(*page.EXPECTED), "2026-11-28 at 2222222", after)
    assert "earlier code" not in whole


def test_what_the_proofs_depend_on_is_there() -> None:
    assert digest(ROOT, INPUTS) != digest(ROOT, (*bench.INPUTS, "requirements/spark-image-2.2.txt"))


def test_the_drill_has_no_two_cases_of_one_name() -> None:
    assert len(set(page.EXPECTED)) == len(page.EXPECTED)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The bench with sections that measure nothing; returns the names of those that ran."""
    ran: list[str] = []

    def section(name: str) -> Any:
        return lambda _: ran.append(name) or f"table of {name}\n"

    monkeypatch.setattr(bench, "SECTIONS", {name: (f"Title {name}", section(name)) for name in "abc"})
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "RESULTS.md")
    return ran


def test_a_section_of_the_bench_is_measured_once_and_the_others_stay(measured: list[str], tmp_path: Path) -> None:
    (tmp_path / "RESULTS.md").write_text(bench.TITLE + "\n## Title c\n\nmeasured long ago\n")
    kept = KeptFile(tmp_path / "kept.jsonl", "same code")
    run = bench.Bench(tmp_path, None, "2.2", "1g", worlds=1, fresh=False)
    for name in ("a", "b", "a"):
        bench.measure(run, name, kept)
    assert measured == ["a", "b"]
    sections = bench.sections_of((tmp_path / "RESULTS.md").read_text())
    assert list(sections) == ["Goals", "Title a", "Title b", "Title c"]
    assert "table of a" in sections["Title a"]
    assert "measured long ago" in sections["Title c"]
    kept.forget(["a"])
    bench.measure(run, "a", kept)
    assert measured == ["a", "b", "a"]
