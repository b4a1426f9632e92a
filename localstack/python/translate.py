"""Does AWS's SAM transform before the upload, for CloudFormation engines that resolve references first.

Reads {"template": …, "parameters": …, "region": …} from standard input; writes {"template": …}, or {"refused": why}.
"""

import json
import logging
import os
import sys


def main():
    asked = json.load(sys.stdin)
    os.environ["AWS_DEFAULT_REGION"] = asked["region"]
    logging.disable(logging.WARNING)
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    template, parameters = asked["template"], {"AWS::Region": asked["region"], "AWS::Partition": "aws"}
    for name, parameter in template.get("Parameters", {}).items():
        if "Default" in parameter:
            parameters[name] = parameter["Default"]
    parameters.update(asked["parameters"])
    try:
        # Managed policies are named by their ARN in our templates; a short name would need a call to IAM.
        translated = Translator({}, Parser()).translate(template, parameters)
    except InvalidDocumentException as error:
        causes = "; ".join(cause.message for cause in error.causes) or error.message
        json.dump({"refused": causes}, sys.stdout)
        return
    translated.pop("Transform", None)
    json.dump({"template": translated}, sys.stdout)


main()
