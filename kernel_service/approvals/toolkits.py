"""Composio's toolkits that hold the person's own content. A toolkit that is not listed counts as the open web.

Slugs as in docs.composio.dev/toolkits.
"""

from __future__ import annotations

from typing import Final

from kernel_service.approvals.words import listed

WORKSPACES: Final = listed("""
    airtable any_do asana basecamp baserow bear box clickup clockify coda craft dropbox evernote excel fibery
    gmail googlecalendar googledocs googledrive googlekeep googlesheets googleslides googlesuper googletasks
    habitica harvest height jira linear meistertask microsoft_to_do microsoft_todo monday nocodb notion
    one_drive onedrive onenote outlook reflect roam shortcut smartsheet tempo ticktick timely todo todoist toggl
    trello wrike zoho_projects
    """)
"""Content written there is seen by the person, and by the people who share the place already."""

ACCOUNTS: Final = WORKSPACES | listed("""
    acuityscheduling amplitude apollo attio bamboohr bitbucket cal calendly canvas close confluence contentful
    datadog discord discordbot docusign fathom figma fireflies fitbit freshbooks freshdesk freshservice github
    gitlab gong google_analytics google_classroom googleads googlecontacts googlemeet googlephotos gorgias
    granola greenhouse gusto hubspot intercom kit klaviyo kommo lever linkedin loom mailchimp
    metaads microsoft_bookings microsoft_teams miro mixpanel oura pagerduty pandadoc pipedrive posthog
    productboard quickbooks ramp salesforce sendgrid sentry servicenow share_point shopify slack
    slackbot splitwise spotify square strava stripe survey_monkey tally telegram typeform webex
    webflow whatsapp whoop workable xero ynab zendesk zoho zoho_books zoho_desk zoho_invoice zoho_mail zoom
    """)
"""Content read there comes from the account alone, and no third party sees the query."""
