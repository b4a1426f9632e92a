"""A handler with Powertools for AWS Lambda, which shares its idempotency table with a function in Rust.

Reads {"table", "order": {"id", "amount"}, "remaining_ms", "hold_seconds"} and prints one line of JSON: the result and
whether the handler ran for it, or the name of Powertools' error. With `hold_seconds` it says "holding" first, and works
for so long.
"""

import json
import sys
import time

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyValidationError,
)


class Context:
    """What Powertools asks of a Lambda context."""

    def __init__(self, remaining_ms):
        self.remaining_ms = remaining_ms

    def get_remaining_time_in_millis(self):
        return self.remaining_ms


def main():
    request = json.load(sys.stdin)
    config = IdempotencyConfig(event_key_jmespath="id", payload_validation_jmespath="amount")
    config.register_lambda_context(Context(request["remaining_ms"]))
    ran = []

    @idempotent_function(
        data_keyword_argument="order",
        persistence_store=DynamoDBPersistenceLayer(table_name=request["table"]),
        config=config,
        key_prefix="orders",
    )
    def charge(order):
        ran.append(order)
        if request.get("hold_seconds"):
            print("holding", flush=True)
            time.sleep(request["hold_seconds"])
        return {"charged": order["amount"], "by": "python"}

    try:
        print(json.dumps({"result": charge(order=request["order"]), "ran": bool(ran)}))
    except (IdempotencyAlreadyInProgressError, IdempotencyValidationError) as error:
        print(json.dumps({"error": type(error).__name__}))


main()
