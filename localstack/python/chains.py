"""Stops chains of invocations as AWS does: recursive loop detection, for ministack.

A function that is called from a queue and sends to a queue that leads back to it is a chain. AWS counts, in the trace
header, how often each function was called in a chain, and stops a call after 16 of them unless the function has
`RecursiveLoop: Allow`. The message is not deleted: it comes back after its visibility timeout and ends in the
dead-letter queue. Only calls from SQS are watched here, for the functions here call each other in no other way; a
stream, a bus or an API begins a new chain, as on AWS.

The header travels as on AWS: the runtime hands it to the function, its SDK sends it with every call, and SQS keeps it
as the message's AWSTraceHeader. A batch is one call: it counts on from the highest of its messages.
"""

import contextvars
import logging
import re
import secrets
import threading
import time
import zlib

LOG = logging.getLogger("chains")

CALLS_MAX = 16
LINEAGE = re.compile(r"(?:^|;)Lineage=([^;]*)")
_caller = contextvars.ContextVar("hostler_caller_trace", default=None)
_called = contextvars.ContextVar("hostler_called_trace", default=None)

# What was seen, by account and function: the longest chain, and how many messages were stopped.
_seen, _seen_lock = {}, threading.Lock()


def parse(header):
    """The counts of a trace header by the hash of each function."""
    found = LINEAGE.search(header or "")
    entries = (entry.rsplit(":", 1) for entry in (found.group(1).split("|") if found else ()))
    return {entry[0]: int(entry[1]) for entry in entries if len(entry) == 2 and entry[1].isdigit()}


def trace(lineage):
    """A trace header with these counts."""
    root = f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"
    return f"{root};Lineage={'|'.join(f'{name}:{count}' for name, count in sorted(lineage.items()))}"


def hash_of(function_arn):
    return f"{zlib.crc32(function_arn.encode()):08x}"


def note(account, function, calls, stopped):
    """Remembers how long a function's chains are."""
    with _seen_lock:
        entry = _seen.setdefault((account, function), {"account": account, "function": function, "longest": 0, "stopped": 0})
        entry["longest"] = max(entry["longest"], calls)
        entry["stopped"] += stopped


def seen():
    """The chains so far: one entry for each function that was called from a queue."""
    with _seen_lock:
        return [dict(entry) for _, entry in sorted(_seen.items())]


def install():
    """Puts the detection into ministack. On AWS it is always on, so it is here."""
    _keep_trace_of_senders()
    _count_calls()
    _take_from_templates()


def _keep_trace_of_senders():
    """SQS keeps the trace header of whoever sends."""
    from ministack.services import sqs

    build = sqs._build_send_sys_attrs

    def build_send_sys_attrs(now, given):
        attributes = build(now, given)
        if _caller.get() and "AWSTraceHeader" not in attributes:
            attributes["AWSTraceHeader"] = _caller.get()
        return attributes

    sqs._build_send_sys_attrs = build_send_sys_attrs


def asgi(app):
    """Remembers the trace header of a request while it is handled."""

    async def traced(scope, receive, send):
        if scope["type"] == "http":
            header = dict(scope["headers"]).get(b"x-amzn-trace-id")
            _caller.set(header.decode("latin-1") if header else None)
        await app(scope, receive, send)

    return traced


def _count_calls():
    from ministack.services import lambda_svc

    run_batch = lambda_svc._run_sqs_batch

    def run_sqs_batch(esm, func_rec, event, batch, queue_url, queue_name):
        config = func_rec.get("config") or func_rec
        arn, name, account = config["FunctionArn"], config["FunctionName"], lambda_svc.get_account_id()
        own = hash_of(arn.split(":function:")[0] + name)
        # It is the function's, whichever version of it is called.
        may_loop = (lambda_svc._functions[name].get("recursive_loop") or "Terminate") == "Allow"
        lineage, stopped = {}, set()
        for message in batch:
            counts = parse((message.get("sys") or {}).get("AWSTraceHeader"))
            if counts.get(own, 0) >= CALLS_MAX and not may_loop:
                stopped.add(message["id"])
                continue
            for function, count in counts.items():
                lineage[function] = max(lineage.get(function, 0), count)
        lineage[own] = lineage.get(own, 0) + 1
        note(account, name, CALLS_MAX if stopped else lineage[own], len(stopped))
        if stopped:
            LOG.warning("stopped a chain at %s: %d messages of %s were its call number %d; allow it with RecursiveLoop: Allow",
                        name, len(stopped), queue_name, CALLS_MAX + 1)
            batch = [message for message in batch if message["id"] not in stopped]
            event = {"Records": [record for record in event["Records"] if record["messageId"] not in stopped]}
            if not event["Records"]:
                return
        token = _called.set(trace(lineage))
        try:
            run_batch(esm, func_rec, event, batch, queue_url, queue_name)
        finally:
            _called.reset(token)

    def trace_of_invocation(config, inbound_trace_header=None):
        return _called.get() or inbound_trace_header or trace({})

    lambda_svc._run_sqs_batch = run_sqs_batch
    lambda_svc._xray_trace_id_for_invocation = trace_of_invocation


def _take_from_templates():
    """`RecursiveLoop` of a template's function, which ministack passes over."""
    from ministack.services import lambda_svc
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
    create, update = handlers["create"], handlers["update"]

    def allow(made, properties):
        lambda_svc._functions[made[0]]["recursive_loop"] = properties.get("RecursiveLoop", "Terminate")
        return made

    def create_function(logical_id, props, stack_name):
        return allow(create(logical_id, props, stack_name), props)

    def update_function(physical_id, old_props, new_props, *args, **kwargs):
        return allow(update(physical_id, old_props, new_props, *args, **kwargs), new_props)

    handlers["create"], handlers["update"] = create_function, update_function
