"""Hooks: what others are told of tasks, workers and runs, by records.

A plugin is any object, a module for instance, with some of these functions::

    from rios_plugin_awsbatch.hooks import hookimpl, register

    class Slowest:
        seconds = 0.0

        @hookimpl
        def rios_awsbatch_task_done(self, record):
            self.seconds = max(self.seconds, record.seconds)

    register(Slowest())

Installed packages may offer plugins through the entry-point group ``rios_awsbatch``. Hooks are
called in threads of the run, so they must return soon. A hook that raises is logged and harms
nothing.
"""

import functools
import importlib.metadata
import logging
import threading
from typing import Any, Final

import pluggy

from .records import RunRecord, TaskRecord, WorkerRecord

__all__ = ["HookSpecification", "call", "hookimpl", "register", "unregister"]

log = logging.getLogger(__name__)

_PROJECT: Final = "rios_awsbatch"
_specification: Final = pluggy.HookspecMarker(_PROJECT)
hookimpl: Final = pluggy.HookimplMarker(_PROJECT)


class HookSpecification:
    """The hooks; a plugin has those that it wants, marked with `hookimpl`."""

    @_specification
    def rios_awsbatch_task_done(self, record: TaskRecord) -> None:
        """A task's future is done, or main itself has computed a block.

        Args:
            record: What became of it.
        """

    @_specification
    def rios_awsbatch_worker_changed(self, record: WorkerRecord) -> None:
        """A worker is ready, has gone, or turns out to be unfit.

        Args:
            record: Which worker, and what has happened to it.
        """

    @_specification
    def rios_awsbatch_run_ended(self, record: RunRecord) -> None:
        """A run has ended, and nothing of it is left in AWS.

        Args:
            record: What it did in all.
        """


class _Plugins:
    """The registered plugins of this process."""

    def __init__(self) -> None:
        self._changing = threading.Lock()  # guards `_manager`, and who replaces `_callers`
        self._manager = pluggy.PluginManager(_PROJECT)
        self._manager.add_hookspecs(HookSpecification)
        self._callers: dict[str, list[Any]] = {}  # by hook, one for each plugin; never changed
        for entry in importlib.metadata.entry_points(group=_PROJECT):
            try:
                self._manager.register(entry.load(), entry.name)
            except Exception:
                log.exception("plugin %s of group %s cannot be loaded", entry.value, _PROJECT)
        self._replace_callers()

    def register(self, plugin: object) -> None:
        with self._changing:
            try:
                self._manager.register(plugin)
                self._manager.check_pending()
            except pluggy.PluginValidationError:
                if self._manager.is_registered(plugin):  # pluggy may keep what it refuses
                    self._manager.unregister(plugin)
                raise
            self._replace_callers()

    def unregister(self, plugin: object) -> None:
        with self._changing:
            self._manager.unregister(plugin)
            self._replace_callers()

    def call(self, hook: str, record: object) -> None:
        for caller in self._callers.get(hook, ()):
            try:
                caller(record=record)
            except Exception:
                log.exception("a plugin's %s failed", hook)

    def _replace_callers(self) -> None:
        # One caller for each plugin: pluggy's own stops at the first plugin that raises.
        plugins = self._manager.get_plugins()
        self._callers = {
            hook: [self._manager.subset_hook_caller(hook, plugins - {one}) for one in plugins]
            for hook in vars(HookSpecification)
            if hook.startswith(_PROJECT)
        }


_making = threading.Lock()  # two threads must not make two of them


@functools.cache
def _made() -> _Plugins:
    return _Plugins()


def _plugins() -> _Plugins:
    with _making:
        return _made()


def register(plugin: object) -> None:
    """Have the hooks of a plugin called from now on.

    Raises:
        ValueError: It is registered already.
        pluggy.PluginValidationError: One of its hooks does not exist, or takes other arguments.
    """
    _plugins().register(plugin)


def unregister(plugin: object) -> None:
    """Call the hooks of a plugin no more."""
    _plugins().unregister(plugin)


def call(hook: str, record: Any) -> None:
    """Call a hook of all plugins; none of them can do harm.

    Args:
        hook: Its name.
        record: Its record.
    """
    _plugins().call(hook, record)
