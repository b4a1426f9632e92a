"""Runs LocalStack as a process of this machine, without Docker, tied to the process that started it.

1. Functions run as processes (localstack_functions.py); LocalStack itself ships a Docker executor only.
2. HTTP APIs are there in the small (localstack_apis.py); the free edition has none.
3. DynamoDB Local is started from the jar that the harness has installed, with the Java of this machine, and on
   loopback: by itself it listens on all addresses.
4. The gateway listens on loopback as well, and what LocalStack starts stays in its process group, so that it ends
   with it.
5. No page in a browser can call it (guard.py).
6. Nothing is downloaded or reported at the start.

Reads `HOSTLER_DYNAMODB` (the folder with DynamoDBLocal.jar) and `HOSTLER_LOOPBACK` (a library for LD_PRELOAD).
"""

import functools
import os
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import backport
import lifetime


def choose_port():
    """LocalStack opens its socket itself, so the port can only be looked for, and let go, before."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", int(os.environ.get("HOSTLER_PORT", "0"))))
        return probe.getsockname()[1]


def settings(port, work_dir):
    return {
        "FILESYSTEM_ROOT": os.path.join(work_dir, "root"),
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        # Addresses of queues and APIs are made of it; a name below 127.0.0.1 is no valid one.
        "LOCALSTACK_HOST": f"localhost:{port}",
        # Names below localhost do not resolve everywhere.
        "SQS_ENDPOINT_STRATEGY": "path",
        # In a container of somebody else's it would take itself for its own image.
        "OVERRIDE_IN_DOCKER": "0",
        "DOCKER_HOST": "unix:///nonexistent",
        "DNS_ADDRESS": "0",
        "EAGER_SERVICE_LOADING": "0",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DISABLE_EVENTS": "1",
        "DYNAMODB_IN_MEMORY": "1",
        # The streams of DynamoDB Local itself; the older provider stands on a Kinesis that would have to be downloaded.
        "PROVIDER_OVERRIDE_DYNAMODB": "v2",
        "PROVIDER_OVERRIDE_DYNAMODBSTREAMS": "v2",
        "LAMBDA_SYNCHRONOUS_CREATE": "0",
    }


def run_dynamodb_here():
    """DynamoDB Local from our folder, on loopback."""
    from localstack.services.dynamodb.packages import DynamoDBLocalPackageInstaller
    from localstack.services.dynamodb.server import DynamodbServer

    folder = os.environ["HOSTLER_DYNAMODB"]

    def command(self):
        # Without LocalStack's agent, which only raises the number of indexes.
        return ["java", *self._get_java_vm_options(), f"-Xmx{self.heap_size}", f"-Djava.library.path={folder}/DynamoDBLocal_lib",
                "-jar", f"{folder}/DynamoDBLocal.jar", "-port", str(self.port), "-inMemory"]

    def environment(self):
        return {"LD_PRELOAD": os.environ["HOSTLER_LOOPBACK"], "PATH": os.environ["PATH"]}

    DynamoDBLocalPackageInstaller.install = lambda self, *args, **kwargs: None
    DynamoDBLocalPackageInstaller.get_java_env_vars = environment
    DynamodbServer._create_shell_command = command


def stay_on_loopback():
    """LocalStack reads the address of GATEWAY_LISTEN but listens on all of them."""
    from localstack.runtime.server import twisted

    twisted.endpoints.TCP4ServerEndpoint = functools.partial(twisted.endpoints.TCP4ServerEndpoint, interface="127.0.0.1")


def stay_in_group():
    """LocalStack gives each program a session of its own where the system has them, and the programs would outlive it."""
    from localstack.utils import run

    run.is_linux = run.is_mac_os = lambda: False


def keep_pages_out():
    import guard
    from localstack.aws import handlers

    def check(chain, context, response):
        request = context.request
        reason = guard.refusal(request.method, request.path, request.headers.get("Host"), request.headers.get("Origin"),
                               request.headers.get("Authorization"))
        if reason is not None:
            chain.respond(403, guard.answer(reason))

    handlers.preprocess_request.append(check)


def main():
    lifetime.watch_parent()
    lifetime.raise_file_limit()
    port = choose_port()
    os.environ.update(settings(port, os.environ["HOSTLER_WORK_DIR"]))
    backport.install()
    from localstack.runtime.main import main as run

    import localstack_apis
    import localstack_functions

    stay_on_loopback()
    stay_in_group()
    run_dynamodb_here()
    keep_pages_out()
    localstack_functions.install()
    localstack_apis.install()
    lifetime.announce(port)
    run()


main()
