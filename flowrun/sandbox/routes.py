"""Which endpoint a request is for. Owns the addresses and methods; what happens there is the service's.

Generations stand where the catalogue says, so an operation that an overlay adds is served as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flowrun.operations.catalogue import Catalogue
from flowrun.sandbox.downloads import PREFIX as OUTPUTS
from flowrun.sandbox.messages import RefusalError
from flowrun.sandbox.uploads import STORAGE

_FIXED = {
    "/v1/organization": {"GET": "organization"},
    "/v1/organization/usage": {"POST": "usage"},
    "/v1/uploads": {"POST": "uploads"},
}
_BELOW = {
    "/v1/tasks/": {"GET": "tasks", "DELETE": "cancel"},
    STORAGE: {"POST": "storage"},
}


@dataclass(frozen=True, slots=True)
class Route:
    """`place`: the endpoint's name, as a scenario's faults know it. `task_id`: of the task that the address names.
    `generates`: whether a task is created there."""

    place: str
    task_id: str | None = None
    generates: bool = False

    @property
    def takes_json(self) -> bool:
        return self.generates or self.place in ("usage", "uploads")


def find(catalogue: Catalogue, method: str, path: str) -> Route:
    """Raises RefusalError: 404 unknown address, 405 wrong method."""
    generating = {each.path: name for name, each in catalogue.operations.items()}
    operation = generating.get(path)
    methods = _methods(path) if operation is None else {"POST": operation}
    if methods is None:
        raise RefusalError(404, f"There is nothing at {path[:200]}.")
    if method not in methods:
        allowed = ", ".join(methods)
        raise RefusalError(405, f"{method} is not possible here, only {allowed}.", headers={"Allow": allowed})
    if operation is not None:
        return Route(operation, generates=True)
    place = methods[method]
    if place in ("tasks", "cancel"):
        return Route(place, path.rpartition("/")[2])
    return Route(place, path.split("/")[2] if place == "download" else None)


def _methods(path: str) -> Mapping[str, str] | None:
    if path in _FIXED:
        return _FIXED[path]
    if path.startswith(OUTPUTS):
        return {"GET": "download", "HEAD": "download"}
    for prefix, methods in _BELOW.items():
        rest = path.removeprefix(prefix)
        if rest != path and rest and "/" not in rest:
            return methods
    return None
