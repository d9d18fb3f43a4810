"""Main and its workers for otherArgs of RIOS 2, without anything between them."""

from rios_plugin_awsbatch.hosts.rios2_otherargs import split
from rios_plugin_awsbatch.hosts.rios2_otherargs_list import OtherArgsList
from rios_plugin_awsbatch.hosts.rios2_otherargs_remote import OtherArgsKeeper, changes_of
from rios_plugin_awsbatch.wire.task_function import content_name

MODEL = 100_000  # numbers, so it is large


class Unread(Exception):
    """As RIOS 2's half in the worker raises it."""


class Stage:
    """Main and its workers, without anything between them."""

    def __init__(self, other, workers=1):
        self.parts = split(other)
        self.other = other
        self.stored = {}
        self.fetched = []
        self.list = OtherArgsList(self.parts, self._fetch)
        self.workers = [OtherArgsKeeper(self.parts, passes=Unread) for _ in range(workers)]

    def _fetch(self, name):
        self.fetched.append(name)
        return self.stored[name]

    def _add(self, data):
        name = content_name(data)
        self.stored[name] = data
        return name

    def changes(self, function, *, worker=0, attempt=1):
        """Have a worker compute a task; return what it has changed."""

        def compute(other):
            return function(other), None

        changed = self.workers[worker].run(compute, first_attempt=attempt == 1).changed
        return changes_of(changed, self._add)

    def output(self, function):
        """Have a worker compute a task; return its outputs."""
        return (
            self.workers[0].run(lambda other: (function(other), None), first_attempt=True).outputs
        )

    def entry(self, function, **keywords):
        """Have a worker compute a task; return its entry of the list."""
        return self.list.entry(self.changes(function, **keywords))


class Plain:
    """A class as RIOS's OtherInputs."""

    def __init__(self, **values):
        vars(self).update(values)


def names(changes):
    return {change.names for change in changes}
