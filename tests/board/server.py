"""A GitHub that keeps projects and issues; its own published schema decides what may be asked and answered.

It refuses what GitHub refuses (a choice that the field has not, an issue twice on a board is the same item), pages by
the sizes that are asked for, and can be told to answer as GitHub does when it is asked too often.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from graphql import GraphQLError, GraphQLSchema, graphql_sync

Node = dict[str, Any]
STATUSES = ("Todo", "In Progress", "Done")


def connection(nodes: Callable[[], list[Any]]) -> Callable[..., Any]:
    """A field that pages; GitHub takes at most 100 at once."""

    def resolve(first: int, after: str | None = None, **_: Any) -> Node:
        if not 0 < first <= 100:
            raise GraphQLError(f"`first` is {first}, 1 to 100 is expected")
        every, begin = nodes(), int(after or 0)
        page = every[begin : begin + first]
        more = begin + first < len(every)
        return {"nodes": page, "pageInfo": {"hasNextPage": more, "endCursor": str(begin + len(page))}}

    return resolve


@dataclass
class World:
    """What GitHub has, by id; `faults` are answers that are given instead, one after the other."""

    schema: GraphQLSchema
    owner: str = "somebody"
    repository: str = "somebody/fraud"
    scopes: str = "project, repo"
    nodes: dict[str, Node] = field(default_factory=dict)
    faults: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # names of operations
    remaining: int = 5000

    def __post_init__(self) -> None:
        self.keep("User", login=self.owner, projectsV2=self.projects, id="U1")
        repository = self.keep("Repository", nameWithOwner=self.repository, hasIssuesEnabled=True, id="R1")
        repository["issues"] = connection(lambda: self.of("Issue"))

    def keep(self, kind: str, **values: Any) -> Node:
        node = {"__typename": kind, "id": f"{kind}-{len(self.nodes)}"} | values
        self.nodes[node["id"]] = node
        return node

    def of(self, kind: str) -> list[Node]:
        return [node for node in self.nodes.values() if node["__typename"] == kind]

    def get(self, key: str, kind: str) -> Node:
        node = self.nodes.get(key)
        if node is None or node["__typename"] != kind:
            raise GraphQLError(f"Could not resolve to a {kind} with the global id of '{key}'")
        return node

    def projects(self, query: str = "", **page: Any) -> Any:
        return connection(lambda: [each for each in self.of("ProjectV2") if query in each["title"]])(**page)

    # ---------------------------------------------------------------------------------------------- what is asked
    @property
    def root(self) -> Node:
        return {
            "rateLimit": {"cost": 1, "remaining": self.remaining, "resetAt": "2100-01-01T00:00:00Z", "limit": 5000},
            "repositoryOwner": lambda login: next((n for n in self.of("User") if n["login"] == login), None),
            "repository": lambda owner, name, **_: self.find_repository(f"{owner}/{name}"),
            "node": lambda id: self.nodes.get(id),
            **{name: getattr(self, name) for name in MUTATIONS},
        }

    def find_repository(self, name: str) -> Node:
        for node in self.of("Repository"):
            if node["nameWithOwner"] == name:
                return node
        raise GraphQLError(f"Could not resolve to a Repository with the name '{name}'.")

    def createProjectV2(self, input: Node) -> Node:
        project = self.keep("ProjectV2", title=input["title"], closed=False, url="https://github.test/projects/1")
        project["fields"] = connection(lambda: self.within("Field", project))
        project["items"] = connection(lambda: self.within("ProjectV2Item", project))
        self.keep("Field", type="ProjectV2Field", project=project["id"], name="Title", dataType="TITLE")
        self.make_choices(project["id"], "Status", STATUSES)
        return {"projectV2": project}

    def within(self, kind: str, project: Node) -> list[Node]:
        found = [each for each in self.of(kind) if each["project"] == project["id"]]
        return [each | {"__typename": each.get("type", kind)} for each in found]

    def make_choices(self, project: str, name: str, choices: Any) -> Node:
        options = [{"id": f"{name}-{choice}", "name": choice} for choice in choices]
        kind = "ProjectV2SingleSelectField"
        found = self.keep("Field", type=kind, project=project, name=name, dataType="SINGLE_SELECT", options=options)
        return found | {"__typename": kind}

    def createProjectV2Field(self, input: Node) -> Node:
        names = [each["name"] for each in input["singleSelectOptions"]]
        return {"projectV2Field": self.make_choices(input["projectId"], input["name"], names)}

    def createIssue(self, input: Node) -> Node:
        number = len(self.of("Issue")) + 1
        issue = self.keep(
            "Issue",
            number=number,
            title=input["title"],
            body=input.get("body", ""),
            url=f"https://github.test/{self.repository}/issues/{number}",
            state="OPEN",
            stateReason=None,
            parent=None,
        )
        return {"issue": issue}

    def updateIssue(self, input: Node) -> Node:
        issue = self.get(input["id"], "Issue")
        issue.update({name: input[name] for name in ("title", "body") if name in input})
        return {"issue": issue}

    def closeIssue(self, input: Node) -> Node:
        issue = self.get(input["issueId"], "Issue")
        same = input.get("duplicateIssueId")
        if same:
            self.get(same, "Issue")
        issue.update(state="CLOSED", stateReason=input.get("stateReason"), same=same)
        return {"issue": issue}

    def reopenIssue(self, input: Node) -> Node:
        issue = self.get(input["issueId"], "Issue")
        issue.update(state="OPEN", stateReason="REOPENED")
        return {"issue": issue}

    def addSubIssue(self, input: Node) -> Node:
        parent, child = self.get(input["issueId"], "Issue"), self.get(input["subIssueId"], "Issue")
        if child["parent"] and not input.get("replaceParent"):
            raise GraphQLError("Sub-issue may only have one parent")
        child["parent"] = parent
        return {"subIssue": child}

    def addProjectV2ItemById(self, input: Node) -> Node:
        project, issue = self.get(input["projectId"], "ProjectV2"), self.get(input["contentId"], "Issue")
        for item in self.within("ProjectV2Item", project):
            if item["content"] is issue:
                return {"item": item}
        return {"item": self.make_item(project, issue)}

    def make_item(self, project: Node, content: Node) -> Node:
        item = self.keep("ProjectV2Item", project=project["id"], content=content, chosen={})
        item["fieldValues"] = connection(lambda: list(item["chosen"].values()))
        return item

    def addProjectV2DraftIssue(self, input: Node) -> Node:
        draft = self.keep("DraftIssue", title=input["title"], body=input.get("body", ""))
        return {"projectItem": self.make_item(self.get(input["projectId"], "ProjectV2"), draft)}

    def updateProjectV2DraftIssue(self, input: Node) -> Node:
        draft = self.get(input["draftIssueId"], "DraftIssue")
        draft.update({name: input[name] for name in ("title", "body") if name in input})
        return {"draftIssue": draft}

    def updateProjectV2ItemFieldValue(self, input: Node) -> Node:
        item, known = self.get(input["itemId"], "ProjectV2Item"), self.get(input["fieldId"], "Field")
        option = input["value"]["singleSelectOptionId"]
        name = next((each["name"] for each in known["options"] if each["id"] == option), None)
        if name is None:
            raise GraphQLError("The single select option Id does not belong to the field")
        value = {"__typename": "ProjectV2ItemFieldSingleSelectValue", "name": name}
        item["chosen"][known["name"]] = value | {"field": known | {"__typename": "ProjectV2SingleSelectField"}}
        return {"projectV2Item": item}

    # ---------------------------------------------------------------------------------------------- a test's questions
    def board(self) -> dict[str, dict[str, str]]:
        """Title of each item -> its choices."""
        return {
            item["content"]["title"]: {name: value["name"] for name, value in item["chosen"].items()}
            for item in self.of("ProjectV2Item")
        }

    def issue(self, title: str) -> Node:
        (found,) = [each for each in self.of("Issue") if each["title"] == title]
        return found


MUTATIONS = [name for name in vars(World) if name.startswith(("create", "update", "add", "close", "reopen"))]


def resolve(source: Any, info: Any, **arguments: Any) -> Any:
    value = source.get(info.field_name) if isinstance(source, dict) else None
    return value(**arguments) if callable(value) else value


class Handler(BaseHTTPRequestHandler):
    world: World

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, headers, answer = 200, {"X-OAuth-Scopes": self.world.scopes}, None
        if self.headers["Authorization"] != "bearer a-token":
            status, answer = 401, {"message": "Bad credentials"}
        elif self.world.faults:
            status, more, answer = self.world.faults.pop(0)
            headers |= more
        if answer is None:
            self.world.asked.append(sent["query"].split("(")[0].split()[1])
            done = graphql_sync(
                self.world.schema,
                sent["query"],
                self.world.root,
                variable_values=sent["variables"],
                field_resolver=resolve,
            )
            answer = done.formatted
        body = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def serving(world: World) -> Iterator[str]:
    """The address of a GitHub on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Of", (Handler,), {"world": world}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/graphql"
    finally:
        server.shutdown()
        server.server_close()
