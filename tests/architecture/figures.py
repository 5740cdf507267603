"""Figures of the code's shape: `python -m tests.architecture.figures [--list] [FOLDER]`.

FOLDER has a `src`; the default is this repository. `--list` also prints the names of what is counted.
"""

import ast
import io
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = ["Figures", "Module", "modules_of", "splinters"]

ROOT = Path(__file__).parents[2]
PACKAGE = "upload_tui"

Function = ast.FunctionDef | ast.AsyncFunctionDef

FUNCTION_LINES = 30
CLASS_LINES = 200
MODULE_LINES = 400
CONSTRUCTOR_PARAMETERS = 7
SPLINTER_LINES = 40
_IGNORED_TOKENS = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.ENCODING,
}


@dataclass(frozen=True)
class Module:
    """A module of the package: its dotted name, its file and its source."""

    name: str
    file: Path
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree, parsed when it is first needed, not as pytest collects the tests."""
        return ast.parse(self.source)

    @cached_property
    def nodes(self) -> Sequence[ast.AST]:
        """All nodes of the tree."""
        return tuple(ast.walk(self.tree))

    @property
    def lines(self) -> int:
        """Lines of the file."""
        return len(self.source.splitlines())

    @property
    def code_lines(self) -> int:
        """Lines of code without blank lines, comments and docstrings."""
        documented = {line for node in self.nodes for line in _docstring_lines(node)}
        lines: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.source).readline):
            if token.type not in _IGNORED_TOKENS:
                lines.update(range(token.start[0], token.end[0] + 1))
        return len(lines - documented)

    @property
    def is_package(self) -> bool:
        """True for an `__init__`."""
        return self.file.name == "__init__.py"

    def imported_modules(self) -> Iterator[str]:
        """Dotted names of the modules that it imports or imports names from."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                yield node.module

    def imported_names(self) -> Iterator[str]:
        """The same, and the dotted names that it imports from them."""
        yield from self.imported_modules()
        for node in self.nodes:
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    def functions(self) -> Iterator[tuple[str, Function]]:
        """All functions and methods with their qualified names, nested ones too."""
        yield from ((name, node) for name, node in _definitions(self.tree) if not isinstance(node, ast.ClassDef))

    def classes(self) -> Iterator[tuple[str, ast.ClassDef]]:
        """All classes with their qualified names."""
        yield from ((name, node) for name, node in _definitions(self.tree) if isinstance(node, ast.ClassDef))


def modules_of(root: Path = ROOT) -> list[Module]:
    """All modules of the package below `root / "src"`, by name."""
    source = root / "src"
    modules = []
    for file in sorted((source / PACKAGE).rglob("*.py")):
        parts = file.relative_to(source).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        modules.append(Module(name, file, file.read_text(encoding="utf-8")))
    return modules


def _definitions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function | ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield f"{prefix}{child.name}", child
            local = "" if isinstance(child, ast.ClassDef) else "<locals>."
            yield from _definitions(child, f"{prefix}{child.name}.{local}")
        else:
            yield from _definitions(child, prefix)


def _docstring_lines(node: ast.AST) -> Iterator[int]:
    """The lines of a docstring, or of a string that documents an attribute."""
    for child in getattr(node, "body", ()) if not isinstance(node, ast.Lambda | ast.IfExp) else ():
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant) and isinstance(child.value.value, str):
            yield from range(child.lineno, (child.end_lineno or child.lineno) + 1)


def function_lines(node: Function) -> int:
    """Lines of a function's body without its docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def class_lines(node: ast.ClassDef) -> int:
    """Lines of a class without docstrings."""
    documented = {line for child in ast.walk(node) for line in _docstring_lines(child)}
    return (node.end_lineno or 0) - node.lineno + 1 - len(documented)


def constructor_parameters(node: ast.ClassDef) -> int:
    """Parameters of `__init__` without `self`, `*` and `**`; of a class without one, 0."""
    for child in node.body:
        if isinstance(child, ast.FunctionDef) and child.name == "__init__":
            arguments = child.args
            return len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs) - 1
    return 0


def is_pass_through(node: Function) -> bool:
    """True if a method only forwards: its body is one call of another object's method, with the method's own parameters unchanged.

    A call of a function or of an own method is not counted, nor is one with other arguments, nor is reading an attribute.
    """
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    arguments = node.args
    own = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    own += [argument.arg for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
    if len(body) != 1 or not own or own[0] != "self":
        return False
    statement = body[0]
    value = statement.value if isinstance(statement, ast.Return | ast.Expr) else None
    if isinstance(value, ast.Await):
        value = value.value
    if not isinstance(value, ast.Call) or not _is_of_another(value.func):
        return False
    names = [_plain_name(argument) for argument in (*value.args, *(keyword.value for keyword in value.keywords))]
    return None not in names and sorted(map(str, names)) == sorted(own[1:])


def _plain_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _is_of_another(node: ast.expr) -> bool:
    """`self.other.name`, or longer."""
    if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Attribute):
        return False
    inner: ast.expr = node.value
    while isinstance(inner, ast.Attribute):
        inner = inner.value
    return isinstance(inner, ast.Name) and inner.id == "self"


def pass_throughs(modules: Sequence[Module]) -> list[str]:
    """The methods that only forward."""
    return [
        f"{module.name}:{name}"
        for module in modules
        for name, node in module.functions()
        if "." in name and is_pass_through(node)
    ]


def importers(modules: Sequence[Module]) -> dict[str, set[str]]:
    """For each module, the modules that import it, directly or through a package's `__init__`, which does not count itself."""
    by_name = {module.name: module for module in modules}
    defined_in = {
        f"{package.name}.{alias.name}": node.module
        for package in modules
        if package.is_package
        for node in package.nodes
        if isinstance(node, ast.ImportFrom) and node.module in by_name
        for alias in node.names
    }
    found: dict[str, set[str]] = {name: set() for name in by_name}
    for module in modules:
        for name in module.imported_names() if not module.is_package else ():
            target = name if name in by_name else defined_in.get(name)
            if target is not None and target != module.name:
                found[target].add(module.name)
    return found


