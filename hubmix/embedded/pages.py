"""The pages of a hub: model lists, prices, balances, status."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from hubmix.embedded.accounts import QUOTA_PER_USD, UNLIMITED_USD, Account
from hubmix.embedded.dialects import Dialect
from hubmix.embedded.http import HTML_TYPE, Response, json_response
from hubmix.embedded.models import EmbeddedModel, Registry

# The constants that the measured hubs report: never dates to sort by.
CREATED = 1626777600  # New API, one-api
ONE_HUB_CREATED = 1677649963

_PERMISSION = {
    "id": "modelperm-embedded", "object": "model_permission", "created": CREATED, "allow_create_engine": True,
    "allow_sampling": True, "allow_logprobs": True, "allow_search_indices": False, "allow_view": True,
    "allow_fine_tuning": False, "organization": "*", "group": None, "is_blocking": False,
}  # fmt: skip


def models(dialect: Dialect, registry: Registry) -> Response:
    """GET /v1/models."""
    data = [_model(dialect, model) for model in registry]
    if dialect.name == "new-api":
        return json_response(200, {"data": data, "object": "list", "success": True})
    return json_response(200, {"data": data} if dialect.name == "aihubmix" else {"data": data, "object": "list"})


def _model(dialect: Dialect, model: EmbeddedModel) -> dict[str, Any]:
    entry = {"id": model.id, "object": "model", "created": CREATED, "owned_by": model.owner}
    if dialect.name == "new-api":
        return {**entry, "supported_endpoint_types": _endpoint_types(model)}
    if dialect.name == "one-hub":
        return {**entry, "created": ONE_HUB_CREATED}
    known = model.owner != "custom"
    return {**entry, "permission": [_PERMISSION] if known else None, "root": model.id, "parent": None}


def _endpoint_types(model: EmbeddedModel) -> list[str]:
    """Return New API's list; it names Responses only for models without chat."""
    if model.kind != "llm":
        return ["jina-rerank" if model.kind == "rerank" else "openai"]
    if model.apis[0] == "messages":
        return ["anthropic", "openai"]
    return ["openai"] if "chat" in model.apis else ["openai-response"]


def one_model(dialect: Dialect, registry: Registry, model_id: str) -> Response:
    """GET /v1/models/{id}: a served model can be missing, as on real hubs."""
    if "/" in model_id:
        return dialect.unknown_path("GET", f"/v1/models/{model_id}")
    model = registry.find(model_id)
    if model is None or model.owner == "custom":
        message = f"The model '{model_id}' does not exist"
        error = {"message": message, "type": "invalid_request_error", "param": "model", "code": "model_not_found"}
        return json_response(200, {"error": error})
    body = _model(dialect, model)
    return json_response(200, {**body, "supported_endpoint_types": None} if dialect.name == "new-api" else body)


def rich_catalog(registry: Registry, query: Mapping[str, str], if_none_match: str | None) -> Response:
    """GET /api/v1/models, AIHubMix's catalog, in USD per million tokens."""
    data = [_catalog_entry(model) for model in registry if _wanted(model, query)]
    body = {"data": data, "message": "", "success": True}
    tag = f'"{hashlib.sha256(json.dumps(body).encode()).hexdigest()[:16]}"'
    headers = {"ETag": tag, "Cache-Control": "public, max-age=300, stale-while-revalidate=300"}
    if if_none_match == tag:
        return Response(304, content_type=None, headers=headers)
    return json_response(200, body, headers=headers)


def _catalog_entry(model: EmbeddedModel) -> dict[str, Any]:
    price, output, cached = model.price
    pricing: dict[str, Any] = {"input": price, "output": output, **({"cache_read": cached} if cached else {})}
    if model.tiers:
        pricing["tiers"] = [{"max": t.up_to, "input": t.input, "output": t.output} for t in model.tiers]
    leaving = {"retire_stage": model.retire_stage, "retired_at": model.retired_at, "successor_model": model.successor}
    names = {"chat": "chat_completions", "responses": "responses", "messages": "claude_api"}
    endpoints = {"embedding": "embeddings", "rerank": "rerank"}.get(model.kind) or ",".join(
        names[api] for api in model.apis
    )
    return {
        "model_id": model.id,
        "model_name": model.id,
        "developer_name": model.owner,
        "desc": model.description,
        "pricing": pricing,
        "types": model.kind,
        "features": ",".join(model.features),
        "input_modalities": ",".join(model.modalities),
        "endpoints": endpoints,
        "max_output": model.max_output,
        "context_length": model.context_length,
        **({name: value for name, value in leaving.items() if value} if model.retire_stage else {}),
    }


def _wanted(model: EmbeddedModel, query: Mapping[str, str]) -> bool:
    def has_all(wanted: str, values: Iterable[str]) -> bool:
        return set(filter(None, wanted.split(","))) <= set(values)

    return (
        has_all(query.get("type") or query.get("types") or "", [model.kind])
        and has_all(query.get("features", ""), model.features)
        and has_all(query.get("modalities", ""), model.modalities)
        and query.get("model", "").lower() in model.id.lower()
    )


def pricing(registry: Registry, groups: Mapping[str, float]) -> Response:
    """GET /api/pricing, New API's ratios of 2 USD per million tokens."""
    data = [_priced(model, groups) for model in registry]
    data[0]["pricing_version"] = hashlib.sha256(
        b"embedded"
    ).hexdigest()  # an oddity of the real page: the first entry has it too
    endpoints = {
        "jina-rerank": {"path": "/v1/rerank", "method": "POST"},
        "openai": {"path": "/v1/chat/completions", "method": "POST"},
    }
    return json_response(
        200,
        {
            "auto_groups": list(groups)[:1],
            "data": data,
            "group_ratio": dict(groups),
            "pricing_version": hashlib.sha256(json.dumps(data).encode()).hexdigest()[:32],
            "success": True,
            "supported_endpoint": endpoints,
            "usable_group": {name: f"{name}分组" for name in groups},
            "vendors": [{"id": 1, "name": "Embedded", "icon": "Embedded"}],
        },
    )


