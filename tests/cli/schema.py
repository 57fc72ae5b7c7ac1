"""The part of JSON Schema (draft 2020-12) that docs/benchmark_schema.json uses; unknown words are refused."""

_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
_WORDS = {"$schema", "$defs", "title", "description", "$ref", "anyOf", "enum", "type", "required", "items"}
_WORDS |= {"properties", "additionalProperties"}


def problems(value, schema, root, where="$"):
    """Returns what is wrong with ``value``, one sentence each."""
    assert set(schema) <= _WORDS, set(schema) - _WORDS
    found = []
    if "$ref" in schema:
        found += problems(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, where)
    if "anyOf" in schema:
        tries = [problems(value, one, root, where) for one in schema["anyOf"]]
        found += [] if not all(tries) else [f"{where}: fits none of {tries}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is none of {schema['enum']}")
    if "type" in schema and not any(_is(value, one) for one in _several(schema["type"])):
        return [*found, f"{where}: {value!r} is no {schema['type']}"]
    if isinstance(value, dict):
        found += _members(value, schema, root, where)
    if isinstance(value, list) and "items" in schema:
        found += [text for one in value for text in problems(one, schema["items"], root, f"{where}[]")]
    return found


def _members(value, schema, root, where):
    found = [f"{where}.{name} is missing" for name in schema.get("required", ()) if name not in value]
    own, other = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, member in value.items():
        rule = own.get(name, other)
        if rule is False:
            found.append(f"{where}.{name} is unknown")
        elif rule is not True:
            found += problems(member, rule, root, f"{where}.{name}")
    return found


def _is(value, kind):
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _several(kinds):
    return [kinds] if isinstance(kinds, str) else kinds
