"""All questions at once, each with its own time: what cannot be asked says so, and holds nobody up."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import requests

from dags.retraining import patience
from stack.common.errors import StackError
from stack.running import questions, shape
from stack.running.shape import FORMAT, PERSON, UNKNOWN, WELL, Answer, Screen
from stack.running.system import Absent, System

SECONDS = 20.0  # for all questions together


def ask(system: System, seconds: float = SECONDS) -> Screen:
    """Asks everything, side by side; returns after so many seconds at the latest, whoever is silent."""
    try:
        system.require()
        machines = system.machines()
    except StackError as problem:
        nothing: Answer[Any] = Answer("unknown", why=one_line(problem))
        return screen(system, dict.fromkeys(questions.QUESTIONS, nothing), {})
    asked = {name: start(partial(each, system)) for name, each in questions.QUESTIONS.items()}
    of_machines = {name: start(partial(questions.machine, each)) for name, each in machines.items()}
    wait([*asked.values(), *of_machines.values()], timeout=seconds)
    return screen(
        system,
        {name: answer(future, seconds) for name, future in asked.items()},
        {name: answer(future, seconds) for name, future in of_machines.items()},
    )


def start(question: Callable[[], questions.Found]) -> "Future[questions.Found]":
    """Asks in a thread that keeps nobody from ending."""
    future: Future[questions.Found] = Future()

    def run() -> None:
        try:
            future.set_result(question())
        except BaseException as problem:
            future.set_exception(problem)

    threading.Thread(target=run, daemon=True).start()
    return future


def answer(future: "Future[questions.Found]", seconds: float) -> Answer[Any]:
    if not future.done():
        return Answer("unknown", why=f"no answer within {seconds:g} s")
    problem = future.exception()
    if isinstance(problem, Absent):
        return Answer("absent", why=str(problem))
    if problem:
        return Answer("unknown", why=one_line(problem))
    value, problems = future.result()
    return Answer("person" if problems else "well", value, problems)


def one_line(problem: BaseException) -> str:
    """Why something could not be asked, for a person."""
    if isinstance(problem, StackError):
        said: str | None = str(problem)
    elif isinstance(problem, requests.ConnectionError | requests.Timeout) and problem.request is not None:
        place = urlsplit(problem.request.url or "")
        said = f"{place.scheme}://{place.netloc} does not answer"
    else:
        said = patience.reason(problem)
    return " ".join((said or f"{type(problem).__name__}: {problem}").split())[:400]


def screen(system: System, answers: dict[str, Answer[Any]], machines: dict[str, Answer[shape.Machine]]) -> Screen:
    every = answers | {f"machine {name}": one for name, one in machines.items()}
    problems = [f"{name}: {text}" for name, one in every.items() for text in one.problems]
    unknown = [f"{name}: {one.why}" for name, one in every.items() if one.state == "unknown"]
    return Screen(
        format=FORMAT,
        kind=system.kind,
        where=str(system.where),
        asked=questions.iso(datetime.now(UTC)),
        exit_status=PERSON if problems else UNKNOWN if unknown else WELL,
        problems=problems,
        unknown=unknown,
        **answers,
        machines=machines,
    )
