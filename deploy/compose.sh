#!/bin/sh
# `make up`, `make down`: start and stop the containers of docker-compose.yml with the settings of .env. If .env has no
# vendor's key, the demo runs instead (deploy/demo.env). Demo and real use have separate databases.
#
# `make up` also deploys: containers of both services that are of an older image or have other settings are replaced one by
# one. A version that does not start replaces none.
set -eu

REQUIRED="OPENAI_API_KEY COMPOSIO_API_KEY WHATSAPP_ACCESS_TOKEN WHATSAPP_APP_SECRET WHATSAPP_VERIFY_TOKEN
	WHATSAPP_PHONE_NUMBER_ID KERNEL_ENCRYPTION_KEYS KERNEL_TOKEN KERNEL_ADMIN_TOKEN POSTGRES_PASSWORD"
SECONDS_TO_START=300
LAST_LINES=20
# The kernel services first: a newer one serves older gateways.
ROLLING="kernel_service whatsapp_gateway"
IMAGE=kernel-per-person
DOCKER=${DOCKER:-docker}
# The weight at which a failing service counts: a container that is about to be replaced may fail, too, and one that waits
# for another is unhealthy until its next probe.
PATIENCE=${PATIENCE:-30}

if [ -z "${COMPOSE:-}" ]; then
	COMPOSE="docker compose"
	$COMPOSE version >/dev/null 2>&1 || COMPOSE=docker-compose
fi

said() { printf '%s\n' "$*" >&2; }

# The value of .env as Compose reads it: `export` may be before the name, and quotes or a comment about the value.
in_file() {
	sed -n "s/^[[:space:]]*\(export[[:space:]]\{1,\}\)\{0,1\}$1[[:space:]]*=[[:space:]]*//p" .env 2>/dev/null \
		| tail -n 1 | tr -d '\r' \
		| sed -e 's/^"\([^"]*\)".*/\1/; t' -e "s/^'\([^']*\)'.*/\1/; t" -e 's/^#.*//; s/[[:space:]]#.*//; s/[[:space:]]*$//'
}

# The value that Compose uses: the environment overrides the file.
setting() {
	value=$(printenv "$1" || true)
	[ -n "$value" ] || value=$(in_file "$1")
	printf '%s' "$value"
}

demo= # yes or no once it is known: each look at .env starts several processes
is_demo() {
	if [ -z "$demo" ]; then
		demo=yes
		for key in OPENAI_API_KEY COMPOSIO_API_KEY WHATSAPP_ACCESS_TOKEN; do
			[ -z "$(in_file "$key")$(in_file "${key}_FILE")" ] || demo=no
		done
	fi
	[ $demo = yes ]
}

# The optional parts: COMPOSE_PROFILES has those that are wanted, with commas. A part's services have its profile.
OPTIONAL="tls monitoring"

is_wanted() { case ",$(setting COMPOSE_PROFILES)," in *,"$1",*) ;; *) return 1 ;; esac; }

compose() {
	files=
	[ ! -f .env ] || files="--env-file .env"
	if is_demo; then
		files="$files --env-file deploy/demo.env"
		# The demo's profile does not replace those of .env.
		for part in $OPTIONAL; do ! is_wanted "$part" || files="$files --profile demo --profile $part"; done
	fi
	# shellcheck disable=SC2086 # both are several words
	${BECOME:-} $COMPOSE $files "$@"
}

# End what the settings no longer want. `up` alone leaves the containers of other profiles.
drop_unwanted() {
	is_demo || compose --profile demo rm --stop --force emulators >/dev/null 2>&1 || true
	is_wanted tls || compose --profile tls rm -sf tls >/dev/null 2>&1 || true
	is_wanted monitoring || compose --profile monitoring rm -sf prometheus grafana >/dev/null 2>&1 || true
}

# A secret that is part of another one: Compose cannot join the contents of files.
needs() {
	[ -z "$(setting "$1")" ] || [ -n "$(setting "$2")" ] \
		|| { said "$2 is missing: $1 needs it, see docs/how-to/secret-files.md"; wrong=yes; }
}

# https and a name alone: Caddy would listen on the port, and take nothing but the path.
is_site() {
	case $1 in
	https://*[!A-Za-z0-9.-]*) return 1 ;;
	https://?*) ;;
	*) return 1 ;;
	esac
}

check_settings() {
	wrong=
	for name in $REQUIRED; do
		[ -n "$(setting "$name")$(setting "${name}_FILE")" ] || { said "$name is missing: set it in .env"; wrong=yes; }
	done
	needs KERNEL_TOKEN_FILE KERNEL_CHANNEL_TOKENS_FILE
	needs POSTGRES_PASSWORD_FILE KERNEL_DATABASE_URL_FILE
	case $(setting POSTGRES_PASSWORD) in
	*[!A-Za-z0-9]*) said "POSTGRES_PASSWORD must be letters and digits"; wrong=yes ;;
	esac
	! is_wanted tls || is_site "$(setting CONNECT_PUBLIC_URL)" || {
		said "CONNECT_PUBLIC_URL must be the https address at which the profile tls publishes the service, as https://bot.example.com: without a port, and without / at its end"
		wrong=yes
	}
	for part in $(setting COMPOSE_PROFILES | tr ',' ' '); do
		case " $OPTIONAL " in
		*" $part "*) ;;
		*) said "COMPOSE_PROFILES: there is no part $part; there are: $OPTIONAL"; wrong=yes ;;
		esac
	done
	[ -z "$wrong" ] || { said ".env.example says what each is for."; exit 2; }
}

