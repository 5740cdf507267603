"""Authentication: the demo account, tokens and signed URLs. Secrets are compared in constant time."""

import hashlib
import hmac
import uuid
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode

from upload_tui.backend.api_errors import ApiError, expired_token, unauthorized
from upload_tui.clock import Clock

__all__ = ["TOKEN_LIFETIME", "URL_LIFETIME", "DemoAccount", "TokenAuthority"]

TOKEN_LIFETIME = timedelta(seconds=7200)
URL_LIFETIME = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """The only account. It exists from the start."""

    id: str
    username: str
    full_name: str
    email: str
    agent_key: str = field(repr=False)
    user_key: str = field(repr=False)


class TokenAuthority:
    """Issues and verifies tokens and signed URLs.

    Args:
        secret: the key that everything is derived from. The same secret keeps earlier tokens valid.
        clock: for expiry times.
    """

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock
        self.account = DemoAccount(
            id=str(uuid.UUID(bytes=self._digest("account id")[:16], version=4)),
            username="ada",
            full_name="Ada Lovelace",
            email="ada@example.org",
            agent_key=self._digest("agent key")[:16].hex(),
            user_key=self._digest("user key")[:16].hex(),
        )

    def new_token(self) -> tuple[str, datetime]:
        """Issue a token for the account. Returns the token and when it expires."""
        expires_on = self._clock.now() + TOKEN_LIFETIME
        claim = f"{self.account.id}.{int(expires_on.timestamp())}"
        return f"{claim}.{self._sign(claim)}", expires_on

    def exchange_keys(self, agent_key: str, user_key: str) -> tuple[str, datetime]:
        """Issue a token for a pair of keys.

        Raises:
            ApiError: 404, the keys are wrong.
        """
        right_agent = hmac.compare_digest(agent_key.encode(), self.account.agent_key.encode())
        right_user = hmac.compare_digest(user_key.encode(), self.account.user_key.encode())
        if not (right_agent and right_user):
            raise ApiError(404, "invalid key", "ensure that you provide a valid agent_key and user_key")
        return self.new_token()

    def check_token(self, token: str | None) -> None:
        """Verify a token; None or empty means that the request has none.

        Raises:
            ApiError: 401, the token is missing, invalid or expired.
        """
        if not token:
            raise ApiError(401, "no api_token", "you might need to login through an authenticaton service")
        claim, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(claim).encode()):
            raise ApiError(401, "invalid api_token", "token not properly signed")
        if int(claim.rpartition(".")[2]) <= self._clock.now().timestamp():
            raise expired_token()

    def sign_url(self, method: str, path: str) -> str:
        """Add an expiry time and a signature to a path. The URL is valid for this method and this path only."""
        expires = int((self._clock.now() + URL_LIFETIME).timestamp())
        signature = self._sign(f"{method}\n{path}\n{expires}")
        return f"{path}?{urlencode({'expires': expires, 'signature': signature})}"

    def check_url(self, method: str, path: str, query: str) -> None:
        """Verify a signed URL.

        Raises:
            ApiError: 403, whatever is wrong with it.
        """
        parameters = dict(parse_qsl(query))
        expires = parameters.get("expires", "")
        expected = self._sign(f"{method}\n{path}\n{expires}")
        is_genuine = hmac.compare_digest(parameters.get("signature", "").encode(), expected.encode())
        if not is_genuine or not expires.isdigit() or int(expires) <= self._clock.now().timestamp():
            raise unauthorized()

    def _sign(self, text: str) -> str:
        return urlsafe_b64encode(self._digest(text)).decode().rstrip("=")

    def _digest(self, text: str) -> bytes:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).digest()
