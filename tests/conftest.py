"""What all tests share."""

from __future__ import annotations

import os

import pytest

from tests.support import VERIFY

# No test may ask this machine's own metadata service for a token.
os.environ.setdefault("YC_METADATA_ADDR", "127.0.0.1:1")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "verify: too long for `make test`; VERIFY=1 runs it too, VERIFY=only nothing else"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is marked `verify`, unless it is asked for: by VERIFY, by -m, by its name."""
    if VERIFY == "1" or config.option.markexpr:
        return
    left = [
        each
        for each in items
        if (each.get_closest_marker("verify") is None) == (VERIFY == "only")
        and not any("::" in word and word in each.nodeid for word in config.args)
    ]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [each for each in items if each not in left]
