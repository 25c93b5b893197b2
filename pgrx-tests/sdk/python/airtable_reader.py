"""Reads and writes bases with pyairtable.

EMULATOR_URL and TOKEN say where and as whom; with RETRY the SDK waits and tries again when it is
refused, as it does by itself. See `commands.py` for how it is told what to do.
"""

import decimal
import os
import time

from pyairtable import Api
from pyairtable.formulas import match

from commands import serve

api = Api(
    os.environ["TOKEN"],
    endpoint_url=os.environ["EMULATOR_URL"],
    timeout=(5, 20),
    retry_strategy=True if os.environ.get("RETRY") else None,
)


def table(command):
    return api.table(command["base"], command["table"])


def bases(command):
    found = [
        {"id": base.id, "name": base.name, "permissionLevel": base.permission_level}
        for base in api.bases(force=True)
    ]
    return {"records": found}


def schema(command):
    read = api.base(command["base"]).schema(force=True)
    # What the SDK has no class for would be read as an unknown field.
    classes = {field.name: type(field).__name__ for field in read.tables[0].fields}
    url = f"{os.environ['EMULATOR_URL']}/v0/meta/bases/{command['base']}/tables"
    raw = api.get(url, params={"include[]": "visibleFieldIds"})
    names = [[each.name, [field.name for field in each.fields]] for each in read.tables]
    return {"tables": raw["tables"], "classes": classes, "names": names}


def listed(command):
    options = command.get("options", {})
    if "match" in command:
        options["formula"] = match(command["match"])
    pages = list(table(command).iterate(**options))
    return {"records": [record for page in pages for record in page], "pages": [len(page) for page in pages]}


def total(command):
    """Reads everything page by page, as a program does that keeps nothing."""
    begun, first = time.monotonic(), None
    count, amount = 0, decimal.Decimal(0)
    for page in table(command).iterate():
        first = first or time.monotonic() - begun
        for record in page:
            count += 1
            amount += decimal.Decimal(str(record["fields"].get(command["sum"], 0)))
    return {"count": count, "sum": str(amount), "first": first, "seconds": time.monotonic() - begun}


def get(command):
    return {"record": table(command).get(command["id"], **command.get("options", {}))}


def comments(command):
    return {"records": [comment._raw for comment in table(command).comments(command["id"])]}


def comment(command):
    written = table(command).add_comment(command["id"], command["text"])
    written.delete()
    return {"id": written.id, "text": written.text}


def create(command):
    return {"records": table(command).batch_create(command["records"], typecast=command.get("typecast", False))}


def update(command):
    replace = command.get("replace", False)
    return {"records": table(command).batch_update(command["records"], replace=replace)}


def upsert(command):
    return dict(table(command).batch_upsert(command["records"], command["on"]))


def delete(command):
    return {"records": table(command).batch_delete(command["ids"])}


def whoami(command):
    return dict(api.whoami())


serve(
    {
        "bases": bases,
        "schema": schema,
        "list": listed,
        "total": total,
        "get": get,
        "comments": comments,
        "comment": comment,
        "create": create,
        "update": update,
        "upsert": upsert,
        "delete": delete,
        "whoami": whoami,
    }
)
