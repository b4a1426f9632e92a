"""Runs ministack on loopback, tied to the process that started it, with corrections.

1. Nagle's algorithm is off in the function runtime API, and a function that prints nothing is not waited
   for: a warm call takes 5 ms instead of 50 to 100.
2. An API id is found whatever the account of the caller. Ids are unique across accounts on AWS too, and there
   an unsigned call reaches every account's API; without this it reaches account 000000000000 only.
3. A deployment replaces the processes of its own account's functions, each after the call that it is in, as on AWS.
   Without this it kills them in the middle of their work, and those of the same name in every other account as well.
4. A batch of SQS calls asks for the permission of the single call, as on AWS.
5. A mapping's batches are as large as it says, and its window is waited for. Without this they have ten messages at most,
   and are handed over at once.
6. The listening socket is bound before ministack is imported, so that the port is ours.
7. No page in a browser can call it (guard.py), and chains of invocations are stopped as on AWS (chains.py).
8. Threads that wait for the interpreter do so for longer at a time.
9. A function's processes end when its stack is deleted, as they do when it is deleted by itself.
"""

import asyncio
import json
import os
import signal
import socketserver
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import chains
import guard
import lifetime


def have_threads_wait_longer():
    """Has a thread that waits for the interpreter ask for it ten times less often. There are some hundred threads where functions
    run at once, and by default each wakes up every 5 ms to ask: that takes more time than all their work."""
    sys.setswitchinterval(0.050)


def correct_runtime():
    """Makes warm calls quick."""
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True
    from ministack.core import lambda_runtime

    drain = lambda_runtime.Worker._drain_stderr_bounded
    # first_line_wait, idle_confirm, hard_cap, in seconds.
    drain.__defaults__ = (0.004, 0.002, 0.050)


def correct_api_lookup():
    """Finds an HTTP API in the account that owns it."""
    from ministack.services import apigateway

    find_in_own_account = apigateway.find_api_scope

    def find_api_scope(api_id):
        found = find_in_own_account(api_id)
        if found is None:
            for account, region, stored_id in (key for key, _ in apigateway._apis.all_items()):
                if stored_id == api_id:
                    return account, region
        return found

    apigateway.find_api_scope = find_api_scope


def correct_invalidation():
    """Retires a function's processes in the account of the caller only, and lets each end the call that it is in."""
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    release = lambda_runtime.release_worker

    def invalidate_worker(func_name, qualifier=None, account=None, region=None):
        account = account or lambda_svc.get_account_id()
        region = region or lambda_svc.get_region()
        idle = []
        with lambda_runtime._lock:
            for key in list(lambda_runtime._workers):
                if key.split(":")[:3] != [account, region, func_name] or qualifier not in (None, key.split(":")[3]):
                    continue
                for worker in lambda_runtime._workers.pop(key):
                    worker.retired = worker.in_use
                    idle += [] if worker.in_use else [worker]
        lambda_runtime.kill_workers(idle)

    def release_worker(worker):
        release(worker)
        if getattr(worker, "retired", False):
            lambda_runtime.kill_workers([worker])

    lambda_svc.invalidate_worker, lambda_svc.release_worker = invalidate_worker, release_worker


def end_functions_with_their_stack():
    """Ends the processes of a function that is deleted with its stack, as a call that deletes the function does. Without this
    they go on for as long as the endpoint does."""
    from ministack.services import lambda_svc
    from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS

    handlers = _RESOURCE_HANDLERS["AWS::Lambda::Function"]
    delete = handlers["delete"]

    def delete_with_processes(physical_id, props):
        delete(physical_id, props)
        lambda_svc.invalidate_worker(physical_id)

    handlers["delete"] = delete_with_processes


def keep_streams():
    """Has the records of tables' streams outlive a restart, as they do on AWS."""
    from ministack.services import dynamodb

    get_state, load_persisted_state = dynamodb.get_state, dynamodb.load_persisted_state
    kept = ("_stream_records", "_stream_trimmed")

    def get_state_with_streams():
        return get_state() | {name: getattr(dynamodb, name) for name in kept}

    def load_state_with_streams(data):
        load_persisted_state(data)
        for name in kept:
            getattr(dynamodb, name).update((data or {}).get(name, {}))

    dynamodb.get_state, dynamodb.load_persisted_state = get_state_with_streams, load_state_with_streams


def shutdown_on_sigterm():
    """What an orderly end waits for: forever, unless there is state to keep."""
    ended = asyncio.Event()
    if os.environ.get("PERSIST_STATE") == "1":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    return ended.wait


# SQS authorises each batch by the permission of its single call; no batch action exists in IAM.
SQS_BATCHES = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
}


def correct_batch_actions():
    """Asks for the permissions that AWS asks for."""
    from ministack.core import iam_actions

    extract = iam_actions.extract_iam_action

    def extract_iam_action(*args, **kwargs):
        action = extract(*args, **kwargs)
        return SQS_BATCHES.get(action, action)

    iam_actions.extract_iam_action = extract_iam_action


def correct_batches():
    """Gathers messages for as long, and as many of them, as a mapping says."""
    from ministack.services import lambda_svc, sqs

    def receive(queue_url, max_number):
        with sqs._queues_lock:
            queue = sqs._get_q(queue_url)
            sqs._expire_retained(queue)
            sqs._dlq_sweep(queue)
            return sqs._collect_msgs(queue, int(max_number or 1), int(queue["attributes"].get("VisibilityTimeout", 30)))

    def is_ripe(queue, window, batch_size):
        now = time.time()
        since = [at for at in (message.get("visible_at", 0) for message in queue["messages"]) if at <= now]
        return len(since) >= batch_size or any(at <= now - window for at in since)

    allowed = lambda_svc._sqs_esm_concurrency

    def concurrency(esm, func_rec, config, queue=None):
        window = int(esm.get("MaximumBatchingWindowInSeconds") or 0)
        if window and queue and not is_ripe(queue, window, esm.get("BatchSize", 10)):
            return 0
        return allowed(esm, func_rec, config, queue)

    sqs._receive_messages_for_esm = receive
    lambda_svc._sqs_esm_concurrency = concurrency


def with_chains(app):
    """The application, with an address that tells the chains of invocations that were seen."""

    async def routed(scope, receive, send):
        if scope["type"] != "http" or scope["path"] != "/_hostler/chains":
            return await app(scope, receive, send)
        body = json.dumps(chains.seen()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})

    return routed


def main():
    lifetime.watch_parent()
    lifetime.raise_file_limit()
    server = lifetime.listen()
    port = server.getsockname()[1]
    os.environ["GATEWAY_PORT"] = str(port)
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"

    correct_runtime()
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    have_threads_wait_longer()
    correct_api_lookup()
    correct_invalidation()
    end_functions_with_their_stack()
    keep_streams()
    correct_batch_actions()
    correct_batches()
    chains.install()
    config = Config()
    config.bind = [f"fd://{server.fileno()}"]
    config.keep_alive_timeout = 75
    lifetime.announce(port)

    async def run():
        await serve(guard.asgi(with_chains(chains.asgi(app))), config, shutdown_trigger=shutdown_on_sigterm())

    asyncio.run(run())
    # Threads that still wait for functions would keep the process.
    os._exit(0)


main()
