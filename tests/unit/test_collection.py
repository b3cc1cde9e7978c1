# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What holds for the collection as a whole, judged from its files."""

from __future__ import annotations

import ast
import importlib
import io
import re
import subprocess
import tokenize
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "ansible_collections.rekey.kubernetes.plugins"
NAME = "rekey.kubernetes"
FILE_LINES = 300
FUNCTION_LINES = 40
OLDEST_PYTHON = (3, 9)
DOCUMENTATION_NAMES = {"DOCUMENTATION", "EXAMPLES", "RETURN"}

PURE_ROOMS = (
    "_x509", "_cluster", "_rotation", "_bundle", "_kubeconfig", "_pem", "_duration", "_seal", "_key_copy", "_errors", "_inventory_facts",
)
IMPURE_IMPORTS = {"ansible", "http", "shutil", "socket", "ssl", "subprocess", "tempfile", "time", "urllib.request"}
IMPURE_CALLS = {"open", "input", "print"}
IMPURE_METHODS = {"now", "today", "utcnow", "read_text", "read_bytes", "write_text", "write_bytes"}

HEADER = """\
# Copyright (c) 2026, the rekey.kubernetes authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""
PRIVATE = "# PRIVATE to the collection: may change without notice."

PLUGIN_FILES = sorted(path for path in (ROOT / "plugins").rglob("*.py"))
MODULES = sorted(path for path in (ROOT / "plugins" / "modules").glob("*.py"))
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.y*ml"))
MOLECULE = ROOT / "extensions" / "molecule"
SCENARIOS = sorted(path.parent for path in MOLECULE.glob("*/molecule.yml"))
FRAGMENTS = sorted(path for path in (ROOT / "changelogs" / "fragments").iterdir())


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tracked_files() -> list[Path]:
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def assigned_strings(tree: ast.Module) -> dict[str, str]:
    """The module-level names that are given a literal string."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            found.update({target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)})
    return found


def load_yaml(path: Path) -> t.Any:
    return yaml.safe_load(path.read_text())


# -- modules ---------------------------------------------------------------------------------------------------------


def local_fragments(documentation: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """The collection's own documentation fragments that a page uses."""
    fragments = documentation.get("extends_documentation_fragment", [])
    found = []
    for fragment in [fragments] if isinstance(fragments, str) else fragments:
        if fragment.startswith(f"{NAME}."):
            file, _dot, variant = fragment[len(NAME) + 1 :].partition(".")
            fragment_class = importlib.import_module(f"{PACKAGE}.doc_fragments.{file}").ModuleDocFragment
            found.append(yaml.safe_load(getattr(fragment_class, variant.upper() or "DOCUMENTATION")))
    return found


def documented_options(documentation: dict[str, t.Any]) -> dict[str, t.Any]:
    options = dict(documentation.get("options") or {})
    for fragment in local_fragments(documentation):
        options.update(fragment.get("options") or {})
    return options


def essence(option: dict[str, t.Any], suboptions: str) -> dict[str, t.Any]:
    """What documentation and argument spec must agree on, in one form for both."""
    return {
        "type": option.get("type", "str"),
        "elements": option.get("elements"),
        "required": bool(option.get("required", False)),
        "default": option.get("default"),
        "choices": sorted(map(str, option.get("choices") or [])),
        "aliases": sorted(option.get("aliases") or []),
        "options": {name: essence(inner, suboptions) for name, inner in (option.get(suboptions) or {}).items()},
    }


def spec_of(module: Path) -> dict[str, t.Any]:
    """The module's argument spec; an action without a module behind it keeps its own."""
    kind = "modules" if "def argument_spec(" in module.read_text(encoding="utf-8") else "action"
    return importlib.import_module(f"{PACKAGE}.{kind}.{module.stem}").argument_spec()


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_a_module_documents_itself(module: Path) -> None:
    strings = assigned_strings(ast.parse(module.read_text()))
    assert set(strings) >= DOCUMENTATION_NAMES
    documentation = yaml.safe_load(strings["DOCUMENTATION"])
    assert documentation["module"] == module.stem
    assert f"{NAME}.{module.stem}:" in strings["EXAMPLES"]
    assert yaml.safe_load(strings["RETURN"])


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_a_modules_options_are_those_that_it_documents(module: Path) -> None:
    documentation = yaml.safe_load(assigned_strings(ast.parse(module.read_text()))["DOCUMENTATION"])
    documented = {name: essence(option, "suboptions") for name, option in documented_options(documentation).items()}
    taken = {name: essence(option, "options") for name, option in spec_of(module).items()}
    assert documented == taken


def test_the_action_group_is_the_list_of_modules_in_order() -> None:
    group = load_yaml(ROOT / "meta" / "runtime.yml")["action_groups"]["pki"]
    assert group == [module.stem for module in MODULES]


# -- roles, playbooks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES, ids=relative)
def test_a_role_has_what_a_role_needs(role: Path) -> None:
    needed = ["README.md", "meta/main.yml", "meta/argument_specs.yml", "tasks/main.yml"]
    assert [name for name in needed if not (role / name).is_file()] == []
    specs = load_yaml(role / "meta" / "argument_specs.yml")["argument_specs"]
    assert [name for name in specs if not (role / "tasks" / f"{name}.yml").is_file()] == []


@pytest.mark.parametrize("role", ROLES, ids=relative)
def test_a_roles_defaults_are_those_that_it_documents(role: Path) -> None:
    documented: dict[str, t.Any] = {}
    for entry_point in load_yaml(role / "meta" / "argument_specs.yml")["argument_specs"].values():
        documented.update(entry_point.get("options") or {})
    defaults_file = role / "defaults" / "main.yml"
    defaults = (load_yaml(defaults_file) or {}) if defaults_file.exists() else {}
    assert sorted(defaults) == sorted(name for name, option in documented.items() if not option.get("required"))
    assert defaults == {name: documented[name].get("default") for name in defaults}


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=relative)
def test_a_playbook_can_be_called_by_its_full_name(playbook: Path) -> None:
    if not playbook.stem.isidentifier():
        identifier = playbook.stem.replace("-", "_")
        assert [play.get("ansible.builtin.import_playbook") for play in load_yaml(playbook)] == [f"{NAME}.{identifier}"]
        assert playbook.with_stem(identifier).is_file()


