"""Which job variables is rendering compared for?

Made from the template's own JSON Schema by a seeded generator: the same template and number give
the same case on every machine, and every value is of a type that the schema allows. A *plain*
case has nothing in it that `docs/reference/differences.md` lists, so both sides must agree to the
letter; a
*mixed* one has all of it, and wherever they disagree, a difference listed there must explain it.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from push_dispatch.core.template import placeholders

__all__ = ["Case", "defaults", "generate"]

#: Text that means something to a careless renderer, and nothing to a template.
TEXTS = [
    "",
    "a",
    "None",
    "busybox:1.36",
    "python -c 'print(1)'",
    "zwölf Boxkämpfer 🥊",
    "line\nbreak\t",
    r"\1 \g<0> $1 %s {0}",
    "{ image }",
    "{{",
    "}}",
    "{{ image | upper }}",
    "{{ cpu + 1 }}",
    "{% if image %}",
    "{{}}",
]
PATTERNS = {r"^\d+(?:G|Gi|M|Mi)$": ["512Mi", "2Gi", "1G"], r"^(\d*000)m$": ["1000m", "4000m"]}
#: Variables named in part, and how often. Workers refuse labels within labels, so: rarely.
PARTS = [
    ("env", "LEVEL", 0.2),
    ("env", "ONLY", 0.2),
    ("labels", "team", 0.2),
    ("labels", "a.b", 0.02),
]
#: What a platform team may write into its own copy of a template.
EXTRAS = [
    "{{ image }}",
    " {{ image }}",
    "{{ name }}/{{ image }}:{{ memory }}",
    "{{image}}{{ image }}{{  image  }}",
    "{{ nowhere }}",
    "<{{ nowhere }}>",
    "{{ labels.team }}",
    "{{ labels.team.nowhere }}",
    "<{{ args[0] }}>",
    "{{ args.1 }}",
    "{{ args[-1] }}",
    "{{ image.0 }}",
    "{{ image.upper }}",
    "{{ 0 }}",
    ["{{ image }}", "{{ nowhere }}", 1, None, True, ["{{ nowhere }}"]],
    {"{{ image }}": "{{ cpu }}", "inner": {"gone": "{{ nowhere }}"}},
]
#: The same, but what comes of it is listed in docs/reference/differences.md.
MIXED_EXTRAS = [
    "{{ $PROBE }}",
    "<{{ $PROBE }}{{ $NOT_SET }}>",
    "{{ secrets.token }}",
    "<{{ secrets.token }}>",
    "{{ ctx.flow.name }}",
    "{{ prefect.variables.region }}",
    {"nested": "{{ env }}", "part": "{{ env.LEVEL }}"},
]
MIXED_TEXTS = [
    "{{ image }}",
    "<{{ name }}>",
    "{{ image }}/{{ name }}",
    "{{ nowhere }}",
    "{{ $PROBE }}",
    "{{ secrets.token }}",
    "{{ ctx.flow.name }}",
    "{{ prefect.variables.region }}",
]


@dataclass(frozen=True, slots=True)
class Case:
    """A template with the job variables of a deployment and of a run."""

    name: str
    type: str
    template: dict[str, Any]
    deployment: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    plain: bool = True

    def request(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "template": self.template,
            "deployment": self.deployment,
            "run": self.run,
        }


def defaults(name: str, type_: str, template: dict[str, Any]) -> Case:
    return Case(f"{name} defaults", type_, template)


def generate(name: str, type_: str, template: dict[str, Any], number: int, *, plain: bool) -> Case:
    """Case `number` of a template. Every third has the template edited as a platform team would."""
    kind = "plain" if plain else "mixed"
    make = _Maker(random.Random(f"{name} {kind} {number}"), template["variables"], plain=plain)
    edited = make.edited(template) if number % 3 == 0 or not plain else template
    return Case(
        name=f"{name} {kind} {number}",
        type=type_,
        template=edited,
        deployment=make.variables() if number % 4 else {},
        run=make.variables() if number % 5 else {},
        plain=plain,
    )


class _Maker:
    def __init__(self, rng: random.Random, schema: Mapping[str, Any], *, plain: bool) -> None:
        self.rng = rng
        self.schema = schema
        self.plain = plain

    # -- the job variables of a layer

    def variables(self) -> dict[str, Any]:
        properties = self.schema["properties"]
        share = self.rng.choice([0.1, 0.4, 1.0])
        required = self.schema.get("required", [])
        chosen = [
            n for n in properties if n in required or self.rng.random() < self._share(n, share)
        ]
        made = {name: self._variable(name, properties[name]) for name in chosen}
        return self._in_part(made)

    def _share(self, name: str, share: float) -> float:
        """Credentials are blocks whose parts must fit each other, which no schema says."""
        return 0.05 if "credentials" in name else share

    def _variable(self, name: str, declared: Mapping[str, Any]) -> Any:
        if name == "env":
            # null over a deployment's environment is listed: Prefect cannot render it
            return self._env() if self.plain or self.rng.random() < 0.8 else None
        if name == "labels" and self.plain:  # null under `labels.team` is listed
            return self._object({"additionalProperties": {"type": "string"}})
        nullable = declared.get("default") is None and name not in self.schema.get("required", [])
        if nullable and self.rng.random() < 0.1:
            return None
        return self.value(declared)

    def _env(self) -> dict[str, Any]:
        names = ["LEVEL", "PATH", "DATA_URL", "EMPTY", "lower-case", "A.B"]
        values = [*self._texts(), 1, 2.5, True, None]
        return {n: self.rng.choice(values) for n in names if self.rng.random() < 0.4}

    def _in_part(self, made: dict[str, Any]) -> dict[str, Any]:
        """Sometimes say `labels.team` or `env.LEVEL` instead of, or next to, the whole."""
        for name, key, share in PARTS:
            if self.rng.random() < share:
                # Next to a whole of another layer, the same part said twice is listed.
                where = key if not self.plain else f"{key}_{self.rng.randrange(1000)}"
                made[f"{name}.{where}"] = self.rng.choice(self._texts())
        items = list(made.items())
        self.rng.shuffle(items)
        return dict(items)

    # -- a value that a schema allows

    def value(self, schema: Mapping[str, Any]) -> Any:
        if "$ref" in schema:
            return self.value(self._resolved(schema["$ref"]))
        if "enum" in schema:
            return self.rng.choice(schema["enum"])
        if options := schema.get("anyOf"):
            return self.value(self.rng.choice(options))
        if every := schema.get("allOf"):
            return self.value(every[0])
        types = schema.get("type", "object")
        kind = types if isinstance(types, str) else self.rng.choice(types)
        return getattr(self, f"_{kind}")(schema)

    def _resolved(self, reference: str) -> Mapping[str, Any]:
        found: Any = self.schema
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        return found

    def _string(self, schema: Mapping[str, Any]) -> str:
        return self.rng.choice(PATTERNS.get(schema.get("pattern", ""), self._texts()))

    def _integer(self, schema: Mapping[str, Any]) -> int:
        low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
        return self.rng.randint(low, schema.get("maximum", low + 5000))

    def _number(self, schema: Mapping[str, Any]) -> float:
        return self._integer(schema) + self.rng.choice([0, 0.5])

    def _boolean(self, _: Mapping[str, Any]) -> bool:
        return self.rng.random() < 0.5

    def _null(self, _: Mapping[str, Any]) -> None:
        return None

    def _array(self, schema: Mapping[str, Any]) -> list[Any]:
        items = schema.get("items", {"type": "string"})
        return [self.value(items) for _ in range(self.rng.randrange(4))]

    def _object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        made = {
            name: self.value(declared)
            for name, declared in schema.get("properties", {}).items()
            if name in schema.get("required", []) or self.rng.random() < 0.5
        }
        further = schema.get("additionalProperties", not made)
        if further:
            inner = further if isinstance(further, Mapping) else {"type": "string"}
            names = ["team", "a.b", "{{ image }}"]
            made |= {n: self.value(inner) for n in names if self.rng.random() < 0.5}
        return made

    def _texts(self) -> list[str]:
        return TEXTS if self.plain else [*TEXTS, *MIXED_TEXTS]

    # -- a platform team's own copy of a template

    def edited(self, template: dict[str, Any]) -> dict[str, Any]:
        copied = copy.deepcopy(template)
        configuration = copied["job_configuration"]
        self._edit_defaults(copied["variables"]["properties"], configuration)
        if self.rng.random() < 0.3 and not (self.plain and _nests_env(configuration)):
            configuration["env"] = {
                "LITERAL": "{{ image }}",
                "LEVEL": "<{{ image }}>",
                "GONE": "{{ no }}",
            }
        extras = EXTRAS if self.plain else [*EXTRAS, *MIXED_EXTRAS]
        for number, extra in enumerate(self.rng.sample(extras, 4)):
            configuration[f"extra_{number}"] = copy.deepcopy(extra)
        return copied

    def _edit_defaults(self, properties: dict[str, Any], configuration: dict[str, Any]) -> None:
        for name, declared in properties.items():
            if self.rng.random() > 0.4:
                continue
            if name != "env":
                declared["default"] = self.value(declared)
            elif not (self.plain and _nests_env(configuration)):
                declared["default"] = self._env()
        if self.rng.random() < 0.3:
            configuration.pop("env", None)  # the pool's own environment gets there regardless


def _nests_env(configuration: Mapping[str, Any]) -> bool:
    """Is the environment named somewhere inside? docs/reference/differences.md lists that."""
    return "env" in placeholders({**configuration, "env": None})
