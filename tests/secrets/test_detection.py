"""Secrets are found, and what is none is left alone: both are measured."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import sysconfig
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchat.secrets import is_secret_header, is_secret_name, redact, redact_json
from orchat.secrets.detection import find_secrets
from orchat.secrets.services import SERVICES
from tests.secrets.corpus import Made, made_up, unrecognisable

SEEDS = range(1, 6)


def hides(made: Made, text: str) -> bool:
    """Whether nothing of a secret is left but for its first letters, which say whose it is."""
    return made.secret not in text and made.secret[-12:] not in text


@pytest.mark.parametrize("seed", SEEDS)
def test_what_can_be_recognised_is_found(seed: int) -> None:
    made = made_up(seed)
    assert len(made) >= 117
    lost = [each.name for each in made if not hides(each, redact(each.text))]
    # A key by lot may have no digit, or look like a name: one in a hundred.
    assert len(set(lost) - {each.name for each in unrecognisable(seed)}) <= 2, lost


@pytest.mark.parametrize(
    "around",
    ["{}", "a {}.", '{{"note": "{}"}}', "<{}>", "`{}`", "see {}, please", "\n{}\n", r"line\n{}\nline", "x={};"],
)
def test_tokens_are_found_wherever_they_stand(around: str) -> None:
    tokens = [each for each in made_up() if each.text == each.secret and each not in unrecognisable()]
    assert len(tokens) > 90
    lost = [each.name for each in tokens if not hides(each, redact(around.format(each.secret)))]
    assert len(lost) <= 1, lost


def test_what_is_around_a_secret_stays() -> None:
    for each in made_up():
        if each.name.startswith("PEM"):  # which goes as a whole
            continue
        before, after = each.text.split(each.secret)
        found = redact(each.text)
        assert found.startswith(before[:20])
        assert found.endswith(after[-20:] if after else "")


def test_a_secret_is_named() -> None:
    token = "gh" + "p_" + "aB3" * 12
    assert [each.what for each in find_secrets(f"push with {token}")] == ["a GitHub token"]
    assert [each.what for each in find_secrets("DB_PASSWORD = 'hunter2'")] == ["the value of DB_PASSWORD"]


ORDINARY = [
    "user_name user_email user_id user_ids user_data users_2 user_2024_total user_name_normalised_v2_of_table_x",
    "hf_hub_download hf_home hf_model_id_or_path_1 pk_constraint_x pk_users_email_unique sk_buff sk_learn_model_v2",
    "xai-responses-v1 anthropic-claude-v1 gsk_build r8_unorm fw_version_number_is_here key-value-store",
    "desk-bound risk-averse task_force sk- ask sk-learn-contrib-py-extra-2 token.type tokens_per_second max_tokens=100",
    "password: str, api_key: SecretStr | None = None, token: Token, secret=os.environ['SECRET'], key=lambda a: a[1]",
    'password = getpass("Password: ")  # api_key="your-api-key" or api_key=settings.api_key',
    "client = OpenAI(api_key=os.getenv('OPENAI_API_KEY')); headers={'Authorization': f'Bearer {token}'}",
    "Set an Authorization header with a Bearer token. Basic authentication is no policy. The cookie: a biscuit.",
    "-----BEGIN PRIVATE KEY----- is how a private key begins, -----BEGIN CERTIFICATE----- a certificate.",
    "https://user:password@host/path http://localhost:8888/lab?token=... git@github.com:ada/tides.git ssh://git@hub/x",
    "postgresql://%(user)s:%(password)s@%(host)s and postgresql://{user}:{password}@{host} and $USER:$PASSWORD@host",
    "export OPENAI_API_KEY=<your key> API_KEY=xxxx TOKEN=$GITHUB_TOKEN SECRET=${{ secrets.SECRET }}",
    'the name "user_name" is not defined; {"token": "<|endoftext|>", "eos_token": "</s>", "pad_token_id": 50256}',
    '{"primary_key": "id", "sort_key": "created_at_2024_01_01", "public_key": "ssh-rsa", "key": "temperature_2m_max"}',
    "{'next_page_token': 'CiAKGjBpNDd2Nmp2Zml2cXRwYjBpOXA', 'cursor': 'eyJpZCI6MTIzfQ', 'etag': 'W/\"5e1-aB3dE\"'}",
    "def test_auth(self): assert self.token == Token.NAME and password != 'password' and secret != \"secret\"",
    "arXiv:2403.12345v2 doi:10.1038/s41586-021-03819-2 ISBN 978-3-16-148410-0 +44 20 7946 0958 2026-11-29T18:33:34Z",
    "call_aB3dE5fG7hI9jK1lM3nO5pQ7 chatcmpl-9aB3dE5fG7hI9jK1lM3nO5pQ7rS9t gen-1732900000-aB3dE5fG7hI9jK1lM3nO",
    "toolu_01A09q90qw90lq917835lq9 msg_013Zva2CMHLNnjNjJKqJ2EF rs_68af4030592c81938ec0a5fbab4a3e9f05438e46b5f69a3b",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_words_stay(text: str) -> None:
    assert redact(text) == text


def identifiers() -> Iterator[str]:
    """Give what names things, and is drawn by lot or reckoned as keys are."""
    lot = random.Random(3)
    for number in range(200):
        data = lot.randbytes(64)
        yield str(uuid.UUID(bytes=data[:16], version=4))
        yield f"commit {hashlib.sha1(data).hexdigest()} of {hashlib.md5(data).hexdigest()[:7]}"
        yield f"sha256:{hashlib.sha256(data).hexdigest()} {hashlib.sha512(data).hexdigest()}"
        yield f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}"
        yield f"sha256-{base64.b64encode(hashlib.sha256(data).digest()).decode()}"
        yield json.dumps({"id": data[:4].hex(), "cell_type": "code", "execution_count": number})
        yield json.dumps({"hash": data.hex(), "key": data[:16].hex(), "token": number, "signature": data[:32].hex()})
        image = base64.b64encode(lot.randbytes(3000)).decode()
        yield json.dumps({"image/png": image})
        yield f'<img src="data:image/png;base64,{image}">'


def test_identifiers_and_pictures_stay() -> None:
    changed = [text[:200] for text in identifiers() if redact(text) != text]
    assert not changed


def test_minified_javascript_stays() -> None:
    static = [path for path in sorted(Path(sysconfig.get_paths()["purelib"]).rglob("*.js")) if "/static/" in str(path)]
    texts = [path.read_text(errors="replace") for path in static[::9] if path.stat().st_size < 300_000]
    assert sum(map(len, texts)) > 500_000
    assert [found for text in texts for found in told(text)] == []


def sources(root: Path, every: int) -> Iterator[Path]:
    """Give a share of a folder's sources, without tests: these hold made-up secrets of their own."""
    outside = {"test", "tests", "testing", "idle_test", "site-packages", "__pycache__", "conftest.py"}
    files = [path for path in sorted(root.rglob("*.py")) if outside.isdisjoint(path.relative_to(root).parts)]
    return iter(files[::every])


