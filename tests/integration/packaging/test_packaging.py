"""What packaging promises of its result, whatever the contexts are."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra.package.build import build
from infra.package.chalice_project import load_app
from infra.package.layout import Layout, PackagingError, this_machine
from tests.integration.packaging.roles import statements

# What AWS itself does not let a policy narrow down.
NAMELESS_RESOURCES = {"SendTraces", "FindOwnStream"}


def test_building_again_gives_the_same_bytes_and_calls_nobody(
    built, layout, tmp_path, socket_disabled
):
    again = build(layout, "dev", this_machine(), tmp_path / "again")

    assert _digests(again) == _digests(built)


def test_the_source_tree_stays_as_it_was(built, layout):
    assert list(layout.functions.rglob(".chalice")) == []
    assert list(layout.config.rglob("deployments")) == []


def test_an_unknown_stage_is_refused(layout, tmp_path):
    with pytest.raises(PackagingError, match="no stage moon"):
        build(layout, "moon", this_machine(), tmp_path)


def test_the_linter_finds_nothing_in_what_is_deployed(built, layout):
    # W3002 says that `aws cloudformation package` is needed, and it is.
    sources = [*built.templates, *layout.templates.glob("*.yaml")]
    linter = str(Path(sys.executable).with_name("cfn-lint"))
    command = [linter, "--ignore-checks", "W3002", "--template"]

    linted = subprocess.run(
        [*command, *map(str, sources)], capture_output=True, text=True, check=False
    )

    assert linted.stdout == ""
    assert linted.returncode == 0


def test_a_function_is_named_by_stage_context_and_function(functions):
    for context, _, properties in functions:
        assert properties["FunctionName"].startswith(f"tradepost-dev-{context}-")


def test_every_function_has_a_log_that_is_not_kept_for_ever(layout, template, functions):
    for context, _, properties in functions:
        group = properties["LoggingConfig"]["LogGroup"]["Ref"]
        declared = template(context)["Resources"][group]["Properties"]

        assert declared["LogGroupName"] == f"/aws/lambda/{properties['FunctionName']}"
        assert declared["RetentionInDays"] == 7


def test_every_function_has_a_role_of_its_own(functions):
    roles = [properties["Role"]["Fn::GetAtt"][0] for _, _, properties in functions]
    contexts = [context for context, _, _ in functions]

    assert len(set(zip(contexts, roles, strict=True))) == len(functions)


def test_no_policy_names_all_resources_where_it_could_name_one(layout, template):
    wide = [
        (context, statement.get("Sid"))
        for context in layout.contexts()
        for resource in template(context)["Resources"].values()
        if resource["Type"] == "AWS::IAM::Role"
        for policy in resource["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Resource"] == "*" and statement.get("Sid") not in NAMELESS_RESOURCES
    ]

    assert wide == []


def test_every_route_of_every_app_is_in_the_one_api(layout, template):
    paths = template("gateway")["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]

    for context in layout.contexts():
        for path, methods in load_app(layout, context).routes.items():
            for method in methods:
                integration = paths[path][method.lower()]["x-amazon-apigateway-integration"]
                assert f"{context.title()}APIHandlerArn" in integration["uri"]["Fn::Sub"]


def test_the_authorizer_is_deployed_once(functions):
    homes = [context for context, name, _ in functions if name == "AccessToken"]

    assert len(homes) == 1


def test_failed_records_of_a_batch_are_reported_one_by_one(functions):
    for _, source in _sources(functions, "SQS", "DynamoDB"):
        # Without it Lambda takes the answer for success, and the failed records are lost.
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_a_message_stays_hidden_for_six_times_the_time_its_function_has(functions, template):
    # AWS advises six times, so that a throttled batch is not delivered twice meanwhile.
    messaging = template("messaging")
    for _, _, properties in functions:
        for source in properties.get("Events", {}).values():
            if source["Type"] == "SQS":
                output = source["Properties"]["Queue"]["Ref"]
                queue = messaging["Outputs"][output]["Value"]["Fn::GetAtt"][0]
                hidden = messaging["Resources"][queue]["Properties"]["VisibilityTimeout"]
                assert hidden >= 6 * properties["Timeout"]


def test_a_relay_is_called_for_new_outbox_items_alone(functions):
    for name, source in _sources(functions, "DynamoDB"):
        if name == "Relay":
            (criterion,) = source["FilterCriteria"]["Filters"]
            assert json.loads(criterion["Pattern"]) == {
                "eventName": ["INSERT"],
                "dynamodb": {"Keys": {"sk": {"S": [{"prefix": "OUTBOX#"}]}}},
            }


def test_a_record_that_cannot_be_taken_does_not_stop_its_stream_for_ever(functions):
    for _, source in _sources(functions, "DynamoDB"):
        assert source["MaximumRetryAttempts"] <= 10
        assert source["BisectBatchOnFunctionError"] is True


def _sources(functions, *types):
    return [
        (name, source["Properties"])
        for _, name, properties in functions
        for source in properties.get("Events", {}).values()
        if source["Type"] in types
    ]


def test_every_module_is_deployed_with_its_bytecode(built):
    for archive in built.archives:
        with zipfile.ZipFile(archive) as opened:
            names = set(opened.namelist())
        modules = {name for name in names if name.endswith(".py")}
        compiled = {name for name in names if name.endswith(".pyc")}

        assert len(compiled) == len(modules), archive.name


def test_a_variable_that_nothing_gives_is_refused_before_it_fails_at_night(layout, tmp_path):
    project = _project_reading(tmp_path, layout, "os.environ['NOBODY_GIVES_THIS']")

    with pytest.raises(PackagingError, match="NOBODY_GIVES_THIS"):
        build(project, "dev", this_machine(), tmp_path / "out")


def test_two_contexts_cannot_claim_one_path(layout, tmp_path):
    project = _project_reading(tmp_path, layout, "None", contexts=("mugs", "hats"))

    with pytest.raises(PackagingError, match="both answer /v1/things"):
        build(project, "dev", this_machine(), tmp_path / "out")


def _project_reading(tmp_path, layout, expression, contexts=("mugs",)):
    """Make a small project whose one view reads `expression`."""
    root = tmp_path / "project"
    for context in contexts:
        folder = root / "functions" / context
        (folder / context).mkdir(parents=True)
        (folder / context / "__init__.py").write_text("")
        (folder / "app.py").write_text(
            "import os\n"
            "from tradepost.platform.auth import PUBLIC\n"
            "from tradepost.platform.service import Service\n"
            f"app = Service('{context}')\n"
            "@app.get('/v1/things', roles=PUBLIC)\n"
            f"def things() -> None:\n    {expression}\n"
        )
    for name in ("layers", "pyproject.toml", "requirements.lock", "chalice-config", "build"):
        (root / name).symlink_to(layout.root / name)
    (root / "infra").mkdir()
    (root / "infra" / "templates").mkdir()
    return Layout(root)


def _digests(built):
    return {
        path.relative_to(built.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(built.folder.rglob("*"))
        if path.is_file()
    }


def test_a_template_is_json_that_cloudformation_reads(built):
    for path in built.templates:
        assert json.loads(path.read_text())["AWSTemplateFormatVersion"] == "2010-09-09"


def test_what_a_template_leaves_to_the_deployer_is_asked_by_the_root(built, template, layout):
    root = template("root")
    for path in layout.templates.glob("*.yaml"):
        for name, parameter in template(path.stem)["Parameters"].items():
            if "Default" in parameter:
                assert root["Parameters"][name] == parameter


def test_only_who_signs_tokens_may_sign(layout, template):
    assert _contexts_allowed(layout, template, "kms:Sign") <= {"users"}


def test_only_who_starts_a_state_machine_may_start_it(layout, template):
    starters = {
        "carts": ["CheckoutStateMachineArn"],
        "orders": ["CheckoutStateMachineArn"],
        "shipping": ["ReturnStateMachineArn"],
    }

    for context in layout.contexts():
        for statement in statements(template(context)):
            if "states:StartExecution" in statement["Action"]:
                assert [one["Ref"] for one in statement["Resource"]] == starters[context]


def test_a_table_is_used_by_its_own_context(layout, template):
    for context in layout.contexts():
        for statement in statements(template(context)):
            if statement.get("Sid") == "UseTables":
                tables = {one["Ref"] for one in statement["Resource"] if "Ref" in one}
                assert tables <= {f"{context.title()}TableArn", "SimulatorsTableArn"}


def test_pictures_are_put_where_they_belong_by_the_catalogue_alone(layout, template):
    rights = {
        (action, json.dumps(statement["Resource"]))
        for statement in statements(template("catalog"))
        for action in statement["Action"]
        if action.startswith("s3:")
    }

    assert rights == {
        ("s3:GetObject", '{"Fn::Sub": "${PicturesBucketArn}/uploads/*"}'),
        ("s3:PutObject", '{"Fn::Sub": "${PicturesBucketArn}/uploads/*"}'),
        ("s3:PutObject", '{"Fn::Sub": "${PicturesBucketArn}/pictures/*"}'),
        ("s3:ListBucket", '{"Ref": "PicturesBucketArn"}'),
    }
    assert _contexts_allowed(layout, template, "s3:PutObject") == {"catalog"}


def _contexts_allowed(layout, template, action):
    return {
        context
        for context in layout.contexts()
        for statement in statements(template(context))
        if action in statement["Action"]
    }


def test_a_browser_is_told_the_headers_that_the_api_takes_and_gives(layout, template):
    definition = template("gateway")["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]

    for path, methods in definition["paths"].items():
        preflight = methods["options"]["x-amazon-apigateway-integration"]["responses"]["default"]
        told = preflight["responseParameters"][
            "method.response.header.Access-Control-Allow-Headers"
        ]
        allowed = set(told.strip("'").split(","))
        assert {"Authorization", "Idempotency-Key", "If-Match"} <= allowed, path
    for context in layout.contexts():
        for methods in load_app(layout, context).routes.values():
            for route in methods.values():
                exposed = route.cors.get_access_control_headers()["Access-Control-Expose-Headers"]
                assert {"ETag", "Location", "Retry-After"} <= set(exposed.split(","))
