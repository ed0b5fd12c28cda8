"""Every route of the server has a decision, and somebody of us has seen it: `routes.txt`.

A newer MLflow with a new route, or with another decision on an old one, fails here. Look at what the route does and who
may call it; then write the line that the test asks for. `nothing` is closed to all but `admin`.
"""

import re
import subprocess
from pathlib import Path

import pytest

from stack.common.mlflow_role import FILES
from tests.security.probing import refused
from tests.support import mlflow_server
from tests.support.mlflow_server import Server

FILE = Path(__file__).parent / "routes.txt"
WRITES = ("POST", "PUT", "PATCH", "DELETE")
# Who searches or asks, whatever the method; and what everybody may do for themselves.
READS = re.compile(
    r"search|/get|list|query|batch|gateway-proxy|graphql|metrics|calculate|jobs|users/current|ui-telemetry|aggregate"
)
PREFIX = re.compile(r"/(?:ajax-)?api/")


def decided() -> list[tuple[str, str, str]]:
    """Method, path (of both prefixes, /api/ and /ajax-api/, where it has both) and decision."""
    lines = (line.split() for line in FILE.read_text().splitlines() if line and not line.startswith("#"))
    return [(method, path, decision) for method, path, decision in lines]


def paths(pattern: str) -> list[str]:
    """What the pattern stands for, with something in each of its holes."""
    filled = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"\1-1", pattern)
    both = [filled.replace("/[ajax-]api/", prefix) for prefix in ("/api/", "/ajax-api/")]
    return both if both[0] != both[1] else both[:1]


def found(programs: Path, folder: Path) -> set[str]:
    """The lines that the installed MLflow gives for `routes.txt`."""
    server = mlflow_server.described(folder, programs)
    server.prepare()
    (folder / "basic_auth.ini").write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder}/auth.db\nadmin_username = admin\n"
        "authorization_function = access:authenticate\n"
    )
    environment = server.environment("serve") | {
        "MLFLOW_AUTH_CONFIG_PATH": str(folder / "basic_auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": server.session_key,
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",
        "PYTHONPATH": str(FILES),
        "HOME": str(folder),
    }
    command: list[str | Path] = [programs / "python", "-W", "ignore", Path(__file__).parent / "route_map.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = set(done.stdout.splitlines())
    # One line for both prefixes where both have the same decision.
    ajax = {line.replace("/ajax-api/", "/api/") for line in lines if "/ajax-api/" in line}
    joined = {line for line in lines if "/api/" in line and line in ajax}
    return {
        line.replace("/api/", "/[ajax-]api/", 1) if line in joined else line
        for line in lines
        if line.replace("/ajax-api/", "/api/") not in joined or line in joined
    }


def test_every_route_is_decided_and_known(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    programs = request.getfixturevalue("programs")
    now, known = found(programs, tmp_path), {" ".join(line) for line in decided()}
    new, gone = "\n".join(sorted(now - known)), "\n".join(sorted(known - now))
    assert not new, f"nobody has decided on these routes; look at each, then add it to {FILE.name}:\n{new}"
    assert not gone, f"MLflow has no such routes any more; take them out of {FILE.name}:\n{gone}"


@pytest.mark.parametrize(("method", "pattern", "decision"), decided(), ids=lambda value: str(value))
def test_a_route_keeps_to_its_decision(server: Server, method: str, pattern: str, decision: str) -> None:
    """Nobody without a password comes in; a reader writes nothing; what is undecided is closed to all but `admin`."""
    body = b"{}" if method in WRITES else None
    for path in paths(pattern):
        alone = server.call(method, path, None, body)
        assert alone.status in (401, *((200, 404) if decision == "open" else ())), f"{path}: {alone.status}"
        answer = server.call(method, path, "viewer", body, {"Origin": server.url})
        if decision == "nothing":
            assert refused(answer), f"{path}: {answer.status} {answer.text[:200]}"
        elif method in WRITES and not READS.search(path):
            assert answer.status >= 400, f"{path} as viewer: {answer.status} {answer.text[:200]}"
