"""HTTP APIs (API Gateway v2) for LocalStack, as far as a template with routes to functions needs them.

Resources of the four types exist for CloudFormation only. A call comes to `/_aws/execute-api/{api id}/{path}` of the
endpoint and goes to the function of the best route, as an event of format 2.0. A route with `AWS_IAM` wants a
credential; its signature is not verified, and no policy is evaluated.
"""

import base64
import json
import re
import threading
import time
import uuid

_apis, _lock = {}, threading.Lock()


class Api:
    """A deployed HTTP API."""

    def __init__(self, account, region):
        self.id = uuid.uuid4().hex[:10]
        self.account, self.region = account, region
        self.functions, self.routes = {}, {}

    def match(self, method, path):
        """The route for a request and its path parameters: the one with the fewest parameters."""
        found = []
        for route in self.routes.values():
            verb, _, pattern = route["RouteKey"].partition(" ")
            if verb not in (method, "ANY"):
                continue
            names = re.findall(r"\{(\w+)\+?\}", pattern)
            regex = re.sub(r"\\\{\w+\\\+\\\}", "(.+)", re.escape(pattern))
            regex = re.sub(r"\\\{\w+\\\}", "([^/]+)", regex)
            values = re.fullmatch(regex, path)
            if values:
                found.append((route, dict(zip(names, values.groups()))))
        return min(found, key=lambda match: len(match[1]), default=None)


def providers():
    """CloudFormation's providers of the four types."""
    from localstack.services.cloudformation.resource_provider import OperationStatus, ProgressEvent, ResourceProvider

    def done(model):
        return ProgressEvent(status=OperationStatus.SUCCESS, resource_model=model)

    def provider(kind, key, read_only, make, change):
        properties = {name: {"type": "string"} for name in (key, *read_only)}

        class Provider(ResourceProvider):
            TYPE = kind
            SCHEMA = {"typeName": kind, "properties": properties, "required": [], "handlers": {},
                      "primaryIdentifier": [f"/properties/{key}"],
                      "readOnlyProperties": [f"/properties/{name}" for name in read_only]}

            def create(self, request):
                model = request.desired_state
                with _lock:
                    make(request, model)
                    change(model)
                return done(model)

            def update(self, request):
                model = {**request.previous_state, **request.desired_state}
                with _lock:
                    change(model)
                return done(model)

            def delete(self, request):
                return done(request.desired_state)

        return Provider

    def make_api(request, model):
        api = Api(request.account_id, request.region_name)
        _apis[api.id] = api
        model["ApiId"] = api.id
        model["ApiEndpoint"] = f"https://{api.id}.execute-api.{api.region}.amazonaws.com"

    def make_id(key):
        def make(request, model):
            model[key] = uuid.uuid4().hex[:7]

        return make

    def nothing(*args):
        pass

    def change_integration(model):
        _apis[model["ApiId"]].functions[model["IntegrationId"]] = model["IntegrationUri"]

    def change_route(model):
        _apis[model["ApiId"]].routes[model["RouteId"]] = dict(model)

    made = [
        provider("AWS::ApiGatewayV2::Api", "ApiId", ["ApiId", "ApiEndpoint"], make_api, nothing),
        provider("AWS::ApiGatewayV2::Stage", "StageName", [], nothing, nothing),
        provider("AWS::ApiGatewayV2::Integration", "IntegrationId", ["IntegrationId"], make_id("IntegrationId"),
                 change_integration),
        provider("AWS::ApiGatewayV2::Route", "RouteId", ["RouteId"], make_id("RouteId"), change_route),
    ]
    return {provider.TYPE: provider for provider in made}


def event_of(api, route, parameters, path, request, caller):
    """The event that a function gets for a request."""
    context = {
        "accountId": api.account, "apiId": api.id, "stage": "$default", "requestId": str(uuid.uuid4()),
        "domainName": f"{api.id}.execute-api.{api.region}.amazonaws.com", "domainPrefix": api.id,
        "http": {"method": request.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                 "userAgent": request.headers.get("user-agent", "")},
        "routeKey": route["RouteKey"], "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
        "timeEpoch": int(time.time() * 1000),
    }
    if route.get("AuthorizationType") == "AWS_IAM":
        context["authorizer"] = {"iam": {"accessKey": caller, "accountId": caller, "callerId": caller, "userId": caller,
                                         "userArn": f"arn:aws:iam::{caller}:root"}}
    body = request.get_data()
    try:
        text, encoded = body.decode(), False
    except UnicodeDecodeError:
        text, encoded = base64.b64encode(body).decode(), True
    event = {
        "version": "2.0", "routeKey": route["RouteKey"], "rawPath": path, "requestContext": context,
        "rawQueryString": request.query_string.decode(), "isBase64Encoded": encoded,
        "headers": {name.lower(): value for name, value in request.headers.items()},
    }
    if parameters:
        event["pathParameters"] = parameters
    if request.args:
        event["queryStringParameters"] = {name: ",".join(request.args.getlist(name)) for name in request.args}
    if body:
        event["body"] = text
    return event


def serve(request, api_id, path=""):
    """One call of a deployed API."""
    from localstack.aws.connect import connect_to
    from localstack.http import Response

    def said(status, message):
        return Response(json.dumps({"message": message}), status=status, mimetype="application/json")

    api = _apis.get(api_id)
    found = api and api.match(request.method, f"/{path}")
    if not found:
        return said(404, "Not Found")
    route, parameters = found
    caller = re.search(r"Credential=([^/]+)/", request.headers.get("authorization", ""))
    if route.get("AuthorizationType") == "AWS_IAM" and not caller:
        return said(403, "Forbidden")
    event = event_of(api, route, parameters, f"/{path}", request, caller and caller.group(1))
    client = connect_to(aws_access_key_id=api.account, region_name=api.region).lambda_
    result = client.invoke(FunctionName=api.functions[route["Target"].split("/")[-1]], Payload=json.dumps(event))
    payload = json.loads(result["Payload"].read() or b"null")
    if result.get("FunctionError"):
        return said(500, "Internal Server Error")
    if not (isinstance(payload, dict) and "statusCode" in payload):
        return Response(json.dumps(payload), status=200, mimetype="application/json")
    body = payload.get("body") or ""
    body = base64.b64decode(body) if payload.get("isBase64Encoded") else body
    return Response(body, status=payload["statusCode"], headers=payload.get("headers") or {})


def install():
    from localstack.services.cloudformation.resource_provider import ResourceProviderExecutor
    from localstack.services.edge import ROUTER

    ours = providers()
    load = ResourceProviderExecutor.try_load_resource_provider

    def try_load_resource_provider(resource_type):
        return ours[resource_type]() if resource_type in ours else load(resource_type)

    ResourceProviderExecutor.try_load_resource_provider = staticmethod(try_load_resource_provider)
    for rule in ("", "/<path:path>"):
        ROUTER.add(f'/_aws/execute-api/<regex("[0-9a-f]{{10}}"):api_id>{rule}', endpoint=serve)
