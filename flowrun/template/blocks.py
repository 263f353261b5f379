"""Text with blocks in it. Owns loops, conditions, assignments, macros and the joining of the output."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import nodes

from flowrun.template.errors import RefusalError
from flowrun.template.evaluator import Evaluator, Frame, Macro, called_name, no_internal
from flowrun.template.limits import CODE, MAX_CALLS, check_length
from flowrun.template.syntax import Source
from flowrun.template.values import EnvValue, Namespace, SecretText, as_text, is_secret, kind


class Sink:
    """Output in the making: text, and secrets between."""

    __slots__ = ("_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[str | EnvValue] = []
        self._size = 0

    def put(self, value: object) -> int:
        """Adds a value as text, and gives how much that was. Raises RefusalError."""
        if isinstance(value, SecretText):
            return sum(map(self.put, value.parts))
        part = value if isinstance(value, EnvValue) else as_text(value)
        length = len(part) if isinstance(part, str) else 1
        self._size += length
        check_length(self._size)
        self._parts.append(part)
        return length

    def close(self) -> str | SecretText:
        """All of it; neighbouring texts are joined."""
        if not any(map(is_secret, self._parts)):
            return "".join(part for part in self._parts if isinstance(part, str))
        joined: list[str | EnvValue] = []
        pending: list[str] = []
        for part in [*self._parts, None]:
            if isinstance(part, str):
                pending.append(part)
                continue
            joined += filter(None, ["".join(pending)])
            pending = []
            joined += [part] if part is not None else []
        return SecretText(tuple(joined))


class Runner(Evaluator):
    """An evaluation that also makes text."""

    def __init__(self, source: Source, scope: Mapping[str, object]) -> None:
        super().__init__(source, scope)
        self._calls = 0

    def render(self, body: Sequence[nodes.Node], frame: Frame) -> str | SecretText:
        """The text the nodes make. Raises EvaluationError, Unresolved."""
        sink = Sink()
        self.run(body, frame, sink)
        return sink.close()

    def whole(self, node: nodes.Node) -> object:
        """The value of a lone expression."""
        found = self.value(node, Frame())
        self.at(node, no_internal, found)
        return found

    def run(self, body: Sequence[nodes.Node], frame: Frame, sink: Sink) -> None:
        for node in body:
            try:
                self.budget.charge(1)
                _BLOCKS[type(node)](self, node, frame, sink)
            except RefusalError as refusal:
                raise self.placed(refusal, node) from None

    def output(self, node: nodes.Output, frame: Frame, sink: Sink) -> None:
        for part in node.nodes:
            found = part.data if isinstance(part, nodes.TemplateData) else self.value(part, frame)
            self.at(part, lambda value: self.budget.charge(sink.put(value) >> 6), found)

    def condition(self, node: nodes.If, frame: Frame, sink: Sink) -> None:
        for branch in (node, *node.elif_):
            if self.holds(branch.test, frame):
                return self.run(branch.body, frame, sink)
        return self.run(node.else_, frame, sink)

    def loop(self, node: nodes.For, frame: Frame, sink: Sink) -> None:
        frames = self._iterations(node, frame)
        for place, inner in enumerate(frames):
            inner.names["loop"] = _loop_facts(place, len(frames))
            self.run(node.body, inner, sink)
        if not frames:
            self.run(node.else_, Frame(frame), sink)

    def _iterations(self, node: nodes.For, frame: Frame) -> list[Frame]:
        """One frame for each item that passes the loop's own `if`."""
        frames = []
        for item in self.at(node.iter, self.library.items, self.value(node.iter, frame)):
            inner = Frame(frame)
            self._bind(node.target, item, inner)
            if node.test is None or self.holds(node.test, inner):
                frames.append(inner)
        return frames

    def _bind(self, target: nodes.Node, value: object, frame: Frame) -> None:
        if isinstance(target, nodes.Name):
            frame.names[target.name] = value
        elif isinstance(target, nodes.NSRef):
            holder = frame.holder(target.name)
            space = holder.names[target.name] if holder else None
            if not isinstance(space, Namespace):
                raise RefusalError("bad-operation", f"`{target.name}` is no namespace", "make one with `namespace()`")
            space.fields[target.attr] = value
        elif isinstance(target, nodes.Tuple):
            self._unpack(target, value, frame)

    def _unpack(self, target: nodes.Tuple, value: object, frame: Frame) -> None:
        parts = self.library.items(value)
        if len(parts) != len(target.items):
            message = f"{kind(value)} of {len(parts)} cannot be taken apart into {len(target.items)} names"
            raise RefusalError("bad-operation", message)
        for name, part in zip(target.items, parts, strict=True):
            self._bind(name, part, frame)

    def assign(self, node: nodes.Assign, frame: Frame, _: Sink) -> None:
        self._bind(node.target, self.value(node.node, frame), frame)

    def assign_block(self, node: nodes.AssignBlock, frame: Frame, _: Sink) -> None:
        text: object = self.render(node.body, Frame(frame))
        self._bind(node.target, self._filtered(node.filter, text, frame) if node.filter else text, frame)

    def filter_block(self, node: nodes.FilterBlock, frame: Frame, sink: Sink) -> None:
        sink.put(self._filtered(node.filter, self.render(node.body, Frame(frame)), frame))

    def _filtered(self, node: nodes.Filter, text: object, frame: Frame) -> object:
        self.captured.append(text)
        found = self.value(node, frame)
        self.captured.pop()
        return found

    def scoped(self, node: nodes.With, frame: Frame, sink: Sink) -> None:
        values = [self.value(value, frame) for value in node.values]
        inner = Frame(frame)
        for target, value in zip(node.targets, values, strict=True):
            self._bind(target, value, inner)
        self.run(node.body, inner, sink)

    def macro(self, node: nodes.Macro, frame: Frame, _: Sink) -> None:
        frame.names[node.name] = Macro(node, frame)

    def call_block(self, node: nodes.CallBlock, frame: Frame, sink: Sink) -> None:
        args, kwargs = self.arguments(node.call, frame)
        found = self.called(called_name(node.call), frame)
        sink.put(self.invoke(found, args, {**kwargs, "caller": Macro(node, frame)}))

    def invoke(self, macro: Macro, args: list[object], kwargs: dict[str, object]) -> object:
        """The text a macro makes. Raises EvaluationError, RefusalError, Unresolved."""
        if self._calls >= MAX_CALLS:
            raise RefusalError(CODE, "macros call each other too deeply")
        self._calls += 1
        text = self.render(macro.node.body, self._called(macro, args, dict(kwargs)))
        self._calls -= 1
        return text

    def _called(self, macro: Macro, args: list[object], kwargs: dict[str, object]) -> Frame:
        """A frame with the arguments by name; `caller` is none of them."""
        inner = Frame(macro.frame)
        inner.names.update({"caller": kwargs.pop("caller")} if isinstance(kwargs.get("caller"), Macro) else {})
        names = [arg.name for arg in macro.node.args]
        given = dict(zip(names, args, strict=False))
        if len(args) > len(names) or not set(kwargs) <= set(names) - set(given):
            raise RefusalError("bad-operation", f"the macro takes these arguments: {', '.join(names) or 'none'}")
        given |= kwargs
        defaults = dict(zip(names[::-1], macro.node.defaults[::-1], strict=False))
        for name in names:
            if name not in given and name not in defaults:
                raise RefusalError("bad-operation", f"the macro needs the argument `{name}`")
            inner.names[name] = given[name] if name in given else self.value(defaults[name], inner)
        return inner


def _loop_facts(place: int, length: int) -> dict[str, object]:
    return {
        "index": place + 1,
        "index0": place,
        "revindex": length - place,
        "revindex0": length - place - 1,
        "first": place == 0,
        "last": place == length - 1,
        "length": length,
    }


_BLOCKS: dict[type[nodes.Node], Callable[[Any, Any, Frame, Sink], None]] = {
    nodes.Output: Runner.output,
    nodes.If: Runner.condition,
    nodes.For: Runner.loop,
    nodes.Assign: Runner.assign,
    nodes.AssignBlock: Runner.assign_block,
    nodes.FilterBlock: Runner.filter_block,
    nodes.With: Runner.scoped,
    nodes.Macro: Runner.macro,
    nodes.CallBlock: Runner.call_block,
}
