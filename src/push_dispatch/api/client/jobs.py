"""How does a function of an importable module become a run?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from push_dispatch.core.errors import Invalid

if TYPE_CHECKING:
    from push_dispatch.api.client.client import Client
    from push_dispatch.api.client.handle import RunHandle

__all__ = ["Job"]

P = ParamSpec("P")
R = TypeVar("R")


class Job(Generic[P, R]):
    """A function that can also run in a pool. Called, it is the function.

    Where it runs, its module must be importable under the same name. Arguments and result are JSON.
    """

    def __init__(
        self,
        client: Client,
        function: Callable[P, R],
        pool: str,
        python: str,
        fields: Mapping[str, Any],
    ) -> None:
        """Raises Invalid if the function cannot be imported by its name."""
        module, name = function.__module__, function.__qualname__
        if "<" in name:
            raise Invalid(f"job {name} is inside of another function: no job can import it")
        self.function = function
        self.pool = pool
        self._client = client
        self._python = python
        self._fields = dict(fields)
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__module__ = module
        self.__qualname__ = name
        self.__wrapped__ = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here."""
        return self.function(*args, **kwargs)

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> RunHandle:
        """Submit a run that calls the function; its handle has the `result`. Raises Invalid if the
        arguments are not JSON, or nothing says where results go."""
        [handle] = self._client.submit_many(self.pool, [self._request(args, kwargs)])
        return handle

    def remote(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function in the pool, and return its result. Raises RunFailed."""
        result: R = self.submit(*args, **kwargs).result
        return result

    def map(self, inputs: Iterable[Any]) -> Iterator[R]:
        """Run the function once for each input, and yield the results in the order of the inputs.
        All runs are submitted before the first is waited for. Raises RunFailed at the first that
        fails; the others go on."""
        handles = self._client.submit_many(self.pool, [self._request((i,), {}) for i in inputs])
        for handle in handles:
            result: R = handle.result
            yield result

    def _request(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        if self.__module__ == "__main__":
            raise Invalid(
                f"job {self.__name__} is defined in the program itself: put it into a module that "
                "the job can import"
            )
        import shlex  # noqa: PLC0415 - importing the package costs next to nothing

        from push_dispatch.api.client.results import (  # noqa: PLC0415
            VARIABLE,
            command_of,
            place_in,
        )

        fields = dict(self._fields)
        command = command_of(self._python, self.__module__, self.__qualname__)
        variables = dict(fields.pop("job_variables", {}))
        place = place_in(self._client.results, self.pool, fields.get("idempotency_key", ""))
        env = {**variables.get("env", {}), VARIABLE: place}
        return {
            **fields,
            "name": fields.get("name", self.__name__),
            "parameters": {"args": list(args), "kwargs": dict(kwargs)},
            "job_variables": {**variables, "env": env, "command": shlex.join(command)},
        }
