"""The pages of a deployment on this host in Debian's Chromium, by the way that `make ui` says and holds open."""

import re
import shutil
import subprocess

from playwright import sync_api

from stack.common.release import MODEL
from tests.stack.browser import QUIET, TIMEOUT, shoot


def look(said: str) -> None:
    """The champion in MLflow and the run of `retrain` in Airflow; pictures go where SCREENSHOTS says."""
    rules = re.search(r"--host-resolver-rules='([^']*)'", said)
    addresses = dict(re.findall(r"(MLflow|Airflow) +(https://\S+)", said))
    ways = re.findall(r"password: `([^`]*)`", said)
    assert rules, said
    passwords = [subprocess.check_output(["sh", "-c", way], text=True).strip() for way in ways]
    chromium = shutil.which("chromium")
    with sync_api.sync_playwright() as playwright:
        flags = [*(f"--{flag}" for flag in QUIET), f"--host-resolver-rules={rules[1]}"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        # A person imports the two authorities that `make ui` names; here they are looked at by ssl in other tests.
        context = browser.new_context(
            viewport={"width": 1440, "height": 900},
            ignore_https_errors=True,
            http_credentials={"username": "admin", "password": passwords[0]},
        )
        context.set_default_timeout(TIMEOUT)
        page = context.new_page()
        page.goto(f"{addresses['MLflow']}/#/models/{MODEL}/versions/1?workflowType=machine_learning")
        page.wait_for_selector("text=champion")
        shoot(page, "local-mlflow")
        page = context.new_page()
        page.goto(addresses["Airflow"])
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", passwords[1])
        page.click("button[type=submit]")
        page.wait_for_selector("text=Dags")
        page.goto(f"{addresses['Airflow']}/dags/retrain")
        page.wait_for_selector("text=promote")
        shoot(page, "local-airflow")
        browser.close()
