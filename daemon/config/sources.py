"""Where settings come from: the file, credentials, the environment, --set. Each becomes a layer: a tree and origins.

Values of credentials, the environment and --set are read as YAML, so numbers, lists and null work. A scalar keeps its
spelling beside its value (`Raw`): a token `0123` or `1e5` stays what was typed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from daemon.schema.fields import KeyPath, Raw

ENV_PREFIX = "MAJLIS_"
CREDENTIAL_PREFIX = "majlis_"
"""Before the key where a service manager passes a whole directory: systemd puts the directory's name there."""
SET = "--set"
"""The origin of what the command line sets."""
MAX_CREDENTIAL_BYTES = 64 * 1024
MAX_VALUE_DEPTH = 16
"""Of a value that is given as text: lists and mappings within each other."""
MAX_REPEATED_CHARS = 32 * 1024 * 1024
"""Of a file of declarations in which parts are used again, with all of them put in."""
_NODE_CHARS = 64
"""What a value counts besides its text."""
_MERGE = "tag:yaml.org,2002:merge"
Tree = dict[str, Any]


class ConfigError(Exception):
    """The settings cannot be used; the text names the key, its value, its origin and what is allowed.

    Trying again does not help: a person has to edit something.
    """


@dataclass(frozen=True)
class Layer:
    """One source of settings; for each key path that it set, the words that name the origin."""

    tree: Tree = field(default_factory=dict)
    origins: dict[KeyPath, str] = field(default_factory=dict)
    file: Path | None = None
    """Where all of it stands; None: it is not one file."""

    def has(self, path: KeyPath) -> bool:
        """Whether this layer has a value for `path`, even if it is null."""
        found: object = self.tree
        for step in path:
            if isinstance(found, dict) and step in found:
                found = found[step]
            elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
                found = found[int(step)]
            else:
                return False
        return True

    def settles(self, path: KeyPath) -> bool:
        """Whether weaker layers are overridden at `path`: a list is replaced as a whole, not merged like a mapping."""
        found: object = self.tree
        for step in path:
            if not isinstance(found, dict):
                return True
            if step not in found:
                return False
            found = found[step]
        return True

    def origin(self, path: KeyPath) -> str | None:
        """Where `path` was set, by the nearest key at, above or below it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return next((origin for key, origin in self.origins.items() if key[: len(path)] == path), None)


def origin_of(path: KeyPath, layers: Sequence[Layer]) -> str | None:
    """Where the value at `path` comes from: the strongest layer that decides it. None: it is the default.

    A list in which one value was set (`providers.0.api_key`) is a copy of a weaker layer's: that layer names the rest.
    """
    origins = (layer.origin(path) for layer in layers if layer.settles(path))
    return next((origin for origin in origins if origin), None)


class LayerSource(PydanticBaseSettingsSource):
    """Hands a layer to pydantic-settings, which merges layers by priority."""

    def __init__(self, settings: type[BaseSettings], layer: Layer) -> None:
        super().__init__(settings)
        self._layer = layer

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._layer.tree.get(field_name), field_name, False

    def __call__(self) -> Tree:
        return self._layer.tree


class _Loader(yaml.SafeLoader):
    """YAML whose mapping keys are always text (`on:`, `5511:`), and where no key may appear twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        own = set[str]()
        for key, _ in node.value:
            if self._word(key) in own and key.tag != _MERGE:
                raise ConfigError(f"line {key.start_mark.line + 1}: the key {key.value} appears twice")
            own.add(key.value)
        self.flatten_mapping(node)  # puts what is merged in before the rest
        return {self._word(key): self.construct_object(value, deep=True) for key, value in node.value}

    def _word(self, key: yaml.Node) -> str:
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(f"line {key.start_mark.line + 1}: a key must be a plain word")
        return str(key.value)


class _ValueLoader(_Loader):
    """For one value: aliases make a small text into an endless value, and nesting costs its square."""

    flow_level: int

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ConfigError("a value may not refer to a part of itself")
        return super().compose_node(parent, index)

    def fetch_flow_collection_start(self, token: Any) -> None:
        if self.flow_level >= MAX_VALUE_DEPTH:
            raise ConfigError("a value may not be nested so deeply")
        super().fetch_flow_collection_start(token)


