"""The tools on offer: Asana's tasks, Gmail's mails, and one that needs no account."""

from typing import Any

from emulators.composio.catalogue import Catalogue, Tool, Toolkit
from emulators.composio.trigger_types import NEW_MAIL
from emulators.composio.workplace import Mail, Task, Workplace, task_of

READS = ("readOnlyHint", "idempotentHint", "openWorldHint", "important")
CREATES = ("createHint", "openWorldHint", "important")
UPDATES = ("updateHint", "idempotentHint", "openWorldHint")
DESTROYS = ("destructiveHint", "idempotentHint", "openWorldHint")
TEXT = {"type": "string"}


def _shown(task: Task) -> dict[str, Any]:
    return {
        "gid": task.gid,
        "name": task.name,
        "completed": task.completed,
        "notes": task.notes,
        "due_on": task.due_on,
        "resource_type": "task",
    }


def _list_tasks(place: Workplace, arguments: dict[str, Any]) -> dict[str, Any]:
    finished = arguments.get("completed", False)
    tasks = [task for task in place.tasks if task.completed is finished]
    return {"data": [_shown(task) for task in tasks[: arguments.get("limit", 20)]]}


def _create_task(place: Workplace, arguments: dict[str, Any]) -> dict[str, Any]:
    task = Task(place.new_id(), arguments["name"], notes=arguments.get("notes", ""), due_on=arguments.get("due_on"))
    place.tasks.append(task)
    return {"data": _shown(task)}


def _complete_task(place: Workplace, arguments: dict[str, Any]) -> dict[str, Any]:
    task = task_of(place, arguments)
    task.completed = True
    return {"data": _shown(task)}


def _delete_task(place: Workplace, arguments: dict[str, Any]) -> dict[str, Any]:
    place.tasks.remove(task_of(place, arguments))
    return {"data": {}}


def _fetch_emails(place: Workplace, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = arguments.get("query", "").lower()
    mails = [mail for mail in place.inbox if wanted in f"{mail.sender} {mail.subject} {mail.body}".lower()]
    return {
        "messages": [
            {
                "messageId": mail.message_id,
                "sender": mail.sender,
                "to": mail.to,
                "subject": mail.subject,
                "messageText": mail.body,
            }
            for mail in mails[: arguments.get("max_results", 10)]
        ],
        "resultSizeEstimate": len(mails),
    }


def _send_email(place: Workplace, arguments: dict[str, Any]) -> dict[str, Any]:
    mail = Mail(
        place.new_id(),
        place.address,
        arguments["recipient_email"],
        arguments.get("subject", ""),
        arguments.get("body", ""),
    )
    place.sent.append(mail)
    return {"id": mail.message_id, "threadId": mail.message_id, "labelIds": ["SENT"]}


def _latest_posts(_: Workplace, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"posts": [{"name": f"Story {number}"} for number in range(1, 1 + arguments.get("limit", 3))]}


GID = {"task_gid": {**TEXT, "description": "The gid of the task."}}
COUNT = {"type": "integer", "minimum": 1, "maximum": 100}


def catalogue() -> Catalogue:
    """A new catalogue for each emulator, so that additions of one test do not reach another."""
    return Catalogue(
        [
            Toolkit("asana", "Asana", "Tasks and projects of a team."),
            Toolkit("gmail", "Gmail", "Google's mail."),
            Toolkit("hackernews", "Hacker News", "Stories and comments.", no_auth=True),
        ],
        [
            Tool(
                "ASANA_LIST_TASKS",
                "asana",
                "List tasks",
                "List the tasks of the connected person, open ones unless completed is true.",
                READS,
                {"completed": {"type": "boolean"}, "limit": COUNT},
                (),
                _list_tasks,
            ),
            Tool(
                "ASANA_CREATE_TASK",
                "asana",
                "Create a task",
                "Create a task for the connected person.",
                CREATES,
                {"name": {**TEXT, "minLength": 1}, "notes": TEXT, "due_on": {**TEXT, "format": "date"}},
                ("name",),
                _create_task,
            ),
            Tool(
                "ASANA_COMPLETE_TASK",
                "asana",
                "Complete a task",
                "Mark a task as completed.",
                UPDATES,
                GID,
                ("task_gid",),
                _complete_task,
            ),
            Tool(
                "ASANA_DELETE_TASK",
                "asana",
                "Delete a task",
                "Delete a task permanently.",
                DESTROYS,
                GID,
                ("task_gid",),
                _delete_task,
            ),
            Tool(
                "GMAIL_FETCH_EMAILS",
                "gmail",
                "Fetch emails",
                "Fetch the latest mails of the connected person, or those that contain a query.",
                READS,
                {"query": TEXT, "max_results": COUNT},
                (),
                _fetch_emails,
            ),
            Tool(
                "GMAIL_SEND_EMAIL",
                "gmail",
                "Send an email",
                "Send a mail as the connected person.",
                CREATES,
                {"recipient_email": TEXT, "subject": TEXT, "body": TEXT},
                ("recipient_email",),
                _send_email,
            ),
            Tool(
                "HACKERNEWS_GET_LATEST_POSTS",
                "hackernews",
                "Get the latest posts",
                "Get the latest posts of Hacker News.",
                READS,
                {"limit": COUNT},
                (),
                _latest_posts,
            ),
        ],
        [NEW_MAIL],
    )
