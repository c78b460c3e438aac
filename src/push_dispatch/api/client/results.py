"""Where does a job leave its result, and who reads it there? S3, or a folder of this machine."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from push_dispatch.core.errors import Invalid, NotFound

__all__ = ["VARIABLE", "command_of", "place_in", "read_result", "result_place"]

#: Environment variable of a job: where its result goes.
VARIABLE = "PUSH_DISPATCH_RESULT"

#: What `python -c` executes. It needs nothing but Python, and boto3 where the result goes to S3.
_CODE = """\
import importlib, json, operator, os
given = json.loads(os.environ["PUSH_DISPATCH_PARAMETERS"])
job = operator.attrgetter({function!r})(importlib.import_module({module!r}))
text = json.dumps(getattr(job, "function", job)(*given["args"], **given["kwargs"]))
place = os.environ["{variable}"]
if place.startswith("s3://"):
    import boto3
    bucket, _, key = place[5:].partition("/")
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=text.encode())
else:
    from urllib.parse import unquote, urlsplit
    path = unquote(urlsplit(place).path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)
"""


def command_of(python: str, module: str, function: str) -> list[str]:
    """The command that calls a function with the run's parameters and keeps what it returns."""
    code = _CODE.format(module=module, function=function, variable=VARIABLE)
    return [python, "-c", code]


def place_in(results: str, pool: str, key: str) -> str:
    """A new place for a result; the same one for the same idempotency key, so that the request
    stays the same. Raises Invalid if `results` is neither `s3://` nor `file://`."""
    if not results:
        raise Invalid("nothing says where results go: Client(results='s3://BUCKET/PREFIX')")
    if not results.startswith(("s3://", "file:///")):
        raise Invalid(f"results {results!r}: s3://BUCKET/PREFIX or file:///FOLDER is expected")
    name = hashlib.sha256(f"{pool}\0{key}".encode()).hexdigest() if key else uuid.uuid4().hex
    return f"{results.rstrip('/')}/{name}.json"


def result_place(run: Mapping[str, Any]) -> str | None:
    """Where a run's result is; None if it leaves none."""
    env = run["variables"].get("env")
    place = env.get(VARIABLE) if isinstance(env, Mapping) else None
    return place if isinstance(place, str) else None


def read_result(place: str) -> Any:
    """The result that a job has left. Raises NotFound if there is none."""
    text = _from_s3(place) if place.startswith("s3://") else _from_file(place)
    return json.loads(text)


def _from_file(place: str) -> str:
    path = Path(unquote(urlsplit(place).path))
    try:
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"there is no result at {place}") from error


def _from_s3(place: str) -> str:
    import boto3  # noqa: PLC0415 - importing the package costs next to nothing
    from botocore.exceptions import ClientError  # noqa: PLC0415

    bucket, _, key = place.removeprefix("s3://").partition("/")
    try:
        reply = boto3.client("s3").get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        raise NotFound(f"the result at {place} cannot be read: {error}") from error
    return str(reply["Body"].read().decode())
