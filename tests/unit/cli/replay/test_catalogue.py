"""What a file implies: articles by price, stock, customers, invoices."""

from __future__ import annotations

from decimal import Decimal

from infra.cli.replay.catalogue import amounts_by_reason, implied_shop
from infra.cli.replay.reading import parse_history
from tests.unit.cli.replay import histories
from tests.unit.cli.replay.histories import december, of_the_data_set, row


def implied(*rows: str, limit: int | None = None):
    return implied_shop(parse_history(histories.text(*rows), "a.csv"), limit=limit)


def test_an_article_sold_at_two_prices_is_one_product_with_a_variant_for_each():
    shop = implied(row(price="2.55"), row(price="2.95"), row(price="2.55", invoice="536366"))

    (product,) = shop.products
    assert product.prices_minor == (255, 295)
    assert shop.stock() == {"85123A-255": 2, "85123A-295": 1}


def test_one_code_twice_in_an_invoice_adds_up_at_one_price_and_stays_apart_at_two():
    shop = implied(row(quantity=2), row(quantity=3), row(quantity=1, price="1.00"))

    (invoice,) = shop.invoices
    assert [(line.sku, line.quantity) for line in invoice.lines] == [
        ("85123A-255", 5),
        ("85123A-100", 1),
    ]
    assert invoice.total_minor == 5 * 255 + 100


def test_a_code_with_more_prices_than_a_product_takes_is_several_products():
    shop = implied(*(row(price=f"{pence / 100:.2f}") for pence in range(1, 251)))

    assert [len(product.prices_minor) for product in shop.products] == [100, 100, 50]
    assert len({product.handle for product in shop.products}) == 3


def test_codes_that_differ_in_signs_alone_stay_different_articles():
    shop = implied(row(code="A 1"), row(code="A_1"), row(code="Ä1"))

    assert len(shop.stock()) == 3
    assert all(sku.isascii() and " " not in sku for sku in shop.stock())


def test_a_product_is_called_by_its_commonest_spelling():
    shop = implied(row(description="MUG"), row(description="RED  MUG"), row(description="RED MUG "))

    assert shop.products[0].title == "RED MUG"


def test_a_product_without_a_description_is_called_by_its_code():
    assert implied(row(description="")).products[0].title == "85123A"


def test_rows_that_are_no_sale_are_counted_and_summed_by_reason():
    shop = implied(row(), row(code="POST", price="18"), row(price="0"), row(code="POST", price="2"))

    assert [skipped.reason.value for skipped in shop.skipped] == [
        "carriage",
        "zero_price",
        "carriage",
    ]
    assert {reason: str(sum_) for reason, sum_ in amounts_by_reason(shop.skipped).items()} == {
        "carriage": "20",
        "zero_price": "0",
    }


def test_sales_and_what_was_left_out_sum_to_the_files_total():
    shop = implied(row(), row(code="POST", price="18"), row(code="21730", price="0.001"))

    left_out = sum(skipped.row.amount for skipped in shop.naive["known_customers"].left_out)
    assert shop.naive["known_customers"].amount == left_out + Decimal("2.55")


def test_a_limit_takes_the_first_invoices_and_the_cancellations_among_them():
    rows = (
        row(invoice="1", code="POST"),
        row(invoice="2"),
        row(invoice="C3", quantity=-1),
        row(invoice="4"),
        row(invoice="C5", quantity=-1),
        row(invoice="6"),
    )

    shop = implied(*rows, limit=2)

    assert [invoice.number for invoice in shop.invoices] == ["2", "4"]
    assert [row.cancellation for row in shop.cancelled] == ["C3", "C5"]
    assert len(shop.skipped) == 1


def test_an_invoice_belongs_to_the_first_customer_it_names():
    shop = implied(row(customer=""), row(customer="1"), row(customer="2"))

    (invoice,) = shop.invoices
    assert (invoice.customer, invoice.lines[0].quantity) == ("1", 2)
    assert shop.skipped[0].reason == "other_customer"


@of_the_data_set
def test_every_row_of_december_is_read():
    history = december()

    assert (len(history.rows), history.errors) == (42_481, ())
    assert len({row.invoice for row in history.rows}) == 2_025


@of_the_data_set
def test_decembers_bridge_starts_at_the_published_total():
    known = implied_shop(december()).naive["known_customers"]

    assert (known.invoices, known.customers, str(known.amount)) == (1_400, 885, "572713.89")


@of_the_data_set
def test_with_services_sold_every_published_pound_of_december_is_a_sale():
    shop = implied_shop(december(), services_sold=True)

    known = [invoice for invoice in shop.invoices if invoice.customer is not None]
    assert len(known) == 1_400
    assert sum(invoice.total_minor for invoice in known) == 57_271_389


@of_the_data_set
def test_decembers_cancellations_of_known_customers_are_all_there():
    shop = implied_shop(december(), services_sold=True)

    known = [each for each in shop.cancelled if each.customer is not None]
    assert len({each.cancellation for each in known}) == 308
    assert sum(each.total_minor for each in known) == 1_810_987
    assert not [each for each in shop.skipped if each.row.invoice.startswith("C")]
