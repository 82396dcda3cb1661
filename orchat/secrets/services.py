"""The token formats of services, by their documentation: a prefix, an alphabet, a length.

A row is what to call the token, its pattern, and where the shape is told. A pattern is a regular expression in which
``W`` stands for a letter or digit, ``U`` for those of URLs (with ``-`` and ``_``), ``H`` for a hexadecimal digit and
``B`` for those of base64. It begins with fixed characters and its repetitions are bounded or of word characters only,
so that looking takes time in proportion to the text. ``VAGUE`` rows have a prefix that identifiers have as well: what
follows must look drawn by lot (`orchat.secrets.randomness`).

Checksums, such as GitHub's, are not asked for: a key with a wrong letter tells nearly all of the right one.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Service(NamedTuple):
    """The token format of a service.

    Parameters
    ----------
    what
        What people call it, with its article.
    pattern
        Its shape.
    source
        Where the shape is told.
    vague
        Whether identifiers of programs may have that prefix too.
    """

    what: str
    pattern: str
    source: str
    vague: bool = False


_ROWS = r"""
an OpenRouter key | sk-or-(?:v1-)?U{12,80} | openrouter.ai/docs: API keys
an Anthropic key | sk-ant-U{20,120} | docs.claude.com: API keys
an OpenAI key | sk-(?:proj|svcacct|admin|None)-U{20,200} | platform.openai.com: API keys
an OpenAI key | sess-W{40} | platform.openai.com: sessions
a Langfuse key | sk-lf-[0-9a-f-]{36} | langfuse.com/docs: API keys
an OpenRouter account | user_W{27}\b | openrouter.ai/docs: errors
a Hugging Face token | hf_W{30,40} | huggingface.co/docs: user access tokens
a Hugging Face token | api_org_W{30,40} | huggingface.co/docs: organisation tokens
a Groq key | gsk_W{40,60} | console.groq.com/docs: API keys
an xAI key | xai-W{60,120} | docs.x.ai: API keys
a Replicate token | r8_W{37,40} | replicate.com/docs: API tokens
a Perplexity key | pplx-W{40,60} | docs.perplexity.ai: API keys
a Cerebras key | csk-W{40,60} | inference-docs.cerebras.ai: API keys
a Fireworks key | fw_W{20,30} | docs.fireworks.ai: API keys | vague
a Together key | tgp_v1_U{40,50} | docs.together.ai: API keys
an NVIDIA key | nvapi-U{50,80} | docs.nvidia.com: NIM API keys
a Pinecone key | pcsk_W{5,6}_W{50,70} | docs.pinecone.io: API keys
a LangSmith key | lsv2_(?:pt|sk)_H{32}_H{10} | docs.smith.langchain.com: API keys
a LangSmith key | ls__H{32} | docs.smith.langchain.com: API keys
a Weights & Biases key | wandb_v1_[A-Za-z0-9_]{60,90} | docs.wandb.ai: API keys
a LlamaCloud key | llx-W{40,60} | docs.cloud.llamaindex.ai: API keys
a Tavily key | tvly-(?:dev-|prod-)?W{20,50} | docs.tavily.com: API keys
a Brave Search key | BSA[A-Za-z0-9_-]{24,40} | brave.com/search/api: API keys | vague
a Jina key | jina_[A-Za-z0-9_-]{40,80} | jina.ai: API keys | vague
a Firecrawl key | fc-H{32} | docs.firecrawl.dev: API keys
an ElevenLabs key | sk_H{48} | elevenlabs.io/docs: API keys
a MiniMax key | sk-api-U{60,140} | platform.minimax.io: API keys
a Novita key | sk_U{40,60} | novita.ai/docs: API keys | vague
an Apify token | apify_api_W{30,40} | docs.apify.com: API tokens
a Voyage key | pa-U{40,50} | docs.voyageai.com: API keys | vague
a Vercel token | vc[acikpr]_U{24,60} | vercel.com/docs: tokens | vague
a GitHub token | gh[opusr]_W{30,255} | docs.github.com: token formats
a GitHub token | ghs_W{1,20}_[A-Za-z0-9_.-]{60,800} | docs.github.com: token formats
a GitHub token | github_pat_[A-Za-z0-9_]{22,255} | docs.github.com: token formats
a GitLab token | gl(?:pat|dt|rt|oas|soat|ft|imt|agent|ffct|wt)-(?:t\d_)?U{16,300}(?:\.[0-9a-z.]{8,12})? | docs.gitlab.com: prefixes
a GitLab token | glptt-H{40} | docs.gitlab.com: prefixes
a GitLab token | glcbt-W{1,5}_U{20,64} | docs.gitlab.com: prefixes
a GitLab token | GR1348941U{20,30} | docs.gitlab.com: prefixes
a Bitbucket token | BBDC-[A-Za-z0-9+/=]{32,60} | confluence.atlassian.com: HTTP access tokens
a Bitbucket token | ATBBW{24,40} | support.atlassian.com: app passwords | vague
an Atlassian token | ATATT3[A-Za-z0-9_=-]{60,250} | support.atlassian.com: API tokens
an Atlassian token | AT[CS]TT3[A-Za-z0-9_=-]{60,250} | support.atlassian.com: API tokens
an AWS access key | (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b | docs.aws.amazon.com: unique identifiers
an AWS session token | (?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz)[A-Za-z0-9+/=%]{40,2000} | docs.aws.amazon.com: STS
an AWS Bedrock key | ABSKB{60,280}={0,2} | docs.aws.amazon.com: Bedrock API keys
an AWS Bedrock key | bedrock-api-key-B{20,2000} | docs.aws.amazon.com: Bedrock API keys
an AWS MWS token | amzn\.mws\.[0-9a-f-]{36} | developer-docs.amazon.com: MWS
a Google API key | AIzaU{20,40} | cloud.google.com/docs: API keys
a Google key | AQ\.Ab8U{30,60} | ai.google.dev: API keys
a Google OAuth token | ya29\.[A-Za-z0-9_.-]{20,500} | developers.google.com: OAuth 2.0
a Google OAuth token | 1//0[A-Za-z0-9_-]{30,120} | developers.google.com: OAuth 2.0
a Google client secret | GOCSPX-U{24,32} | developers.google.com: OAuth 2.0
a Google storage key | GOOG(?:1E)?[A-Z0-9]{20,60} | cloud.google.com/storage/docs: HMAC keys | vague
an FCM server key | AAAAU{7}:APA91bU{100,180} | firebase.google.com/docs: Cloud Messaging
an Azure client secret | [A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31,34} | learn.microsoft.com: identifiable secrets
an Azure key | B{76}\+(?:AMC|ASt|AEh|ARm|AIoT)[A-Za-z0-9+/]{4,6}={0,2} | learn.microsoft.com: identifiable secrets
an Azure key | B{42}(?:ACDb|AzSe|AzCa|AIoT|\+ACR|AzFu)[A-Za-z0-9+/]{2,34}={0,2} | learn.microsoft.com: identifiable secrets
an Azure key | W{52}(?:JQQJ9|AZE)9W{18,30} | learn.microsoft.com: identifiable secrets
an Azure DevOps token | W{52}JQQJ99W{26} | learn.microsoft.com: personal access tokens
a Cloudflare token | cf[aku]t_W{40,60} | developers.cloudflare.com: API tokens
a Cloudflare origin key | v1\.0-H{24}-H{100,160} | developers.cloudflare.com: Origin CA keys
a DigitalOcean token | do[opr]_v1_H{64} | docs.digitalocean.com: API tokens
a Heroku key | HRKU-[A-Za-z0-9_-]{36,70} | devcenter.heroku.com: API tokens
a Fly.io token | fm[12][ar]?_[A-Za-z0-9+/=_,-]{60,2000} | fly.io/docs: access tokens
a Render key | rnd_W{26,40} | render.com/docs: API keys
a Netlify token | nf[pcou]_W{36,50} | docs.netlify.com: access tokens
a Railway token | rw_Fe26\.2[A-Za-z0-9_*~.-]{40,500} | docs.railway.com: tokens
a Scaleway key | SCW[A-Z0-9]{17}\b | scaleway.com/docs: API keys
an Alibaba Cloud key | LTAIW{12,26} | alibabacloud.com/help: AccessKey
a Tencent Cloud key | AKIDW{32} | cloud.tencent.com: API keys
a Yandex Cloud key | AQVNU{35,38} | yandex.cloud/docs: API keys
a Yandex Cloud token | (?:t1\.9e|y[0-3]_)U{50,300}(?:\.U{80,90})?={0,2} | yandex.cloud/docs: IAM tokens
an Exoscale key | EXOH{24,30} | community.exoscale.com: API keys
an UpCloud token | ucat_W{24,32} | upcloud.com/docs: API tokens
a Databricks token | dapi[0-9a-f]{32}(?:-\d)? | docs.databricks.com: access tokens
a dbt Cloud token | dbt[cu]_[A-Za-z0-9_-]{40,70} | docs.getdbt.com: service tokens | vague
a Snowflake token | ver:1-hint:\d{1,20}-ETMsB{40,400}={0,2} | docs.snowflake.com: session tokens
a PlanetScale token | pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_=.-]{32,64} | planetscale.com/docs: service tokens
a Neon key | napi_W{40,70} | neon.com/docs: API keys
a Supabase key | sbp_(?:oauth_)?H{40} | supabase.com/docs: access tokens
a Supabase key | sb_secret_U{20,50} | supabase.com/docs: API keys
a MongoDB Atlas secret | mdb_sa_sk_U{40} | mongodb.com/docs: service accounts
an Astra token | AstraCS:[A-Za-z0-9]{16,40}(?::H{40,80})? | docs.datastax.com: application tokens
a CockroachDB key | CCDB1_W{20,24}_W{36,44} | cockroachlabs.com/docs: API keys
a ClickHouse key | 4b1dW{38}\b | clickhouse.com/docs: API keys | vague
an Upstash token | upstash_W{30,60} | upstash.com/docs: API keys | vague
a Prefect key | pn[ub]_W{36} | docs.prefect.io: API keys
a Pulumi token | pul-H{40} | pulumi.com/docs: access tokens
a Terraform token | W{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70} | developer.hashicorp.com: API tokens
a Vault token | hv[sbr]\.U{20,300} | developer.hashicorp.com: Vault tokens
a Vault token | [sb]\.(?=W{0,22}\d)W{24}\b | developer.hashicorp.com: Vault tokens | vague
a Docker token | dckr_(?:pat|oat)_U{27,40} | docs.docker.com: access tokens
a Docker Swarm token | SWM(?:TKN|KEY)-1-[A-Za-z0-9+/-]{40,100} | docs.docker.com: swarm
an OpenShift token | sha256~U{43} | docs.openshift.com: OAuth tokens
a Rancher token | (?:kubeconfig-u|token)-[a-z0-9]{5,12}:[a-z0-9]{54} | ranchermanager.docs.rancher.com: API keys
an npm token | npm_W{36} | docs.npmjs.com: access tokens
a PyPI token | pypi-AgE[A-Za-z0-9_-]{50,1000} | the index's help: API tokens
a RubyGems key | rubygems_H{48} | guides.rubygems.org: API keys
a NuGet key | oy2[a-z0-9]{43}\b | learn.microsoft.com: NuGet API keys
a Clojars token | CLOJARS_W{60} | github.com/clojars: deploy tokens
a crates.io token | cioW{32}\b | doc.rust-lang.org/cargo: tokens | vague
a JFrog key | AKCpW{60,72} | jfrog.com/help: API keys
a JFrog token | cmVmdGtuOW{40,64} | jfrog.com/help: reference tokens
a Cloudsmith key | csa_H{30}W{6} | help.cloudsmith.io: API keys
a Buildkite token | bk(?:ua|at|pat)_W{32,60} | buildkite.com/docs: API tokens
a CircleCI token | CCI(?:PAT|PRJ)_W{20,24}_W{40} | circleci.com/docs: API tokens
a SonarQube token | sq[aup]_H{40} | docs.sonarsource.com: tokens
a Snyk token | snyk_(?:uat|sat)\.H{8}\.[A-Za-z0-9_.-]{40,600} | docs.snyk.io: tokens
a Sentry token | sntry[us]_[A-Za-z0-9+/=_-]{60,600} | docs.sentry.io: auth tokens
a Grafana token | glsa_W{32}_H{8} | grafana.com/docs: service accounts
a Grafana token | (?:glc_|eyJrIjoi)B{40,400}={0,2} | grafana.com/docs: access policies
a New Relic key | NR(?:AK|RA|II|IQ|JS|BR)-[A-Za-z0-9_-]{19,44} | docs.newrelic.com: API keys
a New Relic key | H{36}NRAL\b | docs.newrelic.com: licence keys
a Dynatrace token | dt0[a-z]\d\d\.[A-Z0-9]{8,24}\.[A-Z0-9]{64} | docs.dynatrace.com: tokens
a Datadog key | ddapp_W{34} | docs.datadoghq.com: application keys
a Honeycomb key | hc[a-z]{3}_W{50,70} | docs.honeycomb.io: API keys
a PostHog key | phx_W{40,50} | posthog.com/docs: API keys
a Rollbar or Segment token | sgp_[A-Za-z0-9_]{40,80} | segment.com/docs: tokens
a LaunchDarkly key | (?:sdk|api|mob)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12} | docs.launchdarkly.com: keys
a Slack token | xox[a-z](?:\.xox[bp])?-[A-Za-z0-9%/+.-]{10,400} | docs.slack.dev: token types
a Slack token | xapp-\d-[A-Z0-9]{6,20}-\d{6,20}-[a-z0-9]{20,80} | docs.slack.dev: token types
a Discord token | [MNO][A-Za-z0-9_-]{22,30}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40} | discord.com/developers: authentication
a Telegram bot token | \d{8,10}:AAU{33} | core.telegram.org/bots: authorising
a Twilio key | (?:SK|AC)H{32}\b | twilio.com/docs: API keys
a SendGrid key | SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64} | docs.sendgrid.com: API keys
a Mailgun key | (?:pub)?key-H{32}\b | documentation.mailgun.com: API keys
a Mailchimp key | H{32}-us\d{1,2}\b | mailchimp.com/developer: API keys
a MailerSend token | mlsn\.W{30,100} | developers.mailersend.com: API tokens
a Mailjet or Brevo key | xkeysib-H{64}-W{16} | developers.brevo.com: API keys
a Brevo SMTP key | xsmtpsib-H{64}-W{16} | developers.brevo.com: SMTP keys
a Resend key | re_W{6,12}_W{20,30} | resend.com/docs: API keys
a Postman key | PMA[KT]-W{24,30}(?:-H{34})? | learning.postman.com: API keys
a Pusher or Ably key | W{6}\.W{6}:[A-Za-z0-9_-]{40,48} | ably.com/docs: API keys | vague
a Stripe key | (?:sk|rk|pk)_(?:live|test|prod)_W{10,250} | docs.stripe.com: API keys
a Stripe webhook secret | whsec_[A-Za-z0-9+/=]{24,64} | docs.stripe.com: webhooks
a Square token | sq0[a-z]{3}-U{22,60} | developer.squareup.com: access tokens
a Square token | EAAA[A-Za-z0-9_-]{56,62}\b | developer.squareup.com: access tokens | vague
a PayPal token | access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$H{32} | developer.paypal.com: Braintree
a PayPal token | A21AA[A-Za-z0-9_-]{60,120} | developer.paypal.com: authentication
a Razorpay key | rzp_(?:live|test)_W{14,24} | razorpay.com/docs: API keys
a Flutterwave key | FLW(?:SECK|PUBK)(?:_TEST)?-W{12,40}(?:-X)? | developer.flutterwave.com: API keys
a Xendit key | xnd_(?:production|development)_W{40,80} | docs.xendit.co: API keys
a Mollie key | (?:live|test)_W{30}\b | docs.mollie.com: API keys | vague
a Plaid token | (?:access|link|public)-(?:sandbox|development|production)-[0-9a-f-]{36} | plaid.com/docs: tokens
a Paddle key | pdl_(?:live|sdbx)_apikey_[a-z0-9]{26}_W{22}_W{3} | developer.paddle.com: API keys
a Paystack or Clerk key | sk_(?:live|test)_W{24,60} | paystack.com/docs: API keys
a Coinbase secret | cb_(?:live|test)_W{30,60} | docs.cdp.coinbase.com: API keys
a Shopify token | shp(?:at|ca|pa|ss|ua|tka|rt)_H{32} | shopify.dev: access tokens
a Shippo token | shippo_(?:live|test)_H{40} | docs.goshippo.com: tokens
an EasyPost key | EZ[AT]KW{54} | docs.easypost.com: API keys
a Duffel token | duffel_(?:test|live)_[A-Za-z0-9_=-]{43} | duffel.com/docs: access tokens
a Facebook token | EAA[A-Za-z0-9]{80,300} | developers.facebook.com: access tokens | vague
an Instagram token | IGQ[A-Za-z0-9_-]{80,300} | developers.facebook.com: access tokens
a Twitter bearer token | AAAAAAAAAAAAAAAAAA[A-Za-z0-9%]{60,120} | docs.x.com: bearer tokens
a LinkedIn token | AQ[UVWX][A-Za-z0-9_-]{180,600} | learn.microsoft.com: LinkedIn | vague
a LinkedIn secret | WPL_AP1\.W{16}\.W{6}== | learn.microsoft.com: LinkedIn
a Dropbox token | sl\.(?:u\.)?[A-Za-z0-9_-]{100,1500} | developers.dropbox.com: OAuth
a Figma token | fig[dour]_[A-Za-z0-9_-]{38,50} | figma.com/developers: access tokens
a Notion token | ntn_W{40,60} | developers.notion.com: authorisation
a Notion token | secret_W{43}\b | developers.notion.com: authorisation
an Airtable token | pat[A-Za-z0-9]{14}\.H{64} | airtable.com/developers: access tokens
an Asana token | [12]/\d{10,20}(?:/\d{10,20})?:H{32} | developers.asana.com: access tokens
a Linear key | lin_(?:api|oauth)_W{40,64} | linear.app/developers: API keys
a ClickUp token | pk_\d{6,12}_[A-Z0-9]{32} | developer.clickup.com: authentication
a Klaviyo key | pk_H{34}\b | developers.klaviyo.com: API keys
a HubSpot token | pat-(?:na|eu)\d-[0-9a-f-]{36} | developers.hubspot.com: private apps
a Salesforce token | 00DW{12,15}![A-Za-z0-9._]{80,260} | help.salesforce.com: sessions
a Typeform token | tfp_[A-Za-z0-9_.=-]{40,64} | typeform.com/developers: access tokens
a Contentful token | CFPAT-U{43,64} | contentful.com/developers: tokens
a ReadMe key | rdme_W{60,80} | docs.readme.com: API keys
a Frame.io token | fio-u-U{64} | developer.frame.io: tokens
a Doppler token | dp\.(?:pt|st|ct|scim|audit)(?:\.[a-z0-9_-]{2,35})?\.W{40,44} | docs.doppler.com: token formats
a 1Password token | ops_eyJB{100,2000}={0,3} | developer.1password.com: service accounts
a 1Password secret key | A3-[A-Z0-9]{6}-[A-Z0-9]{6}-?[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5} | support.1password.com: secret key
an Infisical token | st\.[0-9a-f-]{24,36}\.H{32}\.H{32} | infisical.com/docs: service tokens
a Tailscale key | tskey-(?:[a-z]{3,8}-)?[A-Za-z0-9-]{16,70} | tailscale.com/kb: key prefixes
an ngrok token | (?:ak_)?2[A-Za-z0-9]{26}_[A-Za-z0-9]{20,26}\b | ngrok.com/docs: authtokens
an age key | AGE-SECRET-KEY-1[A-Z0-9]{58} | age-encryption.org/v1
a Mapbox token | [st]k\.eyJU{20,500}\.U{20,40} | docs.mapbox.com: access tokens
a MaxMind key | W{6}_W{29}_mmk | dev.maxmind.com: licence keys
an Okta token | 00U{40}\b | developer.okta.com: API tokens | vague
an Adobe secret | p8e-W{32} | developer.adobe.com: OAuth
an Algolia or Adafruit key | aio_[A-Za-z]{4}\d{2}W{22} | io.adafruit.com: API keys
an Intercom token | dG9rOW{40,100}={0,2} | developers.intercom.com: access tokens
a Zuplo key | zpka_[a-z0-9]{32}_[0-9a-f]{8} | zuplo.com/docs: API keys
a Unkey key | unkey_W{20,40} | unkey.com/docs: root keys
an Onfido token | api_(?:live|sandbox)(?:_[a-z]{2})?\.[A-Za-z0-9_.-]{20,80} | documentation.onfido.com: API tokens
an OpenAI key | sk-W{20,64} | platform.openai.com: API keys | vague
an API key | (?:sk|pk|rk|gsk)[_-][A-Za-z0-9_-]{20,200} | keys of many services | vague
"""

_CLASSES = {"W": "[A-Za-z0-9]", "U": "[A-Za-z0-9_-]", "H": "[0-9A-Fa-f]", "B": "[A-Za-z0-9+/]"}
_CLASS = re.compile(r"[WUHB](?=\{)")


def _services() -> tuple[Service, ...]:
    found = []
    for row in _ROWS.strip().splitlines():
        what, pattern, source, *vague = (cell.strip() for cell in re.split(r" \| ", row))
        expanded = _CLASS.sub(lambda each: _CLASSES[each[0]], pattern)
        found.append(Service(what, expanded, source, bool(vague)))
    return tuple(found)


SERVICES = _services()
"""Every kind of token, the exact ones before the vague."""
