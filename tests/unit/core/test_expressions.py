"""What do keys and weights read of a run?"""

from __future__ import annotations

import pytest

from push_dispatch.core.errors import Invalid
from push_dispatch.core.expressions import Facts, check_expression, text_of

FACTS = Facts(
    deployment="nightly",
    queue="high",
    concurrency_key="k",
    tags=("team:blue", "gpu", "region=eu"),
    parameters={"tenant": "acme", "deep": {"er": 7}, "dotted.name": "x", "on": True, "list": [1]},
    variables={"cpu": 1024, "half": 0.5, "empty": ""},
)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("licence", "licence"),
        ("{{ deployment }}", "nightly"),
        ("{{queue}}/{{ concurrency_key }}", "high/k"),
        ("{{ parameters.tenant }}", "acme"),
        ("{{ parameters.deep.er }}", "7"),
        ("{{ parameters.dotted.name }}", "x"),
        ("{{ parameters.on }}", "true"),
        ("{{ variables.cpu }}-{{ variables.half }}", "1024-0.5"),
        ("{{ tags.team }}", "blue"),
        ("{{ tags.region }}", "eu"),
        ("{{ tags.gpu }}", "gpu"),
    ],
)
def test_an_expression_reads_the_run(expression: str, text: str) -> None:
    check_expression(expression, "here")
    assert text_of(expression, FACTS, "here") == text


@pytest.mark.parametrize(
    "expression",
    ["{{ parameters.missing }}", "{{ tags.tea }}", "{{ variables.empty }}", "{{ parameters.a.b }}"],
)
def test_a_run_without_the_value_has_none(expression: str) -> None:
    assert text_of(expression, FACTS, "here") is None


@pytest.mark.parametrize(
    ("expression", "what"),
    [
        ("{{ tenant }}", "names nothing"),
        ("{{ parameters }}", "names nothing"),
        ("{{ parameters. }}", "names nothing"),
        ("{{ a b }}", "cannot be read"),
        ("{{ parameters.x", "cannot be read"),
        ("x" * 201, "at most 200"),
    ],
)
def test_what_could_never_be_read_is_refused_when_it_is_declared(
    expression: str, what: str
) -> None:
    with pytest.raises(Invalid, match=what):
        check_expression(expression, "pools.p.limits.x.key")


def test_a_value_that_is_no_text_is_refused_with_its_path() -> None:
    with pytest.raises(Invalid, match=r"limit 'x': parameters.list is a list"):
        text_of("{{ parameters.list }}", FACTS, "limit 'x'")
    with pytest.raises(Invalid, match="250 characters"):
        text_of("{{ parameters.long }}", Facts(parameters={"long": "x" * 250}), "limit")
