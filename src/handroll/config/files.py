"""Read and merge the YAML files of the configuration."""

from pathlib import Path

import yaml

from handroll.config.pipeline import ConfigError, parse_config
from handroll.text import short_repr


def read_config(files, settings=()):
    """Read a configuration and merge its parts in Snakemake's order: later files override earlier ones, settings override files.

    Parameters
    ----------
    files : sequence of paths
        YAML files. Keys that no file contains have their defaults.
    settings : sequence of str
        `KEY=VALUE` with the value in YAML: the arguments of Snakemake's option `--config`.

    Returns
    -------
    handroll.config.pipeline.Config

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
            raise ConfigError(f"{file}: cannot read this configuration file: {error.strerror}") from None
        except ValueError as error:
            raise ConfigError(f"{file}: expected YAML, but it is invalid: {error}") from None
        if not isinstance(found, dict):
            raise ConfigError(f"{file}: expected `key: value` lines, found {short_repr(found)}")
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
    """YAML loader that rejects duplicate keys. Its base class silently uses the last value of such a key."""

    def construct_mapping(self, node, deep=False):
        """Construct a mapping with the base class; raise ConstructorError for a duplicate key."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if duplicates := [key for key in dict.fromkeys(keys) if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"found the key {short_repr(duplicates[0])} twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _load_yaml(text):
    """Parse a YAML text; raise ValueError if it is invalid."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    except RecursionError:
        raise ValueError("its lists or keys are nested too deep for the YAML parser") from None


def _merge(values, more):
    """Update nested dicts in place: values in `more` override those in `values`, and nested dicts are merged."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            _merge(values[key], value)
        else:
            values[key] = value
