"""What nobody may do, by who tries: IAM action, resource, and what the request's context has."""

ACCOUNT, REGION = "123456789012", "ap-southeast-2"
BUCKET = f"arn:aws:s3:::riosbucket{ACCOUNT}{REGION}"
RUN = "20200101T000000-0123abcd"


def arn(service, resource, region=REGION, account=ACCOUNT):
    return f"arn:aws:{service}:{region}:{account}:{resource}"


def queue(name):
    return arn("sqs", name)


def role(name):
    return arn("iam", f"role/{name}", region="")


_TASKS = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
_IAM = (
    ("iam:CreateRole", role("RIOS-evil"), {}),
    ("iam:AttachRolePolicy", role("RIOS-BatchWorkerRole-1"), {}),
    ("iam:PutRolePolicy", role("RIOS-BatchWorkerRole-1"), {}),
    ("iam:PassRole", role("RIOS-BatchMainRole-1"), _TASKS),
    ("sts:AssumeRole", role("RIOS-BatchMainRole-1"), {}),
)
_OTHERS = (
    ("sqs:ReceiveMessage", queue("production"), {}),
    ("sqs:DeleteQueue", queue("production"), {}),
    ("sqs:DeleteQueue", queue("OTHER-run-1-tasks"), {}),
    ("sqs:CreateQueue", queue("production"), {}),
    ("s3:GetObject", "arn:aws:s3:::another-bucket/key", {}),
    ("s3:PutObject", "arn:aws:s3:::another-bucket/key", {}),
    ("s3:ListBucket", "arn:aws:s3:::another-bucket", {}),
    ("s3:DeleteBucket", BUCKET, {}),
    ("s3:PutBucketPolicy", BUCKET, {}),
    ("batch:DeleteJobQueue", arn("batch", "job-queue/riosJobQueue"), {}),
    ("batch:SubmitJob", arn("batch", "job-queue/production"), {}),
    ("batch:RegisterJobDefinition", arn("batch", "job-definition/riosJobDefinition"), {}),
    ("ecr:PutImage", arn("ecr", "repository/riosecr"), {}),
    ("logs:GetLogEvents", arn("logs", "log-group:/production:log-stream:a"), {}),
    ("cloudformation:DeleteStack", arn("cloudformation", "stack/RIOS/1"), {}),
    ("ec2:RunInstances", arn("ec2", "instance/*"), {}),
)
# Also what only main may do.
_WORKER = (
    ("s3:ListBucket", BUCKET, {}),
    ("s3:ListBucket", BUCKET, {"s3:prefix": "runs/"}),
    ("s3:DeleteObject", f"{BUCKET}/runs/{RUN}/results/1", {}),
    ("s3:PutObject", f"{BUCKET}/runs/{RUN}/run.json", {}),
    ("s3:PutObject", f"{BUCKET}/submissions/{RUN}/files.tar.gz", {}),
    ("s3:PutObject", f"{BUCKET}/elsewhere/1", {}),
    ("s3:GetObject", f"{BUCKET}/elsewhere/1", {}),
    ("s3:GetObject", f"{BUCKET}/submissions/{RUN}/record.json", {}),
    ("sqs:CreateQueue", queue(f"RIOS-run-{RUN}-tasks"), {}),
    ("sqs:DeleteQueue", queue(f"RIOS-run-{RUN}-tasks"), {}),
    ("sqs:ReceiveMessage", queue(f"RIOS-run-{RUN}-results"), {}),
    ("sqs:DeleteMessage", queue(f"RIOS-run-{RUN}-results"), {}),
    ("sqs:PurgeQueue", queue(f"RIOS-run-{RUN}-tasks"), {}),
    ("batch:SubmitJob", arn("batch", "job-queue/riosJobQueue"), {}),
    ("batch:TerminateJob", arn("batch", "job/1"), {}),
    ("batch:DescribeJobs", "*", {}),
    ("logs:GetLogEvents", arn("logs", "log-group:/rios-awsbatch/RIOS:log-stream:a"), {}),
    ("cloudformation:DescribeStacks", arn("cloudformation", "stack/RIOS/1"), {}),
)
DENIED = {
    "BatchWorkerRole": (*_IAM, *_OTHERS, *_WORKER),
    "BatchMainRole": (*_IAM, *_OTHERS),
    "main": (*_IAM, *_OTHERS),
    "creator": (
        ("iam:CreateRole", role("RIOS-evil"), {}),
        ("iam:CreateRole", role("evil"), {}),
        (
            "iam:AttachRolePolicy",
            role("RIOS-evil"),
            {"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"},
        ),
        ("iam:PassRole", role("RIOS-x"), {"iam:PassedToService": "lambda.amazonaws.com"}),
        ("iam:CreateUser", arn("iam", "user/evil", region=""), {}),
        ("sts:AssumeRole", role("RIOS-BatchMainRole-1"), {}),
        ("sqs:DeleteQueue", queue("production"), {}),
        ("sqs:ReceiveMessage", queue("production"), {}),
        ("cloudformation:DeleteStack", arn("cloudformation", "stack/production/1"), {}),
        ("logs:DeleteLogGroup", arn("logs", "log-group:/production:*"), {}),
        ("batch:DeleteJobQueue", arn("batch", "job-queue/production"), {}),
        ("ec2:DeleteSubnet", arn("ec2", "subnet/subnet-1"), {}),
        ("ec2:TerminateInstances", arn("ec2", "instance/i-1"), {}),
        ("s3:DeleteBucket", "arn:aws:s3:::another-bucket", {}),
        ("ecr:DeleteRepository", arn("ecr", "repository/another"), {}),
    ),
    "pusher": (
        *_IAM[:3],
        ("ecr:PutImage", arn("ecr", "repository/another"), {}),
        ("ecr:DeleteRepository", arn("ecr", "repository/riosecr"), {}),
        ("batch:SubmitJob", arn("batch", "job-queue/riosJobQueue"), {}),
        ("iam:PassRole", role("admin"), _TASKS),
    ),
    "submitter": (
        *_IAM[:3],
        ("iam:PassRole", role("admin"), _TASKS),
        ("batch:RegisterJobDefinition", arn("batch", "job-definition/riosJobDefinition"), {}),
    ),
}