class _DocumentLoader(_ValueLoader):
    """For a file of declarations: a part may be used again (`&name`, `*name`, `<<: *name`), within bounds."""

    repeats = False

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.repeats = self.repeats or self.check_event(yaml.AliasEvent)
        return _Loader.compose_node(self, parent, index)

    def get_single_node(self) -> yaml.Node | None:
        root: yaml.Node | None = super().get_single_node()
        if self.repeats and root is not None:
            _weigh(root, {})
        return root


def _weigh(node: yaml.Node, known: dict[yaml.Node, int | None]) -> int:
    """How large a part is with everything put in that it refers to. Raises: ConfigError, it is endless or a flood."""
    if node in known:
        weight = known[node]
        if weight is None:
            raise ConfigError(f"line {node.start_mark.line + 1}: refers to itself; write it out")
        return weight
    known[node] = None
    if isinstance(node, yaml.MappingNode):
        weight = sum(_weigh(key, known) + _weigh(value, known) for key, value in node.value)
    elif isinstance(node, yaml.SequenceNode):
        weight = sum(_weigh(item, known) for item in node.value)
    else:
        weight = len(node.value)
    weight += _NODE_CHARS
    if weight > MAX_REPEATED_CHARS:
        words = (
            "the references (*name) make this too large; write the parts out, or put them into several files"
        )
        raise ConfigError(f"line {node.start_mark.line + 1}: {words}")
    known[node] = weight
    return weight


def _parse(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)


def _parse_value(text: str) -> Any:
    return yaml.load(text, Loader=_ValueLoader)


