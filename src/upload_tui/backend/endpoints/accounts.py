"""Accounts, tokens and roles, and the providers in which published clients search for people."""

from collections.abc import Sequence

from pydantic import with_config
from starlette.responses import Response
from typing_extensions import TypedDict

from upload_tui.backend.api_errors import invalid_fields, not_found
from upload_tui.backend.context import ServiceContext
from upload_tui.backend.endpoints.endpoint import Call, Endpoint, json_response, page_response
from upload_tui.backend.request_models import KeyPair, NewRole, Paging, UserSearch
from upload_tui.backend.schemas import CLOSED, AuthRoleSchema, PermissionSchema, TokenSchema, UserSchema
from upload_tui.wire import API_PATH

__all__ = ["AccountEndpoints", "AffiliateEndpoints"]

_ROLES: Sequence[AuthRoleSchema] = (
    {
        "id": "project_admin",
        "name": "Project Admin",
        "description": "May do everything with a project",
        "is_deprecated": False,
    },
    {
        "id": "project_viewer",
        "name": "Project Viewer",
        "description": "May see what is in a project",
        "is_deprecated": False,
    },
    {
        "id": "file_downloader",
        "name": "File Downloader",
        "description": "May see and download what is in a project",
        "is_deprecated": False,
    },
    {
        "id": "file_uploader",
        "name": "File Uploader",
        "description": "May upload into a project",
        "is_deprecated": False,
    },
    {
        "id": "file_editor",
        "name": "File Editor",
        "description": "May see, download, upload and delete files",
        "is_deprecated": False,
    },
)


class AccountEndpoints:
    """The endpoints of accounts."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    def endpoints(self) -> Sequence[Endpoint]:
        """Return the endpoints."""
        role_path = f"{API_PATH}/projects/{{id}}/permissions/{{user_id}}"
        return (
            Endpoint(
                "POST",
                f"{API_PATH}/software_agents/api_token",
                self.exchange_keys,
                TokenSchema,
                status=201,
                body=KeyPair,
                needs_token=False,
            ),
            Endpoint("GET", f"{API_PATH}/current_user", self.show_own, UserSchema),
            Endpoint("GET", f"{API_PATH}/users", self.search, UserSchema, query=UserSearch),
            Endpoint("GET", f"{API_PATH}/users/{{id}}", self.show, UserSchema),
            Endpoint("GET", f"{API_PATH}/auth_roles", self.list_roles, AuthRoleSchema, query=Paging),
            Endpoint(
                "GET", f"{API_PATH}/projects/{{id}}/permissions", self.list_permissions, PermissionSchema, query=Paging
            ),
            Endpoint("GET", role_path, self.show_permission, PermissionSchema),
            Endpoint("PUT", role_path, self.grant_permission, PermissionSchema, body=NewRole),
        )

    async def exchange_keys(self, call: Call[KeyPair]) -> Response:
        """Exchange the keys of an agent and a user for a token."""
        token, ends_on = self._context.authority.exchange_keys(call.parameters.agent_key, call.parameters.user_key)
        seconds = round((ends_on - self._context.clock.now()).total_seconds())
        written: TokenSchema = {
            "api_token": token,
            "expires_on": int(ends_on.timestamp()),
            "time_to_live": seconds,
        }
        return json_response(written, 201)

    async def show_own(self, _: Call[None]) -> Response:
        """Show the account that the token belongs to."""
        return json_response(self._context.serializer.user())

    async def search(self, call: Call[UserSearch]) -> Response:
        """List accounts, a page at a time."""
        search, user = call.parameters, self._context.serializer.user()
        is_match = search.is_match(user)
        return page_response([user] if is_match and search.page == 1 else [], int(is_match), search)

    async def show(self, call: Call[None]) -> Response:
        """Show an account."""
        self._check_user(call.id)
        return json_response(self._context.serializer.user())

    async def list_roles(self, call: Call[Paging]) -> Response:
        """List the roles that an account can have in a project."""
        start = call.parameters.offset
        return page_response(_ROLES[start : start + call.parameters.per_page], len(_ROLES), call.parameters)

    async def list_permissions(self, call: Call[Paging]) -> Response:
        """List the permissions in a project."""
        project = self._context.project(call.id)
        own = [self._context.serializer.permission(project.id, _ROLES[0])] if call.parameters.page == 1 else []
        return page_response(own, 1, call.parameters)

    async def show_permission(self, call: Call[None]) -> Response:
        """Show the permission of an account in a project."""
        project = self._context.project(call.id)
        self._check_user(str(call.request.path_params["user_id"]))
        return json_response(self._context.serializer.permission(project.id, _ROLES[0]))

    async def grant_permission(self, call: Call[NewRole]) -> Response:
        """Give an account a role in a project; the only account stays its admin."""
        project = self._context.project(call.id)
        self._check_user(str(call.request.path_params["user_id"]))
        role = next((role for role in _ROLES if role["id"] == call.parameters.auth_role.id), None)
        if role is None:
            raise not_found("AuthRole")
        if role is not _ROLES[0]:
            raise invalid_fields(auth_role="the only account of a project is its admin")
        return json_response(self._context.serializer.permission(project.id, role))

    def _check_user(self, user_id: str) -> None:
        if user_id != self._context.authority.account.id:
            raise not_found("User")


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
