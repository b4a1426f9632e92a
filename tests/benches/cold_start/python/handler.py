"""The function that is measured beside ours: a queue's batch, each record done once, and written down."""

import os

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

logger = Logger(service="bench")
processor = BatchProcessor(event_type=EventType.SQS)
persistence = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(event_key_jmespath="messageId")
events = boto3.client("dynamodb")


@idempotent_function(data_keyword_argument="record", config=config, persistence_store=persistence)
def once(record: dict) -> dict:
    events.put_item(
        TableName=os.environ["EVENTS_TABLE"],
        Item={"stream": {"S": record["messageId"]}, "version": {"N": "1"}, "events": {"S": record["body"]}},
    )
    return {"done": True}


def record_handler(record: SQSRecord) -> dict:
    logger.info("handled")
    return once(record=record.raw_event)


def handler(event, context):
    config.register_lambda_context(context)
    return process_partial_response(
        event=event, record_handler=record_handler, processor=processor, context=context
    )
