"""The policies that people paste: what they allow, and that their names are the stack's."""

import fnmatch
import json
import re

import pytest

from rios_plugin_awsbatch.stack.delete import delete_stack
from rios_plugin_awsbatch.stack.policy import POLICIES, PolicyNames, boundary_name, policy_text
from tests.stack.support.stacks import COMMAND, REGION, create, outputs, run
from tests.stack.support.template import RESOURCES, ROOT, chosen, of_type, statements, texts

ACCOUNT = "123456789012"
NAMES = [
    ("RIOS", "rios", ""),
    ("my-stack", "rios", ""),
    ("Other", "maps", ""),
    ("Other", "maps", "images"),
    ("S" * 43, "rios", ""),
    ("S" * 128, "p" * 20, ""),
]


def policy(kind, stack="RIOS", service="rios", repository="", **more):
    names = PolicyNames(stack, ACCOUNT, REGION, "aws", service, repository, **more)
    return json.loads(policy_text(kind, names))


def by_sid(document):
    return {one["Sid"]: one for one in document["Statement"]}


def listed(value):
    return value if isinstance(value, list) else [value]


def allowed(document, action, resource):
    """Say whether a document allows an action on a resource, if its conditions are met."""
    return any(
        any(fnmatch.fnmatchcase(action, pattern) for pattern in listed(one["Action"]))
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in listed(one["Resource"]))
        for one in document["Statement"]
    )


@pytest.mark.parametrize("kind", POLICIES)
@pytest.mark.parametrize("names", NAMES, ids=lambda names: "-".join(names)[:20])
def test_a_policy_is_one_that_iam_takes(kind, names):
    """It is short enough for a managed policy, and has no placeholder and no other partition."""
    for partition in ("aws", "aws-cn", "aws-us-gov"):
        text = policy_text(kind, PolicyNames(names[0], ACCOUNT, REGION, partition, *names[1:]))
        assert len(json.dumps(json.loads(text), separators=(",", ":"))) <= 6144
        assert "$" not in text
        assert set(re.findall(r'"arn:([a-z-]+):', text)) == {partition}
        assert len(set(by_sid(json.loads(text)))) == len(json.loads(text)["Statement"])


def resolved(node, values):
    """Return a node of the template without its functions, for the stack RIOS."""
    if isinstance(node, list):
        return [resolved(one, values) for one in node]
    if not isinstance(node, dict):
        return node
    if node and node.keys() <= {"Ref", "GetAtt"}:
        return values[next(iter(node.values()))]
    if node.keys() == {"Sub"}:
        text, more = node["Sub"] if isinstance(node["Sub"], list) else (node["Sub"], {})
        known = {**values, **resolved(more, values)}
        return re.sub(r"\$\{([^}]+)}", lambda found: known[found[1]], text)
    return {key: resolved(value, values) for key, value in node.items()}


def test_the_policy_for_main_scripts_is_that_of_the_template():
    """Whoever cannot attach the stack's own policy can paste the same one."""
    arn = f"arn:aws:{{}}:{REGION}:{ACCOUNT}:{{}}".format
    values = {
        "AWS::Partition": "aws",
        "AWS::Region": REGION,
        "AWS::AccountId": ACCOUNT,
        "AWS::StackName": "RIOS",
        "ServiceName": "rios",
        "BatchBucket.Arn": f"arn:aws:s3:::riosbucket{ACCOUNT}{REGION}",
        "BatchInQueue.Arn": arn("sqs", "riosInQueue"),
        "BatchOutQueue.Arn": arn("sqs", "riosOutQueue"),
        "BatchProcessingJobQueue": arn("batch", "job-queue/riosJobQueue"),
        "BatchProcessingJobQueueMain": arn("batch", "job-queue/riosJobQueueMain"),
        "BatchRepository.Arn": arn("ecr", "repository/riosecr"),
        "BatchRepositoryMain.Arn": arn("ecr", "repository/riosecrmain"),
        "BatchLogGroup": "/rios-awsbatch/RIOS",
    }
    template = chosen(statements("BatchMainPolicy"), Named=True, ServiceNamed=False)
    assert by_sid(policy("main")) == resolved(template, values)


@pytest.mark.usefixtures("aws")
def test_what_is_printed_fits_the_stack_that_is_there():
    """Names, account, region and partition are the stack's; its ServiceName is found."""
    stack = create("Printed", {"ServiceName": "printed", "ComputeType": "fargate"})
    found = outputs(stack)
    done = run(COMMAND, "stack", "policy", "--stackname", "Printed")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{found['BatchRunQueuePrefix']}1-tasks"
    assert allowed(document, "sqs:CreateQueue", queue)
    assert allowed(document, "batch:SubmitJob", found["BatchProcessingJobQueueArn"])
    assert allowed(document, "batch:SubmitJob", found["BatchProcessingJobDefinitionArn"])
    assert allowed(document, "s3:PutObject", f"arn:aws:s3:::{found['BatchBucket']}/runs/1/a")
    repository = found["BatchECR"].partition("/")[2]
    assert allowed(
        document, "ecr:DescribeImages", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}"
    )
    list(delete_stack(stack))


