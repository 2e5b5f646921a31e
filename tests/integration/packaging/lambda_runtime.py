"""Lambda's Python runtime, run by an interpreter that sees nothing but what was packaged.

Standard input: {"path": [...], "environment": {...}, "invocations": {name: {handler, event}}}.
Standard output: by name {"answer": ...} or {"error": class name, "message": text}.
Meant for `python -S -I -E`: no site-packages, no environment, no current directory.
"""

import importlib
import json
import os
import sys


class Context:
    """What a function is told about its invocation."""

    aws_request_id = "00000000-0000-4000-8000-000000000000"
    function_name = "packaged"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:000000000000:function:packaged"

    def get_remaining_time_in_millis(self):
        return 10_000


def invoke(handler, event):
    try:
        module, _, function = handler.rpartition(".")
        answer = getattr(importlib.import_module(module), function)(event, Context())
        return {"answer": json.loads(json.dumps(answer))}
    except Exception as error:  # noqa: BLE001 - the runtime reports whatever is raised
        return {"error": type(error).__name__, "message": str(error)}


def main():
    told = json.load(sys.stdin)
    sys.dont_write_bytecode = True
    sys.path[:0] = told["path"]
    os.environ.update(told["environment"])
    answers_to, sys.stdout = sys.stdout, sys.stderr
    answers = {
        name: invoke(one["handler"], one["event"]) for name, one in told["invocations"].items()
    }
    answers["outside"] = [
        module.__file__
        for module in list(sys.modules.values())
        if "site-packages" in (getattr(module, "__file__", None) or "")
    ]
    json.dump(answers, answers_to)


if __name__ == "__main__":
    main()
