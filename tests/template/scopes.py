"""Scopes as the graph makes them, in small: lookups that answer, that are absent, that do not know yet."""

from flowrun.template import EnvValue, EvaluationError, TemplateError, Unresolved, parse


class Part:
    """A lookup over a dict; an exception among the values is raised when it is asked for."""

    def __init__(self, **parts):
        self.parts = parts

    def template_get(self, key):
        value = self.parts[str(key)]
        if isinstance(value, Exception):
            raise value
        return value

    def template_keys(self):
        return self.parts


class Group(Part):
    template_group = True


class Artifact(Part):
    template_opaque = "an artifact (image)"


HERO = Artifact(width=1920, duration=5.0)
OTHER = Artifact(width=640, duration=2.5)


def scope(**over):
    return {
        "vars": {
            "hero": "a red fox",
            "style": "35mm",
            "seed": 7,
            "ratio": 1.5,
            "five": 5.0,
            "on": True,
            "nothing": None,
            "items": ["b", "a", "c"],
            "rows": [{"id": "x", "n": 2}, {"id": "y", "n": 1}],
            "map": {"k": "v", "deep": {"er": [1, 2]}},
            "evil": "{{ vars.hero }}",
        },
        "assets": {"scarf": HERO},
        "nodes": Part(
            hero=Part(output=HERO, outputs=[HERO, OTHER]),
            late=Part(output=Unresolved("late"), outputs=Unresolved("late")),
            unknown=Unresolved("unknown"),
            shot=Group(intro=Part(output=HERO), outputs=[HERO, OTHER]),
        ),
        "each": {"key": "intro", "value": {"prompt": "hello"}, "index": 0},
        "flow": {"name": "trailer", "profile": None},
        "env": {"TOKEN": EnvValue("TOKEN")},
        **over,
    }


def evaluate(text, **over):
    return parse(text).evaluate(scope(**over))


def failure(text, **over):
    """The error, and the stretch of text it points at."""
    try:
        found = evaluate(text, **over)
    except (TemplateError, EvaluationError) as error:
        return error, text[error.offset : error.offset + error.length]
    raise AssertionError(f"no error, but {found!r}")