# Lines of "service state health"; health is empty for a service without a probe.
states() { compose ps --all --format '{{.Service}} {{.State}} {{.Health}}'; }

watched= # the service that is replaced, or none: then all count
watched_states() { states | awk -v only="$watched" '!only || $1 == only'; }

# The weight of the worst service: 6 if it fails to start, 1 if it is unhealthy, else 0. A service that ended is restarted,
# so "exited" means one that is being replaced.
failing() {
	watched_states | awk '$2 == "restarting" { worst = 6 } $3 == "unhealthy" && !worst { worst = 1 } END { print worst + 0 }'
}

# Whether there are services and all are healthy: not every version of Compose reports a failure by its exit code.
all_well() { watched_states | awk '{ if ($2 != "running" || $3 != "healthy") ill = 1 } END { exit ill || !NR }'; }

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

# .env holds every key, and `cp .env.example .env` leaves it readable by others.
close_env() {
	[ ! -f .env ] || chmod go= .env 2>/dev/null || said ".env is open to others on this machine and belongs to another user: its owner should close it (chmod go= .env)"
}

# Start what the arguments say, and wait until every service is healthy.
start() {
	seen=0
	# Compose gives up at once on a container that is unhealthy, as a gateway is whose kernel service has just started.
	until start_once "$@"; do
		[ "$weight" -gt 0 ] && [ $seen -lt "$PATIENCE" ] || { explain; exit 1; }
		seen=$((seen + 1))
	done
}

start_once() {
	(BECOME=exec && compose up --detach --wait --wait-timeout "$SECONDS_TO_START" "$@") & # a signal then reaches it
	starting=$!
	trap 'seen=$PATIENCE; kill $starting 2>/dev/null || true' INT TERM
	# Compose itself would wait while a service that ends at once is restarted.
	while kill -0 $starting 2>/dev/null && [ $seen -lt "$PATIENCE" ]; do
		sleep 1
		weight=$(failing)
		# A failing service seems to run between two restarts, so one good look lowers the sum only a little.
		if [ "$weight" -gt 0 ]; then seen=$((seen + weight)); elif [ $seen -gt 2 ]; then seen=$((seen - 3)); fi
	done
	[ $seen -lt "$PATIENCE" ] || kill $starting 2>/dev/null || true
	wait $starting 2>/dev/null || true
	all_well
}

# The containers of a service that are of another image, or have other settings, than new ones would.
outdated() {
	current="$($DOCKER image inspect --format '{{.Id}}' $IMAGE) $(compose config --hash "$1" | cut -d ' ' -f 2)"
	for container in $(compose ps --all --quiet "$1"); do
		has=$($DOCKER inspect --format '{{.Image}} {{index .Config.Labels "com.docker.compose.config-hash"}}' "$container")
		[ "$has" = "$current" ] || echo "$container"
	done
}

is_healthy() { [ "$($DOCKER inspect --format '{{if .State.Health}}{{.State.Health.Status}}{{end}}' "$1")" = healthy ]; }

# A new container is healthy before an old one ends. Compose alone ends all the old ones first.
replace() {
	watched=$1 # a gateway that fails must not keep the kernel services from being replaced, nor then itself
	for old in $(outdated "$1"); do
		# Such as what a version that did not start has left.
		is_healthy "$old" || $DOCKER rm --force "$old" >/dev/null
	done
	for old in $(outdated "$1"); do
		start --no-build --no-deps --no-recreate --scale "$1=$(($(compose ps --quiet "$1" | wc -l) + 1))" "$1"
		$DOCKER stop "$old" >/dev/null
		$DOCKER rm "$old" >/dev/null
	done
}

up() {
	close_env
	is_demo || check_settings
	drop_unwanted
	compose build
	for service in $ROLLING; do replace "$service"; done
	watched=
	start --no-build --remove-orphans
	greet
}

address() { printf 'http://%s' "$(compose port "$1" "$2" | sed 's/^0\.0\.0\.0:/127.0.0.1:/')"; }

greet() {
	echo
	if is_demo; then
		echo "The DEMO runs: every vendor is emulated. Open $(address emulators 8090)/ and write from a phone."
	else
		echo "Ready. In Meta's app dashboard enter https://<your host>/webhook and your WHATSAPP_VERIFY_TOKEN."
	fi
	echo "WhatsApp's webhook: $(address proxy 8080)/webhook"
	public=$(setting CONNECT_PUBLIC_URL)
	echo "Connect pages:      ${public:-$(address proxy 8081)}/connect/…"
	! is_wanted monitoring || echo "Dashboard:          $(address grafana 3000)/"
	before="Put your https proxy before both. "
	! is_wanted tls || before="The profile tls publishes both as https. "
	echo "$before\`make down\` ends the containers and keeps what they stored."
}

case ${1:-} in
up) up ;;
down) compose --profile demo --profile tls --profile monitoring down --remove-orphans ;;
*) said "usage: deploy/compose.sh up|down"; exit 2 ;;
esac
