//! Adapters of the runtime's ports on the AWS SDK, and the start of a Lambda function.
