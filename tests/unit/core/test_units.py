"""How much of a capacity does a run take, and when is it free?"""

from __future__ import annotations

import pytest

from push_dispatch.core.errors import Invalid
from push_dispatch.core.expressions import Facts
from push_dispatch.core.units import (
    NEVER,
    amount,
    check_capacity,
    check_weights,
    free_from,
    shown,
    weights_of,
)


@pytest.mark.parametrize(
    ("value", "thousandths"), [(1, 1000), (0.25, 250), ("2.5", 2500), (0.0001, 1), ("0", 0)]
)
def test_an_amount_is_rounded_up_to_a_thousandth(value: object, thousandths: int) -> None:
    assert amount(value, "here") == thousandths
    assert amount(shown(thousandths), "again") == thousandths


@pytest.mark.parametrize("value", [-1, "x", "nan", "inf", True, None, 1e10])
def test_what_is_no_amount_is_refused(value: object) -> None:
    with pytest.raises(Invalid, match="is not a number from 0") as found:
        amount(value, "here")
    assert found.value.reason == "invalid_limit"


def test_the_expression_of_the_pool_comes_before_the_configuration() -> None:
    capacity = {"vcpu": 8000, "licence:x": 2000, "gpu": 1000}
    weights = {"licence:x": "{{ variables.licences }}", "gpu": "{{ variables.gpus }}"}
    derived = {"vcpu": 0.5, "gpu": 1, "memory": 512}

    found = weights_of(capacity, weights, derived, Facts(variables={"licences": 2}))

    assert found == (("gpu", 1000), ("licence:x", 2000), ("vcpu", 500))


def test_a_weight_that_is_no_number_is_refused() -> None:
    with pytest.raises(Invalid, match="weight gpu: 'many' is not a number"):
        weights_of({"gpu": 1}, {"gpu": "{{ variables.n }}"}, {}, Facts(variables={"n": "many"}))


@pytest.mark.parametrize(
    ("capacity", "weights", "backfill", "what"),
    [
        ({"8 cores": 1}, {}, "none", "unit '8 cores' is not valid"),
        ({"gpu": -1}, {}, "none", "gpu -1 is not valid"),
        ({"gpu": 1}, {"gpus": "1"}, "none", "'gpus' names no unit of its capacity, which has gpu"),
        ({}, {"gpu": "1"}, "none", "which has none"),
        ({"gpu": 1}, {"gpu": "one"}, "none", "'one' is not a number"),
        ({"gpu": 1}, {"gpu": "{{ gpus }}"}, "none", "names nothing"),
        ({"gpu": 1}, {}, "some", "none or conservative"),
        ({f"u{n}": 1 for n in range(21)}, {}, "none", "at most 20"),
    ],
)
def test_what_no_pool_can_have_is_refused(
    capacity: dict[str, int], weights: dict[str, str], backfill: str, what: str
) -> None:
    with pytest.raises(Invalid, match=what):
        check_capacity(capacity, weights, backfill, "pool 'p'")


def test_a_run_that_could_never_start_is_refused() -> None:
    check_weights({"gpu": 2000}, (("gpu", 2000), ("vcpu", 99)), "p")
    with pytest.raises(Invalid, match=r"takes 2.001 gpu, and pool 'p' has 2 in all") as found:
        check_weights({"gpu": 2000}, (("gpu", 2001),), "p")
    assert found.value.reason == "weight_too_large"


def test_capacity_is_free_when_enough_holders_are_certain_to_have_ended() -> None:
    holders = [((("gpu", 2),), 500), ((("gpu", 1),), 300), ((("gpu", 1),), None)]

    assert free_from({"gpu": 5}, holders, (("gpu", 1),)) == 0
    assert free_from({"gpu": 4}, holders, (("gpu", 1),)) == 300
    assert free_from({"gpu": 4}, holders, (("gpu", 3),)) == 500
    assert free_from({"gpu": 4}, holders, (("gpu", 4),)) == NEVER
