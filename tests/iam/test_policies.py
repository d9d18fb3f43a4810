"""The stack's policies and those that people paste: what they must not allow, and must."""

import pytest

from rios_plugin_awsbatch.local.iam import Access, decide, read_policy
from rios_plugin_awsbatch.local.iam_conditions import matches
from tests.iam.denied import DENIED
from tests.iam.handlers import NOT_USED, call_for, kinds, permissions


def decision(documents, action, resource, context):
    policies = [read_policy(name, document) for name, document in documents.items()]
    return decide(policies, Access(action, resource, context))


@pytest.mark.parametrize("caller", DENIED)
def test_nobody_may_do_what_does_not_belong_to_the_stack(policies, caller):
    """Other queues, buckets and jobs, roles, and of a worker whatever is main's: all is denied."""
    allowed = [
        (action, resource, found.statements)
        for action, resource, context in DENIED[caller]
        if (found := decision(policies[caller], action, resource, context)).allowed
    ]
    assert allowed == []


def used(kind):
    """Return what the handlers of a type call for the properties that the template has."""
    return [one for one in permissions(kind) if not unneeded(kind, one)]


def unneeded(kind, action):
    return [one for one in NOT_USED.get(kind, ()) if matches(one.lower(), action.lower())]


@pytest.mark.parametrize("kind", kinds())
def test_whoever_creates_the_stack_may_do_what_cloudformation_does_for_them(policies, kind):
    """CloudFormation calls what a resource's schema lists, with the rights of its caller."""
    calls = [call_for(kind, action) for action in used(kind)]
    creator = policies["creator"]
    missing = [
        one["action"]
        for one in calls
        if not decision(creator, one["action"], one["resource"], one["context"]).allowed
    ]
    assert missing == []


@pytest.mark.parametrize("kind", NOT_USED)
def test_what_the_template_is_said_not_to_use_is_in_the_schema(kind):
    """A pattern that matches nothing any more says nothing."""
    named = [name.lower() for name in permissions(kind)]
    useless = [
        one for one in NOT_USED[kind] if not any(matches(one.lower(), name) for name in named)
    ]
    assert useless == []
