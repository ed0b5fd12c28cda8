"""One Spark session for all tests; run in the environment of an image's lock (requirements/spark-image-*-test.txt)."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.spark import session

for variable in ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON"):
    os.environ[variable] = sys.executable
os.environ["PYTHONPATH"] = str(session.APP)  # Python workers import the package too
os.environ["YC_METADATA_ADDR"] = "127.0.0.1:1"
os.environ.pop("SPARK_HOME", None)


@pytest.fixture(scope="session")
def spark():
    started = session.start()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def sample() -> Path:
    """Folder with real files of the lake."""
    folder = os.environ.get("FRAUD_LAKE_SAMPLE")
    if not folder:
        pytest.skip("FRAUD_LAKE_SAMPLE names no folder with real files of the lake")
    return Path(folder)


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium; it reaches nothing but this machine."""
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("no `chromium` on PATH (Debian: apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright needs a newer Python than image 2.1 has")
    quiet = ("no-sandbox", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[f"--{flag}" for flag in quiet])
        yield browser
        browser.close()


@pytest.fixture
def new_page(browser):
    """Makes a page of a width, in a color scheme; it has time, on a busy machine too."""
    pages = []

    def made(width, color_scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=color_scheme)
        page.set_default_timeout(180_000)  # milliseconds
        pages.append(page)
        return page

    yield made
    for page in pages:
        page.close()
