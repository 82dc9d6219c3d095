#!/bin/sh
# tell.sh HOKKU DIR CHANGELOG: into DIR what HOKKU says of itself: a manual page of each command, and what shells complete it with.
set -eu
hokku=$1 dir=$2 changelog=$3
rm -rf "$dir"
mkdir -p "$dir/man1"
for shell in bash zsh fish; do
	"$hokku" completion $shell >"$dir/hokku.$shell"
done
"$hokku" manual >"$dir/man1/hokku.1"
sed -n 's/^\.BR hokku\\-\([a-z\\-]*\) (1)$/\1/p' "$dir/man1/hokku.1" | sed 's/\\-/ /g' >"$dir/commands"
while read -r command; do
	"$hokku" manual $command >"$dir/man1/hokku-$(echo "$command" | tr ' ' -).1"
done <"$dir/commands"
# As Debian has them, and the same each time: no name and no time within.
gzip -9nf "$dir"/man1/*.1
gzip -9nc "$changelog" >"$dir/NEWS.gz"
gzip -9nc >"$dir/changelog.gz" <<END
hokku ($("$hokku" version | sed -n 's/^hokku //p')) unstable; urgency=medium

  * What is new: NEWS.gz.

 -- the hokku authors <hokku@localhost>  $(date -u -R -d "@${SOURCE_DATE_EPOCH:-$(stat -c %Y "$changelog")}")
END
: >"$dir/stamp"
