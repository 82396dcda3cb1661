"""Settings as traitlets: ``%config OpenRouterMagics.model``, and the ``ipython_config.py`` of users and hubs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import traitlets
from traitlets.config import Config, Configurable

from orchat.configuration import SETTINGS, configure
from orchat.errors import ConfigurationError

SECTION = "OpenRouterMagics"
FILE = "ipython_config.py"


class ConfigurableTraits(Configurable):
    """The settings of `orchat.configuration` as configurable traits; None leaves one to the environment."""

    model = traitlets.Unicode(None, allow_none=True, help=SETTINGS["model"].help).tag(config=True)
    base_url = traitlets.Unicode(None, allow_none=True, help=SETTINGS["base_url"].help).tag(config=True)
    aliases = traitlets.Dict(None, allow_none=True, help=SETTINGS["aliases"].help).tag(config=True)
    max_cost = traitlets.Float(None, allow_none=True, help=SETTINGS["max_cost"].help).tag(config=True)
    max_tokens = traitlets.Int(None, allow_none=True, help=SETTINGS["max_tokens"].help).tag(config=True)
    zdr = traitlets.Bool(None, allow_none=True, help=SETTINGS["zdr"].help).tag(config=True)
    data_collection = traitlets.Unicode(None, allow_none=True, help=SETTINGS["data_collection"].help).tag(config=True)
    history_tokens = traitlets.Int(None, allow_none=True, help=SETTINGS["history_tokens"].help).tag(config=True)
    footer = traitlets.Unicode(None, allow_none=True, help=SETTINGS["footer"].help).tag(config=True)
    privacy = traitlets.Unicode(None, allow_none=True, help=SETTINGS["privacy"].help).tag(config=True)
    state = traitlets.Unicode(None, allow_none=True, help=SETTINGS["state"].help).tag(config=True)
    restore = traitlets.Unicode(None, allow_none=True, help=SETTINGS["restore"].help).tag(config=True)
    state_limit = traitlets.Int(None, allow_none=True, help=SETTINGS["state_limit"].help).tag(config=True)
    store = traitlets.Unicode(None, allow_none=True, help=SETTINGS["store"].help).tag(config=True)
    store_limit = traitlets.Int(None, allow_none=True, help=SETTINGS["store_limit"].help).tag(config=True)
    confirm_above = traitlets.Float(None, allow_none=True, help=SETTINGS["confirm_above"].help).tag(config=True)
    limits = traitlets.Dict(None, allow_none=True, help=SETTINGS["limits"].help).tag(config=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._source = FILE
        super().__init__(*args, **kwargs)
        self._source = "%config"

    @traitlets.validate(*SETTINGS)
    def _apply_setting(self, proposal: Any) -> Any:
        try:
            configure(proposal.trait.name, proposal.value, self._source)
        except ConfigurationError as error:
            raise traitlets.TraitError(str(error)) from None
        return proposal.value


def reset_settings(traits_object: ConfigurableTraits | None = None, config: Config | None = None) -> None:
    """Reset every setting to the environment's value.

    Parameters
    ----------
    traits_object
        The object whose traits were set.
    config
        The shell's configuration: ``%config`` stores refused values there too, and the next load must not read them.
    """
    section = {} if config is None else config.get(SECTION, {})
    for name in [name for name in section if section[name] != getattr(traits_object, name, None)]:
        del section[name]
    for name in SETTINGS:
        configure(name, None)


def read_config_files(folders: list[str] | None = None) -> None:
    """Apply the settings of IPython's configuration files outside of IPython.

    Parameters
    ----------
    folders
        Folders of the files, highest priority first; default: the user's profile, then those of this environment and
        this machine.

    Raises
    ------
    ConfigurationError
        A file cannot be run, or sets an invalid value (a ValueError).
    """
    from traitlets.config.loader import ConfigFileNotFound, PyFileConfigLoader

    for folder in reversed(_config_folders() if folders is None else folders):
        try:
            found = PyFileConfigLoader(FILE, path=folder).load_config()
            ConfigurableTraits(config=Config({"ConfigurableTraits": found.get(SECTION, {})}))
        except ConfigFileNotFound:
            continue
        except traitlets.TraitError as error:
            raise ConfigurationError(f"{Path(folder, FILE)}: {error}") from None
        except Exception as error:  # noqa: BLE001 - the file is anybody's code
            raise ConfigurationError(f"{Path(folder, FILE)} cannot be run: {type(error).__name__}: {error}") from None


def _config_folders() -> list[str]:
    from IPython.core.application import ENV_CONFIG_DIRS, SYSTEM_CONFIG_DIRS
    from IPython.paths import get_ipython_dir

    profile = os.environ.get("IPYTHON_PROFILE") or "default"
    return [os.path.join(get_ipython_dir(), f"profile_{profile}"), *ENV_CONFIG_DIRS, *SYSTEM_CONFIG_DIRS]
