"""What is kept of the schema of Terraform's provider."""

import json
from pathlib import Path

import pytest

from stack.provider import reduce, schema

PROSE = {"description": "How it is said", "description_kind": "markdown"}


def test_names_types_flags_and_nesting_are_kept_and_nothing_else() -> None:
    inner = {"attributes": {"size": {"type": "number", "optional": True, "computed": False, **PROSE}}}
    spec = {
        "version": 1,
        "block": {
            "attributes": {"tags": {"nested_type": {"nesting_mode": "set", **inner}, "write_only": True, **PROSE}},
            "block_types": {"disk": {"nesting_mode": "list", "max_items": 1, "min_items": 0, "block": inner | PROSE}},
            **PROSE,
        },
    }
    size = {"attributes": {"size": {"optional": True, "type": "number"}}}
    assert reduce.whole(spec) == {
        "version": 1,
        "block": {
            "attributes": {"tags": {"write_only": True, "nested_type": {"nesting_mode": "set", **size}}},
            "block_types": {"disk": {"nesting_mode": "list", "max_items": 1, "block": size}},
        },
    }


def test_the_file_is_made_of_what_terraform_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = schema.read()
    other = kept["resource_schemas"]["yandex_vpc_network"] | PROSE
    said = kept | {"resource_schemas": {"yandex_of_no_use": other, **kept["resource_schemas"]}}
    (tmp_path / "said.json").write_text(json.dumps({"provider_schemas": {"of any host": said}}))
    monkeypatch.setattr(reduce, "FILE", tmp_path / "made.json")
    monkeypatch.setattr("sys.argv", ["reduce", str(tmp_path / "said.json")])
    reduce.main()
    assert (tmp_path / "made.json").read_text() == schema.FILE.read_text()


def test_a_provider_that_lacks_a_type_is_refused() -> None:
    kept = schema.read()
    del kept["resource_schemas"]["yandex_vpc_network"]
    with pytest.raises(SystemExit, match=r"resource_schemas of this provider lack .*: yandex_vpc_network$"):
        reduce.document(kept)
