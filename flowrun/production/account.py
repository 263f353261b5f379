"""The organization as the API tells it, beside what the catalogue knows. Owns the order of its models; asking is `queries`'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flowrun.operations.catalogue import Catalogue
from flowrun.operations.model import Retired
from flowrun.production.cataloguing import catalogue_of
from flowrun.production.configuring import settings_of
from flowrun.production.options import Options, Surroundings
from flowrun.production.queries import organization
from flowrun.runway.values import Organization
from flowrun.store.location import find_project


@dataclass(frozen=True, slots=True)
class Standing:
    """A model in the catalogue. `retired`: the live API refuses it."""

    retired: Retired | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """`models`: those of the catalogue that the API tells of, then its others, by name; None: the catalogue does not have it."""

    provider: str
    organization: Organization
    models: Mapping[str, Standing | None]


def account(options: Options, around: Surroundings) -> Account:
    """Ask the API. Raises FlowrunError; DiagnosticError for wrong settings."""
    found, provider = organization(options, around)
    settings = settings_of(find_project(around.cwd / "manifest"), around)
    return Account(provider, found, standings(found, catalogue_of(settings)))


def standings(found: Organization, known: Catalogue) -> dict[str, Standing | None]:
    """Of every model that the API has limits or use of."""
    specs = {model: spec for each in known.operations.values() for model, spec in each.models.items()}
    told = sorted({*found.models, *found.used_today})
    ours: dict[str, Standing | None] = {model: Standing(specs[model].retired) for model in told if model in specs}
    return ours | {model: None for model in told if model not in specs}
