from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from push_dispatch.adapters.secret_stores import system_secrets_from
from push_dispatch.core.errors import Rejected, Throttled, Uncertain
from push_dispatch.platforms.aci import Aci
from push_dispatch.platforms.aci.request import Place
from push_dispatch.platforms.base import Status
from push_dispatch.ports.secrets import Secret
from tests.contract.aci_suite import AciSuite
from tests.fakes.aci import FakeAci
from tests.fakes.aci_service import RESOURCE_GROUP, SUBSCRIPTION, failure
from tests.fakes.aci_sign_in import CLIENT, SECRET, TENANT, FakeSts


class TestRequests(AciSuite):
    """What is put."""

    def put(self, aci: Aci, fake: FakeAci, **configuration: Any) -> Any:
        job = self.make_job(1, **configuration)
        aci.push(job)
        [body] = fake.requests(job.name)
        return body

    def test_location_is_the_resource_groups_and_asked_for_once(
        self, aci: Aci, fake: FakeAci
    ) -> None:
        assert self.put(aci, fake)["location"] == "westeurope"
        before = fake.calls()
        aci.push(self.make_job(2))
        assert [request.method for request in fake.received[before:]] == ["GET", "PUT"]

    def test_secrets_are_secure_values(self, aci: Aci, fake: FakeAci) -> None:
        secret = Secret("db", "", lambda: "hunter2")
        job = self.make_job(1, env={"PASSWORD": "see the secret", "PREFECT_API_KEY": "k", "A": "1"})
        job = replace(job, secrets={"PASSWORD": secret})
        aci.push(job)
        assert fake.environment(job.name) == {
            "PASSWORD": "hunter2",
            "PREFECT_API_KEY": "k",
            "A": "1",
        }
        shown = json.dumps(fake.groups[job.name].shown())
        assert "hunter2" not in shown
        assert '"k"' not in shown

    def test_environment_that_is_no_text_is_json(self, aci: Aci, fake: FakeAci) -> None:
        job = self.make_job(1, env={"T": True, "O": {"x": 1}, "GONE": None})
        aci.push(job)
        assert fake.environment(job.name) == {"T": "true", "O": '{"x": 1}'}

    def test_command_and_entrypoint_may_be_lists(self, aci: Aci, fake: FakeAci) -> None:
        body = self.put(aci, fake, command=["echo", "two words"], entrypoint=["tini", "--"])
        container = body["properties"]["containers"][0]["properties"]
        assert container["command"] == ["tini", "--", "echo", "two words"]

    @pytest.mark.parametrize(
        ("variables", "words"),
        [
            ({"env": ["A=1"]}, r"env\[0\] is not an object"),
            ({"labels": ["a"]}, "labels is not an object"),
            ({"cpu": "lots"}, "resources.requests.cpu is 'lots'"),
            ({"arm_template": {"resources": "x"}}, "resources is not a list"),
            ({"command": {"a": 1}}, "command is neither"),
        ],
    )
    def test_input_that_makes_no_group_is_final(
        self, aci: Aci, fake: FakeAci, variables: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(Rejected, match=words) as caught:
            aci.push(self.make_job(1, **variables))
        assert caught.value.reason == "template_invalid"
        assert fake.calls() == 0

    def test_secret_that_cannot_be_read_starts_nothing(self, aci: Aci, fake: FakeAci) -> None:
        def missing() -> str:
            raise KeyError("db")

        job = replace(self.make_job(1), secrets={"PASSWORD": Secret("db", "", missing)})
        with pytest.raises(Rejected) as caught:
            aci.push(job)
        assert caught.value.reason == "secret_unavailable"
        assert fake.calls() == 0

    def test_identity_registry_and_network(self, aci: Aci, fake: FakeAci) -> None:
        identity = f"/subscriptions/{SUBSCRIPTION}/identities/puller"
        body = self.put(
            aci,
            fake,
            identities=[identity],
            image_registry={"registry_url": "x.azurecr.io", "identity": identity},
            subnet_ids=["/subnets/a"],
            dns_servers=["10.0.0.53"],
            labels={"team/cost?": "data"},
        )
        assert body["identity"] == {
            "type": "UserAssigned",
            "userAssignedIdentities": {identity: {}},
        }
        properties = body["properties"]
        assert properties["imageRegistryCredentials"] == [
            {"server": "x.azurecr.io", "identity": identity}
        ]
        assert properties["subnetIds"] == [{"id": "/subnets/a"}]
        assert properties["dnsConfig"] == {"nameServers": ["10.0.0.53"]}
        assert body["tags"]["team-cost-"] == "data"

    def test_prefect_worker_template_is_taken_as_it_is(self, aci: Aci, fake: FakeAci) -> None:
        """The shape in which that worker renders it, with its ARM expressions."""
        container = {
            "name": "[parameters('container_name')]",
            "properties": {
                "image": "busybox",
                "command": "[ -f x ]",
                "resources": {"requests": {"cpu": 2, "memoryInGB": 4}},
                "environmentVariables": [{"name": "FROM_TEMPLATE", "value": "1"}],
            },
        }
        resource = {
            "type": "Microsoft.ContainerInstance/containerGroups",
            "apiVersion": "2022-09-01",
            "name": "[parameters('container_group_name')]",
            "location": "[parameters('location')]",
            "properties": {
                "containers": [container],
                "osType": "Linux",
                "restartPolicy": "Never",
            },
        }
        unique = {"type": "string", "defaultValue": "[uniqueString(resourceGroup().id)]"}
        location = {"type": "string", "defaultValue": "[resourceGroup().location]"}
        parameters = {
            "location": location,
            "container_group_name": unique,
            "container_name": unique,
        }
        job = replace(
            self.make_job(1),
            configuration={
                "command": "prefect flow-run execute",
                "env": {"PREFECT_API_KEY": "k", "GONE": None},
                "labels": {"a": "b"},
                "name": "some name",
                "image": "prefecthq/prefect:3-python3.12",
                "resource_group_name": RESOURCE_GROUP,
                "subscription_id": SUBSCRIPTION,
                "entrypoint": "/opt/prefect/entrypoint.sh",
                "cpu": 1.0,
                "memory": 1.0,
                "stream_output": False,
                "aci_credentials": {"client_secret": "not for us"},
                "task_start_timeout_seconds": 240,
                "task_watch_poll_interval": 5.0,
                "keep_container_group": False,
                "arm_template": {
                    "$schema": "https://schema.management.azure.com/schemas/2019-08-01/deploymentTemplate.json#",
                    "contentVersion": "1.0.0.0",
                    "parameters": parameters,
                    "resources": [resource],
                },
            },
        )
        handle = aci.push(job)
        body: Any = fake.requests(job.name)[0]
        assert handle == str(Place(SUBSCRIPTION, RESOURCE_GROUP, job.name))
        assert body["location"] == "westeurope"
        [made] = body["properties"]["containers"]
        assert made["name"] == "job"
        assert made["properties"] == {
            "image": "prefecthq/prefect:3-python3.12",
            "command": ["/opt/prefect/entrypoint.sh", "prefect", "flow-run", "execute"],
            "resources": {"requests": {"cpu": 1.0, "memoryInGB": 1.0}},
            "environmentVariables": [
                {"name": "FROM_TEMPLATE", "value": "1"},
                {"name": "PREFECT_API_KEY", "secureValue": "k"},
            ],
        }
        assert "not for us" not in json.dumps(body)
        price = aci.estimate_cost(job.configuration, 3600)
        assert price is not None

    @pytest.mark.parametrize(
        ("configuration", "reported"),
        [
            ({"subscription_id": None}, "subscription_id"),
            ({"resource_group_name": "a/b"}, "resource_group_name"),
            ({"arm_template": None}, "arm_template is missing"),
            ({"arm_template": {"resources": []}}, "one resource"),
            ({"command": "echo 'unfinished"}, "cannot be split"),
            ({"image_registry": {"registry_url": "x", "username": "u"}}, "image_registry"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_template_that_cannot_be_put_is_rejected_before_anything_is_sent(
        self, aci: Aci, fake: FakeAci, configuration: dict[str, Any], reported: str
    ) -> None:
        with pytest.raises(Rejected, match=reported) as caught:
            aci.push(self.make_job(1, **configuration))
        assert caught.value.reason == "template_invalid"
        assert fake.calls() == 0

    def test_expression_that_only_azure_can_evaluate_is_named(self, aci: Aci) -> None:
        template = json.loads(json.dumps(self.configuration()["arm_template"]))
        template["resources"][0]["location"] = "[concat('west', 'europe')]"
        with pytest.raises(Rejected, match=r"`\[concat…` cannot be evaluated") as caught:
            aci.push(self.make_job(1, arm_template=template))
        assert "europe" not in caught.value.message  # it might be a secret

    def test_cost_goes_by_size_and_priority(self, aci: Aci) -> None:
        def price(**changed: Any) -> float | None:
            configuration = self.configuration()
            resource = configuration["arm_template"]["resources"][0]
            resource["properties"].update(changed)
            return aci.estimate_cost(configuration, 3600)

        assert price() == pytest.approx(0.0405 + 0.00445)
        assert price(priority="Spot") == pytest.approx(0.3 * (0.0405 + 0.00445))
        assert price(osType="Windows") is None
        assert price(sku="Confidential") is None
        assert aci.estimate_cost({**self.configuration(), "gpu_count": 1}, 3600) is None
        assert aci.estimate_cost({}, 3600) is None


class TestSignIn(AciSuite):
    """Who the function is to Azure."""

    def federated(self, fake: FakeAci, sts: FakeSts) -> Aci:
        return Aci(
            fake.environ(
                AZURE_CLIENT_SECRET="",
                AWS_ENDPOINT_URL_STS=sts.url,
                AWS_REGION="eu-west-1",
                AWS_ACCESS_KEY_ID="key",
                AWS_SECRET_ACCESS_KEY="secret",
            )
        )

    def test_federation_needs_no_secret(self, fake: FakeAci) -> None:
        job = self.make_job(1)
        with FakeSts(fake.entra) as sts:
            aci = self.federated(fake, sts)
            handle = aci.push(job)
            fake.begin(job.name)
            assert self.see(aci, job, handle).status is Status.RUNNING
            assert sts.calls() == 1
        [form] = fake.entra.received
        assert form["client_assertion"] == "assertion-1"
        assert form["client_id"] == CLIENT
        assert "client_secret" not in form

    def test_account_without_federation_says_how_to_enable_it(self, fake: FakeAci) -> None:
        with FakeSts(fake.entra) as sts:
            sts.enabled = False
            with pytest.raises(Rejected, match="enable-outbound-web-identity-federation") as caught:
                self.federated(fake, sts).push(self.make_job(1))
        assert caught.value.reason == "access_denied"
        assert fake.calls() == 0

    def test_throttled_sts_is_asked_later(self, fake: FakeAci) -> None:
        with FakeSts(fake.entra) as sts:
            sts.throttle_next()
            aci = self.federated(fake, sts)
            with pytest.raises(Throttled):
                aci.push(self.make_job(1))
            aci.push(self.make_job(1))

    def test_role_that_nobody_trusts_is_denied(self, fake: FakeAci) -> None:
        with FakeSts(fake.entra) as sts:
            fake.entra.refuse_next(401, 700213, "No matching federated identity record found")
            with pytest.raises(Rejected, match="AADSTS700213") as caught:
                self.federated(fake, sts).push(self.make_job(1))
        assert caught.value.reason == "access_denied"

    def test_secret_comes_from_the_secret_store(self, fake: FakeAci, tmp_path: Path) -> None:
        (tmp_path / "secrets.json").write_text(json.dumps({"azure": SECRET}))
        store = {"PUSH_DISPATCH_SECRETS": f"file:{tmp_path / 'secrets.json'}"}
        environ = fake.environ(AZURE_CLIENT_SECRET="", AZURE_CLIENT_SECRET_NAME="azure", **store)
        assert Aci(environ, system_secrets_from(environ)).push(self.make_job(1))
        with pytest.raises(Rejected, match="nope") as caught:
            Aci({**environ, "AZURE_CLIENT_SECRET_NAME": "nope"}, system_secrets_from(environ)).push(
                self.make_job(2)
            )
        assert caught.value.reason == "secret_unavailable"

    def test_wrong_secret_is_denied_without_being_shown(self, fake: FakeAci) -> None:
        wrong = fake.environ(AZURE_CLIENT_SECRET="wrong-but-secret")
        with pytest.raises(Rejected, match="AADSTS7000215") as caught:
            Aci(wrong).push(self.make_job(1))
        assert caught.value.reason == "access_denied"
        assert "wrong-but-secret" not in caught.value.message

    @pytest.mark.parametrize("name", ["AZURE_TENANT_ID", "AZURE_CLIENT_ID"])
    def test_missing_variable_is_named(self, fake: FakeAci, name: str) -> None:
        with pytest.raises(Rejected, match=name) as caught:
            Aci(fake.environ(**{name: ""})).push(self.make_job(1))
        assert caught.value.reason == "credentials_missing"

    def test_entra_that_is_down_is_never_final(self, aci: Aci, fake: FakeAci) -> None:
        fake.entra.refuse_next(503, 90033, "A transient error has occurred")
        with pytest.raises((Uncertain, Throttled)):
            aci.push(self.make_job(1))
        assert aci.push(self.make_job(1))

    def test_token_that_azure_no_longer_takes_is_replaced_once(
        self, aci: Aci, fake: FakeAci
    ) -> None:
        first, second = self.make_job(1), self.make_job(2)
        aci.push(first)
        fake.entra.revoke()
        aci.push(second)
        assert len(fake.entra.issued) == 2
        assert [fake.starts(first.name), fake.starts(second.name)] == [1, 1]

    def test_token_that_is_never_taken_is_denied(self, aci: Aci, fake: FakeAci) -> None:
        for _ in range(2):
            fake.refuse_next(failure(401, "InvalidAuthenticationToken", "wrong issuer"))
        with pytest.raises(Rejected, match="wrong issuer") as caught:
            aci.push(self.make_job(1))
        assert caught.value.reason == "access_denied"
        assert fake.calls() == 2

    # -- asked for as such -----------------------------------------------------------------------

    def test_sign_in_says_which_application(self, aci: Aci, fake: FakeAci) -> None:
        reported = f"signed in to Azure as the application {CLIENT} of the tenant {TENANT}"
        assert aci.sign_in() == f"{reported}, with AZURE_CLIENT_SECRET"
        aci.sign_in()
        assert len(fake.entra.issued) == 2, "a token that is remembered proves nothing"
        assert fake.calls() == 0

    def test_sign_in_by_the_role_of_aws(self, fake: FakeAci) -> None:
        with FakeSts(fake.entra) as sts:
            aci = self.federated(fake, sts)
            assert aci.sign_in().endswith(", by this function's AWS role")
            sts.throttle_next()
            with pytest.raises(Throttled):
                aci.sign_in()
            sts.lose_reply()
            with pytest.raises(Uncertain):
                aci.sign_in()
            sts.enabled = False
            with pytest.raises(Rejected, match="enable-outbound-web-identity") as caught:
                aci.sign_in()
            assert caught.value.reason == "access_denied"

    def test_sign_in_at_an_entra_that_is_down_is_not_final(self, aci: Aci, fake: FakeAci) -> None:
        fake.entra.refuse_next(503, 90033, "A transient error has occurred")
        with pytest.raises(Uncertain) as caught:
            aci.sign_in()
        assert caught.value.reason == "platform_unavailable"
        aci.sign_in()
