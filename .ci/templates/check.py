"""Judges a template as AWS sees it: after SAM has expanded it.

usage: check.py template.yaml...

SAM adds what nobody has written, such as managed policies on every queue of the account. So roles are looked at here, and
cfn-lint, checkov, cloudsplaining and cfn-guard are given what comes out. What they say that we leave as it is stands in
exceptions.json, each with its reason; an exception that is not needed any more is an error, too.
"""

import json
import os
import subprocess
import sys
import tempfile

from cfn_guard_rs.cfn_guard_rs import run_checks_rs
from cloudsplaining.scan.policy_document import PolicyDocument
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.path.dirname(sys.executable)
EXCEPTIONS = json.load(open(os.path.join(HERE, "exceptions.json"), encoding="utf-8"))
# Under this condition a role may do what Lambda needs for subnets: these actions know no resources.
IN_SUBNETS = "HasSubnets"
# What is asked of Systems Manager about nodes and commands knows no resources either.
OF_NO_RESOURCE = {
    "ssm:DescribeInstanceInformation",
    "ssm:ListCommands",
    "ssm:GetCommandInvocation",
    "ssm:ListCommandInvocations",
}


class NoManagedPolicies:
    """SAM asks for the account's managed policies by name; ours has none."""

    def load(self):
        return {}


# SAM makes other resources for gradual deployments; a template that knows them is judged with and without.
DEPLOYMENTS = ["AllAtOnce", "Canary10Percent5Minutes"]


def variants(path):
    """The parameters with which a template is judged."""
    with open(path, encoding="utf-8") as file:
        parameters = yaml_parse(file.read()).get("Parameters", {})
    return [{"Deployment": how} for how in DEPLOYMENTS] if "Deployment" in parameters else [{}]


def expand(path, parameters):
    """The template after SAM."""
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    with open(path, encoding="utf-8") as file:
        template = yaml_parse(file.read())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    written = {name for name, resource in template["Resources"].items() if resource["Type"] == "AWS::IAM::Role"}
    return transform(template, parameters, NoManagedPolicies()), written


def of_type(template, kind):
    return {name: r.get("Properties", {}) for name, r in template["Resources"].items() if r["Type"] == kind}


def statements(policy):
    document = policy["PolicyDocument"]["Statement"]
    return document if isinstance(document, list) else [document]


def policies(role):
    """A role's policies, but for those that are there under the condition of a VPC."""
    for policy in role.get("Policies", []):
        if isinstance(policy, dict) and "Fn::If" in policy:
            if policy["Fn::If"][0] != IN_SUBNETS:
                yield policy["Fn::If"][1]
        else:
            yield policy


def as_list(value):
    return value if isinstance(value, list) else [value]


def roles(template, written):
    """What is wrong with roles: who made them, what they attach, and stars."""
    found = []
    made = of_type(template, "AWS::IAM::Role")
    found += [f"SAM made the role {name}: give its function a Role" for name in made if name not in written]
    for name, role in made.items():
        if role.get("ManagedPolicyArns"):
            found.append(f"{name} has managed policies: {role['ManagedPolicyArns']}")
        for policy in policies(role):
            for statement in statements(policy):
                if OF_NO_RESOURCE.issuperset(as_list(statement["Action"])):
                    continue
                for text in as_list(statement["Action"]) + as_list(statement["Resource"]):
                    if text == "*" or (isinstance(text, str) and text.endswith(":*")):
                        found.append(f"{name} has {text} in {policy['PolicyName']}")
    for name, function in of_type(template, "AWS::Lambda::Function").items():
        role = function.get("Role", {}).get("Fn::GetAtt", [None])[0]
        if role != name.removesuffix("Function") + "Role":
            found.append(f"{name} has the role {role}")
    return found


def text(resource):
    """A resource's ARN as cloudsplaining can read it: what is meant does not matter, that it is one resource does."""
    return resource if isinstance(resource, str) else "arn:aws:service:us-east-1:123456789012:one/resource"


def cloudsplaining(template):
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for policy in policies(role):
            plain = [
                {"Effect": s["Effect"], "Action": as_list(s["Action"]), "Resource": [text(r) for r in as_list(s["Resource"])]}
                for s in statements(policy)
            ]
            document = PolicyDocument({"Version": "2012-10-17", "Statement": plain})
            for what in ("infrastructure_modification", "credentials_exposure", "allows_data_exfiltration_actions"):
                for action in getattr(document, what):
                    yield action, f"{name} may {action} ({what}) without limits"
            for escalation in document.allows_privilege_escalation:
                yield escalation["type"], f"{name} may raise its own privileges: {escalation['actions']}"


def cfn_lint(file):
    run = subprocess.run([f"{BIN}/cfn-lint", "--format", "json", "--regions", "us-east-1", "--", file], capture_output=True, text=True)
    for match in json.loads(run.stdout or "[]"):
        path = "/".join(str(part) for part in match["Location"]["Path"] or [])
        yield match["Rule"]["Id"], f"{match['Message']} ({path})"
    if run.stderr.strip():
        raise SystemExit(f"cfn-lint: {run.stderr}")


def checkov(file):
    command = [f"{BIN}/checkov", "--file", file, "--framework", "cloudformation", "--output", "json", "--quiet", "--compact"]
    offline = {**os.environ, "BC_SKIP_MAPPING": "TRUE", "LOG_LEVEL": "ERROR"}
    run = subprocess.run([*command, "--skip-download"], capture_output=True, text=True, env=offline)
    report = json.loads(run.stdout)
    for check in report["results"]["failed_checks"]:
        yield check["check_id"], f"{check['check_name']} ({check['resource']})"
    for error in report["results"].get("parsing_errors", []):
        yield "parse", f"checkov cannot read {error}"


def cfn_guard(template):
    with open(os.path.join(HERE, "rules.guard"), encoding="utf-8") as file:
        report = json.loads(run_checks_rs(json.dumps(template), file.read(), True))
    for child in report["children"]:
        rule = child["container"].get("RuleCheck")
        if rule and rule["status"] == "FAIL":
            yield rule["name"], "the rule in rules.guard does not hold"


def main(paths):
    wrong = 0
    used = set()
    for path, parameters in [(path, parameters) for path in paths for parameters in variants(path)]:
        template, written = expand(path, parameters)
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "template.json")
            with open(file, "w", encoding="utf-8") as out:
                json.dump(template, out, indent=1)
            found = [("roles", "roles", what) for what in roles(template, written)]
            tools = {"cfn-lint": cfn_lint(file), "checkov": checkov(file), "cloudsplaining": cloudsplaining(template), "cfn-guard": cfn_guard(template)}
            found += [(tool, rule, what) for tool, findings in tools.items() for rule, what in findings]
        used |= {(tool, rule) for tool, rule, _ in found}
        found = [(tool, rule, what) for tool, rule, what in found if rule not in EXCEPTIONS.get(tool, {})]
        name = " ".join([path, *parameters.values()])
        for tool, rule, what in found:
            print(f"{name}: {tool} {rule}: {what}")
        wrong += len(found)
        print(f"{name}: {len(template['Resources'])} resources after SAM, {len(found)} findings")
    for tool, rules in EXCEPTIONS.items():
        for rule in rules:
            if (tool, rule) not in used:
                print(f"exceptions.json: {tool} says nothing about {rule} any more")
                wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