def test_made_up_names_are_covered(made):
    """CloudFormation calls bucket and repositories after the stack, in lower case."""
    found = outputs(made)
    creator, push = policy("creator", made.name), policy("push", made.name)
    assert allowed(creator, "s3:CreateBucket", f"arn:aws:s3:::{found['BatchBucket']}")
    for output in ("BatchECR", "BatchECRMain"):
        repository = found[output].partition("/")[2]
        resource = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}"
        assert allowed(creator, "ecr:CreateRepository", resource)
        assert allowed(push, "ecr:PutImage", resource)


# Who creates the stack


def test_the_creator_covers_what_the_template_makes():
    """Each service in the template has its statement."""
    actions = [action for one in policy("creator")["Statement"] for action in listed(one["Action"])]
    used = {resource["Type"].split("::")[1].lower() for resource in RESOURCES.values()}
    assert used | {"cloudformation"} <= {action.partition(":")[0] for action in actions}


@pytest.mark.parametrize("service", ["iam", "s3", "sqs", "ecr", "logs", "cloudformation"])
def test_the_creator_has_no_business_with_others(service):
    """What has a name is the stack's: nothing is changed under another one."""
    for one in policy("creator")["Statement"]:
        actions = [action for action in listed(one["Action"]) if action.startswith(f"{service}:")]
        changing = [
            action
            for action in actions
            if not action.partition(":")[2].startswith(("Describe", "Get", "List"))
        ]
        names = {resource.lower() for resource in listed(one["Resource"])}
        if changing and one["Sid"] != "RolesOfAWSServices":
            assert all("rios" in name.partition(":")[2] for name in names), one["Sid"]


def test_the_creator_makes_no_role_without_a_boundary():
    """Roles are created and get policies only with the boundary, which is not the creator's."""
    found = by_sid(policy("creator"))
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/{boundary_name('RIOS')}"
    bound = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    assert found["RolesWithinTheBoundary"]["Condition"] == bound
    attaching = found["PoliciesOfRoles"]["Condition"]
    assert attaching["StringEquals"] == bound["StringEquals"]
    assert attaching["ArnLike"]["iam:PolicyARN"] == [
        f"arn:aws:iam::{ACCOUNT}:policy/RIOS-*",
        "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy",
    ]
    for action in ("iam:CreatePolicyVersion", "iam:DeletePolicy"):
        assert not allowed(policy("creator"), action, boundary)
    for action in ("iam:DeleteRolePermissionsBoundary", "iam:PutRolePolicy", "iam:CreateUser"):
        assert not allowed(policy("creator"), action, f"arn:aws:iam::{ACCOUNT}:role/RIOS-x")


def test_policies_that_jobs_may_get_are_named():
    """Others than the stack's own can be attached only if whoever prints the policy says so."""
    arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    found = by_sid(policy("creator", attached=(arn,)))
    assert found["PoliciesOfRoles"]["Condition"]["ArnLike"]["iam:PolicyARN"][-1] == arn


def test_roles_are_passed_to_jobs_and_machines_only():
    """No policy passes a role to Lambda, for instance, whose code would then have it."""
    passed = {}
    for kind in POLICIES:
        for one in policy(kind)["Statement"]:
            if "iam:PassRole" in listed(one["Action"]):
                passed[kind] = set(one["Condition"]["StringEquals"]["iam:PassedToService"])
    jobs = {"batch.amazonaws.com", "ecs-tasks.amazonaws.com"}
    machines = {"ec2.amazonaws.com", "ec2.amazonaws.com.cn"}
    assert passed == {"image": jobs, "push": jobs, "creator": jobs | machines}


def test_what_the_roles_may_do_is_within_the_boundary():
    """A stack whose roles are bounded works like any other."""
    granted = {
        action
        for name in of_type("AWS::IAM::ManagedPolicy")
        for one in statements(name).values()
        for action in texts(one["Action"])
    }
    # AmazonECSTaskExecutionRolePolicy.
    granted |= {"ecr:GetAuthorizationToken", "logs:CreateLogStream", "logs:PutLogEvents"}
    bounds = texts([one["Action"] for one in policy("boundary")["Statement"]])
    beyond = {
        action
        for action in granted
        if not any(fnmatch.fnmatchcase(action, pattern) for pattern in bounds)
    }
    assert not beyond
    assert not any(pattern.startswith(("iam:", "sts:", "*")) for pattern in bounds)


def test_the_documents_say_how_to_print_them():
    """Each kind of policy is told of where somebody may need it."""
    words = "".join((ROOT / "docs" / name).read_text() for name in ("aws.md", "image.md"))
    told = set(re.findall(r"stack policy --for (\w+)", words))
    assert told == set(POLICIES)
