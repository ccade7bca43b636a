"""Read and merge YAML files of the configuration."""

from pathlib import Path

import yaml

from handroll.config.pipeline import ConfigError, parse_config
from handroll.text import short_repr


def read_config(files, settings=()):
    """Read a configuration as Snakemake merges it: later files override earlier ones, then settings override files.

    Parameters
    ----------
    files : sequence of paths
        YAML; other keys have their defaults.
    settings : sequence of str
        `KEY=VALUE` with the value in YAML, as Snakemake's `--config`.

    Raises
    ------
    ConfigError
        A file is missing or is not a mapping, a setting is not `KEY=VALUE`, or a value is invalid.
    """
    values = {}
    for file in files:
        try:
            found = _load_yaml(Path(file).read_text(encoding="utf-8")) or {}
        except OSError as error:
            raise ConfigError(f"{file}: expected a configuration file, found: {error.strerror}") from None
        except ValueError as error:
            raise ConfigError(f"{file}: expected YAML, found: {error}") from None
        if not isinstance(found, dict):
            raise ConfigError(f"{file}: expected keys with values, found {short_repr(found)}")
        _merge(values, found)
    for setting in settings:
        key, equals, value = setting.partition("=")
        try:
            found = _load_yaml(value)
        except ValueError:
            equals = ""
        if not equals or not key:
            raise ConfigError(f"--config: expected KEY=VALUE, such as 'music={{engine: kong}}', found {short_repr(setting)}")
        _merge(values, {key: found})
    return parse_config(values)


class _Loader(yaml.SafeLoader):
    """YAML in which a duplicate key is an error, instead of silently replacing the earlier value."""

    def construct_mapping(self, node, deep=False):
        """Construct a mapping as the base class does; raise an error for a duplicate key."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if duplicates := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {short_repr(duplicates[0])} twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _load_yaml(text):
    """Parse a YAML text; raise ValueError with the problem if it is invalid."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("lists or keys nested too deep") from None


def _merge(values, more):
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            _merge(values[key], value)
        else:
            values[key] = value
