#!/usr/bin/env python3
"""The variables of each role: argument_specs, defaults and README say the same."""

import pathlib
import re
import sys

import yaml

FAULTS = []
for role in sorted(pathlib.Path("roles").iterdir()):
    options = yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text())
    readme = (role / "README.md").read_text()
    rows = {}
    for name, kind, default, meaning in re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \|$", readme, re.M):
        rows[name] = (kind, default, meaning)
    for name, option in options.items():
        where = f"{role.name}: {name}"
        if not name.startswith(role.name + "_"):
            FAULTS.append(f"{where} does not begin with the name of the role")
        if "type" not in option or "description" not in option:
            FAULTS.append(f"{where} has no type or no description")
        if option.get("required") == (name in defaults):
            FAULTS.append(f"{where} is required and has a default, or has neither")
        if name in defaults and option.get("default") != defaults[name]:
            FAULTS.append(f"{where}: {option.get('default')!r} in argument_specs, {defaults[name]!r} in defaults")
        kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
        if option.get("choices"):
            kind = ", ".join(option["choices"])
        default = "required" if option.get("required") else f"`{option['default']}`" if option["default"] != "" else "none"
        if rows.get(name) != (kind, default, option["description"]):
            FAULTS.append(f"{where}: README.md should have this line:\n"
                          f"| `{name}` | {kind} | {default} | {option['description']} |")
    FAULTS += [f"{role.name}: {name} has a default but is not in argument_specs" for name in defaults if name not in options]
    FAULTS += [f"{role.name}: {name} is in README.md alone" for name in rows if name not in options]
print("\n".join(FAULTS))
sys.exit(bool(FAULTS))
