"""The evaluator of policies: exact about what it knows, and it refuses to guess."""

import pytest

from rios_plugin_awsbatch.local.iam import Access, Decision, PolicyError, decide, read_policy

QUEUE = "arn:aws:sqs:eu-west-1:123456789012:RIOS-run-1-tasks"
BUCKET = "arn:aws:s3:::bucket"


def policy(*statements, version="2012-10-17"):
    listed = [{"Effect": "Allow", "Action": "*", "Resource": "*"} | one for one in statements]
    for one in listed:
        for part in ("Action", "Resource"):
            if f"Not{part}" in one:
                del one[part]
    return read_policy("p", {"Version": version, "Statement": listed})


def allows(statement, action="sqs:SendMessage", resource=QUEUE, **context):
    keys = {name.replace("__", ":"): value for name, value in context.items()}
    return decide([policy(statement)], Access(action, resource, keys)).allowed


def test_nothing_is_allowed_but_what_a_statement_allows():
    """Without policies, or with one about something else, a request is denied."""
    assert decide([], Access("s3:GetObject", BUCKET)) == Decision(allowed=False)
    assert not allows({"Action": "s3:*"})


def test_a_denial_wins_in_whatever_order():
    """One statement that denies is stronger than all that allow, in the same policy or another."""
    allow, deny = policy({"Sid": "All"}), policy({"Sid": "No", "Effect": "Deny"})
    for policies in ([allow, deny], [deny, allow]):
        decision = decide(policies, Access("s3:GetObject", BUCKET))
        assert decision == Decision(allowed=False, denied=True, statements=("p/No",))


def test_a_decision_names_the_statements_that_allow():
    """Each statement that allows it is named, so that one that nothing needs can be found."""
    both = policy({"Sid": "One", "Action": "s3:Get*"}, {"Action": ["s3:GetObject", "s3:PutObject"]})
    assert decide([both], Access("s3:GetObject", BUCKET)).statements == ("p/One", "p/1")


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        ({"Action": "sqs:SendMessage"}, True),
        ({"Action": "SQS:sendmessage"}, True),
        ({"Action": "sqs:Send*"}, True),
        ({"Action": ["sqs:DeleteMessage", "sqs:ReceiveMessag?"]}, False),
        ({"NotAction": "sqs:Send*"}, False),
        ({"NotAction": ["s3:*", "iam:*"]}, True),
        ({"Resource": "arn:aws:sqs:*:123456789012:RIOS-run-*"}, True),
        ({"Resource": "arn:aws:sqs:eu-west-1:123456789012:rios-run-*"}, False),
        ({"Resource": "arn:aws:sqs:eu-west-1:*"}, False),
        ({"Resource": "arn:aws:sqs:eu-west-1:123456789012:RIOS-run-?-tasks"}, True),
        ({"NotResource": "arn:aws:sqs:*:*:RIOS-run-*"}, False),
        ({"NotResource": f"{BUCKET}/*"}, True),
    ],
)
def test_actions_and_resources_match_by_wildcards(statement, allowed):
    """Actions match in any case, resources in theirs; a star stays within a part of an ARN."""
    assert allows(statement) == allowed


