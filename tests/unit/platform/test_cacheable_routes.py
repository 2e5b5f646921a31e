"""What everybody may keep is only what everybody may read."""

from __future__ import annotations

import json

import pytest

from tradepost.platform.auth import BUYERS, PUBLIC, Role
from tradepost.platform.bodies import View
from tradepost.platform.service import Reply, Service


class Shown(View):
    word: str


@pytest.mark.parametrize(
    ("method", "roles"),
    [("get", BUYERS), ("get", {Role.ADMIN}), ("put", PUBLIC), ("delete", PUBLIC)],
)
def test_a_private_answer_or_a_write_cannot_be_declared_cacheable(method, roles):
    app = Service("shown")

    with pytest.raises(TypeError, match="may be kept by everybody"):
        getattr(app, method)("/v1/words", roles=roles, cacheable=True)(lambda: None)


def answered(reply, **headers):
    app = Service("shown")

    @app.get("/v1/words", roles=PUBLIC, cacheable=True)
    def show_word() -> Reply[Shown]:
        return reply

    event = {
        "headers": headers,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
        "requestContext": {
            "resourcePath": "/v1/words", "httpMethod": "GET", "requestId": "req_test",
        },
    }  # fmt: skip
    return app(event, None)


def test_an_answer_without_a_time_is_asked_for_again_each_time():
    answer = answered(Reply(json.dumps({"word": "mug"})))

    assert answer["headers"]["Cache-Control"] == "public, max-age=0"


def test_other_bytes_have_another_tag_and_the_same_bytes_the_same():
    tags = [
        answered(Reply(text, fresh_seconds=seconds))["headers"]["ETag"]
        for text, seconds in (("mug", 30), ("mug", 1), ("mug ", 30))
    ]

    assert tags[0] == tags[1] != tags[2]


def test_what_is_spared_still_says_how_long_it_is_good_for():
    tag = answered(Reply("mug", fresh_seconds=30))["headers"]["ETag"]

    spared = answered(Reply("mug", fresh_seconds=7), **{"if-none-match": tag})

    assert (spared["statusCode"], spared["body"]) == (304, "")
    assert spared["headers"]["Cache-Control"] == "public, max-age=7"
    assert spared["headers"]["X-Request-Id"] == "req_test"
