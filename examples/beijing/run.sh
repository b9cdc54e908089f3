#!/bin/sh
# The whole loop on the published Beijing inspections, by `credit-tier` commands alone. BIN, DATA, OUT and THREADS may be given.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
DATA=${DATA:?give the folder of entities.parquet, inspections.parquet and penalties.parquet}
OUT=${OUT:-beijing-output}
THREADS=${THREADS:-2}
run="${BIN:+$BIN/}credit-tier"
python="${BIN:+$BIN/}python"
test -f "$DATA/inspections.parquet" || { echo "No inspections.parquet in $DATA: give DATA=folder" >&2; exit 4; }
test ! -e "$OUT" || { echo "$OUT exists: remove it or give OUT=folder" >&2; exit 2; }
CREDIT_TIER_CONTENT=$here
export CREDIT_TIER_CONTENT

"$run" content lint
"$run" ingest "$DATA" "$OUT/lake"
"$run" train culture_violation "$OUT/lake" --store "$OUT/mlflow" --seed 1 --threads "$THREADS" >"$OUT/training.txt"
"$run" promote culture_violation --store "$OUT/mlflow" --who example --why "the example takes what it trained" >"$OUT/promotion.txt"
"$run" score "$OUT/lake" --store "$OUT/mlflow" --as-of 2026-01-16 --out "$OUT/scores"
"$run" draw plan "$OUT/scores/scores.parquet" --out "$OUT/draw"
# A fixed secret and a made-up beacon, so that the example gives the same draw again; a real round takes neither.
"$run" draw commit "$OUT/draw" --secret 00000000000000000000000000000000000000000000000000000000000000be
"$run" draw run "$OUT/draw" --beacon "example: no public beacon"
"$python" -m credit_tier.sampling.verify "$OUT/draw"
cat "$OUT/training.txt"
