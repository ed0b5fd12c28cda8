"""The board as its file describes it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from stack.common.errors import StackError

STATUS = "Status"  # the field that every project has


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task. `parent`, `split_from` and `merged_into` are ids of others; `fields` has a choice for each of them."""

    id: str
    title: str
    status: str
    text: str = ""
    parent: str | None = None
    split_from: str | None = None
    merged_into: str | None = None
    fields: Mapping[str, str]

    @property
    def mark(self) -> str:
        """What an issue is known by, whatever becomes of its title. It does not show on GitHub's pages."""
        return f"<!-- board: {self.id} -->"

    @property
    def choices(self) -> dict[str, str]:
        return {STATUS: self.status, **self.fields}


@dataclass(frozen=True, kw_only=True)
class Board:
    """A project `title` of `owner`, a user or an organisation; its issues are in `repository`, OWNER/NAME.

    Without a repository the tasks are drafts, which have neither parents nor an end. `done`: with which statuses an
    issue is closed. `fields`: the choices of each field of the project that is ours to make.
    """

    title: str
    owner: str
    repository: str | None = None
    done: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]]
    tasks: tuple[Task, ...]


def read(file: Path) -> Board:
    """The board of a file, parents before their children.

    Raises:
        StackError: the file is missing or is not of that form.
    """
    try:
        said = yaml.safe_load(file.read_text())
    except FileNotFoundError:
        raise StackError(f"BOARD={file}: there is no such file; docs/board.yml is one to begin with.") from None
    except yaml.YAMLError as problem:
        raise StackError(f"{file} is no YAML: {' '.join(str(problem).split())}") from None
    problems = list(_faults(said))
    if problems:
        raise StackError(f"{file}: {'; '.join(problems)}. docs/board.yml shows the form.")
    tasks = [Task(**{"fields": {}} | each) for each in said["tasks"]]
    return Board(
        title=said["title"],
        owner=said["owner"],
        repository=said.get("repository"),
        done=tuple(said.get("done", ())),
        fields={name: tuple(choices) for name, choices in said.get("fields", {}).items()},
        tasks=tuple(sorted(tasks, key=lambda task: len(_line(task, {each.id: each for each in tasks})))),
    )


def _faults(said: Any) -> Iterator[str]:
    if not isinstance(said, dict):
        yield f"a mapping is expected, and it is {type(said).__name__}"
        return
    yield from _strangers("the board", said, Board, ("title", "owner", "tasks"))
    tasks = said.get("tasks")
    if not isinstance(tasks, list) or not all(isinstance(each, dict) for each in tasks):
        yield "`tasks` is to be a list of mappings"
        return
    for place, each in enumerate(tasks, 1):
        yield from _strangers(f"task {each.get('id', place)}", each, Task, ("id", "title", "status"))
    yield from _wrong_links(tasks)
    yield from _wrong_choices(said, tasks)


def _strangers(what: str, said: Mapping[str, Any], kind: type, wanted: tuple[str, ...]) -> Iterator[str]:
    known = [each.name for each in fields(kind)]
    if missing := [name for name in wanted if not said.get(name)]:
        yield f"{what} lacks {', '.join(missing)}"
    if strange := [str(name) for name in said if name not in known]:
        yield f"{what} has {', '.join(strange)}, which nobody reads; known are {', '.join(known)}"


def _wrong_links(tasks: list[Mapping[str, Any]]) -> Iterator[str]:
    ids = [each.get("id") for each in tasks]
    if twice := sorted({str(each) for each in ids if ids.count(each) > 1}):
        yield f"ids are there twice: {', '.join(twice)}"
    for each in tasks:
        for link in ("parent", "split_from", "merged_into"):
            if each.get(link) and each[link] not in ids:
                yield f"task {each.get('id')}: {link} {each[link]} is no task"
    by_id = {each.get("id"): each for each in tasks}
    for each in tasks:
        seen, parent = {each.get("id")}, each.get("parent")
        while parent in by_id and parent not in seen:
            seen.add(parent)
            parent = by_id[parent].get("parent")
        if parent in seen:
            yield f"task {each.get('id')}: its parents go in a circle"


def _wrong_choices(said: Mapping[str, Any], tasks: list[Mapping[str, Any]]) -> Iterator[str]:
    offered = said.get("fields", {})
    for each in tasks:
        for name, choice in each.get("fields", {}).items():
            if choice not in offered.get(name, ()):
                yield f"task {each.get('id')}: {name} {choice} is not among {', '.join(offered.get(name, ())) or 'any'}"


def _line(task: Task, by_id: Mapping[str, Task]) -> list[str]:
    """The ids of a task and of all above it."""
    return [task.id, *(_line(by_id[task.parent], by_id) if task.parent else ())]
