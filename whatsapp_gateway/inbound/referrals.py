"""The reason why a person wrote, and whether they forwarded the message: metadata beside the content."""

from whatsapp_gateway.inbound.fields import Object, flag_in, object_in, text_in
from whatsapp_gateway.model.updates import Referral


def read_referral(message: Object) -> Referral | None:
    """The advertisement or post that they tapped, or the product that they viewed."""
    referral = object_in(message, "referral")
    if referral:
        return Referral(
            text_in(referral, "source_type") or "ad",
            text_in(referral, "headline"),
            text_in(referral, "body"),
            text_in(referral, "source_url"),
        )
    product = object_in(object_in(message, "context"), "referred_product")
    name = text_in(product, "product_retailer_id")
    return Referral("product", name) if name else None


def is_forwarded(message: Object) -> bool:
    """Whether another person wrote it and this person forwarded it."""
    context = object_in(message, "context")
    return flag_in(context, "forwarded") or flag_in(context, "frequently_forwarded")
