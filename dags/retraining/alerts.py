"""Tells people how a run ended: always in the log, and by each connection of `CHANNELS` that exists.

| Connection | Holds |
|---|---|
| `alert_slack` | password: the address of an incoming webhook (Slack, Mattermost, anything that takes `{"text": …}`) |
| `alert_telegram` | password: the bot's token; login: the chat's id; host: another API server than Telegram's |
| `alert_email` | host, port, login, password of a mail server; extra: `from`, `to`, `security` (starttls, tls, none) |

A channel that fails is logged and nothing more: it neither hides what happened nor stops the others. Addresses and
tokens are secrets: no message and no log line has one, so of a failure only its kind is told.
"""

import json
import logging
import smtplib
import ssl
import urllib.request
from email.message import EmailMessage
from typing import Any

from dags.retraining import compat

TIMEOUT = 10  # seconds
log = logging.getLogger(__name__)


# ------------------------------------------------------------------------------------------------ callbacks
def failed(context: Any) -> None:
    """`on_failure_callback` of a DAG: Airflow calls it whatever ended the run, be it a killed worker or a timeout."""
    dag_id, run_id = context["dag"].dag_id, context["run_id"]
    where = ", ".join(compat.failed_tasks(context)) or "see the run"
    url = compat.run_url(dag_id, run_id)
    send(f"{dag_id} failed: {where}", f"{context.get('reason') or 'failed'}, run {run_id}\n{url}", logging.ERROR)


def decided(context: Any) -> None:
    """`on_success_callback` of the task `report`: what was decided, why, and where to read more."""
    ti = context["ti"]
    decision, answer = ti.xcom_pull(task_ids="decide"), ti.xcom_pull(task_ids="approve")
    how = " (dry run)" if decision.get("dry_run") else ""
    if answer:
        how = f", {answer['verdict']} by {answer['by']}" + (f" ({answer['why']})" if answer["why"] else "")
    send(
        f"{context['dag'].dag_id}: {decision['action']}{how}",
        f"{decision['reason']}\n{ti.xcom_pull(task_ids='report')}",
    )


# ------------------------------------------------------------------------------------------------ delivery
def send(title: str, text: str, level: int = logging.INFO) -> list[str]:
    """Delivers a message; returns the names of the connections that took it. Raises nothing."""
    log.log(level, "%s\n%s", title, text)
    delivered = []
    for name, deliver in CHANNELS.items():
        try:
            deliver(compat.connection(name), title, text)
            delivered.append(name)
        except compat.AirflowNotFoundException:
            log.debug("no connection %s", name)
        except Exception as problem:
            code = getattr(problem, "code", None) or getattr(problem, "smtp_code", "")
            log.error("the alert was not delivered by %s: %s %s", name, type(problem).__name__, code)
    return delivered


def slack(connection: Any, title: str, text: str) -> None:
    _post(connection.password, {"text": f"*{title}*\n{text}"})


def telegram(connection: Any, title: str, text: str) -> None:
    server = f"{connection.schema or 'https'}://{connection.host or 'api.telegram.org'}"
    port = f":{connection.port}" if connection.port else ""
    body = {"chat_id": connection.login, "text": f"{title}\n{text}", "disable_web_page_preview": True}
    _post(f"{server}{port}/bot{connection.password}/sendMessage", body)


def email(connection: Any, title: str, text: str) -> None:
    extra = connection.extra_dejson
    security = extra.get("security", "starttls")
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = title, extra["from"], extra["to"]
    message.set_content(text)
    place, tls = (connection.host, connection.port or 0), ssl.create_default_context()
    server: smtplib.SMTP
    if security == "tls":
        server = smtplib.SMTP_SSL(*place, timeout=TIMEOUT, context=tls)
    else:
        server = smtplib.SMTP(*place, timeout=TIMEOUT)
    with server:
        if security == "starttls":
            server.starttls(context=tls)
        if connection.login:
            server.login(connection.login, connection.password)
        server.send_message(message)


def _post(url: str, body: dict[str, Any]) -> None:
    if not url.startswith(("https://", "http://")):
        raise ValueError("not a web address")
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=TIMEOUT):
        pass


CHANNELS = {"alert_slack": slack, "alert_telegram": telegram, "alert_email": email}
