"""What is to be changed: said as a plan, then done in the same order.

Whatever is done is seen on GitHub the next time, by the marks in the issues: a run that was cut off goes on from there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from stack.board import queries
from stack.board.github import GitHub
from stack.board.tasks import Board, Task
from stack.board.there import Content, Field, There, fields_of
from stack.common.errors import StackError

END = "<!-- board: what is below is yours -->"
COLOURS = ("BLUE", "GREEN", "YELLOW", "ORANGE", "RED", "PINK", "PURPLE", "GRAY")


@dataclass(frozen=True)
class Change:
    """What a person reads, and what does it."""

    what: str
    do: Callable[[], None]


def plan(github: GitHub, board: Board, there: There) -> list[Change]:
    """All that differs, in the order in which it can be done.

    Raises:
        StackError: a field has no such choice; those of a field that is there are a person's to add.
    """
    require_choices(board, there)
    return list(_changes(_Hand(github, board, there)))


def require_choices(board: Board, there: There) -> None:
    """GitHub replaces all choices of a field at once, and with them what was chosen: so none is added here."""
    wanted: dict[str, set[str]] = {}
    for task in board.tasks:
        for name, choice in task.choices.items():
            wanted.setdefault(name, set()).add(choice)
    for name, choices in wanted.items():
        known = there.fields.get(name)
        if known and (lacking := sorted(choices - set(known.options))):
            raise StackError(
                f"The project's field {name} has no {', '.join(lacking)}; it has {', '.join(known.options)}. Add them "
                f"at {there.url}/settings, or take one that is there."
            )


def _changes(hand: "_Hand") -> Iterator[Change]:
    board, there = hand.board, hand.there
    if not there.project:
        yield Change(f"make the project `{board.title}` of {board.owner}", hand.make_project)
    for name in board.fields:
        if name not in there.fields:
            yield Change(f"make the field {name}: {', '.join(board.fields[name])}", partial(hand.make_field, name))
    for task in board.tasks:
        if task.id not in there.contents:
            yield Change(f"make {hand.kind} `{task.title}`", partial(hand.make, task))
    for task in board.tasks:
        yield from _changes_of(hand, task)


def _changes_of(hand: "_Hand", task: Task) -> Iterator[Change]:
    """What differs of a task that is there, or will be."""
    there = hand.there
    content, name = there.contents.get(task.id, Content()), f"`{task.title}`"
    # Of what is to be made, numbers of others are not known yet: its text is set when all are there.
    links = hand.issues and bool(task.split_from or task.merged_into or hand.split_into(task))
    same = (content.title, content.body) == (task.title, hand.body(task))
    if (content.id and not same) or (not content.id and links):
        yield Change(f"{name}: title and text", partial(hand.rewrite, task))
    if task.id not in there.items and hand.issues:
        yield Change(f"{name}: onto the board", partial(hand.add, task))
    chosen = there.choices.get(task.id, {})
    for field, choice in task.choices.items():
        if chosen.get(field) != choice:
            yield Change(f"{name}: {field} = {choice}", partial(hand.choose, task, field, choice))
    if not hand.issues:
        return
    if task.parent and (not content.parent or content.parent != hand.id_of(task.parent)):
        yield Change(f"{name}: part of `{hand.title_of(task.parent)}`", partial(hand.set_parent, task))
    ends = task.status in hand.board.done or task.merged_into is not None
    if ends and not content.closed:
        yield Change(f"{name}: close", partial(hand.close, task))
    if content.closed and not ends:
        yield Change(f"{name}: open again", partial(hand.reopen, task))


@dataclass
class _Hand:
    """Does the changes; what is made is known to those that come after."""

    github: GitHub
    board: Board
    there: There

    @property
    def issues(self) -> bool:
        return self.there.repository is not None

    @property
    def kind(self) -> str:
        return "the issue" if self.issues else "the draft"

    def title_of(self, task: str) -> str:
        return next(each.title for each in self.board.tasks if each.id == task)

    def id_of(self, task: str) -> str:
        return self.there.contents[task].id if task in self.there.contents else ""

    def split_into(self, task: Task) -> list[str]:
        return [each.id for each in self.board.tasks if each.split_from == task.id]

    def named(self, task: str) -> str:
        """How another task's text names a task: GitHub makes a link of a number."""
        content = self.there.contents.get(task)
        return f"#{content.number}" if content and content.number else f"“{self.title_of(task)}”"

    def body(self, task: Task) -> str:
        lines = [task.mark, task.text.strip(), ""]
        if task.split_from:
            lines.append(f"Split from {self.named(task.split_from)}.")
        if parts := self.split_into(task):
            lines.append(f"Split into {', '.join(map(self.named, parts))}.")
        if task.merged_into:
            lines.append(f"Merged into {self.named(task.merged_into)}.")
        return "\n".join([*lines, END, self.of_people(task)]).strip()

    def of_people(self, task: Task) -> str:
        """What somebody has written below our part of the text."""
        content = self.there.contents.get(task.id)
        return content.body.partition(END)[2].strip() if content else ""

    # -------------------------------------------------------------------------------------------- one change each
    def make_project(self) -> None:
        made = self.github.ask(
            queries.MAKE_PROJECT, owner=self.there.owner, title=self.board.title, repository=self.there.repository
        )["createProjectV2"]["projectV2"]
        self.there.project, self.there.url = made["id"], made["url"]
        self.there.fields = fields_of(self.github, made["id"])
        require_choices(self.board, self.there)

    def make_field(self, name: str) -> None:
        options = [
            {"name": choice, "color": COLOURS[place % len(COLOURS)], "description": ""}
            for place, choice in enumerate(self.board.fields[name])
        ]
        made = self.github.ask(queries.MAKE_FIELD, project=self.there.project, name=name, options=options)
        self.there.fields[name] = Field.of(made["createProjectV2Field"]["projectV2Field"])

    def make(self, task: Task) -> None:
        title, body = task.title, self.body(task)
        if self.issues:
            made = self.github.ask(queries.MAKE_ISSUE, repository=self.there.repository, title=title, body=body)
            issue = made["createIssue"]["issue"]
            self.there.contents[task.id] = Content(issue["id"], title, body, issue["number"])
        else:
            made = self.github.ask(queries.MAKE_DRAFT, project=self.there.project, title=title, body=body)
            item = made["addProjectV2DraftIssue"]["projectItem"]
            self.there.contents[task.id] = Content(item["content"]["id"], title, body)
            self.there.items[task.id] = item["id"]

    def rewrite(self, task: Task) -> None:
        if self.issues:
            text = {"issue": self.id_of(task.id), "title": task.title, "body": self.body(task)}
            self.github.ask(queries.CHANGE_ISSUE, **text)
        else:
            text = {"draft": self.id_of(task.id), "title": task.title, "body": self.body(task)}
            self.github.ask(queries.CHANGE_DRAFT, **text)

    def add(self, task: Task) -> None:
        made = self.github.ask(queries.ADD_ISSUE, project=self.there.project, issue=self.id_of(task.id))
        self.there.items[task.id] = made["addProjectV2ItemById"]["item"]["id"]

    def choose(self, task: Task, field: str, choice: str) -> None:
        known = self.there.fields[field]
        item, option = self.there.items[task.id], known.options[choice]
        self.github.ask(queries.CHOOSE, project=self.there.project, item=item, field=known.id, option=option)

    def set_parent(self, task: Task) -> None:
        assert task.parent
        self.github.ask(queries.SET_PARENT, parent=self.id_of(task.parent), child=self.id_of(task.id))

    def close(self, task: Task) -> None:
        same = self.id_of(task.merged_into) if task.merged_into else None
        reason = "DUPLICATE" if same else "COMPLETED"
        self.github.ask(queries.CLOSE_ISSUE, issue=self.id_of(task.id), reason=reason, same=same)

    def reopen(self, task: Task) -> None:
        self.github.ask(queries.REOPEN_ISSUE, issue=self.id_of(task.id))


def bring(changes: list[Change], tell: Callable[[str], None]) -> None:
    """Does all of it, saying each before it is done."""
    for number, change in enumerate(changes, 1):
        tell(f"{number}/{len(changes)}  {change.what}")
        change.do()
