"""Templates as we write them become plain values."""

from __future__ import annotations

from infra.cloudformation import environment_name, load_template

TEMPLATE = """
AWSTemplateFormatVersion: 2010-09-09
Resources:
  Machine:
    Properties:
      DefinitionString: file://machine.asl.json
      Role: !GetAtt Role.Arn
      Name: !Sub tradepost-${Stage}
      Topics: [!Ref Topic]
"""


def test_short_forms_are_written_out_and_files_put_in(tmp_path):
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "machine.asl.json").write_text('{"StartAt": "Here"}')

    template = load_template(tmp_path / "template.yaml")

    assert template["AWSTemplateFormatVersion"] == "2010-09-09"
    assert template["Resources"]["Machine"]["Properties"] == {
        "DefinitionString": '{"StartAt": "Here"}',
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "Name": {"Fn::Sub": "tradepost-${Stage}"},
        "Topics": [{"Ref": "Topic"}],
    }


def test_an_output_is_a_variable_by_its_words():
    assert environment_name("OrdersTableArn") == "ORDERS_TABLE_ARN"
    assert environment_name("SigningKeyId") == "SIGNING_KEY_ID"
    assert environment_name("JWKSUrl") == "JWKS_URL"
