"""What is on GitHub already."""

from dataclasses import dataclass, field
from typing import Any

from stack.board import queries
from stack.board.github import GitHub
from stack.board.tasks import Board, Task
from stack.common.errors import StackError


@dataclass
class Content:
    """An issue or a draft that a task is; without an id it is to be made."""

    id: str = ""
    title: str = ""
    body: str = ""  # with the ends of lines that GitHub's editor makes, as ours
    number: int | None = None
    closed: bool = False
    parent: str | None = None


@dataclass
class Field:
    id: str
    options: dict[str, str]  # name -> id

    @classmethod
    def of(cls, answer: Any) -> "Field":
        return cls(answer["id"], {each["name"]: each["id"] for each in answer["options"]})


@dataclass
class There:
    """What GitHub has of the board; the ids of what is made are added as it is made."""

    owner: str
    repository: str | None
    project: str = ""
    url: str = ""
    fields: dict[str, Field] = field(default_factory=dict)
    contents: dict[str, Content] = field(default_factory=dict)  # of a task, by its id
    items: dict[str, str] = field(default_factory=dict)  # of a task, by its id
    choices: dict[str, dict[str, str]] = field(default_factory=dict)  # of a task, by its id: field -> choice


def look(github: GitHub, board: Board) -> There:
    """Raises StackError if owner or repository are not there for this token, or it lacks a scope."""
    owner = github.ask(queries.OWNER, owner=board.owner)["repositoryOwner"]
    github.require_scopes("project", *(["repo"] if board.repository else []))
    if owner is None:
        raise StackError(f"owner: {board.owner} is neither a user nor an organisation of GitHub that the token sees.")
    there = There(owner["id"], repository(github, board))
    found = github.pages(queries.PROJECTS, ("repositoryOwner", "projectsV2"), owner=board.owner, title=board.title)
    named = [each for each in found if each["title"] == board.title and not each["closed"]]
    if len(named) > 1:
        urls = ", ".join(each["url"] for each in named)
        raise StackError(
            f"{board.owner} has {len(named)} open projects `{board.title}`: {urls}. Rename or close all but one."
        )
    marks = {task.mark: task for task in board.tasks}
    if there.repository:
        look_at_issues(github, there, marks)
    if named:
        there.project, there.url = named[0]["id"], named[0]["url"]
        look_at_project(github, there, marks)
    return there


def repository(github: GitHub, board: Board) -> str | None:
    if not board.repository:
        return None
    owner, _, name = board.repository.partition("/")
    found = github.ask(queries.REPOSITORY, owner=owner, name=name)["repository"]
    if not found["hasIssuesEnabled"]:
        raise StackError(
            f"{board.repository} has no issues: switch them on in its settings, or leave `repository` out."
        )
    return str(found["id"])


def look_at_issues(github: GitHub, there: There, marks: dict[str, Task]) -> None:
    for each in github.pages(queries.ISSUES, ("node", "issues"), repository=there.repository):
        if task := marked(each["body"], marks):
            there.contents[task.id] = Content(
                each["id"],
                each["title"],
                lines(each["body"]),
                each["number"],
                each["state"] == "CLOSED",
                (each["parent"] or {}).get("id"),
            )


def look_at_project(github: GitHub, there: There, marks: dict[str, Task]) -> None:
    there.fields = fields_of(github, there.project)
    known = {content.id: task for task, content in there.contents.items()}
    for item in github.pages(queries.ITEMS, ("node", "items"), project=there.project):
        content: Any = item["content"] or {}
        task = known.get(content.get("id", ""))
        if task is None and not there.repository and (found := marked(content.get("body"), marks)):
            task = found.id
            there.contents[task] = Content(content["id"], content["title"], lines(content["body"]))
        if task is None:
            continue  # somebody else's
        there.items[task] = item["id"]
        values = [each for each in item["fieldValues"]["nodes"] if each]
        there.choices[task] = {each["field"]["name"]: each["name"] for each in values}


def fields_of(github: GitHub, project: str) -> dict[str, Field]:
    """The fields of a project that offer a choice, by name."""
    every = github.pages(queries.FIELDS, ("node", "fields"), project=project)
    return {each["name"]: Field.of(each) for each in every if "options" in each}


def lines(body: str) -> str:
    return body.replace("\r\n", "\n").strip()


def marked(body: str | None, marks: dict[str, Task]) -> Task | None:
    """The task whose mark is the first line of a text."""
    return marks.get((body or "").strip().split("\n", 1)[0].strip())
