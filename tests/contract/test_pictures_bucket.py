"""Nobody but the distribution reads the bucket of pictures, and that only what was looked at."""

from __future__ import annotations

from infra.cloudformation import load_template
from tests.contract.project import ROOT

TEMPLATES = ROOT / "infra" / "templates"
BUCKET = load_template(TEMPLATES / "data.yaml")["Resources"]["PicturesBucket"]["Properties"]


def test_the_bucket_is_not_public_in_any_way():
    assert BUCKET["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }


def test_what_was_uploaded_and_not_taken_is_forgotten():
    (rule,) = BUCKET["LifecycleConfiguration"]["Rules"]

    assert (rule["Prefix"], rule["ExpirationInDays"]) == ("uploads/", 1)


def test_only_the_distribution_reads_and_only_what_was_looked_at():
    resources = load_template(TEMPLATES / "pictures.yaml")["Resources"]
    (statement,) = resources["PicturesBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert statement["Effect"] == "Allow"
    assert statement["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert statement["Action"] == "s3:GetObject"
    assert statement["Resource"]["Fn::Sub"][0] == "${Bucket}/pictures/*"
    assert "AWS:SourceArn" in statement["Condition"]["StringEquals"]