def splinters(modules: Sequence[Module]) -> list[str]:
    """Modules of under 40 lines (`__init__` and `__main__` aside) that only one other module imports."""
    importers_of = importers(modules)
    return [
        module.name
        for module in modules
        if not module.file.name.startswith("__")
        and module.lines < SPLINTER_LINES
        and len(importers_of[module.name]) == 1
    ]


def undocumented(modules: Sequence[Module]) -> list[str]:
    """Modules, public classes and public functions without a docstring, or with an empty one."""
    nodes: list[tuple[str, ast.Module | Function | ast.ClassDef]] = [(module.name, module.tree) for module in modules]
    nodes += [
        (f"{module.name}:{name}", node)
        for module in modules
        for name, node in _definitions(module.tree)
        if is_public(name)
    ]
    return [name for name, node in nodes if not (ast.get_docstring(node) or "").strip(".")]


def is_public(name: str) -> bool:
    """True if no part of a qualified name has an underscore in front, and it is not local to a function."""
    return not any(part.startswith(("_", "<")) for part in name.split("."))


@dataclass(frozen=True)
class Figures:
    """What is printed, by name; lists stand for their lengths."""

    modules: Sequence[Module]

    def counts(self) -> Iterator[tuple[str, str]]:
        """Names and values."""
        modules = self.modules
        functions = [(f"{m.name}:{name}", node) for m in modules for name, node in m.functions()]
        classes = [(f"{m.name}:{name}", node) for m in modules for name, node in m.classes()]
        folder, files = Counter(m.file.parent for m in modules if not m.is_package).most_common(1)[0]
        public = [node for m in modules for name, node in m.functions() if is_public(name)]
        documented = sum(ast.get_docstring(node) is not None for node in public)
        yield "modules", f"{len(modules)}"
        yield "lines of code", f"{sum(m.code_lines for m in modules):,}"
        yield "pass-through methods", f"{len(pass_throughs(modules))}"
        yield f"files in the largest folder ({folder.parent.name}/{folder.name})", f"{files}"
        yield f"modules over {MODULE_LINES} lines", f"{sum(m.lines > MODULE_LINES for m in modules)}"
        yield f"classes over {CLASS_LINES} lines", f"{sum(class_lines(node) > CLASS_LINES for _, node in classes)}"
        over = sum(function_lines(node) > FUNCTION_LINES for _, node in functions)
        yield f"functions over {FUNCTION_LINES} lines", f"{over}"
        wide = sum(constructor_parameters(node) > CONSTRUCTOR_PARAMETERS for _, node in classes)
        yield f"constructors over {CONSTRUCTOR_PARAMETERS} parameters", f"{wide}"
        yield "public functions documented", f"{documented / len(public):.1%} of {len(public):,}"
        yield f"splinters (under {SPLINTER_LINES} lines, one importer)", f"{len(splinters(modules))}"


def main(arguments: Sequence[str]) -> None:
    """Print the figures, and with `--list` what is behind them."""
    folders = [argument for argument in arguments if not argument.startswith("-")]
    modules = modules_of(Path(folders[0]) if folders else ROOT)
    for name, value in Figures(modules).counts():
        sys.stdout.write(f"{name:<50}{value:>16}\n")
    if "--list" in arguments:
        for title, names in (("pass-through methods", pass_throughs(modules)), ("splinters", splinters(modules))):
            sys.stdout.write("\n".join([f"\n{title}:", *names, ""]))


if __name__ == "__main__":
    main(sys.argv[1:])
