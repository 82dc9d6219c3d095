#!/bin/bash
# The service and its socket under a systemd that runs: what hokku-try.service of `./do try-package` starts in a container that has no
# network but its own loopback. hokku is installed; /opt/try has the package and a model.
set -eu
trap 'status=$?; [ $status = 0 ] || journalctl -u hokku.service -u hokku.socket -n 40 --no-pager -o cat || :; exit $status' EXIT
say() { printf 'try: %s\n' "$*"; }
die() {
	say "FAILED: $*"
	exit 1
}
# within SECONDS WHAT COMMAND...: until the command succeeds.
within() {
	local tries=$(($1 * 10)) what=$2
	shift 2
	until "$@" >/tmp/within 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || die "$what has not come about: $(cat /tmp/within)"
		sleep 0.1
	done
}
property() { systemctl show "${2:-hokku.service}" -p "$1" --value; }
is() { [ "$(property "$1")" = "$2" ] || die "$1 is $(property "$1"), not $2"; }
ask() { curl -fs --max-time 60 "$@"; }
healthy() { ask localhost:8080/health | grep -q '"status":"ok"'; }
restarted() { [ "$(property MainPID)" != "$1" ] && [ "$(property MainPID)" != 0 ] && healthy; }
drop_in() { # UNIT NAME LINE...
	mkdir -p "/etc/systemd/system/$1.d"
	printf '%s\n' "${@:3}" >"/etc/systemd/system/$1.d/$2.conf"
	systemctl daemon-reload
}

is ActiveState inactive
[ "$(systemctl is-enabled hokku.service hokku.socket 2>&1 | sort -u)" = disabled ] || die "installing has enabled something"

# Started: `start` returns when it listens.
systemctl enable --now hokku.service 2>/dev/null
ask localhost:8080/health >/dev/null || [ $? = 22 ] || die "nobody listens behind READY=1" # 22: 503, loading
within 60 "a model" healthy
verse=$(ask localhost:8080/v1/chat/completions -d '{"model":"haiku","messages":[{"role":"user","content":"Write a haiku about autumn rain."}],"seed":1}')
[[ $verse == *'"content":"'* ]] || die "no verse: $verse"
pid=$(property MainPID)
user=$(stat -c %u "/proc/$pid")
[ "$user" != 0 ] || die "it runs as root"
[ "$(stat -c %u -L /var/lib/hokku)" = "$user" ] || die "/var/lib/hokku is $(stat -c %u -L /var/lib/hokku)'s, not $user's"
level=$(systemd-analyze security --no-pager hokku.service | sed -n 's/.*Overall exposure level for hokku.service: \([0-9.]*\).*/\1/p')
[ "$(printf '%s\n' "$level" 3 | sort -g | head -n 1)" != 3 ] || die "systemd-analyze security says $level"
say "started: answers as user $user, systemd-analyze security $level"

# Read again, killed, hung: with the watchdog at 2 s.
systemctl reload hokku.service
healthy || die "unhealthy after reload"
is MainPID "$pid"
kill -KILL "$pid"
within 60 "a restart after SIGKILL" restarted "$pid"
is NRestarts 1
drop_in hokku.service watchdog '[Service]' WatchdogSec=2
systemctl restart hokku.service
within 60 "health" healthy
pid=$(property MainPID)
sleep 3
is MainPID "$pid" # it tells in time
kill -STOP "$pid"
within 60 "a restart by the watchdog" restarted "$pid"
journalctl -u hokku.service --no-pager -o cat | grep -q 'Watchdog timeout' || die "the journal does not speak of the watchdog"
say "reloaded; restarted after kill -9; restarted by the watchdog when it hung"

# A model's file, which the service can read and cannot.
install -D -m 644 /opt/try/model.gguf /srv/models/model.gguf
echo HOKKU_MODEL=/srv/models/model.gguf >>/etc/default/hokku
systemctl restart hokku.service
within 60 "a model of /srv" healthy
chmod 600 /srv/models/model.gguf
systemctl restart hokku.service 2>/dev/null || :
within 30 "a word on the file" sh -c "journalctl -u hokku.service --no-pager -o cat -n 30 | grep '/srv/models/model.gguf.*Permission denied'"
chmod 644 /srv/models/model.gguf
install -m 644 /opt/try/model.gguf /root/model.gguf
sed -i 's|^HOKKU_MODEL=.*|HOKKU_MODEL=/root/model.gguf|' /etc/default/hokku
systemctl reset-failed hokku.service
systemctl restart hokku.service 2>/dev/null || :
within 30 "a word on /root" sh -c "journalctl -u hokku.service --no-pager -o cat -n 30 | grep '/root/model.gguf'"
sed -i '/^HOKKU_MODEL=/d' /etc/default/hokku
systemctl reset-failed hokku.service
systemctl restart hokku.service
within 60 "health" healthy
say "a model of /srv is served; one that it may not read is told"

# An upgrade restarts what runs; a stop is clean.
pid=$(property MainPID)
dpkg -i /opt/try/hokku_*.deb >/dev/null
within 60 "a restart by the upgrade" restarted "$pid"
systemctl disable --now hokku.service 2>/dev/null
is Result success
is ExecMainStatus 0
say "upgraded, stopped"

# By its socket: nothing runs before the first connection, and none is refused afterwards.
drop_in hokku.socket unix '[Socket]' ListenStream=/run/hokku.sock SocketMode=0660
systemctl enable --now hokku.socket 2>/dev/null
is ActiveState inactive
healthy || within 60 "a model" healthy
is ActiveState active
ask --unix-socket /run/hokku.sock http://localhost/v1/models | grep -q haiku || die "the Unix socket does not answer"
[ "$(stat -c %a /run/hokku.sock)" = 660 ]
pid=$(property MainPID)
kill -KILL "$pid"
for _ in 1 2 3 4 5 6 7 8; do # some of them while nobody is there
	ask localhost:8080/health >/dev/null || [ $? = 22 ] || die "a connection was refused while the service was begun again"
	sleep 0.3
done
within 60 "a restart" restarted "$pid"
systemctl stop hokku.service 2>/dev/null
ask localhost:8080/health >/dev/null || [ $? = 22 ] || die "a stopped service does not begin again"
[ -S /run/hokku.sock ] || die "the socket's file is gone"
systemctl stop hokku.socket hokku.service
echo HOKKU_PORT=8081 >>/etc/default/hokku
systemctl start hokku.socket
ask --max-time 5 localhost:8080/health >/dev/null 2>&1 && die "HOKKU_PORT was passed over"
within 30 "a word on HOKKU_PORT" sh -c "journalctl -u hokku.service --no-pager -o cat -n 30 | grep -- '--port (or HOKKU_PORT) is given too'"
sed -i '/^HOKKU_PORT=/d' /etc/default/hokku
systemctl stop hokku.socket hokku.service
systemctl reset-failed
systemctl start hokku.socket
within 60 "a model" healthy
say "by its socket: begun by the first connection, TCP and Unix; kill -9 refuses nobody"

# Removed: what ran is stopped, and nothing is left that would start it.
dpkg -r hokku >/dev/null
[ "$(systemctl is-active hokku.service hokku.socket 2>&1 | sort -u)" = inactive ] || die "it runs on when removed"
[ -z "$(find /etc/systemd/system -name 'hokku.s*' -type l)" ] || die "links are left"
say "removed"
