"""What a lesson defines, for tests, without running its cells."""

import ast
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace

CODES = Path(__file__).parent.parent / "codes"


def definitions(name: str, constants: Collection[str] = (), **given) -> SimpleNamespace:
    """Run only the functions of `codes/NAME.py` and the assignments to `constants`.

    `given` is what these use: modules, exceptions, values. The functions look their names up in
    what is returned, so a test may also set them afterwards.
    """
    path = CODES / f"{name}.py"
    chosen = [
        node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) or _assigned(node) & set(constants)
    ]
    lesson = SimpleNamespace(**given)
    exec(compile(ast.Module(chosen, []), path.name, "exec"), vars(lesson))
    return lesson


def _assigned(node: ast.stmt) -> set[str]:
    if not isinstance(node, ast.Assign):
        return set()
    return {name.id for name in ast.walk(node.targets[0]) if isinstance(name, ast.Name)}
