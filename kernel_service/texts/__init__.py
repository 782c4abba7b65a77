"""Every fixed sentence that a person may be told, in a module per concern. The model's answers are not fixed.

A sentence that takes values is a function: what a person, a vendor or a model wrote goes in as it is and is never read
as a template. A sentence says what happened, and what the person can do next.
"""

from kernel_service.texts import answers, approvals, attachments, connecting, limits, memory, schedules, triggers

__all__ = ["answers", "approvals", "attachments", "connecting", "limits", "memory", "schedules", "triggers"]
