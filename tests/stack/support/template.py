"""The template as data: !Ref, !Sub and the like are {"Ref": ...}, {"Sub": ...}."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "stack" / "batch.yaml").read_text()


class _Loader(yaml.SafeLoader):
    pass


def _construct(loader, suffix, node):
    kinds = {
        yaml.ScalarNode: loader.construct_scalar,
        yaml.SequenceNode: lambda it: loader.construct_sequence(it, deep=True),
    }
    return {suffix: kinds[type(node)](node)}


_Loader.add_multi_constructor("!", _construct)


def parsed(text):
    """Return a template as data."""
    return yaml.load(text, Loader=_Loader)


TEMPLATE = parsed(TEXT)
RESOURCES, PARAMETERS, OUTPUTS = (TEMPLATE[part] for part in ("Resources", "Parameters", "Outputs"))
MAIN_DEFINITIONS = ("BatchProcessingJobDefinitionMain", "BatchProcessingJobDefinitionMainScript")
DEFINITIONS = ("BatchProcessingJobDefinition", *MAIN_DEFINITIONS)
ON_EC2 = ("BatchComputeEnvironmentEC2", "BatchComputeEnvironmentMainEC2")
ON_FARGATE = ("BatchComputeEnvironmentFargate", "BatchComputeEnvironmentMainFargate")
FALLBACKS = ("BatchComputeEnvironmentFallbackEC2", "BatchComputeEnvironmentFallbackFargate")
ENVIRONMENTS = (*ON_EC2, *ON_FARGATE)
JOB_QUEUES = ("BatchProcessingJobQueue", "BatchProcessingJobQueueMain")
REPOSITORIES = ("BatchRepository", "BatchRepositoryMain")


def properties(name):
    return RESOURCES[name]["Properties"]


def of_type(kind):
    return {name: resource for name, resource in RESOURCES.items() if resource["Type"] == kind}


def statements(name):
    """Return the statements of a policy, by their ids."""
    listed = properties(name)["PolicyDocument"]["Statement"]
    return {statement["Sid"]: statement for statement in listed}


def texts(node):
    """Return every string within a node."""
    if isinstance(node, dict):
        return [text for value in node.values() for text in texts(value)]
    if isinstance(node, list):
        return [text for value in node for text in texts(value)]
    return [node] if isinstance(node, str) else []


def chosen(node, **conditions):
    """Return a node with each !If of these conditions replaced by what it chooses."""
    if isinstance(node, list):
        return [chosen(one, **conditions) for one in node]
    if not isinstance(node, dict):
        return node
    if node.keys() == {"If"} and node["If"][0] in conditions:
        condition, yes, no = node["If"]
        return chosen(yes if conditions[condition] else no, **conditions)
    return {key: chosen(value, **conditions) for key, value in node.items()}
