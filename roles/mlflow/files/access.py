"""MLflow's own basic-auth, and what its permissions cannot state: who may make experiments and models.

Whoever makes an experiment chooses where its artifacts lie: with `file:///…` the server reads and writes its own disk.
An upload passes through the server's disk: one that does not fit is refused before it begins.
"""

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
CREATION = re.compile(r"/(?:ajax-)?api/\d+\.\d+(?:/preview)?/mlflow/(experiments|registered-models)/create/?")


def may_create(kind: str, user: str) -> bool:
    """`kind` is the path's word; experiments are `admin`'s alone."""
    return user == "admin" or (kind == "registered-models" and USERS.get(user, {}).get("create_models", False))


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
    creation = CREATION.search(request.path)
    if creation and isinstance(who, Authorization) and not may_create(creation[1], who.username or ""):
        return Response(f"{who.username} may not create {creation[1]}", 403)
    return (lack_of_space() or who) if isinstance(who, Authorization) else who
