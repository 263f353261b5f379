"""Types of the names that pass between layers. Owns no meaning: whoever makes an id says what it is."""

from __future__ import annotations

from typing import NewType

ActionKey = NewType("ActionKey", str)  # hex SHA-256 of an action's canonical ingredients
RecipeKey = NewType("RecipeKey", str)  # the same without the take number
ResultId = NewType("ResultId", str)  # one result of a key; derived from the task's id
TaskId = NewType("TaskId", str)  # Runway's own id of its task (UUID v4)
IntentId = NewType("IntentId", int)  # one paid request the ledger was told of before it left
OwnerId = NewType("OwnerId", str)  # one process that may hold claims
RunId = NewType("RunId", str)  # one execution of a plan
