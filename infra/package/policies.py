"""The policy of a function that has no `policy-<function>.json`: what its source needs, no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infra.package.outputs import Infrastructure
from infra.package.source import Needs

Statement = dict[str, Any]

_READ_TABLE = ["BatchGetItem", "GetItem", "Query"]
_WRITE_TABLE = ["BatchWriteItem", "ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem"]


@dataclass(frozen=True, slots=True)
class Grantee:
    """One function: its deployed name, and what its context's source needs.

    `questions` are the deployed names of the functions that the source names.
    `queue_output` and `stream_output` name the output with the ARN of what invokes it.
    """

    deployed_name: str
    needs: Needs
    questions: tuple[str, ...] = ()
    is_authorizer: bool = False
    queue_output: str | None = None
    stream_output: str | None = None


def default_policy(grantee: Grantee, infrastructure: Infrastructure) -> dict[str, Any]:
    """Build the least policy that the function's own source explains, one statement per reason."""
    statements = [
        *_observability(grantee),
        _verify_tokens(grantee, infrastructure),
        _ask_functions(grantee),
    ]
    if not grantee.is_authorizer:
        statements += [
            _tables(grantee, infrastructure),
            _own_queue(grantee),
            *_own_stream(grantee),
            _publish_facts(grantee, infrastructure),
            _sign_tokens(grantee, infrastructure),
            _read_secrets(grantee, infrastructure),
            _read_stripe_key(grantee, infrastructure),
            _start_executions(grantee, infrastructure),
            _send_mail(grantee, infrastructure),
            *_use_pictures(grantee, infrastructure),
        ]
    granted = [statement for statement in statements if statement is not None]
    return {"Version": "2012-10-17", "Statement": granted}


def _observability(grantee: Grantee) -> list[Statement]:
    log_group = f"log-group:/aws/lambda/{grantee.deployed_name}:*"
    return [
        _allow(
            "WriteOwnLog", ["logs:CreateLogStream", "logs:PutLogEvents"], _arn("logs", log_group)
        ),
        # X-Ray knows no resources: the service authorization reference lists none for these two.
        _allow("SendTraces", ["xray:PutTelemetryRecords", "xray:PutTraceSegments"], "*"),
    ]


def _tables(grantee: Grantee, infrastructure: Infrastructure) -> Statement | None:
    # Its own, and that of the simulated provider or carrier which it plays itself.
    tables = [
        f"{output}Arn"
        for variable, output in infrastructure.variables().items()
        if variable in grantee.needs.own_texts
        and output.endswith("Table")
        and f"{output}Arn" in infrastructure.given_by
    ]
    if not tables:
        return None
    actions = [f"dynamodb:{action}" for action in sorted(_READ_TABLE + _WRITE_TABLE)]
    indexes = [_sub(f"${{{table}}}/index/*") for table in tables]
    return _allow("UseTables", actions, [*({"Ref": table} for table in tables), *indexes])


def _own_queue(grantee: Grantee) -> Statement | None:
    if grantee.queue_output is None:
        return None
    actions = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
    return _allow("TakeFromOwnQueue", actions, {"Ref": grantee.queue_output})


def _own_stream(grantee: Grantee) -> list[Statement]:
    if grantee.stream_output is None:
        return []
    actions = ["DescribeStream", "GetRecords", "GetShardIterator"]
    return [
        _allow(
            "ReadOwnStream",
            [f"dynamodb:{action}" for action in actions],
            {"Ref": grantee.stream_output},
        ),
        # DynamoDB does not let ListStreams name a stream.
        _allow("FindOwnStream", ["dynamodb:ListStreams"], "*"),
    ]


def _publish_facts(grantee: Grantee, infrastructure: Infrastructure) -> Statement | None:
    topic = infrastructure.output_like("Events", "TopicArn")
    if topic is None or "EVENTS_TOPIC_ARN" not in grantee.needs.own_texts:
        return None
    return _allow("PublishFacts", ["sns:Publish"], {"Ref": topic})


