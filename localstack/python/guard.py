"""Who may call the local endpoint: programs of this machine, but no page in a browser.

Whoever can call the endpoint can have code run as the developer: it deploys functions. Every page that the developer
opens can send requests to loopback, so three rules keep pages out:

1. The Host header must name this machine. A page whose name was pointed to 127.0.0.1 afterwards (DNS rebinding) is
   of the same origin as the endpoint for the browser, but its requests carry its own name.
2. A request with an Origin header is refused. Browsers add it to every POST, PUT and DELETE of a page and to every
   preflight, and no page can leave it away; SDKs never send it.
3. A request must be signed, that is carry an Authorization header. A plain GET of a page, as of an image, carries no
   Origin, and the query protocol of AWS takes any action in a GET. No page can add an Authorization header without a
   preflight, which rule 2 refuses. The two exceptions change nothing by themselves: deployed HTTP APIs, which booting
   hosts call unsigned and which check what they take, and the address that says that the endpoint is up.

So SDK clients need no secret. The fleet of BMCs, which nobody signs for, asks for one.
"""

import json
import re

# `127.0.0.1:4566`, `localhost`, `[::1]:80`, and names below localhost, which lead nowhere else (RFC 6761).
LOCAL_HOST = re.compile(r"^(?:127(?:\.\d{1,3}){3}|\[::1\]|(?:[a-z0-9_-]+\.)*localhost)(?::\d{1,5})?$", re.IGNORECASE)
UNSIGNED = re.compile(r"^/_aws/execute-api/|^/_(?:ministack|localstack)/health$|^/_hostler/chains$|^/moto-api/data\.json$")


def refusal(method, path, host, origin, authorization):
    """Why a request is not taken, or None when it is."""
    if not host or not LOCAL_HOST.match(host):
        return f"the Host {host!r} is not this machine: call the endpoint by 127.0.0.1 or localhost"
    if origin is not None:
        return f"a page of {origin!r} may not call the endpoint: requests with an Origin header are refused"
    if not authorization and not UNSIGNED.match(path):
        return f"{method} {path} is not signed: only signed requests are taken, as SDKs and the AWS CLI send them"
    return None


def answer(reason):
    """The body of a refusal, in the form of AWS's JSON protocols."""
    return json.dumps({"__type": "AccessDeniedException", "message": reason}).encode()


def asgi(app):
    """An ASGI application behind the guard."""

    async def guarded(scope, receive, send):
        if scope["type"] not in ("http", "websocket"):
            return await app(scope, receive, send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        reason = refusal(scope.get("method", "GET"), scope["path"], headers.get("host"), headers.get("origin"),
                         headers.get("authorization"))
        if reason is None:
            return await app(scope, receive, send)
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008, "reason": reason[:120]})
        body = answer(reason)
        await send({"type": "http.response.start", "status": 403, "headers": [
            (b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

    return guarded


def wsgi(app):
    """A WSGI application behind the guard."""

    def guarded(environ, start):
        reason = refusal(environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/"), environ.get("HTTP_HOST"),
                         environ.get("HTTP_ORIGIN"), environ.get("HTTP_AUTHORIZATION"))
        if reason is None:
            return app(environ, start)
        body = answer(reason)
        start("403 Forbidden", [("content-type", "application/json"), ("content-length", str(len(body)))])
        return [body]

    return guarded
