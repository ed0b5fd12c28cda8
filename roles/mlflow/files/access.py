"""MLflow's own basic-auth, and what its permissions cannot state or do not ask.

Who may make experiments and models: whoever makes an experiment chooses where its artifacts lie, and with `file:///…`
the server reads and writes its own disk. Demo data are made for anybody who asks. The experiment whose permission is
asked is the first segment of an artifact's path: with `./` before it MLflow before 3.18 asks for none. Who makes a
model manages what has its name: of one called `*`, before 3.18, every model.
An upload passes through the server's disk: one that does not fit is refused before it begins.
"""

import contextlib
import json
import os
import re
import shutil
import tempfile
from pathlib import Path

from flask import Response, request
from mlflow.server.auth import authenticate_request_basic_auth, make_basic_auth_response
from werkzeug.datastructures import Authorization

USERS = json.loads(Path(os.environ["ACCOUNTS"]).read_text())["users"]
DEMO = re.compile(r"/mlflow/+demo/")
ODD_SEGMENTS = re.compile(r"(^|[/\\])\.{1,2}([/\\;]|$)|[/\\]{2}")
NAMES = ("name", "new_name", "newName", "username")
CREATION = re.compile(r"/(?:ajax-)?api/\d+\.\d+(?:/preview)?/mlflow/(experiments|registered-models)/create/?")


def may_create(kind: str, user: str) -> bool:
    """`kind` is the path's word; experiments are `admin`'s alone."""
    return user == "admin" or (kind == "registered-models" and USERS.get(user, {}).get("create_models", False))


def wildcard() -> Response | None:
    """The answer to whoever gives something a name with `*`, which stands for all in MLflow's grants."""
    body = request.get_json(force=True, silent=True) if request.method in ("POST", "PATCH") else None
    if isinstance(body, str):  # old clients encode it twice, and MLflow takes that
        with contextlib.suppress(ValueError):
            body = json.loads(body)
    for key in NAMES if isinstance(body, dict) else ():
        if "*" in str(body.get(key, "")):
            text = f"`{body[key]}` is no name: `*` stands for all; take another"
            return Response(
                json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": text}), 400, mimetype="application/json"
            )
    return None


def odd_path() -> Response | None:
    """The answer to a path, or an artifact's path in the query, that can be spelled otherwise."""
    artifact = "/mlflow-artifacts/" in request.path
    for path in (request.path, *(request.args.getlist("path") if artifact else ())):
        if ODD_SEGMENTS.search(path):
            return Response(f"the path `{path}` has segments such as `.`, `..` or none at all; say it plainly", 400)
    return None


def lack_of_space() -> Response | None:
    """The answer to an upload that is larger than what is free; a client does not try it again."""
    folder = tempfile.gettempdir()  # where MLflow puts it
    size, free = request.content_length or 0, shutil.disk_usage(folder).free
    if request.method != "PUT" or size < free:
        return None
    text = (
        f"no space left on MLflow's machine: the upload has {size} bytes, {free} are free in {folder}; "
        "make room, try again"
    )
    return Response(json.dumps({"error_code": "INTERNAL_ERROR", "message": text}), 507, mimetype="application/json")


def authenticate() -> Authorization | Response:
    """The user of the request, or the answer that refuses it (401, 403)."""
    if request.authorization is None or request.authorization.type != "basic":
        return make_basic_auth_response()  # MLflow's cache of passwords fails on others than these
    who = authenticate_request_basic_auth()
    if isinstance(who, Authorization) and who.username != "admin" and DEMO.search(request.path):
        return Response(f"{who.username} may not make or delete demo data", 403)
    creation = CREATION.search(request.path)
    if creation and isinstance(who, Authorization) and not may_create(creation[1], who.username or ""):
        return Response(f"{who.username} may not create {creation[1]}", 403)
    return (odd_path() or wildcard() or lack_of_space() or who) if isinstance(who, Authorization) else who
