"""The emulator as tests meet it: a process of its own, spoken to over the wire."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

API_KEY = "sk_test_emulator"

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Emulator:
    url: str
    http: httpx.Client

    def clear(self) -> None:
        """Forget all payments, keys, failures and what was asked."""
        self.http.delete("/_config/data").raise_for_status()
        self.http.delete("/_config/requests").raise_for_status()

    def fail_next(self, operation: str, kind: str) -> None:
        """Let the next request that ends as `operation` does fail, as `requests` names failures."""
        asked = {"operation": operation, "kind": kind}
        self.http.post("/_config/failures", json=asked).raise_for_status()

    def forget_keys(self) -> None:
        """Let a day pass for the idempotency keys."""
        self.http.delete("/_config/idempotency_keys").raise_for_status()

    def asked(self) -> list[str]:
        asked: list[str] = self.http.get("/_config/asked").json()
        return asked

    def customer_answers(self, action_url: str, *, success: bool) -> str:
        """Confirm or refuse at the bank; return where the bank sends the customer back to."""
        answer = self.http.post(action_url, data={"success": "true" if success else "false"})
        return answer.headers["location"]

    def call(self, url: str, secret: str) -> None:
        """Send webhooks to `url` from now on."""
        told = {"url": url, "secret": secret}
        self.http.post("/_config/webhooks/shop", json=told).raise_for_status()

    def hang_up(self) -> None:
        """Send no webhooks any more."""
        self.http.delete("/_config/webhooks").raise_for_status()


@contextmanager
def running() -> Iterator[Emulator]:
    command = [sys.executable, "-m", "tests.stripe_emulator"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            # It tells its address once it listens.
            url = process.stdout.readline().strip()
            headers = {"Authorization": f"Bearer {API_KEY}"}
            with httpx.Client(base_url=url, headers=headers, trust_env=False) as http:
                yield Emulator(url, http)
        finally:
            process.terminate()
