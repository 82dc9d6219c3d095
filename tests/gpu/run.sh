#!/bin/sh
# Proves the CUDA plugin on this machine's device, then times it. One line a check: PASS, FAIL or SKIP; exit code 1 if
# one failed. Runs in the repository's root, wherever it is started.
#
#     tests/gpu/run.sh DIR [PART...]
#     tests/gpu/run.sh pair OLD_DIR NEW_DIR
#
# DIR holds what the CMake preset "gpu" builds (hokku, libhokku-cuda.so, gpu_*, libcmocka.so.0); it may have been built
# elsewhere. Without parts all run. The parts, and groups of them:
#
#     correct   unit exact greedy vram http second
#     prove     unit exact greedy vram http
#     unit      the unit tests of tests/unit/cuda on the device; golden models and formats against transformers
#     exact     the same bits: 100 times, in any chunks, beside others; the ledger against the driver
#     greedy    20 greedy answers of the bundled model against cpu:reference
#     vram      what does not fit, or is not there, is refused
#     http      a verse with the present minute in it, over HTTP
#     second    the second device of a machine that has one, and no memory taken on the first
#     sanitize  compute-sanitizer: memcheck racecheck initcheck synccheck
#     timing    start stream bench
#     start     from the start of the program to its first token, beside an empty CUDA program
#     stream    tokens a second and the time to the first token as a client of the server sees them
#     bench     tokens a second of all shapes and formats, beside peers and the limits of the device
#     formats   tokens a second of the formats that have no peers' figures
#
# A part that has ended says so, with its seconds; where the run is stopped (a limit of time), it says which parts are
# left to be named in the next.
#
# "pair" times the `hokku` of two folders on one device, in turn: 0.5B and 7B in F16, Q8_0 and Q4_K_M, decode of 128
# tokens and prefill of 2,048. A line a figure: both medians and their ratio; FAIL where the new one loses more than 2%.
# The new one makes the models, and the old one must read them. Nothing but hokku and libhokku-cuda.so is needed.
#
# HOKKU_GPU_ROUNDS    of "pair": how often each is timed (default: 5); the median counts
# HOKKU_GPU_SHAPES    of "pair" and "bench": shapes to time (default: "0.5B 7B")
# HOKKU_GPU_PATHS     which of the plugin's paths (default: "tile plain", those that the device has)
# HOKKU_GPU_MODELS    where synthetic models are made and kept (default: /tmp/hokku-gpu-models); 70 GB for all
# HOKKU_GPU_LOGS      where the whole output goes (default: a new folder in /tmp)
set -u
usage="usage: tests/gpu/run.sh DIR [PART...] | tests/gpu/run.sh pair OLD_DIR NEW_DIR"
old_dir=
if [ "${1:-}" = pair ]; then
	[ $# = 3 ] || {
		echo "$usage" >&2
		exit 2
	}
	old_dir=$(cd "$2" && pwd) || exit 2
	shift 2
fi
dir=$(cd "${1:?$usage}" && pwd) || exit 2
shift
for folder in $old_dir "$dir"; do
	[ -x "$folder/hokku" ] || {
		echo "tests/gpu/run.sh: there is no program $folder/hokku" >&2
		exit 2
	}
done
cd "$(dirname "$0")/../.." || exit 2
unset HOKKU_MODEL HOKKU_DEVICE HOKKU_PLUGIN_PATH HOKKU_CTX HOKKU_API_KEY_FILE HOKKU_CUDA_PATH
models=${HOKKU_GPU_MODELS:-/tmp/hokku-gpu-models}
logs=${HOKKU_GPU_LOGS:-$(mktemp -d /tmp/hokku-gpu-XXXXXX)}
hokku=$dir/hokku
mkdir -p "$models" "$logs"
results=$logs/results
: >"$results"

# ---- one line a check ----

verdict() {
	kind=$1
	shift
	printf '%s %s\n' "$kind" "$*" | tee -a "$results"
}

name_of_log() {
	printf '%s/%s.log' "$logs" "$(printf '%s' "$1" | tr -c 'A-Za-z0-9._\n' '-')"
}

