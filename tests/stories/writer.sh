#!/usr/bin/env bash
# A writer: a text becomes a model that writes, is exported and proven. The commands are those of docs/text.md.
source "$(dirname "${BASH_SOURCE[0]}")/follow.sh"

# The text of the tests where there is one, else words of our own, over and over in another order.
if [ -n "${MINRNN_TEST_TEXT:-}" ]; then
  head -c 60000 "$MINRNN_TEST_TEXT" >book.txt
else
  for i in $(seq 40); do awk -v i="$i" '{ line[NR] = $0 } END { for (n = 0; n < NR; n++) print line[1 + (n * i) % NR] }' \
    "$root/crates/minrnn-cli/tests/data/harbour.txt"; done >book.txt
fi

follow writer docs/text.md

has runs/first/best/model.safetensors
has export/model.step.onnx
# A text is the same from the checkpoint and from what was exported.
for from in runs/first export; do
  minrnn generate "$from" --prompt "The " --length 60 --temperature 0 >"$work/said"
  said=$(cat "$work/said")
  [ "${said:0:4}" = "The " ] && [ ${#said} -ge 20 ] || fail "$from writes $said"
  [ "${said}" = "${before:-$said}" ] || fail "from the checkpoint: $before; from the export: $said"
  before=$said
done
