"""Sending to addresses that others chose: over the wire, to a server of this machine."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from notifications import post as post_module
from notifications.deliveries import ANSWER_LENGTH_MAX, Answer, PublishedEvent
from notifications.post import ATTEMPT_SECONDS, HTTPPost
from tests.fakes.merchant import Merchant, merchant

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_" + "b2xk" * 8
EVENT = PublishedEvent("evt_1", "order.placed.v1", '{"event_id": "evt_1", "title": "Ångström"}')


@pytest.fixture
def shop() -> Iterator[Merchant]:
    with merchant() as running:
        yield running


def sent(url: str, *secrets: str, post: HTTPPost | None = None) -> Answer:
    return (post or HTTPPost(loopback_allowed=True)).sign_and_send(url, EVENT, secrets or (SECRET,))


def test_a_receiver_verifies_what_was_sent_with_the_standards_own_library(shop: Merchant) -> None:
    answer = sent(shop.url)

    (request,) = shop.received
    assert answer.is_accepted
    assert request.path == "/hooks?shop=1"
    assert request.body == EVENT.body.encode()
    assert request.headers["content-type"] == "application/json"
    assert Webhook(SECRET).verify(request.body, request.headers) == json.loads(EVENT.body)


def test_a_receiver_with_another_secret_or_another_body_believes_nothing(shop: Merchant) -> None:
    sent(shop.url)

    (request,) = shop.received
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD_SECRET).verify(request.body, request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body + b" ", request.headers)


def test_while_a_secret_is_rotated_the_old_and_the_new_one_both_verify(shop: Merchant) -> None:
    sent(shop.url, SECRET, OLD_SECRET)

    (request,) = shop.received
    for secret in (SECRET, OLD_SECRET):
        assert Webhook(secret).verify(request.body, request.headers)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_taken(shop: Merchant, status: int) -> None:
    shop.status = status

    assert sent(shop.url).is_accepted


@pytest.mark.parametrize("status", [300, 400, 401, 404, 410, 429, 500, 503])
def test_anything_else_is_no_success(shop: Merchant, status: int) -> None:
    shop.status, shop.body = status, b"not today"

    answer = sent(shop.url)

    assert not answer.is_accepted
    assert (answer.status_code, answer.text, answer.failure) == (status, "not today", None)
    assert answer.is_gone is (status == 410)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(shop: Merchant, status: int) -> None:
    with merchant() as elsewhere:
        shop.status, shop.headers = status, {"Location": elsewhere.url}

        answer = sent(shop.url)

    assert (answer.status_code, answer.is_accepted) == (status, False)
    assert len(shop.received) == 1
    assert elsewhere.received == []


def test_of_a_long_answer_the_beginning_is_read(shop: Merchant) -> None:
    shop.body = "ä".encode() * 5_000_000

    answer = sent(shop.url)

    assert answer.text == "ä" * ANSWER_LENGTH_MAX


def test_an_answer_that_is_no_text_is_kept_readable(shop: Merchant) -> None:
    shop.body = b"\xff\xfe\x00ok"

    assert sent(shop.url).text.endswith("ok")


def drips(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100):
        handler.wfile.write(b"X-Drip: 1\r\n")
        handler.wfile.flush()
        time.sleep(0.05)


def is_silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(1)


def hangs_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


def talks_nonsense(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"220 smtp.example.com ESMTP\r\n")


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time-outs be short, not the waiting long."""
    monkeypatch.setattr(post_module, "_SILENCE_SECONDS", 0.2)
    monkeypatch.setattr(post_module, "ATTEMPT_SECONDS", 0.4)


@pytest.mark.usefixtures("hurried")
def test_a_system_that_says_nothing_is_given_up(shop: Merchant) -> None:
    shop.misbehaves = is_silent

    answer = sent(shop.url)

    assert (answer.status_code, answer.failure) == (None, "timeout")
    assert answer.duration_milliseconds < 900


@pytest.mark.usefixtures("hurried")
def test_a_system_that_drips_its_answer_is_cut_off(shop: Merchant) -> None:
    shop.misbehaves = drips

    answer = sent(shop.url)

    assert (answer.status_code, answer.failure) == (None, "timeout")
    assert 300 < answer.duration_milliseconds < 900


