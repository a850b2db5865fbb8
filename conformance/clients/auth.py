"""Cases of /auth/v1 by the PyPI package supabase. usage: auth.py URL ANON_KEY SERVICE_KEY"""
import http.cookiejar
import json
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid

from supabase import create_client
from supabase_auth.errors import AuthApiError, AuthWeakPasswordError

url, anon_key, service_key, issuer = sys.argv[1:5]
PASSWORD = "correct horse battery"
admin = create_client(url, service_key).auth.admin
cases = []


def case(run):
    cases.append(run)
    return run


def case_with_provider(run):
    """The provider is npm's: without npm there is none."""
    return case(run) if issuer else run


def visitor():
    return create_client(url, anon_key).auth


def address():
    return f"{uuid.uuid4()}@example.com"


def signed_up():
    auth, email = visitor(), address()
    auth.sign_up({"email": email, "password": PASSWORD})
    return auth, email


def refused(run, status, code):
    try:
        run()
    except (AuthApiError, AuthWeakPasswordError) as error:
        assert (error.status, error.code) == (status, code), (error.status, error.code, error.message)
        return error
    raise AssertionError("it was not refused")


def code_to(email):
    request = urllib.request.Request(f"{url}/auth/v1/dev/mails?to={email}", headers={"accept": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return re.search(r"\b\d{6}\b", json.load(answer)[0]["text"]).group(0)


@case
def sign_up_and_in():
    auth, email = signed_up()
    assert auth.get_user().user.email == email
    assert visitor().sign_in_with_password({"email": email, "password": PASSWORD}).session.access_token
    wrong = {"email": email, "password": "wrong"}
    refused(lambda: visitor().sign_in_with_password(wrong), 400, "invalid_credentials")
    refused(lambda: visitor().sign_up({"email": email, "password": PASSWORD}), 422, "user_already_exists")
    refused(lambda: visitor().sign_up({"email": address(), "password": "short"}), 422, "weak_password")


@case
def refresh_and_sign_out():
    auth, _ = signed_up()
    before = auth.get_session().refresh_token
    assert auth.refresh_session().session.refresh_token != before
    auth.sign_out()
    assert auth.get_session() is None


@case
def change_oneself():
    auth, email = signed_up()
    assert auth.update_user({"data": {"city": "Lyon"}}).user.user_metadata["city"] == "Lyon"
    auth.update_user({"password": "another horse"})
    visitor().sign_in_with_password({"email": email, "password": "another horse"})


@case
def by_mail():
    email = address()
    visitor().sign_in_with_otp({"email": email})
    refused(lambda: visitor().sign_in_with_otp({"email": email}), 429, "over_email_send_rate_limit")
    assert visitor().verify_otp({"type": "email", "email": email, "token": code_to(email)}).session
    time.sleep(1.1)
    visitor().reset_password_for_email(email)
    assert visitor().verify_otp({"type": "recovery", "email": email, "token": code_to(email)}).session


@case
def without_a_name():
    assert visitor().sign_in_anonymously().user.is_anonymous


@case
def the_service():
    email = address()
    user = admin.create_user({"email": email, "password": PASSWORD, "email_confirm": True}).user
    assert admin.get_user_by_id(user.id).user.email == email
    assert any(listed.email for listed in admin.list_users())
    assert admin.update_user_by_id(user.id, {"user_metadata": {"a": 1}}).user.user_metadata["a"] == 1
    link = admin.generate_link({"type": "magiclink", "email": email})
    assert visitor().verify_otp({"type": "magiclink", "token_hash": link.properties.hashed_token}).session
    invited = address()
    assert admin.invite_user_by_email(invited).user.email == invited
    admin.delete_user(user.id)
    refused(lambda: admin.get_user_by_id(user.id), 404, "user_not_found")


@case
def second_factors():
    auth, _ = signed_up()
    factor = auth.mfa.enroll({"factor_type": "totp", "friendly_name": "phone"})
    assert factor.totp.uri.startswith("otpauth://totp/")
    wrong = {"factor_id": factor.id, "code": "abcdef"}
    refused(lambda: auth.mfa.challenge_and_verify(wrong), 422, "mfa_verification_failed")
    auth.mfa.unenroll({"factor_id": factor.id})


class Stays(urllib.request.HTTPRedirectHandler):
    """Follows the server's and the provider's redirects, and stops at the first that leads away from both."""

    def redirect_request(self, request, *rest):
        place = rest[-1]
        return super().redirect_request(request, *rest) if place.startswith((url, issuer)) else None


def browse(address, login):
    """Goes through the provider's pages as `login`: the place outside of both to which the browser is sent."""
    opener = urllib.request.build_opener(Stays, urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    form = None
    for _ in range(6):
        try:
            with opener.open(address, form) as answer:
                page, here = answer.read().decode(), answer.url
        except urllib.error.HTTPError as left:
            assert left.code in (302, 303), (left.code, left.read())
            return left.headers["location"]
        prompt = re.search(r'name="prompt" value="([^"]+)"', page).group(1)
        fields = {"prompt": prompt, "login": login, "password": "x"} if prompt == "login" else {"prompt": prompt}
        address = urllib.parse.urljoin(here, re.search(r'<form[^>]*action="([^"]+)"', page).group(1))
        form = urllib.parse.urlencode(fields).encode()
    raise AssertionError("the browser goes round in circles")


@case_with_provider
def another_provider():
    auth, email = visitor(), address()
    begun = auth.sign_in_with_oauth({"provider": "keycloak", "options": {"redirect_to": "http://localhost:3000/in"}})
    place = urllib.parse.urlparse(browse(begun.url, email))
    given = urllib.parse.parse_qs(place.query or place.fragment)
    if "code" in given:
        user = auth.exchange_code_for_session({"auth_code": given["code"][0]}).user
    else:
        user = auth.set_session(given["access_token"][0], given["refresh_token"][0]).user
    assert (user.email, user.app_metadata["provider"]) == (email, "keycloak")


@case_with_provider
def a_way_to_sign_in_is_added_and_taken_away():
    auth, _ = signed_up()
    linking = auth.link_identity({"provider": "keycloak", "options": {"redirect_to": "http://localhost:3000/in"}})
    browse(linking.url, address())
    identities = auth.get_user_identities().identities
    assert sorted(identity.provider for identity in identities) == ["email", "keycloak"]
    auth.unlink_identity(next(identity for identity in identities if identity.provider == "keycloak"))
    assert len(auth.get_user_identities().identities) == 1


@case
def an_id_token_that_is_none():
    wrong = {"provider": "keycloak", "token": "x.y.z"}
    try:
        visitor().sign_in_with_id_token(wrong)
    except AuthApiError as error:
        assert error.status == 400, error
    else:
        raise AssertionError("it was not refused")


@case
def everywhere_else_signed_out():
    auth, email = signed_up()
    other = visitor()
    other.sign_in_with_password({"email": email, "password": PASSWORD})
    other.sign_out({"scope": "others"})
    refused(auth.refresh_session, 400, "refresh_token_not_found")
    assert other.get_user().user.email == email


@case
def once_more():
    auth, email = signed_up()
    time.sleep(1.1)
    auth.resend({"type": "signup", "email": email})
    time.sleep(1.1)
    auth.reauthenticate()
    auth.update_user({"password": "another horse", "nonce": code_to(email)})
    claims = auth.get_claims()["claims"]
    assert claims["role"] == "authenticated"


failed = 0
for run in cases:
    try:
        run()
    except Exception as error:  # noqa: BLE001 (whatever it is, it is told)
        failed += 1
        print(f"supabase-py: auth: {run.__name__}: {type(error).__name__}: {error}")
print(f"{len(cases) - failed} passed, {failed} failed, 0 skipped")
sys.exit(1 if failed else 0)