def _priced(model: EmbeddedModel, groups: Mapping[str, float]) -> dict[str, Any]:
    price, output, cached = model.price
    entry: dict[str, Any] = {
        "model_name": model.id,
        "vendor_id": 1,
        "quota_type": 0,
        "model_ratio": round(price / 2, 6),
        "model_price": 0,
        "owner_by": "",
        "completion_ratio": output / price if price and output else 1,
    }
    if cached:
        entry["cache_ratio"] = cached / price
    if model.tiers:
        # What the ratios say is a leftover; the expression rules: USD per million tokens, by the prompt's length.
        entry |= {"billing_mode": "tiered_expr", "billing_expr": _expression(model), "model_ratio": 37.5}
    return {**entry, "enable_groups": list(groups), "supported_endpoint_types": _endpoint_types(model)}


def _expression(model: EmbeddedModel) -> str:
    """Return the tiers as New API's expression; a single one has no condition."""
    written = [f'tier("t{at}", p * {tier.input} + c * {tier.output})' for at, tier in enumerate(model.tiers)]
    found = written.pop()
    for tier, one in zip(reversed(model.tiers[:-1]), reversed(written), strict=True):
        found = f"len <= {tier.up_to} ? {one} : {found}"
    return found


def available_models(registry: Registry, groups: Mapping[str, float]) -> Response:
    """GET /api/available_model, one-hub's prices: ratios of 2 USD per million."""
    data = {
        model.id: {
            "groups": list(groups),
            "owned_by": model.owner,
            "price": {
                "model": model.id,
                "type": "tokens",
                "channel_type": 1,
                "input": model.price[0] / 2,
                "output": model.price[1] / 2,
                "locked": False,
            },
        }
        for model in registry
    }
    return json_response(200, {"data": data, "message": "", "success": True})


def group_map(groups: Mapping[str, float]) -> Response:
    """GET /api/user_group_map, one-hub's groups with their ratios."""
    data = {
        name: {"id": at, "symbol": name, "name": name, "ratio": ratio, "public": True, "enable": True}
        for at, (name, ratio) in enumerate(groups.items(), 1)
    }
    return json_response(200, {"data": data, "message": "", "success": True})


def subscription(account: Account) -> Response:
    """GET /dashboard/billing/subscription: what was granted, not what is left."""
    granted = account.granted if account.granted is not None else UNLIMITED_USD
    limits = dict.fromkeys(("soft_limit_usd", "hard_limit_usd", "system_hard_limit_usd"), granted)
    return json_response(
        200, {"object": "billing_subscription", "has_payment_method": True, **limits, "access_until": 0}
    )


def usage(account: Account) -> Response:
    """GET /dashboard/billing/usage: hundredths of a USD."""
    return json_response(200, {"object": "list", "total_usage": round(account.used * 100, 6)})


def remain(left: float) -> Response:
    """GET /dashboard/billing/remain, AIHubMix's: what is left, as `total_usage`."""
    return json_response(200, {"object": "list", "total_usage": round(left, 6)})


def token_usage(account: Account, balance: float) -> Response:
    """GET /api/usage/token/, New API's: units of which 500,000 are one USD."""
    granted = account.granted if account.granted is not None else balance
    total, used = round(granted * QUOTA_PER_USD), round(account.used * QUOTA_PER_USD)
    data = {
        "expires_at": 0,
        "model_limits": {},
        "model_limits_enabled": False,
        "name": "embedded",
        "object": "token_usage",
        "total_available": total - used,
        "total_granted": total,
        "total_used": used,
        "unlimited_quota": account.granted is None,
    }
    return json_response(200, {"code": True, "data": data, "message": "ok"})


def moved(path: str) -> Response:
    """A path of New API that wants a slash at its end."""
    page = f'<a href="{path}/">Moved Permanently</a>.\n\n'
    return Response(301, (page.encode(),), HTML_TYPE, {"Location": f"{path}/"})


def status(dialect: Dialect) -> Response:
    """GET /api/status: public."""
    empty = (
        "chat_link", "footer_html", "github_client_id", "lark_client_id", "logo", "oidc_authorization_endpoint",
        "oidc_client_id", "oidc_token_endpoint", "oidc_userinfo_endpoint", "oidc_well_known", "top_up_link",
        "turnstile_site_key", "wechat_qrcode",
    )  # fmt: skip
    switches = ("email_verification", "github_oauth", "oidc", "turnstile_check", "wechat_login")
    data = {
        **dict.fromkeys(empty, ""),
        **dict.fromkeys(switches, False),
        "display_in_currency": True,
        "quota_per_unit": QUOTA_PER_USD,
        "server_address": "http://localhost:3000",
        "start_time": CREATED,
        "system_name": dialect.title,
        "version": "v0.0.0",
    }
    return json_response(200, {"data": data, "message": "", "success": True})


def user_self(dialect: Dialect) -> Response:
    """GET /api/user/self with a model key, which is not what it wants."""
    if dialect.name == "new-api":
        message = "Unauthorized, invalid access token"
        return json_response(401, {"code": "AUTH_UNAUTHORIZED", "message": message, "success": False})
    return json_response(200, {"message": "无权进行此操作，access token 无效", "success": False})