# -- molecule --------------------------------------------------------------------------------------------------------


def steps_of(scenario: Path) -> list[str]:
    """The steps of a scenario's test: its own, else those that all have in common."""
    own = load_yaml(scenario / "molecule.yml") or {}
    common = load_yaml(MOLECULE / "config.yml")
    steps: list[str] = own.get("scenario", {}).get("test_sequence") or common["scenario"]["test_sequence"]
    return steps


def playbooks_of(scenario: Path) -> list[Path]:
    """The playbooks of a scenario's steps."""
    own = load_yaml(scenario / "molecule.yml") or {}
    named = {**load_yaml(MOLECULE / "config.yml")["ansible"]["playbooks"], **own.get("ansible", {}).get("playbooks", {})}
    named.update(dict.fromkeys(("syntax", "check", "idempotence"), "converge.yml"))
    called = [step.split() for step in steps_of(scenario)]
    return [scenario / file for name, *files in called for file in files or [named.get(name, f"{name}.yml")]]


@pytest.mark.parametrize("role", ROLES, ids=relative)
def test_a_role_has_a_molecule_scenario(role: Path) -> None:
    assert role.name in [scenario.name for scenario in SCENARIOS]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=relative)
def test_a_molecule_scenario_is_whole(scenario: Path) -> None:
    steps = [step.split()[0] for step in steps_of(scenario)]
    assert {"converge", "idempotence", "verify"} - set(steps) == set()
    assert ("create" in steps) == (steps[-1] == "destroy")
    assert [path for path in playbooks_of(scenario) if not path.is_file()] == []


def test_molecule_fetches_nothing() -> None:
    config = load_yaml(MOLECULE / "config.yml")
    assert (config["prerun"], config["dependency"]["enabled"]) == (False, False)
    assert [scenario for scenario in SCENARIOS if "dependency" in steps_of(scenario)] == []


# -- shape of the code -----------------------------------------------------------------------------------------------


