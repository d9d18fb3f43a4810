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
called in threads of the run, or in the thread that cancels a task, closes the run, or computes a
block in main. They must return soon. A hook that raises is logged and harms nothing.
"""

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
        """A worker is ready, has gone, could not start, or turns out to be unfit.

        Args:
            record: Which worker, and what has happened to it.
        """

    @_specification
    def rios_awsbatch_run_ended(self, record: RunRecord) -> None:
        """A run has ended. What could not be deleted in AWS is logged, and swept later.

        Args:
            record: What it did in all.
        """


class _Plugins:
    """The plugins of this process; those of installed packages come with the first use."""

    def __init__(self) -> None:
        self._changing = threading.Lock()  # guards all that follows, but for who reads `_callers`
        self._manager = pluggy.PluginManager(_PROJECT)
        self._manager.add_hookspecs(HookSpecification)
        self._loaded = False
        self._callers: dict[str, list[Any]] = {}  # by hook, one for each plugin; never changed

    def load(self) -> None:
        """Register the plugins of installed packages, once; one that fails is logged."""
        if self._loaded:
            return
        with self._changing:
            loaded, self._loaded = self._loaded, True
        if loaded:
            return
        for entry in importlib.metadata.entry_points(group=_PROJECT):  # may register others
            try:
                self.register(entry.load())
            except Exception:
                log.exception("plugin %s of group %s cannot be used", entry.value, _PROJECT)

    def register(self, plugin: object) -> None:
        self._refuse_unknown_hooks(plugin)
        with self._changing:
            try:
                self._manager.register(plugin)
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
            except KeyboardInterrupt:
                raise
            except BaseException:  # sys.exit in a hook must not end a thread of the run
                log.exception("a plugin's %s failed", hook)

    def _refuse_unknown_hooks(self, plugin: object) -> None:
        # pluggy's own check looks at all plugins: one that is wrong would refuse all others.
        for name in dir(plugin):
            if self._manager.parse_hookimpl_opts(plugin, name) and name not in _HOOKS:
                raise pluggy.PluginValidationError(
                    plugin, f"There is no hook {name}; there are {', '.join(_HOOKS)}."
                )

    def _replace_callers(self) -> None:
        # One caller for each plugin: pluggy's own stops at the first plugin that raises.
        plugins = self._manager.get_plugins()
        self._callers = {
            hook: [self._manager.subset_hook_caller(hook, plugins - {one}) for one in plugins]
            for hook in _HOOKS
        }


_HOOKS: Final = tuple(name for name in vars(HookSpecification) if name.startswith(_PROJECT))
_PLUGINS: Final = _Plugins()  # empty: importing this module loads no plugin


def register(plugin: object) -> None:
    """Have the hooks of a plugin called from now on.

    Raises:
        ValueError: It is registered already.
        pluggy.PluginValidationError: One of its hooks does not exist, or takes other arguments.
    """
    _PLUGINS.register(plugin)


def unregister(plugin: object) -> None:
    """Call the hooks of a plugin no more."""
    _PLUGINS.unregister(plugin)


def call(hook: str, record: Any) -> None:
    """Call a hook of all plugins; none of them can do harm.

    Args:
        hook: Its name.
        record: Its record.
    """
    _PLUGINS.load()
    _PLUGINS.call(hook, record)