def test_an_attempt_ends_well_before_its_function_does() -> None:
    assert post_module._SILENCE_SECONDS <= ATTEMPT_SECONDS < 10


@pytest.mark.parametrize("misbehaviour", [hangs_up, talks_nonsense])
def test_a_broken_answer_is_a_failure_and_no_error(shop: Merchant, misbehaviour) -> None:
    shop.misbehaves = misbehaviour

    answer = sent(shop.url)

    assert (answer.status_code, answer.failure) == (None, "connection")


def test_nobody_listening_is_a_failure() -> None:
    with merchant() as gone:
        pass

    assert sent(gone.url).failure == "connection"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 64 + ".example"])
def test_a_name_that_nobody_knows_is_a_failure(host: str) -> None:
    assert sent(f"https://{host}/").failure == "unknown_host"


PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",  # where a machine of AWS reads its own credentials
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "::1",
    "::ffff:10.0.0.1",
    "fd00:ec2::254",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_into_a_network_of_ours_is_not_called(
    shop: Merchant, address: str
) -> None:
    post = HTTPPost(loopback_allowed=False, resolver=lambda *_: [address])

    assert sent("https://evil.example/", post=post).failure == "address_refused"


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    post = HTTPPost(loopback_allowed=False, resolver=lambda *_: ["93.184.216.34", "10.0.0.1"])

    assert sent("https://evil.example/", post=post).failure == "address_refused"


def test_on_aws_this_machine_is_not_called_by_any_name(shop: Merchant) -> None:
    answer = sent(shop.url, post=HTTPPost(loopback_allowed=False))

    assert answer.failure == "address_refused"
    assert shop.received == []


def test_the_address_that_was_checked_is_the_one_that_is_called(shop: Merchant) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    post = HTTPPost(loopback_allowed=True, resolver=lambda *_: next(answers))

    answer = sent(shop.url.replace("localhost", "rebinding.example"), post=post)

    (request,) = shop.received
    assert answer.is_accepted
    assert request.headers["host"].startswith("rebinding.example:")
    assert next(answers) == ["10.0.0.1"], "it was looked up twice"


def test_an_address_beyond_this_machine_is_never_called_without_encryption() -> None:
    post = HTTPPost(loopback_allowed=True, resolver=lambda *_: ["93.184.216.34"])

    assert sent("http://shop.example/", post=post).failure == "address_refused"


def certificate(folder: Path, *names: str) -> Path:
    """Make a certificate that signs itself; the file has its key, too."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    *(x509.DNSName(one) for one in names),
                    x509.IPAddress(ipaddress.ip_address("127.0.0.9")),
                ]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = folder / f"{names[0]}.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + made.public_bytes(Encoding.PEM)
    )
    return path


@contextmanager
def encrypted(path: Path) -> Iterator[Merchant]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(path)
    with merchant(tls) as running:
        yield running


def test_a_trusted_certificate_of_the_name_is_believed_though_the_address_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path, "shop.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    post = HTTPPost(loopback_allowed=True, resolver=lambda *_: ["127.0.0.1"])

    with encrypted(path) as shop:
        answer = sent(shop.url.replace("localhost", "shop.example"), post=post)

    assert answer.is_accepted, answer
    assert Webhook(SECRET).verify(shop.received[0].body, shop.received[0].headers)


def test_a_certificate_of_another_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path, "other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    post = HTTPPost(loopback_allowed=True, resolver=lambda *_: ["127.0.0.1"])

    with encrypted(path) as shop:
        answer = sent(shop.url.replace("localhost", "shop.example"), post=post)

    assert answer.failure == "tls"
    assert shop.received == []


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    post = HTTPPost(loopback_allowed=True, resolver=lambda *_: ["127.0.0.1"])

    with encrypted(certificate(tmp_path, "shop.example")) as shop:
        answer = sent(shop.url.replace("localhost", "shop.example"), post=post)

    assert answer.failure == "tls"
    assert shop.received == []
