"""The catalog: what a hub can serve, asked from the hub itself."""

from hubmix.catalog.catalog import ModelCatalog
from hubmix.catalog.listing import ModelList
from hubmix.catalog.models import CatalogInfo, ModelInfo
from hubmix.catalog.pricing import Pricing
from hubmix.transport.get import Fetched, Fetcher
from hubmix.wire.values import Cost

__all__ = ["CatalogInfo", "Cost", "Fetched", "Fetcher", "ModelCatalog", "ModelInfo", "ModelList", "Pricing"]