def test_a_resource_s_own_name_may_have_colons_and_slashes():
    """A star at the end of an ARN reaches over whatever is in a resource's name."""
    logs = "arn:aws:logs:eu-west-1:1:log-group:/rios/RIOS:*"
    stream = "arn:aws:logs:eu-west-1:1:log-group:/rios/RIOS:log-stream:a/default/b"
    assert allows({"Resource": logs}, "logs:GetLogEvents", stream)


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"s3:prefix": "runs/"}}, {"s3__prefix": "runs/"}, True),
        ({"StringEquals": {"S3:Prefix": ["a", "b"]}}, {"s3__prefix": "b"}, True),
        ({"StringEquals": {"s3:prefix": "runs/*"}}, {"s3__prefix": "runs/1"}, False),
        ({"StringEquals": {"s3:prefix": "runs/"}}, {}, False),
        ({"StringNotEquals": {"s3:prefix": ["a", "b"]}}, {"s3__prefix": "b"}, False),
        ({"StringNotEquals": {"s3:prefix": ["a", "b"]}}, {}, True),
        ({"StringLike": {"s3:prefix": ["runs/*"]}}, {"s3__prefix": "runs/1"}, True),
        ({"StringLike": {"s3:prefix": ["runs/*"]}}, {}, False),
        ({"StringLikeIfExists": {"s3:prefix": ["runs/*"]}}, {}, True),
        ({"StringLikeIfExists": {"s3:prefix": ["runs/*"]}}, {"s3__prefix": "x"}, False),
        ({"StringNotLike": {"s3:prefix": "runs/*"}}, {"s3__prefix": "runs/1"}, False),
        ({"StringEqualsIgnoreCase": {"k:k": "A"}}, {"k__k": "a"}, True),
        ({"ArnLike": {"iam:PolicyARN": "arn:aws:iam::1:policy/RIOS-*"}}, {}, False),
        (
            {"ArnEquals": {"iam:PolicyARN": "arn:aws:iam::1:policy/RIOS-*"}},
            {"iam__PolicyARN": "arn:aws:iam::1:policy/RIOS-Main"},
            True,
        ),
        (
            {"ArnNotLike": {"iam:PolicyARN": "arn:aws:iam::1:policy/RIOS-*"}},
            {"iam__PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"},
            True,
        ),
        ({"Bool": {"aws:SecureTransport": False}}, {"aws__SecureTransport": "true"}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, {"aws__SecureTransport": "true"}, True),
        ({"Null": {"s3:prefix": "true"}}, {}, True),
        ({"Null": {"s3:prefix": False}}, {"s3__prefix": "x"}, True),
        ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, {"s3__max-keys": "10"}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws__TagKeys": ["a"]}, True),
        (
            {"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}},
            {"aws__TagKeys": ["a", "b"]},
            False,
        ),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {}, True),
        ({"ForAnyValue:StringLike": {"aws:TagKeys": "r*"}}, {"aws__TagKeys": ["a", "run"]}, True),
        ({"ForAnyValue:StringLike": {"aws:TagKeys": "r*"}}, {}, False),
        ({"StringEquals": {"a:a": "1", "b:b": "2"}}, {"a__a": "1"}, False),
    ],
)
def test_conditions(condition, context, holds):
    """All keys of all operators must hold; a key that is missing fails, unless it is negated."""
    assert allows({"Condition": condition}, **context) == holds


@pytest.mark.parametrize(
    ("resource", "context", "allowed"),
    [
        (f"{BUCKET}/home/${{aws:username}}/*", {"aws__username": "ada"}, True),
        (f"{BUCKET}/home/${{aws:username}}/*", {"aws__username": "a*"}, False),
        (f"{BUCKET}/home/${{aws:username}}/*", {}, False),
        (f"{BUCKET}/home/${{aws:username, 'ada'}}/*", {}, True),
        (f"{BUCKET}/home/${{*}}/*", {}, False),
    ],
)
def test_variables(resource, context, allowed):
    """A variable stands for the request's value, which has no wildcards; unset, nothing matches."""
    given = {"Resource": resource}
    assert allows(given, "s3:GetObject", f"{BUCKET}/home/ada/x", **context) == allowed


def test_variables_are_text_in_policies_of_the_old_version():
    """Before 2012, ${...} was what it looks like."""
    old = policy({"Resource": f"{BUCKET}/${{*}}"}, version="2008-10-17")
    assert not decide([old], Access("s3:GetObject", f"{BUCKET}/*")).allowed
    assert decide([old], Access("s3:GetObject", f"{BUCKET}/${{x}}")).allowed


@pytest.mark.parametrize(
    "wrong",
    [
        {"Effect": "Maybe"},
        {"Principal": "*"},
        {"Action": "*", "NotResource": "*", "Resource": "*", "Effect": "Allow", "Extra": 1},
    ],
)
def test_what_is_no_policy_is_refused(wrong):
    """A statement without a valid effect, or with parts that identity policies do not have."""
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"} | wrong
    with pytest.raises(PolicyError):
        read_policy("p", {"Statement": statement})


@pytest.mark.parametrize("operator", ["IpAddress", "DateLessThan", "ForSome:StringEquals"])
def test_an_operator_that_it_does_not_know_is_refused(operator):
    """A condition that cannot be decided is an error, not a guess."""
    with pytest.raises(PolicyError, match=operator):
        allows({"Condition": {operator: {"aws:SourceIp": "10.0.0.0/8"}}}, aws__SourceIp="10.1.1.1")
