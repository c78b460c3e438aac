"""What does a subclass of the platform contract suite provide, and what may it override?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any, ClassVar
from uuid import UUID

import pytest

from push_dispatch.core.template import Layer, render
from push_dispatch.platforms.base import Job, Observation, Platform, Watched
from push_dispatch.platforms.registry import entry_for

__all__ = ["PlatformSuite"]


class PlatformSuite:
    """The fixtures and factories of the suite."""

    #: A pool type that the platform serves.
    platform_type: ClassVar[str]
    #: Job variables that the default template needs for the fake to accept a job.
    variables: ClassVar[Mapping[str, Any]] = {}

    # -- what a subclass provides ----------------------------------------------------------------

    @pytest.fixture
    def fake(self) -> Iterator[Any]:
        """A fresh fake, without jobs."""
        raise NotImplementedError

    def connect(self, fake: Any) -> Platform:
        """A new instance that talks to the fake: called again, it stands for another process."""
        raise NotImplementedError

    def disconnected(self) -> Platform:
        """An instance whose every request fails at once: nothing listens at its endpoint."""
        raise NotImplementedError

    def unknown_handle(self, fake: Any) -> str:
        """A well-formed handle of an attempt that the platform does not know."""
        raise NotImplementedError

    def template(self) -> Mapping[str, Any]:
        """The platform's default base job template: a built-in one, named like the type or the
        platform; third parties override this."""
        templates = resources.files("push_dispatch.platforms") / "templates"
        names = (self.platform_type.partition(":")[0], entry_for(self.platform_type).platform)
        files = [templates / f"{name}.json" for name in names]
        file = next(file for file in files if file.is_file())
        template: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return template

    def make_job(self, n: int, **configuration: Any) -> Job:
        """The `n`-th job: the default template rendered with `variables`, top-level keys of its
        configuration replaced by `configuration`."""
        run = UUID(int=0x0199_C1F0_0000_7000_8000_0000_0000_0000 + n)
        return Job(
            name=f"pd-{run.hex}-1",
            run_id=f"contract.{run}",
            pool="contract",
            type=self.platform_type,
            attempt=1,
            configuration=self.configuration() | configuration,
            claimed_at=time.time_ns() // 1_000_000,
        )

    def configuration(self) -> dict[str, Any]:
        """The default template rendered with `variables`."""
        return dict(render(self.template(), [Layer("run", self.variables)]).configuration)

    @pytest.fixture
    def platform(self, fake: Any) -> Platform:
        """The platform under test."""
        return self.connect(fake)

    def see(self, platform: Platform, job: Job, handle: str) -> Observation:
        """The one observation of the job."""
        [seen] = platform.observe([Watched(handle, job.run_id, job.attempt)])
        assert (seen.run_id, seen.attempt) == (job.run_id, job.attempt)
        return seen
