"""Debian's Chromium, and how a person gets to a page of the running stack."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stack.demo import Demo

QUIET = ("no-sandbox", "disable-quic", "no-first-run", "disable-background-networking", "disable-component-update")
TIMEOUT = 180_000  # milliseconds; a busy machine draws slowly


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium; it reaches nothing but this machine."""
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("no `chromium` on PATH (Debian: apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[f"--{flag}" for flag in QUIET])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1440, "height": 720})
    page.set_default_timeout(TIMEOUT)
    yield page
    page.close()


def shoot(page: Any, name: str) -> None:
    """Takes a picture for docs/img if SCREENSHOTS names the folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.wait_for_timeout(2000)  # charts draw themselves in
        page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.fixture
def in_mlflow(stack: Demo, browser: Any) -> Iterator[Any]:
    """A page of somebody who is logged in to MLflow."""
    login = {"username": "admin", "password": stack.state.secrets["mlflow_admin_password"]}
    context = browser.new_context(http_credentials=login, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(TIMEOUT)
    yield context.new_page()
    context.close()


def log_in(stack: Demo, page: Any) -> None:
    page.goto(stack.state.url("airflow"))
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", stack.state.secrets["airflow_password"])
    page.click("button[type=submit]")
    page.wait_for_selector("text=Dags")
