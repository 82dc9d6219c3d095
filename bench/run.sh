#!/bin/sh
# Speed on synthetic models of the 0.5B shape, a table a format: `./do bench [hokku bench's options]`.
# docs/performance.md keeps the figures, those of peers beside them. The models stay in build/models.
set -eu
cd "$(dirname "$0")/.."
hokku=build/release/hokku
mkdir -p build/models
for type in F16 Q8_0 Q4_K_M; do
	model=build/models/qwen2.5-0.5b-$type.gguf
	[ -f "$model" ] || "$hokku" synth --shape qwen2.5-0.5b --type "$type" -o "$model"
	printf '\n%s\n' "$model"
	"$hokku" bench "$model" "$@"
done
