#!/bin/sh
# In an empty Debian 12, as root: the package is installed with what it depends on, used as a stranger would, removed and purged.
set -eu
say() { printf 'try: %s\n' "$*"; }
export DEBIAN_FRONTEND=noninteractive
[ -z "$(command -v hokku || :)" ] || exit 1
mount -t proc proc /proc # as devpts below: gone with this process's own mounts
apt-get update -qq
apt-get install -y -qq --no-install-recommends /tmp/hokku_*.deb >/tmp/apt.log 2>&1 || {
	cat /tmp/apt.log
	exit 1
}
hokku --version
say "ldd: $(ldd /usr/bin/hokku | grep -c '=> /') libraries"
! ldd /usr/bin/hokku | grep 'not found'
ldconfig -p | grep -q 'libhokku.so.0'
answer=$(hokku run -p "autumn rain" --seed 1)
[ "$(printf '%s\n' "$answer" | wc -l)" -ge 3 ]
say "hokku run: $(printf '%s' "$answer" | tr '\n' '/')"

# A stranger's three commands: installing was the first. A hub is at HF_ENDPOINT; what is typed, is typed into a terminal.
if [ -n "${HF_ENDPOINT:-}" ]; then
	hokku pull hokku/haiku-GGUF </dev/null >/tmp/pull.log 2>&1 || {
		cat /tmp/pull.log
		exit 1
	}
	say "hokku pull: $(tail -n 1 /tmp/pull.log)"
	hokku list | grep -q hokku/haiku-GGUF
	mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts # gone with this process's own mounts
	ln -sf pts/ptmx /dev/ptmx
	printf 'autumn rain\n/bye\n' | script -qec 'hokku chat hokku/haiku-GGUF' /dev/null >/tmp/chat.log && grep -q 'tokens/s' /tmp/chat.log || {
		cat /tmp/chat.log
		exit 1
	}
	[ "$(printf 'autumn rain\n' | hokku chat hokku/haiku-GGUF | grep -c .)" = 3 ]
	say "hokku chat: $(tr -d '\r' </tmp/chat.log | sed 's/.*\x1b\[K//' | tail -n 12 | tr '\n' '/')"
fi

hokku serve --port 0 2>/tmp/serve.log &
server=$!
until grep -qs listening /tmp/serve.log; do
	kill -0 $server || { cat /tmp/serve.log; exit 1; }
	sleep 0.1
done
say "$(cat /tmp/serve.log | head -n 1)"
kill -TERM $server
wait $server

# The plugin's package, where it was built: found from where it is installed, and in words that nobody need know CUDA for where there is no driver.
if ls /tmp/hokku-cuda_*.deb >/dev/null 2>&1; then
	apt-get install -y -qq --no-install-recommends /tmp/hokku-cuda_*.deb >/tmp/apt.log 2>&1 || {
		cat /tmp/apt.log
		exit 1
	}
	said=$(hokku devices | grep '^cuda')
	case $said in
	*'no GPU plugin'*)
		say "the plugin is not found: $said"
		exit 1
		;;
	esac
	say "hokku devices: $said"
	hokku run -p "autumn rain" --seed 1 >/dev/null
	apt-get remove -y -qq hokku-cuda >/dev/null 2>&1
	[ ! -e /usr/lib/libhokku-cuda.so ]
fi
[ -f /etc/default/hokku ]
apt-get remove -y -qq hokku >/dev/null 2>&1
[ ! -e /usr/bin/hokku ] && [ -f /etc/default/hokku ]
apt-get purge -y -qq hokku >/dev/null 2>&1
[ ! -e /etc/default/hokku ]
say "installed, used, removed, purged"
