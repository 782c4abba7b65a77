"""The vendor's own client without its generated types, which cost 9 MB and 0.3 s at import. Nothing here uses them.

Import `openai` from here. A developer's tool that uses its types gets them. Its methods for single endpoints, such as
`audio.transcriptions`, load all types: `post` of the client loads none.

Source: openai 3.54. With a version that needs more of its types at import, more is loaded, and nothing else changes.
"""

from __future__ import annotations

from kernel_service.deferred_packages import defer

defer("openai.types", "openai.types.shared", "openai.types.responses")

import openai  # noqa: E402 - after they are deferred

__all__ = ["openai"]
