"""Secrets in printed tables are found, however these are printed; tables that only speak of secrets stay."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from orchat.rendering import render_value
from orchat.secrets import redact
from orchat.secrets.tables import table_values

PASSWORDS = ["hunter2xyz", "tr0ub4dor", "Zaq!2wsx"]
TABLE = {"user": ["ada", "bob", "eve"], "password": PASSWORDS, "port": [5432, 80, 22], "note": ["a b", None, "see x"]}
FRAME = pd.DataFrame(TABLE)

PRINTED = {
    "pandas": FRAME.to_string(),
    "pandas, its repr": repr(FRAME),
    "pandas, without index": FRAME.to_string(index=False),
    "pandas, one column": FRAME[["password"]].to_string(),
    "pandas, turned over": FRAME.T.to_string(),
    "pandas, one row": FRAME.iloc[:, :2].T.to_string(),
    "pandas, indexed": FRAME.set_index("user").to_string(),
    "pandas, left": FRAME.to_string(justify="left"),
    "csv": FRAME.to_csv(),
    "csv, one column": FRAME[["password"]].to_csv(),
    "csv of Windows": FRAME.to_csv(index=False, lineterminator="\r\n"),
    "csv in quotes": FRAME.to_csv(quoting=1),
    "semicolons": FRAME.to_csv(sep=";"),
    "tabs": FRAME.to_csv(sep="\t"),
    "polars": str(pl.DataFrame(TABLE)),
    "one column of polars": str(pl.DataFrame(TABLE).select("password")),
    "psql": " user | password \n------+-----------\n"
    + "".join(f" ada  | {each}\n" for each in PASSWORDS)
    + "(3 rows)\n",
    "mysql": "+------+\n| user | password   |\n+---+\n" + "".join(f"| ada  | {each:10} |\n" for each in PASSWORDS),
    "markdown": "| user | Password |\n|---|:---:|\n" + "".join(f"| ada | {each} |\n" for each in PASSWORDS),
    "kubectl": "NAME    SECRET        AGE\n" + "".join(f"db      {each:14}5d\n" for each in PASSWORDS),
    "one space": "user password   age\n" + "".join(f"ada  {each:10} 5\n" for each in PASSWORDS),
    "two words": "user   API Key\n" + "".join(f"ada    {each}\n" for each in PASSWORDS),
}


@pytest.mark.parametrize("how", PRINTED)
def test_below_and_beside_a_telling_name_nothing_is_left(how: str) -> None:
    text = f"The table:\n\n{PRINTED[how]}\n\nThat is all."
    found = redact(text)
    assert [each for each in PASSWORDS if each in found] == []
    assert found.count("[redacted]") == 3
    assert "ada" in found or "user" not in text
    assert found.startswith("The table:\n\n")
    assert found.endswith("\nThat is all.")


def test_one_word_among_keys_is_hidden_with_them_and_blanks_stay() -> None:
    text = "user  password\nada   hunter2xyz\nbob   sunshine\neve   NaN\n"
    assert redact(text) == "user  password\nada   [redacted]\nbob   [redacted]\neve   NaN\n"


def test_rows_may_have_blanks_and_separators_in_quotes() -> None:
    frame = pd.DataFrame({"user": ["a, b", "c;d", 'e"f'] * 2, "password": [PASSWORDS[0], None, *PASSWORDS, None]})
    for text in (frame.to_csv(), frame.to_csv(sep=";"), frame.to_string(na_rep="")):
        found = redact(text)
        assert [each for each in PASSWORDS if each in found] == []
        assert found.count("[redacted]") == 4


def test_a_series_and_a_line_are_read_by_their_labels() -> None:
    series = pd.Series({"host": "db1", "password": "hunter2xyz", "port": 5432}).to_string()
    assert "hunter2xyz" not in redact(series)
    assert redact("password   hunter2xyz") == "password   [redacted]"
    assert redact("access_key\tq7Zx0pT2mB9v\n") == "access_key\t[redacted]\n"


STAY = [
    "Option      Password      Meaning\nssl         required      use it\nplain       optional      do not\n",
    "| Feature | Token | Password |\n|---|---|---|\n| Login | yes | no |\n| API | ✓ | ✗ |\n",
    "  --password PASSWORD   the password of the user\n  --token TOKEN         a token, see below\n",
    "password   the word that lets you in\npassphrase   more than one word\n",
    "name        type     default\npassword    str      None\napi_key     Secret   required\nretries     int      5\n",
    "model           tokens   cost\nopenai/gpt-4o   12345    0.001\nmeta/llama-3    99999    0.2\n",
    "key       value\nlevel     7.1\nport      Hull2026\n",
    "token         id\nhello2you     15339\nworld4all     1917\n",
    "PT\t+3744-02540\tAtlantic/Azores\nPW\t+0720+13429\tPacific/Palau\n",
    "struct a {\n    SECItem privateKey;\n    SECKEYAttribute2 *x;\n};\n",
    "Union[\n    | EllipticCurvePrivateKey\n    | MLKEM768PrivateKey\n]",
    "Type your password.  Then press Enter2continue.\n  Passwords\n  are words1 of yours.\n",
    "user,password,host\n",
    "user, password, host = read2(x), 1\nlogin(user, password, host2)\n",
    "df[['user', 'password']]\n0   1\n1   2\n",
    "password_length  max_tokens\nabc12            def34\n",
    "  Password\n  ────────\n  See page 7a and b2b.\n",
]


@pytest.mark.parametrize("text", STAY)
def test_tables_that_only_speak_of_secrets_stay(text: str) -> None:
    assert redact(text) == text


def test_manuals_and_headers_of_this_machine_stay() -> None:
    roots = [Path("/usr/share/doc"), Path("/usr/include"), Path(sysconfig.get_paths()["purelib"], "pandas")]
    paths = [path for root in roots for path in sorted(root.rglob("*")) if path.is_file()]
    texts = [path.read_text(errors="replace") for path in paths[::7] if path.stat().st_size < 200_000]
    assert sum(map(len, texts)) > 1_000_000
    assert [found for text in texts for found in table_values(text, text.lower())] == []


def test_the_end_of_a_long_table_is_hidden_too() -> None:
    """Of a long text only both ends are sent; its names are at the top."""
    table = "user      password\n" + "".join(f"ada{n:05}  pass{n:05}word\n" for n in range(20_000))
    sent = render_value(table).text
    assert "cut, " in sent
    assert "pass00" not in sent
    assert "pass19" not in sent