# check NAME COMMAND...: passes if the command does. What it said is shown if it does not.
check() {
	what=$1
	shift
	log=$(name_of_log "$what")
	started=$(date +%s)
	if "$@" >"$log" 2>&1; then
		note=$(awk '/^\[  SKIPPED \] [0-9]+ test/ { n += $4 } END { if (n) printf ", %d of its tests do not apply", n }' "$log")
		verdict PASS "$what ($(($(date +%s) - started)) s$note)"
	else
		verdict FAIL "$what: exit code $?; $log ends:"
		tail -n 15 "$log" | sed 's/^/     /'
	fi
}

# told COMMAND...: a program that prints such lines itself.
told() {
	log=$(name_of_log "${HOKKU_CUDA_PATH:-} ${HOKKU_CUDA_PRECISION:-} $*")
	"$@" >"$log" 2>"$log.err" || grep -q '^FAIL' "$log" || {
		verdict FAIL "$*: exit code $?"
		tail -n 15 "$log.err" | sed 's/^/     /'
	}
	cat "$log"
	grep -E '^(PASS|FAIL|SKIP)' "$log" >>"$results"
}

# refused NAME PATTERN COMMAND...: the command must fail and say why.
refused() {
	what=$1 pattern=$2
	shift 2
	log=$(name_of_log "$what")
	if timeout 60 "$@" >"$log" 2>&1; then
		verdict FAIL "$what: it was not refused"
	elif grep -qE "$pattern" "$log"; then
		verdict PASS "$what: $(grep -m 1 -E "$pattern" "$log")"
	else
		verdict FAIL "$what: no word of $pattern in: $(head -n 3 "$log")"
	fi
}

# compare NAME VALUE lt|gt LIMIT UNIT
compare() {
	if awk -v a="$2" -v b="$4" -v op="$3" 'BEGIN { exit !(op == "lt" ? a <= b : a >= b) }'; then
		verdict PASS "$1: $2 $5 ($([ "$3" = lt ] && echo "at most" || echo "at least") $4)"
	else
		verdict FAIL "$1: $2 $5 ($([ "$3" = lt ] && echo "at most" || echo "at least") $4)"
	fi
}

# ---- models ----

# need MODEL...: "0.5B-F16", "7B-Q8_0", "4of7B-F16" (four layers of the 7B shape), "group12x96-Q8_0" (twelve query heads
# of 96 on a KV head); made together, kept.
need() {
	for name in "$@"; do
		file=$models/$name.gguf
		[ -f "$file" ] && continue
		case $name in
		0.5B-*) shape=qwen2.5-0.5b ;;
		7B-*) shape=qwen2.5-7b ;;
		4of7B-*) shape=tests/gpu/7b-4-layers.json ;;
		group*) shape=tests/gpu/${name%%-*}.json ;;
		esac
		{ "$hokku" synth --shape "$shape" --type "${name#*-}" -o "$file.part" >"$file.log" 2>&1 && mv "$file.part" "$file"; } &
	done
	wait
	for name in "$@"; do
		[ -f "$models/$name.gguf" ] || {
			verdict FAIL "synthetic model $name: $(tail -n 1 "$models/$name.gguf.log")"
			return 1
		}
	done
}

# ---- a server ----

server=
stop_server() {
	[ -z "$server" ] || { kill "$server" 2>/dev/null; wait "$server" 2>/dev/null; }
	server=
}
trap stop_server EXIT

# start_server OPTION...: sets port. on_device: another device than the first.
start_server() {
	log=$(name_of_log "server $*")
	"$hokku" serve --host 127.0.0.1 --port 0 --device "${on_device:-cuda}" "$@" >"$log" 2>&1 &
	server=$!
	port=
	tries=0
	while [ -z "$port" ] && [ $((tries += 1)) -le 50 ]; do
		sleep 0.1
		port=$(sed -n 's|^hokku: listening on http://127.0.0.1:\([0-9]*\).*|\1|p' "$log")
	done
	"$dir/gpu_client" wait "${port:-1}" 120 && return 0
	verdict FAIL "hokku serve $*: $(tail -n 3 "$log")"
	stop_server
	return 1
}

