"""Templates: text with expressions, read once, evaluated strictly. Owns jinja2; scopes are made by those who have values.

The language is jinja2's, less what reaches outside: no `include`, `import`, `extends`, `block`, no methods, no
randomness, no clock. jinja2 gives the grammar; evaluation is this package's, because it must know where each part
stands, keep secrets and artifacts whole, wait for nothing that is not needed, and cost no more than its limits.
"""

from flowrun.template.errors import EvaluationError, TemplateError, Unresolved
from flowrun.template.references import ROOTS, WILDCARD, Dynamic, Guard, Reference, Wildcard
from flowrun.template.template import Template, parse
from flowrun.template.textfilters import slug
from flowrun.template.values import EnvValue, Lookup, SecretText

__all__ = [
    "ROOTS",
    "WILDCARD",
    "Dynamic",
    "EnvValue",
    "EvaluationError",
    "Guard",
    "Lookup",
    "Reference",
    "SecretText",
    "Template",
    "TemplateError",
    "Unresolved",
    "Wildcard",
    "parse",
    "slug",
]
