"""The help of every command: it fits a terminal of 80 columns, and tells each default."""

import functools
import re
from importlib.resources import files

import click
import pytest
import yaml

from rios_plugin_awsbatch.cli.__main__ import COMMANDS, commands
from rios_plugin_awsbatch.cli.stack import createbatch, stack
from rios_plugin_awsbatch.cli.stack_options import PARAMETERS, template_defaults
from rios_plugin_awsbatch.stack.template import template_text
from tests.cli.support import all_commands, help_of

ALL = all_commands()


class _Template(yaml.SafeLoader):
    """Reads a template; CloudFormation's functions are not looked at."""


_Template.add_multi_constructor("!", lambda *_: None)


@functools.cache
def parameters():
    """Return the defaults of the template's parameters, read by YAML's rules."""
    template = yaml.load(template_text(), _Template)
    return {name: str(value["Default"]) for name, value in template["Parameters"].items()}


def options_in(text):
    """Return what the help says of each option, on one line."""
    section = text.partition("\nOptions:\n")[2].partition("\n\n")[0]
    entries = re.split(r"\n(?=  -)", f"\n{section}")[1:]
    return {
        name: " ".join(entry.split())
        for entry in entries
        for name in re.findall(r"--[a-z-]+", entry.strip().partition("  ")[0])
    }


def test_all_commands_are_looked_at():
    """The tests of this file see the groups, their commands and the two scripts."""
    assert {"rios-awsbatch", "rios-awsbatch stack create", "createbatch.py"} <= ALL.keys()
    assert len(ALL) >= 20


@pytest.mark.parametrize("name", ALL)
def test_no_line_is_too_long_or_cut(name):
    """Nothing is lost at 80 columns."""
    for line in help_of(name, ALL[name]).splitlines():
        assert len(line) <= 80, line
        if not line.startswith("Usage:"):  # where an argument may be repeated
            assert not line.rstrip().endswith("..."), line


@pytest.mark.parametrize("name", ALL)
def test_every_option_says_what_it_is_without(name):
    """An option that takes a value shows its default, in the usual place."""
    shown = options_in(help_of(name, ALL[name]))
    for option in ALL[name].params:
        if isinstance(option, click.Option) and not option.is_flag and not option.count:
            assert "[default: " in shown[option.opts[-1]], shown[option.opts[-1]]


@pytest.mark.parametrize("name", ALL)
def test_a_default_that_is_shown_is_the_default(name):
    """Where click knows it, the help says the same, unless it says what the value is."""
    shown = options_in(help_of(name, ALL[name]))
    for option in ALL[name].params:
        if isinstance(option, click.Option) and option.show_default:
            assert f"[default: {option.default}" in shown[option.opts[-1]]


@pytest.mark.parametrize("name", ALL)
def test_every_option_and_command_is_explained(name):
    """A sentence, with a full stop, that is not about the program's own parts."""
    command = ALL[name]
    assert command.help
    assert command.help.splitlines()[0].endswith(".")
    for option in command.params:
        if isinstance(option, click.Option):
            assert re.search(r"[.)\]]$", option.help), option.help


def test_each_parameter_of_the_template_shows_its_default():
    """What the template has, or what that means where it is empty or 0."""
    for command in (stack.commands["create"], createbatch):
        shown = options_in(help_of("create", command))
        for one in PARAMETERS:
            default, said = parameters()[one.parameter], shown[one.names[0]]
            if one.default:
                assert f"[default: {one.default}]" in said
                assert default in {"", "0", "rios"}
            else:
                assert f"[default: {default}]" in said


def test_each_option_of_modify_leaves_the_stack_as_it_is():
    """Its default is what the stack has."""
    shown = options_in(help_of("modify", stack.commands["modify"]))
    for one in PARAMETERS:
        assert "[default: unchanged]" in shown[one.names[0]]


def test_the_template_s_defaults_are_read_as_yaml_has_them():
    """The few lines that read them need no library for it."""
    assert template_defaults() == parameters()


def test_the_first_page_says_what_each_command_says_of_itself():
    """It is written down beside the commands' names, so that they need not be imported for it."""
    context = click.Context(commands)
    for name, entry in COMMANDS.items():
        command = commands.get_command(context, name)
        assert command.name == name
        assert command.help.partition("\n")[0] == entry.help


def test_commands_are_in_alphabetical_order():
    """Who looks for one finds it."""
    assert list(COMMANDS) == sorted(COMMANDS)


def test_the_base_image_that_is_named_is_the_dockerfile_s():
    """And RIOS's version is that which is built."""
    dockerfile = files("rios_plugin_awsbatch.image").joinpath("Dockerfile").read_text()
    shown = options_in(help_of("build", ALL["rios-awsbatch image build"]))
    (base,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", dockerfile, re.MULTILINE)
    assert f"[default: {base}]" in shown["--base-image"]
