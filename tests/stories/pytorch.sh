#!/usr/bin/env bash
# A PyTorch user: weights become ONNX files that are proven, and held to each other as any two files. The commands are those of
# docs/import.md and docs/verify.md; the weights are golden data of the import, which PyTorch wrote.
source "$(dirname "${BASH_SOURCE[0]}")/follow.sh"

cp "$root/tests/golden/import/lucidrains_gru_lm.pt" model.pt
echo '["\n", " ", "T", "h", "e", "a", "i", "n", "o", "s", "t"]' >chars.json

# Paths of docs/verify.md are those of the repository.
ln -s "$root/models" models

follow pytorch docs/import.md
follow onnx docs/verify.md

has imported/model.safetensors
has export/model.parallel.onnx
# Files of other weights are not the same, and the exit code says so.
cp "$root/tests/golden/import/minrnns_gru.pt" other.pt
minrnn import other.pt --out imported2 >/dev/null
minrnn export imported2 --out export2 >/dev/null
if minrnn verify --sequence export/model.parallel.onnx --step export2/model.step.onnx --max-len 9 >"$work/said" 2>&1; then
  fail "two models are held to be one"
fi