def _verify_tokens(grantee: Grantee, infrastructure: Infrastructure) -> Statement | None:
    if "SigningKeyId" not in infrastructure.given_by or "kms" not in grantee.needs.clients:
        return None
    keys = ["SigningKeyId", "SigningKeyPreviousId"]
    resources = [_arn("kms", f"key/${{{key}}}") for key in keys if key in infrastructure.given_by]
    return _allow("ReadPublicKey", ["kms:GetPublicKey"], resources)


def _sign_tokens(grantee: Grantee, infrastructure: Infrastructure) -> Statement | None:
    # Whoever verifies does so through the platform; only who signs names the key itself.
    if "SigningKeyId" not in infrastructure.given_by:
        return None
    if "SIGNING_KEY_ID" not in grantee.needs.own_texts:
        return None
    return _allow("SignTokens", ["kms:Sign"], _arn("kms", "key/${SigningKeyId}"))


def _read_secrets(grantee: Grantee, infrastructure: Infrastructure) -> Statement | None:
    secrets = [
        output
        for variable, output in infrastructure.variables().items()
        if variable in grantee.needs.texts and output.endswith("Secret")
    ]
    if not secrets:
        return None
    resources = [{"Ref": secret} for secret in secrets]
    return _allow("ReadSecrets", ["secretsmanager:GetSecretValue"], resources)


def _read_stripe_key(grantee: Grantee, infrastructure: Infrastructure) -> Statement | None:
    if "StripeSecretName" not in infrastructure.given_by:
        return None
    if "STRIPE_SECRET_NAME" not in grantee.needs.own_texts:
        return None
    # By its name: where Stripe is not chosen there is no such secret, and so no ARN. Secrets
    # Manager adds a dash and six characters to it.
    secret = _arn("secretsmanager", "secret:${StripeSecretName}-??????")
    return _allow("ReadStripeKey", ["secretsmanager:GetSecretValue"], secret)


def _start_executions(grantee: Grantee, infrastructure: Infrastructure) -> Statement | None:
    machines = [
        output
        for variable, output in infrastructure.variables().items()
        if variable in grantee.needs.own_texts and output.endswith("StateMachineArn")
    ]
    if not machines:
        return None
    resources = [{"Ref": machine} for machine in machines]
    return _allow("StartExecutions", ["states:StartExecution"], resources)


def _ask_functions(grantee: Grantee) -> Statement | None:
    if not grantee.questions:
        return None
    functions = [_arn("lambda", f"function:{name}") for name in grantee.questions]
    return _allow("AskFunctions", ["lambda:InvokeFunction"], functions)


def _send_mail(grantee: Grantee, infrastructure: Infrastructure) -> Statement | None:
    if "ses" not in grantee.needs.clients or "MailSender" not in infrastructure.given_by:
        return None
    return _allow("SendMail", ["ses:SendEmail"], _arn("ses", "identity/${MailSender}"))


def _use_pictures(grantee: Grantee, infrastructure: Infrastructure) -> list[Statement]:
    if "PicturesBucketArn" not in infrastructure.given_by:
        return []
    if "PICTURES_BUCKET" not in grantee.needs.own_texts:
        return []
    uploads, kept = (
        _sub(f"${{PicturesBucketArn}}/{folder}/*") for folder in ("uploads", "pictures")
    )
    return [
        # An address signed for an upload can do what its signer may.
        _allow("TakeUploads", ["s3:GetObject", "s3:PutObject"], uploads),
        _allow("KeepPictures", ["s3:PutObject"], kept),
        # Without it S3 calls what is not there forbidden.
        _allow("MissUploads", ["s3:ListBucket"], {"Ref": "PicturesBucketArn"}),
    ]


def _allow(sid: str, actions: list[str], resource: Any) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}


def _arn(service: str, resource: str) -> dict[str, str]:
    return _sub(
        f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}"
    )


def _sub(text: str) -> dict[str, str]:
    return {"Fn::Sub": text}
