# What ran, in two lines' worth: awk -v build=asan -f tests/closing.awk ctest.xml LastTest.log
# ctest.xml (ctest --output-junit) says of each program how it ended; CTest's log holds what the programs printed, from which
# single tests are counted (cmocka's and node:test's own last lines; any other program is one test). A program that failed
# without naming a test that did, by a crash, a sanitizer or a time limit, counts as one failure. Tests that were skipped are named.
function number(pattern, at) {
	match($0, pattern)
	return substr($0, RSTART, RLENGTH) + 0
}
function left_out(what) {
	if (!(what in told))
		order[++n_told] = what
	told[what] = 1
}

FNR == 1 { file++ }

file == 1 && /<testcase / {
	match($0, /name="[^"]*"/)
	program = substr($0, RSTART + 6, RLENGTH - 7)
	match($0, /status="[^"]*"/)
	status[program] = substr($0, RSTART + 8, RLENGTH - 9)
}
file == 1 && /<skipped message="SKIP_RETURN_CODE=/ { status[program] = "skipped" }

file == 2 && /^[0-9]+\/[0-9]+ Test: / { program = $3 }
file == 2 && /^\[  PASSED  \] [0-9]+ test/ { passed[program] += number("[0-9]+"); counted[program] = 1 }
file == 2 && /^\[  FAILED  \] [0-9]+ test/ { failed[program] += number("[0-9]+") }
file == 2 && /^\[  SKIPPED \] [0-9]+ test/ { skipped[program] += number("[0-9]+"); next }
file == 2 && /^\[  SKIPPED \] / { left_out(program ": " $4) }
file == 2 && /^ℹ pass [0-9]+$/ { passed[program] += $3; counted[program] = 1 }
file == 2 && /^ℹ (fail|cancelled) [0-9]+$/ { failed[program] += $3 }
file == 2 && /^ℹ (skipped|todo) [0-9]+$/ { skipped[program] += $3 }
file == 2 && /^ *﹣ .* # / {
	what = $0
	sub(/^ *﹣ /, "", what)
	sub(/ \([0-9.]+ms\) # (SKIP)?/, "; ", what)
	sub(/; $/, "", what)
	left_out(program ": " what)
}

END {
	for (program in status) {
		how = status[program]
		if (how == "skipped") {
			n_skipped++
			left_out(program)
			continue
		}
		n_passed += counted[program] ? passed[program] : how == "run"
		n_skipped += skipped[program]
		n_failed += failed[program]
		if (how != "run" && !failed[program])
			n_failed++
	}
	for (i = 1; i <= n_told; i++)
		print "skipped: " order[i]
	printf "%s: %d passed, %d failed, %d skipped\n", build, n_passed, n_failed, n_skipped
}
