"""Files into the shop and back, over the catalogue's own routes."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from catalog.use_cases import searching
from infra.cli import exporter, importer, reindex
from infra.cli.importing import journal, loading
from infra.cli.main import app
from infra.cli.shop import Shop

HEADING = (
    "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Qty,Variant Price\n"
)
ROWS = (
    "mug,Mug,Size,S,MUG-S,3,12.50\n"
    "mug,,,M,MUG-M,0,13\n"
    "lamp,Lamp,Title,Default Title,LAMP,5,forty\n"
    "vase,Vase,Title,Default Title,,7,20\n"
)


class Books:
    """Stock as inventory answers for it, and the shop's other routes passed on to the app."""

    def __init__(self, shop: Any) -> None:
        self.shop = shop
        self.on_hand: dict[str, int] = {}
        self.busy = 0
        self.broken_at = ""
        self.sent: list[str] = []
        self.fails_after = math.inf
        self.fault: BaseException = KeyboardInterrupt()

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        body = json.loads(request.content) if request.content else None
        if self.busy:
            self.busy -= 1
            return httpx.Response(503, json={"code": "unavailable"}, headers={"Retry-After": "2"})
        if path == "/_local":
            staff = {"email": "admin@shop.example", "password": "of the local shop"}
            return httpx.Response(200, json={"stage": "local", "staff": staff})
        if path == "/v1/products/batch":
            if len(self.sent) >= self.fails_after:
                raise self.fault
            self.sent += [product["handle"] for product in body["products"]]
        if path == self.broken_at:
            self.broken_at = ""
            raise KeyboardInterrupt
        if path == "/v1/sessions":
            if body["password"] != "of the local shop":
                problem = {"code": "wrong_credentials", "detail": "not those"}
                return httpx.Response(401, json=problem)
            return httpx.Response(201, json={"access_token": "t"})
        if path == "/v1/stock/batch":
            return httpx.Response(200, json={"results": [self._count(**c) for c in body["lines"]]})
        if path.startswith("/v1/stock/"):
            sku = path.split("/")[3]
            if sku not in self.on_hand:
                return httpx.Response(404, json={"code": "not_found", "detail": "never stocked"})
            main = {"warehouse": "main", "on_hand": self.on_hand[sku]}
            elsewhere = {"warehouse": "north", "on_hand": 1_000}
            return httpx.Response(200, json={"sku": sku, "warehouses": [elsewhere, main]})
        query = dict(request.url.params)
        answer = self.shop.call(request.method, path, body=body, query=query)
        return httpx.Response(answer.status, json=answer.body)

    def _count(self, sku: str, on_hand: int) -> dict[str, Any]:
        same = self.on_hand.get(sku) == on_hand
        self.on_hand[sku] = on_hand
        return {"sku": sku, "outcome": "unchanged" if same else "counted"}


@pytest.fixture
def books(shop, monkeypatch) -> Books:
    books = Books(shop)
    pauses: list[float] = []

    def connected(url: str, **options: Any) -> Shop:
        transport = httpx.MockTransport(books.answer)
        return Shop(url, transport=transport, pause=pauses.append)

    books.pauses = pauses
    monkeypatch.setattr(importer, "Shop", connected)
    monkeypatch.setattr(exporter, "Shop", connected)
    monkeypatch.setattr(reindex, "Shop", connected)
    # The Chalice app under test answers one request at a time.
    monkeypatch.setattr(loading, "REQUESTS_IN_FLIGHT", 1)
    monkeypatch.setattr(exporter, "_REQUESTS_IN_FLIGHT", 1)
    return books


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_file_goes_in_but_for_its_bad_rows_and_again_changes_nothing(books, tmp_path, shop):
    file, errors = tmp_path / "shop.csv", tmp_path / "errors.csv"
    file.write_text("\ufeff" + HEADING + ROWS)

    first = run("import", file, "--json", "--errors", errors)
    again = run("import", file, "--json")

    summary = json.loads(first.stdout)
    assert first.exit_code == importer.EXIT_SOME_BAD
    assert summary["products"] == {"created": 2}
    assert summary["counts"] == {"counted": 3}
    assert summary["notes"]["derived_skus"] == 1
    assert "line 4: lamp: 'forty' is no price such as 12.50" in first.stderr
    assert json.loads(again.stdout)["products"] == {"unchanged": 2}
    assert json.loads(again.stdout)["counts"] == {"unchanged": 3}
    assert books.on_hand == {"MUG-S": 3, "MUG-M": 0, "VASE": 7}
    with errors.open(newline="") as written:
        assert [row[:2] for row in csv.reader(written)] == [
            ["line", "handle"],
            ["4", "lamp"],
            ["4", "lamp"],
        ]
    assert shop.show("mug").body["variants"][1]["title"] == "Mug / M"