PACKAGES = ["IPython", "httpx", "pandas", "numpy", "pydantic", "requests", "tornado", "jupyter_server", "openai"]


@pytest.mark.parametrize(("folder", "every"), [("stdlib", 4), *((name, 12) for name in PACKAGES)])
def test_ordinary_code_stays(folder: str, every: int) -> None:
    paths = sysconfig.get_paths()
    root = Path(paths["stdlib"]) if folder == "stdlib" else Path(paths["purelib"]) / folder
    hits = [
        (path.name, found)
        for path in sources(root, every if len(list(root.glob("*"))) > 5 else 1)
        if path.stat().st_size < 200_000
        for found in told(path.read_text(errors="replace"))
    ]
    assert hits == []


def told(text: str) -> list[str]:
    return [f"{found.what}: {text[max(0, found.start - 30) : found.end]}" for found in find_secrets(text)]


HOSTILE = [
    *(
        "key=",
        "password: ",
        "sk-",
        "sk_live_",
        "eyJ",
        "eyJhbGciOi.",
        "://",
        "://a:",
        "Bearer ",
        "Authorization: ",
        "--token ",
    ),
    *(
        "-----BEGIN PRIVATE KEY-----",
        "a: b\n",
        "Cookie: a=b; ",
        "?token=",
        "x=1 password=",
        "'password': '",
        "\\",
        "\\\\'",
    ),
    *(
        "AAAA",
        "a1B2",
        "%3D",
        "$6$",
        "machine a login b ",
        "--a-",
        "glpat-",
        "xoxb-1-",
        "hunter2:",
        ".",
        "_",
        "a.",
        "-u a:",
    ),
    *(
        "Set-Cookie: a=",
        "export A_KEY=",
        ";Pwd=",
        "token-",
        "/",
        "+",
        "=",
        "~",
        "[]",
        "<password>",
        "digest ",
        "otpauth://a?",
        "user,password\n",
        "| password |\n",
        "  password\n0  a1b2c3\n",
        "password   ",
        "password\t",
    ),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_grows_with_the_text_and_no_faster(piece: str) -> None:
    find_secrets("once, for the patterns to be there: " + piece)

    def taken(size: int) -> float:
        text = piece * (size // len(piece)) + "!"
        started = time.process_time()
        find_secrets(text)
        return time.process_time() - started

    short, long = min(taken(4_000), taken(4_000)), min(taken(32_000), taken(32_000))
    assert long < max(16 * short, 1.0)


@pytest.mark.parametrize("service", SERVICES, ids=lambda each: each.what)
def test_each_service_says_where_its_shape_is_told(service: object) -> None:
    assert service.source  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "db_password",
        "dbPassword",
        "PGPASSWORD",
        "MYSQL_PWD",
        "apiKey",
        "api_key",
        "X-Api-Key",
        "OPENAI_API_KEY",
        "client_secret",
        "SECRET",
        "aws_secret_access_key",
        "AWS_SESSION_TOKEN",
        "HF_TOKEN",
        "GITHUB_PAT",
        "SENTRY_DSN",
        "access_token",
        "accessToken",
        "refresh_token",
        "bearer_token",
        "ssh_private_key",
        "privateKey",
        "passphrase",
        "credentials",
        "GOOGLE_CREDENTIALS",
        "STRIPE_KEY",
        "NPM_AUTH",
        "KEYRING_PASS",
        "password_hash",
        "session_id",
        "connection_string",
        "CONN_STR",
        "pw",
        "pwd",
        "FERNET_KEY",
        "SLACK_WEBHOOK_URL",
        "JWT",
        "id_token",
        "auth_token",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "key",
        "author",
        "keyboard",
        "monkey",
        "max_tokens",
        "token_count",
        "primary_key",
        "public_key",
        "passed",
        "compass",
        "user_name",
        "user_id",
        "password_length",
        "has_password",
        "password_changed_at",
        "secretary",
        "tokens",
        "next_page_token",
        "eos_token",
        "sort_key",
        "PUBLIC_KEY",
        "passenger",
        "bypass",
        "path",
        "pattern",
        "session",
        "cookie_policy",
        "api_key_env",
        "secret_name",
        "token_type",
        "auth_method",
        "port",
        "level",
        "PATH",
        "LANG",
        "PWD",
    ],
)
def test_names_of_ordinary_things(name: str) -> None:
    assert not is_secret_name(name)


def test_headers_are_secret_more_readily() -> None:
    assert all(map(is_secret_header, ["Authorization", "Cookie", "x-api-key", "X-Auth-Token", "X-Session"]))
    assert not any(map(is_secret_header, ["X-Title", "HTTP-Referer", "Accept", "User-Agent"]))


def test_two_keys_never_become_one() -> None:
    keys = ["sk-or-v1-" + "0123456789abcdef" * count for count in (1, 2, 3)]
    data = {**dict.fromkeys(keys, 1), "user_name": 2, "user_ids": 3, "[redacted]": 4}
    found = redact_json(data)
    assert len(found) == len(data)
    assert found["user_name"] == 2
    assert found["[redacted]"] == 4
    assert not any(key in json.dumps(found) for key in keys)
