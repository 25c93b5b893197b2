"""Reads commands, one JSON object a line, and writes what comes of each, one JSON object a line."""

import json
import sys


def serve(commands):
    """`commands` maps the member `do` to a function of the whole command."""
    for line in sys.stdin:
        command = json.loads(line)
        try:
            result = commands[command["do"]](command)
        except Exception as error:
            names = [kind.__name__ for kind in type(error).__mro__]
            result = {"error": names[0], "kinds": names, "message": str(error)}
            response = getattr(error, "response", None)
            if response is not None:
                result["status"] = response.status_code
        sys.stdout.write(json.dumps(result) + "\n")
        sys.stdout.flush()
