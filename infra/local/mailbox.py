"""Mail the functions sent, to be read instead of delivered."""

from __future__ import annotations

import html
from typing import Any

from moto.ses.models import ses_backends

from infra.local.clock import as_datetime

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Mailbox</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto }}
article {{ border-top: 1px solid #ccc; padding: 1rem 0 }}
pre {{ white-space: pre-wrap; font: inherit }}
iframe {{ width: 100%; height: 36rem; border: 1px solid #ccc; resize: vertical }}
</style>
<h1>Mailbox</h1>
{mails}
</html>
"""


class Mailbox:
    """Reads what moto's SES keeps of sent mail."""

    def __init__(self, region: str, account_id: str) -> None:
        self._backend: Any = ses_backends[account_id][region]

    def list(self, to: str | None = None) -> list[dict[str, Any]]:
        """Return the mails sent, newest first, all of them or those to one address."""
        mails = [_mail(message) for message in reversed(self._backend.sent_messages)]
        return [mail for mail in mails if to is None or to in mail["to"]]

    def clear(self) -> None:
        """Throw all mails away."""
        self._backend.sent_messages.clear()

    def page(self, to: str | None = None) -> str:
        """Return the mails as a page for a person."""
        mails = "".join(_article(mail) for mail in self.list(to))
        return _PAGE.format(mails=mails or "<p>No mail yet.</p>")


def _mail(message: Any) -> dict[str, Any]:
    request = getattr(message, "request", {})
    simple = request.get("Content", {}).get("Simple", {})
    body = simple.get("Body", {})
    destinations = request.get("Destination", {})
    sent_at = getattr(message, "sent_at", None) or as_datetime(0)
    return {
        "id": message.id,
        "sent_at": sent_at.isoformat(timespec="milliseconds").replace("+00:00", "") + "Z",
        "from": message.source,
        "to": [
            address
            for kind in ("ToAddresses", "CcAddresses", "BccAddresses")
            for address in destinations.get(kind, [])
        ],
        "subject": simple.get("Subject", {}).get("Data", ""),
        "text": body.get("Text", {}).get("Data"),
        "html": body.get("Html", {}).get("Data"),
        "raw": getattr(message, "raw_data", None),
    }


def _article(mail: dict[str, Any]) -> str:
    addresses = ", ".join(mail["to"])
    subject = html.escape(mail["subject"])
    parts = ""
    text = mail["text"] or mail["raw"]
    if text:
        parts += f"<h3>As text</h3><pre>{html.escape(text)}</pre>"
    if mail["html"]:
        # In a sandbox a mail's page runs nothing and reaches nothing of this one.
        page = html.escape(mail["html"])
        parts += f'<h3>As a page</h3><iframe sandbox title="{subject}" srcdoc="{page}"></iframe>'
    return (
        f"<article><h2>{subject}</h2>"
        f"<p>{html.escape(mail['sent_at'])} to {html.escape(addresses)}</p>{parts}</article>\n"
    )
