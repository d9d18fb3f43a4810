"""Grants that the tour does not use, each with its reason."""

_LAYERS = "docker pushes layers itself; the tour's is a double"
_FAILED_UPLOAD = "boto3 tidies up after an upload of several parts that has failed"
_TAGGED = "CloudFormation passes the stack's tags on to what takes tags; to policies, some day"

UNUSED = {
    "main BatchMainPolicy/Objects: s3:AbortMultipartUpload": _FAILED_UPLOAD,
    "BatchMainRole BatchMainPolicy/Objects: s3:AbortMultipartUpload": _FAILED_UPLOAD,
    "creator creator-0/Bucket: s3:AbortMultipartUpload": _FAILED_UPLOAD,
    "pusher pusher-0/Images: ecr:BatchCheckLayerAvailability": _LAYERS,
    "pusher pusher-0/Images: ecr:BatchGetImage": _LAYERS,
    "pusher pusher-0/Images: ecr:CompleteLayerUpload": _LAYERS,
    "pusher pusher-0/Images: ecr:GetDownloadUrlForLayer": _LAYERS,
    "pusher pusher-0/Images: ecr:InitiateLayerUpload": _LAYERS,
    "pusher pusher-0/Images: ecr:PutImage": _LAYERS,
    "pusher pusher-0/Images: ecr:UploadLayerPart": _LAYERS,
    "creator creator-0/Logs: arn:aws:logs:ap-southeast-2:123456789012:log-group:"
    "/rios-awsbatch/RIOS:*": "IAM names a log group with and without the star",
    "creator creator-0/Policies: iam:TagPolicy": _TAGGED,
    "creator creator-0/Policies: iam:UntagPolicy": _TAGGED,
}
# Used or not, as it happens: a worker that ends hands on what it has prefetched.
_ANSWERS = "BatchWorkerRole BatchWorkerPolicy/Answers"
SOMETIMES = {f"{_ANSWERS}: arn:aws:sqs:ap-southeast-2:123456789012:riosInQueue"}
