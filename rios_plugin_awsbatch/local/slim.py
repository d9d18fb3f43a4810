"""What moto loads at its start, and the embedded AWS never needs, is left out here.

That is half of the time that the server takes to start. The embedded AWS has no instance types, no
machine images and no API Gateway.
"""

import sys
from types import ModuleType
from typing import Any, Final

import botocore.session
import moto.settings
import moto.utilities.utils

__all__ = ["install"]

# The files of the types, and the folder of where they are offered.
_INSTANCE_TYPES: Final = "ec2/resources/instance_type"
# Its regions stand for those of all services.
_EVERYWHERE: Final = "ec2"


def _without_instance_types(load: Any) -> Any:
    def load_resource(resource: str) -> Any:
        return {} if resource.startswith(_INSTANCE_TYPES) else load(resource)

    return load_resource


def _available_regions(
    session: Any,
    service_name: str,  # noqa: ARG001 - botocore's signature
    partition_name: str = "aws",
    allow_non_regional: bool = False,  # noqa: FBT001, FBT002 - botocore's signature
) -> list[str]:
    """Return a partition's regions; botocore would parse the service's whole model for it."""
    resolver = session._get_internal_component("endpoint_resolver")  # noqa: SLF001 - as botocore itself
    return list(resolver.get_available_endpoints(_EVERYWHERE, partition_name, allow_non_regional))


def _openapi_spec_validator() -> dict[str, ModuleType]:
    """Return the modules that moto's API Gateway imports, without their schemas."""
    package, validation, exceptions = (
        ModuleType(f"openapi_spec_validator{inner}")
        for inner in ("", ".validation", ".validation.exceptions")
    )
    vars(package)["validate"] = lambda *_: None
    vars(exceptions)["OpenAPIValidationError"] = ValueError
    return {module.__name__: module for module in (package, validation, exceptions)}


def install() -> None:
    """Make moto start without all this; call it before moto's services are imported."""
    sys.modules.update(_openapi_spec_validator())
    session_class: Any = botocore.session.Session
    session_class.get_available_regions = _available_regions
    moto.settings.ec2_load_default_amis = lambda: False
    moto.utilities.utils.load_resource = _without_instance_types(moto.utilities.utils.load_resource)
