"""The commands ``rios-awsbatch image build``, ``push`` and ``path``."""

import shlex

import click

from rios_plugin_awsbatch.image import build as images
from rios_plugin_awsbatch.image import registry
from rios_plugin_awsbatch.image.builder import default_builder

from .common import opened_aws

__all__ = ["image"]

_BUILDER = click.option(
    "--builder",
    metavar="PROGRAM",
    envvar="BUILDER",
    help="docker, podman or buildah.  [default: the first that is installed]",
)
_MAIN = click.option("--main", is_flag=True, help="Use the repository for main scripts' images.")


@click.group()
def image() -> None:
    """Build and push the workers' image."""


@image.command()
@_BUILDER
@click.option(
    "--name", envvar="IMAGE", default="rios", show_default=True, help="The image's local name."
)
@click.option(
    "--base-image",
    metavar="IMAGE",
    envvar="BASE_IMAGE",
    help="The image to build on.  [default: ubuntu:24.04]",
)
@click.option(
    "--rios",
    envvar="RIOS_VER",
    metavar="RIOS",
    help="RIOS's version, or the path or URL of an archive, or the path of a folder.  "
    f"[default: {images.LATEST_RIOS}]",
)
@click.option(
    "--extra-packages",
    envvar="EXTRA_PACKAGES",
    metavar="NAMES",
    help="Packages for apt, separated by spaces.  [default: none]",
)
@click.option(
    "--pip-packages",
    envvar="PIP_PACKAGES",
    metavar="NAMES",
    help="Packages for pip, separated by spaces.  [default: none]",
)
@click.option(
    "--platform",
    envvar="PLATFORM",
    metavar="OS/CPU",
    help="linux/amd64 or linux/arm64.  [default: the stack's, or the builder's if there is none]",
)
@click.option(
    "--options",
    envvar="BUILD_OPTIONS",
    metavar="OPTIONS",
    help="Options for the builder, as in '--no-cache --pull'.  [default: none]",
)
def build(  # noqa: PLR0913 - the options of a command
    *,
    builder: str | None,
    name: str,
    base_image: str | None,
    rios: str | None,
    extra_packages: str | None,
    pip_packages: str | None,
    platform: str | None,
    options: str | None,
) -> None:
    """Build the image.

    It holds GDAL, RIOS, this package, and the packages that you name. Each option can also be an
    environment variable, as for make in the folder image: BUILDER, IMAGE, BASE_IMAGE, RIOS_VER,
    EXTRA_PACKAGES, PIP_PACKAGES, PLATFORM, BUILD_OPTIONS.
    """
    wanted = images.Build(
        builder=builder or default_builder(),
        name=name,
        base_image=base_image or None,
        rios=rios or images.LATEST_RIOS,
        extra_packages=(extra_packages or "").split(),
        pip_packages=(pip_packages or "").split(),
        platform=platform or registry.platform_of_stack(*opened_aws()),
        options=shlex.split(options or ""),
    )
    for built in images.build(wanted):
        click.echo(f"Built {built}")


@image.command()
@_BUILDER
@_MAIN
@click.argument("name", envvar="IMAGE", default="rios")
def push(name: str, *, builder: str | None, main: bool) -> None:
    """Push the image NAME to the stack's repository.

    It is pushed as latest and under its own tag. NAME is rios by default.
    """
    clients, settings = opened_aws()
    repository = registry.ecr_path(clients, settings, main=main)
    for pushed in registry.push(clients, builder or default_builder(), name, repository):
        click.echo(f"Pushed {pushed}")


@image.command()
@click.option("--base", is_flag=True, help="Only the registry, for logging in.")
@_MAIN
def path(*, base: bool, main: bool) -> None:
    """Print the repository of the stack's images."""
    click.echo(registry.ecr_path(*opened_aws(), main=main, base=base))
