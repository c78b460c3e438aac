"""How does the platform reach Azure? One SDK client per subscription, made when needed.

PUSH_DISPATCH_AZURE_ENDPOINT   replaces both login.microsoftonline.com and
                               management.azure.com, such as https://127.0.0.1:8443
PUSH_DISPATCH_AZURE_CA_FILE    the certificate authority of that endpoint, a PEM file
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.exceptions import ClientAuthenticationError
from azure.mgmt.containerinstance import ContainerInstanceManagementClient

from push_dispatch.core.errors import Rejected
from push_dispatch.platforms.aci.refusal import is_sign_in
from push_dispatch.platforms.aci.request import Place
from push_dispatch.platforms.aci.sign_in import credential_from
from push_dispatch.platforms.rest import CONNECT_SECONDS
from push_dispatch.platforms.shared import Remembered
from push_dispatch.ports.secrets import Secrets

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

__all__ = ["Clients"]

_ARM = "https://management.azure.com"
_SCOPE = "/.default"
#: Any version will do: a resource group has had a location since the first.
_GROUPS_VERSION = "2021-04-01"
_Answer = TypeVar("_Answer")


class Clients:
    """SDK clients that neither wait long nor send anything twice by themselves."""

    def __init__(self, environ: Mapping[str, str], secrets: Secrets, read_seconds: float) -> None:
        self._environ = environ
        self._secrets = secrets
        self._read_seconds = read_seconds
        self._clients: dict[str, ContainerInstanceManagementClient] = {}
        #: By subscription and resource group.
        self.locations = Remembered(self._location)
        self._lock = Lock()

    def ask(
        self, subscription: str, question: Callable[[ContainerInstanceManagementClient], _Answer]
    ) -> _Answer:
        """The answer to `question`. A token that Azure no longer takes is replaced, once: with a
        401 nothing was done, so this is no blind retry. Raises what the SDK raises, and Rejected
        (`credentials_missing`)."""
        client = self._client(subscription)
        try:
            return question(client)
        except ClientAuthenticationError as error:
            # Not to be kept in any case: it would repeat a refusal to sign in from memory, for up
            # to a minute after Microsoft Entra has recovered.
            self._forget(subscription, client)
            if is_sign_in(error):
                raise
            return question(self._client(subscription))

    def of_groups(self, place: Place, method: str, *more: Any, **options: Any) -> Any:
        """The answer to a method of the SDK's `container_groups` about one of them. Raises as
        `ask`."""
        return self.ask(
            place.subscription,
            lambda client: getattr(client.container_groups, method)(
                place.resource_group, place.name, *more, **options
            ),
        )

    def sign_in(self) -> None:
        """Ask for an access token with a credential that nobody has used yet. Raises as `ask`."""
        self._credential().get_token(_ARM + _SCOPE)

    def _location(self, where: tuple[str, str]) -> str:
        """Raises what the SDK raises."""
        return self.ask(where[0], lambda client: _location(client, *where))

    def _client(self, subscription: str) -> ContainerInstanceManagementClient:
        with self._lock:
            if subscription not in self._clients:
                self._clients[subscription] = ContainerInstanceManagementClient(
                    self._credential(),
                    subscription,
                    base_url=self._endpoint or _ARM,
                    credential_scopes=[_ARM + _SCOPE],
                    **self._options(),
                )
            return self._clients[subscription]

    def _forget(self, subscription: str, client: ContainerInstanceManagementClient) -> None:
        with self._lock:
            if self._clients.get(subscription) is client:
                del self._clients[subscription]

    @property
    def _endpoint(self) -> str:
        return self._environ.get("PUSH_DISPATCH_AZURE_ENDPOINT", "").rstrip("/")

    def _credential(self) -> TokenCredential:
        options = self._options()
        if self._endpoint:
            # Discovery would ask the public cloud whether it knows this authority.
            options |= {"authority": self._endpoint, "disable_instance_discovery": True}
        return credential_from(self._environ, self._secrets, **options)

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            # azure-core repeats even a PUT ten times by itself, and here that starts a run again.
            "retry_total": 0,
            "connection_timeout": CONNECT_SECONDS,
            "read_timeout": self._read_seconds,
        }
        if ca_file := self._environ.get("PUSH_DISPATCH_AZURE_CA_FILE"):
            options["connection_verify"] = ca_file
        return options


def _location(
    client: ContainerInstanceManagementClient, subscription: str, resource_group: str
) -> str:
    from azure.core.rest import HttpRequest  # noqa: PLC0415

    path = f"/subscriptions/{subscription}/resourcegroups/{resource_group}"
    request = HttpRequest("GET", path, params={"api-version": _GROUPS_VERSION})
    # The SDK's documented way to an operation it has no method for, in spite of its name.
    response = client._send_request(request)  # noqa: SLF001
    response.raise_for_status()
    location = response.json().get("location")
    if not location:
        raise Rejected(f"resource group {resource_group} has no location")
    return str(location)