def test_what_is_exported_is_imported_without_a_change(books, tmp_path, shop, a_product, items):
    shop.put("secret", a_product(published=False, description="a\nb", tags=["é"]))
    (tmp_path / "shop.csv").write_text(HEADING + ROWS)
    run("import", tmp_path / "shop.csv")
    before = items()
    output = tmp_path / "export.jsonl"

    exported = run("export", "--output", output)
    imported = run("import", output, "--json")

    assert (exported.exit_code, imported.exit_code) == (0, 0)
    assert json.loads(imported.stdout)["products"] == {"unchanged": 3}
    assert json.loads(imported.stdout)["counts"] == {"unchanged": 3}
    assert items() == before
    assert run("export").stdout == output.read_text()
    assert list(tmp_path.glob("*.part")) == []


def test_what_the_shop_refuses_is_told_with_the_line_of_its_product(
    books, tmp_path, shop, a_product
):
    shop.put("cup", a_product(sku="MUG-S"))
    file = tmp_path / "shop.csv"
    file.write_text(HEADING + ROWS.replace("forty", "40"))

    answer = run("import", file, "--json")

    assert answer.exit_code == importer.EXIT_SOME_BAD
    assert json.loads(answer.stdout)["products"] == {"created": 2, "refused": 1}
    assert "line 2: mug: sku_taken: MUG-S belongs to cup" in answer.stderr
    assert "MUG-S" not in books.on_hand


def test_a_good_file_ends_with_status_0_and_a_readable_summary(books, tmp_path):
    file = tmp_path / "shop.csv"
    file.write_text(HEADING + ROWS.replace("forty", "40"))

    answer = run("import", file)

    assert answer.exit_code == 0
    assert "products: 3 created" in answer.stdout
    assert "SKUs made of handle and options" in answer.stdout


def test_a_busy_shop_is_asked_again_when_it_says(books, tmp_path):
    file = tmp_path / "shop.csv"
    file.write_text(HEADING + ROWS.replace("forty", "40"))
    books.busy = 2

    assert run("import", file).exit_code == 0
    assert books.pauses == [2.0, 2.0]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--password", "wrong", "--email", "me@shop.example"], "wrong_credentials"),
        (["--url", "https://shop.example"], "say who you are"),
        (["--currency", "pounds"], "no currency"),
    ],
)
def test_an_import_that_cannot_begin_says_why_in_one_line(books, tmp_path, arguments, told):
    file = tmp_path / "shop.csv"
    file.write_text(HEADING + ROWS)

    answer = run("import", file, *arguments)

    assert answer.exit_code == importer.EXIT_FAILED
    assert told in answer.stderr.splitlines()[-1]
    assert answer.stderr.splitlines()[-1].startswith("import: ")


def test_a_file_of_something_else_fails_whole(books, tmp_path, items):
    file = tmp_path / "orders.csv"
    file.write_text("InvoiceNo,StockCode\n1,2\n")

    answer = run("import", file)

    assert answer.exit_code == importer.EXIT_FAILED
    assert items() == []


def test_a_cell_that_a_spreadsheet_would_run_is_written_inert(books, tmp_path):
    file, errors = tmp_path / "shop.csv", tmp_path / "errors.csv"
    file.write_text(HEADING + "=cmd|calc,,,,,,1\n")

    run("import", file, "--errors", errors)

    with errors.open(newline="") as written:
        assert list(csv.reader(written))[1][1] == "'=cmd|calc"


# An import that breaks off


@pytest.fixture
def thousands(tmp_path, monkeypatch) -> Path:
    """A file of so many batches that it can break off between them."""
    monkeypatch.setattr(loading, "_PRODUCTS_PER_REQUEST", 2)
    file = tmp_path / "shop.csv"
    rows = [f"p{number},Product,Title,Default Title,SKU-{number},1,2\n" for number in range(20)]
    rows[3] = "p3,Product,Title,Default Title,TAKEN,1,2\n"
    rows[5] = "p5,Product,Title,Default Title,SKU-5,1,free\n"
    file.write_text(HEADING + "".join(rows))
    return file


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (KeyboardInterrupt(), importer.EXIT_INTERRUPTED),
        (httpx.ConnectError("connection refused"), importer.EXIT_FAILED),
    ],
)
def test_an_import_that_breaks_off_goes_on_where_it_was(
    books, shop, a_product, thousands, fault, status
):
    shop.put("cup", a_product(sku="TAKEN"))
    books.fails_after, books.fault = 8, fault

    first = run("import", thousands, "--json")
    before = list(books.sent)
    books.sent, books.fails_after = [], math.inf
    second = run("import", thousands, "--json")

    assert first.exit_code == status
    assert "8 products are done; the same command again goes on after them" in first.stderr
    assert [*before, *books.sent] == [f"p{n}" for n in range(20) if n != 5]
    summary = json.loads(second.stdout)
    assert second.exit_code == importer.EXIT_SOME_BAD
    assert summary["products"] == {"created": 18, "refused": 1}
    assert summary["counts"] == {"counted": 18}
    assert sorted(bad["line"] for bad in summary["first_bad_rows"]) == [5, 7, 7]
    assert list(thousands.parent.iterdir()) == [thousands]


