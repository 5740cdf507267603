"""The OpenAPI document, generated from the endpoints, their request models and their response types."""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from inspect import getdoc
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

from upload_tui import __version__
from upload_tui.backend.endpoints.endpoint import Endpoint
from upload_tui.backend.endpoints.responses import PAGE_HEADERS
from upload_tui.backend.request_models import Paging
from upload_tui.backend.schemas import ErrorSchema, ParameterErrorSchema
from upload_tui.wire import STATUS_SHAPE_HEADER, StatusShape

__all__ = ["openapi_document"]

_Mode = Literal["validation", "serialization"]
_REFERENCE = "#/components/schemas/{model}"
_PATH_PARAMETER = re.compile(r"{(\w+)(?::(\w+))?}")
_ERROR_SCHEMAS = ErrorSchema | ParameterErrorSchema
_COMMON_ERROR_STATUSES = (400, 429, 500, 503)
_BINARY_CONTENT = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_FORM_HINT = "Form fields are accepted as well, nested ones in brackets: `hash[value]=…`."
"""A second media type for the same body breaks common generators of clients, so it is only mentioned."""
_ERROR_REFERENCE = {"$ref": "#/components/responses/Error"}


def openapi_document(endpoints: Sequence[Endpoint], server_url: str) -> Mapping[str, Any]:
    """Describe endpoints of a service at a URL."""
    schemas = _Schemas(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        path = _PATH_PARAMETER.sub(r"{\1}", endpoint.path)
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "upload-tui's embedded data service",
            "version": __version__,
            "description": "Projects, files and chunked uploads, verified after they are completed.",
        },
        "servers": [{"url": server_url}],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "responses": {"Error": schemas.error_response},
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "Authorization"}},
        },
    }


class _Schemas:
    """JSON schemas of all request models and response types; each named type is defined once."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        types: dict[tuple[str, _Mode], Any] = {("error", "serialization"): _ERROR_SCHEMAS}
        for endpoint in endpoints:
            for model in (endpoint.body, endpoint.query):
                if model is not None:
                    types[model.__name__, "validation"] = model
            if endpoint.response_model not in {None, bytes}:
                types[repr(endpoint.response_model), "serialization"] = endpoint.response_model
        adapters = [(name, mode, TypeAdapter[Any](kind)) for (name, mode), kind in types.items()]
        self._schemas, defined = TypeAdapter.json_schemas(adapters, ref_template=_REFERENCE)
        self.definitions = defined["$defs"]

    @property
    def error_response(self) -> Mapping[str, Any]:
        """The one response that describes all errors, whatever their status."""
        content = {"application/json": {"schema": self._schemas["error", "serialization"]}}
        return {"description": "An error: what is wrong, and what can help", "content": content}

    def response(self, kind: Any) -> Mapping[str, Any]:
        """The schema of a response type."""
        return self._schemas[repr(kind), "serialization"]

    def reference(self, model: type[BaseModel]) -> Mapping[str, Any]:
        """The schema of a request model, a reference to its definition."""
        return self._schemas[model.__name__, "validation"]

    def request(self, model: type[BaseModel]) -> Mapping[str, Any]:
        """The schema of a request model, its reference resolved."""
        schema = self._schemas[model.__name__, "validation"]
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        definition: Mapping[str, Any] = self.definitions[name] if name else schema
        return definition


def _operation(endpoint: Endpoint, schemas: _Schemas) -> Mapping[str, Any]:
    summary, _, rest = (getdoc(endpoint.handler) or "").partition("\n")
    operation: dict[str, Any] = {
        "tags": [_resource(endpoint)],
        "summary": summary,
        "operationId": _operation_id(endpoint),
        "parameters": list(_parameters(endpoint, schemas)),
        "responses": {
            str(endpoint.status): _success_response(endpoint, schemas),
            **{str(status): _ERROR_REFERENCE for status in sorted(_error_statuses(endpoint))},
        },
    }
    if rest.strip():
        operation["description"] = rest.strip()
    if endpoint.body is not None:
        content = {"application/json": {"schema": schemas.reference(endpoint.body)}}
        operation["requestBody"] = {"description": _FORM_HINT, "required": True, "content": content}
    elif endpoint.has_binary_body:
        operation["requestBody"] = {"required": True, "content": _BINARY_CONTENT}
    operation["security"] = [{"token": []}] if endpoint.needs_token else []
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    """Name an operation by resource and handler: `upload_initiate`."""
    return f"{_resource(endpoint)}_{endpoint.handler.__name__}"


def _resource(endpoint: Endpoint) -> str:
    """Name the kind of resource that an endpoint belongs to: `upload`."""
    endpoints = type(endpoint.handler.__self__)  # type: ignore[attr-defined]
    return str(endpoints.__name__.removesuffix("Endpoints").lower())


def _parameters(endpoint: Endpoint, schemas: _Schemas) -> Iterator[Mapping[str, Any]]:
    for name, converter in _PATH_PARAMETER.findall(endpoint.path):
        schema = {"type": "integer", "minimum": 0} if converter == "int" else {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    if endpoint.query is not None:
        for name, schema in schemas.request(endpoint.query)["properties"].items():
            yield {"name": name, "in": "query", "required": False, "schema": schema}
    if endpoint.has_status:
        schema = {"type": "string", "enum": [str(design) for design in StatusShape]}
        description = "the shape of `status` in this response"
        yield {
            "name": STATUS_SHAPE_HEADER,
            "in": "header",
            "description": description,
            "required": False,
            "schema": schema,
        }


def _success_response(endpoint: Endpoint, schemas: _Schemas) -> Mapping[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(endpoint.status).phrase}
    if endpoint.response_model is bytes:
        good["content"] = _BINARY_CONTENT
    elif endpoint.response_model is not None:
        schema = schemas.response(endpoint.response_model)
        is_page = endpoint.query is not None and issubclass(endpoint.query, Paging)
        good["content"] = {"application/json": {"schema": _page_schema(schema) if is_page else schema}}
        if is_page:
            good["headers"] = {
                name: {"description": description, "required": True, "schema": {"type": "string"}}
                for name, description in PAGE_HEADERS.items()
            }
    return good


def _page_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    results = {"type": "array", "items": schema}
    return {
        "type": "object",
        "properties": {"results": results},
        "required": ["results"],
        "additionalProperties": False,
    }


def _error_statuses(endpoint: Endpoint) -> Iterator[int]:
    yield from _COMMON_ERROR_STATUSES
    yield 401 if endpoint.needs_token else 403
    if "{" in endpoint.path or endpoint.body is not None:
        yield 404
    if endpoint.body is not None or endpoint.has_binary_body:
        yield 413
