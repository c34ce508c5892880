"""Replicas of all roots of a log, with one object for each container.

What a root reaches only by a link that closes a cycle may be below another root alone. Its changes are in the lines of
that one; the lines of a log say by its id that it is the same container. See "References" in docs/log-format.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydatatracker.history.apply_step import (
    NO_DATA,
    apply_step,
    change,
    check,
    fill,
    fill_again,
    refers,
    resolved,
    targets_of,
    united,
)
from pydatatracker.history.replica import Replica, ReplicaError, empty_of
from pydatatracker.history.steps import Step
from pydatatracker.io.line import LogLine, read_json
from pydatatracker.values.standins import At

__all__ = ["FAULTS", "Groups", "ReplicaSet"]

Errors = list[tuple[str, Exception]]  # with the root that each is of
Target = tuple[Any, tuple[Any, ...]]  # what changes, and the path of the change
FAULTS = (ReplicaError, RecursionError, TypeError, ValueError, LookupError)


class Groups:
    """Which roots of a log have a container in common, as its ids say."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def __bool__(self) -> bool:
        """Return whether a line had ids."""
        return bool(self._above)

    def add(self, line: Any) -> None:
        """Add a line: a LogLine, a mapping, or JSON. O(ids)."""
        if isinstance(line, LogLine):
            if line.head.ids:
                self._join((*line.roots, *line.ids))
            return
        if isinstance(line, (str, bytes)) and (b'"ids"' in line if isinstance(line, bytes) else '"ids"' in line):
            line = read_json(line.encode() if isinstance(line, str) else line)
        if isinstance(line, Mapping) and type(line.get("ids")) is dict:
            roots = [line.get("root"), *(root for root, _ in line.get("also", ()))]
            self._join([each for each in (*roots, *line["ids"].values()) if type(each) is str])

    def _join(self, names: Sequence[str]) -> None:
        first = self.of(names[0])
        for each in names[1:]:
            self._above[self.of(each)] = first

    def of(self, name: str) -> str:
        """Return what is the same for all roots of a group. O(1)."""
        above = self._above
        if name not in above:
            above[name] = name
        while above[name] != name:
            above[name] = name = above[above[name]]
        return name


@dataclass
class _Job:
    """What a step changes in a replica."""

    replica: Replica
    targets: list[Target]
    step: Step


