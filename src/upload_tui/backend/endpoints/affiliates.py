"""Authentication providers and their affiliates, which published clients look people up in. There is one of each."""

from collections.abc import Sequence

from pydantic import with_config
from starlette.responses import Response
from typing_extensions import TypedDict

from upload_tui.backend.api_errors import not_found
from upload_tui.backend.context import ServiceContext
from upload_tui.backend.endpoints.endpoint import Call, Endpoint
from upload_tui.backend.endpoints.responses import json_response, page_response
from upload_tui.backend.request_models import Paging, UserSearch
from upload_tui.backend.schemas import CLOSED, UserSchema
from upload_tui.wire import API_PATH

__all__ = ["AffiliateEndpoints"]


@with_config(CLOSED)
class AuthProviderSchema(TypedDict):
    """A service that knows people by a user name; the embedded one knows its own account."""

    id: str
    service_id: str
    name: str
    is_deprecated: bool
    is_default: bool


@with_config(CLOSED)
class AffiliateSchema(TypedDict):
    """A person whom an authentication provider knows; `uid` is the user name."""

    uid: str
    full_name: str
    first_name: str
    last_name: str
    email: str


_PROVIDER: AuthProviderSchema = {
    "id": "0b2c1a9e-3f54-4d1b-9c67-5e8a2f7d4c10",
    "service_id": "embedded",
    "name": "The embedded service's own account",
    "is_deprecated": False,
    "is_default": True,
}


class AffiliateEndpoints:
    """The endpoints of authentication providers."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the endpoints."""
        all_of_them = f"{API_PATH}/auth_providers"
        affiliates = f"{all_of_them}/{{id}}/affiliates"
        return (
            Endpoint("GET", all_of_them, self.list_providers, AuthProviderSchema, query=Paging),
            Endpoint("GET", f"{all_of_them}/{{id}}", self.show_provider, AuthProviderSchema),
            Endpoint("GET", affiliates, self.search, AffiliateSchema, query=UserSearch),
            Endpoint("GET", f"{affiliates}/{{uid}}", self.show, AffiliateSchema),
            Endpoint("POST", f"{affiliates}/{{uid}}/dds_user", self.register, UserSchema, status=201),
        )

    async def list_providers(self, call: Call[Paging]) -> Response:
        """List the authentication providers; there is one."""
        return page_response([_PROVIDER] if call.parameters.page == 1 else [], 1, call.parameters)

    async def show_provider(self, call: Call[None]) -> Response:
        """Show an authentication provider."""
        _check_provider(call.id)
        return json_response(_PROVIDER)

    async def search(self, call: Call[UserSearch]) -> Response:
        """List affiliates, a page at a time."""
        _check_provider(call.id)
        is_match = call.parameters.is_match(self._context.serializer.user())
        found = [self._affiliate()] if is_match and call.parameters.page == 1 else []
        return page_response(found, int(is_match), call.parameters)

    async def show(self, call: Call[None]) -> Response:
        """Show an affiliate."""
        self._check_affiliate(call)
        return json_response(self._affiliate())

    async def register(self, call: Call[None]) -> Response:
        """Give an affiliate an account; the only one has it already."""
        self._check_affiliate(call)
        return json_response(self._context.serializer.user(), 201)

    def _affiliate(self) -> AffiliateSchema:
        user = self._context.serializer.user()
        return {
            "uid": user["username"],
            "full_name": user["full_name"],
            "first_name": user["first_name"],
            "last_name": user["last_name"],
            "email": user["email"],
        }

    def _check_affiliate(self, call: Call[None]) -> None:
        _check_provider(call.id)
        if call.request.path_params["uid"] != self._context.authority.account.username:
            raise not_found("Affiliate")


def _check_provider(provider_id: str) -> None:
    if provider_id != _PROVIDER["id"]:
        raise not_found("AuthenticationProvider")
