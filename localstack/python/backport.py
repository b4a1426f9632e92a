"""Lets Python 3.11 and 3.12 import LocalStack 4.14, which is written for 3.13.

Three things are missing there: the syntax of PEP 695 (`class Box[T]`, `def f[T](`, `type Name =`), which means the same
as type variables that are made by hand; `warnings.deprecated`; and one module whose annotations name a class before
it is defined. The source is changed while it is imported; the installed files stay as they were locked.
"""

import importlib.machinery
import os
import re
import sys
import warnings

CLASS = re.compile(r"^(\s*class \w+)\[([^\]]+)\](?:\((.*?)\))?:", re.MULTILINE)
FUNCTION = re.compile(r"^(\s*(?:async )?def \w+)\[([^\]]+)\]\(", re.MULTILINE)
ALIAS = re.compile(r"^type (\w+) = ", re.MULTILINE)
FIRST_IMPORT = re.compile(r"^(?=(?:import|from) (?!__future__))", re.MULTILINE)
POSTPONED = os.path.join("localstack", "packages", "api.py")


def names_of(parameters):
    return [parameter.split(":")[0].split("=")[0].strip() for parameter in parameters.split(",")]


def rewrite(text):
    """The same module without the syntax of PEP 695, line for line."""
    variables = set()

    def generic_class(found):
        names = names_of(found.group(2))
        variables.update(names)
        bases = f"{found.group(3)}, " if found.group(3) else ""
        return f"{found.group(1)}({bases}__import__('typing').Generic[{', '.join(names)}]):"

    def generic_function(found):
        variables.update(names_of(found.group(2)))
        return f"{found.group(1)}("

    text = CLASS.sub(generic_class, text)
    text = FUNCTION.sub(generic_function, text)
    text = ALIAS.sub(r"\1 = ", text)
    made = "".join(f"{name} = __import__('typing').TypeVar('{name}'); " for name in sorted(variables))
    return FIRST_IMPORT.sub(made, text, count=1)


def install():
    if sys.version_info >= (3, 13):
        return
    if not hasattr(warnings, "deprecated"):
        from typing_extensions import deprecated

        warnings.deprecated = deprecated
    # What pip compiled at the installation is not what we make of it.
    sys.pycache_prefix = os.path.join(sys.prefix, "backported")
    to_code = importlib.machinery.SourceFileLoader.source_to_code

    def source_to_code(self, data, path, **kwargs):
        if f"{os.sep}localstack{os.sep}" in str(path):
            text = rewrite(bytes(data).decode())
            data = (f"from __future__ import annotations; {text}" if str(path).endswith(POSTPONED) else text).encode()
        return to_code(self, data, path, **kwargs)

    importlib.machinery.SourceFileLoader.source_to_code = source_to_code