def read_document(text: str) -> Any:
    """A file of declarations: no key twice; parts of it may be used again, but not so that it becomes endless.

    Raises:
      ConfigError: it is not such YAML; the text names the line and quotes nothing.
    """
    try:
        return yaml.load(text, Loader=_DocumentLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise ConfigError(f"{line}is not valid YAML; check indentation and quotes there") from None
    except RecursionError:
        raise ConfigError("is nested too deeply") from None


def file_layer(path: Path) -> Layer:
    """Read a config file.

    Raises:
      ConfigError: it cannot be read, or is not YAML with sections at the top.
    """
    try:
        tree = _parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        found = f"{path}: cannot be read: {error.strerror}"
        raise ConfigError(f"{found}; name another file with --config") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text") from None
    except yaml.YAMLError as error:
        # Only the place: PyYAML's own text quotes the line, and the line may hold a key.
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise ConfigError(f"{path}: {line}is not valid YAML; check indentation and quotes there") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: must hold sections such as `batching:`, not a {type(tree).__name__}")
    return Layer(tree, dict.fromkeys(leaves(tree), str(path)), path)


def credentials_layer(directory: str | None, below: Layer) -> Layer:
    """One file for each setting, named by its key: `postgres.dsn`, `responder.providers.0.api_key`.

    `directory` is what a service manager passes as `CREDENTIALS_DIRECTORY`; None: there is none.

    Raises:
      ConfigError: a credential cannot be read.
    """
    layer = Layer()
    for file in _credential_files(directory) if directory else ():
        path = tuple(file.name.removeprefix(CREDENTIAL_PREFIX).split("."))
        origin = f"credential {file}"
        if not all(path):
            raise ConfigError(f"{origin}: must be named by a key, e.g. postgres.dsn")
        _put(layer, path, _credential(file), origin, (below,))
    return layer


def _credential_files(directory: str) -> list[Path]:
    try:
        return sorted(file for file in Path(directory).iterdir() if file.is_file())
    except OSError as error:
        raise ConfigError(f"CREDENTIALS_DIRECTORY {directory}: cannot be read: {error.strerror}") from error


def _credential(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            found = opened.read(MAX_CREDENTIAL_BYTES + 1)
        if len(found) > MAX_CREDENTIAL_BYTES:
            raise ConfigError(f"credential {file}: is larger than {MAX_CREDENTIAL_BYTES} bytes")
        return found.decode().rstrip("\r\n")
    except OSError as error:
        raise ConfigError(f"credential {file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"credential {file}: is not UTF-8 text") from None


def environment_layer(environment: Mapping[str, str], *below: Layer) -> Layer:
    """`MAJLIS_SECTION__KEY=value` for each. Instance names match declared ones without regard to case."""
    layer = Layer()
    for variable in sorted(environment):
        if variable.startswith(ENV_PREFIX):
            names = [name.lower() for name in variable.removeprefix(ENV_PREFIX).split("__")]
            path = _declared_spelling(names, (layer, *below))
            _put(layer, path, environment[variable], f"environment {variable}", below)
    return layer


def set_layer(assignments: Sequence[str], below: Sequence[Layer]) -> Layer:
    """`section.key=value` for each.

    Raises:
      ConfigError: an assignment has no `=` or no key.
    """
    layer = Layer()
    for assignment in assignments:
        dotted, equals, value = assignment.partition("=")
        path = tuple(dotted.strip().split("."))
        if not equals or not all(path):
            raise ConfigError(
                f"--set {dotted}: must be written section.key=value, e.g. batching.window_seconds=8"
            )
        _put(layer, path, value, SET, below)
    return layer


def _declared_spelling(names: list[str], layers: Sequence[Layer]) -> KeyPath:
    if len(names) > 1 and names[0] == "instances":
        for layer in layers:
            declared = layer.tree.get("instances")
            for name in declared if isinstance(declared, dict) else ():
                if name.lower() == names[1]:
                    return ("instances", name, *names[2:])
    return tuple(names)


def _put(layer: Layer, path: KeyPath, text: str, origin: str, below: Sequence[Layer]) -> None:
    put_value(layer, path, read_value(text, path, origin), origin, below)


def put_value(layer: Layer, path: KeyPath, value: Any, origin: str, below: Sequence[Layer]) -> None:
    """Set one value in the tree. A step into a list (`providers.0.api_key`) copies that list from below.

    Args:
      below: the weaker layers, the weakest first.

    Raises:
      ConfigError: the path names a place beyond the end of a list.
    """
    here: Any = layer.tree
    for depth, name in enumerate(path[:-1], start=1):
        following = _child(here, name)
        if not isinstance(following, dict | list):
            following = _list_below(path[:depth], below) if path[depth].isdigit() else {}
            _assign(here, name, following, path, origin)
        here = following
    _assign(here, path[-1], value, path, origin)
    layer.origins[path] = origin


def _list_below(path: KeyPath, below: Sequence[Layer]) -> Any:
    """A copy of the list that applies there: of an instance that has none of its own, the list of all."""
    for place in (path, path[2:]) if path[0] == "instances" else (path,):
        for layer in reversed(below):
            found: Any = layer.tree
            for name in place:
                found = _child(found, name)
            if isinstance(found, list):
                return [dict(item) if isinstance(item, dict) else item for item in found]
    return {}


def _child(container: Any, name: str) -> Any:
    if isinstance(container, dict):
        return container.get(name)
    if isinstance(container, list) and name.isdigit() and int(name) < len(container):
        return container[int(name)]
    return None


def _assign(container: Any, name: str, value: Any, path: KeyPath, origin: str) -> None:
    if isinstance(container, dict):
        container[name] = value
    elif name.isdigit() and int(name) < len(container):
        container[int(name)] = value
    elif name.isdigit() and int(name) == len(container):
        container.append(value)
    else:
        raise ConfigError(
            f"{'.'.join(path)} (from {origin}): {name} is not a position in a list of {len(container)}; "
            f"use 0 to {len(container)}"
        )


def read_value(text: str, path: KeyPath, origin: str) -> Any:
    """What a person typed, read as YAML.

    Raises:
      ConfigError: it begins like YAML and is none.
    """
    if not text.lstrip().startswith(("[", "{", '"', "'")):
        return _scalar(text)
    try:
        return _parse_value(text)
    except (yaml.YAMLError, ConfigError, RecursionError):
        raise ConfigError(
            f"{'.'.join(path)} (from {origin}): begins like a list, mapping or quoted text, but is not valid YAML; "
            "put plain text in quotes"
        ) from None


def _scalar(text: str) -> Any:
    """Null and numbers as YAML reads them; other text as typed, without YAML's meaning of `:` or `#`."""
    try:
        parsed = _parse_value(text)
    except (yaml.YAMLError, ConfigError, RecursionError):
        return text
    if parsed is None and not text.lstrip().startswith("#"):
        return None
    return Raw(text.strip(), cast("float | bool", parsed)) if isinstance(parsed, int | float) else text


def leaves(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    """The key paths of all values in a tree, of its containers as well."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = [leaf for name, child in items for leaf in leaves(child, (*path, str(name)))]
    return [path, *below] if path else below