# ---- parts ----

# free_of N: bytes of memory that device N has left.
free_of() {
	"$hokku" devices --json | sed -n 's/.*"vram_free_bytes": \([0-9]*\).*/\1/p' | sed -n "$(($1 + 1))p"
}

# Sets paths to those that can run here.
find_paths() {
	paths=
	for path in ${HOKKU_GPU_PATHS:-tile plain}; do
		log=$logs/path-$path.log
		if HOKKU_CUDA_PATH=$path "$hokku" run --device cuda --temperature 0 -n 1 -p rain >"$log" 2>&1; then
			paths="$paths $path"
		elif [ "$path" = plain ]; then
			verdict FAIL "the plain path: $(tail -n 1 "$log")"
		else
			verdict SKIP "the $path path: $(tail -n 1 "$log")"
		fi
	done
}

part_unit() {
	for program in "$dir"/gpu_test_*; do
		check "$(basename "$program")" "$program"
	done
	sed -n 's/^\(.*\) largest error \([^ ]*\) (\([^)]*\)) *\(.*\)$/\2 \4|\1 \3/p' "$logs/gpu_test_golden.log" | sort -g -r |
		awk -F '[ |]+' '{ way = $0; sub(/[^ ]* /, "", way); sub(/[:|].*/, "", way) } !seen[way]++ {
			print "     golden models, " way ": the largest error is " $1 " of the largest logit" }'
}

part_exact() {
	every="0.5B-F16 0.5B-Q8_0 0.5B-Q4_K_M 4of7B-F16 4of7B-Q8_0 4of7B-Q4_K_M"
	of_tile="0.5B-BF16 0.5B-F32 0.5B-IQ4_NL 4of7B-BF16 4of7B-Q2_K 4of7B-Q3_K 4of7B-IQ4_XS"
	awkward="group12x96-Q8_0 group12x96-BF16 group16x32-Q4_K_M"
	need $every $of_tile $awkward || return
	for path in $paths; do
		export HOKKU_CUDA_PATH="$path"
		told "$dir/gpu_exact" haiku --prompt 300 ledger repeat steady chunks neighbours together state
		told "$dir/gpu_schedules" cuda 100
		for name in $every $of_tile; do
			case $path-$name in
			plain-*-F16) ;;
			plain-*) continue ;; # its kernels differ by format alone, and gpu_test_model has those
			esac
			told "$dir/gpu_exact" "$models/$name.gguf" ledger repeat steady chunks neighbours together state
			case $path-$name in
			tile-*-F16 | tile-*-Q8_0 | tile-*-Q4_K_M) told "$dir/gpu_exact" "$models/$name.gguf" --depth 32767 depths ;;
			esac
		done
		# shapes that neither has, in both precisions
		for name in $awkward; do
			for precision in full half; do
				[ "$path" = plain ] || HOKKU_CUDA_PRECISION=$precision told "$dir/gpu_exact" \
					"$models/$name.gguf" --prompt 300 steady chunks neighbours together
			done
		done
		unset HOKKU_CUDA_PATH
	done
}

part_greedy() {
	for path in $paths; do
		HOKKU_CUDA_PATH=$path told "$dir/gpu_exact" haiku greedy
	done
}

part_vram() {
	need 0.5B-F16 || return
	refused "--vram-limit below the model" 'needs [0-9]+ bytes.*cuda:0 .*500000000' \
		"$hokku" run --device cuda --vram-limit 500000000 "$models/0.5B-F16.gguf" --raw -p a -n 1
	refused "more KV memory than the card has" 'needs [0-9]+ bytes.*cuda:0 .*available' \
		"$hokku" run --device cuda --kv-bytes 1000000000000 "$models/0.5B-F16.gguf" --raw -p a -n 1
	refused "a device that is not there" 'there is no device cuda:77' "$hokku" run --device cuda:77 -p rain
	vram=$(free_of 0)
	if start_server --kv-bytes $((vram * 7 / 10)); then
		refused "a second server on a full card" 'needs [0-9]+ bytes.*available' \
			"$hokku" serve --port 0 --device cuda --kv-bytes $((vram * 7 / 10))
		check "the first server goes on" "$dir/gpu_client" haiku "$port"
		stop_server
	fi
}

