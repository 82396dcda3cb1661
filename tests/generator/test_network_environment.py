"""Proxies and certificates of the environment: what applies is used, what is wrong is named, but on the loopback."""

from __future__ import annotations

import os
import ssl
import sys
import traceback
from pathlib import Path
from typing import Any

import certifi
import pytest

from orchat.errors import APIConnectionError, ConfigurationError
from orchat.openrouter.json_query import JsonEndpoint, JsonQuery
from orchat.openrouter.transport import certificates
from orchat.openrouter.transport.network_environment import is_excluded, network_route
from tests.generator.test_connections import closed_port
from tests.generator.ways import KEY, Way
from tests.openrouter_server import ScriptedOpenRouter, text

ELSEWHERE = "http://elsewhere.invalid/api/v1"
PASSWORD = "hunter2-the-proxy"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without proxies and certificates of its own."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL_CERT_"):
            monkeypatch.delenv(name)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A proxy that answers itself, named by HTTP_PROXY."""
    with ScriptedOpenRouter(validate=False) as proxy:
        proxy.always(text("By proxy."))
        monkeypatch.setenv("HTTP_PROXY", proxy.origin)
        yield proxy


@pytest.mark.parametrize(
    ("host", "entry", "excluded"),
    [
        ("example.org", "example.org", True),
        ("api.example.org", "example.org", True),
        ("api.example.org", ".example.org", True),
        ("api.example.org", "*.example.org", True),
        ("API.example.org.", "Example.ORG", True),
        ("badexample.org", "example.org", False),
        ("example.org", "api.example.org", False),
        ("example.org", "a.b, example.org ,c.d", True),
        ("example.org", "*", True),
        ("example.org:8080", "example.org:8080", True),
        ("example.org:8081", "example.org:8080", False),
        ("example.org", "example.org:80", True),
        ("example.org", "http://example.org", True),
        ("example.org", "", False),
        ("example.org", " , ,", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.9/24", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3:8080", "10.1.2.3:8080", True),
        ("[fd00::5]", "fd00::5", True),
        ("[fd00::5]", "[fd00::5]", True),
        ("[FD00:0::5]", "fd00::0005", True),
        ("[fd00::5]:8080", "[fd00::5]:8080", True),
        ("[fd00::5]:8081", "[fd00::5]:8080", False),
        ("[fd00::5]", "fd00::/8", True),
        ("[fd00::5]", "[fd00::]/8", True),
        ("[fe80::5]", "fd00::/8", False),
        ("[fd00::5]", "10.0.0.0/8", False),
        ("[fd00::5]", "::1,localhost,fd00::5", True),
        ("example.org", "[::1", False),
        ("example.org", "a:b:c", False),
        ("example.org", "[]:x, /8, ::/x, *.", False),
    ],
)
def test_hosts_that_need_no_proxy(host: str, entry: str, excluded: bool) -> None:
    assert is_excluded(f"http://{host}/api/v1", entry) is excluded


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_of_the_environment_is_asked(make, way: Way, proxy, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("HTTP_PROXY")
    monkeypatch.setenv(name, proxy.origin.removeprefix("http://"))  # the scheme may be missing
    assert way(make(api_base_url=ELSEWHERE)).text == "By proxy."
    assert proxy.request.target == f"{ELSEWHERE}/chat/completions"
    assert network_route(ELSEWHERE).variable == name


def test_a_host_in_no_proxy_is_asked_directly(make, driver: Way, proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "::1,[fd00::1],fd00::/8,.invalid")
    with pytest.raises(APIConnectionError, match="spelt right"):
        driver(make(api_base_url=ELSEWHERE))
    monkeypatch.setenv("NO_PROXY", "::1,[fd00::1],fd00::/8")
    assert driver(make(api_base_url=ELSEWHERE)).text == "By proxy."


def test_what_is_set_later_counts_for_the_same_generator(
    make, driver: Way, proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = make(api_base_url=ELSEWHERE)
    monkeypatch.setenv("HTTP_PROXY", "socks://127.0.0.1:1080")
    with pytest.raises(ConfigurationError):
        driver(generator)
    monkeypatch.setenv("HTTP_PROXY", proxy.origin)
    assert driver(generator).text == "By proxy."


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (
            "socks://{}@127.0.0.1:1080",
            "HTTP_PROXY names a proxy of the kind `socks`, which is not supported. Use http://",
        ),
        ("socks4://{}@127.0.0.1:1080", "HTTP_PROXY names a proxy of the kind `socks4`"),
        ("ftp://{}@127.0.0.1", "HTTP_PROXY names a proxy of the kind `ftp`"),
        (
            "http://{}@127.0.0.1:port",
            "HTTP_PROXY is no address of a proxy. It looks like http://proxy.example.org:3128",
        ),
        ("http://[::1", "HTTP_PROXY is no address of a proxy"),
        ("http://", "HTTP_PROXY is no address of a proxy"),
        ("http://{}@", "HTTP_PROXY is no address of a proxy"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(
    openrouter, make, way: Way, monkeypatch: pytest.MonkeyPatch, value: str, told: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", value.format(f"me:{PASSWORD}"))
    with pytest.raises(ConfigurationError, match=r".*NO_PROXY\.$") as caught:
        way(make(api_base_url=ELSEWHERE, max_retries=2))
    assert str(caught.value).startswith(told)
    everything = "".join(traceback.format_exception(caught.value))
    assert not any(secret in everything for secret in ("/httpx2/", "/httpcore2/", PASSWORD, KEY))
    for frame, _ in traceback.walk_tb(caught.value.__traceback__):
        assert PASSWORD not in repr(frame.f_locals) or "/orchat/" not in frame.f_code.co_filename
    assert way(make()).text  # the loopback needs none
    assert openrouter.requests


@pytest.mark.parametrize("kind", ["socks5", "socks5h"])
def test_a_missing_package_for_socks_is_named(make, way: Way, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("all_proxy", f"{kind}://me:{PASSWORD}@127.0.0.1:1080")
    with pytest.raises(
        ConfigurationError, match=r"^all_proxy names a SOCKS proxy, and the package `socksio`"
    ) as caught:
        way(make(api_base_url=ELSEWHERE))
    assert "pip install socksio" in str(caught.value)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    assert way(make()).text


def test_a_proxy_that_another_scheme_names_harms_nobody(make, driver: Way, proxy, monkeypatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks://127.0.0.1:1080")
    monkeypatch.setenv("ALL_PROXY", "nonsense")
    assert driver(make(api_base_url=ELSEWHERE)).text == "By proxy."


@pytest.mark.parametrize("proxy", ["socks://127.0.0.1:1", "nonsense://x", "http://[::1", "socks5://127.0.0.1:1"])
def test_a_proxy_given_by_hand_is_checked_too(make, driver: Way, monkeypatch, proxy: str) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(ConfigurationError, match=r"^The `proxy` of http_client_kwargs "):
        driver(make(api_base_url=ELSEWHERE, http_client_kwargs={"proxy": proxy}))


def test_who_does_not_trust_the_environment_is_not_harmed_by_it(make, driver: Way, proxy, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "socks://127.0.0.1:1080")
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")
    for kwargs in ({"trust_env": False, "verify": True}, {"trust_env": False, "proxy": proxy.origin}):
        generator = make(api_base_url=ELSEWHERE, http_client_kwargs=kwargs)
        if "proxy" in kwargs:
            assert driver(generator).text == "By proxy."
        else:
            with pytest.raises(APIConnectionError, match="spelt right"):
                driver(generator)


def test_no_proxy_is_on_the_way_to_this_machine(openrouter, make, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setenv("HTTP_PROXY", nobody)
    for host in ("127.0.0.1", "localhost"):
        address = openrouter.base_url.replace("127.0.0.1", host)
        assert way(make(api_base_url=address)).text
        assert way(make(api_base_url=address, http_client_kwargs={"proxy": nobody})).text


def test_a_proxy_that_does_not_run_is_named(make, driver: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(APIConnectionError, match=r"HTTP_PROXY names a proxy on the way: is it right\?"):
        driver(make(api_base_url=ELSEWHERE))


def test_no_repr_shows_a_proxys_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://me:{PASSWORD}@127.0.0.1:1080")
    route = network_route(ELSEWHERE)
    assert route.proxy == f"http://me:{PASSWORD}@127.0.0.1:1080"
    assert PASSWORD not in repr(route) + repr(route.proxy)


# -- certificates -----------------------------------------------------------------------------------------------------


def bad_certificates(folder: Path) -> list[tuple[str, Path, str]]:
    """Variables, values that are wrong for them, and what is told."""
    (folder / "notes.txt").write_text("no certificate")
    (folder / "folder").mkdir()
    return [
        ("SSL_CERT_FILE", folder / "none.pem", "which cannot be read (No such file or directory)"),
        ("SSL_CERT_FILE", folder / "folder", "which cannot be read (Is a directory)"),
        ("SSL_CERT_FILE", folder / "notes.txt", "in which there are no certificates"),
        ("SSL_CERT_DIR", folder / "none", "which is no folder"),
        ("SSL_CERT_DIR", folder / "notes.txt", "which is no folder"),
    ]


@pytest.mark.parametrize("case", range(5))
def test_certificates_that_cannot_be_read_are_named(
    openrouter, make, driver: Way, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: int
) -> None:
    variable, path, told = bad_certificates(tmp_path)[case]
    monkeypatch.setenv(variable, str(path))
    secure = ELSEWHERE.replace("http:", "https:")
    with pytest.raises(ConfigurationError) as caught:
        driver(make(api_base_url=secure, http_client_kwargs={"verify": True}))
    assert str(caught.value).startswith(f"{variable} is {str(path)!r}, {told}. Let it name a ")
    assert str(caught.value).endswith("or unset it: then the usual ones count.")
    assert "/httpx2/" not in "".join(traceback.format_exception(caught.value))
    # Nothing is encrypted on the way to these, or it is this machine.
    assert driver(make(http_client_kwargs={"verify": True})).text
    with pytest.raises(APIConnectionError):
        driver(make(api_base_url=ELSEWHERE, http_client_kwargs={"verify": True}))
    with pytest.raises(APIConnectionError):
        driver(make(api_base_url=f"https://127.0.0.1:{closed_port()}/v1", http_client_kwargs={"verify": True}))
    assert len(openrouter.requests) == 1


def test_lists_of_models_are_asked_for_by_the_same_rules(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, proxy
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match=r"^SSL_CERT_FILE is "):
        JsonEndpoint("https://elsewhere.invalid/v1").get(JsonQuery("/models"))
    monkeypatch.setenv("HTTP_PROXY", "socks://127.0.0.1:1080")
    with pytest.raises(ConfigurationError, match=r"^HTTP_PROXY names "):
        JsonEndpoint("http://elsewhere.invalid/v1").get(JsonQuery("/models"))


def test_certificates_that_the_environment_names_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    [first, *_] = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----")
    own = tmp_path / "own.pem"
    own.write_text(first + "-----END CERTIFICATE-----\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    for url in ("https://elsewhere.invalid/v1", "https://127.0.0.1/v1"):
        context = certificates.make_ssl_context(network_route(url), True, None, trust_env=True)
        assert len(context.get_ca_certs()) == 1
        assert context.verify_mode == ssl.CERT_REQUIRED
        context = certificates.make_ssl_context(network_route(url), True, None, trust_env=False)
        assert len(context.get_ca_certs()) > 50
    assert "SSL_CERT_FILE alone counts" in certificates.certificate_hint()


def test_a_plain_connection_trusts_no_certificate() -> None:
    context = certificates.make_ssl_context(network_route(ELSEWHERE), False, None, trust_env=True)
    assert (context.get_ca_certs(), context.verify_mode, context.check_hostname) == ([], ssl.CERT_REQUIRED, True)
