"""What does AWS Lambda call? One module per function: event in, use case, response out."""

from __future__ import annotations

import os

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # `adapters.aws` loads it when it is needed. In Lambda that is always, and best while a function
    # starts: then it has a whole processor.
    import botocore.session  # noqa: F401

    import push_dispatch.adapters.dynamodb.store
    import push_dispatch.adapters.sqs  # noqa: F401