part_http() {
	start_server || return
	check "a haiku over HTTP on --device cuda" "$dir/gpu_client" haiku "$port"
	sed 's/^/     /' "$log"
	stop_server
}

part_second() {
	grep -q '^cuda:1' "$logs/devices" || {
		verdict SKIP "a second device: there is one alone"
		return
	}
	for path in $paths; do
		HOKKU_CUDA_PATH=$path told "$dir/gpu_exact" haiku --device cuda:1 --prompt 300 ledger repeat steady neighbours state greedy
	done
	first=$(free_of 0) second=$(free_of 1)
	on_device=cuda:1
	if start_server --kv-bytes 1000000000; then
		compare "cuda:0 has less memory left while cuda:1 serves" $((first - $(free_of 0))) lt 16777216 bytes
		compare "cuda:1 has less memory left while it serves" $((second - $(free_of 1))) gt 1000000000 bytes
		check "a haiku over HTTP on --device cuda:1" "$dir/gpu_client" haiku "$port"
		one=$server
		on_device=cuda:0
		start_server && check "a haiku over HTTP on cuda:0 beside it" "$dir/gpu_client" haiku "$port"
		stop_server
		server=$one
		stop_server
	fi
	on_device=
}

# One tool after another: programs that share a device wait for each other many times as long as they compute.
sanitize() {
	tool=$1
	command -v compute-sanitizer >/dev/null 2>&1 || {
		verdict SKIP "$tool: compute-sanitizer is not installed"
		return
	}
	tool_check="timeout 500 compute-sanitizer --tool $tool --error-exitcode 9 --print-limit 5"
	# racecheck follows mbarriers only where every thread that read arrives itself; in these two one
	# lane arrives, or writes a word, for its warp, after __syncwarp (docs/gpu.md)
	if [ "$tool" = racecheck ]; then
		tool_check="$tool_check --kernel-name-exclude kernel_substring=decode_kernel"
		tool_check="$tool_check --kernel-name-exclude kernel_substring=tile_product"
		verdict SKIP "racecheck of decode_kernel and tile_product: it does not know how they hand parcels back"
	fi
	# synccheck wants a wait for every phase of an mbarrier; those that wake the streaming warps are hints,
	# and their phases may pass unseen (docs/gpu.md)
	if [ "$tool" = synccheck ]; then
		tool_check="$tool_check --kernel-name-exclude kernel_substring=decode_kernel"
		verdict SKIP "synccheck of decode_kernel: phases of its waking barriers may pass unseen"
	fi
	for path in $paths; do
		check "$tool: hokku run, $path path" env HOKKU_CUDA_PATH="$path" HOKKU_CUDA_CLEAR_KV=1 $tool_check \
			"$hokku" run --device cuda -p rain -n 6 --seed 1
	done
	for program in "$dir"/gpu_test_*; do
		case $program in
		*_device) continue ;; # hokku run stands for it: it is shorter
		*_decode_plan | *_decode_choice) continue ;; # make no call of CUDA
		esac
		check "$tool: $(basename "$program")" env HOKKU_TEST_SMALL=1 HOKKU_CUDA_CLEAR_KV=1 $tool_check \
			"$program"
	done
}

part_memcheck() { sanitize memcheck; }
part_racecheck() { sanitize racecheck; }
part_initcheck() { sanitize initcheck; }
part_synccheck() { sanitize synccheck; }

part_start() {
	need 0.5B-F16 || return
	empty=$("$dir/gpu_client" first 5 "$dir/gpu_empty") || { verdict FAIL "gpu_empty"; return; }
	full=$("$dir/gpu_client" first 5 "$hokku" run --device cuda "$models/0.5B-F16.gguf" --raw -p "a b" --temperature 0 -n 8 \
		2>"$logs/start.err") || {
		verdict FAIL "start-up: $(tail -n 2 "$logs/start.err")"
		return
	}
	printf '     ms to the first output (median, least, most): %s for hokku run, %s for an empty CUDA program\n' "$full" "$empty"
	compare "start-up of 0.5B F16 beyond an empty CUDA program" \
		"$(echo "$full $empty" | awk '{ printf "%.0f", $1 - $4 }')" lt 400 ms
}

