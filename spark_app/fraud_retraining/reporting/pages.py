"""A report as files: one page that needs nothing else, its short form in Markdown, its data, the model card."""

from __future__ import annotations

import json
import pkgutil
from typing import Dict, Optional

import jinja2

from fraud_retraining.reporting import figures, words
from fraud_retraining.reporting.content import CARD, DATA, PAGE, SHORT, Report


def source(name: str) -> Optional[str]:
    """A template out of the package, which may be a zip file on a cluster."""
    found = pkgutil.get_data("fraud_retraining.reporting", f"templates/{name}")
    return found.decode("utf-8") if found else None


def environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=lambda name: bool(name and name.endswith(".html")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(
        day=words.day,
        span=words.span,
        number=words.number,
        seconds=words.seconds,
        feature=words.feature,
        percent=words.percent,
    )
    made.globals.update(words=words)
    return made


def written(report: Report) -> Dict[str, str]:
    """Text by file name: the page, its short form, the data, and the model card."""
    templates = environment()
    return {
        PAGE: templates.get_template(PAGE).render(report=report, figures=figures.drawn(report)),
        SHORT: templates.get_template(SHORT).render(report=report),
        DATA: json.dumps(report.to_dict(), indent=1, ensure_ascii=False) + "\n",
        CARD: templates.get_template(CARD).render(report=report),
    }
