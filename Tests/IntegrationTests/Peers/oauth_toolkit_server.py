"""An OAuth 2.0 server that nobody of Perennial wrote: django-oauth-toolkit with rotation and reuse detection.

Prints one JSON line for each account it has made (id, refresh_token), then "ready PORT", and serves:

  POST /o/token/      the toolkit's own token endpoint
  GET  /report        families, how many of them still have a live refresh token, and how many tokens were issued
"""

import argparse
import json
import sys
import uuid
from datetime import timedelta

import django
from django.conf import settings

options = argparse.ArgumentParser()
options.add_argument("--database", required=True)
options.add_argument("--port", type=int, required=True)
options.add_argument("--accounts", type=int, required=True)
options.add_argument("--lifetime", type=int, required=True, help="of an access token, in seconds")
options = options.parse_args()

settings.configure(
    SECRET_KEY=uuid.uuid4().hex,
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": options.database,
            # Writers wait for each other instead of failing half way.
            "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE"},
        }
    },
    OAUTH2_PROVIDER={
        "ACCESS_TOKEN_EXPIRE_SECONDS": options.lifetime,
        "ROTATE_REFRESH_TOKEN": True,
        "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
        "SCOPES": {"read": "read"},
    },
    LOGGING_CONFIG=None,
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.utils import timezone  # noqa: E402
from oauth2_provider.models import AccessToken, Application, RefreshToken  # noqa: E402


def report(_request):
    families = RefreshToken.objects.values_list("token_family", flat=True).distinct()
    live = RefreshToken.objects.filter(revoked=None).values_list("token_family", flat=True)
    lost = sorted({str(family) for family in families} - {str(family) for family in live})
    return JsonResponse(
        {
            "families": len(set(families)),
            "live": len(set(live)),
            "live_tokens": len(live),
            "issued": RefreshToken.objects.count(),
            "lost": lost,
        }
    )


urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")), path("report", report)]


def seed():
    user = User.objects.create(username="owner")
    application = Application.objects.create(
        name="perennial",
        client_id="perennial-client",
        client_secret="perennial-secret",
        # Comparing a hash takes half a second of a core, which is made for passwords.
        hash_client_secret=False,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_AUTHORIZATION_CODE,
        redirect_uris="http://127.0.0.1/",
        user=user,
    )
    for number in range(options.accounts):
        access = AccessToken.objects.create(
            user=user, application=application, token=uuid.uuid4().hex, scope="read",
            expires=timezone.now() + timedelta(seconds=options.lifetime),
        )
        refresh = RefreshToken.objects.create(
            user=user, application=application, token=uuid.uuid4().hex + uuid.uuid4().hex, access_token=access,
            token_family=uuid.uuid4(),
        )
        print(json.dumps({"id": f"peer-{number}", "refresh_token": refresh.token, "family": str(refresh.token_family)}))


call_command("migrate", verbosity=0)
seed()
application = get_wsgi_application()

import waitress  # noqa: E402

server = waitress.create_server(application, host="127.0.0.1", port=options.port, threads=4)
print(f"ready {options.port}", flush=True)
sys.stdout.flush()
server.run()