# json_value SECTION KEY FILE: of what `hokku bench --json` wrote; the section "." is the whole.
json_value() {
	awk -v section="\"$1\":" -v key="\"$2\":" '$1 == section || section == "\".\":" { inside = 1 } inside && $1 == key { gsub(/[,"]/, ""); print $2; exit }' "$3"
}

part_stream() {
	need 0.5B-F16 || return
	out=$logs/stream.json
	"$hokku" bench --device cuda "$models/0.5B-F16.gguf" --json --prefill 512 --decode 256 -n 5 >"$out" 2>"$out.err" || {
		verdict FAIL "hokku bench: $(tail -n 2 "$out.err")"
		return
	}
	alone=$(json_value decode tokens_per_s "$out")
	start_server --model "$models/0.5B-F16.gguf" || return
	rate=$("$dir/gpu_client" rate "$port" 256 9) && ttft=$("$dir/gpu_client" ttft "$port" 512 21)
	code=$?
	stop_server
	[ $code = 0 ] || {
		verdict FAIL "the client's figures: see above"
		return
	}
	printf '     one stream: %s tokens/s (median, least, most), bench %.0f; TTFT of 512 tokens: %s ms\n' "$rate" "$alone" "$ttft"
	compare "the stream's rate, of the bench's" "$(echo "$rate $alone" | awk '{ printf "%.1f", 100 * $1 / $4 }')" gt 90 %
	compare "TTFT of a 512-token prompt" "$(echo "$ttft" | awk '{ printf "%.2f", $1 }')" lt 8 ms
}

# One line of the table from gpu_anchors.tsv, which gives: model format what peer floor
bench_line() {
	out=$logs/bench-$1-$2.json
	ours=$(json_value "$3" tokens_per_s "$out")
	read_rate=$(json_value limits read_bytes_per_s "$out")
	ops_rate=$(json_value limits matrix_ops_per_s "$out")
	if [ "$3" = decode ]; then
		share=$(json_value "$3" share_of_memory "$out")
		of=memory
	else
		share=$(json_value "$3" ops_per_s "$out" | awk -v limit="${ops_rate:-0}" -v other="${matrix_ops:-0}" \
			'{ limit = limit > 0 ? limit : other; print (limit > 0 ? $1 / limit : 0) }')
		of=arithmetic
	fi
	awk -v m="$1" -v f="$2" -v w="$3" -v peer="$4" -v floor="$5" -v ours="$ours" -v share="$share" -v of="$of" 'BEGIN {
		printf "     %-5s %-7s %-8s %9.0f %9.0f %6.2f x %9.0f  %3.0f%% of %s\n", m, f, w, ours, peer, ours / peer, floor,
			100 * share, of
	}'
	# Floors are an H200's; a card with less memory bandwidth is told of and not judged.
	if awk -v r="$read_rate" 'BEGIN { exit !(r >= 3.9e12) }'; then
		compare "$1 $2 $3" "$(printf '%.0f' "$ours")" gt "$5" tokens/s >>"$logs/floors"
	elif awk -v a="$ours" -v b="$5" 'BEGIN { exit !(a >= b) }'; then
		compare "$1 $2 $3" "$(printf '%.0f' "$ours")" gt "$5" tokens/s >>"$logs/floors"
	else
		verdict SKIP "$1 $2 $3: $(printf '%.0f' "$ours") tokens/s; an H200 must reach $5, and this is none" >>"$logs/floors"
	fi
}

# The rate of a large float16 product through PyTorch, where there is one: what prefill is held against.
measure_products() {
	matrix_ops=$(python3 - 2>/dev/null <<'PY'
import torch
n = 8192
a, b = (torch.randn(n, n, device="cuda", dtype=torch.float16) for _ in range(2))
times = []
for i in range(13):
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record(); a @ b; stop.record(); torch.cuda.synchronize()
    times.append(start.elapsed_time(stop))
print("%.0f" % (2 * n**3 / (sorted(times[3:])[5] * 1e-3)))
PY
	) || matrix_ops=
}

