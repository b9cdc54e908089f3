#!/bin/sh
# A bank's outcomes from its customers' invoices, by `credit-tier` commands alone. BIN, DATA, OUT and THREADS may be given.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
DATA=${DATA:?give the folder of enterprises.csv.gz, invoices_credit.parquet and invoices_nocredit.parquet}
OUT=${OUT:-sme-output}
THREADS=${THREADS:-2}
run="${BIN:+$BIN/}credit-tier"
test -f "$DATA/invoices_credit.parquet" || { echo "No invoices_credit.parquet in $DATA: give DATA=folder" >&2; exit 4; }
test ! -e "$OUT" || { echo "$OUT exists: remove it or give OUT=folder" >&2; exit 2; }
CREDIT_TIER_CONTENT=$here
export CREDIT_TIER_CONTENT

"$run" content lint
"$run" ingest "$DATA" "$OUT/lake"
"$run" train default_risk "$OUT/lake" --store "$OUT/mlflow" --seed 1 --threads "$THREADS" >"$OUT/training.txt"
"$run" promote default_risk --store "$OUT/mlflow" --who example --why "the example takes what it trained" >"$OUT/promotion.txt"
# All 425 enterprises: those without a credit history are whom a bank has to judge by invoices.
"$run" score "$OUT/lake" --store "$OUT/mlflow" --as-of 2020-03-01 --out "$OUT/scores"
"$run" profile "$OUT/scores" E124
cat "$OUT/training.txt"
