"""Delivers a message by every channel: the connections of Airflow's alerts, in the same form (dags/README.md).

A channel is `{"value": connection}` or `{"lockbox": id, "key": entry}`, read when it is used: it may be filled later.
Addresses and tokens are secrets: no message and no log line has one, so of a failure only its kind is told.
"""

import json
import os
import smtplib
import ssl
import sys
import urllib.error
import urllib.request
from email.message import EmailMessage
from pathlib import Path
from typing import Any

SECONDS = 10  # for each answer
Connection = dict[str, Any]


def ask(url: str, headers: dict[str, str], context: ssl.SSLContext | None = None) -> Any:
    """JSON of a GET. No proxy: neither the token nor a payload may pass one."""
    handlers: list[Any] = [urllib.request.ProxyHandler({})]
    handlers += [urllib.request.HTTPSHandler(context=context)] if context else []
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.build_opener(*handlers).open(request, timeout=SECONDS) as answer:
        return json.load(answer)


def from_lockbox(settings: dict[str, Any], secret: str, key: str) -> str:
    """An entry of a secret, by the machine's own identity; empty if it has none yet."""
    address = f"http://{settings['metadata']}/computeMetadata/v1/instance/service-accounts/default/token"
    token = ask(address, {"Metadata-Flavor": "Google"})["access_token"]
    context = ssl.create_default_context()
    if settings["ca"]:
        context.load_verify_locations(cadata=settings["ca"])
    url = f"{settings['lockbox']}/lockbox/v1/secrets/{secret}/payload"
    try:
        entries = ask(url, {"Authorization": f"Bearer {token}"}, context)["entries"]
    except urllib.error.HTTPError as refusal:
        if refusal.code in (400, 404):  # without a version there is nothing to read
            return ""
        raise
    return next((str(entry.get("textValue", "")) for entry in entries if entry["key"] == key), "")


def connection(settings: dict[str, Any], source: dict[str, Any]) -> Connection | None:
    """What the channel's source holds; None: nothing yet."""
    found = source.get("value") or from_lockbox(settings, source["lockbox"], source["key"])
    whole: Connection | None = json.loads(found) if isinstance(found, str) and found else found or None
    if whole and isinstance(whole.get("extra"), str):
        whole["extra"] = json.loads(whole["extra"])
    return whole


def post(url: str, body: dict[str, Any]) -> None:
    if not url.startswith(("https://", "http://")):
        raise ValueError("not a web address")
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    with urllib.request.urlopen(request, timeout=SECONDS):
        pass


def slack(found: Connection, title: str, text: str) -> None:
    post(found["password"], {"text": f"*{title}*\n{text}"})


def telegram(found: Connection, title: str, text: str) -> None:
    server = f"{found.get('schema') or 'https'}://{found.get('host') or 'api.telegram.org'}"
    server += f":{found['port']}" if found.get("port") else ""
    body = {"chat_id": found["login"], "text": f"{title}\n{text}", "disable_web_page_preview": True}
    post(f"{server}/bot{found['password']}/sendMessage", body)


def email(found: Connection, title: str, text: str) -> None:
    extra = found.get("extra") or {}
    security, place = extra.get("security", "starttls"), (found["host"], int(found.get("port") or 0))
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = title, extra["from"], extra["to"]
    message.set_content(text)
    tls = ssl.create_default_context()
    server: smtplib.SMTP
    server = (
        smtplib.SMTP_SSL(*place, timeout=SECONDS, context=tls)
        if security == "tls"
        else smtplib.SMTP(*place, timeout=SECONDS)
    )
    with server:
        if security == "starttls":
            server.starttls(context=tls)
        if found.get("login"):
            server.login(found["login"], found["password"])
        server.send_message(message)


CHANNELS = {"alert_slack": slack, "alert_telegram": telegram, "alert_email": email}


def deliver(title: str, text: str) -> tuple[list[str], list[str]]:
    """Sends it by every channel of the credential `channels`: those that took it, those that did not."""
    settings = json.loads(Path(os.environ["CREDENTIALS_DIRECTORY"], "channels").read_text())
    took, failed = [], []
    for name, source in settings["channels"].items():
        try:
            if found := connection(settings, source):
                CHANNELS[name](found, title, text)
                took.append(name)
            else:
                print(f"{name} has nothing in it yet")
        except Exception as problem:
            code = getattr(problem, "code", None) or getattr(problem, "smtp_code", "")
            print(f"not delivered by {name}: {type(problem).__name__} {code}", file=sys.stderr)
            failed.append(name)
    return took, failed
