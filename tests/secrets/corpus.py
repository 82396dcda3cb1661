"""Made-up secrets of known services, in the shapes that the services' documentation gives.

They are put together at run time, from pieces and by lot, so that no scanner of repositories takes one of them for a
leak. Each is a text as people have it, and the part of it that is the secret. The last ones nobody can recognise: their
services give them no shape.
"""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
from typing import NamedTuple

_LETTERS = string.ascii_letters + string.digits
_URL = _LETTERS + "-_"
_BASE64 = _LETTERS + "+/"
_HEX = "0123456789abcdef"
_SMALL = string.ascii_lowercase + string.digits
_BIG = string.ascii_uppercase + string.digits
_BASE32 = string.ascii_uppercase + "234567"


class Made(NamedTuple):
    """A secret in the text it stands in."""

    name: str
    text: str
    secret: str


def made_up(seed: int = 1) -> list[Made]:
    """Return the whole corpus; another seed gives other letters."""
    return _Maker(random.Random(seed)).all()


def unrecognisable(seed: int = 1) -> list[Made]:
    """Return those of the corpus that have no shape of their own, and stand beside nothing that tells."""
    return [each for each in made_up(seed) if each.name.startswith("bare ")]


class _Maker:
    def __init__(self, lot: random.Random) -> None:
        self._lot = lot
        self._made: list[Made] = []

    def of(self, alphabet: str, length: int) -> str:
        return "".join(self._lot.choice(alphabet) for _ in range(length))

    def uuid(self) -> str:
        return str(uuid.UUID(int=self._lot.getrandbits(128), version=4))

    def add(self, name: str, *pieces: str, before: str = "", after: str = "") -> None:
        secret = "".join(pieces)
        self._made.append(Made(name, before + secret + after, secret))

    def all(self) -> list[Made]:
        self.models()
        self.code()
        self.clouds()
        self.money_and_messages()
        self.others()
        self.forms()
        self.bare()
        return self._made

    def models(self) -> None:
        of, add = self.of, self.add
        add("OpenRouter", "sk-", "or-v1-", of(_HEX, 64))
        add("OpenAI project", "sk-", "proj-", of(_URL, 74), "T3Blbk", "FJ", of(_URL, 74))
        add("OpenAI service account", "sk-", "svcacct-", of(_URL, 74), "T3Blbk", "FJ", of(_URL, 74))
        add("OpenAI of old", "sk", "-", of(_LETTERS, 20), "T3Blbk", "FJ", of(_LETTERS, 20))
        add("Anthropic", "sk-", "ant-api03-", of(_URL, 93), "AA")
        add("Anthropic admin", "sk-", "ant-admin01-", of(_URL, 93), "AA")
        add("Hugging Face", "h", "f_", of(string.ascii_letters, 34))
        add("Groq", "gs", "k_", of(_LETTERS, 52))
        add("xAI", "xa", "i-", of(_LETTERS, 80))
        add("Replicate", "r", "8_", of(_LETTERS, 37))
        add("Perplexity", "ppl", "x-", of(_LETTERS, 48))
        add("Cerebras", "cs", "k-", of(_SMALL, 48))
        add("Fireworks", "f", "w_", of(_LETTERS, 24))
        add("NVIDIA", "nvap", "i-", of(_URL, 64))
        add("Pinecone", "pcs", "k_", of(_LETTERS, 6), "_", of(_LETTERS, 63))
        add("LangSmith", "lsv2", "_pt_", of(_HEX, 32), "_", of(_HEX, 10))
        add("Langfuse", "sk-", "lf-", self.uuid())
        add("Tavily", "tvl", "y-", "dev-", of(_LETTERS, 32))
        add("Firecrawl", "f", "c-", of(_HEX, 32))
        add("ElevenLabs", "s", "k_", of(_HEX, 48))
        add("Google AI", "AI", "za", of(_URL, 35))

    def code(self) -> None:
        of, add = self.of, self.add
        for kind in "pousr":
            add(f"GitHub gh{kind}", f"gh{kind}", "_", of(_LETTERS, 36))
        add("GitHub fine-grained", "github", "_pat_", of(_LETTERS, 22), "_", of(_LETTERS, 59))
        add("GitLab personal", "glp", "at-", of(_URL, 20))
        add("GitLab deploy", "gld", "t-", of(_URL, 20))
        add("GitLab runner", "glr", "t-", of(_URL, 20))
        add("GitLab trigger", "glpt", "t-", of(_HEX, 40))
        add("GitLab routable", "glp", "at-", of(_URL, 27), ".01.", of(_SMALL, 9))
        add("Bitbucket", "BB", "DC-", of(_BASE64, 44))
        add("Atlassian", "ATA", "TT3x", of(_URL, 178), "=", of(_BIG, 8))
        add("npm", "np", "m_", of(_LETTERS, 36))
        add("PyPI", "pyp", "i-AgEIcHlwaS5vcmc", of(_URL, 120))
        add("RubyGems", "ruby", "gems_", of(_HEX, 48))
        add("NuGet", "oy", "2", of(_SMALL, 43))
        add("Clojars", "CLOJ", "ARS_", of(_SMALL, 60))
        add("crates.io", "ci", "o", of(_LETTERS, 32))
        add("JFrog", "AK", "Cp", of(_LETTERS, 69))
        add("Docker", "dckr", "_pat_", of(_URL, 27))
        add("Buildkite", "bk", "ua_", of(_HEX, 40))
        add("CircleCI", "CCI", "PAT_", of(_LETTERS, 22), "_", of(_HEX, 40))
        add("SonarQube", "sq", "u_", of(_HEX, 40))
        add("Sentry", "sntr", "yu_", of(_HEX, 64))
        add("Grafana", "gl", "sa_", of(_LETTERS, 32), "_", of(_HEX, 8))
        add("New Relic", "NR", "AK-", of(_BIG, 27))
        add("Dynatrace", "dt0", "c01.", of(_BIG, 24), ".", of(_BIG, 64))
        add("PostHog", "ph", "x_", of(_LETTERS, 43))
        add("LaunchDarkly", "sd", "k-", self.uuid())
        add("Postman", "PM", "AK-", of(_HEX, 24), "-", of(_HEX, 34))
        add("Terraform", of(_LETTERS, 14), ".atlas", "v1.", of(_URL, 67))
        add("Vault", "hv", "s.", of(_URL, 95))
        add("Pulumi", "pu", "l-", of(_HEX, 40))
        add("Prefect", "pn", "u_", of(_LETTERS, 36))
        add("Doppler", "dp", ".pt.", of(_LETTERS, 43))
        add(
            "1Password account key",
            "A",
            "3-",
            of(_BIG, 6),
            "-",
            of(_BIG, 6),
            "-",
            *("-".join(of(_BIG, 5) for _ in range(4)),),
        )

    def clouds(self) -> None:
        of, add = self.of, self.add
        add("AWS access key", "AK", "IA", of(_BASE32, 16))
        add("AWS temporary key", "AS", "IA", of(_BASE32, 16))
        add("AWS secret", of(_BASE64, 40), before="aws_secret_access_key = ")
        add("Azure client secret", of(_LETTERS, 3), "8", "Q~", of(_URL, 34))
        add(
            "Azure storage",
            of(_BASE64, 86),
            "==",
            before="AccountName=tides;AccountKey=",
            after=";EndpointSuffix=core.windows.net",
        )
        add(
            "Azure SAS",
            of(_LETTERS, 43),
            "%3D",
            before="https://tides.blob.core.windows.net/c/b?sv=2022-11-02&sp=r&sig=",
        )
        add("Google OAuth", "ya", "29.a0", of(_URL, 160))
        add("Google client secret", "GOCS", "PX-", of(_URL, 28))
        add("Google refresh token", "1", "//0", of(_URL, 60))
        add("Cloudflare origin", "v1", ".0-", of(_HEX, 24), "-", of(_HEX, 146))
        add("DigitalOcean", "do", "p_v1_", of(_HEX, 64))
        add("Heroku", "HRK", "U-AA", of(_URL, 58))
        add("Netlify", "nf", "p_", of(_LETTERS, 40))
        add("Render", "rn", "d_", of(_LETTERS, 28))
        add("Alibaba", "LT", "AI5t", of(_LETTERS, 20))
        add("Databricks", "dap", "i", of(_HEX, 32))
        add("PlanetScale", "pscale", "_tkn_", of(_URL, 43))
        add("Neon", "nap", "i_", of(_SMALL, 64))
        add("Supabase", "sb", "p_", of(_HEX, 40))
        add("Tailscale", "ts", "key-auth-", of(_LETTERS, 17), "-", of(_LETTERS, 32))
        add("ngrok", "2", of(_LETTERS, 26), "_", of(_LETTERS, 21))
        add("OpenShift", "sha", "256~", of(_URL, 43))
        add("age", "AGE-", "SECRET-", "KEY-1", of("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58))

    def money_and_messages(self) -> None:
        of, add = self.of, self.add
        add("Stripe secret", "sk", "_live_", of(_LETTERS, 99))
        add("Stripe restricted", "rk", "_live_", of(_LETTERS, 24))
        add("Stripe webhook", "wh", "sec_", of(_LETTERS, 32))
        add("Square", "sq0", "atp-", of(_URL, 22))
        add("PayPal Braintree", "access", "_token$", "production$", of(_SMALL, 16), "$", of(_HEX, 32))
        add("Razorpay", "rzp", "_live_", of(_LETTERS, 14))
        add("Plaid", "access-", "production-", self.uuid())
        add("Shopify", "shp", "at_", of(_HEX, 32))
        add("EasyPost", "EZ", "AK", of(_LETTERS, 54))
        add("Slack bot", "xo", "xb-", of(string.digits, 12), "-", of(string.digits, 13), "-", of(_LETTERS, 24))
        add("Slack app", "xa", "pp-1-A", of(_BIG, 10), "-", of(string.digits, 13), "-", of(_HEX, 64))
        where = "https://hooks.sl" + "ack.com/services/"
        add("Slack webhook", "T", of(_BIG, 8), "/B", of(_BIG, 10), "/", of(_LETTERS, 24), before=where)
        add("Discord bot", "M", of(_URL, 25), ".", of(_URL, 6), ".", of(_URL, 38))
        where = "https://discord.com/api/web" + "hooks/"
        add("Discord webhook", of(string.digits, 19), "/", of(_URL, 68), before=where)
        add("Telegram", of(string.digits, 10), ":A", "A", of(_URL, 33))
        add("Twilio", "S", "K", of(_HEX, 32))
        add("SendGrid", "S", "G.", of(_URL, 22), ".", of(_URL, 43))
        add("Mailgun", "ke", "y-", of(_HEX, 32))
        add("Mailchimp", of(_HEX, 32), "-us", "12")
        add("Brevo", "xkey", "sib-", of(_HEX, 64), "-", of(_LETTERS, 16))
        add("Resend", "r", "e_", of(_LETTERS, 8), "_", of(_LETTERS, 24))

    def others(self) -> None:
        of, add = self.of, self.add
        add("Facebook", "EA", "AC", of(_LETTERS, 160))
        add("Dropbox", "s", "l.", of(_URL, 135))
        add("Figma", "fi", "gd_", of(_URL, 40))
        add("Notion", "nt", "n_", of(string.digits, 11), of(_LETTERS, 35))
        add("Airtable", "pa", "t", of(_LETTERS, 14), ".", of(_HEX, 64))
        add("Linear", "lin", "_api_", of(_LETTERS, 40))
        add("HubSpot", "pat-", "na1-", self.uuid())
        add("Typeform", "tf", "p_", of(_URL, 44))
        add("Mapbox", "s", "k.ey", "J1", of(_URL, 80), ".", of(_URL, 22))
        add("Okta", "0", "0", of(_URL, 40))

    def forms(self) -> None:
        """Make what is no token of one service, but is written in a form that tells."""
        of, add = self.of, self.add
        user = base64.b64encode(f"ada:{of(_LETTERS, 12)}".encode()).decode()
        add("basic authentication", user, before="Authorization: Basic ")
        add("bearer", of(_URL, 40), before="curl -H 'Authorization: Bearer ", after="' https://example.org")
        add("x-api-key", of(_LETTERS, 32), before="x-api-key: ")
        add("a session's cookie", of(_SMALL, 26), before="Cookie: theme=dark; sessionid=")
        add("a cookie that is set", of(_URL, 43), before="Set-Cookie: sid=", after="; Path=/; HttpOnly")
        add("netrc", of(_LETTERS, 9) + "7", before="machine hub.example.org login ada password ")
        add(
            "libpq",
            "hunter",
            "2",
            of(_SMALL, 4),
            before="host=db.example.org user=ada password=",
            after=" dbname=tides",
        )
        add(
            "ODBC",
            of(_LETTERS, 9) + "!1",
            before="Driver={ODBC Driver 18};Server=db;Uid=ada;Pwd=",
            after=";Encrypt=yes",
        )
        add("an address", "ada:", of(_LETTERS, 12), before="postgresql://", after="@db.example.org/tides")
        add("a token in an address", of(_LETTERS, 24) + "4", before="http://localhost:8888/lab?token=")
        add("an environment variable", of(_LETTERS, 20), before="export DATADOG_API_KEY=")
        add("a line of .env", of(_SMALL, 10), before="DB_HOST=db\nDB_PASSWORD=", after="\nDB_PORT=5432\n")
        add("YAML", of(_LETTERS, 10) + "9", before="database:\n  user: ada\n  password: ", after="\n")
        add("JSON", of(_LETTERS, 24) + "5", before='{"user": "ada", "client_secret": "', after='"}')
        add("source", of(_LETTERS, 8) + "3", before="conn = connect('db', password='", after="')")
        head, body = (
            base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}'),
            base64.urlsafe_b64encode(b'{"sub":"ada","exp":1}'),
        )
        add("JWT", head.decode().rstrip("="), ".", body.decode().rstrip("="), ".", of(_URL, 43))
        head = base64.urlsafe_b64encode(b'{"alg":"RSA-OAEP","enc":"A256GCM"}')
        add("JWE", head.decode().rstrip("="), ".", ".".join(of(_URL, size) for size in (86, 16, 60, 22)))
        key = "\n".join(of(_BASE64, 64) for _ in range(6))
        ends = ["-----BEGIN RSA PRIV" + "ATE KEY-----\n", "\n-----END RSA PRIV" + "ATE KEY-----"]
        add("PEM", key, before=ends[0], after=ends[1])
        add(
            "PEM with headers",
            key,
            before=ends[0] + "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0F3A\n\n",
            after=ends[1],
        )
        pem = json.dumps({"type": "service_account", "private_key": ends[0] + key + ends[1]})
        self._made.append(Made("PEM within JSON", pem, json.dumps(key)[1:-1]))
        add("npmrc", of(_BASE64, 40) + "==", before="//registry.example.org/:_authToken=")
        add("Docker's configuration", user, before='{"auths": {"hub.example.org": {"auth": "', after='"}}}')

    def bare(self) -> None:
        of, add = self.of, self.add
        add("bare Datadog", of(_HEX, 32))
        add("bare Twilio auth", of(_HEX, 32))
        add("bare GitHub of old", of(_HEX, 40))
        add("bare Heroku of old", self.uuid())
        add("bare Snyk", self.uuid())
        add("bare Codecov", self.uuid())
        add("bare Algolia", of(_HEX, 32))
        add("bare Cohere", of(_LETTERS, 40))
        add("bare Mistral", of(_LETTERS, 32))
        add("bare AWS secret", of(_BASE64, 40))
