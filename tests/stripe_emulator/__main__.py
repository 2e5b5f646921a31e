"""Serve the emulator: `python -m tests.stripe_emulator [port]`, 0 or nothing for any free one."""

from __future__ import annotations

import asyncio
import html
import sys
from urllib.parse import urlencode

from aiohttp import web

from tests.stripe_emulator import corrections, requests

corrections.install()

from localstripe import server, webhooks  # noqa: E402 - corrected before its routes are made
from localstripe.resources import PaymentIntent  # noqa: E402


async def show_bank(request: web.Request) -> web.Response:
    intent = PaymentIntent._api_retrieve(request.match_info["id"])
    amount = html.escape(f"{intent.amount} {intent.currency}")
    buttons = "".join(
        f'<button name="success" value="{value}">{label}</button>'
        for value, label in (("true", "Confirm"), ("false", "Refuse"))
    )
    page = f'<h1>The bank</h1><p>{amount}</p><form method="post">{buttons}</form>'
    return web.Response(text=page, content_type="text/html")


async def hear_customer(request: web.Request) -> web.Response:
    """Confirm or refuse as the customer says, and send them back."""
    intent = PaymentIntent._api_retrieve(request.match_info["id"])
    corrections.authenticate(intent, (await request.post())["success"] == "true")
    status = "succeeded" if intent.status == "requires_capture" else "failed"
    told = urlencode({"payment_intent": intent.id, "redirect_status": status})
    raise web.HTTPSeeOther(f"{intent._return_url}?{told}")


async def hang_up(_request: web.Request) -> web.Response:
    webhooks._webhooks.clear()
    return web.json_response({})


async def serve(port: int) -> None:
    app = server.app
    app.middlewares.insert(0, requests.around)
    app.router.add_get("/_config/bank/{id}", show_bank)
    app.router.add_post("/_config/bank/{id}", hear_customer)
    app.router.add_delete("/_config/webhooks", hang_up)
    app.router.add_post("/_config/failures", requests.ask_for_failure)
    app.router.add_get("/_config/asked", requests.tell_asked)
    app.router.add_delete("/_config/requests", requests.forget_everything)
    app.router.add_delete("/_config/idempotency_keys", requests.forget_keys)
    runner = web.AppRunner(app)
    await runner.setup()
    listening = web.TCPSite(runner, "127.0.0.1", port)
    await listening.start()
    corrections.site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    sys.stdout.write(f"{corrections.site.url}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
