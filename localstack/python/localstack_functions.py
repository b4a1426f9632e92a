"""Functions of LocalStack as processes of this machine: an executor beside its Docker executor.

Each execution environment is a process of the function's `bootstrap` with a runtime API of its own. The processes are
in the process group of LocalStack, so they end with it. What they print goes to LocalStack's log.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INIT_SECONDS_MAX = 10
INHERITED = ("RUST_LOG", "RUST_BACKTRACE")


class RuntimeApi:
    """The runtime API of one process: hands out calls and takes their answers."""

    def __init__(self):
        self.calls = queue.Queue()
        self.ready = threading.Event()
        self.init_error = None
        self._answers, self._lock = {}, threading.Lock()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *args):
                pass

            def do_GET(self):
                api.ready.set()
                call = api.calls.get()
                if call is None:
                    self.close_connection = True
                    return
                headers, payload = call
                self.answer(200, payload, headers)

            def do_POST(self):
                body = self.read()
                *_, call_id, outcome = self.path.split("/")
                if (call_id, outcome) == ("init", "error"):
                    api.init_error = body
                    api.ready.set()
                else:
                    api.answered(call_id, body, outcome == "error")
                self.answer(202)

            def answer(self, status, body=b"", headers=()):
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def read(self):
                """The body, of a known length or in chunks."""
                length = self.headers.get("content-length")
                if length is not None:
                    return self.rfile.read(int(length))
                body = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def call(self, call_id, headers, payload):
        """Hands out a call; gives where its answer will be."""
        answer = queue.Queue()
        with self._lock:
            self._answers[call_id] = answer
        self.calls.put((headers, payload))
        return answer

    def answered(self, call_id, body, is_error):
        with self._lock:
            answer = self._answers.pop(call_id, None)
        if answer is not None:
            answer.put((body, is_error))

    def close(self):
        self.calls.put(None)
        self._server.shutdown()
        self._server.server_close()


def executor():
    """The executor's class; LocalStack can be imported only once its settings are made."""
    from localstack.services.lambda_.invocation.lambda_models import InvocationResult
    from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

    class ProcessExecutor(RuntimeExecutor):
        def __init__(self, id, function_version):
            super().__init__(id, function_version)
            self._api = self._process = self._env = None

        def start(self, env_vars):
            self._env = env_vars
            self._api = RuntimeApi()
            code = str(self.function_version.config.code.get_unzipped_code_location())
            bootstrap = os.path.join(code, "bootstrap")
            os.chmod(bootstrap, 0o755)
            env = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", *INHERITED) if name in os.environ}
            env |= {name: str(value) for name, value in env_vars.items()}
            env |= {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.port}", "LAMBDA_TASK_ROOT": code}
            self._process = subprocess.Popen([bootstrap], env=env, cwd=code, stdin=subprocess.DEVNULL,
                                             stdout=sys.stdout, stderr=sys.stderr)
            deadline = time.monotonic() + INIT_SECONDS_MAX
            while not self._api.ready.wait(0.02):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{bootstrap} did not ask for work within {INIT_SECONDS_MAX} s")
            if self._api.init_error is not None:
                raise RuntimeError(f"the function could not start: {self._api.init_error!r}")

        def stop(self):
            if self._process and self._process.poll() is None:
                self._process.send_signal(signal.SIGKILL)
                self._process.wait()
            if self._api:
                self._api.close()

        def invoke(self, payload):
            seconds = self.function_version.config.timeout
            call_id = payload["invoke-id"]
            headers = [
                ("Lambda-Runtime-Aws-Request-Id", call_id),
                ("Lambda-Runtime-Deadline-Ms", str(int((time.time() + seconds) * 1000))),
                ("Lambda-Runtime-Invoked-Function-Arn", payload["invoked-function-arn"]),
                ("Lambda-Runtime-Trace-Id", payload["trace-id"]),
                ("content-type", "application/json"),
            ]
            answer = self._api.call(call_id, headers, payload["payload"].encode())
            until = time.monotonic() + seconds
            while time.monotonic() < until and self._process.poll() is None:
                try:
                    body, is_error = answer.get(timeout=0.02)
                    return InvocationResult(call_id, body, is_error=is_error, logs="")
                except queue.Empty:
                    continue
            return self._failed(call_id, seconds)

        def _failed(self, call_id, seconds):
            """The error of a call whose process ended or took too long; the next call has a new process."""
            if self._process.poll() is None:
                kind, text = "Sandbox.Timedout", f"Task timed out after {seconds}.00 seconds"
            else:
                kind, text = "Runtime.ExitError", f"Runtime exited with {self._process.returncode}"
            self.stop()
            self.start(self._env)
            error = {"errorType": kind, "errorMessage": f"RequestId: {call_id} Error: {text}"}
            return InvocationResult(call_id, json.dumps(error).encode(), is_error=True, logs="")

        def get_logs(self):
            return ""

        def get_address(self):
            return "127.0.0.1"

        def get_endpoint_from_executor(self):
            return "127.0.0.1"

        def get_runtime_endpoint(self):
            return ""

        @classmethod
        def prepare_version(cls, function_version):
            if function_version.config.code:
                function_version.config.code.prepare_for_execution()

        @classmethod
        def cleanup_version(cls, function_version):
            pass

    return ProcessExecutor


def install():
    from localstack.services.lambda_.invocation import runtime_executor

    made = executor()
    runtime_executor.get_runtime_executor = lambda: made
