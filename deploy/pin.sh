#!/bin/sh
# `make pin`: the base images of Dockerfile and docker-compose.yml by their digests of today, so that a tag that is moved
# changes nothing. Run it again for an image's updates, and look at what it changed.
set -eu

said() { printf '%s\n' "$*" >&2; }

# The digest of all platforms' images together.
digest() {
	docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$1" || {
		said "The digest of $1 could not be had: it needs Docker with buildx, and the image's registry."
		exit 1
	}
}

# FILE PATTERN IMAGE: behind this image, which follows the pattern, its digest is put.
pin() {
	image=$(sed -n "s|^ *$2\($3[^@ ]*\).*|\1|p" "$1")
	found=$(digest "$image")
	case $found in
	sha256:*) ;;
	*) said "The digest of $image is none: $found"; exit 1 ;;
	esac
	sed "s|^\( *$2\)$3[^ ]*|\1$image@$found|" "$1" >"$1.new"
	cat "$1.new" >"$1"
	rm "$1.new"
	echo "$1: $image@$found"
}

pin Dockerfile "ARG BASE=" python:
pin docker-compose.yml "image: " postgres:
