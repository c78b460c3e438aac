"""Is what is put to Azure, and what its fake shows, of the shape that Azure's SDK knows?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from azure.mgmt.containerinstance import models

from tests.contract.aci_suite import AciSuite
from tests.fakes.aci import FakeAci

_PLAIN = {"str": (str,), "float": (int, float), "int": (int,), "bool": (bool,)}
#: Of one the SDK has the values that Azure takes.
_ENUMS: Mapping[tuple[str, str], Any] = {
    ("ContainerGroup", "os_type"): models.OperatingSystemTypes,
    ("ContainerGroup", "priority"): models.ContainerGroupPriority,
    ("ContainerGroup", "restart_policy"): models.ContainerGroupRestartPolicy,
    ("GpuResource", "sku"): models.GpuSku,
}


def against(value: Any, kind: str, path: str) -> Iterator[str]:
    """What is wrong with `value`, by the attribute maps of the SDK's models."""
    if match := re.fullmatch(r"([\[{])(.*)[\]}]", kind):
        wanted: type = list if match[1] == "[" else dict
        if not isinstance(value, wanted):
            yield f"{path}: {value!r} is no {wanted.__name__}"
            return
        given: Any = value
        for key, item in given.items() if wanted is dict else enumerate(given):
            yield from against(item, match[2], f"{path}[{key}]")
    elif kind in _PLAIN:
        if not isinstance(value, _PLAIN[kind]) or (isinstance(value, bool) and kind != "bool"):
            yield f"{path}: {value!r} is no {kind}"
    elif hasattr(models, kind):
        yield from _object(value, getattr(models, kind), path)


def _object(value: Any, model: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{path}: {value!r} is not an object"
        return
    known = {entry["key"]: (name, entry["type"]) for name, entry in model._attribute_map.items()}
    nested = any(key.startswith("properties.") for key in known)
    for key, item in value.items():
        inner = item.items() if nested and key == "properties" else [("", item)]
        for name, found in inner:
            full = f"{key}.{name}" if name else key
            if full not in known:
                yield f"{path}.{full} is not known"
                continue
            attribute, kind = known[full]
            values = {member.value for member in _ENUMS.get((model.__name__, attribute), ())}
            if values and found not in values:
                yield f"{path}.{full}: {found!r} is not one of {sorted(values)}"
            yield from against(found, kind, f"{path}.{full}")


class TestSchema(AciSuite):
    @pytest.mark.parametrize(
        "variables",
        [
            {},
            {"env": {"A": "1", "PREFECT_API_KEY": "k"}, "labels": {"team": "data"}},
            {"cpu": 2, "memory": 4, "gpu_count": 1, "gpu_sku": "V100"},
            {"identities": ["/i"], "subnet_ids": ["/n"], "dns_servers": ["10.0.0.1"]},
            {"image_registry": {"registry_url": "r", "username": "u", "password": "p"}},
            {"image_registry": {"registry_url": "r", "identity": "/i"}},
            {"entrypoint": "tini --", "priority": "Spot", "location": "westeurope"},
        ],
    )
    def test_a_group_is_what_the_sdk_knows(self, fake: FakeAci, variables: dict[str, Any]) -> None:
        job = self.make_job(1, **variables)
        self.connect(fake).push(job)
        [body] = fake.requests(job.name)
        assert list(against(body, "ContainerGroup", "group")) == []

    def test_the_fake_shows_what_the_sdk_knows(self, fake: FakeAci) -> None:
        job = self.make_job(1)
        self.connect(fake).push(job)
        shown = []
        fake.wait_for_image(job.name, "Failed to pull image", since="2020-01-01T00:00:00Z")
        shown.append(fake.groups[job.name].shown())
        fake.restart(job.name, 3)
        shown.append(fake.groups[job.name].shown())
        fake.finish(job.name, 1)
        shown.append(fake.groups[job.name].shown())
        assert [list(against(group, "ContainerGroup", "group")) for group in shown] == [[], [], []]

    def test_the_walker_finds_what_is_wrong(self) -> None:
        properties = {"osType": "BeOS", "containers": [{"name": 1, "properties": {"imagee": "x"}}]}
        found = list(against({"tags": {"a": 1}, "properties": properties}, "ContainerGroup", "g"))
        assert len(found) == 4
