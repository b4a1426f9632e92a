// The function that is measured beside ours: a queue's batch, each record done once, and written down.
import { DynamoDBClient, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch';
import { makeIdempotent, IdempotencyConfig } from '@aws-lambda-powertools/idempotency';
import { DynamoDBPersistenceLayer } from '@aws-lambda-powertools/idempotency/dynamodb';

const processor = new BatchProcessor(EventType.SQS);
const persistenceStore = new DynamoDBPersistenceLayer({ tableName: process.env.IDEMPOTENCY_TABLE });
const config = new IdempotencyConfig({ eventKeyJmesPath: 'messageId' });
const events = new DynamoDBClient({});

const once = makeIdempotent(
  async (record) => {
    await events.send(
      new PutItemCommand({
        TableName: process.env.EVENTS_TABLE,
        Item: { stream: { S: record.messageId }, version: { N: '1' }, events: { S: record.body } },
      }),
    );
    return { done: true };
  },
  { persistenceStore, config },
);

export const handler = async (event, context) => {
  config.registerLambdaContext(context);
  return processPartialResponse(event, (record) => once(record), processor, { context });
};