def docstring_lines(tree: ast.Module) -> set[int]:
    """Line numbers of docstrings and of a module's documentation."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        text: ast.AST | None = None
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node) is not None:
            text = node.body[0]
        elif isinstance(node, ast.Assign) and {getattr(target, "id", "") for target in node.targets} & DOCUMENTATION_NAMES:
            text = node
        if text is not None:
            lines.update(range(text.lineno, text.end_lineno + 1))
    return lines


def code_lines(source: str, tree: ast.Module) -> set[int]:
    """Line numbers that hold code: no blank lines, no comments, no docstrings."""
    empty = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in empty:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines - docstring_lines(tree)


@pytest.mark.parametrize("path", PLUGIN_FILES, ids=relative)
def test_files_and_functions_are_short(path: Path) -> None:
    source = path.read_text()
    tree = ast.parse(source)
    code = code_lines(source, tree)
    long = {"the file": len(code)} if len(code) > FILE_LINES else {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = len(code & set(range(node.lineno, node.end_lineno + 1)))
            long.update({node.name: length} if length > FUNCTION_LINES else {})
    assert long == {}


@pytest.mark.parametrize("path", PLUGIN_FILES, ids=relative)
def test_a_file_starts_as_every_file_does(path: Path) -> None:
    source = path.read_text()
    head = source[len("#!/usr/bin/python\n") :] if source.startswith("#!/usr/bin/python\n") else source
    assert head.startswith(HEADER)
    assert "\nfrom __future__ import annotations\n" in source
    assert path.parent.name != "module_utils" or path.name.startswith("_")
    assert (PRIVATE in source) == any(part.startswith("_") for part in path.relative_to(ROOT).parts)


def node_side() -> list[Path]:
    return [path for path in PLUGIN_FILES if path.relative_to(ROOT / "plugins").parts[0] in ("modules", "module_utils")]


@pytest.mark.parametrize("path", node_side(), ids=relative)
def test_what_runs_on_nodes_is_written_for_the_oldest_python(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=OLDEST_PYTHON)


def is_pure(path: Path) -> bool:
    parts = path.relative_to(ROOT / "plugins").parts
    return parts[0] == "module_utils" and Path(parts[1]).stem in PURE_ROOMS


def imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def leaks(tree: ast.Module) -> t.Iterator[str]:
    """Where code reaches out of a pure room: imports of edges or of Ansible, files, the clock."""
    for node in ast.walk(tree):
        for name in imported_names(node):
            inside = name.startswith(f"{PACKAGE}.module_utils.")
            if "._edges" in name or (not inside and any(name == banned or name.startswith(f"{banned}.") for banned in IMPURE_IMPORTS)):
                yield f"line {node.lineno}: imports {name}"
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
                yield f"line {node.lineno}: calls {node.func.id}()"
            if isinstance(node.func, ast.Attribute) and node.func.attr in IMPURE_METHODS:
                yield f"line {node.lineno}: calls .{node.func.attr}()"


@pytest.mark.parametrize("path", [path for path in PLUGIN_FILES if is_pure(path)], ids=relative)
def test_a_pure_room_stays_pure(path: Path) -> None:
    assert list(leaks(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize("line", ["import subprocess", "from ansible.errors import AnsibleError", "open('x')", "datetime.now()"])
def test_the_check_of_pure_rooms_sees_a_leak(line: str) -> None:
    assert list(leaks(ast.parse(line))) != []


# -- every file ------------------------------------------------------------------------------------------------------

# Each word is spelled in two parts, because this file is searched, too.
UNWANTED = {
    "a developer's machine": [r"/ho" + r"me/\w", r"/Us" + r"ers/\w", r"\.py" + "env/ver", r"(?<![\w.-])" + re.escape(f"{ROOT}/")],
    "unfinished work": [r"\b(TO" + "DO|FIX" + "ME|XX" + r"X)\b"],
    "a silenced check": ["# no" + "qa", "pylint: dis" + "able", "ignore_" + "errors: *(true|yes)", r"mark\.x" + "fail"],
}


@pytest.mark.parametrize("unwanted", sorted(UNWANTED))
def test_no_file_has(unwanted: str) -> None:
    pattern = re.compile("|".join(UNWANTED[unwanted]))
    found = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{relative(path)}: {match.group()}" for match in pattern.finditer(text)]
    assert found == []


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=relative)
def test_a_changelog_fragment_is_one(fragment: Path) -> None:
    config = load_yaml(ROOT / "changelogs" / "config.yaml")
    sections = {name for name, _title in config["sections"]}
    for section, texts in load_yaml(fragment).items():
        assert section in sections | {config["prelude_section_name"], config["trivial_section_name"]}
        for text in [texts] if isinstance(texts, str) else texts:
            assert text.endswith(".")


def test_the_python_of_nodes_is_the_same_everywhere() -> None:
    promised = ".".join(map(str, OLDEST_PYTHON))
    assert load_yaml(ROOT / "tests" / "config.yml")["modules"]["python_requires"] == f">={promised}"
    assert f'target-version = "py{promised.replace(".", "")}"' in (ROOT / "ruff.toml").read_text()