def test_an_import_that_is_done_begins_anew_the_next_time(books, thousands):
    run("import", thousands)
    first, books.sent = books.sent, []

    run("import", thousands)

    assert books.sent == first


@pytest.mark.parametrize("how", ["the file", "the currency", "at will"])
def test_what_was_done_of_another_import_is_not_skipped(books, thousands, how):
    books.fails_after = 8
    run("import", thousands)
    books.sent, books.fails_after = [], math.inf

    if how == "the file":
        thousands.write_text(thousands.read_text().replace("SKU-0", "SKU-ZERO"))
    run(
        "import",
        thousands,
        *{"the currency": ["--currency", "EUR"], "at will": ["--anew"]}.get(how, []),
    )

    assert books.sent[0] == "p0"


def test_a_journal_cut_off_by_a_crash_is_read_as_far_as_it_goes(books, thousands):
    books.fails_after = 8
    run("import", thousands)
    (kept,) = thousands.parent.glob("*.journal")
    whole = kept.read_text()
    kept.write_text(whole[: len(whole) - 30])
    books.sent, books.fails_after = [], math.inf

    answer = run("import", thousands, "--json")

    assert books.sent[0] == "p7"
    assert json.loads(answer.stdout)["products"] == {"created": 17, "unchanged": 2}


def test_a_folder_that_keeps_no_journal_is_told_and_the_import_goes_on(
    books, thousands, monkeypatch
):
    def read_only(*_: Any) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(journal.Journal, "add", read_only)

    answer = run("import", thousands, "--json")

    assert "import: if this breaks off it begins anew: read-only" in answer.stderr
    assert json.loads(answer.stdout)["products"] == {"created": 19}


def test_an_export_taken_into_an_empty_shop_is_exported_equal(
    books, tmp_path, shop, a_product, client, items
):
    shop.put("bread", a_product(sku="BREAD", published=False, attributes={"flour": "rye"}))
    (tmp_path / "shop.csv").write_text(HEADING + ROWS)
    run("import", tmp_path / "shop.csv")
    exported = run("export").stdout
    for item in items():
        key = {"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}}
        client.delete_item(TableName="tradepost-test-catalog", Key=key)
    books.on_hand = {}

    (tmp_path / "export.jsonl").write_text(exported)
    run("import", tmp_path / "export.jsonl")

    assert len(exported.splitlines()) == 3
    assert run("export").stdout == exported


def test_an_index_is_rebuilt_from_the_command_line_and_goes_on_where_it_was_interrupted(
    books, shop, a_product, items, client, monkeypatch
):
    monkeypatch.setattr(searching, "REBUILT_PER_CALL_MAX", 2)
    for number in range(5):
        shop.put(f"thing-{number}", a_product(sku=f"S{number}", title="Thing"))
    for item in items("PRODUCT#"):
        assert item["sk"] != "INDEX"
    rebuilt = searching.rebuild_search

    def interrupted(*arguments: Any, **options: Any) -> Any:
        books.broken_at = "/v1/products/rebuild-search"
        return rebuilt(*arguments, **options)

    monkeypatch.setattr(searching, "rebuild_search", interrupted)
    first = run("reindex")
    monkeypatch.setattr(searching, "rebuild_search", rebuilt)
    *_, start = first.stderr.split()
    found = len(shop.found(q="thing"))
    second = run("reindex", "--from", start)

    assert (first.exit_code, found) == (reindex.EXIT_INTERRUPTED, 2)
    assert (second.exit_code, second.stdout) == (0, "products indexed anew: 3\n")
    assert len(shop.found(q="things")) == 5


def test_an_index_is_not_rebuilt_by_who_may_not(books):
    answer = run("reindex", "--email", "me@shop.example", "--password", "wrong")

    assert answer.exit_code == reindex.EXIT_FAILED
    assert answer.stderr.splitlines()[-1].startswith("reindex: ")
