#!/bin/sh
# `make pin`: pins the base images of both Dockerfiles and of docker-compose.yml to their current digests, so that a moved tag
# changes nothing. Run it again to update an image, and review the change.
set -eu

said() { printf '%s\n' "$*" >&2; }

# The digest of the index, which covers all platforms.
digest() {
	docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$1" || {
		said "Cannot read the digest of $1: this needs Docker with buildx, and access to the image's registry."
		exit 1
	}
}

# FILE PATTERN IMAGE: appends the digest to the image that follows the pattern.
pin() {
	image=$(sed -n "s|^ *$2\($3[^@ ]*\).*|\1|p" "$1")
	found=$(digest "$image")
	case $found in
	sha256:*) ;;
	*) said "The registry returned an invalid digest of $image: $found"; exit 1 ;;
	esac
	sed "s|^\( *$2\)$3[^ ]*|\1$image@$found|" "$1" >"$1.new"
	cat "$1.new" >"$1"
	rm "$1.new"
	echo "$1: $image@$found"
}

pin Dockerfile "ARG BASE=" python:
pin docker-compose.yml "image: " postgres:
pin docker-compose.yml "image: " haproxy:
pin docker-compose.yml "image: " prom/prometheus:
pin docker-compose.yml "image: " grafana/grafana:
pin deploy/tls/Dockerfile "ARG BASE=" caddy:
