"""Write docs/API.md, the reference of all public names, from the docstrings: `make docs`.

The sources are read and not imported, so no package that an integration needs has to be installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import griffe

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parent / "src"
TARGET = HERE / "API.md"

#: The public modules, in the order of the page, and where only some of their names are for users, these. A name that
#: two modules have belongs to the first.
MODULES: dict[str, tuple[str, ...]] = {
    "mediaref": (),
    "mediaref.bitcost": (),
    "mediaref.video_decoder": (),
    "mediaref.storage": ("AccessPolicy", "Source", "locate"),
    "mediaref.limits": (),
    "mediaref.errors": (),
    "mediaref.bit_tables": (),
    "mediaref.ray": (),
    "mediaref.hf": (),
    "mediaref.compat.lerobot": (),
    "codec_video_prep": (),
    "codec_video_prep.cv_reader_fast": (),
    "codec_video_prep.integrations.llava_onevision": (),
    "codec_video_prep.batch": (),
    "codec_video_prep.report": (),
    "codec_video_prep.integrations.ray": (),
}

_HEAD = """\
# API reference

Made from the docstrings by `make docs`; edit those. Array types are written with their shapes: `uint8 (H, W, 3)`.

"""
_WIDTH = 100
#: What stands before the name of some kinds of parameters.
_STARS = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}


def main() -> int:
    TARGET.write_text(reference(), encoding="utf-8")
    print(f"{TARGET} written")
    return 0


def reference() -> str:
    """The whole page."""
    loader = griffe.GriffeLoader(search_paths=[SOURCES])
    for package in sorted({name.partition(".")[0] for name in MODULES}):
        loader.load(package)
    loader.resolve_aliases(implicit=True)
    seen: set[str] = set()
    sections = [_module(loader.modules_collection[name], seen) for name in MODULES]
    contents = "\n".join(f"- [`{name}`](#{name.replace('.', '')})" for name in MODULES)
    return _HEAD + contents + "\n\n" + "\n".join(sections)


def _module(module: griffe.Module, seen: set[str]) -> str:
    parts = [f"## `{module.path}`\n", _text(module)]
    for name in MODULES[module.path] or _public_names(module):
        found = module[name]
        made = found.final_target if found.is_alias else found
        # A base class that is no public name itself is shown before the first class that builds on it.
        for each in [*reversed(made.mro()), made] if made.is_class else [made]:
            if each.path in seen or each.is_module:
                continue
            seen.add(each.path)
            parts += _class(each) if each.is_class else _function(each, 3) if each.is_function else _constant(each, 3)
    return "\n".join(part for part in parts if part)


def _public_names(module: griffe.Module) -> list[str]:
    """`__all__`, or without one what the module itself defines."""
    if module.exports is not None:
        return [str(name) for name in module.exports]
    own = [name for name, member in module.members.items() if not (member.is_alias or name.startswith("_"))]
    return [name for name in own if module[name].is_class or module[name].is_function or _comment(module[name])]


def _class(made: griffe.Class) -> Iterator[str]:
    bases = f"({', '.join(map(str, made.bases))})" if made.bases else ""
    yield f"### `{made.name}`\n"
    yield f"```py\nclass {made.name}{bases}\n```\n"
    yield _text(made)
    members = [m for m in made.members.values() if not m.is_alias and _is_public(m.name)]
    values = [member for member in members if member.is_attribute]
    if values:
        yield "| attribute | type | |\n|---|---|---|"
        yield "".join(_row(value) for value in values)
    for member in members:
        if member.is_function:
            yield from _function(member, 4)


#: Methods with underscores that are documented where they have a docstring of their own.
_CALLS = {"__init__", "__getitem__"}
#: What pydantic asks for, and nobody else.
_MACHINERY = {"model_config"}


def _is_public(name: str) -> bool:
    return name in _CALLS or not (name.startswith("_") or name in _MACHINERY)


def _row(made: griffe.Attribute) -> str:
    default = made.value
    if isinstance(default, griffe.ExprCall):  # field(...) or Field(...)
        default = _argument(default, "default")
    shown = made.name if default is None or not made.annotation else f"{made.name} = {default}"
    kind = f"`{made.annotation}`" if made.annotation else ""
    return f"| `{shown}` | {_cell(kind)} | {_cell(_comment(made))} |\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _function(made: griffe.Function, level: int) -> Iterator[str]:
    if made.name in _CALLS and not made.docstring:
        return
    yield f"{'#' * level} `{_title(made)}`\n"
    yield f"```py\n{_signature(made)}\n```\n"
    yield _text(made)


def _constant(made: griffe.Attribute, level: int) -> Iterator[str]:
    yield f"{'#' * level} `{made.name} = {made.value}`\n"
    yield f"{_comment(made)}\n"


def _title(made: griffe.Object) -> str:
    owner = made.parent
    return f"{owner.name}.{made.name}" if owner is not None and owner.is_class else made.name


def _signature(made: griffe.Function) -> str:
    shown: list[str] = []
    named_only = False
    for parameter in made.parameters:
        if parameter.name in {"self", "cls"}:
            continue
        if parameter.kind is griffe.ParameterKind.keyword_only and not named_only:
            named_only = True
            shown.append("*")
        named_only = named_only or parameter.kind is griffe.ParameterKind.var_positional
        text = _STARS.get(parameter.kind, "") + parameter.name
        if parameter.annotation is not None:
            text += f": {parameter.annotation}"
        if parameter.default is not None and parameter.kind not in _STARS:
            text += f" = {parameter.default}" if parameter.annotation is not None else f"={parameter.default}"
        shown.append(text)
    returns = f" -> {made.returns}" if made.returns is not None else ""
    if "classmethod" in made.labels:
        returns += "  # a class method"
    line = f"def {made.name}({', '.join(shown)}){returns}"
    if len(line) <= _WIDTH:
        return line
    return f"def {made.name}(\n" + "".join(f"    {each},\n" for each in shown) + f"){returns}"


def _text(made: griffe.Object) -> str:
    return f"{_plain(made.docstring.value)}\n" if made.docstring else ""


def _comment(made: griffe.Object) -> str:
    """The docstring of an attribute, a description in its `Field(...)`, or the `#:` lines above it."""
    if made.docstring:
        return _plain(made.docstring.value)
    value = getattr(made, "value", None)
    if isinstance(value, griffe.ExprCall):
        description = _argument(value, "description")
        if description is not None:
            return description.strip("\"'")
    lines = made.lines_collection[made.filepath][: (made.lineno or 1) - 1]
    above: list[str] = []
    while lines and lines[-1].strip().startswith("#:"):
        above.insert(0, lines.pop().strip().removeprefix("#:").strip())
    return " ".join(above)


def _argument(call: griffe.ExprCall, name: str) -> str | None:
    found = (each for each in call.arguments if isinstance(each, griffe.ExprKeyword) and each.name == name)
    return next((str(each.value) for each in found), None)


def _plain(text: str) -> str:
    """A docstring as Markdown: `Args:` and `Raises:` become lists."""
    lines: list[str] = []
    in_list = False
    for line in text.strip().splitlines():
        if line.strip() in {"Args:", "Returns:", "Raises:"}:
            in_list = True
            lines += [f"**{line.strip()[:-1]}**", ""]
        elif in_list and line.startswith("    ") and not line.startswith("     "):
            name, colon, rest = line.strip().partition(": ")
            lines.append(f"- `{name}`: {rest}" if colon else f"- {line.strip()}")
        else:
            in_list = in_list and bool(line.strip())
            lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
