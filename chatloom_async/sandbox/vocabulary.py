"""The words that seeded agents are made of. All host names are under names that RFC 2606 reserves."""

from typing import Final

POSITIONS: Final = ("bottom-right", "bottom-right", "bottom-right", "bottom-left", "top-right", "top-left")
"""The four documented positions, the usual one most often."""

TEMPLATES: Final = ("modern", "modern", "classic", "minimal", "bubble")

ROLES: Final = (
    "Sales Assistant",
    "Returns Desk",
    "Order Tracking",
    "Billing Help",
    "Store Finder",
    "Product Advisor",
    "Booking Assistant",
    "Warranty Desk",
    "Onboarding Guide",
    "Technical Support",
    "Careers Assistant",
    "Press Desk",
    "Size Guide",
    "Gift Finder",
    "Delivery Questions",
    "Account Recovery",
    "Subscription Help",
    "Partner Portal",
    "Spare Parts",
    "Event Concierge",
    "Documentation Search",
    "Quote Request",
    "Accessibility Help",
    "Night Shift",
)

PALETTES: Final = (  # primary and secondary; white text is readable on all of them
    ("#611F69", "#764ba2"),
    ("#0B5FFF", "#003EB3"),
    ("#0F766E", "#115E59"),
    ("#B91C1C", "#7F1D1D"),
    ("#1F2937", "#374151"),
    ("#9A3412", "#7C2D12"),
    ("#166534", "#14532D"),
    ("#6D28D9", "#4C1D95"),
    ("#BE185D", "#831843"),
    ("#0369A1", "#0C4A6E"),
)

SITES: Final = (
    "www.{brand}.example",
    "shop.{brand}.example",
    "help.{brand}.example",
    "blog.{brand}.example",
    "portal.{brand}.example",
    "{brand}.example.com",
    "support.{brand}.example.com",
    "{brand}.example.org",
    "{brand}.example.net",
)