part_bench() {
	shapes=${HOKKU_GPU_SHAPES:-0.5B 7B}
	: >"$logs/floors"
	for shape in $shapes; do
		need "$shape-F16" "$shape-Q8_0" "$shape-Q4_K_M" || return
	done
	for shape in $shapes; do
		for type in F16 Q8_0 Q4_K_M; do
			out=$logs/bench-$shape-$type.json
			"$hokku" bench --device cuda "$models/$shape-$type.gguf" --json --prefill 2048 --decode 128 -n 7 >"$out" 2>"$out.err" ||
				verdict FAIL "hokku bench $shape $type: $(tail -n 2 "$out.err")"
		done
	done
	measure_products
	out=$logs/bench-$(echo "$shapes" | awk '{ print $1 }')-F16.json
	printf '     %s\n' "$(sed -n 's/.*"device": "\(.*\)",/\1/p' "$out")"
	printf '     limits: memory %.0f GB/s read, %.0f copied; from the host %.1f GB/s pinned, %.1f pageable; float16 products %.0f TFLOP/s\n' \
		$(for rate in read copy pinned pageable; do json_value limits ${rate}_bytes_per_s "$out"; done |
			awk '{ print $1 / 1e9 }') "$(awk -v a="$(json_value limits matrix_ops_per_s "$out")" -v b="${matrix_ops:-0}" \
				'BEGIN { print (a > 0 ? a : b) / 1e12 }')"
	printf '     %-5s %-7s %-8s %9s %9s %8s %9s  %s\n' "" "" tokens/s hokku peer "" floor "share of the limit"
	grep -v '^#' bench/gpu_anchors.tsv | while read -r model format what peer floor; do
		[ -s "$logs/bench-$model-$format.json" ] && bench_line "$model" "$format" "$what" "$peer" "$floor"
	done
	cat "$logs/floors"
	out=$logs/bench-7B-F16.json
	[ ! -s "$out" ] || compare "loading of 7B F16 from the page cache" \
		"$(echo "$(json_value . weight_bytes "$out") $(json_value . load_s "$out")" |
			awk '{ printf "%.1f", $1 / $2 / 1e9 }')" gt 20 GB/s
}

# "0.5B" in FULL and "7B" in HALF, whatever HOKKU_GPU_SHAPES says.
part_formats() {
	names="0.5B-F16 0.5B-BF16 0.5B-F32 0.5B-IQ4_NL 0.5B-Q3_K 7B-F16 7B-BF16 7B-IQ4_XS 7B-Q3_K 7B-Q2_K"
	printf '     %-5s %-7s %9s %9s  %s\n' "" tokens/s "decode" prefill "share of memory"
	for name in $names; do
		need "$name" || return
		out=$logs/bench-$name.json
		"$hokku" bench --device cuda "$models/$name.gguf" --json --prefill 2048 --decode 128 -n 5 >"$out" 2>"$out.err" || {
			verdict FAIL "hokku bench $name: $(tail -n 2 "$out.err")"
			continue
		}
		printf '     %-5s %-7s %9.0f %9.0f  %.0f%%\n' "${name%%-*}" "${name#*-}" \
			"$(json_value decode tokens_per_s "$out")" "$(json_value prefill tokens_per_s "$out")" \
			"$(json_value decode share_of_memory "$out" | awk '{ print 100 * $1 }')"
	done
}

# ---- two builds in turn ----

# median FILE COLUMN
median() {
	cut -f "$2" "$1" | sort -g | awk '{ v[NR] = $1 } END { h = int((NR + 1) / 2); print NR % 2 ? v[h] : (v[h] + v[h + 1]) / 2 }'
}

# pair_time DIR MODEL OUT: sets decode and prefill, tokens a second.
pair_time() {
	"$1/hokku" bench --device cuda "$2" --json --prefill 2048 --decode 128 -n 5 >"$3" 2>"$3.err" || {
		verdict FAIL "$1/hokku bench of $(basename "$2"): exit code $?: $(tail -n 2 "$3.err")"
		return 1
	}
	decode=$(json_value decode tokens_per_s "$3")
	prefill=$(json_value prefill tokens_per_s "$3")
	[ -n "$decode" ] && [ -n "$prefill" ] || {
		verdict FAIL "$1/hokku bench of $(basename "$2"): no figures in $3"
		return 1
	}
}

