"""The commands ``rios-awsbatch image build``, ``push`` and ``path``."""

import shlex
from collections.abc import Mapping
from pathlib import Path

import click

from rios_plugin_awsbatch.image import registry
from rios_plugin_awsbatch.image.build import Build
from rios_plugin_awsbatch.image.build import build as build_image
from rios_plugin_awsbatch.image.builder import default_builder, labelled
from rios_plugin_awsbatch.image.pin import pin
from rios_plugin_awsbatch.image.rios import LATEST_RIOS
from rios_plugin_awsbatch.stack.outputs import read_stack
from rios_plugin_awsbatch.wire.image_tag import differences, versions_here

from .common import note, opened_aws

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
    help="A Debian or Ubuntu to build on, best with its digest; with --conda, an image of "
    "micromamba's.  [default: debian:13]",
)
@click.option(
    "--python",
    metavar="X.Y",
    envvar="PYTHON_VERSION",
    help="Python's minor version.  [default: that of this environment]",
)
@click.option(
    "--rios",
    envvar="RIOS_VER",
    metavar="RIOS",
    help="RIOS's version, or the path or URL of an archive, or the path of a folder.  "
    f"[default: the one of this environment, or {LATEST_RIOS}]",
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
    "--requirements",
    metavar="FILE",
    envvar="REQUIREMENTS",
    type=click.Path(path_type=Path),
    help="A requirements file for pip; its hashes are checked, if it has any.  [default: none]",
)
@click.option(
    "--conda",
    metavar="FILE",
    envvar="CONDA_FILE",
    type=click.Path(path_type=Path),
    help="An environment.yml of conda; Python, numpy and GDAL then come from conda-forge.  "
    "[default: none]",
)
@click.option(
    "--like-here",
    is_flag=True,
    help="Install the packages of the active environment, in the same versions.",
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
    python: str | None,
    rios: str | None,
    extra_packages: str | None,
    pip_packages: str | None,
    requirements: Path | None,
    conda: Path | None,
    like_here: bool,
    platform: str | None,
    options: str | None,
) -> None:
    """Build the image.

    It has the Python, the numpy and the RIOS of this environment, this package, GDAL, and the
    packages that you name. Each option but --like-here can also be an environment variable, as for
    make in the folder image: BUILDER, IMAGE, BASE_IMAGE, PYTHON_VERSION, RIOS_VER, EXTRA_PACKAGES,
    PIP_PACKAGES, REQUIREMENTS, CONDA_FILE, PLATFORM, BUILD_OPTIONS.
    """
    wanted = Build(
        builder=builder or default_builder(),
        name=name,
        base_image=base_image or None,
        python=python or None,
        rios=rios or None,
        extra_packages=(extra_packages or "").split(),
        pip_packages=(pip_packages or "").split(),
        requirements=requirements,
        conda=conda,
        like_here=like_here,
        platform=platform or registry.platform_of_stack(*opened_aws()),
        options=shlex.split(options or ""),
    )
    tag, versions = build_image(wanted)
    for built in ("latest", tag):
        click.echo(f"Built {name}:{built}")
    _compare(versions)


@image.command()
@_BUILDER
@_MAIN
@click.argument("name", envvar="IMAGE", default="rios")
def push(name: str, *, builder: str | None, main: bool) -> None:
    """Push the image NAME to the stack's repository.

    It is pushed as latest and under its own tag, and the stack's job definitions name it by its
    digest from then on. NAME is rios by default.
    """
    clients, settings = opened_aws()
    repository = registry.ecr_path(clients, settings, main=main)
    builder = builder or default_builder()
    versions = labelled(builder, name)
    _compare(versions)
    tags = registry.push(clients, builder, name, repository, versions)
    for tag in tags:
        click.echo(f"Pushed {repository}:{tag}")
    stack = read_stack(clients, settings)
    for definition in pin(clients, stack, repository, tags[-1]):
        click.echo(f"Jobs of {definition} run this image, whatever is pushed")


def _compare(versions: Mapping[str, str]) -> None:
    """Tell how an image differs from this environment."""
    for difference in differences(versions, versions_here()):
        cannot = "; this environment cannot use such workers" if difference.decisive else ""
        note(f"The image has {difference}{cannot}.")


@image.command()
@click.option("--base", is_flag=True, help="Only the registry, for logging in.")
@_MAIN
def path(*, base: bool, main: bool) -> None:
    """Print the repository of the stack's images."""
    click.echo(registry.ecr_path(*opened_aws(), main=main, base=base))
