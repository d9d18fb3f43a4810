"""Who calls the embedded AWS of the tests, besides jobs and "main", by the policies to paste."""

from rios_plugin_awsbatch.local import ACCOUNT
from rios_plugin_awsbatch.stack.policy import PolicyNames, policy_text

REGION, STACK = "ap-southeast-2", "RIOS"
NAMES = PolicyNames(STACK, ACCOUNT, REGION, "aws")
USERS = {
    "creator": [policy_text("creator", NAMES)],
    "pusher": [policy_text("push", NAMES)],
    "submitter": [policy_text("main", NAMES), policy_text("image", NAMES)],
}