# pair_model NAME: the two in turn, old first in odd rounds, so that a card that warms up or slows down does it to both.
pair_model() {
	round=0
	: >"$logs/pair-$1"
	while [ $((round += 1)) -le "$rounds" ]; do
		for which in $([ $((round % 2)) = 1 ] && echo old new || echo new old); do
			[ $which = old ] && folder=$old_dir || folder=$dir
			pair_time "$folder" "$models/$1.gguf" "$logs/pair-$1-$which-$round.json" || return
			eval "${which}_decode=\$decode ${which}_prefill=\$prefill"
		done
		printf '%s\t%s\t%s\t%s\n' "$old_decode" "$new_decode" "$old_prefill" "$new_prefill" >>"$logs/pair-$1"
	done
	pair_verdict "$1 decode of 128" "$(median "$logs/pair-$1" 1)" "$(median "$logs/pair-$1" 2)"
	pair_verdict "$1 prefill of 2,048" "$(median "$logs/pair-$1" 3)" "$(median "$logs/pair-$1" 4)"
}

# pair_verdict WHAT OLD NEW: 2% may be lost.
pair_verdict() {
	line=$(awk -v a="$2" -v b="$3" 'BEGIN {
		printf "%s %.1f -> %.1f tokens/s, ratio %.4f (at least 0.98)", (a > 0 && b >= 0.98 * a) ? "PASS" : "FAIL", a, b, (a > 0) ? b / a : 0 }')
	verdict "${line%% *}" "$1: ${line#* }"
}

part_pair() {
	rounds=${HOKKU_GPU_ROUNDS:-5}
	names=
	for shape in ${HOKKU_GPU_SHAPES:-0.5B 7B}; do
		names="$names $shape-F16 $shape-Q8_0 $shape-Q4_K_M"
	done
	for folder in "$old_dir" "$dir"; do
		printf '     %s\n' "$folder: $("$folder/hokku" version | head -n 1)"
	done
	need $names || return
	for name in $names; do
		pair_model "$name"
	done
}

# ---- the whole ----

expand() {
	for part in "$@"; do
		case $part in
		all) expand correct sanitize timing formats ;;
		correct) expand prove second ;;
		prove) echo unit exact greedy vram http ;;
		sanitize) echo memcheck racecheck initcheck synccheck ;;
		timing) echo start stream bench ;;
		unit | exact | greedy | vram | http | second | start | stream | bench | formats) echo "$part" ;;
		memcheck | racecheck | initcheck | synccheck) echo "$part" ;;
		*)
			echo "tests/gpu/run.sh: there is no part \"$part\"" >&2
			exit 2
			;;
		esac
	done
}

summary() {
	passed=$(grep -c '^PASS' "$results")
	failed=$(grep -c '^FAIL' "$results")
	skipped=$(grep -c '^SKIP' "$results")
	echo "$passed passed, $failed failed, $skipped skipped; the whole output is in $logs"
}

stopped() {
	stop_server
	verdict FAIL "stopped in part $part; not done:$left"
	summary
	exit 1
}

if [ -n "$old_dir" ]; then
	parts=pair
else
	parts=$(expand "${@:-all}") || exit 2
fi
"$hokku" devices >"$logs/devices" 2>&1
sed -n '/^cuda/p' "$logs/devices"
grep -q '^cuda:0' "$logs/devices" || {
	echo "FAIL there is no device to check: $(tail -n 1 "$logs/devices")"
	exit 1
}
left=" $(echo $parts)"
part=start-up
trap stopped INT TERM
[ "$parts" = pair ] || find_paths
for part in $parts; do
	begun=$(date +%s)
	"part_$part"
	left=${left#" $part"}
	echo "     part $part: $(($(date +%s) - begun)) s"
done
summary
[ "$failed" = 0 ]
