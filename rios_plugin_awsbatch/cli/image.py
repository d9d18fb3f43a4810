"""The commands ``rios-awsbatch image build``, ``push`` and ``path``."""

import shlex
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rios_plugin_awsbatch.aws.clients import Clients
    from rios_plugin_awsbatch.settings import Settings

__all__ = ["image"]

_BUILDER = click.option(
    "--builder",
    metavar="PROGRAM",
    envvar="BUILDER",
    help="docker, podman or buildah.  [the first that is installed]",
)


@click.group()
def image() -> None:
    """Build the image of the workers, and push it to the stack's repository."""


@image.command()
@_BUILDER
@click.option(
    "--name", envvar="IMAGE", default="rios", show_default=True, help="The image's name here."
)
@click.option("--base-image", envvar="BASE_IMAGE", help="What it is built on.  [ubuntu:24.04]")
@click.option(
    "--rios",
    envvar="RIOS_VER",
    metavar="RIOS",
    help="Version, or an archive or folder here, or a URL.",
)
@click.option(
    "--extra-packages",
    envvar="EXTRA_PACKAGES",
    metavar="NAMES",
    help="For apt, with spaces between.",
)
@click.option(
    "--pip-packages", envvar="PIP_PACKAGES", metavar="NAMES", help="For pip, with spaces between."
)
@click.option(
    "--platform",
    envvar="PLATFORM",
    metavar="OS/CPU",
    help="linux/amd64 or linux/arm64.  [the stack's]",
)
@click.option(
    "--options",
    envvar="BUILD_OPTIONS",
    metavar="OPTIONS",
    help="For the builder, as in '--no-cache --pull'.",
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
    """Build the image: GDAL, RIOS, this package, and what else you name.

    The environment can say each option too, as it does for make in the folder image: BUILDER, IMAGE, BASE_IMAGE,
    RIOS_VER, EXTRA_PACKAGES, PIP_PACKAGES, PLATFORM, BUILD_OPTIONS.
    """
    from rios_plugin_awsbatch.image.build import LATEST_RIOS, Build  # noqa: PLC0415 - only when it is run
    from rios_plugin_awsbatch.image.build import build as build_image  # noqa: PLC0415
    from rios_plugin_awsbatch.image.builder import default_builder  # noqa: PLC0415
    from rios_plugin_awsbatch.image.registry import platform_of_stack  # noqa: PLC0415

    what = Build(
        builder=builder or default_builder(),
        name=name,
        base_image=base_image or None,
        rios=rios or LATEST_RIOS,
        extra_packages=(extra_packages or "").split(),
        pip_packages=(pip_packages or "").split(),
        platform=platform or platform_of_stack(*_aws()),
        options=shlex.split(options or ""),
    )
    for built in build_image(what):
        click.echo(f"Built {built}")


@image.command()
@_BUILDER
@click.option("--main", is_flag=True, help="To the repository for images of main scripts.")
@click.argument("name", envvar="IMAGE", default="rios")
def push(name: str, *, builder: str | None, main: bool) -> None:
    """Push the image NAME (rios, if not given) to the stack's repository, as latest and under its own tag."""
    from rios_plugin_awsbatch.image.builder import default_builder  # noqa: PLC0415 - only when it is run
    from rios_plugin_awsbatch.image.registry import ecr_path  # noqa: PLC0415
    from rios_plugin_awsbatch.image.registry import push as push_image  # noqa: PLC0415

    clients, settings = _aws()
    repository = ecr_path(clients, settings, main=main)
    for pushed in push_image(clients, builder or default_builder(), name, repository):
        click.echo(f"Pushed {pushed}")


@image.command()
@click.option("--base", is_flag=True, help="The registry alone, which one logs in to.")
@click.option("--main", is_flag=True, help="The repository for images of main scripts.")
def path(*, base: bool, main: bool) -> None:
    """Print where the stack's images go."""
    from rios_plugin_awsbatch.image.registry import ecr_path  # noqa: PLC0415 - only when it is run

    click.echo(ecr_path(*_aws(), main=main, base=base))


def _aws() -> "tuple[Clients, Settings]":
    from rios_plugin_awsbatch.aws.clients import Clients  # noqa: PLC0415 - only when it is run
    from rios_plugin_awsbatch.settings import Settings, load  # noqa: PLC0415

    settings = load(Settings)
    return Clients(settings.region), settings
