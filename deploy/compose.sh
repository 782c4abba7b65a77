#!/bin/sh
# `make up`, `make down`: the containers of docker-compose.yml, in one project, with the settings of .env. Without a vendor's
# key there they are the demo's (deploy/demo.env). Both can be had in turn: each has a database of its own.
set -eu

REQUIRED="OPENAI_API_KEY COMPOSIO_API_KEY WHATSAPP_ACCESS_TOKEN WHATSAPP_APP_SECRET WHATSAPP_VERIFY_TOKEN
	WHATSAPP_PHONE_NUMBER_ID KERNEL_ENCRYPTION_KEYS KERNEL_TOKEN KERNEL_ADMIN_TOKEN POSTGRES_PASSWORD"
SECONDS_TO_START=300
LAST_LINES=20
# How often a service is seen failing before it counts: what is about to be replaced may be failing, too.
PATIENCE=${PATIENCE:-10}

if [ -z "${COMPOSE:-}" ]; then
	COMPOSE="docker compose"
	$COMPOSE version >/dev/null 2>&1 || COMPOSE=docker-compose
fi

said() { printf '%s\n' "$*" >&2; }

# The value that Compose will use: the environment's before the file's.
setting() {
	value=$(printenv "$1" || true)
	[ -n "$value" ] || value=$(sed -n "s/^[[:space:]]*$1=//p" .env 2>/dev/null | tail -n 1 | tr -d "\"'\r")
	printf '%s' "$value"
}

is_demo() { ! grep -qsE '^(OPENAI_API_KEY|COMPOSIO_API_KEY|WHATSAPP_ACCESS_TOKEN)=.' .env; }

compose() {
	files=
	[ ! -f .env ] || files="--env-file .env"
	! is_demo || files="$files --env-file deploy/demo.env"
	# shellcheck disable=SC2086 # both are several words
	$COMPOSE $files "$@"
}

check_settings() {
	wrong=
	for name in $REQUIRED; do
		[ -n "$(setting "$name")" ] || { said "$name is missing: set it in .env"; wrong=yes; }
	done
	case $(setting POSTGRES_PASSWORD) in
	*[!A-Za-z0-9]*) said "POSTGRES_PASSWORD must be letters and digits"; wrong=yes ;;
	esac
	[ -z "$wrong" ] || { said ".env.example says what each is for."; exit 2; }
}

# Lines of "service state health"; health is empty where nothing is probed.
states() { compose ps --all --format '{{.Service}} {{.State}} {{.Health}}'; }

# Whether some will not come up by themselves. One that ended is started anew, so that "exited" is one being replaced.
some_fail() { states | awk '$2 == "restarting" || $3 == "unhealthy" { ill = 1 } END { exit !ill }'; }

# Whether there are any, and all are well: not every version of Compose says by its exit code that it failed.
all_well() { states | awk '{ if ($2 != "running" || $3 != "healthy") ill = 1 } END { exit ill || !NR }'; }

explain() {
	said
	said "Not everything came up:"
	states >&2
	for service in $(states | awk '!($2 == "running" && $3 == "healthy") { print $1 }'); do
		said
		said "The last lines of $service:"
		compose logs --no-log-prefix --tail "$LAST_LINES" "$service" >&2
	done
}

# What `cp .env.example .env` has left open: it holds every key.
close_env() {
	[ ! -f .env ] || chmod go= .env 2>/dev/null || said ".env is open to others on this machine, and is not yours: have its owner close it (chmod go= .env)"
}

up() {
	close_env
	is_demo || check_settings
	# What the demo has and these have not.
	is_demo || compose --profile demo rm --stop --force emulators >/dev/null 2>&1 || true
	compose build
	compose up --detach --remove-orphans --wait --wait-timeout "$SECONDS_TO_START" &
	starting=$!
	trap 'kill $starting 2>/dev/null || true' INT TERM
	# Compose waits for as long as a service that ends at once is started anew.
	seen=0
	while kill -0 $starting 2>/dev/null && [ $seen -lt "$PATIENCE" ]; do
		sleep 1
		# Between two of its starts it seems to run.
		if some_fail; then seen=$((seen + 2)); elif [ $seen -gt 0 ]; then seen=$((seen - 1)); fi
	done
	[ $seen -lt "$PATIENCE" ] || kill $starting 2>/dev/null || true
	wait $starting 2>/dev/null || true
	if all_well; then
		greet
	else
		explain
		exit 1
	fi
}

address() { printf 'http://%s' "$(compose port "$1" "$2" | sed 's/^0\.0\.0\.0:/127.0.0.1:/')"; }

greet() {
	echo
	if is_demo; then
		echo "The DEMO runs: every vendor is emulated. Open $(address emulators 8090)/ and write from a phone."
	else
		echo "Ready. In Meta's app dashboard enter https://<your host>/webhook and your WHATSAPP_VERIFY_TOKEN."
	fi
	echo "WhatsApp's webhook: $(address whatsapp_gateway 8080)/webhook"
	public=$(setting CONNECT_PUBLIC_URL)
	echo "Connect pages:      ${public:-$(address kernel_service 8081)}/connect/…"
	echo "Put your https proxy before both. \`make down\` ends the containers and keeps what they stored."
}

case ${1:-} in
up) up ;;
down) compose --profile demo down --remove-orphans ;;
*) said "usage: deploy/compose.sh up|down"; exit 2 ;;
esac
