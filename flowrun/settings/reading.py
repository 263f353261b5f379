"""Files, environment and flags to the settings in force. Owns the order of the layers and what is wrong in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowrun.diagnostics.model import Diagnostic, DiagnosticError, in_order
from flowrun.diagnostics.span import Span
from flowrun.diagnostics.suggest import suggest
from flowrun.secret import key_places, looks_like_key, mask
from flowrun.settings import model
from flowrun.settings.api_key import find_api_key
from flowrun.settings.keys import PREFIX, Key, by_section
from flowrun.settings.kinds import Wrong, WrongTextError, address_shape_problem
from flowrun.settings.model import Layer, Origin, Settings
from flowrun.settings.toml import Placed, Way, read_toml
from flowrun.yaml_tree import decode
from flowrun.yaml_tree.characters import Lines, key_found

PROJECT_FILE = "flowrun.toml"
BASE_URL = "RUNWAYML_BASE_URL"  # the official SDKs' name of provider.base_url; which key goes there, the client judges
MAX_BYTES = 1 << 20
Find = Callable[[Wrong], Span | None]  # where the part of a value is that something is wrong with
Whence = Callable[[str | None], Origin]  # where a value came from, or one entry of a table
_SECTIONS = {
    "project": model.ProjectSettings,
    "provider": model.ProviderSettings,
    "cache": model.CacheSettings,
    "limits": model.LimitSettings,
    "catalogue": model.CatalogueSettings,
    "lint": model.LintSettings,
    "notify": model.NotifySettings,
}


def user_settings_file(environ: Mapping[str, str]) -> Path | None:
    """``~/.config/flowrun/config.toml``, or below XDG_CONFIG_HOME; None where the environment knows no home."""
    config, home = environ.get("XDG_CONFIG_HOME"), environ.get("HOME") or environ.get("USERPROFILE")
    if config and Path(config).is_absolute():  # a relative one is to be ignored, says the XDG specification
        return Path(config) / "flowrun" / "config.toml"
    return Path(home) / ".config" / "flowrun" / "config.toml" if home else None


def read_settings(
    project: Path,
    environ: Mapping[str, str],
    *,
    user_file: Path | None = None,
    flags: Mapping[str, tuple[Any, str]] | None = None,
    cwd: Path | None = None,
) -> Settings:
    """The settings of a project, and the API key that is at hand.

    `flags`: values by dotted key, each with the flag that gave it. `cwd`: files below it are shown relative to it.
    Raises DiagnosticError with every mistake of every layer.
    """
    reading = _Reading(project.absolute(), cwd)
    reading.file(user_file or user_settings_file(environ), Layer.USER)
    reading.file(project / PROJECT_FILE, Layer.PROJECT)
    reading.environment(environ)
    for dotted, (value, flag) in (flags or {}).items():
        reading.values[dotted], reading.origins[dotted] = value, Origin(Layer.FLAG, flag)
    if reading.problems:
        raise DiagnosticError(reading.problems)
    found, warnings = find_api_key(project, environ, reading.shown)
    if found is not None:
        reading.origins["api_key"] = found[1]
    return reading.settings(api_key=found and found[0], warnings=in_order(warnings))


@dataclass(slots=True)
class _Reading:
    """Values and origins by dotted key, each layer laid over the ones before."""

    project: Path
    cwd: Path | None
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    problems: list[Diagnostic] = field(default_factory=list)

    def settings(self, **rest: Any) -> Settings:
        sections = {
            name: made(**{key: self.values[each.dotted] for key, each in keys.items() if each.dotted in self.values})
            for (name, made), keys in zip(_SECTIONS.items(), by_section().values(), strict=True)
        }
        return Settings(**sections, origins=self.origins, **rest)

    def shown(self, path: Path) -> str:
        """A file as messages name it."""
        below = self.cwd is not None and path.absolute().is_relative_to(self.cwd)
        return str(path.absolute().relative_to(self.cwd)) if below and self.cwd else str(path)

    # -- files

    def file(self, path: Path | None, layer: Layer) -> None:
        """One file, if it is there."""
        if path is None:
            return
        try:
            with path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise OSError(f"it is larger than {MAX_BYTES >> 20} MiB")
            placed = _checked_text(data, self.shown(path))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            message, hint = f"`{self.shown(path)}` cannot be read: {reason}", "check what it is, and its permissions"
            self.problems.append(Diagnostic("file-unreadable", message, None, hint))
        except DiagnosticError as error:
            self.problems.extend(error.diagnostics)
        else:
            self._document(placed, layer, path.absolute().parent)

    def _document(self, placed: Placed, layer: Layer, base: Path) -> None:
        for section, table in placed.values.items():
            keys = by_section().get(section)
            if keys is None:
                self.problems.append(_unknown_section(section, placed.key((section,))))
            elif not isinstance(table, dict):
                hint = f"write [{section}] on a line of its own, and below it {next(iter(keys))} = …"
                self._wrong(f"`{section}` is a section, not a setting", placed.value((section,)), hint)
            else:
                self._section(placed, section, keys, layer, base)

    def _section(self, placed: Placed, section: str, keys: Mapping[str, Key], layer: Layer, base: Path) -> None:
        for name, value in placed.values[section].items():
            way: Way = (section, name)
            if name not in keys:
                self.problems.append(_unknown_key(section, name, placed.key(way)))
            elif not self._refused(keys[name], value, _places(placed, way)):
                self._keep(keys[name], value, base, _origins(placed, way, layer))

    # -- environment

    def environment(self, environ: Mapping[str, str]) -> None:
        """``FLOWRUN_<SECTION>_<KEY>``; one of a section flowrun knows must be a key it knows. An empty one is not set."""
        for variable, text in sorted(environ.items()):
            section, _, name = variable.removeprefix(PREFIX).partition("_")
            keys = by_section().get(section.lower()) if variable.startswith(PREFIX) and section.isupper() else None
            if keys is None or not name or not text.strip():
                continue
            if name.lower() in keys and name.isupper():
                self._variable(keys[name.lower()], variable, text.strip())
            else:
                self.problems.append(_unknown_variable(variable, section.lower()))
        if address := environ.get(BASE_URL, "").strip():
            self._address(address)

    def _address(self, address: str) -> None:
        if wrong := address_shape_problem(address):
            self._wrong(f"{BASE_URL} {wrong.message}", None, wrong.hint)
        self.values["provider.base_url"] = address
        self.origins["provider.base_url"] = Origin(Layer.ENVIRONMENT, BASE_URL)

    def _variable(self, key: Key, variable: str, text: str) -> None:
        try:
            value = key.kind.of_text(text)
        except WrongTextError as error:
            self._wrong(f"{variable} {error.message}", None, error.hint)
            return
        if not self._refused(key, value, lambda wrong: None, variable):
            self._keep(key, value, self.project, lambda step: Origin(Layer.ENVIRONMENT, variable))

    # -- both

    def _refused(self, key: Key, value: Any, place: Find, name: str = "") -> bool:
        """Whether a value cannot be taken; why not is told."""
        name = name or f"`{key.dotted}`"
        if key.lacks is not None and (key.default is None or value != key.default):
            self.problems.append(_not_available(key, name, place(Wrong(""))))
            return True
        wrong = list(key.kind.problems(value))
        for each in wrong:
            self._wrong(
                f"{name} {each.message}" if not each.path else f"{name}: {each.message}", place(each), each.hint
            )
        return bool(wrong)

    def _keep(self, key: Key, value: Any, base: Path, origin: Whence) -> None:
        made = key.kind.made(value, base)
        if not isinstance(made, dict):
            self.values[key.dotted], self.origins[key.dotted] = made, origin(None)
            return
        self.values[key.dotted] = {**self.values.get(key.dotted, {}), **made}
        self.origins.update({f"{key.dotted}.{step}": origin(step) for step in made})

    def _wrong(self, message: str, span: Span | None, hint: str | None) -> None:
        self.problems.append(Diagnostic("wrong-setting", mask(message), span, hint))


def _places(placed: Placed, way: Way) -> Find:
    return lambda wrong: placed.value((*way, *wrong.path))


def _origins(placed: Placed, way: Way, layer: Layer) -> Whence:
    return lambda step: Origin(layer, "", placed.value(way) if step is None else placed.key((*way, step)))


def _checked_text(data: bytes, file: str) -> Placed:
    """Raises DiagnosticError; also for API keys in it, which are told whatever else is wrong."""
    text = decode(data, file)
    lines = Lines(text, file)
    secrets = [key_found(lines.span(start, end)) for start, end in key_places(text)]
    try:
        placed = read_toml(text, file)
    except DiagnosticError as error:
        raise DiagnosticError([*secrets, *error.diagnostics]) from None
    secrets = secrets or [key_found(span) for span in _spelt_keys(placed.values, placed, ())]
    if secrets:
        raise DiagnosticError(secrets)
    return placed


def _spelt_keys(value: Any, placed: Placed, way: Way) -> Iterator[Span]:
    """Values that are an API key only once their escapes are read."""
    if isinstance(value, str) and looks_like_key(value) and (span := placed.value(way)):
        yield span
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, member in members:
        yield from _spelt_keys(member, placed, (*way, step))


def _unknown_section(name: str, span: Span | None) -> Diagnostic:
    homes = [section for section, keys in by_section().items() if name in keys]
    near = suggest(name, by_section())
    hint = f"did you mean `{near}`?" if near else f"sections are {', '.join(by_section())}"
    if homes and not near:
        hint = f"as a key it belongs below {' or '.join(f'[{each}]' for each in homes)}"
    return Diagnostic("unknown-setting", f"there is no section `{mask(name)[:64]}`", span, hint)


def _unknown_key(section: str, name: str, span: Span | None) -> Diagnostic:
    known = by_section()[section]
    homes = [other for other, keys in by_section().items() if name in keys]
    near = suggest(name, known)
    hint = f"did you mean `{near}`?" if near else f"[{section}] has {', '.join(known)}"
    if homes and not near:
        hint = f"it belongs below [{homes[0]}]"
    return Diagnostic("unknown-setting", f"[{section}] has no key `{mask(name)[:64]}`", span, hint)


def _unknown_variable(variable: str, section: str) -> Diagnostic:
    names = [key.variable for key in by_section()[section].values()]
    near = suggest(variable, names)
    hint = f"did you mean {near}?" if near else f"there are {', '.join(names)}"
    return Diagnostic("unknown-setting", f"the environment variable {variable} names no setting", None, hint)


def _not_available(key: Key, name: str, span: Span | None) -> Diagnostic:
    message = f"{name} asks for {key.lacks}, which this version of flowrun does not have; nothing ran"
    kept = f"take it out, or write {key.built_in!r}" if key.default not in (None, []) else "take it out"
    return Diagnostic("setting-not-available", message, span, f"{kept}; a setting is never ignored on the quiet")


def explained(settings: Settings) -> Iterator[tuple[str, Any, Origin]]:
    """Every setting with its value and origin, in declared order; a table of counts by its members."""
    for section, keys in by_section().items():
        for name, key in keys.items():
            value = getattr(getattr(settings, section), name)
            if not isinstance(value, Mapping) or not value:
                yield key.dotted, value, settings.origin(key.dotted)
                continue
            for step in value:
                yield f"{key.dotted}.{step}", value[step], settings.origin(f"{key.dotted}.{step}")
