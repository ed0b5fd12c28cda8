"""Prints every route of MLflow's server with the decision of its authorization, as test_routes.py compares them.

Runs in MLflow's own environment. A line: method, path, decision: the name of the function that decides before the
request, `open` (nobody is asked), `everybody` (who has a password), `handler` (it keeps to the user's permissions
itself), `nothing` (so it is closed).
"""

import re

from mlflow.server import app, auth


def decision(rule, method):
    """Asks MLflow's own authorization, as it does for each request."""
    path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"\1-1", str(rule))
    with app.test_request_context(path, method=method):
        request = auth.request
        if auth.is_unprotected_route(path):
            return "open"
        if validator := auth._find_validator(request):
            if validator.__name__ == "<lambda>":  # a constant
                return "everybody" if validator() else "nothing"
            return validator.__name__
        if auth._is_proxy_artifact_path(path):
            validator = auth._get_proxy_artifact_validator(method, request.view_args)
            return validator.__name__ if validator else "nothing"
        return "handler" if auth._authorized_outside_before_request(request) else "nothing"


def main():
    auth.create_app(app)
    for rule in app.url_map.iter_rules():
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            print(method, rule, decision(rule, method))


if __name__ == "__main__":
    main()
