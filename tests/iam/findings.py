"""What a record of calls says about the policies: calls that were denied, grants that nothing uses.

    python -m tests.iam.findings RECORD CASES

Writes CASES, for `judge.mjs`, with every recorded call and every call that must be denied. Exits
with 1 if a call was denied or is not known, or if a policy grants what nothing uses.
"""

import json
import sys
from pathlib import Path

from rios_plugin_awsbatch.local.iam import Access, decide, read_policy
from rios_plugin_awsbatch.local.iam_conditions import matches, matches_arn
from tests.iam.denied import DENIED
from tests.iam.handlers import calls_of_cloudformation
from tests.iam.reasons import SOMETIMES, UNUSED

MAINS_OWN = {"submitter-0"}  # is "main"'s, and so judged with it


def texts(value):
    return [value] if isinstance(value, str) else list(value)


def read_record(path):
    """Return the latest policies of each caller, and what was called, with those at that time."""
    policies, calls = {}, []
    for line in Path(path).read_text().splitlines():
        entry = json.loads(line)
        if "policies" in entry:
            policies[entry["caller"]] = entry["policies"]
        elif entry["caller"] != "owner":
            calls.append({**entry, "policies": policies[entry["caller"]]})
    return policies, calls


def must_be_denied(policies):
    """Return the cases of `DENIED`, for the callers that the record knows."""
    for caller, wanted in DENIED.items():
        for action, resource, context in wanted:
            yield {
                "caller": caller,
                "arn": f"arn:aws:iam::123456789012:user/{caller}",
                "policies": policies[caller],
                "action": action,
                "resource": resource,
                "context": context,
                "allowed": False,
            }


def wrongly_allowed(cases):
    for case in cases:
        known = [read_policy(name, text) for name, text in case["policies"].items()]
        decision = decide(known, Access(case["action"], case["resource"], case["context"]))
        if decision.allowed:
            yield f"{case['caller']} may {case['action']} on {case['resource']}: {decision}"


def unused(caller, policies, calls):
    """Yield each action and each resource of a statement that no call needs."""
    for name, document in policies.items():
        for number, statement in enumerate(document["Statement"]):
            if statement["Effect"] != "Allow":
                continue
            label = f"{caller} {name}/{statement.get('Sid', number)}"
            actions, resources = texts(statement["Action"]), texts(statement["Resource"])
            for action in actions:
                if not any(
                    matches(action.lower(), call["action"].lower())
                    and any(matches_arn(one, call["resource"]) for one in resources)
                    for call in calls
                ):
                    yield f"{label}: {action}"
            for resource in resources:
                if not any(
                    matches_arn(resource, call["resource"])
                    and any(matches(one.lower(), call["action"].lower()) for one in actions)
                    for call in calls
                ):
                    yield f"{label}: {resource}"


def main(record, cases):
    policies, calls = read_record(record)
    denied = list(must_be_denied(policies))
    problems = [
        f"{call['caller']} was denied {call['action']} on {call['resource']} ({call['call']})"
        for call in calls
        if not call["allowed"]
    ]
    problems += [f"no IAM action known: {c['call']}" for c in calls if "unmapped" in c["context"]]
    problems += wrongly_allowed(denied)
    for caller, documents in policies.items():
        if caller == "owner":
            continue
        # A main script that is a job has the policy that people have who run one.
        who = {caller, *({"main", "BatchMainRole"} if caller in {"main", "BatchMainRole"} else ())}
        needed = [call for call in calls if call["caller"] in who and call["allowed"]]
        if caller == "creator":
            needed += calls_of_cloudformation()
        judged = {name: one for name, one in documents.items() if name not in MAINS_OWN}
        found = [one for one in unused(caller, judged, needed) if one not in SOMETIMES]
        problems += (f"unused: {one}" for one in found if one not in UNUSED)
        problems += (
            f"used after all, so strike it off the reasons: {one}"
            for one in UNUSED
            if one.startswith(f"{caller} ") and one not in found
        )
    Path(cases).write_text(json.dumps([*calls, *denied]))
    print(*problems, sep="\n")
    print(f"{len(calls)} calls of {len(policies) - 1} callers; {len(problems)} findings")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