class ReplicaSet:
    """The values of the roots of a log, which follow its lines.

    Lines come in the order of ``seq``. A container that a line named by its id is one object, in whatever roots it is,
    and changes wherever a line says that it does. All others are followed at their paths, in each root for itself.
    """

    def __init__(self) -> None:
        self._replicas: dict[str, Replica] = {}
        self._known: dict[str, Any] = {}  # containers by id: the roots, and what a line named
        self._has_ids = False  # whether one did
        self._since: dict[str, int] = {}  # by id: the newest change that a known container has
        self._named: set[str] = set()  # roots whose containers are all known

    @property
    def values(self) -> dict[str, Any]:
        """The values by the id of their root."""
        return {root: self._known[root] for root in self._replicas}

    def follow(self, head: Any) -> bool:
        """Apply a line of one root, if `Replica.follow_head` can.

        O(path + what was there). Else False, and nothing was changed; so also for None instead of a head.
        """
        replica = None if head is None else self._replicas.get(head.root)
        if replica is None:
            return False
        if not self._has_ids:
            return replica.follow_head(head)
        replica.value = self._known[head.root]
        item = head.tracked_item_uuid
        known = self._known.get(item)
        if known is None:
            return replica.follow_head(head)
        if type(head.seq) is not int or head.seq <= self._since.get(item, -1) or not replica.follow_head(head, known):
            return False
        self._since[item] = head.seq
        return True

    def apply(self, step: Step, roots: Iterable[str] | None = None) -> Errors:
        """Apply a step to its roots; return (root, error) where it did not fit.

        There it changed nothing. Costs what `apply_change` does.

        :param roots: those of them that are followed; by default all.
        """
        if step.action in NO_DATA:
            return []
        if not (self._has_ids or step.ids or step.also) and step.root in self._replicas:  # most lines
            try:
                self._replicas[step.root].follow(step)
            except FAULTS as error:
                return [(step.root, error)]
            return []
        errors: Errors = []
        views: list[tuple[Replica, Step]] = []
        later: list[tuple[Replica, Step]] = []  # whose state is from after the step
        shared = self._named_in(step)
        for root in step.roots if roots is None else roots:
            own = step if root == step.root else step.seen_from(root, shared)
            if root not in self._replicas:
                if root not in self._known:
                    self._known[root] = empty_of(own)
                self._replicas[root] = Replica(self._known[root])
            replica = self._replicas[root]
            replica.value = self._known[root]
            try:
                (views if replica.takes(own) else later).append((replica, own))
            except ReplicaError as error:
                errors.append((root, error))
        self._has_ids = self._has_ids or bool(step.ids)
        is_init = step.action == "init"
        if is_init or not self._has_ids:
            for replica, own in views:
                try:
                    if self._has_ids:
                        self._begin(replica, own)
                    else:
                        apply_step(replica.value, own)
                    replica.note(own)
                except FAULTS as error:
                    errors.append((own.root, error))
        elif views or (later and step.item in self._known and not self._is_old(step)):
            self._change(step, views, later, shared, errors)
        return errors

    def _named_in(self, step: Step) -> dict[int, Any]:
        """Return the objects of what a step names, by the id of their values."""
        known = self._known
        if step.action != "init" and not self._is_old(step):
            for value, name in step.ids:
                if type(value) is not At and type(known.get(name)) is not type(value):
                    known[name] = type(value)()  # `resolved` fills it
        return {id(value): known[name] for value, name in step.ids if name in known}

    def _is_old(self, step: Step) -> bool:
        """Return whether what changed has a later state already."""
        return step.seq <= self._since.get(step.item, -1)

    def _change(
        self,
        step: Step,
        views: list[tuple[Replica, Step]],
        later: list[tuple[Replica, Step]],
        named: dict[int, Any],
        errors: Errors,
    ) -> None:
        """Apply a step: first look in all roots, then change them.

        :param named: the objects of the containers that the step names, by the id of their values in it.
        """
        done: set[int] = set()  # ids of what changes
        jobs: list[_Job] = []
        main = self._known.get(step.item)
        if main is not None:
            done.add(id(main))
        is_taken = main is not None or bool(step.ids)  # whether the values of the step itself are
        holders: list[str] = []  # roots that hold main
        for replica, own in views:
            try:
                found = targets_of(replica.value, own)
                targets = [each for each in found if id(each[0]) not in done]
                for target, path in targets:
                    check(replica.value, target, path, own)
            except FAULTS as error:
                errors.append((own.root, error))
                continue
            if len(targets) < len(found):
                holders.append(own.root)
            done.update(id(target) for target, _ in targets)
            if targets:
                jobs.append(_Job(replica, targets, own.copy(named) if own is step and is_taken else own))
                is_taken = is_taken or own is step
            replica.note(own)
        ready = []
        if (main is not None or step.ids) and not self._is_old(step):
            every = views + later
            replica, own = next((view for view in every if view[1].root in self._named), every[0])
            shared: dict[int, Any] = {}
            try:
                if main is not None:
                    check(replica.value, main, own.paths[0], step)
                bases = [(replica.root, replica.value), *((view.root, replica.value) for replica, view in every)]
                filled = resolved(bases, step, shared, self._known)
                if main is not None:
                    ready.append(([(main, own.paths[0])], filled, shared))
                    self._since[step.item] = step.seq
            except FAULTS as error:
                errors += [(root, error) for root in holders]
        for job in jobs:
            shared = {id(each): each for each in named.values()}
            targets, own = job.targets, job.step
            try:
                if refers(own):
                    targets = united(job.replica.value, targets, own)
                    own = resolved([(own.root, job.replica.value)], own, shared)
                ready.append((targets, own, shared))
            except FAULTS as error:
                errors.append((own.root, error))
        for targets, own, shared in ready:
            change(targets, own, shared)

    def _begin(self, replica: Replica, step: Step) -> None:
        """Give a root the state of an init whose containers have ids.

        Those that are known stay the same objects, with what the state has for them. O(state).
        """
        known, names = self._known, {id(value): name for value, name in step.ids}
        if type(step.after) is not type(replica.value):
            fill(replica.value, step.after, (), step)
            return
        names[id(step.after)] = step.root
        self._named.add(step.root)
        one: dict[int, Any] = {}  # by the id of a container of the state: the object for it
        todo = [step.after]
        for each in todo:
            if id(each) in one:
                continue
            if type(each) is tuple:
                todo.extend(item for item in each if type(item) in _HOLDERS)
                continue
            name = names.get(id(each))
            if name is not None:
                self._since[name] = step.seq
            there = each if name is None else known.setdefault(name, each)
            one[id(each)] = there if type(there) is type(each) else each
            if type(each) is not set:
                todo.extend(item for item in _items(each) if type(item) in _HOLDERS)
        one.update((id(value), known[name]) for value, name in step.ids if type(value) is At and name in known)
        for each in todo:
            if type(each) is not tuple:
                _put(one[id(each)], each, one)


_HOLDERS = (dict, list, set, tuple)


def _items(container: Any) -> Iterable[Any]:
    return container.values() if type(container) is dict else container


def _put(there: Any, state: Any, one: dict[int, Any]) -> None:
    """Put into an object what a container of a state has."""

    def item(value: Any) -> Any:
        if type(value) is tuple:
            return tuple(item(each) for each in value)
        return one.get(id(value), value) if type(value) in (*_HOLDERS, At) else value

    if type(state) is dict:
        fill_again(there, {key: item(value) for key, value in state.items()})
    else:
        fill_again(there, [item(value) for value in state] if type(state) is list else state)
